"""Maps over two continuous axes, a colour a pixel: how fast training converged or diverged, final losses, verdicts,
updates to solve.

``x_info`` computes every number shown; ``plot_x`` only draws it. Arrays are [y, x], rows upwards.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from nnspec.analysis.figures.draw import INK, OTHER_VERDICT, VERDICTS, drawable, new_figure, plain, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

SIDE = 1024  # pixels of a picture's longer side: a larger map is drawn by every second, third ... of its pixels
BUFFER = 0.25  # of the shades from the middle on are left out, so that the boundary is seen
DECADES = 2  # that a logarithmic axis must span to be marked by powers of ten
MARKS = 5  # of another axis
NOTHING = "#BDBDBD"  # of a pixel of which there is nothing to show
WIDTH, HEIGHT = 8.6, 7.2  # inches
PANEL, CAPTION = 1.9, 0.3  # inches of one map of several, and of what is said below them
DPI = 150


@dataclass(frozen=True)
class MapAxis:
    """What a map's axis is called, and its values from the first pixel to the last."""

    key: str
    values: np.ndarray
    log: bool


@dataclass(frozen=True)
class MapPicture:
    """The numbers of a picture, NaN where there is nothing to show; ``names`` are those that whole numbers stand for,
    ``low`` and ``high`` what the first and the last shade do."""

    x: MapAxis
    y: MapAxis
    shades: np.ndarray  # [y, x] float32
    low: float
    high: float
    names: tuple[str, ...] = ()


def _thinned(values: ArrayLike) -> np.ndarray:
    array = np.asarray(values)
    every = max(1, -(-max(array.shape) // SIDE))
    return array[::every, ::every]


def convergence_info(x: MapAxis, y: MapAxis, score: ArrayLike) -> MapPicture:
    """How fast training converged (``score`` below 0, the nearer to 0 the faster) or diverged (above 0, the nearer to
    0 the faster), as ranks: -1 the fastest to converge, -0.25 the slowest, 0.25 the slowest to diverge, 1 the fastest.

    So does Sohl-Dickstein (2024, arXiv 2402.06184) colour the boundary of trainability.
    """
    values = _thinned(score).astype(np.float32)
    shades = np.full(values.shape, np.nan, np.float32)
    for some, ends in ((values < 0, (-BUFFER, -1.0)), (values >= 0, (1.0, BUFFER))):
        shades[some] = _ranks(values[some], *ends)
    return MapPicture(x, y, shades, -1.0, 1.0)


def _ranks(values: np.ndarray, first: float, last: float) -> np.ndarray:
    """The ranks of values, the smallest at ``first`` and the largest at ``last``; equal values share one."""
    if not len(values):
        return values
    _, place = np.unique(values, return_inverse=True)
    ends = np.cumsum(np.bincount(place))
    middle = ends - (np.bincount(place) + 1) / 2
    share = middle / max(1, len(values) - 1)
    ranks: np.ndarray = (first + (last - first) * share)[place]
    return ranks


def numbers_info(
    x: MapAxis, y: MapAxis, values: ArrayLike, low: float | None = None, high: float | None = None
) -> MapPicture:
    """Numbers as shades, from the 1% quantile to the 99% unless ends are given, so that a few do not hide the rest."""
    shades = drawable(_thinned(values)).astype(np.float32)
    shades[~np.isfinite(shades)] = np.nan
    known = shades[~np.isnan(shades)]
    ends = np.quantile(known, [0.01, 0.99]) if known.size else np.array([0.0, 1.0])
    first, last = float(ends[0]) if low is None else low, float(ends[1]) if high is None else high
    return MapPicture(x, y, shades, first, last if last > first else first + 1)


def names_info(x: MapAxis, y: MapAxis, codes: ArrayLike, names: Sequence[str]) -> MapPicture:
    """Names by their numbers ``codes``; a number that is none of a name has nothing to show."""
    shades = _thinned(codes).astype(np.float32)
    shades[shades >= len(names)] = np.nan
    return MapPicture(x, y, shades, 0.0, len(names) - 1.0, tuple(names))


def plot_convergence(info: MapPicture, title: str = "Converged or diverged") -> Figure:
    """Converged in blue, the darker the faster; diverged in red, the darker the faster."""
    figure, axes, image = _image(info, title, "RdBu_r")
    bar = figure.colorbar(image, ax=axes, shrink=0.7, ticks=[-1, -BUFFER, BUFFER, 1])
    bar.ax.set_yticklabels(["converged\nfirst", "converged\nlast", "diverged\nlast", "diverged\nfirst"])
    bar.ax.tick_params(labelsize=8)
    return figure


def plot_windows(rows: Sequence[tuple[str, Sequence[tuple[str, MapPicture]]]]) -> Figure:
    """Named rows of small maps of ``convergence_info``, each with a title, and no marks on their axes, which all
    share."""
    columns = max(len(panels) for _, panels in rows)
    figure = new_figure(PANEL * columns, PANEL * len(rows) + CAPTION)
    first = rows[0][1][0][1]
    figure.supxlabel(plain(f"{first.x.key} to the right, {first.y.key} upwards"), fontsize=8, color=INK)
    grid = figure.subplots(len(rows), columns, squeeze=False)
    for (name, panels), places in zip(rows, grid, strict=True):
        places[0].set_ylabel(plain(name), fontsize=8, color=INK)
        for axes, (title, info) in zip(places, panels, strict=False):
            shades = np.ma.masked_invalid(info.shades)
            axes.imshow(shades, origin="lower", cmap="RdBu_r", vmin=-1, vmax=1, aspect="auto")
            axes.set_title(title, fontsize=8, color=INK)
    for axes in grid.ravel():
        axes.set_xticks([])
        axes.set_yticks([])
    return figure


def plot_numbers(info: MapPicture, title: str, label: str, log: bool = False) -> Figure:
    """Numbers in cividis shades; ``log`` says that they are powers of ten."""
    figure, axes, image = _image(info, title, "cividis", nothing="#FFFFFF")  # whose middle is grey
    bar = figure.colorbar(image, ax=axes, shrink=0.7, extend="both" if log else "neither")
    bar.set_label(plain(label), fontsize=9, color=INK)
    if log:
        bar.ax.yaxis.set_major_formatter(lambda power, _: f"{10**power:.3g}")
    bar.ax.tick_params(labelsize=8)
    return figure


def plot_names(info: MapPicture, title: str) -> Figure:
    """Names in the colours that verdicts have everywhere; those that occur are explained, the most common first."""
    from matplotlib.colors import ListedColormap
    from matplotlib.patches import Patch

    colours = [VERDICTS.get(name, OTHER_VERDICT)[0] for name in info.names]
    figure, axes, _ = _image(info, title, ListedColormap(colours), half=0.5)
    codes = info.shades[~np.isnan(info.shades)].astype(int)
    counts = np.bincount(codes, minlength=len(info.names))
    order = sorted(np.flatnonzero(counts), key=lambda code: -counts[code])
    patches = [
        Patch(facecolor=colours[code], edgecolor=INK, linewidth=0.5, label=_said(info.names[code], counts[code], codes))
        for code in order
    ]
    axes.legend(
        handles=patches, loc="upper left", bbox_to_anchor=(1.01, 1.0), fontsize=8, frameon=False, borderaxespad=0
    )
    return figure


def _said(name: str, count: int, codes: np.ndarray) -> str:
    return f"{name.replace('_', ' ')}, {100 * count / len(codes):.3g}%"


def _image(
    info: MapPicture, title: str, colours: Any, half: float = 0.0, nothing: str = NOTHING
) -> tuple[Figure, Axes, AxesImage]:
    from matplotlib import colormaps

    figure = new_figure(WIDTH, HEIGHT)
    axes = figure.add_subplot()
    shades = colormaps[colours] if isinstance(colours, str) else colours
    image = axes.imshow(
        np.ma.masked_invalid(info.shades),
        origin="lower",
        aspect="auto",
        interpolation="nearest",
        cmap=shades.with_extremes(bad=nothing),
        vmin=info.low - half,
        vmax=info.high + half,
        extent=(-0.5, len(info.x.values) - 0.5, -0.5, len(info.y.values) - 0.5),
    )
    tidy(axes, title, info.x.key, info.y.key, grid=False)
    for axis, which in ((info.x, axes.xaxis), (info.y, axes.yaxis)):
        places, labels = ticks(axis)
        which.set_ticks(places, labels=labels)
    return figure, axes, image


def ticks(axis: MapAxis) -> tuple[list[float], list[str]]:
    """Where an axis is marked, in pixels, and with what: powers of ten where it spans some, else values at even
    places, with as many digits as tell them apart."""
    last, low, high = len(axis.values) - 1, float(axis.values[0]), float(axis.values[-1])
    if axis.log and math.log10(high / low) >= DECADES:
        first, end = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
        powers = range(first, end + 1, max(1, (end - first) // 8))
        places = [last * math.log10(10.0**p / low) / math.log10(high / low) for p in powers]
        return places, [f"{10.0**p:g}" for p in powers]
    places = [last * i / (MARKS - 1) for i in range(MARKS)]
    values = [low * (high / low) ** (p / last) if axis.log else low + (high - low) * p / last for p in places]
    digits = next((d for d in range(3, 17) if len({f"{v:.{d}g}" for v in values}) == MARKS), 17)
    return places, [f"{value:.{digits}g}" for value in values]


def boundary(inside: ArrayLike) -> np.ndarray:
    """[y - 1, x - 1] bool: where a pixel of a set ``inside`` [y, x] and the one to its left or below are not alike."""
    mask = np.asarray(inside, bool)
    return (mask[1:, 1:] != mask[:-1, 1:]) | (mask[1:, 1:] != mask[1:, :-1])


def boundary_dimension(inside: ArrayLike) -> float:
    """The box-counting dimension of the boundary of a set of pixels ``inside`` [y, x]: the slope of the logarithm of
    the number of boxes that hold a part of the boundary over that of the boxes per side, by least squares over boxes
    of 1, 2, 4, ... pixels, of which the map must have 8 a side at least. NaN where there is no boundary, or the map has
    fewer than 32 pixels a side."""
    edge = boundary(inside)
    side = 2 ** int(math.log2(max(1, min(edge.shape))))
    if side < 32 or not edge.any():
        return math.nan
    boxes, sizes = [], [size for size in (2**k for k in range(20)) if side // size >= 8]
    for size in sizes:
        height, width = (n // size * size for n in edge.shape)
        parts = edge[:height, :width].reshape(height // size, size, width // size, size)
        boxes.append(int(parts.any(axis=(1, 3)).sum()))
    if not all(boxes):
        return math.nan
    return float(-np.polyfit(np.log(sizes), np.log(boxes), 1)[0])
