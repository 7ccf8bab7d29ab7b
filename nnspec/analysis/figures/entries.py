"""Figures of catalog entries: an activation with its derivative, drawn weights against what their scheme promises."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nnspec.analysis.figures.draw import COLOURS, GRID, INK, MUTED, drawable, new_figure, plain, style, tidy
from nnspec.analysis.figures.layers import MOST_LAYERS, ActivationCurve

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BINS, POINTS = 60, 401  # of a histogram; of a density


def plot_activation(info: ActivationCurve, formula: str, derivative: str) -> Figure:
    """One activation: value solid, derivative dashed, both formulas in words."""
    figure = new_figure(5.6, 4.2)
    axes = figure.subplots()
    axes.axhline(0, color=MUTED, linewidth=0.6)
    axes.axvline(0, color=MUTED, linewidth=0.6)
    axes.plot(info.x, info.value, linewidth=2.0, label=plain(f"f = {formula}"), **style(0))
    axes.plot(info.x, info.derivative, linewidth=1.8, label=plain(f"f' = {derivative}"), **style(1))
    flat = f"|f'| < 0.01 over {100 * info.flat:.0f}% of z from {info.x[0]:g} to {info.x[-1]:g}"
    tidy(axes, f"{info.name}: {flat}", "z")
    axes.margins(x=0)
    figure.legend(loc="outside lower left", fontsize=8, frameon=False, handlelength=3.5)
    return figure


@dataclass(frozen=True)
class WeightsHistogram:
    """The weights of one layer: ``drawn`` [k] is their density between ``edges`` [k + 1], ``promised`` [p] the scheme's
    at ``places`` [p]; None where it promises none. Standard deviations likewise; ``mean`` is that of the drawn."""

    layer: str
    edges: np.ndarray
    drawn: np.ndarray
    mean: float
    std_drawn: float
    places: np.ndarray
    promised: np.ndarray | None = None
    std_promised: float | None = None


def weights_info(
    layer: str,
    weights: np.ndarray,
    std: float | None = None,
    density: Callable[[np.ndarray], np.ndarray] | None = None,
) -> WeightsHistogram:
    """The histogram of drawn ``weights`` (any shape; what is not finite is left out) against what their scheme
    promises: their standard deviation, and their density as a function."""
    flat = drawable(weights).ravel()
    flat = np.extract(np.isfinite(flat), flat)
    edges = np.histogram_bin_edges(flat if len(flat) else np.zeros(1), BINS)
    counts = np.histogram(flat, edges)[0]
    drawn = counts / (max(1, len(flat)) * np.diff(edges))
    margin = 0.1 * (edges[-1] - edges[0])
    places = np.linspace(edges[0] - margin, edges[-1] + margin, POINTS)
    with np.errstate(all="ignore"):  # a spread of 0 has no density
        promised = None if density is None else drawable(density(places))
    if promised is not None and not np.isfinite(promised).all():
        promised = None
    mean, spread = (float(flat.mean()), float(flat.std())) if len(flat) else (0.0, 0.0)
    return WeightsHistogram(layer, edges, drawn, mean, spread, places, promised, std)


def plot_weights(infos: Sequence[WeightsHistogram], title: str) -> Figure:
    """One panel a layer: drawn weights as a filled histogram, the promised density dashed, and the promised standard
    deviation to both sides of the mean, dotted."""
    shown = list(infos)[:MOST_LAYERS]
    columns = min(2, len(shown))
    figure = new_figure(max(4.6, 3.6 * columns), 2.5 * math.ceil(len(shown) / columns) + 0.7)
    grid = figure.subplots(math.ceil(len(shown) / columns), columns, squeeze=False)
    for axes, info in zip(grid.flat, shown, strict=False):
        _draw_weights(axes, info)
    for axes in list(grid.flat)[len(shown) :]:
        axes.set_visible(False)
    left_out = len(infos) - len(shown)
    figure.suptitle(plain(title + (f" ({left_out} more layers not shown)" if left_out else "")), fontsize=10, color=INK)
    lines = {label: line for axes in grid.flat for line, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend(
        lines.values(), lines.keys(), loc="outside lower center", ncols=3, fontsize=8, edgecolor=GRID, frameon=False
    )
    return figure


def _draw_weights(axes: Axes, info: WeightsHistogram) -> None:
    axes.stairs(info.drawn, info.edges, fill=True, color=COLOURS[5], alpha=0.55, label="drawn")
    if info.promised is not None:
        axes.plot(info.places, info.promised, linewidth=1.6, label="promised density", **style(1))
    for side in (-1, 1) if info.std_promised else ():
        place = info.mean + side * float(info.std_promised or 0)
        axes.axvline(place, color=INK, linestyle=":", linewidth=1.3, label="mean ± promised standard deviation")
    axes.locator_params(axis="x", nbins=6)
    said = "none promised" if info.std_promised is None else f"promised {info.std_promised:.4g}"
    tidy(axes, f"layer {info.layer}: std {said}, drawn {info.std_drawn:.4g}", "weight", "density")
    axes.set_title(axes.get_title("left"), loc="left", fontsize=8.5)
