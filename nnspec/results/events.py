"""What happens while cells train, as values: execution makes them, filing and the terminal take them.

An event names a cell by its number among all cells of the command.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from nnspec.results.arrays import Results
from nnspec.specs import RunSpec


@dataclass(frozen=True)
class Proposed:
    """A cell that a search tries next; its number follows those of all cells so far."""

    index: int
    spec: RunSpec


@dataclass(frozen=True)
class Begun:
    """Cells whose chunk has begun to train."""

    cells: tuple[int, ...]


@dataclass(frozen=True)
class Live:
    """Histories so far of cells that still train."""

    histories: tuple[tuple[int, Results], ...]


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


@dataclass(frozen=True)
class TrainedCell:
    """A whole cell, trained and diagnosed; its artifacts, where its worker has made them already; how a race ended for
    it, in words."""

    index: int
    result: Results
    files: Mapping[str, bytes] | None = None
    ended: str = ""

    @property
    def spec(self) -> RunSpec:
        return self.result.spec

    @property
    def failure(self) -> str | None:
        """Why it counts as failed all the same: its networks were non-finite before the first update."""
        at = self.result.nonfinite_at
        if len(at) and (at == 0).all():
            return "non-finite from the start; lower the scale of init or data"
        return None


@dataclass(frozen=True)
class Failed:
    """A cell that could not train, and why."""

    index: int
    reason: str


@dataclass(frozen=True)
class Stopped:
    """A cell that was broken off: ``histories`` of those of its networks that are known, each as far as it came."""

    index: int
    histories: tuple[Results, ...]


Ended = TrainedCell | Failed | Stopped
TrainingEvent = Proposed | Begun | Live | Advance | Notice | TrainedCell | Failed
