"""Pictures of maps: the numbers that are drawn, and the boundary's dimension."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nnspec.analysis.figures.draw import VERDICTS
from nnspec.analysis.figures.maps import (
    SIDE,
    MapAxis,
    boundary_dimension,
    convergence_info,
    names_info,
    numbers_info,
    plot_convergence,
    plot_names,
    plot_numbers,
    ticks,
)

X = MapAxis("optimizer.lr", np.geomspace(0.01, 1000, 4), True)
Y = MapAxis("optimizer.momentum", np.linspace(0, 0.9, 2), False)


def test_shades_are_ranks_of_those_that_converged_and_of_those_that_diverged() -> None:
    score = np.array([[-9.0, -0.5, -3.0, 0.1], [0.4, 0.4, 7.0, np.nan]])
    shades = convergence_info(X, Y, score).shades
    assert shades[0, :3] == pytest.approx([-0.25, -1.0, -0.625])  # the slowest, the fastest, the one between
    assert shades[0, 3] == 1.0  # the fastest to diverge
    assert shades[1, 0] == shades[1, 1] == pytest.approx(1 - 0.75 * 0.5)  # they share the second and the third rank
    assert shades[1, 2] == 0.25
    assert np.isnan(shades[1, 3])


def test_few_extreme_numbers_do_not_hide_the_rest() -> None:
    values = np.linspace(1, 2, 1000).reshape(20, 50)
    values[0, 0], values[0, 1] = 1e30, np.inf
    info = numbers_info(X, Y, values)
    assert 1.0 <= info.low < info.high < 2.01
    assert np.isnan(info.shades[0, 1])
    assert (numbers_info(X, Y, values, 0.0, 1.0).low, numbers_info(X, Y, np.full((2, 2), np.nan)).high) == (0.0, 1.0)


def test_a_large_map_is_drawn_by_some_of_its_pixels() -> None:
    info = numbers_info(X, Y, np.broadcast_to(np.arange(3 * SIDE), (10, 3 * SIDE)))
    assert info.shades.shape == (4, SIDE)
    assert info.shades[0, :3].tolist() == [0, 3, 6]


@pytest.mark.parametrize(
    ("axis", "places", "labels"),
    [
        (
            MapAxis("a", np.geomspace(0.01, 1000, 6), True),
            [0, 1, 2, 3, 4, 5],
            ["0.01", "0.1", "1", "10", "100", "1000"],
        ),
        (MapAxis("a", np.linspace(0, 1, 9), False), [0, 2, 4, 6, 8], ["0", "0.25", "0.5", "0.75", "1"]),
        (MapAxis("a", np.linspace(0, 0.9, 2), False), [0, 0.25, 0.5, 0.75, 1], ["0", "0.225", "0.45", "0.675", "0.9"]),
    ],
)
def test_axes_are_marked(axis: MapAxis, places: list[float], labels: list[str]) -> None:
    found = ticks(axis)
    assert found[0] == pytest.approx(places)
    assert found[1] == labels


def test_a_deep_zoom_has_labels_that_differ() -> None:
    labels = ticks(MapAxis("a", np.geomspace(10.0001, 10.0002, 9), True))[1]
    assert len(set(labels)) == 5
    assert labels[0] == "10.0001"


def test_pictures_say_what_they_show() -> None:
    drawn = plot_convergence(convergence_info(X, Y, np.array([[-1.0, 1, 2, 3], [-2, 1, 1, 1]])), "a title")
    axes = drawn.axes[0]
    assert (axes.get_title("left"), axes.get_xlabel(), axes.get_ylabel()) == ("a title", X.key, Y.key)
    image = axes.images[0]
    red, _, blue, _ = image.cmap(image.norm(-1.0))
    assert blue > red
    red, _, blue, _ = image.cmap(image.norm(1.0))
    assert red > blue
    names = plot_names(names_info(X, Y, np.array([[0, 0, 0, 2], [0, 1, 2, 255]]), tuple(VERDICTS)), "verdicts")
    legend = names.axes[0].get_legend()
    assert legend is not None
    first, second, third = list(VERDICTS)[:3]
    said = [label.get_text().split(",")[0].replace(" ", "_") for label in legend.get_texts()]
    assert said == [first, third, second]
    assert plot_numbers(numbers_info(X, Y, np.ones((2, 4))), "t", "loss", log=True).axes[1].get_ylabel() == "loss"


def disc(side: int) -> np.ndarray:
    y, x = np.mgrid[:side, :side]
    return (x - side / 2) ** 2 + (y - side / 2) ** 2 < (side / 3) ** 2


def gasket(side: int) -> np.ndarray:
    """Sierpinski's: its dimension is log 3 / log 2."""
    y, x = np.mgrid[:side, :side]
    return (x & y) == 0


@pytest.mark.parametrize(
    ("inside", "dimension", "within"),
    [
        (disc(512), 1.0, 0.05),  # a smooth line
        (gasket(512), math.log(3) / math.log(2), 0.05),
        (np.random.default_rng(0).random((512, 512)) < 0.5, 2.0, 0.05),  # noise fills the plane
    ],
)
def test_the_dimension_of_a_boundary_that_is_known(inside: np.ndarray, dimension: float, within: float) -> None:
    assert boundary_dimension(inside) == pytest.approx(dimension, abs=within)


def test_what_has_no_boundary_has_no_dimension() -> None:
    assert math.isnan(boundary_dimension(np.ones((64, 64), bool)))
    assert math.isnan(boundary_dimension(disc(16)))
