"""How every figure looks: colours that differ in lightness (Okabe-Ito, cividis), each with a line style or hatch of its
own.

No figure depends on colour alone, and none touches pyplot: Figure objects on the Agg canvas, nothing global.
"""

from __future__ import annotations

import io
import textwrap
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from nnspec.terminal import printable_lines

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK = "#1a1a1a"
MUTED = "#5f5f5f"
GRID = "#dddddd"
# Okabe and Ito, Color Universal Design, 2008; yellow is left out, as it vanishes on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000", "#56B4E9", "#E69F00", "#7F7F7F")
DASHES: tuple[Any, ...] = (
    "-",
    (0, (6, 2)),
    (0, (2, 1.5)),
    (0, (8, 2, 2, 2)),
    (0, (1, 1)),
    (0, (10, 3)),
    (0, (4, 1, 1, 1, 1, 1)),
    (0, (3, 4)),
)
MOST_LINES = len(COLOURS)  # more lines than that cannot be told apart; the rest are left out and counted
MOST_PANELS = 24  # of one figure
# Verdict -> colour and hatch. Neighbours in the stack differ in lightness; only 'solved' (dark) and 'stuck' (white) are
# plain.
VERDICTS = {
    "solved": ("#0072B2", ""),
    "still_learning": ("#56B4E9", "//"),
    "saddle": ("#F5E9A9", "xx"),
    "local_minimum": ("#E69F00", "\\\\"),
    "saturated": ("#F7C6DE", ".."),
    "symmetric": ("#CC79A7", "||"),
    "dead_units": ("#5A5A5A", "//"),
    "beyond_capacity": ("#D9D9D9", "--"),
    "diverged": ("#D55E00", "xx"),
    "stuck": ("#FFFFFF", ""),
}
OTHER_VERDICT = ("#B0B0B0", "++")
DPI = 110
WIDTH, HEIGHT = 7.2, 4.2  # inches of a figure on a page
Y_LABELS = 1.1  # inches that the labels of an axis may take
NARROW = 5.0  # inches: a narrower figure has fewer panels and shorter labels
TALLEST = 9.0  # inches that a column of a journal has
LABEL = 28  # characters of a label beside a line
LETTER = 0.07  # inches that a letter of 8 points takes; most take a little less
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
LARGEST = 1e100  # matplotlib's ticks and shades overflow when data come near the largest float, 1.8e308


def new_figure(
    width: float = 7.2, height: float = 4.2, layout: Literal["constrained"] | None = "constrained"
) -> Figure:
    """An empty figure of so many inches, on the Agg canvas."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout=layout, facecolor="white")
    FigureCanvasAgg(figure)
    # Notebooks ask for this; without it they show a figure only if pyplot has drawn something before.
    figure._repr_png_ = lambda: png(figure)  # type: ignore[attr-defined]
    return figure


def new_chart(width: float | None) -> Figure:
    """An empty figure of one pair of axes, ``width`` inches wide, by default as on a page; see ``place_chart``."""
    wide = width or WIDTH
    return new_figure(wide, float(np.clip(HEIGHT * wide / WIDTH, 2.4, HEIGHT)), layout=None)


def place_chart(axes: Axes, labels: Sequence[str]) -> None:
    """Place the only axes of a chart, with room for ``label_ends``. Call it last but for that."""
    width = float(axes.get_figure().get_size_inches()[0])  # type: ignore[union-attr]
    place_axes(axes, 0.75, 0.55, 0.45 + letters(shortened(labels, width)))


def place_axes(axes: Axes, left: float, bottom: float, right: float, key: float = 0) -> None:
    """Place the only axes of a figure so many inches from its edges, at the top with room for the title, and their
    names at the left edge and at the bottom one, above ``key`` inches.

    By hand: matplotlib's constrained layout takes as long as drawing, and it measures all letters for a name.
    """
    width, height = map(float, axes.get_figure().get_size_inches())  # type: ignore[union-attr]
    top = 0.15 + 0.19 * (1 + axes.get_title("left").count("\n"))
    across, up = width - left - right, height - bottom - key - top
    axes.set_position((left / width, (bottom + key) / height, across / width, up / height))
    axes.yaxis.set_label_coords((0.22 - left) / across, 0.5)
    axes.xaxis.set_label_coords(0.5, (0.23 - bottom) / up)


def most_columns(width: float | None, panel: float, most: int) -> int:
    """How many panels of ``panel`` inches at least stand side by side, at most ``most``."""
    return most if width is None else int(np.clip(width // panel, 1, most))


def png(figure: Figure, dpi: int = DPI) -> bytes:
    """The figure as a PNG file."""
    layout = figure.get_layout_engine()
    if layout is not None:  # savefig would lay out by drawing all of it once for nothing
        figure.set_dpi(dpi)
        layout.execute(figure)
        figure.set_layout_engine(None)
    buffer = io.BytesIO()
    # A fixed 'Software' makes equal figures equal bytes across matplotlib's versions of its own name.
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # a letter that the font lacks is drawn as a box
        figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": "nnspec"}, pil_kwargs={"compress_level": 4})
    return buffer.getvalue()


def drawable(values: ArrayLike) -> np.ndarray:
    """Values as floats, infinite where too large to draw: they count as those of a network that diverged."""
    numbers = np.asarray(values, dtype=float)
    return np.where(np.abs(numbers) > LARGEST, np.copysign(np.inf, numbers), numbers)


def tidy(axes: Axes, title: str = "", x: str = "", y: str = "", grid: bool = True) -> None:
    """Title to the left, quiet frame and grid."""
    axes.set_title(wrapped(title, panel_width(axes)), loc="left", fontsize=10, color=INK)
    axes.set_xlabel(plain(x), fontsize=9, color=INK)
    axes.set_ylabel(plain(y), fontsize=9, color=INK)
    axes.tick_params(labelsize=8, colors=MUTED)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(MUTED)
    if grid:
        axes.grid(True, color=GRID, linewidth=0.6)
        axes.set_axisbelow(True)


def headline(figure: Figure, title: str) -> None:
    """The title of a figure of several panels."""
    width = float(figure.get_size_inches()[0])
    figure.suptitle(wrapped(title, width), fontsize=10, color=INK, x=0.01, ha="left")


def panel_width(axes: Axes) -> float:
    """About how many inches the title of a panel has; that of a whole figure begins where the labels of y end."""
    figure, spec = axes.get_figure(), axes.get_subplotspec()
    width = float(figure.get_size_inches()[0])  # type: ignore[union-attr]
    if spec is None:
        return width * float(axes.get_position().width)
    columns = int(spec.get_gridspec().ncols)
    return width / columns if columns > 1 else width - Y_LABELS


def wrapped(title: str, inches: float, points: float = 10) -> str:
    """A title in lines of at most so many inches, about, each of its own lines by itself."""
    most = max(12, int(inches * 72 / (0.5 * points)))  # a letter is about half as wide as it is high
    lines = [line for part in title.split("\n") for line in textwrap.wrap(part, most) or [""]]
    return plain("\n".join(lines))


def plain(label: object) -> str:
    """A label drawn as it is written: matplotlib would read what stands between two dollar signs as mathematics."""
    return printable_lines(str(label)).replace("$", r"\$")


def shorten(label: str, most: int = LABEL) -> str:
    """A label of at most ``most`` characters, its middle left out."""
    if len(label) <= most:
        return label
    head = (most - 1) // 2
    return f"{label[:head]}…{label[len(label) - (most - 1 - head) :]}"


def shortened(labels: Sequence[str], width: float) -> list[str]:
    """The labels as they are written in a figure that is ``width`` inches wide."""
    return [shorten(label, LABEL if width > NARROW else LABEL // 2) for label in labels]


def letters(labels: Sequence[str]) -> float:
    """About the most inches that one of the labels of ticks takes."""
    return LETTER * max(map(len, labels), default=0)


def power_of_ten(value: float, _place: float = 0) -> str:
    """The label of a tick on a log scale, as 10⁻². matplotlib's own are mathematics, which take as long as all else."""
    return "10" + f"{np.log10(value):.0f}".translate(SUPERSCRIPTS)


def style(index: int) -> dict[str, Any]:
    """Colour and dashes of line ``index``."""
    return {"color": COLOURS[index % len(COLOURS)], "linestyle": DASHES[index % len(DASHES)]}


def band(index: int) -> dict[str, Any]:
    """Colours of the band around line ``index``, whose edges are thin lines."""
    colour = COLOURS[index % len(COLOURS)]
    return {"facecolor": (colour, 0.13), "edgecolor": (colour, 0.6), "linewidth": 0.5}


def label_ends(axes: Axes, labels: Sequence[str], ends: Sequence[float], colours: Sequence[str]) -> None:
    """Each line's label beside its end, to the right of the frame, moved apart where they would overlap. Call it
    last."""
    low, high = axes.get_ylim()  # asking for the limits also makes matplotlib bring them up to date
    log = axes.get_yscale() == "log"
    scale = np.log10 if log else np.asarray
    safe = np.clip(np.asarray(ends, dtype=float), low, high)
    at = (scale(safe) - scale(low)) / (scale(high) - scale(low))
    width, inches = axes.get_figure().get_size_inches()  # type: ignore[union-attr]
    height = float(inches) / axes.get_subplotspec().get_gridspec().nrows  # type: ignore[union-attr]
    beside: dict[str, Any] = {"transform": axes.transAxes, "clip_on": False}
    texts = shortened(labels, float(width))
    for text, start, place, colour in zip(texts, at, spread(at, 0.19 / height), colours, strict=True):
        axes.plot([1.0, 1.03], [start, place], color=colour, linewidth=0.8, **beside)
        axes.text(1.035, place, plain(text), va="center", fontsize=8, color=INK, **beside)


def spread(places: Sequence[float] | np.ndarray, gap: float, low: float = 0.0, high: float = 1.0) -> np.ndarray:
    """The places moved apart to at least ``gap``, in the same order, each run that touches centred on its own mean.

    Runs stay between ``low`` and ``high``, as long as all fit there.
    """
    bounds = (low, high)
    places = np.asarray(places, dtype=float)
    order = np.argsort(places, kind="stable")
    groups: list[list[float]] = []  # runs that touch: [sum of wanted centres, count]
    for place in places[order]:
        groups.append([float(place), 1])
        while (
            len(groups) > 1
            and _centre(groups[-2], gap, bounds) + gap * (groups[-2][1] + groups[-1][1]) / 2
            > _centre(groups[-1], gap, bounds) + 1e-12
        ):
            last = groups.pop()
            groups[-1] = [groups[-1][0] + last[0], groups[-1][1] + last[1]]
    runs = [_centre(group, gap, bounds) + (np.arange(group[1]) - (group[1] - 1) / 2) * gap for group in groups]
    moved = np.concatenate(runs or [np.zeros(0)])
    out = np.empty_like(places)
    out[order] = moved
    return out


def pick(scores: Sequence[float] | np.ndarray, most: int = MOST_LINES) -> list[int]:
    """At most ``most`` positions, spread over the ranking of ``scores`` with its best and its worst, in their own
    order.

    Different scores come first: ten levels that all solve nothing would be ten lines on top of each other.
    """
    values = np.asarray(scores, dtype=float)
    if len(values) <= most:
        return list(range(len(values)))
    _, first = np.unique(values, return_index=True)
    rest = np.setdiff1d(np.arange(len(values)), first)
    chosen = [*_evenly(first, most), *_evenly(rest, most - min(most, len(first)))]
    return sorted(chosen)


def _evenly(items: np.ndarray, most: int) -> list[int]:
    if len(items) <= most:
        return [int(item) for item in items]
    return [int(item) for item in items[np.round(np.linspace(0, len(items) - 1, most)).astype(int)]]


def _centre(group: list[float], gap: float, bounds: tuple[float, float]) -> float:
    """The middle of a run of labels: the mean of what they wanted, within the bounds."""
    total, count = group
    half = (count - 1) / 2 * gap
    return min(max(total / count, bounds[0] + half), max(bounds[1] - half, bounds[0] + half))
