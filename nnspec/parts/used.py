"""The user's parts that a spec names, and what they print while they train."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from typing import TypeVar

from nnspec.catalog import REGISTRIES
from nnspec.catalog.origins import Origin, origin_of
from nnspec.errors import first_line
from nnspec.specs import MEMBERS, RunSpec
from nnspec.terminal import complain

T = TypeVar("T")
TOLD: set[str] = set()  # parts that are known to print: each is told once


def used(specs: Sequence[RunSpec]) -> dict[str, Origin]:
    """Where the user's parts that specs name come from, by how messages call them."""
    found: dict[str, Origin] = {}
    for group in MEMBERS:
        for name in dict.fromkeys(getattr(spec, group).name for spec in specs):
            registry = REGISTRIES[group]
            origin = origin_of(registry[name]) if name in registry else None
            if origin is not None:
                found[f"the {registry.kind} '{name}'"] = origin
    return found


def told(parts: Sequence[str], printed: str) -> None:
    """Say that parts print; nothing where one of them is known to."""
    if printed.strip() and TOLD.isdisjoint(parts):
        TOLD.update(parts)
        complain(f"{' or '.join(parts)} prints, which nobody sees while it trains: {first_line(printed)}")


def printing_aside(events: Iterator[T], specs: Sequence[RunSpec]) -> Iterator[T]:
    """The events of the training of specs; what their parts print meanwhile is told instead, for the results of a
    command have standard output to themselves."""
    parts = [f"{part} ({origin.name}, line {origin.line})" for part, origin in used(specs).items()]
    if not parts:
        yield from events
        return
    printed = io.StringIO()
    while True:
        with redirect_stdout(printed):
            event = next(events, None)
        told(parts, printed.getvalue())
        if event is None:
            return
        yield event
