"""Updates in a row: what compiled code is given at a time, and whether it is worth the while. Pure; no torch."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from nnspec.spec import RunSpec

MOST = 256  # updates in one stretch
LARGEST = 2500  # weights times rows beyond which a step's code leaves the processor's cache
PAYS = 1_000_000  # updates of networks that share a step from which compiling it pays, which takes a millisecond a weight and row


@dataclass(frozen=True)
class Stretch:
    """Updates in a row: ``looks`` times a look at the networks and ``count`` updates, after ``step`` of them."""

    step: int
    looks: int
    count: int

    @property
    def updates(self) -> int:
        return self.looks * self.count


def pays(spec: RunSpec, size: int, networks: float) -> bool:
    """Whether to compile the step of this many networks, whose weights times rows are ``size``."""
    return spec.dtype == "float32" and size <= LARGEST and networks * spec.train.epochs >= PAYS


def stretches(rows: Sequence[int], snapshots: Iterable[int], most: int) -> Iterator[Stretch]:
    """The updates from the first to the last of ``rows``, the numbers of updates after which the history takes a look, in pieces of
    at most ``most`` for compiled code (0: a piece a row). None goes past a snapshot, and the first is short: it is trained twice."""
    taken, kept = set(rows), set(snapshots)
    current: Stretch | None = None
    for start, stop in itertools.pairwise(sorted(taken | kept)):
        for step in range(start, stop, most or stop - start):
            count = min(most or stop - start, stop - step)
            joins = current and current.step > 0 and current.count == count and current.updates + count <= most
            if current and joins and {current.step, step} <= taken and step not in kept:
                current = replace(current, looks=current.looks + 1)
                continue
            if current:
                yield current
            current = Stretch(step, 1, count)
    if current:
        yield current
