"""Updates in a row: what compiled code is given at a time, and whether it is worth the while. Pure; no torch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from nnspec.duration import Pace, updates
from nnspec.specs import RunSpec

MOST = 256  # updates in one span; a block of the history has as many rows (see ``memory.BLOCK``)
# updates of networks that share a step from which compiling it pays, which takes a millisecond a weight and row
PAYS = 1_000_000


@dataclass(frozen=True)
class Span:
    """Updates in a row: ``looks`` times a look at the networks and ``count`` updates, after ``step`` of them."""

    step: int
    looks: int
    count: int

    @property
    def updates(self) -> int:
        return self.looks * self.count

    def looks_apart(self) -> list[Span]:
        """The same with a look each."""
        return [Span(self.step + look * self.count, 1, self.count) for look in range(self.looks)]


def why_eager(spec: RunSpec, networks: float, pays: float = PAYS) -> str:
    """Why the step of this many networks of one formula is not to be compiled; empty if it is."""
    if networks * updates(spec) < pays:
        return "too few updates to compile for"
    return ""


def logged_rows(pace: Pace) -> int:
    """Rows of the history: one every ``log_every`` updates, the first and the last always."""
    return -(-pace.updates // pace.log_every) + 1


def logged_steps(pace: Pace) -> np.ndarray:
    """Updates made at each row of the history, [t]."""
    every = min(pace.log_every, pace.updates)  # a larger one need not be a number of the machine
    return np.minimum(np.arange(logged_rows(pace), dtype=np.int64) * every, pace.updates)


def row_of(pace: Pace, step: int) -> int | None:
    """The row of the history that is written after ``step`` updates."""
    if step == pace.updates:
        return logged_rows(pace) - 1
    return None if step % pace.log_every else step // pace.log_every


def spans(pace: Pace, most: int) -> Iterator[Span]:
    """All updates in pieces of at most ``most`` for compiled code (0: a piece a row of the history). None goes past a
    row or a snapshot but to look at the networks, and the first is short: it is trained twice."""
    current: Span | None = None
    for start, stop in _marks(pace):
        for step in range(start, stop, most or stop - start):
            count = min(most or stop - start, stop - step)
            joins = current and current.step > 0 and current.count == count and current.updates + count <= most
            looks = step % pace.log_every == 0 and (current is None or current.step % pace.log_every == 0)
            if current and joins and looks and not _keeps(pace, step):
                current = replace(current, looks=current.looks + 1)
                continue
            if current:
                yield current
            current = Span(step, 1, count)
    if current:
        yield current


def _keeps(pace: Pace, step: int) -> bool:
    """Whether a snapshot is taken after ``step`` updates."""
    return bool(pace.snapshot_every) and step % pace.snapshot_every == 0


def _marks(pace: Pace) -> Iterator[tuple[int, int]]:
    """From each row of the history or snapshot to the next."""
    step = 0
    while step < pace.updates:
        nexts = [step - step % every + every for every in (pace.log_every, pace.snapshot_every) if every]
        following = min(*nexts, pace.updates)
        yield step, following
        step = following
