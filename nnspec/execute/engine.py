"""Training cells: plan, train, diagnose, gather. No store, no terminal: both listen through callbacks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial

from nnspec.execute.budget import Budget, Use, shared_out
from nnspec.execute.gather import Gatherer, TrainedCell, partial_history
from nnspec.execute.pool import Advanced, Events, Extra, Finished, Lost, Stuck, cores, train_chunks
from nnspec.execute.worker import after_training
from nnspec.journal.filer import Begun, Failed, Live, Stopped
from nnspec.results.cell import CellResult
from nnspec.settings import Runtime
from nnspec.specs import RunSpec
from nnspec.training.loop import Progress
from nnspec.training.plan import Chunk, Plan, plan

Carry = Callable[[Sequence[RunSpec], Sequence[Chunk], int, Extra], Events]
LIVE = 3.0  # seconds between two filings of the history of cells that still train


@dataclass(frozen=True)
class Advance:
    """The sweep has come so far: ``networks`` trained, counting those in hand by the share of their updates, ``right``
    of them."""

    networks: float
    right: int


@dataclass(frozen=True)
class Notice:
    """Something that the user should know while training goes on."""

    text: str


TrainingEvent = Begun | Live | Advance | TrainedCell | Failed | Notice


@dataclass
class Training:
    """One pass over cells; iterating it trains them. ``seconds`` sums the workers' time by part.

    Raises:
        SpecError: it does not fit into ``train.memory``.
    """

    specs: Sequence[RunSpec]
    runtime: Runtime
    files: bool = False  # have the workers make the cells' artifacts too
    carry: Carry | None = None  # what trains the chunks; None: processes of this machine
    keep: bool = False  # the caller keeps the arrays of all cells
    seconds: dict[str, float] = field(default_factory=lambda: {"train": 0.0, "diagnose": 0.0})

    def __post_init__(self) -> None:
        use = Use(self.files, self.keep or self.carry is not None)  # other machines hand over all at once
        self.shared: Budget = shared_out(self.specs, self.runtime.workers or cores(), self.runtime.memory, use)
        self.workers = self.shared.room.workers
        self.plan: Plan = plan(self.specs, self.shared.room)
        self._gatherer = Gatherer(self.specs)
        self._running: dict[
            int, tuple[Chunk, Progress]
        ] = {}  # the last report of each chunk in training, by its number

    def __iter__(self) -> Iterator[TrainingEvent]:
        chunks = list(self.plan.chunks())
        carry = self.carry or train_chunks
        with closing(carry(self.specs, chunks, self.workers, partial(after_training, files=self.files))) as events:
            yield from self._follow(events, chunks)

    def stopped(self) -> list[Stopped]:
        """What is known of the cells that were not whole when training was broken off."""
        known: dict[int, list[CellResult]] = {}
        for index, history in self._gatherer.waiting():
            known.setdefault(index, []).append(history)
        for chunk, progress in self._running.values():
            for index, history in _histories(self.specs, chunk, progress):
                known.setdefault(index, []).append(history)
        return [Stopped(index, tuple(histories)) for index, histories in known.items()]

    def _follow(self, events: Events, chunks: Sequence[Chunk]) -> Iterator[TrainingEvent]:
        meter = _Meter(self.specs, chunks)
        failed: set[int] = set()
        begun = min(self.workers, len(chunks))
        yield Begun(_cells(chunks[:begun]))
        for event in events:
            chunk = chunks[event.chunk]
            if isinstance(event, Stuck):
                yield Notice(
                    f"worker process {event.process} is stopped and training waits for it; go on: kill -CONT "
                    f"{event.process}"
                )
                continue
            if isinstance(event, Advanced):
                self._running[event.chunk] = chunk, event.progress
                live = meter.live(event.chunk, event.progress)
                if live:
                    yield Live(live)
            else:
                self._running.pop(event.chunk, None)
                yield Begun(_cells(chunks[begun : begun + 1]))
                begun += 1
            if isinstance(event, Finished):
                self.seconds["train"] += event.trained.seconds
                self.seconds["diagnose"] += event.extra.seconds
                yield from (
                    cell for cell in self._gatherer.add(chunk, event.trained, event.extra) if cell.index not in failed
                )
            if isinstance(event, Lost):
                new = [cell for cell in _cells([chunk]) if cell not in failed]
                failed.update(new)
                yield from (Failed(cell, event.reason) for cell in new)
            yield meter.advance(event)


def _cells(chunks: Sequence[Chunk]) -> tuple[int, ...]:
    return tuple(dict.fromkeys(share.cell for chunk in chunks for share in chunk.shares))


class _Meter:
    """How far all chunks are together, and whose history is due for filing."""

    def __init__(self, specs: Sequence[RunSpec], chunks: Sequence[Chunk]):
        self.specs, self.chunks = specs, chunks
        self.share = [0.0] * len(chunks)
        self.right = [0] * len(chunks)
        self.filed = time.perf_counter()

    def advance(self, event: Advanced | Finished | Lost) -> Advance:
        """The state after an event."""
        chunk = self.chunks[event.chunk]
        if isinstance(event, Advanced):
            self.share[event.chunk] = event.progress.step / self.specs[chunk.shares[0].cell].train.epochs
            self.right[event.chunk] = event.progress.right
        else:
            self.share[event.chunk] = 1.0
            self.right[event.chunk] = int(event.trained.rows.right[:, -1].sum()) if isinstance(event, Finished) else 0
        networks = sum(share * chunk.networks for share, chunk in zip(self.share, self.chunks, strict=True))
        return Advance(networks, sum(self.right))

    def live(self, number: int, progress: Progress) -> tuple[tuple[int, CellResult], ...]:
        """Every few seconds, the histories so far of the cells that lie within one chunk whole."""
        if time.perf_counter() - self.filed < LIVE:
            return ()
        self.filed = time.perf_counter()
        histories = _histories(self.specs, self.chunks[number], progress)
        return tuple(
            (cell, history) for cell, history in histories if len(history.seeds) == self.specs[cell].replicates
        )


def _histories(specs: Sequence[RunSpec], chunk: Chunk, progress: Progress) -> Iterator[tuple[int, CellResult]]:
    """The histories so far of the cells that have networks in a chunk."""
    start = 0
    for share in chunk.shares:
        stop = start + share.count
        yield share.cell, partial_history(specs[share.cell], share.first, progress.history, start, stop)
        start = stop
