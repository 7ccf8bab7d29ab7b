"""A sweep in the description that MLflow shows above its run: what came out of it, in Markdown, as long as a tag."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import accumulate
from typing import TYPE_CHECKING

from nnspec.analysis import tables, widest
from nnspec.analysis.levels import short
from nnspec.analysis.writing import markdown, markdown_table
from nnspec.explaining import Explanation
from nnspec.intervals import wilson_interval
from nnspec.report.console import count
from nnspec.report.racing import honest, race_table, race_text
from nnspec.report.sweep_result import BEST, table_axes
from nnspec.results.outcome import Outcome
from nnspec.terminal import printable
from nnspec.tracking.limits import clip

if TYPE_CHECKING:
    import pandas as pd

# Characters that are shown of a value, of all axes and of the command; of the table, of the best or the worst cells,
# and of why networks failed. Together they fit a tag, escapes included.
LABEL, AXES, COMMAND = 60, 150, 1000
TABLE, FEW, WHY = 2200, 700, 1300
ROWS = 8  # of a table that are worth more than its columns
PAD = "&ensp;"  # MLflow's tables have no space between columns


def running_description(cells: int, axes: Sequence[str], command: str) -> str:
    """What a sweep is, while it trains."""
    over = clip(", ".join(axes) or "no axis", AXES)
    return f"{count(cells, 'cell')} over {markdown(over)}\n\n{code_block(command)}"


def sweep_description(
    outcome: Outcome,
    why: Sequence[Explanation],
    command: str,
    links: Sequence[str] = (),
    by: Sequence[str] | None = None,
) -> str:
    """What came out of a sweep: how many networks solved it, solve rates over two axes, the best and the worst cells,
    why networks did not learn; then its command. ``by`` names the axes, else the widest are taken; ``links`` stand
    above the table."""
    # MLflow folds all but the first few lines: they are how many are solved, the links, and the table
    head, *results = [*_results(outcome, by), *_why(why)] if outcome.outcomes else [""]
    told = [" · ".join(filter(None, [head, *links])), *results]
    return "\n\n".join(filter(None, [*told, running_description(len(outcome.specs), outcome.axes, command)]))


def code_block(text: str) -> str:
    """``text`` on one line, as it is: nothing in it ends the block."""
    line = clip(printable(text), COMMAND)
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", line)), default=0))
    return f"{fence}\n{line}\n{fence}"


def link(text: str, address: str) -> str:
    """A link in Markdown; the address is one of ours."""
    return f"[{markdown(text)}]({address})"


def _results(outcome: Outcome, by: Sequence[str] | None) -> list[str]:
    table = outcome.table()
    axes = [axis for axis in table_axes(outcome) if axis in table.columns]
    solved = int(table["solved"].sum())
    low, high = wilson_interval(solved, len(table))
    rate = tables.with_interval(solved / len(table), float(low), float(high))
    left = len(outcome.specs) - len(outcome.outcomes)
    missing = f"; {count(left, 'cell')} without a result" if left else ""
    told = [f"**{solved:,} of {count(len(table), 'network')} solved: {markdown(rate)}**{missing}"]
    shown = by or widest(table, axes)
    if outcome.race is not None:
        cells = race_table(table, axes, outcome.race)
        told += [
            markdown(race_text(table, axes, outcome.race)),
            _few(cells, axes, "race"),
            markdown(honest(outcome.race)),
        ]
    elif shown:
        told.append(_pivot(tables.pivot(table, axes, by=shown)))
        best, worst = tables.best_and_worst(table, axes, BEST)
        told += [
            f"**{name}**\n\n{_few(frame, axes)}" for name, frame in (("best", best), ("worst", worst)) if len(frame)
        ]
    return [*told, markdown(tables.failures(table))]


def _pivot(pivot: tables.Pivot) -> str:
    corner = short(pivot.rows) + (f" \\ {short(pivot.columns)}" if pivot.columns else "")
    cells = [
        [label, *(pivot.text(*values) for values in zip(*row, strict=True))]
        for label, *row in zip(pivot.row_labels, pivot.rate, pivot.low, pivot.high, strict=True)
    ]
    table = _table([corner, *pivot.column_labels], cells, TABLE, 1)
    return "\n\n".join([table, *([markdown(pivot.pooled)] if pivot.pooled else [])])


def _few(frame: pd.DataFrame, axes: Sequence[str], *also: str) -> str:
    """Cells, a row each: what came out first, for axes that are many may not fit; then the columns ``also``."""
    rates = zip(*(frame[name].tolist() for name in ("rate", "low", "high")), strict=True)
    columns = [[tables.with_interval(*rate) for rate in rates], list(map(str, frame["networks"].tolist()))]
    columns += [[tables.cell_text(name, value) for value in frame[name].tolist()] for name in (*also, *axes)]
    heads = ["solved", "networks", *also, *map(short, axes)]
    return _table(heads, list(zip(*columns, strict=True)), TABLE if also else FEW, len(heads))


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]], room: int, left: int) -> str:
    """A table of at most ``room`` characters, or of one row: columns that do not fit are left out from the right, then
    rows from below, which a line says. The first ``left`` columns are words."""
    seen = slice(room // 6)  # no more could fit
    lines = [[clip(text, LABEL) for text in line[seen]] for line in (heads, *rows[seen])]
    widths = [3 + len(PAD) + max(len(markdown(line[place])) for line in lines) for place in range(len(lines[0]))]
    least = 2 + min(len(rows), ROWS)  # lines with the heading and the rule below it
    wide = max(2, sum(least * width <= room for width in accumulate(widths)))
    many = max(1, min(len(rows), room // sum(widths[:wide]) - 2))
    text = markdown_table(lines[0][:wide], [line[:wide] for line in lines[1 : many + 1]], min(left, wide), PAD)
    left_out = ((len(rows) - many, "rows"), (len(heads) - wide, "columns"))
    more = " and ".join(f"{number:,} more {what}" for number, what in left_out if number > 0)
    return text + (f"\n\n... and {more}" if more else "")


def _why(why: Sequence[Explanation]) -> list[str]:
    told: list[str] = []
    for one in map(markdown, map(str, why)):
        if sum(map(len, told)) + len(one) > WHY:
            return [*told, f"... and {len(why) - len(told)} more verdicts"]
        told.append(one)
    return told
