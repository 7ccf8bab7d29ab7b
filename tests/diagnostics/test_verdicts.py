"""Each verdict on a network built to have exactly that fault, and on near misses that do not have it.

Rows are those of XOR: 00, 01, 10, 11 with targets 0, 1, 1, 0.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nnspec.diagnostics import VERDICTS, diagnose

SOLUTION = {
    "0.weight": [[1, 1], [1, 1]],
    "0.bias": [0, -1],
    "2.weight": [[20, -40]],
    "2.bias": [-10],
}  # of relu and bce


def verdict(group):
    return str(diagnose(group).verdict[0])


@pytest.fixture
def two(spec_of):
    """A spec with two hidden units."""
    return lambda **fields: spec_of(**{"model": {"name": "mlp", "hidden": [2]}, **fields})


@pytest.fixture
def one(spec_of):
    """A spec with one hidden unit, squared error and a linear output."""
    return lambda **fields: spec_of(
        **{"model": {"name": "mlp", "hidden": [1], "output": "identity"}, "loss": "mse", **fields}
    )


def test_order_is_that_of_the_issue():
    assert VERDICTS == (
        "diverged",
        "solved",
        "beyond_capacity",
        "dead_units",
        "symmetric",
        "saturated",
        "local_minimum",
        "saddle",
        "still_learning",
        "stuck",
    )


def test_solved(two, by_hand):
    assert verdict(by_hand(two(), SOLUTION)) == "solved"


def test_a_row_outside_the_tolerance_is_not_solved(two, by_hand):
    weights = SOLUTION | {"2.weight": [[20, -38]]}  # the last row is at p = 1/2
    assert verdict(by_hand(two(), weights | {"2.bias": [-2]})) != "solved"


@pytest.mark.parametrize(
    ("loss", "nonfinite_at", "expected"),
    [
        ((0.7, 0.7, 0.7), 2, True),
        ((0.7, np.nan, np.nan), -1, True),
        ((0.7, 6.0, 7.5), -1, True),  # eleven times the start and growing
        ((0.7, 6.0, 6.5), -1, False),  # growing, but nine times the start
        ((0.7, 8.0, 7.5), -1, False),  # eleven times the start, but on its way back
    ],
)
def test_diverged(two, by_hand, loss, nonfinite_at, expected):
    group = by_hand(two(), SOLUTION | {"2.bias": [-30]}, loss=loss, nonfinite_at=nonfinite_at)
    assert (verdict(group) == "diverged") is expected


def test_weights_that_are_not_finite_are_diverged_and_measure_nothing(two, by_hand):
    found = diagnose(by_hand(two(), SOLUTION | {"2.bias": [np.inf]}))
    assert found.verdict[0] == "diverged"
    assert np.isnan(found.numbers["gradient_norm"][0])


def test_numbers_that_overflow_are_not_infinite(two, by_hand):
    with np.errstate(over="ignore", invalid="ignore"):  # the reference's, which only finds out whether rows are right
        group = by_hand(two(), {name: 1e200 * np.array(tensor) for name, tensor in SOLUTION.items()})
    found = diagnose(group)
    assert not any(np.isinf(values).any() for values in found.numbers.values())


def test_a_network_unsolved_by_a_rounding_error_has_an_unsolved_row(two, by_hand):
    group = replace(by_hand(two(), SOLUTION), right=np.array([False]))  # as float32 may have had it
    assert verdict(group) not in ("solved", "dead_units", "saturated")


def test_perceptron_on_xor_is_beyond_capacity(spec_of, by_hand):
    found = diagnose(by_hand(spec_of(model="perceptron"), {"0.weight": [[0, 0]], "0.bias": [0]}))
    assert found.verdict[0] == "beyond_capacity"
    # the bound that cannot be kept is log(0.6 / 0.4), and the best all rows can do is z = 0; 1e-6: the solver's
    # tolerance
    assert found.numbers["margin"][0] == pytest.approx(-np.log(1.5), abs=1e-6)


def test_a_linear_network_is_no_better_than_a_perceptron(two, by_hand):
    assert verdict(by_hand(two(activation="identity"), SOLUTION)) == "beyond_capacity"
    leaky = {"name": "leaky_relu", "negative_slope": 1.0}  # which is the identity by another name
    assert verdict(by_hand(two(activation=leaky), SOLUTION)) == "beyond_capacity"
    assert verdict(by_hand(two(activation="leaky_relu"), SOLUTION | {"2.bias": [-30]})) != "beyond_capacity"


def test_a_perceptron_on_separable_rows_is_not_beyond_capacity(spec_of, by_hand):
    weights = {"0.weight": [[0, 0]], "0.bias": [0]}
    assert verdict(by_hand(spec_of(model="perceptron", data="and"), weights)) != "beyond_capacity"
    loose = spec_of(model="perceptron", solved={"tolerance": 0.51})  # p = 1/2 everywhere is good enough
    assert verdict(by_hand(loose, weights)) == "solved"


def test_dead_units_that_are_off_for_every_row(two, by_hand):
    weights = {"0.weight": [[-1, -1], [-1, -2]], "0.bias": [0, 0], "2.weight": [[1, 2]], "2.bias": [0]}
    found = diagnose(by_hand(two(), weights))
    assert found.verdict[0] == "dead_units"
    assert found.numbers["dead_units"][0] == 2
    assert found.numbers["dead_rows"][0] == 4


def test_units_that_are_off_only_for_rows_not_yet_right(two, by_hand):
    # both units see row 11 alone, where the output is right; of the others, all at p = 2/3, row 00 is wrong
    weights = {"0.weight": [[1, 1], [2, 2]], "0.bias": [-1.5, -3], "2.weight": [[-20, -30]], "2.bias": [np.log(2)]}
    found = diagnose(by_hand(two(), weights))
    assert found.verdict[0] == "dead_units"
    assert found.numbers["dead_units"][0] == 0
    assert found.numbers["dead_rows"][0] == 3
    awake = weights | {"0.weight": [[1, 1], [-1, -1]], "0.bias": [-1.5, 0.1]}  # the second unit sees row 00
    assert verdict(by_hand(two(), awake)) != "dead_units"


def test_smooth_activations_do_not_die(two, by_hand):
    weights = {"0.weight": [[60, 60], [50, 70]], "0.bias": [90, 90], "2.weight": [[1, 2]], "2.bias": [0]}
    found = diagnose(
        by_hand(two(activation="sigmoid"), weights)
    )  # their derivative underflows to 0: saturated, not dead
    assert found.numbers["dead_units"][0] == 0
    assert found.verdict[0] == "saturated"


def test_an_output_that_is_off_is_dead(one, by_hand):
    spec = one(model={"name": "mlp", "hidden": [1], "output": "relu"})
    weights = {"0.weight": [[1, 1]], "0.bias": [1], "2.weight": [[-1]], "2.bias": [0]}
    assert verdict(by_hand(spec, weights)) == "dead_units"
    assert verdict(by_hand(one(), weights)) != "dead_units"


COPIES = {"0.weight": [[1, 1], [1, 1]], "0.bias": [0.5, 0.5], "2.weight": [[0.3, 0.3]], "2.bias": [0]}


def test_symmetric(two, by_hand):
    found = diagnose(by_hand(two(activation="sigmoid"), COPIES))
    assert found.verdict[0] == "symmetric"
    assert found.numbers["distinct_units"][0] == 1
    assert found.numbers["margin"][0] < 0


def test_units_that_are_merely_alike_are_not_symmetric(two, by_hand):
    for near in ({"0.weight": [[1, 1], [1, 1.001]]}, {"0.bias": [0.5, 0.501]}, {"2.weight": [[0.3, 0.301]]}):
        found = diagnose(by_hand(two(activation="sigmoid"), COPIES | near))
        assert found.verdict[0] != "symmetric"
        assert found.numbers["distinct_units"][0] == 2


def test_copies_that_cost_nothing_are_not_the_reason(spec_of, by_hand):
    # the first two units of the solution, each twice: the two distinct ones can solve XOR, the output does not yet
    weights = {"0.weight": [[1, 1]] * 4, "0.bias": [0, 0, -1, -1], "2.weight": [[1, 1, -1, -1]], "2.bias": [0]}
    found = diagnose(by_hand(spec_of(), weights))
    assert found.numbers["distinct_units"][0] == 2
    assert found.numbers["margin"][0] > 0
    assert found.verdict[0] != "symmetric"


FLAT = {"0.weight": [[20, 20], [20, 20]], "0.bias": [-10, -35], "2.weight": [[1, -3]], "2.bias": [0]}


def test_saturated(two, by_hand):
    # |z| >= 5 on every row: the output layer could still learn, the first hardly
    found = diagnose(by_hand(two(activation="sigmoid"), FLAT))
    assert found.verdict[0] == "saturated"
    assert found.numbers["passage"][0] < 0.01
    assert found.numbers["gradient_ratio"][0] < 0.01


def test_one_open_unit_or_a_gradient_that_arrives_is_not_saturated(two, by_hand):
    opened = FLAT | {"0.bias": [-10, -20]}  # the second unit is at z = 0 for rows 01 and 10
    found = diagnose(by_hand(two(activation="sigmoid"), opened))
    assert found.verdict[0] != "saturated"
    assert found.numbers["passage"][0] == pytest.approx(0.25)  # the sigmoid's derivative at 0
    loud = FLAT | {"2.weight": [[1000, -3000]], "2.bias": [1000]}  # large weights carry the gradient down all the same
    found = diagnose(by_hand(two(activation="sigmoid"), loud))
    assert found.numbers["passage"][0] < 0.01
    assert found.numbers["gradient_ratio"][0] > 0.01
    assert found.verdict[0] != "saturated"


MINIMUM = {"0.weight": [[1, 1]], "0.bias": [1], "2.weight": [[0]], "2.bias": [0.5]}


def test_local_minimum(one, by_hand):
    # on for every row, the unit is linear there, and the best a linear function can do on XOR is 1/2 everywhere
    found = diagnose(by_hand(one(), MINIMUM, loss=(0.3, 0.25, 0.25)))
    assert found.verdict[0] == "local_minimum"
    assert found.numbers["plateau_loss"][0] == 0.25
    assert found.numbers["smallest_eigenvalue"][0] >= -1e-12  # exactly 0 but for rounding


def test_next_to_a_minimum_the_gradient_is_not_zero(one, by_hand):
    found = diagnose(by_hand(one(), MINIMUM | {"2.bias": [0.6]}))
    assert found.verdict[0] == "stuck"
    assert np.isnan(found.numbers["plateau_loss"][0])


def test_saddle(one, by_hand):
    # odd about the middle rows, the unit cannot help the output (weight 0); but moved aside it could, and then the
    # weight
    weights = {"0.weight": [[1, 1]], "0.bias": [-1], "2.weight": [[0]], "2.bias": [0.5]}
    found = diagnose(by_hand(one(activation="tanh"), weights))
    assert found.verdict[0] == "saddle"
    assert found.numbers["gradient_norm"][0] < 1e-12  # exactly 0 but for rounding
    assert found.numbers["smallest_eigenvalue"][0] < -0.1


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        ((0.70, 0.60, 0.50, 0.495, 0.49), "still_learning"),
        ((0.70, 0.60, 0.50, 0.50, 0.50), "stuck"),
        ((0.70, 0.60, 0.50, 0.50, 0.5001), "stuck"),
        ((0.70, 0.60, 0.50, 0.50, 0.4999), "stuck"),  # it falls, but by 2e-4
    ],
)
def test_still_learning_or_stuck(one, by_hand, loss, expected):
    assert verdict(by_hand(one(), MINIMUM | {"2.bias": [0.6]}, loss=loss)) == expected


def test_a_loss_that_only_jitters_is_not_learning(one, by_hand):
    jitter = [
        0.5,
        *(0.5 - 1e-3 * step + 0.02 * (-1) ** step for step in range(50)),
    ]  # a fall of 2% under a jitter of 4%
    assert verdict(by_hand(one(), MINIMUM | {"2.bias": [0.6]}, loss=jitter)) == "stuck"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"model": "perceptron"}, "beyond_capacity"),
        ({"init": "constant", "activation": "sigmoid", "train": {"epochs": 1500}}, "symmetric"),
        (
            {
                "loss": "mse",
                "model": {"name": "mlp", "output": "identity"},
                "optimizer": {"name": "sgd", "lr": 50},
                "train": {"epochs": 100},
            },
            "diverged",
        ),
        ({"init": {"name": "constant", "value": -1}}, "dead_units"),
        (
            {
                "activation": "tanh",
                "init": "xavier_uniform",
                "model": {"name": "mlp", "hidden": [16]},
                "train": {"epochs": 200},
            },
            "solved",
        ),
    ],
)
def test_trained_networks(spec_of, train_group, fields, expected):
    assert verdict(train_group(spec_of(**fields))) == expected
