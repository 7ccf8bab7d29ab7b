"""The claims of a study: what was measured, with its interval, and what is allowed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from nnspec.analysis.figures.draw import COLOURS, GRID, INK, MUTED, WIDTH, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from nnspec.claims.judging import Judged, Judgement

MOST_PARTS = 12  # of one claim that are drawn
MARKS = {"holds": (COLOURS[0], "o"), "refuted": (COLOURS[1], "X"), "undecided": (MUTED, "D")}
ROW, HEAD = 0.22, 0.62  # inches of a part, and of a claim's words and axis


def claims_figure(judged: Sequence[Judged], width: float = WIDTH) -> Figure:
    """A panel a claim: each part's number (circle: it holds, cross: refuted, diamond: undecided) with its interval, and
    in grey what the claim allows."""
    parts = [each.parts[:MOST_PARTS] for each in judged]
    heights = [HEAD + ROW * len(each) for each in parts]
    figure = new_figure(width, sum(heights) + 0.2)
    panels = figure.subplots(len(judged), 1, squeeze=False, gridspec_kw={"height_ratios": heights})[:, 0]
    for axes, each, shown in zip(panels, judged, parts, strict=True):
        _panel(axes, each, shown)
    return figure


def _panel(axes: Axes, each: Judged, shown: Sequence[Judgement]) -> None:
    finite = [n for part in shown for n in (part.found.low, part.found.value, part.found.high) if math.isfinite(n)]
    finite += [n for part in shown for n in (part.allowed.low, part.allowed.high) if math.isfinite(n)]
    low, high = min(finite, default=0.0), max(finite, default=1.0)
    room = 0.06 * (high - low) or 0.1 * (abs(high) or 1.0)
    low, high = low - room, high + room
    for row, part in enumerate(reversed(shown)):
        colour, mark = MARKS[part.verdict]
        left, right = (min(max(n, low), high) for n in (part.allowed.low, part.allowed.high))
        axes.fill_betweenx([row - 0.45, row + 0.45], left, right, color=GRID, linewidth=0)
        start, end = (min(max(n, low), high) for n in (part.found.low, part.found.high))
        axes.plot([start, end], [row, row], color=colour, linewidth=2)
        axes.plot([min(max(part.found.value, low), high)], [row], marker=mark, color=colour, markersize=6)
    axes.set_xlim(low, high)
    axes.set_ylim(-0.6, len(shown) - 0.4)
    axes.set_yticks(range(len(shown)), [part.label for part in reversed(shown)], fontsize=7)
    axes.tick_params(labelsize=7, colors=INK, length=2)
    axes.xaxis.get_offset_text().set_fontsize(7)
    more = f", {len(each.parts) - len(shown)} parts more" if len(each.parts) > len(shown) else ""
    axes.set_title(f"{each.verdict}: {each.claim.says}{more}", loc="left", fontsize=8, color=INK, wrap=True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
