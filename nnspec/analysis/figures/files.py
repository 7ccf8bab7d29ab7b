"""Figures as files of their own, for the columns of journals."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Column:
    """A column of a journal: its width in inches, and by what the letters of a page's figure are multiplied."""

    width: float
    letters: float


# As of Elsevier, IEEE and PNAS, give or take a tenth of an inch. Letters are then 6 to 9 points, as journals ask for.
COLUMNS = {"single": Column(3.25, 0.85), "double": Column(6.75, 0.9)}
# Type 42 embeds the fonts' outlines, which journals ask for (type 3, the default, many refuse). Letters of an SVG are
# drawn as paths: it looks the same wherever it is opened, with or without the font.
FILES: Any = {"pdf.fonttype": 42, "svg.fonttype": "path", "svg.hashsalt": "nnspec"}
FIGURE_DPI = 300  # of PNG files in print
FORMATS = ("svg", "pdf", "png")

Plot = Callable[..., "Figure"]  # takes ``width``, the inches of a column; by default it draws for a page


def figure_file(plot: Plot, format: str, column: Column) -> bytes:
    """The figure that ``plot`` draws, as a file in one of ``FORMATS`` for a column of a journal. The same figure is
    the same bytes."""
    from matplotlib import rc_context

    figure = plot(width=column.width)
    _scale_letters(figure, column.letters)
    buffer = io.BytesIO()
    undated = {"svg": {"Date": None, "Creator": "nnspec"}, "pdf": {"CreationDate": None, "Creator": "nnspec"}}
    metadata = undated.get(format, {"Software": "nnspec"})
    with warnings.catch_warnings(), rc_context(FILES):
        warnings.filterwarnings("ignore", "Glyph")  # a letter that the font lacks is drawn as a box
        figure.savefig(buffer, format=format, dpi=FIGURE_DPI, metadata=metadata)
    return buffer.getvalue()


def _scale_letters(figure: Figure, factor: float) -> None:
    from matplotlib.text import Text

    ticks = set()
    for axis in (axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)):
        labels = [*axis.get_ticklabels(), *axis.get_ticklabels(minor=True)]
        ticks |= set(labels)
        if labels:  # by the axis: it makes new labels as it is laid out
            axis.set_tick_params(which="both", labelsize=float(labels[0].get_fontsize()) * factor)
    for text in figure.findobj(Text):
        if text not in ticks:
            text.set_fontsize(float(text.get_fontsize()) * factor)
