"""Sentences as plain values, which the page fills in with its own numbers.

A phrase is ``{"nodes": [...], "text": [...]}``: nodes as a form has them, their leaves the numbers by name; of the text
each piece is a text as it stands, ``[place, ".4g"]`` for the number at a node, or ``[place, yes, no]`` for one of two
such texts by whether the number there is 0.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from nnspec.play.forms import Symbol, form
from nnspec.training.codegen.graph import Graph, Untraceable, tracing

MARK = re.compile("\ue000([0-9]+)\ue001")  # where a text says a number, until it is written down
Phrase = dict[str, Any]


class Marks(Graph):
    """A graph, and what texts say of its values."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[tuple[Any, ...]] = []

    def mark(self, *piece: Any) -> str:
        """What stands in a text for a piece of it."""
        self.pieces.append(piece)
        return f"\ue000{len(self.pieces) - 1}\ue001"


class Unsaid(Symbol):
    """A number that is not known yet; see ``sentences.either``."""

    graph: Marks

    def __format__(self, how: str) -> str:
        return self.graph.mark(self, how)

    def __abs__(self) -> Any:
        return self._new("abs", self)

    def __bool__(self) -> bool:
        raise Untraceable("a sentence asks whether a number is so; let it choose by either")

    def either(self, yes: str, no: str) -> str:
        """One of two texts, by whether this holds."""
        return self.graph.mark(self, yes, no)


class Asked(dict[str, Any]):
    """Every number by its name."""

    def __init__(self, graph: Marks):
        super().__init__()
        self.graph = graph

    def __missing__(self, name: str) -> Unsaid:
        return Unsaid(self.graph, self.graph.node("leaf", name))

    def get(self, name: str, default: Any = None) -> Unsaid:
        """The number of this name, which may be NaN when it is known."""
        return self[name]


def phrase(sentence: Callable[[Mapping[str, Any]], str]) -> Phrase:
    """What a sentence says of numbers that are not known yet.

    Raises:
        Untraceable: it does more with them than a form can hold.
    """
    graph, values = Marks(), []

    def pieces(text: str) -> list[Any]:
        parts = MARK.split(text)  # texts, and between them the numbers of pieces
        return [part if n % 2 == 0 else piece(*graph.pieces[int(part)]) for n, part in enumerate(parts) if part]

    def piece(value: Unsaid, *said: str) -> list[Any]:
        values.append(value)
        place = len(values) - 1
        return [place, *said] if len(said) == 1 else [place, *(pieces(text) for text in said)]

    with tracing():
        text = pieces(sentence(Asked(graph)))
    made = form(values)
    return {"nodes": made["nodes"], "text": _placed(text, made["results"])}


def _placed(text: list[Any], places: list[int]) -> list[Any]:
    """The text with the places of nodes for those of values."""
    return [
        piece
        if isinstance(piece, str)
        else [places[piece[0]], *(_placed(said, places) if isinstance(said, list) else said for said in piece[1:])]
        for piece in text
    ]
