"""Tables for the terminal and for files: solve rates over two axes, best and worst cells, verdicts."""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nnspec.analysis.levels import AnalysisError, Groups, group_by, missing, short, widest
from nnspec.analysis.stats import group_counts, solve_rates
from nnspec.intervals import wilson_interval
from nnspec.terminal import table_text

if TYPE_CHECKING:
    import pandas as pd

NOTHING = "-"  # a combination without a network
MOST_ROWS = 60  # of a table in a terminal


@dataclass(frozen=True)
class Pivot:
    """Solve rates over one or two axes; ``rate``, ``low`` and ``high`` are NaN where a combination has no network."""

    rows: str
    columns: str | None
    row_labels: tuple[str, ...]
    column_labels: tuple[str, ...]
    networks: np.ndarray  # [r, c]
    solved: np.ndarray  # [r, c]
    rate: np.ndarray  # [r, c]
    low: np.ndarray  # [r, c]
    high: np.ndarray  # [r, c]


def pivot(table: pd.DataFrame, axes: Sequence[str], by: Sequence[str] | None = None, confidence: float = 0.95) -> Pivot:
    """Solve rates over the one or two axes named in ``by``, else over the two widest of ``axes``; other axes are
    pooled.

    Raises:
        AnalysisError: if an axis is unknown, or ``by`` names none or more than two.
    """
    chosen = list(by) if by is not None else widest(table, axes)
    if not 1 <= len(chosen) <= 2:
        raise AnalysisError(
            f"a table must be over 1 or 2 axes, but got {len(chosen)}: {', '.join(chosen) or 'none varies'}; name 1 "
            "or 2"
        )
    groups = group_by(table, chosen)
    networks, solved, effective = (_grid(values, groups) for values in group_counts(table, groups))
    with np.errstate(invalid="ignore"):
        rate = solved / networks
    low, high = wilson_interval(np.nan_to_num(rate) * effective, effective, confidence)
    low, high = (np.where(networks > 0, limit, np.nan) for limit in (low, high))
    labels = [level.labels for level in groups.levels]
    columns, column_labels = (chosen[1], labels[1]) if len(chosen) == 2 else (None, ("solved",))
    return Pivot(
        chosen[0], columns, labels[0], column_labels, networks.astype(int), solved.astype(int), rate, low, high
    )


def percent(rate: float) -> str:
    """A share in whole percent; 0% and 100% only where that is exact."""
    if math.isnan(rate):
        return NOTHING
    if 0 < rate < 0.01 or 0.99 < rate < 1:
        return "<1%" if rate < 0.5 else ">99%"
    return f"{100 * rate:.0f}%"


def with_interval(rate: float, low: float, high: float) -> str:
    """'62% [52-71]': limits rounded to whole percent."""
    return NOTHING if math.isnan(rate) else f"{percent(rate)} [{100 * low:.0f}-{100 * high:.0f}]"


def render(pivot: Pivot, width: int | None = None) -> str:
    """The pivot as text with intervals, at most ``width`` characters wide (the terminal's by default).

    Columns that do not fit go on below, under the same row labels; rows beyond ``MOST_ROWS`` are counted, not shown.
    """
    limit = width or shutil.get_terminal_size((120, 40)).columns
    cells = [
        [with_interval(*values) for values in zip(*row, strict=True)]
        for row in zip(pivot.rate, pivot.low, pivot.high, strict=True)
    ]
    corner = short(pivot.rows) + (f" \\ {short(pivot.columns)}" if pivot.columns else "")
    shown = min(len(cells), MOST_ROWS)
    first = [corner, *pivot.row_labels[:shown]]
    columns = [[label, *(row[c] for row in cells[:shown])] for c, label in enumerate(pivot.column_labels)]
    blocks = [_columns_text([first, *block]) for block in _blocks(first, columns, limit)]
    if shown < len(cells):
        blocks.append(f"... and {len(cells) - shown} more rows of {short(pivot.rows)} (sweep.csv=FILE writes them all)")
    return "\n\n".join(blocks)


def render_frame(frame: pd.DataFrame, headings: dict[str, str] | None = None) -> str:
    """Any of this package's frames as aligned text; see ``cell_text`` for how values read."""
    names = headings or {}
    columns = [
        [names.get(str(name), short(str(name))), *(cell_text(str(name), v) for v in frame[name].tolist())]
        for name in frame.columns
    ]
    return _columns_text(columns) if columns else ""


def cell_text(name: str, value: object) -> str:
    """One value of a frame: rates in percent, p-values in two digits, counts whole, infinite times as 'never'."""
    if missing(value):
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (float, np.floating)):
        return _float_text(name, float(value))
    return ", ".join(str(item) for item in value) if isinstance(value, (list, tuple)) else str(value)


def best_and_worst(
    table: pd.DataFrame, axes: Sequence[str], count: int = 5, confidence: float = 0.95
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The ``count`` cells with the highest and the lowest solve rates: the axes and the columns of ``solve_rates``.

    Equal rates rank by their median final loss, lower being better. A sweep of fewer than twice ``count`` cells is cut
    between the two, so that no cell is in both.
    """
    by = [axis for axis in axes if axis != "seed"]
    rates = solve_rates(table, by, confidence)
    groups = group_by(table, by)
    loss = (
        table["final_loss"]
        .replace([np.inf, -np.inf], np.nan)
        .groupby(groups.codes)
        .median()
        .reindex(range(len(rates)))
        .fillna(np.inf)
    )
    order = np.lexsort((loss.to_numpy(), -rates["rate"].to_numpy()))
    best = min(count, (len(order) + 1) // 2)
    worst = min(count, len(order) - best)
    return rates.iloc[order[:best]].reset_index(drop=True), rates.iloc[order[::-1][:worst]].reset_index(drop=True)


def failures(table: pd.DataFrame) -> str:
    """One line: how many networks failed and why, as '38 of 100 networks not solved: 30 dead_units, 8
    local_minimum'."""
    unsolved = table.loc[~table["solved"].astype(bool), "verdict"].fillna("unknown").value_counts()
    head = f"{int(unsolved.sum())} of {len(table)} networks not solved"
    return f"{head}: {', '.join(f'{count} {name}' for name, count in unsolved.items())}" if len(unsolved) else head


def write_csv(frame: pd.DataFrame, path: str | Path) -> Path:
    """The frame as CSV (UTF-8, a header, full precision), making missing folders.

    Raises:
        AnalysisError: if the file cannot be written.
    """
    target = Path(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        frame.to_csv(target, index=False)
    except OSError as error:
        message = (
            f"the table must be written to a file that can be made, but got '{path}' ({error.strerror}); name another"
        )
        raise AnalysisError(message) from None
    return target


def _grid(values: np.ndarray, groups: Groups) -> np.ndarray:
    shape = tuple(len(level) for level in groups.levels)
    grid = np.zeros(shape)
    grid[tuple(groups.combos.T)] = values
    return grid.reshape(shape[0], -1)


def _blocks(first: list[str], columns: list[list[str]], width: int) -> list[list[list[str]]]:
    """Columns in blocks that fit beside the first column; a block holds at least one."""
    room = width - max(len(item) for item in first)
    blocks: list[list[list[str]]] = []
    used = room + 1
    for column in columns:
        size = 2 + max(len(item) for item in column)
        if used + size > room:
            blocks.append([])
            used = 0
        blocks[-1].append(column)
        used += size
    return blocks


def _columns_text(columns: list[list[str]]) -> str:
    head, *rows = zip(*columns, strict=True)
    return table_text(head, rows)


def _float_text(name: str, value: float) -> str:
    if math.isinf(value):
        return "never" if name.startswith("median") else "inf"
    if name in ("rate", "low", "high", "rate_a", "rate_b", "explained", "total", "by_chance"):
        return f"{100 * value:.1f}%"
    if name == "difference":
        return f"{100 * value:+.1f}%"
    if name in ("p", "p_holm"):
        return "<0.0001" if value < 0.0001 else f"{value:.2g}"
    return f"{value:.4g}"
