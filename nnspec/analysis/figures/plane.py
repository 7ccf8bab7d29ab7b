"""Figures of networks on two inputs: output over the plane, and the lines at which hidden units are zero.

``x_info`` computes every number shown; ``plot_x`` only draws it. Axes of arrays: x and y over the plane of the two
inputs, n data rows, h hidden units, s moments of training.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from nnspec.analysis.figures.draw import (
    COLOURS,
    INK,
    MOST_PANELS,
    MUTED,
    NARROW,
    TALLEST,
    drawable,
    headline,
    most_columns,
    new_figure,
    plain,
    wrapped,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FEW = 20  # points that are drawn large
GAP, OVER = 0.32, 0.5  # inches between panels, and above each for two lines of title
MARGINS, NARROW_MARGINS = (0.5, 1.0), (0.4, 0.7)  # inches to the left, and to the right for the bar of shades
LETTERS = 13  # of a panel's title in an inch
MOST_UNITS = 16
MOST_MOMENTS = 6  # of a unit's line, start and end among them


@dataclass(frozen=True)
class Surface:
    """A network's output over the plane of its two inputs, and the data."""

    label: str
    xs: np.ndarray  # [x]
    ys: np.ndarray  # [y]
    p: np.ndarray  # [y, x]
    points: np.ndarray  # [n, 2]
    targets: np.ndarray  # [n]
    wrong: np.ndarray  # [n] bool
    low: float  # range of the shades
    high: float
    classes: int = 2  # two: p and targets are 0 to 1; more: they are the class; 0: they are numbers to be learnt


def surface_info(
    xs: ArrayLike,
    ys: ArrayLike,
    p: ArrayLike,
    points: ArrayLike = (),
    targets: ArrayLike = (),
    label: str = "",
    tolerance: float = 0.4,
    wrong: ArrayLike | None = None,
    classes: int = 2,
) -> Surface:
    """The output ``p`` [y, x] over the grid ``xs`` [x] by ``ys`` [y], with data ``points`` [n, 2] and ``targets`` [n].

    Shades run from 0 to 1, or over all classes, or over the values' own range where they leave it (regression).
    Unless it is said which points are ``wrong`` [n], those are whose nearest grid point is further than ``tolerance``
    from the target.

    Raises:
        ValueError: if ``p`` does not fit the grid, or the targets the points.
    """
    x, y, values = np.asarray(xs, float), np.asarray(ys, float), drawable(p)
    at = np.asarray(points, float).reshape(-1, 2)
    wanted = np.asarray(targets, float).reshape(-1)
    if values.shape != (len(y), len(x)):
        raise ValueError(
            f"p must be [ny, nx] = [{len(y)}, {len(x)}], but got {list(values.shape)}; transpose or reshape it"
        )
    if len(wanted) != len(at):
        raise ValueError(
            f"targets must be one a point, but got {len(wanted)} for {len(at)} points; pass column 0 of the targets"
        )
    nearest = values[np.abs(y[:, None] - at[:, 1]).argmin(axis=0), np.abs(x[:, None] - at[:, 0]).argmin(axis=0)]
    missed = ~(np.abs(nearest - wanted) < tolerance) if wrong is None else np.asarray(wrong, bool)
    return Surface(label, x, y, values, at, wanted, missed, *_shades(values, wanted, classes), classes)


def _shades(p: np.ndarray, targets: np.ndarray, classes: int) -> tuple[float, float]:
    """The values that the first and the last shade stand for."""
    if classes > 2:
        return 0.0, classes - 1.0
    finite = p[np.isfinite(p)] if classes else np.concatenate([p[np.isfinite(p)], targets])
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    inside = classes and low >= -1e-6 and high <= 1 + 1e-6
    return (0.0, 1.0) if inside else (low, high)


def surfaces_info(surfaces: Sequence[Mapping[str, Any]], tolerance: float = 0.4) -> list[Surface]:
    """``surface_info`` of mappings with label, xs, ys, p, points and targets, perhaps wrong and classes; all share the
    range of their shades."""
    keys = ("xs", "ys", "p", "points", "targets", "label", "wrong", "classes")
    found = [
        surface_info(**{key: surface[key] for key in keys if key in surface}, tolerance=tolerance)
        for surface in surfaces
    ]
    low, high = min((s.low for s in found), default=0.0), max((s.high for s in found), default=1.0)
    return [replace(surface, low=low, high=high) for surface in found]


def plot_surfaces(
    infos: Sequence[Surface], title: str = "Output over the input plane", width: float | None = None
) -> Figure:
    """One panel a surface, in rows of up to four; beyond ``MOST_PANELS``, or what a column holds, they are counted in
    the title.

    The output as cividis shades with its contour at one half; circles are targets above one half, squares below, rings
    wrong. Of several classes the shades are the classes, of numbers their values, and points have the shade of theirs.
    """
    columns = min(most_columns(width, 1.5, 4), max(1, len(infos)))
    margins = NARROW_MARGINS if width is not None and width <= NARROW else MARGINS
    side = 2.1 if columns > 1 else 3.6
    if width is not None:
        side = min(3.0, (width - sum(margins)) / columns - GAP)
    rows = int((TALLEST - 0.7) / (side + OVER))
    shown = list(infos)[: MOST_PANELS if width is None else min(MOST_PANELS, rows * columns)]
    figure, axes, places = panels(_boxes(shown), columns, side, margins)
    if shown:
        moved = [_moved(info, panel) for info, panel in zip(shown, places, strict=True)]
        draw_surfaces(axes, moved)
        _write_round(axes, places, [info.label for info in shown])
        wide, high = map(float, figure.get_size_inches())
        _draw_bar(axes, shown[0], (wide - 0.75 * margins[1], 0.45), 0.16 * margins[1], min(0.6 * high, 2.4))
    rest = f" ({len(infos) - len(shown)} more not shown)" if len(infos) > len(shown) else ""
    text = wrapped(title + rest, float(figure.get_size_inches()[0]))
    figure.suptitle(text, fontsize=10, color=INK, x=0.01, y=0.99, ha="left", va="top")
    return figure


@dataclass(frozen=True)
class UnitLines:
    """Where each hidden unit of a layer on two inputs is zero, w x + b = 0, cut to the box; NaN where it misses it."""

    label: str
    segments: np.ndarray  # [s, h, 2 ends, 2 inputs], s moments from start to end
    normals: np.ndarray  # [s, h, 2] unit vectors towards the positive side, zero for a zero weight
    box: tuple[float, float, float, float]  # x low, x high, y low, y high
    points: np.ndarray  # [n, 2]
    targets: np.ndarray  # [n]
    left_out: int = 0


def lines_info(
    weights: Sequence[ArrayLike],
    biases: Sequence[ArrayLike],
    points: ArrayLike = (),
    targets: ArrayLike = (),
    label: str = "",
) -> UnitLines:
    """The lines of hidden units from start to end.

    Args:
        weights: the moments' weights, first to last, [h, 2] each; initial and final are enough.
        biases: [h] each.
        points: [n, 2] data, which set the box (with a margin); without them it is -1 to 1.

    Raises:
        ValueError: if the weights are not of a layer on two inputs.
    """
    w, b = np.asarray(weights, dtype=float), np.asarray(biases, dtype=float)
    if w.ndim != 3 or w.shape[2] != 2 or b.shape != w.shape[:2]:
        raise ValueError(
            f"weights must be [moments, h, 2] and biases [moments, h], but got {list(w.shape)} and {list(b.shape)}; "
            "take the first layer"
        )
    left_out = max(0, w.shape[1] - MOST_UNITS)
    kept = np.unique(np.round(np.linspace(0, len(w) - 1, min(len(w), MOST_MOMENTS))).astype(int))
    w, b = w[kept, :MOST_UNITS], b[kept, :MOST_UNITS]
    at = np.asarray(points, float).reshape(-1, 2)
    box = _box(at)
    segments = np.array(
        [[_cut(wi, bi, box) for wi, bi in zip(ws, bs, strict=True)] for ws, bs in zip(w, b, strict=True)]
    )
    norm = np.linalg.norm(w, axis=2, keepdims=True)
    normals = np.divide(w, norm, out=np.zeros_like(w), where=norm > 0)
    return UnitLines(
        label, segments.reshape(*w.shape[:2], 2, 2), normals, box, at, np.asarray(targets, float).reshape(-1), left_out
    )


def plot_lines(infos: UnitLines | Sequence[UnitLines], width: float | None = None) -> Figure:
    """Each unit's line at the start (thin, dashed) and at the end (thick, numbered, ticks on its positive side)."""
    shown = [infos] if isinstance(infos, UnitLines) else list(infos)[:MOST_PANELS]
    columns = min(most_columns(width, 1.6, 3), max(1, len(shown)))
    margins = (NARROW_MARGINS if width is not None and width <= NARROW else MARGINS)[0], GAP
    side = 2.6 if width is None else min(2.6, (width - sum(margins)) / columns - GAP)
    figure, axes, places = panels([info.box for info in shown], columns, side, margins)
    for info, panel in zip(shown, places, strict=True):
        _draw_lines(axes, info, panel)
    _write_round(axes, places, [_lines_label(info) for info in shown])
    headline(figure, "Hidden units' lines: start (dashed) and end (solid, arrow to the positive side)")
    return figure


@dataclass(frozen=True)
class Panel:
    """A square of a figure that shows the box (x low, x high, y low, y high) of the plane: ``corner``, which is the
    lower left one, and ``side`` are in inches. Numbers stand to its left and below where no other panel is."""

    corner: tuple[float, float]
    side: float
    box: tuple[float, float, float, float]
    left: bool
    bottom: bool

    def inches(self, places: np.ndarray) -> np.ndarray:
        """Where places [..., 2] of the plane lie in the figure."""
        low, high = np.reshape(self.box, (2, 2)).T
        return np.add(self.corner, self.side * (places - low) / np.where(high > low, high - low, 1.0))


def panels(
    boxes: Sequence[tuple[float, float, float, float]], columns: int, side: float, margins: tuple[float, float]
) -> tuple[Figure, Axes, list[Panel]]:
    """Panels of ``side`` inches in rows, with room for two lines of title each and a bar to the right.

    All are drawn on one pair of axes, whose unit is an inch: axes take longer to make than what is drawn on them.
    """
    left, right = margins
    rows = max(1, math.ceil(len(boxes) / columns))
    wide, high = left + columns * (side + GAP) + right, 0.35 + rows * (side + OVER) + 0.35
    figure = new_figure(wide, high, layout=None)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, wide), ylim=(0, high), autoscale_on=False)
    axes.set_axis_off()
    places = []
    for number, box in enumerate(boxes):
        row, column = divmod(number, columns)
        corner = left + column * (side + GAP), high - 0.35 - (row + 1) * (side + OVER)
        places.append(Panel(corner, side, box, column == 0, number + columns >= len(boxes)))
    return figure, axes, places


def _write_round(axes: Axes, places: Sequence[Panel], labels: Sequence[str]) -> None:
    """The frames of panels with their labels above, and few numbers at the outer ones: every panel shows the same
    plane."""
    lines = []
    for panel, label in zip(places, labels, strict=True):
        (x, y), side = panel.corner, panel.side
        text = _wrapped(label, min(48, int((side + GAP) * LETTERS)))
        axes.text(x, y + side + 0.08, text, fontsize=8, color=INK)
        lines += [[(x, y + side), (x, y)], [(x, y), (x + side, y)]]
        x0, x1, y0, y1 = panel.box
        for tick in _round_ticks(x0, x1) if panel.bottom else []:
            at = float(panel.inches(np.array([tick, y0]))[0])
            lines.append([(at, y), (at, y - 0.05)])
            axes.text(at, y - 0.09, _number(tick), fontsize=7, color=MUTED, ha="center", va="top")
        for tick in _round_ticks(y0, y1) if panel.left else []:
            at = float(panel.inches(np.array([x0, tick]))[1])
            lines.append([(x, at), (x - 0.05, at)])
            axes.text(x - 0.09, at, _number(tick), fontsize=7, color=MUTED, ha="right", va="center")
    _add_lines(axes, lines, colors=MUTED, linewidths=0.8)


def _add_lines(axes: Axes, lines: Sequence[Any], **look: Any) -> None:
    from matplotlib.collections import LineCollection

    axes.add_collection(LineCollection(lines, **look), autolim=False)


def _round_ticks(low: float, high: float) -> list[float]:
    from matplotlib.ticker import MaxNLocator

    return [float(tick) for tick in MaxNLocator(4).tick_values(low, high) if low <= tick <= high]


def _number(tick: float) -> str:
    return f"{tick:g}".replace("-", "−")


def _boxes(infos: Sequence[Surface]) -> list[tuple[float, float, float, float]]:
    return [(float(s.xs[0]), float(s.xs[-1]), float(s.ys[0]), float(s.ys[-1])) for s in infos]


def _moved(info: Surface, panel: Panel) -> Surface:
    """A surface with its places in inches."""
    xs = panel.inches(np.stack([info.xs, np.full(len(info.xs), info.ys[0])], axis=1))[:, 0]
    ys = panel.inches(np.stack([np.full(len(info.ys), info.xs[0]), info.ys], axis=1))[:, 1]
    return replace(info, xs=xs, ys=ys, points=panel.inches(info.points))


def _draw_bar(axes: Axes, info: Surface, corner: tuple[float, float], width: float, height: float) -> None:
    """What the shades stand for, on axes in inches."""
    (x, y), (low, high) = corner, (info.low, info.high)
    box = x, x + width, y, y + height
    axes.imshow(np.linspace(0, 1, 256)[:, None], cmap="cividis", origin="lower", extent=box, aspect="auto")
    lines = [[(x, y), (x, y + height), (x + width, y + height), (x + width, y), (x, y)]]
    said = range(0, info.classes, -(-info.classes // 10)) if info.classes > 2 else _round_ticks(low, high)
    for value in said:
        at = y + height * (value - low) / ((high - low) or 1.0)
        lines.append([(x + width, at), (x + width + 0.05, at)])
        axes.text(x + width + 0.09, at, _number(value), fontsize=8, color=INK, va="center")
    _add_lines(axes, lines, colors=INK, linewidths=0.8)
    name = "class" if info.classes > 2 else "output"
    axes.text(x + width / 2, y + height + 0.08, name, fontsize=8, color=INK, ha="center")


def draw_surfaces(axes: Axes, infos: Sequence[Surface]) -> None:
    """Surfaces of networks, each at its own place of the axes."""
    from contourpy import contour_generator

    halves: list[Any] = []  # the lines of one half
    for info, box in zip(infos, _boxes(infos), strict=True):
        smooth = "nearest" if info.classes > 2 else "bilinear"
        style: dict[str, Any] = {"cmap": "cividis", "vmin": info.low, "vmax": info.high, "interpolation": smooth}
        axes.imshow(info.p, origin="lower", extent=box, aspect="auto", **style)
        if info.classes == 2:
            halves += contour_generator(info.xs, info.ys, np.ma.masked_invalid(info.p)).lines(0.5)
    _add_lines(axes, halves, colors="white", linewidths=2.4)
    _add_lines(axes, halves, colors="black", linewidths=1.1, linestyles="--")
    alike: dict[Any, list[Surface]] = {}  # those whose points are drawn alike
    for info in infos:
        shades = (info.low, info.high) if info.classes != 2 else None
        alike.setdefault((len(info.points) <= FEW, shades), []).append(info)
    for (few, shades), drawn in alike.items():
        points = np.concatenate([info.points for info in drawn])
        _draw_points(axes, points, np.concatenate([info.targets for info in drawn]), few, shades)
        x, y = points[np.concatenate([info.wrong for info in drawn])].T
        size, thick = (120, 1.8) if few else (30, 1.1)
        look: dict[str, Any] = {"facecolors": "none", "edgecolors": "#D55E00", "linewidths": thick}
        axes.scatter(x, y, s=size, clip_on=False, zorder=5, **look)


def _draw_points(
    axes: Axes, points: np.ndarray, targets: np.ndarray, few: bool, shades: tuple[float, float] | None = None
) -> None:
    """Circles and squares for targets of 1 and 0; with ``shades``, the first and last of them, circles in theirs."""
    if not len(points):
        return
    size = 38 if few else 9
    if shades is not None:
        x, y = points.T
        look: dict[str, Any] = {"cmap": "cividis", "vmin": shades[0], "vmax": shades[1], "edgecolors": "white"}
        axes.scatter(x, y, s=2 * size, c=targets, linewidths=0.7, zorder=4, **look)
        return
    for high, marker, colour in ((True, "o", "white"), (False, "s", "black")):
        rows = (targets > 0.5) == high
        x, y = points[rows].T
        edge = "black" if high else "white"
        axes.scatter(x, y, s=size, marker=marker, c=colour, edgecolors=edge, linewidths=1.0, clip_on=False, zorder=4)


def _lines_label(info: UnitLines) -> str:
    missed = int(np.isnan(info.segments[-1]).any(axis=(1, 2)).sum())
    notes = [
        info.label,
        f"{missed} ending outside" if missed else "",
        f"{info.left_out} more units" if info.left_out else "",
    ]
    return "; ".join(note for note in notes if note)


def _draw_lines(axes: Axes, info: UnitLines, panel: Panel) -> None:
    """The lines of a network's units over the moments, each with its number and an arrow to its positive side."""
    two = np.isin(info.targets, (0, 1)).all()
    shades = None if two else (info.targets.min(), info.targets.max())
    _draw_points(axes, panel.inches(info.points), info.targets, len(info.points) <= FEW, shades)
    segments = panel.inches(info.segments)
    colours = np.array([COLOURS[unit % len(COLOURS)] for unit in range(segments.shape[1])])
    inside = ~np.isnan(segments).any(axis=(2, 3))  # [s, h]
    for moment, (ends, seen) in enumerate(zip(segments[:-1], inside[:-1], strict=True)):
        dashes, width, alpha = ((0, (4, 3)), 1.1, 1.0) if moment == 0 else ("-", 0.5, 0.4)
        _add_lines(axes, ends[seen], colors=colours[seen], linewidths=width, linestyles=dashes, alpha=alpha)
    seen = inside[-1]
    ends = segments[-1, seen]
    _add_lines(axes, ends, colors=colours[seen], linewidths=2.2)
    # Spread along the lines, so that crossing or coinciding lines keep their numbers apart.
    units = np.flatnonzero(seen)
    middles = ends[:, 0] + (ends[:, 1] - ends[:, 0]) * (0.25 + 0.5 * (units % 5) / 4)[:, None]
    reach = info.normals[-1, seen] * 0.07 * panel.side
    if len(units):
        arrows: dict[str, Any] = {"angles": "xy", "scale_units": "xy", "scale": 1, "units": "inches", "width": 0.02}
        axes.quiver(*middles.T, *reach.T, color=colours[seen], headwidth=5, headlength=6, zorder=2.5, **arrows)
    for unit, (x, y), colour in zip(units, middles - 0.55 * reach, colours[seen], strict=True):
        box = {"boxstyle": "round,pad=0.12", "facecolor": "white", "edgecolor": colour, "linewidth": 0.8}
        axes.text(x, y, str(unit), fontsize=7.5, color=INK, ha="center", va="center", bbox=box)


def _wrapped(label: str, width: int) -> str:
    return plain("\n".join(textwrap.wrap(label, width, max_lines=2, placeholder="…")))


def _box(points: np.ndarray) -> tuple[float, float, float, float]:
    if not len(points):
        return (-1.0, 1.0, -1.0, 1.0)
    low, high = points.min(axis=0), points.max(axis=0)
    margin = 0.35 * np.maximum(high - low, 1e-9)
    return float(low[0] - margin[0]), float(high[0] + margin[0]), float(low[1] - margin[1]), float(high[1] + margin[1])


def _cut(w: np.ndarray, b: float, box: tuple[float, float, float, float]) -> np.ndarray:
    """The two ends, [2, 2], of w x + b = 0 within the box, by clipping a parameter (Liang and Barsky, 1984); NaN if
    none."""
    size = float(w @ w)
    if not (size > 0 and math.isfinite(size) and math.isfinite(b)):
        return np.full((2, 2), np.nan)
    foot, along = -b * w / size, np.array([-w[1], w[0]]) / math.sqrt(size)
    low, high = -math.inf, math.inf
    for axis in range(2):
        first, last = box[2 * axis] - foot[axis], box[2 * axis + 1] - foot[axis]
        if abs(along[axis]) < 1e-12:
            if first > 0 or last < 0:
                return np.full((2, 2), np.nan)
            continue
        ends = sorted((first / along[axis], last / along[axis]))
        low, high = max(low, ends[0]), min(high, ends[1])
    return np.array([foot + low * along, foot + high * along]) if low < high else np.full((2, 2), np.nan)
