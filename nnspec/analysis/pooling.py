"""A table for a paper: one row a combination of levels, and what each row pools over.

Rows that pool cells which share seeds count only as many networks as the spread between seeds supports: see ``stats``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nnspec.analysis.levels import MEASURED, AnalysisError, axes_of, column_of, follows, group_by, levels_of, short
from nnspec.analysis.measures import SOLVED
from nnspec.analysis.solving import median_updates
from nnspec.analysis.stats import summary
from nnspec.errors import unknown

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Pool:
    """What each row of a table pools over: axes, with how many levels each has, and seeds, the fewest and the most of
    a row."""

    axes: tuple[tuple[str, int], ...]
    seeds: tuple[int, int]

    def text(self) -> str:
        """'pooled over optimizer.lr (3 values) and 50 seeds'; empty where each row is a single network."""
        fewest, most = self.seeds
        counted = f"{most} seed{'s' if most != 1 else ''}" if fewest == most else f"{fewest} to {most} seeds"
        axes = axes_text(self.axes)
        if not axes:
            return f"pooled over {counted}" if most > 1 else ""
        return f"{axes} and {counted}"


def axes_text(axes: Sequence[tuple[str, int]]) -> str:
    """'pooled over optimizer.lr (3 values), init (2 values)'; empty without axes."""
    names = ", ".join(f"{short(axis)} ({levels} values)" for axis, levels in axes)
    return f"pooled over {names}" if names else ""


@dataclass(frozen=True)
class Pooled:
    """A pooled table: ``frame`` has the columns of ``pooled``, one row a combination of levels of ``by``."""

    by: tuple[str, ...]
    measure: str
    confidence: float
    pool: Pool
    frame: pd.DataFrame

    def title(self) -> str:
        """What the table is and, in a second line, what it pools over."""
        by = " and ".join(filter(None, [", ".join(map(short, self.by[:-1])), *map(short, self.by[-1:])]))
        head = f"{self.measure}{f' by {by}' if by else ''}, {100 * self.confidence:g}% intervals"
        return "\n".join(filter(None, [head, self.pool.text()]))

    def content(self) -> dict[str, object]:
        """The table as a JSON document has it; see docs/json.md."""
        fewest, most = self.pool.seeds
        return {
            "by": list(self.by),
            "measure": self.measure,
            "confidence": self.confidence,
            "pooled_over": [{"axis": axis, "values": levels} for axis, levels in self.pool.axes],
            "seeds": {"fewest": fewest, "most": most},
            "rows": self.frame,
        }


def pooled_table(
    table: pd.DataFrame,
    by: Sequence[str] | None = None,
    axes: Sequence[str] = (),
    measure: str = SOLVED,
    confidence: float = 0.95,
) -> Pooled:
    """The table by the fields ``by``, with what it pools over; without them one row a cell.

    Args:
        axes: the axes that the sweep states; whatever else varies in the table is found.

    Raises:
        AnalysisError: see ``pooled``.
    """
    everything = all_axes(table, axes)
    chosen = columns_of(table, everything if by is None else by)
    frame = pooled(table, chosen, measure, confidence)
    return Pooled(tuple(chosen), measure, confidence, pool_of(table, chosen, everything), frame)


def pooled(
    table: pd.DataFrame, by: str | Sequence[str], measure: str = SOLVED, confidence: float = 0.95
) -> pd.DataFrame:
    """One row a combination of the levels of ``by`` that occurs: the levels, ``networks``, then ``solved``, ``rate``,
    ``low`` and ``high`` (Wilson's interval), and ``median_updates`` to solve: infinite where fewer than half did.

    For a measure that has a mean, ``broken`` and ``mean`` take the place of ``solved`` and ``rate``.

    Args:
        table: one row a network; see ``levels``.
        by: fields of the spec that vary, as 'activation' or 'optimizer.lr'; none makes one row of all.
        measure: 'solved', or one of ``measures.MEASURES``, as 'final_test_accuracy'.

    Raises:
        AnalysisError: there is no such field or measure, or networks lack the measure.
    """
    chosen = columns_of(table, by)
    found = summary(table, chosen, confidence, measure)
    return found.assign(median_updates=median_updates(table, group_by(table, chosen)))


def columns_of(table: pd.DataFrame, by: str | Sequence[str]) -> list[str]:
    """The columns of fields to group by, each once.

    Raises:
        AnalysisError: one is no column of the table, or a result, which is no choice.
    """
    columns = list(dict.fromkeys(column_of(table, axis) for axis in ([by] if isinstance(by, str) else by)))
    fields = [str(name) for name in table.columns if name not in MEASURED or name == "seed"]
    for column in columns:
        if column not in fields:
            raise AnalysisError(str(unknown("by", "field of the table", column, map(short, fields))))
    return columns


def all_axes(table: pd.DataFrame, axes: Sequence[str] = ()) -> list[str]:
    """The axes that a sweep states and that are in its table, and whatever else varies in it, seeds aside."""
    stated = [axis for axis in (column_of(table, axis) for axis in axes) if axis in table.columns and axis != "seed"]
    return list(dict.fromkeys([*stated, *axes_of(table)]))


def pool_of(table: pd.DataFrame, by: Sequence[str], axes: Sequence[str]) -> Pool:
    """What rows by ``by`` pool over, of all ``axes`` and seeds."""
    chosen = [column_of(table, axis) for axis in by]
    seeds = (len(table), len(table))
    if "seed" in table.columns:
        pairs = np.unique(np.stack([group_by(table, chosen).codes, levels_of(table, "seed").codes]), axis=1)
        counts = np.unique(pairs[0], return_counts=True)[1]
        seeds = (int(counts.min(initial=len(table))), int(counts.max(initial=0)))
    return Pool(tuple(pooled_axes(table, chosen, axes)), seeds)


def pooled_axes(table: pd.DataFrame, by: Sequence[str], axes: Sequence[str]) -> list[tuple[str, int]]:
    """Of ``axes`` those with several levels within a row by ``by``, with the number of their levels."""
    chosen = [column_of(table, axis) for axis in by]
    others = [axis for axis in (column_of(table, axis) for axis in axes) if axis not in (*chosen, "seed")]
    sizes = {axis: len(levels_of(table, axis)) for axis in others}
    return [(axis, size) for axis, size in sizes.items() if size > 1 and not follows(table, axis, chosen)]
