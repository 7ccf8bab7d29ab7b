"""Figure of networks that learn a number from one input: their outputs over it, and the data.

``fit_info`` computes every number shown; ``plot_fit`` only draws it. Axes of arrays: m networks, x places, n rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from nnspec.analysis.figures.draw import COLOURS, INK, drawable, new_chart, place_chart, tidy

if TYPE_CHECKING:
    from matplotlib.figure import Figure

QUANTILES = (0.1, 0.5, 0.9)


@dataclass(frozen=True)
class Fit:
    """Quantiles of the networks' outputs at each place, infinite where they diverged, and the rows of both parts."""

    xs: np.ndarray  # [x]
    low: np.ndarray  # [x]
    median: np.ndarray  # [x]
    high: np.ndarray  # [x]
    networks: int
    training: tuple[np.ndarray, np.ndarray]  # input and target, [n] each
    test: tuple[np.ndarray, np.ndarray]


def fit_info(
    xs: ArrayLike,
    outputs: ArrayLike,
    training: tuple[np.ndarray, np.ndarray],
    test: tuple[np.ndarray, np.ndarray] = (np.empty(0), np.empty(0)),
) -> Fit:
    """Of the ``outputs`` [m, x] of networks at the places ``xs`` [x]; rows are inputs [n] with targets [n]."""
    values = np.nan_to_num(drawable(outputs), nan=np.inf, posinf=np.inf, neginf=-np.inf)
    low, median, high = np.quantile(values, QUANTILES, axis=0, method="inverted_cdf")
    return Fit(np.asarray(xs, float), low, median, high, len(values), training, test)


def plot_fit(info: Fit, width: float | None = None) -> Figure:
    """The median as a line with a band from the 10% to the 90% quantile; dots are training rows (or all, where no test
    rows are given), rings test rows."""
    figure = new_chart(width)
    axes = figure.subplots()
    tidy(axes, "Output over the input" + (": median and 10-90% of networks" if info.networks > 1 else ""), "input", "y")
    dots = "training rows" if len(info.test[0]) else "rows"
    for (x, y), face, name in ((info.training, INK, dots), (info.test, "none", "test rows")):
        if len(x):
            axes.scatter(x, y, s=14, facecolors=face, edgecolors=INK, linewidths=0.8, label=name)
    if np.isfinite([info.low, info.high]).all():
        axes.fill_between(info.xs, info.low, info.high, color=COLOURS[0], alpha=0.2, linewidth=0)
    if np.isfinite(info.median).all():
        axes.plot(info.xs, info.median, color=COLOURS[0], linewidth=2, label="output")
    axes.legend(fontsize=8, frameon=False)
    place_chart(axes, [])
    return figure
