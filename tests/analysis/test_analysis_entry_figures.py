"""Figures of catalog entries: the numbers they show, and what they say of them."""

from __future__ import annotations

import numpy as np
import pytest

from nnspec.analysis.figures.entries import plot_activation, plot_weights, weights_info
from nnspec.analysis.figures.layers import MOST_LAYERS, activation_info

WEIGHTS = np.random.default_rng(0).uniform(-1, 1, (50, 4, 20))


def test_a_histogram_is_a_density_beside_the_promised_one() -> None:
    info = weights_info("0", WEIGHTS, std=3**-0.5, density=lambda w: np.where(abs(w) <= 1, 0.5, 0.0))
    assert (info.drawn * np.diff(info.edges)).sum() == pytest.approx(1)
    assert info.std_drawn == pytest.approx(3**-0.5, rel=0.02)  # 4000 draws: two standard errors
    assert info.promised is not None
    assert (info.promised.max(), info.promised[0], info.promised[-1]) == (0.5, 0, 0)
    assert info.places[0] < info.edges[0]


def test_what_is_not_finite_is_left_out() -> None:
    info = weights_info("0", np.array([0.0, 1.0, np.inf, np.nan]))
    assert (info.mean, info.std_drawn, info.promised) == (0.5, 0.5, None)
    assert weights_info("0", np.array([np.nan])).std_drawn == 0


def test_a_promise_that_is_no_number_is_not_drawn() -> None:
    assert weights_info("0", WEIGHTS, density=lambda w: w / 0).promised is None


def test_a_panel_a_layer_says_promise_and_draw() -> None:
    infos = [weights_info(str(layer), WEIGHTS + 2, std=0.5) for layer in range(MOST_LAYERS + 3)]
    figure = plot_weights(infos, "init some")
    panels = [axes for axes in figure.axes if axes.get_visible()]
    assert len(panels) == MOST_LAYERS
    assert panels[0].get_title("left") == f"layer 0: std promised 0.5, drawn {WEIGHTS.std():.4g}"
    assert "3 more layers not shown" in figure.get_suptitle()
    marks = sorted(line.get_xdata()[0] for line in panels[0].lines)
    assert marks == pytest.approx([WEIGHTS.mean() + 1.5, WEIGHTS.mean() + 2.5])


def test_an_activation_is_drawn_with_its_formulas() -> None:
    z = np.linspace(-4, 4, 81)
    figure = plot_activation(activation_info(z, np.maximum(z, 0), z > 0, "relu"), "max(0, z)", "1 if z > 0")
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["f = max(0, z)", "f' = 1 if z > 0"]
    assert "relu: |f'| < 0.01 over 51% of z from -4 to 4" in figure.axes[0].get_title("left")
    value, slope = figure.axes[0].lines[2:]
    np.testing.assert_array_equal(value.get_ydata(), np.maximum(z, 0))
    np.testing.assert_array_equal(slope.get_ydata(), z > 0)
