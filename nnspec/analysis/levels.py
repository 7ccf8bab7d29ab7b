"""Axes and their levels: how the columns of a sweep's table become groups of networks.

The table has one row a network: a column for each axis (dotted names), and the columns of ``MEASURED``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nnspec.errors import NnspecError, unknown
from nnspec.results.arrays import FINALS, TIMES
from nnspec.results.table import axis_column
from nnspec.specs import FIELDS, MEMBERS, text
from nnspec.terminal import printable

if TYPE_CHECKING:
    import pandas as pd

MEASURED = ("cell", "seed", *FINALS, "solved", *TIMES, "verdict", "epochs")
MOST_GROUPS = 2**62  # numbers of combinations must stay whole


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
        return [
            ", ".join(axis.labels[i] for axis, i in zip(self.levels, combo, strict=True)) or "all"
            for combo in self.combos
        ]


def column_of(table: pd.DataFrame, axis: str) -> str:
    """The column of an axis: 'activation' stands for 'activation.name', as on the command line; see ``axis_column``."""
    meant = axis_column(axis)
    itself = axis in table.columns and axis not in MEMBERS  # a member's name may have both, see ``with_short_names``
    return meant if meant in table.columns and not itself else axis


def with_short_names(table: pd.DataFrame) -> pd.DataFrame:
    """The table with a column 'activation' beside each such as 'activation.name': what is typed may be grouped by."""
    named = table.copy()
    for group in MEMBERS:
        column = axis_column(group)
        if column in named.columns and group not in named.columns:
            named.insert(named.columns.get_loc(column), group, named[column])
    return named


def levels_of(table: pd.DataFrame, axis: str) -> Levels:
    """The levels of ``axis`` and the level of each network.

    Raises:
        AnalysisError: if the table has no such column.
    """
    import pandas as pd

    axis = column_of(table, axis)
    if axis not in table.columns:
        raise AnalysisError(
            str(unknown("axis", "column of the table", axis, (str(c) for c in table.columns if c not in MEASURED)))
        )
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
        return Groups(
            levels, np.zeros((min(1, len(table)), len(levels)), dtype=np.int64), np.zeros(len(table), dtype=np.int64)
        )
    flat, size = np.zeros(len(table), dtype=np.int64), 1
    for level in levels:
        if size > MOST_GROUPS // len(level):  # many axes of many levels: number the combinations that occur
            flat = np.unique(flat, return_inverse=True)[1]
            size = int(flat.max()) + 1
        flat, size = flat * len(level) + level.codes, size * len(level)
    _, first, codes = np.unique(flat, return_index=True, return_inverse=True)
    return Groups(levels, np.stack([level.codes[first] for level in levels], axis=1), codes)


def axes_of(table: pd.DataFrame, by: str | None = None) -> list[str]:
    """The columns that a sweep varies: fields of the spec with more than one level, seeds aside.

    A field that others decide is none: the parameter of a member that comes along with the choice of the member (the
    slope of leaky_relu, null under any other activation), the output activation that loss, model and activation give,
    the replicates that a cell was given by replicates=auto. With ``by``, neither is a field that ``by`` decides: the
    two cannot be told apart, and networks of two levels would never be alike in it.
    """
    columns = dict.fromkeys(column_of(table, str(c)) for c in table.columns if c not in MEASURED)
    fields = [column for column in columns if column.partition(".")[0] in FIELDS]
    varied = [field for field in fields if len(levels_of(table, field)) > 1]
    given = [field for field in varied if by is None or not follows(table, field, [by])]
    return [field for field in given if not follows(table, field, _deciding(field, varied))]


def follows(table: pd.DataFrame, column: str, of: Sequence[str]) -> bool:
    """Whether ``column`` is a function of the columns ``of``, itself not among them: one level for each combination of
    theirs."""
    if not of or column in of:
        return False
    codes, groups = (
        levels_of(table, column).codes,
        (levels_of(table, of[0]) if len(of) == 1 else group_by(table, of)).codes,
    )
    one = np.zeros(groups.max(initial=0) + 1, dtype=np.int64)
    one[groups] = codes
    return bool((one[groups] == codes).all())


def widest(table: pd.DataFrame, axes: Sequence[str], count: int = 2) -> list[str]:
    """The ``count`` axes with the most levels, seeds aside; ties keep the order given."""
    sizes = [(len(levels_of(table, axis)), axis) for axis in axes if axis != "seed"]
    return [axis for _, axis in sorted(sizes, key=lambda item: -item[0])[:count]]


def short(axis: str) -> str:
    """An axis as a heading: 'activation.name' is the activation, 'optimizer.lr' stays as it is."""
    return axis.removesuffix(".name")


def _deciding(field: str, varied: Sequence[str]) -> list[str]:
    """The varied fields that can decide one that is not said."""
    group, _, parameter = field.partition(".")
    if field == "replicates":
        return [other for other in varied if other != field]
    if group not in MEMBERS or not parameter or (parameter == "name" and group != "activation"):
        return []
    # a perceptron's only activation, the output's, is left to its loss unless said
    members = ("model", "activation", "loss") if field in ("model.output", "activation.name") else (group,)
    return [name for name in (f"{member}.name" for member in members) if name in varied and name != field]


def _hashable(value: object) -> object:
    return (
        text(value.tolist() if isinstance(value, np.ndarray) else value)
        if isinstance(value, (list, tuple, np.ndarray))
        else value
    )


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
