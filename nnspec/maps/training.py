"""Training a map: pieces in, numbers a pixel out. Each piece is carried as the chunks of a sweep are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace

import numpy as np

from nnspec.duration import updates
from nnspec.errors import Fault, SpecError
from nnspec.execute.budget import Budget, Kind, Use, allowance, budget, card, remedy, upto
from nnspec.execute.engine import Carry
from nnspec.execute.pool import Advanced, Events, Finished, Lost, Stuck, processes, train_chunks, train_on_card
from nnspec.maps.axes import Axis, along
from nnspec.maps.pixels import Pieces, Pixels, cut
from nnspec.maps.reducing import Arrays, Reduce, empty
from nnspec.report import console
from nnspec.results.events import Advance, Notice
from nnspec.settings import Runtime
from nnspec.specs import RunSpec
from nnspec.training.layout import LANE, in_lanes, on_card, padded
from nnspec.training.memory import held_bytes, most_networks
from nnspec.training.plan import chunk_width
from nnspec.training.spans import PAYS

LARGEST = 32_768  # networks of a piece, at most
COPIES = 3  # of a map's arrays: as they are kept, as a file, and what is drawn of them


@dataclass
class MapTraining:
    """Trains a map over the axes ``x`` and ``y`` of a checked spec; iterating it trains the pieces and fills
    ``arrays``, [height * width] each, row by row.

    Raises:
        SpecError: an axis does not go with the spec, the map does not fit into ``train.memory``, or there is no
            graphics card for it.
    """

    spec: RunSpec
    x: Axis
    y: Axis
    runtime: Runtime = field(default_factory=Runtime)
    carry: Carry | None = None  # what trains the pieces; None: processes of this machine
    lost: list[str] = field(default_factory=list)  # why pieces could not train
    seconds: dict[str, float] = field(default_factory=lambda: {"train": 0.0, "diagnose": 0.0})
    updaters: Counter[str] = field(default_factory=Counter)  # networks by why they trained eagerly

    def __post_init__(self) -> None:
        self.pixels = Pixels(self.x.key, self.y.key, *along(self.spec, (self.x, self.y)))
        each, count = self.spec.replicates, len(self.pixels)
        size = sum(array.nbytes for array in empty(1, each, self.spec.dtype).values()) * count * COPIES
        first = self.pixels[0]
        self.card = card([first], self.carry is None)
        self.workers = processes(self.runtime.workers, self.card is not None and self.carry is None)
        shared = shared_out(first, min(count * each, LARGEST), self.workers, self.runtime.memory, size)
        self.workers, self.memory = shared.room.workers, size + shared.results
        shared = replace(shared, room=replace(shared.room, card=self.card))
        wanted = _wanted(first, count * each, shared)
        width = max(each, most_networks(first, count * each, shared.room, wanted))
        self.pieces = Pieces(cut(self.pixels, width // each), self.pixels.width, each, shared.room.compiled)
        self.memory += held_bytes(first, width, count * each, shared.room)
        self.arrays: Arrays = empty(count, each, self.spec.dtype)

    @property
    def networks(self) -> int:
        """Networks of the whole map."""
        return len(self.pixels) * self.spec.replicates

    def __iter__(self) -> Iterator[Advance | Notice]:
        carry = self.carry or (train_chunks if self.card is None else train_on_card)
        with closing(carry(self.pixels, self.pieces, self.workers, Reduce(self.spec.replicates))) as events:
            yield from self._follow(events)

    def _follow(self, events: Events) -> Iterator[Advance | Notice]:
        running: dict[int, tuple[float, int]] = {}  # of pieces in hand: networks' worth of updates, solved so far
        done, solved, steps = 0, 0, updates(self.pixels[0])
        for event in events:
            if isinstance(event, Stuck):
                yield Notice(str(event))
                continue
            count = self.pieces.pieces[event.chunk].count * self.spec.replicates
            if isinstance(event, Advanced):
                running[event.chunk] = (event.progress.step / steps * count, event.progress.right)
            else:
                running.pop(event.chunk, None)
                done += count
            if isinstance(event, Finished):
                solved += event.extra.solved
                self.seconds["train"] += event.seconds
                self.seconds["diagnose"] += event.extra.seconds
                self.updaters[event.trained.why_eager] += count
                self._put(self.pieces.pixels(event.chunk), event.extra.values)
            if isinstance(event, Lost):
                self.lost.append(event.reason)
            in_hand = sum(share for share, _ in running.values())
            yield Advance(done + in_hand, solved + sum(right for _, right in running.values()))

    def _put(self, where: Sequence[int], values: Arrays) -> None:
        places = np.asarray(where)
        for name, array in self.arrays.items():
            array[places] = values[name]


def trained(events: Iterable[Advance | Notice], networks: int, bar: bool) -> bool:
    """Go through the events of training so many networks, shown on a ``bar`` if that says so; whether all of it was
    done, and not interrupted."""
    try:
        with closing(console.shown_on_bar(events, networks, bar)) as shown:
            for _ in shown:
                pass
    except KeyboardInterrupt:
        return False
    return True


def lost_lines(lost: Sequence[str], whose: str) -> list[str]:
    """Why pieces of a map, or of several, did not train, each reason once."""
    return [
        f"{console.count(lost.count(reason), 'piece')} of {whose} did not train: {reason}"
        for reason in dict.fromkeys(lost)
    ]


def shared_out(spec: RunSpec, together: int, workers: int, mebibytes: float | None, size: float) -> Budget:
    """The budget of a map that holds ``size`` bytes besides what trains, ``together`` networks at most.

    Raises:
        SpecError: it does not fit.
    """
    kinds, memory = [Kind(spec, 1, together, spec.replicates)], allowance(mebibytes)
    shared = budget(kinds, workers, memory - size, Use())
    fits = isinstance(shared, Budget) and held_bytes(spec, spec.replicates, together, shared.room) <= (
        shared.room.bytes or 0
    )
    if isinstance(shared, Budget) and fits:
        return shared
    needed = upto(size + (shared if not isinstance(shared, Budget) else memory))
    said = f"{upto(memory):,}" + ("" if mebibytes is not None else " (a quarter of what is free)")
    what = remedy(kinds, memory - size, Use()) if size < memory / 2 else "raise it or take fewer pixels"
    raise SpecError([Fault("train.memory", f"must be above {needed:,} MiB for this map", said, what)])


def _wanted(spec: RunSpec, networks: int, shared: Budget) -> int:
    """Networks that should train at once: those of a chunk, or as many as it takes for compiled code to pay, if every
    worker has so many."""
    width = chunk_width(spec, networks, shared.room)
    if on_card(spec):
        return min(LARGEST, width)
    if not in_lanes(spec) or not shared.room.compiled:
        return width
    pays = padded(-(-int(PAYS) // updates(spec)))
    if width >= pays or pays > LARGEST or networks < pays * shared.room.workers:
        return width
    rounds = networks // (pays * shared.room.workers)
    even = -(-networks // (rounds * shared.room.workers))
    return min(LARGEST, -(-even // LANE) * LANE)
