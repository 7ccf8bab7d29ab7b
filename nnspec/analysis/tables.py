"""Tables for the terminal and for files: solve rates over two axes, best and worst cells, verdicts."""

from __future__ import annotations

import math
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nnspec.analysis.levels import AnalysisError, Groups, group_by, missing, short, widest
from nnspec.analysis.measures import MEASURES, SOLVED
from nnspec.analysis.pooling import axes_text, pooled_axes
from nnspec.analysis.stats import summary
from nnspec.files import writable
from nnspec.terminal import table_text

if TYPE_CHECKING:
    import pandas as pd

NOTHING = "-"  # a combination without a network
MOST_ROWS = 60  # of a table in a terminal


@dataclass(frozen=True)
class Pivot:
    """Solve rates over one or two axes, or means of another measure; ``rate``, ``low`` and ``high`` are NaN where a
    combination has no network."""

    rows: str
    columns: str | None
    row_labels: tuple[str, ...]
    column_labels: tuple[str, ...]
    networks: np.ndarray  # [r, c]
    rate: np.ndarray  # [r, c], or the mean
    low: np.ndarray  # [r, c]
    high: np.ndarray  # [r, c]
    measure: str = SOLVED
    pooled: str = ""  # what the axes shown leave out, in words

    def text(self, *values: float) -> str:
        """A rate or a mean, with its limits if they are given too."""
        if self.measure == SOLVED:
            return with_interval(*values) if len(values) > 1 else percent(*values)
        return mean_text(*values)


def pivot(
    table: pd.DataFrame,
    axes: Sequence[str],
    by: Sequence[str] | None = None,
    confidence: float = 0.95,
    measure: str = SOLVED,
) -> Pivot:
    """Solve rates, or means of another measure, over the one or two axes named in ``by``, else over the two widest of
    ``axes``; the others of ``axes`` are pooled, which the pivot says.

    Raises:
        AnalysisError: if an axis is unknown, ``by`` names none or more than two, or networks lack the measure.
    """
    chosen = list(by) if by is not None else widest(table, axes)
    if not 1 <= len(chosen) <= 2:
        raise AnalysisError(
            f"a table must be over 1 or 2 axes, but got {len(chosen)}: {', '.join(chosen) or 'none varies'}; name 1 "
            "or 2"
        )
    groups = group_by(table, chosen)
    found = summary(table, chosen, confidence, measure)
    networks = _grid(found["networks"].to_numpy(), groups).astype(int)
    rate = "rate" if measure == SOLVED else "mean"
    rates, low, high = (
        np.where(networks > 0, _grid(found[name].to_numpy(), groups), np.nan) for name in (rate, "low", "high")
    )
    labels = [level.labels for level in groups.levels]
    columns, column_labels = (chosen[1], labels[1]) if len(chosen) == 2 else (None, (measure,))
    pooled = axes_text(pooled_axes(table, chosen, axes))
    return Pivot(chosen[0], columns, labels[0], column_labels, networks, rates, low, high, measure, pooled)


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


def mean_text(mean: float, low: float | None = None, high: float | None = None) -> str:
    """'0.9712 [0.9641 to 0.9783]', four digits each."""
    if math.isnan(mean):
        return NOTHING
    return f"{mean:.4g}" if low is None else f"{mean:.4g} [{low:.4g} to {high:.4g}]"


def render(pivot: Pivot, width: int | None = None) -> str:
    """The pivot as text with intervals, at most ``width`` characters wide (the terminal's by default).

    Columns that do not fit go on below, under the same row labels; rows beyond ``MOST_ROWS`` are counted, not shown.
    """
    limit = width or shutil.get_terminal_size((120, 40)).columns
    cells = [
        [pivot.text(*values) for values in zip(*row, strict=True)]
        for row in zip(pivot.rate, pivot.low, pivot.high, strict=True)
    ]
    corner = short(pivot.rows) + (f" \\ {short(pivot.columns)}" if pivot.columns else "")
    shown = min(len(cells), MOST_ROWS)
    first = [corner, *pivot.row_labels[:shown]]
    columns = [[label, *(row[c] for row in cells[:shown])] for c, label in enumerate(pivot.column_labels)]
    blocks = [_columns_text([first, *block]) for block in _blocks(first, columns, limit)]
    if shown < len(cells):
        blocks.append(f"... and {len(cells) - shown} more rows of {short(pivot.rows)} (sweep.csv=FILE writes them all)")
    return "\n\n".join(blocks) + (f"\n{pivot.pooled}" if pivot.pooled else "")


def render_frame(frame: pd.DataFrame, headings: dict[str, str] | None = None) -> str:
    """Any of this package's frames as aligned text; see ``cell_text`` for how values read."""
    names = headings or {}
    rates = has_rates(frame)
    columns = [
        [names.get(str(name), short(str(name))), *(cell_text(str(name), v, rates) for v in frame[name].tolist())]
        for name in frame.columns
    ]
    return _columns_text(columns) if columns else ""


def has_rates(frame: pd.DataFrame) -> bool:
    """Whether limits and differences in a frame are those of rates, and not of means of a measure."""
    return not {"mean", "mean_a"} & set(frame.columns)


def cell_text(name: str, value: object, rates: bool = True) -> str:
    """One value of a frame: rates in percent, p-values in two digits, counts whole, infinite times as 'never'. Without
    ``rates`` limits and differences are numbers of a measure."""
    if missing(value):
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (float, np.floating)):
        return _float_text(name, float(value), rates)
    return ", ".join(str(item) for item in value) if isinstance(value, (list, tuple)) else str(value)


def best_and_worst(
    table: pd.DataFrame, axes: Sequence[str], count: int = 5, confidence: float = 0.95, measure: str = SOLVED
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The ``count`` cells with the best and the worst solve rates, or means of another measure: the axes and the
    columns of ``summary``, and the medians of the test part where there is one.

    Equal ones rank by their median final loss, lower being better. A sweep of fewer than twice ``count`` cells is cut
    between the two, so that no cell is in both.
    """
    by = [axis for axis in axes if axis != "seed"]
    rates = summary(table, by, confidence, measure)
    value = rates["rate" if measure == SOLVED else "mean"].to_numpy()
    falling = measure != SOLVED and not MEASURES[measure].rising
    groups = group_by(table, by)
    loss = (
        table["final_loss"]
        .replace([np.inf, -np.inf], np.nan)
        .groupby(groups.codes)
        .median()
        .reindex(range(len(rates)))
        .fillna(np.inf)
    )
    order = np.lexsort((loss.to_numpy(), value if falling else -value))
    for name, values in medians_of_test(table, groups).items():
        rates[name] = values
    best = min(count, (len(order) + 1) // 2)
    worst = min(count, len(order) - best)
    return rates.iloc[order[:best]].reset_index(drop=True), rates.iloc[order[::-1][:worst]].reset_index(drop=True)


def medians_of_test(table: pd.DataFrame, groups: Groups) -> dict[str, np.ndarray]:
    """The medians over the networks of each group, [g] each, of ``final_test_loss`` and ``final_test_accuracy`` where
    the table has them: NaN for a group without a test part; a network that broke counts as the worst."""
    import pandas as pd

    names = [name for name in MEASURES if "test" in name]
    if not set(names) <= set(table.columns):
        return {}
    unmeasured = table["final_test_accuracy"].isna().to_numpy()
    found = {}
    for name in names:
        values = table[name].to_numpy(dtype=float)
        values = np.where(np.isfinite(values) | unmeasured, values, 0.0 if MEASURES[name].rising else np.inf)
        found[name] = pd.Series(values).groupby(groups.codes).median().to_numpy()
    return found


def failures(table: pd.DataFrame) -> str:
    """One line: how many networks failed and why, as '38 of 100 networks not solved: 30 dead_units, 8
    local_minimum'."""
    unsolved = table.loc[~table["solved"].astype(bool), "verdict"].fillna("unknown").value_counts()
    head = f"{int(unsolved.sum())} of {len(table)} networks not solved"
    return f"{head}: {', '.join(f'{count} {name}' for name, count in unsolved.items())}" if len(unsolved) else head


def write_csv(frame: pd.DataFrame, path: str | Path, where: str) -> Path:
    """The frame as CSV (UTF-8, a header, full precision), making missing folders; ``where`` is the flag or key that
    names the file.

    Raises:
        PathError: the file cannot be written.
    """
    with writable(where, path) as target:
        frame.to_csv(target, index=False)
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


def _float_text(name: str, value: float, rates: bool) -> str:
    if name.startswith("median"):  # of updates, which are whole
        return "never" if math.isinf(value) else f"{value:.0f}"
    if math.isinf(value):
        return f"{value:g}"
    if not rates and name in ("low", "high", "difference"):
        small = abs(value) <= sys.float_info.min  # a limit that excludes 0 by the least that a float can
        return "0" if small else f"{value:{'+' if name == 'difference' else ''}.4g}"
    if name in ("rate", "low", "high", "rate_a", "rate_b", "explained", "total", "by_chance"):
        return f"{100 * value:.1f}%"
    if name == "difference":
        return f"{100 * value:+.1f}%"
    if name in ("p", "p_holm"):
        return "<0.0001" if value < 0.0001 else f"{value:.2g}"
    return f"{value:.4g}"
