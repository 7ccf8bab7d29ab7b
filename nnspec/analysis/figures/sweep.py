"""Figures of a sweep. ``x_info`` computes every number shown; ``plot_x`` only draws it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nnspec.analysis.figures.draw import (
    INK,
    MOST_LINES,
    MUTED,
    NARROW,
    OTHER_VERDICT,
    TALLEST,
    VERDICTS,
    WIDTH,
    band,
    drawable,
    label_ends,
    letters,
    new_chart,
    new_figure,
    pick,
    place_axes,
    place_chart,
    plain,
    power_of_ten,
    shortened,
    style,
    tidy,
)
from nnspec.analysis.levels import group_by, short
from nnspec.analysis.measures import MEASURES, SOLVED
from nnspec.analysis.solving import Survival, survival_of, updates_made
from nnspec.analysis.tables import NOTHING, Pivot, percent, pivot

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INTERVALS_UP_TO = 12  # columns of a heat map whose cells have room for an interval
NUMBERS_UP_TO = 24
INTERVAL_ROOM, NUMBER_ROOM = 0.36, 0.26  # inches that they need
MOST_BARS = 24
NUMBERED_BARS = 12
PERCENT: Any = {"ticks": [0, 0.25, 0.5, 0.75, 1], "format": "{x:.0%}"}  # of a bar of shades
LABEL_BOX = {"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": "none", "alpha": 0.9}


def heatmap_info(
    table: pd.DataFrame,
    rows: str,
    columns: str,
    confidence: float = 0.95,
    measure: str = SOLVED,
    axes: Sequence[str] = (),
) -> Pivot:
    """Solve rates, or means of another measure, with intervals over two axes; see ``tables.pivot``. Which others of
    ``axes`` are pooled is said."""
    return pivot(table, axes, (rows, columns), confidence, measure)


def plot_heatmap(info: Pivot, width: float | None = None) -> Figure:
    """Rates as cividis shades from 0 to 1, means over their own range, the brightest being the best; with rate and
    interval written in each cell that has room."""
    from matplotlib import colormaps
    from matplotlib.colors import Normalize

    r, c = info.rate.shape
    wide = width or float(np.clip(1.9 + 0.78 * c, 5.2, 11))
    room = (wide - 1.9) / c  # inches of a cell
    rotate = c > 6 or letters(shortened(info.column_labels, wide)) > room - 0.1
    slanted = letters(shortened(info.column_labels, wide)) if rotate else 0.0
    left, below = max(0.4 + letters(shortened(info.row_labels, wide)), 0.8 * slanted - room / 2), 0.55 + 0.55 * slanted
    figure = new_figure(wide, float(np.clip(0.75 + below + 0.46 * r, 2.4, 11 if width is None else TALLEST)), None)
    axes = figure.add_axes((left / wide, 0, 1 - left / wide, 1))
    rates = info.measure == SOLVED
    shades = colormaps["cividis" if rates or MEASURES[info.measure].rising else "cividis_r"]
    scale = Normalize(0, 1) if rates else Normalize(float(np.nanmin(info.rate)), float(np.nanmax(info.rate)))
    image = axes.imshow(np.ma.masked_invalid(info.rate), cmap=shades, norm=scale, aspect="auto")
    axes.set_facecolor("#eeeeee")
    names = short(info.columns or ""), short(info.rows)
    title = f"{heading(info.measure)}, by {names[1]} and {names[0]}"
    tidy(axes, "\n".join(filter(None, [title, info.pooled])), *names, grid=False)
    _ticks(axes, "x", info.column_labels, rotate)
    _ticks(axes, "y", info.row_labels)
    place_axes(axes, left, below, 0.75 if rates else 0.95)
    if c <= NUMBERS_UP_TO and r <= NUMBERS_UP_TO and room >= NUMBER_ROOM:
        for (i, j), rate in np.ndenumerate(info.rate):
            shade = shades(0.0 if np.isnan(rate) else float(scale(rate)))
            dark = np.isfinite(rate) and float(np.dot(shade[:3], (0.299, 0.587, 0.114))) < 0.5
            axes.text(
                j,
                i,
                _cell(info, i, j, c <= INTERVALS_UP_TO and room >= INTERVAL_ROOM),
                ha="center",
                va="center",
                fontsize=8 if c <= 9 and room >= 0.6 else 7,
                color="white" if dark else INK,
            )
    spot = axes.get_position()
    beside = figure.add_axes((spot.x1 + 0.1 / wide, spot.y0 + 0.05 * spot.height, 0.14 / wide, 0.9 * spot.height))
    bar = figure.colorbar(image, cax=beside, **(PERCENT if rates else {}))
    bar.ax.tick_params(labelsize=8)
    return figure


def heading(measure: str) -> str:
    """What a figure of a measure shows."""
    return "Share solved" if measure == SOLVED else f"Mean {MEASURES[measure].words}"


@dataclass(frozen=True)
class VerdictBars:
    """Shares of verdicts per level, [l, v]; rows sum to 1."""

    axis: str
    labels: tuple[str, ...]
    networks: np.ndarray  # [l]
    verdicts: tuple[str, ...]
    shares: np.ndarray
    left_out: int = 0  # levels beyond those shown


def verdicts_info(table: pd.DataFrame, by: str | None = None) -> VerdictBars:
    """Shares of verdicts per level of ``by`` (None: of all networks), 'solved' first and unknown names last."""
    groups = group_by(table, [by] if by else [])
    names = table["verdict"].fillna("unknown").astype(str).to_numpy()
    known = [name for name in VERDICTS if (names == name).any()]
    verdicts = (*known, *sorted(set(names) - set(known)))
    counts = np.stack([np.bincount(groups.codes[names == name], minlength=len(groups)) for name in verdicts], axis=1)
    networks = counts.sum(axis=1)
    shares = counts / networks[:, None]
    kept = pick(table["solved"].astype(float).groupby(groups.codes).mean().to_numpy(), MOST_BARS)
    labels = tuple(np.array(groups.labels(), dtype=object)[kept].tolist())
    return VerdictBars(by or "", labels, networks[kept], verdicts, shares[kept], len(groups) - len(kept))


def plot_verdicts(info: VerdictBars, width: float | None = None) -> Figure:
    """One bar a level, stacked by verdict in colours and hatches; shares of 6% and more are written in, of many bars
    only 'solved'."""
    wide = width or WIDTH
    across = min(5 if wide > NARROW else 2, len(info.verdicts))
    lines = -(-len(info.verdicts) // across)  # of the key; two fit anyway
    high = float(
        np.clip(1.35 + 0.3 * len(info.labels) + 0.21 * max(0, lines - 2), 2.2, 12 if width is None else TALLEST)
    )
    figure = new_figure(wide, high, None)
    beside = (0.4 if info.axis else 0.15) + letters(shortened(info.labels, wide))
    axes = figure.add_axes((beside / wide, 0, 1 - beside / wide, 1))
    left = np.zeros(len(info.labels))
    few = len(left) <= NUMBERED_BARS
    least = 0.06 * (WIDTH - 1.2) / (wide - 1.2)  # of a bar that has room for its number
    for v, name in enumerate(info.verdicts):
        colour, hatch = VERDICTS.get(name, OTHER_VERDICT)
        look: dict[str, Any] = {
            "color": colour,
            "hatch": hatch,
            "edgecolor": INK,
            "linewidth": 0.6,
            "label": plain(name),
        }
        bars = axes.barh(range(len(left)), info.shares[:, v], left=left, **look)
        for bar, share in zip(bars, info.shares[:, v], strict=True):
            if share >= least and (few or name == "solved"):
                middle = bar.get_x() + share / 2, bar.get_y() + bar.get_height() / 2
                axes.text(*middle, percent(share), ha="center", va="center", fontsize=7.5, color=INK, bbox=LABEL_BOX)
        left += info.shares[:, v]
    title = f"How networks ended, by {short(info.axis)}" if info.axis else "How networks ended"
    tidy(axes, title + _left_out(info.left_out, "levels"), "share of networks", short(info.axis), grid=False)
    _ticks(axes, "y", info.labels)
    axes.set_ylim(len(left) - 0.4, -0.6)
    axes.set_xlim(0, 1)
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0%", "25%", "50%", "75%", "100%"])
    handles, labels = axes.get_legend_handles_labels()
    key: dict[str, Any] = {"fontsize": 8, "frameon": False, "handlelength": 2.2, "handleheight": 1.4}
    figure.legend(handles, labels, loc="lower center", ncols=across, **key)
    place_axes(axes, beside, 0.5, 0.3, key=0.1 + 0.21 * lines)
    return figure


@dataclass(frozen=True)
class Curve:
    """One band: the median and the 10% and 90% quantiles over replicates at each step, [t] each."""

    label: str
    steps: np.ndarray
    median: np.ndarray
    low: np.ndarray
    high: np.ndarray
    networks: int


@dataclass(frozen=True)
class Curves:
    """The bands of a figure, what they measure, and how many labels were left out."""

    curves: tuple[Curve, ...]
    what: str = "loss"
    left_out: int = 0


def curves_info(
    curves: Mapping[str, tuple[np.ndarray, np.ndarray]], what: str = "loss", most: int = MOST_LINES
) -> Curves:
    """Quantile bands of ``curves``: label -> (steps [t], values [r, t]).

    Non-finite values count as infinite, so that a diverged network pulls its band up instead of leaving it. Of more
    than ``most`` labels, those shown are spread over the ranking by final median.
    """
    bands = [_curve(str(label), np.asarray(steps), drawable(values)) for label, (steps, values) in curves.items()]
    kept = pick([band.median[-1] for band in bands], most)
    return Curves(tuple(bands[i] for i in kept), what, len(bands) - len(kept))


def plot_curves(info: Curves, width: float | None = None) -> Figure:
    """Medians as lines with bands from the 10% to the 90% quantile, on a log scale where all is positive."""
    figure = new_chart(width)
    axes = figure.subplots()
    draw_curves(axes, info)
    place_chart(axes, [curve.label for curve in info.curves])
    return figure


def draw_curves(axes: Axes, info: Curves) -> None:
    """``plot_curves`` on axes of the caller's."""
    finite = np.concatenate(
        [part[np.isfinite(part)] for curve in info.curves for part in (curve.low, curve.high)] or [np.zeros(0)]
    )
    log = finite.size > 0 and finite.min() > 0 and finite.max() / finite.min() > 20
    bands = ": median and 10-90% of networks" if any(curve.networks > 1 for curve in info.curves) else ""
    tidy(axes, info.what.capitalize() + bands + _left_out(info.left_out, "curves"), "updates", info.what)
    axes.set_yscale("log" if log else "linear")
    if log:
        axes.yaxis.set_major_formatter(power_of_ten)
    if log and finite.max() / finite.min() > 1000:
        axes.minorticks_off()  # between whole decades: they take longer than all else in the figure
    top = float(finite.max()) if finite.size else 1.0
    for i, curve in enumerate(info.curves):
        look = style(i)
        axes.fill_between(curve.steps, np.minimum(curve.low, top), np.minimum(curve.high, top), **band(i))
        axes.plot(curve.steps, np.where(np.isfinite(curve.median), curve.median, np.nan), linewidth=1.7, **look)
    axes.margins(x=0)
    ends = [_last(curve.median, top) for curve in info.curves]
    label_ends(axes, [curve.label for curve in info.curves], ends, [style(i)["color"] for i in range(len(ends))])


@dataclass(frozen=True)
class SurvivalCurves:
    """One survival curve a level."""

    axis: str
    labels: tuple[str, ...]
    curves: tuple[Survival, ...]
    end: float  # updates made in all
    left_out: int = 0


def survival_info(
    table: pd.DataFrame, by: str | None = None, confidence: float = 0.95, most: int = MOST_LINES
) -> SurvivalCurves:
    """Survival curves per level of ``by`` (None: of all networks); of more than ``most``, some spread over the solve
    rates."""
    groups = group_by(table, [by] if by else [])
    rates = table["solved"].astype(float).groupby(groups.codes).mean().to_numpy()
    kept = pick(rates, most)
    labels = groups.labels()
    ends = updates_made(table)
    curves = tuple(survival_of(table, groups.codes == g, ends, confidence) for g in kept)
    names = tuple(labels[g] for g in kept)
    return SurvivalCurves(by or "", names, curves, float(ends.max()), len(groups) - len(kept))


def plot_survival(info: SurvivalCurves, width: float | None = None) -> Figure:
    """The share still unsolved against updates, with bands; a dot marks the median."""
    figure = new_chart(width)
    axes = figure.subplots()
    title = f"Still unsolved, by {short(info.axis)}" if info.axis else "Still unsolved"
    tidy(axes, title + _left_out(info.left_out, "levels"), "updates", "share of networks not yet solved")
    axes.set_ylim(-0.02, 1.02)
    axes.set_xlim(0, info.end or 1)
    ends = []
    for i, curve in enumerate(info.curves):
        look = style(i)
        times, share, low, high = (
            _step(info.end, curve.times, part) for part in (None, curve.unsolved, curve.low, curve.high)
        )
        axes.fill_between(times, low, high, step="post", **band(i))
        axes.plot(times, share, drawstyle="steps-post", linewidth=1.7, **look)
        if np.isfinite(curve.median):
            axes.plot(
                [curve.median], [0.5], marker="o", markersize=5, color=look["color"], markeredgecolor="white", zorder=3
            )
        ends.append(float(share[-1]))
    axes.axhline(0.5, color=MUTED, linewidth=0.7, linestyle=":")
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0%", "25%", "50%", "75%", "100%"])
    place_chart(axes, info.labels)
    label_ends(axes, info.labels, ends, [style(i)["color"] for i in range(len(ends))])
    return figure


def _curve(label: str, steps: np.ndarray, values: np.ndarray) -> Curve:
    finite = np.where(np.isfinite(values), values, np.inf)
    # Quantiles that are observed values: a mean of a number and infinity would be no value at all.
    low, median, high = np.quantile(finite, [0.1, 0.5, 0.9], axis=0, method="inverted_cdf")
    return Curve(label, steps, median, low, high, len(values))


def _last(values: np.ndarray, top: float) -> float:
    return float(values[-1]) if len(values) and np.isfinite(values[-1]) else top


def _step(end: float, times: np.ndarray, part: np.ndarray | None) -> np.ndarray:
    """Times from 0 to the end, or the values that belong to them: 1 before the first event, the last one to the end."""
    if part is None:
        return np.concatenate([[0.0], times, [max(end, float(times[-1]))]])
    return np.concatenate([[1.0], part, part[-1:]])


def _cell(info: Pivot, i: int, j: int, interval: bool) -> str:
    if np.isnan(info.rate[i, j]):
        return NOTHING
    number = info.text(float(info.rate[i, j]))
    if not interval:
        return number
    if info.measure == SOLVED:
        return f"{number}\n{100 * info.low[i, j]:.0f}-{100 * info.high[i, j]:.0f}"
    return f"{float(info.rate[i, j]):.3g}\n{info.low[i, j]:.3g}-{info.high[i, j]:.3g}"


def _ticks(axes: Axes, which: str, labels: Sequence[str], rotate: bool = False) -> None:
    """Labels at 0, 1, 2, ...; every second, third, ... where there are more than 40."""
    slant: dict[str, Any] = {"rotation": 35, "ha": "right", "rotation_mode": "anchor"} if rotate else {}
    every = -(-len(labels) // 40)
    places = list(range(0, len(labels), every))
    width = float(axes.get_figure().get_size_inches()[0])  # type: ignore[union-attr]
    texts = [plain(text) for text in shortened(labels, width)[::every]]
    if which == "x":
        axes.set_xticks(places, texts, **slant)
    else:
        axes.set_yticks(places, texts)


def _left_out(count: int, what: str) -> str:
    return f" ({count} more {what} not shown)" if count else ""
