"""What makes the updates of a chunk: an updater makes a stretch of them and says which updater makes the next.

There are three: ``Eager`` here, and in ``compiled`` the ``Trial`` that decides between it and ``Compiled``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from nnspec.training.spans import Stretch
from nnspec.training.state import ChunkState


class Updater(Protocol):
    """Trains the networks of a ``ChunkState`` in place."""

    @property
    def why_eager(self) -> str:
        """Why updates are not left to compiled code; empty if they are."""

    def advance(self, stretch: Stretch) -> Updater:
        """Make the updates of a stretch and write its rows of the history; the updater of the next stretch."""


@dataclass(frozen=True)
class Eager:
    """One forward pass, backward pass and update after the other, by torch's operations."""

    state: ChunkState
    why_eager: str

    def advance(self, stretch: Stretch) -> Updater:
        for step in range(stretch.step, stretch.step + stretch.updates):
            self.state.look(step)
            self.state.update(step + 1)
        return self
