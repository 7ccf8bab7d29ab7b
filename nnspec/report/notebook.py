"""A result as a notebook shows it: solve rates in a table, and the one figure that says most."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from nnspec.report.console import count
from nnspec.results.arrays import Results

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

WIDTH = 560  # pixels; the picture itself has more


def result_html(table: pd.DataFrame, by: Sequence[str], cells: int, only: Results | None, axes: Sequence[str]) -> str:
    """The rate solved of each combination of ``by``, some of the ``axes``, and a figure of it; ``only`` are the arrays
    of a result of one cell."""
    from nnspec.analysis import solve_rates
    from nnspec.analysis.figures.draw import png
    from nnspec.analysis.pooling import axes_text, pooled_axes
    from nnspec.report.pages.page import table_html

    picture = base64.b64encode(png(figure(table, by, only, axes))).decode("ascii")
    caption = f"{count(len(table), 'network')} in {count(cells, 'cell')}; intervals: Wilson, 95%"
    pooled = axes_text(pooled_axes(table, by, axes))
    rates = table_html(solve_rates(table, by), "; ".join(filter(None, [caption, pooled])))
    alt = escape("Solve rates by " + " and ".join(by) if by else "Loss over updates")
    return f'<div>{rates}<img alt="{alt}" width="{WIDTH}" src="data:image/png;base64,{picture}"></div>'


def figure(table: pd.DataFrame, by: Sequence[str], only: Results | None, axes: Sequence[str]) -> Figure:
    """The figure that says most: a heat map over two of the ``axes``, verdicts by the levels of one; without any, the
    losses of ``only`` over updates, or all verdicts."""
    from nnspec.analysis import figures

    if len(by) == 2:
        return figures.plot_heatmap(figures.heatmap_info(table, by[0], by[1], axes=axes))
    if by or only is None:
        return figures.plot_verdicts(figures.verdicts_info(table, by[0] if by else None))
    groups = {"solved": only.solved, "failed": ~only.solved}
    curves = {word: (only.steps, only.loss[rows]) for word, rows in groups.items() if rows.any()}
    return figures.plot_curves(figures.curves_info(curves))


def page_html(page: str) -> str:
    """A page of its own, shown within a notebook's cell."""
    return f'<iframe srcdoc="{escape(page)}" style="width: 100%; height: 48rem; border: 0"></iframe>'
