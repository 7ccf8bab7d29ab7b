"""What linear programs prove, against what is known by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from nnspec.catalog import DATA, LOSSES
from nnspec.diagnostics.capacity import Bounds, bounds, margin, model_margin
from nnspec.problem import Problem

XOR = DATA["xor"].make({"encoding": "binary"})


@pytest.mark.parametrize("data", ["and", "or", "nand"])
@pytest.mark.parametrize("loss", LOSSES.names())
def test_gates_that_a_line_separates(spec_of, data, loss):
    assert model_margin(spec_of(model="perceptron", data=data, loss=loss)) > 0.01


@pytest.mark.parametrize("data", ["xor", "xnor", {"name": "parity", "bits": 5}])
@pytest.mark.parametrize("loss", LOSSES.names())
def test_parity_in_every_guise_is_out_of_reach(spec_of, data, loss):
    assert model_margin(spec_of(model="perceptron", data=data, loss=loss)) < -0.01


@pytest.mark.parametrize(
    ("tolerance", "possible"), [(0.4, False), (0.49, False), (0.5, False), (0.51, True), (1.0, True)]
)
def test_the_tolerance_decides(spec_of, tolerance, possible):
    # the best a perceptron can do on XOR is p = 1/2 for all rows, and a row is right if it is strictly within
    found = model_margin(spec_of(model="perceptron", solved={"tolerance": tolerance}))
    assert (found > 1e-6) is possible


def test_a_perceptron_gets_any_three_rows_of_xor_and_never_four(spec_of):
    needed = bounds(Problem.of(spec_of()))
    for rows in itertools.combinations(range(4), 3):
        kept = list(rows)
        some = type(needed)(needed.directions, needed.least[kept], needed.width[kept])
        assert margin(XOR.inputs[kept], some) == pytest.approx(1.0)  # as much room as is asked for
    assert margin(XOR.inputs, needed) < 0


@pytest.mark.parametrize("outputs", [1, 3])
def test_rows_with_the_same_features_need_no_linear_program(outputs):
    rng = np.random.default_rng(0)
    eye = np.eye(outputs)
    for _ in range(20):
        low = rng.normal(size=(6, outputs))
        high = low + rng.exponential(size=low.shape)
        low[rng.random(low.shape) < 0.3], high[rng.random(low.shape) < 0.3] = -np.inf, np.inf
        least, width = np.hstack([low, -high]), np.tile(np.minimum((high - low) / 2, 1), 2)
        needed = Bounds(np.vstack([eye, -eye]), least, width)
        features = np.repeat(rng.normal(size=(1, 2)), 6, axis=0)
        # the same bounds by the program, which has another row that nothing is asked of
        free = Bounds(
            needed.directions,
            np.vstack([least, np.full(2 * outputs, -np.inf)]),
            np.vstack([width, np.ones(2 * outputs)]),
        )
        by_program = margin(np.vstack([features, features[:1] + 1]), free)
        assert margin(features, needed) == pytest.approx(by_program, abs=1e-7)  # as exact as the program


def test_bounds_of_outputs_are_where_the_output_is_at_the_tolerance(spec_of):
    sigmoid = bounds(Problem.of(spec_of(solved={"tolerance": 0.4})))
    # z > log(0.6 / 0.4) for target 1 and z < -log(0.6 / 0.4) for target 0; 1e-9: bisection goes on to the last digit
    np.testing.assert_allclose(sigmoid.least[:, 0], [-np.inf, np.log(1.5), np.log(1.5), -np.inf], atol=1e-9)
    np.testing.assert_allclose(sigmoid.least[:, 1], [np.log(1.5), -np.inf, -np.inf, np.log(1.5)], atol=1e-9)
    identity = {"name": "mlp", "output": "identity"}
    straight = bounds(Problem.of(spec_of(model=identity, loss="mse", solved={"tolerance": 0.25})))
    np.testing.assert_allclose(
        straight.least, [[-0.25, -0.25], [0.75, -1.25], [0.75, -1.25], [-0.25, -0.25]], atol=1e-9
    )
    np.testing.assert_allclose(straight.width, 0.25, atol=1e-9)
    one_sided = bounds(Problem.of(spec_of(model=identity, loss="hinge")))  # targets -1 and 1; beyond them is right too
    np.testing.assert_allclose(one_sided.least[:, 0], [-np.inf, 0.2, 0.2, -np.inf], atol=1e-9)


def test_an_output_that_cannot_reach_a_target_is_beyond_any_model(spec_of):
    below_zero = spec_of(loss="mse", model={"name": "mlp", "hidden": [8], "output": "logsigmoid"})
    assert model_margin(below_zero) == -np.inf
    reaches = spec_of(loss="mse", model={"name": "mlp", "hidden": [8], "output": "relu"})
    assert model_margin(reaches) == np.inf


def test_nothing_is_proved_of_models_that_are_not_linear(spec_of):
    assert model_margin(spec_of()) == np.inf
    wavy = spec_of(loss="mse", model={"name": "perceptron", "output": "sine"})  # solves XOR: sin has no order to keep
    assert model_margin(wavy) == np.inf
    assert model_margin(spec_of(activation={"name": "prelu", "init": 1.0})) == np.inf  # linear at first, then it learns
