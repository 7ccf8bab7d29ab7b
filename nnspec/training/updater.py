"""What makes the updates of a chunk: an updater makes a span of them and says which updater makes the next.

There are three: ``Eager`` here, and in ``compiled`` the ``Trial`` that decides between it and ``Compiled``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from nnspec.training.spans import Span
from nnspec.training.state import ChunkState


class Updater(Protocol):
    """Trains the networks of a ``ChunkState`` in place."""

    @property
    def why_eager(self) -> str:
        """Why updates are not left to compiled code; empty if they are."""

    def advance(self, span: Span) -> Updater:
        """Make the updates of a span and write its rows of the history; the updater of the next span."""


@dataclass(frozen=True)
class Eager:
    """One forward pass, backward pass and update after the other, by torch's operations."""

    state: ChunkState
    why_eager: str

    def advance(self, span: Span) -> Updater:
        for step in range(span.step, span.step + span.updates):
            self.state.look(step)
            self.state.update(step + 1)
        return self
