"""``sweep.include``: cells beside the product."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nnspec.catalog import entry_name
from nnspec.compose.archived import grammar
from nnspec.compose.composer import COMPOSE_ERRORS, Composer
from nnspec.compose.explain import examine_config, refusal
from nnspec.errors import Fault
from nnspec.specs import text
from nnspec.sweep.axes import UNSAID, Statement
from nnspec.sweep.cells import Cell


def included(
    composer: Composer, statement: Statement, items: Sequence[Mapping[str, object]]
) -> tuple[list[Cell], list[Fault]]:
    """The cell of each mapping and every fault. What a mapping does not name is as in the first cell of the product;
    one that names a key of ``sweep.where`` is a block of its own, without the other keys of it."""
    cells: list[Cell] = []
    faults: list[Fault] = []
    for item in items:
        lines, choices = _stated(statement, item)
        try:
            spec, _, found = examine_config(composer.mapping(lines))
        except COMPOSE_ERRORS as error:
            spec, found = None, refusal(composer, lines, error, "sweep.include")
        faults.extend(found)
        if spec is not None and not found:
            cells.append(Cell(spec, choices))
    return cells, list(dict.fromkeys(faults))


def _stated(statement: Statement, item: Mapping[str, object]) -> tuple[list[str], tuple[tuple[str, str], ...]]:
    given = dict(item)
    first = {i: places[0] for i, places in enumerate(statement.places[0])}
    if any(statement.axes[i].name in given for i in statement.blocks[0]):
        first |= dict.fromkeys(statement.blocks[0], UNSAID)
    row: dict[int, int] = {}
    choices: list[tuple[str, str]] = []
    for i, axis in enumerate(statement.axes):
        if axis.name in given:
            choices.append((axis.name, text(entry_name(axis.name, given[axis.name]))))
        elif first[i] != UNSAID:
            row[i] = first[i]
            choices.append((axis.name, axis.texts[first[i]]))
    replaced = {line.split("=", 1)[0].lstrip("+") for line in (f"{name}=" for name in given)}
    kept = [line for line in statement.lines(row) if line.split("=", 1)[0].lstrip("+") not in replaced]
    return [*kept, *(f"{name}={grammar(value)}" for name, value in given.items())], tuple(choices)
