"""Training cells: plan, train, diagnose, gather. No store, no terminal: both listen through callbacks."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial

from nnspec.duration import updates
from nnspec.execute.budget import Budget, Use, card, shared_out
from nnspec.execute.gather import Gatherer, by_cell
from nnspec.execute.pool import (
    Advanced,
    Events,
    Extra,
    Finished,
    Lost,
    Stuck,
    processes,
    train_chunks,
    train_on_card,
)
from nnspec.execute.worker import after_training
from nnspec.problem import Problem
from nnspec.results.arrays import Interval, Results
from nnspec.results.events import Advance, Begun, Failed, Live, Notice, Stopped, TrainedCell, TrainingEvent
from nnspec.results.race import Race
from nnspec.settings import Runtime
from nnspec.specs import RunSpec
from nnspec.training.layout import UNCARRIED, is_separate
from nnspec.training.plan import Chunk, Plan, plan

Carry = Callable[[Sequence[RunSpec], Sequence[Chunk], int, Extra], Events]
LIVE = 3.0  # seconds between two filings of the history of cells that still train


class Trainer(ABC):
    """What trains the cells of a command; iterating it trains them."""

    by_cell: dict[int, RunSpec]  # by number, as they are when they come out
    plan: Plan  # of what trains first
    part = ""  # what of the training that is, in words; empty: all
    workers: int
    shared: Budget
    most_networks: int  # about so many train in all
    seconds: dict[str, float]  # the workers' time by part
    updaters: Counter[str]  # networks by why they trained eagerly ('': compiled code trained them)
    looked: int = 1  # how often what comes out may have been looked at on the way
    interval: Interval | None = None  # of a solve rate, where Wilson's would not allow for the looks
    race: Race | None = None  # what a race of the cells has found out so far

    @abstractmethod
    def __iter__(self) -> Iterator[TrainingEvent]: ...

    @abstractmethod
    def stopped(self) -> list[Stopped]:
        """What is known of the cells that were not whole when training was broken off."""


@dataclass
class Training(Trainer):
    """One pass over cells.

    Raises:
        SpecError: it does not fit into ``train.memory``, or asks for a graphics card where there is none.
    """

    specs: Sequence[RunSpec]
    runtime: Runtime
    files: bool = False  # results are filed: have the workers make the cells' artifacts too
    carry: Carry | None = None  # what trains the chunks; None: processes of this machine
    keep: bool = False  # the caller keeps the arrays of all cells
    cells: Sequence[int] | None = None  # the numbers of the specs in events; None: their places
    packed: bool = False  # cells are filed together and have no artifacts of their own
    seconds: dict[str, float] = field(default_factory=lambda: {"train": 0.0, "diagnose": 0.0})
    updaters: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.card = card(self.specs, self.carry is None)
        use = Use(self.files, self.keep)
        workers = processes(self.runtime.workers, self.card is not None and self.carry is None)
        self.shared = shared_out(self.specs, workers, self.runtime.memory, use)
        self.workers = self.shared.room.workers
        self.plan = plan(self.specs, replace(self.shared.room, card=self.card))
        self.most_networks = self.plan.networks
        self.by_cell = numbered(self.specs, self.cells)
        self._number = list(self.by_cell)
        self._gatherer = Gatherer(self.specs)
        self._running: dict[int, tuple[Chunk, Results]] = {}  # the history so far of each chunk in training

    def __iter__(self) -> Iterator[TrainingEvent]:
        chunks = list(self.plan.chunks())
        if self.carry is None:  # forked processes have what is read here
            firsts = [self.specs[stack.cells[0]] for stack in self.plan.stacks]
            for spec in filter(is_separate, firsts):  # in lanes there are few rows
                Problem.of(spec)
        carry = self.carry or (train_chunks if self.card is None else train_on_card)
        # a process alone leaves them to the thread that files them, and the next chunk or the report begins
        several = self.carry is not None or min(self.workers, len(chunks)) > 1
        extra = partial(after_training, files=self.files and not self.packed and several)
        with closing(carry(self.specs, chunks, self.workers, extra)) as events:
            yield from self._follow(events, chunks)

    def stopped(self) -> list[Stopped]:
        known: dict[int, list[Results]] = {}
        for index, history in self._gatherer.waiting():
            known.setdefault(index, []).append(history)
        for chunk, so_far in self._running.values():
            for index, _, history in by_cell(self.specs, chunk, so_far):
                known.setdefault(index, []).append(history)
        return [Stopped(self._number[index], tuple(histories)) for index, histories in known.items()]

    def _follow(self, events: Events, chunks: Sequence[Chunk]) -> Iterator[TrainingEvent]:
        meter = _Meter(self.specs, chunks)
        failed: set[int] = set()
        begun = min(self.workers, len(chunks))
        yield Begun(self._cells(chunks[:begun]))
        for event in events:
            chunk = chunks[event.chunk]
            if isinstance(event, Stuck):
                yield Notice(str(event))
                continue
            if isinstance(event, Advanced):
                self._running[event.chunk] = chunk, event.progress.history
                if meter.due():
                    live = self._live(chunk, event.progress.history)
                    if live:
                        yield Live(live)
            else:
                self._running.pop(event.chunk, None)
                yield Begun(self._cells(chunks[begun : begun + 1]))
                begun += 1
            if isinstance(event, Finished):
                self.seconds["train"] += event.seconds
                self.seconds["diagnose"] += event.extra.seconds
                why = event.trained.why_eager
                if why.startswith(UNCARRIED) and why not in self.updaters:
                    yield Notice(f"{why}; its networks train one by one")
                self.updaters[why] += chunk.networks
                cells = map(self._numbered, self._gatherer.add(chunk, event.trained, event.extra))
                yield from (cell for cell in cells if cell.index not in failed)
            if isinstance(event, Lost):
                new = [cell for cell in self._cells([chunk]) if cell not in failed]
                failed.update(new)
                yield from (Failed(cell, event.reason) for cell in new)
            yield meter.advance(event)

    def _cells(self, chunks: Sequence[Chunk]) -> tuple[int, ...]:
        return tuple(dict.fromkeys(self._number[share.cell] for chunk in chunks for share in chunk.shares))

    def _numbered(self, cell: TrainedCell) -> TrainedCell:
        return replace(cell, index=self._number[cell.index])

    def _live(self, chunk: Chunk, so_far: Results) -> tuple[tuple[int, Results], ...]:
        """The histories so far of the cells that lie within the chunk whole."""
        parts = by_cell(self.specs, chunk, so_far)
        return tuple((self._number[cell], part) for cell, _, part in parts if len(part.seeds) == part.spec.replicates)


def numbered(specs: Sequence[RunSpec], cells: Sequence[int] | None) -> dict[int, RunSpec]:
    """The specs by the numbers that events give them."""
    return dict(zip(range(len(specs)) if cells is None else cells, specs, strict=True))


class _Meter:
    """How far all chunks are together, and when a history is due for filing."""

    def __init__(self, specs: Sequence[RunSpec], chunks: Sequence[Chunk]):
        self.specs, self.chunks = specs, chunks
        self.share = [0.0] * len(chunks)
        self.right = [0] * len(chunks)
        self.filed = time.perf_counter()

    def advance(self, event: Advanced | Finished | Lost) -> Advance:
        """The state after an event."""
        chunk = self.chunks[event.chunk]
        if isinstance(event, Advanced):
            self.share[event.chunk] = event.progress.step / updates(self.specs[chunk.shares[0].cell])
            self.right[event.chunk] = event.progress.right
        else:
            self.share[event.chunk] = 1.0
            self.right[event.chunk] = int(event.trained.solved.sum()) if isinstance(event, Finished) else 0
        networks = sum(share * chunk.networks for share, chunk in zip(self.share, self.chunks, strict=True))
        return Advance(networks, sum(self.right))

    def due(self) -> bool:
        """Whether it is time again to file a history so far; every few seconds."""
        now = time.perf_counter()
        if now - self.filed < LIVE:
            return False
        self.filed = now
        return True
