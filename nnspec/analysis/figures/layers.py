"""Figures of layers and activations: formulas with derivatives, norms over time, histograms of values.

``x_info`` computes every number shown; ``plot_x`` only draws it. Axes of arrays: t logged steps, r replicates.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from nnspec.analysis.figures.draw import (
    MOST_PANELS,
    MUTED,
    WIDTH,
    drawable,
    headline,
    most_columns,
    new_figure,
    plain,
    style,
    tidy,
)
from nnspec.analysis.figures.sweep import Curves, curves_info, draw_curves

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_LAYERS = 8


@dataclass(frozen=True)
class ActivationCurve:
    """An activation and its derivative, [x] each."""

    name: str
    x: np.ndarray
    value: np.ndarray
    derivative: np.ndarray
    flat: float  # share of the range in which the derivative is below 0.01


def activation_info(x: ArrayLike, value: ArrayLike, derivative: ArrayLike, name: str = "") -> ActivationCurve:
    """An activation over ``x`` [x] with its derivative, and how much of the range is flat."""
    slope = drawable(derivative)
    return ActivationCurve(name, np.asarray(x, float), drawable(value), slope, float((np.abs(slope) < 0.01).mean()))


def plot_activations(infos: Sequence[ActivationCurve], width: float | None = None) -> Figure:
    """One panel an activation: value solid, derivative dashed."""
    shown = list(infos)[:MOST_PANELS]
    columns = min(most_columns(width, 1.6, 4), max(1, len(shown)))
    rows = max(1, math.ceil(len(shown) / columns))
    wide, high = width or max(4.4, 2.4 * columns), 2.0 * rows + 0.6
    figure = new_figure(wide, high, None)
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes, info in zip(grid.flat, shown, strict=False):
        axes.axhline(0, color=MUTED, linewidth=0.6)
        axes.axvline(0, color=MUTED, linewidth=0.6)
        axes.plot(info.x, info.value, linewidth=1.8, label="value", **style(0))
        axes.plot(info.x, info.derivative, linewidth=1.6, label="derivative", **style(1))
        tidy(axes, f"{info.name}:\nflat over {100 * info.flat:.0f}%")
        axes.set_title(axes.get_title("left"), loc="left", fontsize=8.5)
    above = 0.15 + 0.15 * (1 + max((axes.get_title("left").count("\n") for axes in grid.flat), default=0))
    panel = 1.75 - above  # inches high
    figure.subplots_adjust(0.45 / wide, 0.6 / high, 1 - 0.1 / wide, 1 - above / high, 0.3, (0.25 + above) / panel)
    for axes in list(grid.flat)[len(shown) :]:
        axes.set_visible(False)
    if shown:
        handles, labels = grid.flat[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="lower center", ncols=2, fontsize=8, frameon=False, handlelength=3.5)
    return figure


def norms_info(steps: ArrayLike, norms: Mapping[str, ArrayLike], what: str = "weight norm") -> Curves:
    """Norms of layers over time: ``norms`` maps a layer to [r, t]; quantile bands over replicates."""
    at = np.asarray(steps)
    return curves_info(
        {layer: (at, np.atleast_2d(np.asarray(values, float))) for layer, values in norms.items()}, what, MOST_LAYERS
    )


def plot_norms(infos: Curves | Sequence[Curves], width: float | None = None) -> Figure:
    """One panel a quantity (weights, gradients), one line a layer."""
    shown = [infos] if isinstance(infos, Curves) else list(infos)
    figure = new_figure(width or WIDTH, 2.9 * max(1, len(shown)))
    for axes, info in zip(figure.subplots(len(shown), 1, squeeze=False).flat, shown, strict=True):
        draw_curves(axes, info)
    return figure


@dataclass(frozen=True)
class Histograms:
    """Densities of values per layer and moment, over edges that the moments of a layer share."""

    layers: tuple[str, ...]
    moments: tuple[str, ...]
    edges: tuple[np.ndarray, ...]  # a layer: [k + 1]
    shares: tuple[np.ndarray, ...]  # a layer: [moments, k], rows sum to 1 over finite values
    left_out: int = 0


def histograms_info(values: Mapping[str, Mapping[str, ArrayLike]], bins: int = 30) -> Histograms:
    """Histograms of ``values``: layer -> moment (as 'start', 'end') -> any array; non-finite values are left out."""
    layers = list(values)[:MOST_LAYERS]
    moments = tuple(dict.fromkeys(moment for layer in layers for moment in values[layer]))
    edges, shares = [], []
    for layer in layers:
        parts = [_finite(values[layer].get(moment, ())) for moment in moments]
        everything = np.concatenate(parts)
        cut = np.histogram_bin_edges(everything if everything.size else np.zeros(1), bins)
        counts = np.array([np.histogram(part, cut)[0] for part in parts], dtype=float)
        edges.append(cut)
        shares.append(counts / np.maximum(1, counts.sum(axis=1, keepdims=True)))
    return Histograms(tuple(layers), moments, tuple(edges), tuple(shares), len(values) - len(layers))


def plot_histograms(info: Histograms, title: str = "Activations per layer", width: float | None = None) -> Figure:
    """One panel a layer, one outline a moment; the last moment is filled."""
    count = max(1, len(info.layers))
    columns = min(most_columns(width, 1.6, 3), count)
    rows = math.ceil(count / columns)
    figure = new_figure(width or max(4.4, 2.7 * columns), 2.0 * rows + 0.7)
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes, layer, edges, shares in zip(grid.flat, info.layers, info.edges, info.shares, strict=False):
        for m, (moment, share) in enumerate(zip(info.moments, shares, strict=True)):
            last = m == len(info.moments) - 1
            look = style(m)
            axes.stairs(
                share,
                edges,
                fill=last,
                alpha=0.35 if last else 1,
                color=look["color"],
                linewidth=1.5,
                linestyle=look["linestyle"],
                label=plain(moment),
            )
        tidy(axes, layer, "value", "share")
    for axes in list(grid.flat)[len(info.layers) :]:
        axes.set_visible(False)
    headline(figure, title)
    if info.layers:
        handles, labels = grid.flat[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), fontsize=8, frameon=False)
    return figure


def _finite(values: ArrayLike) -> np.ndarray:
    flat = drawable(values).ravel()
    return np.extract(np.isfinite(flat), flat)
