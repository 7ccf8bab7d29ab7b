"""Figures for journals: as wide as a column, letters that fit it and can be read, fonts inside."""

from __future__ import annotations

import io
import re
from functools import partial

import numpy as np
import pytest
from matplotlib.text import Text
from PIL import Image

from nnspec.analysis import figures as f
from nnspec.analysis.figures.files import COLUMNS, FORMATS, figure_file
from nnspec.analysis.figures.fit import fit_info, plot_fit
from nnspec.analysis.figures.rows import RowOutcomes

GRID = np.linspace(-0.5, 1.5, 21)
POINTS, TARGETS = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]
SURFACE = {"label": "relu: solved, seed 12", "xs": GRID, "ys": GRID, "p": np.tile(GRID, (21, 1))}
AXES = ["activation.name", "optimizer.lr"]


def plots(table):
    steps = np.arange(0, 101, 10)
    x = np.linspace(-2, 2, 41)
    curves = f.curves_info({f"a rather long label {k}": (steps, np.exp(-steps / 30) + np.ones((3, 1))) for k in "ab"})
    surfaces = f.surfaces_info([{**SURFACE, "points": POINTS, "targets": TARGETS}] * 30)
    line = f.lines_info([np.eye(2), -np.eye(2)], [[0, 0], [1, 1]], POINTS, TARGETS, "relu: failed, seed 3")
    moments = {"start": np.arange(9.0), "end": np.arange(9.0)}
    outcomes = RowOutcomes("test", np.arange(6) % 3, np.zeros((2, 6), int), np.zeros((2, 6), bool), tuple("abc"))
    return {
        "heatmap": partial(f.plot_heatmap, f.heatmap_info(table, *AXES)),
        "verdicts": partial(f.plot_verdicts, f.verdicts_info(table, AXES[0])),
        "survival": partial(f.plot_survival, f.survival_info(table, AXES[0])),
        "loss": partial(f.plot_curves, curves),
        "norms": partial(f.plot_norms, [curves, curves]),
        "surfaces": partial(f.plot_surfaces, surfaces),
        "lines": partial(f.plot_lines, [line] * 3),
        "activations": partial(f.plot_activations, [f.activation_info(x, x, x * 0 + 1, "leaky_relu")] * 5),
        "histograms": partial(f.plot_histograms, f.histograms_info({str(k): moments for k in range(4)})),
        "confusion": partial(f.plot_confusions, [f.confusion_info(outcomes)]),
        "fit": partial(plot_fit, fit_info(x, np.sin(x)[None], (x[::9], x[::9]))),
    }


KINDS = ["heatmap", "verdicts", "survival", "loss", "norms", "surfaces", "lines", "activations", "histograms"]
KINDS += ["confusion", "fit"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_figure_fills_a_column(small, kind):
    plot = plots(small)[kind]
    for column in COLUMNS.values():
        width, height = plot(width=column.width).get_size_inches()
        assert width == pytest.approx(column.width)
        assert height <= 9.5  # a page is not higher


@pytest.mark.parametrize("column", COLUMNS.values(), ids=COLUMNS)
def test_pictures_have_the_pixels_of_print(small, column):
    image = Image.open(io.BytesIO(figure_file(plots(small)["loss"], "png", column)))
    assert image.width == pytest.approx(300 * column.width, abs=1)


@pytest.mark.sampled(2)
@pytest.mark.parametrize("kind", KINDS)
def test_no_letter_is_too_small_to_read_or_lies_outside(small, kind):
    """Journals ask for 5 points and more. What is outside the figure is cut; half a letter is let off."""
    column, kept = COLUMNS["single"], []

    def plot(width):
        kept.append(plots(small)[kind](width=width))
        return kept[0]

    figure_file(plot, "svg", column)
    figure = kept[0]
    figure.set_layout_engine("none")  # it is laid out
    texts = [text for text in figure.findobj(Text) if text.get_text() and text.get_visible()]
    assert min(float(text.get_fontsize()) for text in texts) >= 5
    figure.draw_without_rendering()
    # labels of ticks beyond the limits are not drawn, though they have a place
    ticks = {label for axes in figure.axes for axis in (axes.xaxis, axes.yaxis) for label in axis.get_ticklabels()}
    for text in (text for text in texts if text not in ticks):
        box = text.get_window_extent()
        assert box.x0 >= -3, text.get_text()
        assert box.x1 <= figure.bbox.x1 + 3, text.get_text()


def test_fonts_are_embedded_as_outlines(small):
    plot = plots(small)["loss"]
    pdf = figure_file(plot, "pdf", COLUMNS["double"])
    assert pdf.startswith(b"%PDF")
    assert b"/FontFile2" in pdf  # TrueType, of fonttype 42
    assert b"/Type3" not in pdf
    svg = figure_file(plot, "svg", COLUMNS["double"]).decode()
    assert "<text" not in svg  # letters are paths
    assert "font-family" not in svg
    width = re.search(r'<svg [^>]*width="([\d.]+)pt"', svg)
    assert width is not None
    assert float(width[1]) == pytest.approx(72 * 6.75)


@pytest.mark.parametrize("format", FORMATS)
def test_the_same_figure_is_the_same_file(small, format):
    plot = plots(small)["confusion"]
    assert figure_file(plot, format, COLUMNS["single"]) == figure_file(plot, format, COLUMNS["single"])


def test_a_column_changes_nothing_for_the_page(small):
    """What is drawn for a journal leaves no trace in what is drawn next."""
    plot = plots(small)["confusion"]
    before = f.png(plot())
    figure_file(plot, "pdf", COLUMNS["single"])
    assert f.png(plot()) == before
