"""The numbers in the pictures of verdicts, against what is known by hand and against the diagnosis."""

from __future__ import annotations

import numpy as np
import pytest

from nnspec.analysis.figures.draw import png
from nnspec.diagnostics import VERDICTS
from nnspec.diagnostics.curvature import extremes
from nnspec.diagnostics.gradients import flatten, stacked
from nnspec.explaining.examples import EXAMPLES
from nnspec.explaining.pictures import along_directions, hessian, over_the_plane, unit_values, verdict_figure
from nnspec.problem import Problem


def test_every_verdict_has_an_example():
    assert set(EXAMPLES) == set(VERDICTS)


@pytest.mark.parametrize("verdict", VERDICTS)
def test_every_picture_can_be_drawn(verdict):
    assert png(verdict_figure(verdict)).startswith(b"\x89PNG")


def test_units_that_are_off_are_hatched_where_they_are_off():
    units = unit_values(EXAMPLES["dead_units"])
    assert units.rows == ("0 0", "0 1", "1 0", "1 1")
    np.testing.assert_array_equal(units.off[:, :3], True)
    np.testing.assert_array_equal(units.off[:, 3], [True, True, True, False])
    np.testing.assert_array_equal(units.values[3], [0, 0, 0, 1])
    np.testing.assert_array_equal(units.wrong, [True, False, False, False])


def test_a_perceptron_has_no_hidden_units_to_show():
    assert unit_values(EXAMPLES["beyond_capacity"]).values.shape == (4, 0)


def test_the_surface_goes_through_the_rows_outputs():
    surface, units = over_the_plane(EXAMPLES["dead_units"]), unit_values(EXAMPLES["dead_units"])
    np.testing.assert_array_equal(surface.wrong, units.wrong)
    x, y = np.searchsorted(surface.xs, 1.0 - 1e-9), np.searchsorted(surface.ys, 1.0 - 1e-9)
    assert surface.p[y, x] == pytest.approx(units.outputs[3], rel=1e-9)  # the grid's 1 may be off by a rounding


@pytest.mark.parametrize("verdict", ["local_minimum", "saddle"])
def test_the_hessian_is_that_of_the_diagnosis(verdict):
    example = EXAMPLES[verdict]
    function = stacked(example.spec)
    low, high = extremes(function, flatten(function.shape, {k: v[None] for k, v in example.tensors.items()}))
    found = np.linalg.eigvalsh(hessian(Problem.of(example.spec), example.tensors))
    # central differences err by step^2 = 1e-8 times third derivatives of size 10
    np.testing.assert_allclose(found[[0, -1]], [low[0], high[0]], atol=1e-6)


def test_the_loss_falls_to_both_sides_of_the_saddle_and_nowhere_from_the_minimum():
    for verdict, falls in (("saddle", True), ("local_minimum", False)):
        line = along_directions(EXAMPLES[verdict])
        here = len(line.x) // 2
        smallest, largest = line.ys.values()
        assert line.x[here] == 0
        assert (smallest[here] - smallest[[here - 20, here + 20]] > 1e-3).all() == falls
        assert (largest >= largest[here]).all()
