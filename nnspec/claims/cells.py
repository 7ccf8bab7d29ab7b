"""Which cells of a sweep a claim speaks of, and the numbers that a cell states."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nnspec.results.table import spec_columns
from nnspec.specs import MEMBERS, RunSpec, text

DEPTH, WIDTH, ZOOM = "model.depth", "model.width", "zoom"


@dataclass(frozen=True)
class Window:
    """A cell whose networks are maps, one a seed, zoomed in on so many times. ``axes`` are the keys of the
    spec that the map has values of its own for."""

    spec: RunSpec
    zoom: int
    axes: tuple[str, str]


CellLike = RunSpec | Window


def stated(cell: CellLike) -> dict[str, object]:
    """What a cell states, by key: every field, a member's name also by the member's key; ``model.depth`` and
    ``model.width`` where it has hidden layers of one width; of a map not its axes, and its ``zoom``."""
    if isinstance(cell, Window):
        return {key: value for key, value in stated(cell.spec).items() if key not in cell.axes} | {ZOOM: cell.zoom}
    found = spec_columns(cell)
    found |= {member: found[f"{member}.name"] for member in MEMBERS if f"{member}.name" in found}
    hidden = found.get("model.hidden")
    if isinstance(hidden, str):
        widths = ast.literal_eval(hidden)
        found[DEPTH] = len(widths)
        if len(set(widths)) == 1:
            found[WIDTH] = widths[0]
    return found


def matches(cell: Mapping[str, object], where: Mapping[str, object]) -> bool:
    """Whether a cell (see ``stated``) has what ``where`` names: of each key the value, or one of the values."""
    return all(key in cell and _is(cell[key], value) for key, value in where.items())


def _is(value: object, said: object) -> bool:
    if isinstance(said, list) and any(_same(value, item) for item in said):
        return True
    return _same(value, said)


def _same(value: object, said: object) -> bool:
    numbers = (int, float)
    if isinstance(value, numbers) and isinstance(said, numbers):
        return float(value) == float(said)
    return text(value) == text(said) or str(value) == str(said)


def numbers(cell: CellLike) -> dict[str, float]:
    """The numbers of a cell by the last part of their key, as ``lr``, ``width`` or ``std``; ``inputs`` of its data.

    Where two keys end alike the one of the model, the initialisation or the optimizer stands, in this order.
    """
    found: dict[str, float] = {}
    said = stated(cell)
    order = ("model.", "init.", "activation.", "optimizer.", "data.", "loss.", "train.", "")
    for start in order:
        for key, value in said.items():
            if key.startswith(start) and isinstance(value, (int, float)) and not isinstance(value, bool):
                found.setdefault(key.rpartition(".")[2], float(value))
    return found


def levels(cells: Sequence[Mapping[str, object]], axis: str) -> list[object]:
    """The values of an axis among cells, rising; those that are no numbers in the order in which they come."""
    found = list({text(cell[axis]): cell[axis] for cell in cells if axis in cell}.values())
    if all(isinstance(value, (int, float)) for value in found):
        return sorted(found, key=float)  # type: ignore[arg-type]
    return found
