"""The figure of a search: what each trial gave, and the best so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nnspec.analysis.figures.draw import MUTED, drawable, new_chart, place_chart, style, tidy

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Progress:
    """The value of ``objective`` of each whole trial, [t], and the best up to each, [t]; ``cells`` are their
    numbers."""

    objective: str
    cells: np.ndarray
    values: np.ndarray
    best: np.ndarray

    @property
    def text(self) -> str:
        """What the figure shows, in words."""
        return (
            f"{self.objective} of {len(self.cells)} trials, and the best so far: {self.best[0]:.4g} after the first, "
            f"{self.best[-1]:.4g} after the last."
        )


def progress_info(objective: str, cells: Sequence[int], values: Sequence[float], best: np.ndarray) -> Progress:
    """The progress of a search; ``values`` and ``best`` belong to ``cells``."""
    return Progress(objective, np.asarray(cells), np.asarray(values, float), np.asarray(best, float))


def plot_progress(info: Progress, width: float | None = None) -> Figure:
    """A dot a trial, and the best so far as a step line; values that are not finite are left out."""
    figure = new_chart(width)
    axes = figure.subplots()
    axes.plot(info.cells, drawable(info.values), "o", color=MUTED, markersize=3.5, label="a trial")
    axes.step(info.cells, drawable(info.best), where="post", linewidth=2, label="best so far", **style(0))
    tidy(axes, f"{info.objective} of each trial, and the best so far", "trial", info.objective)
    axes.legend(fontsize=8, frameon=False)
    place_chart(axes, [])
    return figure
