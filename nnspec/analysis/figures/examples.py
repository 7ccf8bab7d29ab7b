"""A picture of one small network: what its hidden units say of each row, and beside it what is wrong.

``plot_x`` only draws what it is given. Axes of arrays: n rows, u hidden units, x places along a line.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nnspec.analysis.figures.draw import INK, MUTED, new_figure, plain, style, tidy
from nnspec.analysis.figures.plane import Surface, draw_surfaces

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

OFF = "#D9D9D9"


@dataclass(frozen=True)
class UnitValues:
    """What a network says of each row: ``values`` [n, u] of its hidden units, ``off`` [n, u] bool where next to no
    gradient passes, ``outputs``, ``targets`` and ``wrong`` [n]. ``rows`` are the rows' names."""

    rows: tuple[str, ...]
    values: np.ndarray
    off: np.ndarray
    outputs: np.ndarray
    targets: np.ndarray
    wrong: np.ndarray


@dataclass(frozen=True)
class Line:
    """Numbers over another one, ``x`` [x]: ``ys`` label -> [x]. ``mark`` is the x at which the network stands."""

    x: np.ndarray
    ys: Mapping[str, np.ndarray]
    across: str
    upwards: str
    mark: float


def plot_example(units: UnitValues, right: Surface | Line, title: str, caption: str) -> Figure:
    """Two panels: what the units say of each row, hatched where no gradient passes; and a surface or a line."""
    figure = new_figure(8.2, 3.7)
    left, beside = figure.subplots(1, 2, width_ratios=(1.25, 1))
    _draw_units(left, units)
    if isinstance(right, Surface):
        draw_surfaces(beside, [right])
        tidy(beside, "Output over the inputs", "first input", "second input", grid=False)
        beside.set_xticks([0, 1])
        beside.set_yticks([0, 1])
    else:
        _draw_line(beside, right)
    figure.suptitle(f"{plain(title)}\n{plain(caption)}", fontsize=10, color=INK, x=0.01, ha="left")
    return figure


def _draw_units(axes: Axes, units: UnitValues) -> None:
    """A table of numbers, a column a unit, then the output and the target; wrong outputs are ringed."""
    from matplotlib.patches import Rectangle

    count = units.values.shape[1]
    columns = [*(f"unit {number}" for number in range(count)), "output", "target"]
    numbers = np.column_stack([units.values, units.outputs, units.targets])
    for row in range(len(units.rows)):
        for column in range(len(columns)):
            off = column < count and bool(units.off[row, column])
            wrong = column == count and bool(units.wrong[row])
            look: dict[str, Any] = {"facecolor": OFF, "hatch": "//"} if off else {"facecolor": "white"}
            axes.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, linewidth=0.6, edgecolor=MUTED, **look))
            box: dict[str, Any] = {"boxstyle": "round,pad=0.25", "facecolor": "white", "linewidth": 1.8 if wrong else 0}
            box["edgecolor"] = "#D55E00" if wrong else "none"
            text = f"{numbers[row, column]:.3g}"
            axes.text(column, row, text, ha="center", va="center", fontsize=8.5, color=INK, bbox=box)
    axes.set_xlim(-0.5, len(columns) - 0.5)
    axes.set_ylim(len(units.rows) - 0.5, -0.5)
    tidy(axes, "Hidden units by row" if count else "Output by row", "", "row", grid=False)
    axes.set_xticks(range(len(columns)), columns)
    axes.set_yticks(range(len(units.rows)), units.rows)


def _draw_line(axes: Axes, line: Line) -> None:
    for number, (label, y) in enumerate(line.ys.items()):
        axes.plot(line.x, y, linewidth=1.8, label=label, **style(number))
    first = next(iter(line.ys.values()))
    at = float(np.interp(line.mark, line.x, first))
    axes.plot([line.mark], [at], marker="o", markersize=7, color="#D55E00", linestyle="none", clip_on=False)
    tidy(axes, line.upwards.capitalize(), line.across, line.upwards)
    if len(line.ys) > 1:
        axes.legend(fontsize=8, frameon=False, loc="upper center")
        if spread := float(np.ptp(first)):  # a steeper line must not flatten the first
            axes.set_ylim(first.min() - spread, first.max() + 4 * spread)
