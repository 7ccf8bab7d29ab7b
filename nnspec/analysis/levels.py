"""Axes and their levels: how the columns of a sweep's table become groups of networks.

The table has one row a network: a column for each axis (dotted names), and the columns of ``MEASURED``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nnspec.errors import NnspecError, unknown
from nnspec.spec import text
from nnspec.terminal import printable

if TYPE_CHECKING:
    import pandas as pd

MEASURED = ("cell", "seed", "final_loss", "final_accuracy", "solved", "solved_at", "verdict", "epochs")


class AnalysisError(NnspecError):
    """A question that a table cannot answer: an axis it does not have, or too few levels."""

    exit_status = 2


@dataclass(frozen=True)
class Levels:
    """The levels of one axis: numbers in rising order, anything else in order of first appearance."""

    axis: str
    values: tuple[object, ...]
    labels: tuple[str, ...]
    codes: np.ndarray  # [m] the level of each network

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Groups:
    """Networks grouped by the levels of several axes; only combinations that occur, in the order of the levels."""

    levels: tuple[Levels, ...]
    combos: np.ndarray  # [g, a] the level of each axis
    codes: np.ndarray  # [m] the group of each network

    def __len__(self) -> int:
        return len(self.combos)

    def labels(self) -> list[str]:
        """One label a group, as 'relu, 0.1'; 'all' where there is no axis."""
        return [", ".join(axis.labels[i] for axis, i in zip(self.levels, combo, strict=True)) or "all" for combo in self.combos]


def levels_of(table: pd.DataFrame, axis: str) -> Levels:
    """The levels of ``axis`` and the level of each network.

    Raises:
        AnalysisError: if the table has no such column.
    """
    import pandas as pd

    if axis not in table.columns:
        raise AnalysisError(str(unknown("axis", "column of the table", axis, (str(c) for c in table.columns if c not in MEASURED))))
    column = table[axis]
    if column.dtype == object:  # may hold lists, which cannot be grouped by
        column = column.map(_hashable)
    codes, uniques = pd.factorize(column, use_na_sentinel=False)
    values = [None if missing(value) else value for value in uniques.tolist()]
    order = _order(values)
    rank = np.empty(len(values), dtype=np.int64)
    rank[order] = np.arange(len(values))
    ordered = tuple(values[i] for i in order)
    return Levels(axis, ordered, tuple(printable(text(value)) for value in ordered), rank[codes])


def group_by(table: pd.DataFrame, axes: Sequence[str]) -> Groups:
    """The networks grouped by ``axes``; with no axes, one group of all."""
    levels = tuple(levels_of(table, axis) for axis in axes)
    if not levels or not len(table):
        return Groups(levels, np.zeros((min(1, len(table)), len(levels)), dtype=np.int64), np.zeros(len(table), dtype=np.int64))
    shape = tuple(len(level) for level in levels)
    flat = np.ravel_multi_index(tuple(level.codes for level in levels), shape)
    found, codes = np.unique(flat, return_inverse=True)
    return Groups(levels, np.stack(np.unravel_index(found, shape), axis=1), codes)


def axes_of(table: pd.DataFrame) -> list[str]:
    """The columns that look like axes: not measured, one value a cell, and more than one value in all.

    A guess, for tables that come without their axes: a further measured column of a sweep with one network a cell passes it.
    """
    columns = [str(column) for column in table.columns if column not in MEASURED]
    found = []
    for column in columns:
        levels = levels_of(table, column)
        if len(levels) > 1 and ("cell" not in table or _one_a_cell(table, levels)):
            found.append(column)
    return found


def widest(table: pd.DataFrame, axes: Sequence[str], count: int = 2) -> list[str]:
    """The ``count`` axes with the most levels, seeds aside; ties keep the order given."""
    sizes = [(len(levels_of(table, axis)), axis) for axis in axes if axis != "seed"]
    return [axis for _, axis in sorted(sizes, key=lambda item: -item[0])[:count]]


def short(axis: str) -> str:
    """An axis as a heading: 'activation.name' is the activation, 'optimizer.lr' stays as it is."""
    return axis.removesuffix(".name")


def _one_a_cell(table: pd.DataFrame, levels: Levels) -> bool:
    cells = levels_of(table, "cell")
    return len(np.unique(cells.codes * len(levels) + levels.codes)) == len(cells)


def _hashable(value: object) -> object:
    return text(value.tolist() if isinstance(value, np.ndarray) else value) if isinstance(value, (list, tuple, np.ndarray)) else value


def missing(value: object) -> bool:
    """None, NaN or pandas' NA, which compares with nothing."""
    return value is None or type(value).__name__ in ("NAType", "NaTType") or bool(value != value)


def _order(values: list[object]) -> list[int]:
    """Rising if all are numbers (or texts of numbers); else as they came, with the missing one last."""
    numbers = [_number(value) for value in values if value is not None]
    if any(number is None for number in numbers):
        return sorted(range(len(values)), key=lambda i: values[i] is None)
    return sorted(range(len(values)), key=lambda i: (values[i] is None, _number(values[i]) or 0.0))


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        return float(value)
    except ValueError:
        return None
