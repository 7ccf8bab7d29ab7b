"""A result as a notebook shows it: solve rates in a table, and the one figure that says most."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from nnspec.report.console import count
from nnspec.results.arrays import Results
from nnspec.results.table import varied

if TYPE_CHECKING:
    import pandas as pd

WIDTH = 560  # pixels; the picture itself has more


def result_html(results: Sequence[Results], table: pd.DataFrame) -> str:
    """The rate solved of each combination of varied fields (the two widest), and a figure of it."""
    from nnspec.analysis import solve_rates, widest
    from nnspec.analysis.draw import png
    from nnspec.analysis.pooling import axes_text, pooled_axes
    from nnspec.report.page import table_html

    axes = [axis for axis in varied([result.spec for result in results]) if axis in table]
    by = widest(table, axes)
    picture = base64.b64encode(png(_figure(results, table, by, axes))).decode("ascii")
    pooled = axes_text(pooled_axes(table, by, axes))
    caption = f"{count(len(table), 'network')} in {count(len(results), 'cell')}; intervals: Wilson, 95%"
    rates = table_html(solve_rates(table, by), "; ".join(filter(None, [caption, pooled])))
    alt = escape("Solve rates by " + " and ".join(by) if by else "Loss over updates")
    return f'<div>{rates}<img alt="{alt}" width="{WIDTH}" src="data:image/png;base64,{picture}"></div>'


def _figure(results: Sequence[Results], table: pd.DataFrame, by: Sequence[str], axes: Sequence[str]) -> Any:
    from nnspec.analysis import figures

    if len(by) == 2:
        return figures.plot_heatmap(figures.heatmap_info(table, by[0], by[1], axes=axes))
    if by:
        return figures.plot_verdicts(figures.verdicts_info(table, by[0]))
    first = results[0]
    groups = {"solved": first.solved, "failed": ~first.solved}
    curves = {word: (first.steps, first.loss[rows]) for word, rows in groups.items() if rows.any()}
    return figures.plot_curves(figures.curves_info(curves))
