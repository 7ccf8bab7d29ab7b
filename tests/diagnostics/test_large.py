"""Diagnosis beyond exact sizes: against the exact one, on networks small enough for both; what it holds; crowds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from nnspec.diagnostics import THRESHOLDS, Group, diagnose, room
from nnspec.diagnostics import pieces as in_pieces
from nnspec.diagnostics.capacity import FREE, model_margin, problem_margin
from nnspec.diagnostics.conditions import wants_every_row
from nnspec.diagnostics.room import Extent
from nnspec.diagnostics.rows import Rows, drawn, on_rows
from nnspec.initial import initial_weights
from nnspec.problem import Problem

NETWORKS = 3
BITS = 7  # of parity: 128 rows, as many as the sample has


@pytest.fixture
def beyond(monkeypatch):
    """Everything counts as beyond exact sizes."""
    monkeypatch.setattr(room, "EXACT_WORK", 0)


def untrained(spec, scale=1.0, problem=None, loss=(0.7, 0.7)):
    """A group of networks as they are drawn, which end at ``scale`` times that."""
    start = initial_weights(spec, np.arange(NETWORKS))
    final = {name: tensor * np.float32(scale) for name, tensor in start.items()}
    history = np.tile(loss, (NETWORKS, 1))
    wrong, never = np.zeros(NETWORKS, dtype=bool), np.full(NETWORKS, -1)
    return Group(spec, start, final, np.arange(len(loss)), history, wrong, never, problem)


def parity(spec_of, bits=BITS, **fields):
    known = {"data": {"name": "parity", "bits": bits}, "model": {"name": "mlp", "hidden": [12, 9]}, "dtype": "float64"}
    return spec_of(**{**known, "init": "torch_default", **fields})


SUMMED = ("dead_units", "dead_rows", "passage", "gradient_norm", "relative_gradient", "gradient_ratio")


@pytest.mark.parametrize("rows_a_piece", [7, 1000])
@pytest.mark.parametrize(
    "fields",
    [
        {"activation": "relu"},
        {"activation": "tanh", "loss": "cross_entropy"},
        {"activation": "prelu", "loss": "huber"},
        {"activation": "relu", "loss": "mse", "model": {"name": "mlp", "hidden": [3], "output": "relu"}},
    ],
    ids=str,
)
def test_sums_over_pieces_are_the_exact_numbers(spec_of, monkeypatch, fields, rows_a_piece):
    spec = parity(spec_of, **fields)
    exact = diagnose(untrained(spec, 3.0))
    assert exact.estimated == {}
    monkeypatch.setattr(room, "EXACT_WORK", 0)
    monkeypatch.setattr(room, "PIECE", 12 * rows_a_piece)  # of networks that are 12 wide
    found = diagnose(untrained(spec, 3.0))
    np.testing.assert_array_equal(found.verdict, exact.verdict)
    for name, values in found.numbers.items():
        # 1e-9: float64 sums of 128 rows in another order; the sample is all rows here
        np.testing.assert_allclose(values, exact.numbers[name], rtol=1e-9, atol=1e-12, err_msg=name)


def test_float32_is_enough(spec_of, monkeypatch):
    spec = parity(spec_of, dtype="float32", activation="relu")
    exact = diagnose(untrained(spec, 3.0))
    monkeypatch.setattr(room, "EXACT_WORK", 0)
    found = diagnose(untrained(spec, 3.0))
    for name in SUMMED:
        # 1e-4: float32 has 6e-8, and the gradient is what is left of 128 rows of both signs
        np.testing.assert_allclose(found.numbers[name], exact.numbers[name], rtol=1e-4, err_msg=name)


@pytest.mark.parametrize("tolerance", [0.4, 1.0], ids=["rows that are wrong", "no row is wrong: the worst"])
def test_rows_that_are_not_right_are_found_in_whatever_piece_they_lie(spec_of, monkeypatch, tolerance):
    """Some layer is off for them, or it is not: as the exact diagnosis says, with a unit that dies at some inputs."""
    spec = parity(spec_of, bits=5, model={"name": "mlp", "hidden": [2, 2]}, solved={"tolerance": tolerance})
    groups = [untrained(spec, scale) for scale in (0.5, 2.0, 20.0)]
    exact = [diagnose(group) for group in groups]
    monkeypatch.setattr(room, "EXACT_WORK", 0)
    monkeypatch.setattr(room, "PIECE", 5 * 3)
    for group, expected in zip(groups, exact, strict=True):
        found = diagnose(group)
        np.testing.assert_array_equal(found.verdict, expected.verdict)
        np.testing.assert_allclose(found.numbers["passage"], expected.numbers["passage"], rtol=1e-12)  # products


def test_a_sample_estimates_and_says_so(spec_of):
    spec = parity(spec_of, bits=11, activation="sigmoid", model={"name": "mlp", "hidden": [64, 10]})
    found = diagnose(untrained(spec, 2.0))
    assert found.estimated["effective_rank"] == "estimated from 128 of 2,048 rows"
    assert "gradient" not in found.estimated  # a thousand passes: all rows
    assert "local_minimum" in found.estimated
    problem = replace(Problem.of(spec), inputs=Problem.of(spec).inputs)
    whole = Extent(2048, False, 2048, 2048, 30)
    final = torch.from_numpy(np.concatenate([t.reshape(NETWORKS, -1) for t in untrained(spec, 2.0).final.values()], 1))
    ends, _ = in_pieces.probe_in_pieces(Rows(problem, whole, torch.float64), final, final, THRESHOLDS)
    for name in ("effective_rank", "saturation", "activation_std.0"):
        # a fifth: 128 rows estimate a standard deviation to 6 percent, and ranks of a few directions as well
        np.testing.assert_allclose(found.numbers[name], ends.numbers[name], rtol=0.2, atol=0.02, err_msg=name)


def test_short_trainings_look_at_a_fortieth_of_what_they_trained_on(spec_of):
    shape = Problem.of(parity(spec_of)).shape
    assert Extent.of(shape, 100_000, 3).looked == 7_500
    assert Extent.of(shape, 100_000, 40).looked == 100_000
    assert Extent.of(shape, 100_000, 1_000_000).looked == 100_000
    words = Extent.of(shape, 100_000, 3).estimates()
    assert words["dead_units"] == "estimated from 7,500 of 100,000 rows"
    assert Extent.of(shape, 500, 3).exact  # 217 weights on 500 rows
    assert not Extent.of(shape, 5000, 3).exact


def test_rows_are_drawn_by_their_number_alone():
    some = drawn(10_000, 128)
    assert len(set(some.tolist())) == 128
    assert (np.diff(some) > 0).all()
    np.testing.assert_array_equal(some, drawn(10_000, 128))
    np.testing.assert_array_equal(drawn(5, 128), np.arange(5))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_neighbours_do_not_matter(spec_of, beyond, dtype):
    spec = parity(spec_of, dtype=dtype, activation="tanh")
    whole = untrained(spec, 0.01)  # small weights: near a saddle, so that the curvature is measured
    found = diagnose(whole)
    assert np.isfinite(found.numbers["smallest_eigenvalue"]).all()
    for network in range(NETWORKS):
        here = slice(network, network + 1)
        alone = diagnose(
            replace(
                whole,
                initial={name: tensor[here] for name, tensor in whole.initial.items()},
                final={name: tensor[here] for name, tensor in whole.final.items()},
                loss=whole.loss[here],
                right=whole.right[here],
                nonfinite_at=whole.nonfinite_at[here],
            )
        )
        for name, values in found.numbers.items():
            np.testing.assert_array_equal(alone.numbers[name], values[here], err_msg=name)  # bitwise


def test_curvature_along_two_directions_is_that_of_the_whole_hessian(spec_of, monkeypatch):
    spec = parity(spec_of, activation="tanh", model={"name": "mlp", "hidden": [6]})
    exact = diagnose(untrained(spec, 0.02))
    monkeypatch.setattr(room, "EXACT_WORK", 0)
    found = diagnose(untrained(spec, 0.02))
    np.testing.assert_array_equal(found.verdict, exact.verdict)
    low, high = (exact.numbers[f"{which}_eigenvalue"] for which in ("smallest", "largest"))
    assert np.isfinite(low).all()
    # thirty steps in 55 dimensions leave less than a hundredth of the spectrum's width; never beyond its ends
    width = high - low
    assert (found.numbers["smallest_eigenvalue"] >= low - 1e-12).all()
    assert (found.numbers["smallest_eigenvalue"] <= low + 0.01 * width).all()
    assert (found.numbers["largest_eigenvalue"] >= high - 0.01 * width).all()
    assert (found.numbers["largest_eigenvalue"] <= high + 1e-12).all()


def test_arrays_are_no_larger_for_more_rows(spec_of, monkeypatch):
    """Counted in elements of what the forward passes make: the largest at a time, whatever the number of rows."""
    seen: list[int] = []
    whole = in_pieces.forward

    def counted(problem, flat):
        run = whole(problem, flat)
        seen.append(sum(part.numel() for part in (*run.z, *run.h, *run.slopes)))
        return run

    monkeypatch.setattr(in_pieces, "forward", counted)
    monkeypatch.setattr(room, "PIECE", 2**13)
    largest = []
    for bits in (12, 13):
        seen.clear()
        spec = parity(spec_of, bits=bits, model={"name": "mlp", "hidden": [64]})
        diagnose(untrained(spec))
        largest.append(max(seen))
    assert largest[0] == largest[1]
    assert largest[0] <= 3 * 2**13 + 3 * 128  # z, h and slopes of 64 units; of one output
    sizes = [
        room.diagnosis_bytes(parity(spec_of, bits=bits, model={"name": "mlp", "hidden": [64]}), 1) for bits in (14, 15)
    ]
    assert sizes[1] / sizes[0] < 1.1  # one more input, and twice the rows


def lines(spec, rows, noise):
    """Rows in thirty dimensions that a plane separates, but for some if there is noise."""
    random = np.random.default_rng(0)
    inputs = random.normal(size=(rows, 30))
    side = inputs @ random.normal(size=30) + noise * random.normal(size=rows) > 0
    problem = Problem.of(spec)
    dense = replace(problem.shape.dense[0], fan_in=30)
    return replace(
        problem, shape=replace(problem.shape, dense=(dense,)), inputs=inputs, targets=side[:, None].astype(float)
    )


def test_a_perceptron_on_thousands_of_rows_that_no_plane_separates_is_beyond_capacity(spec_of):
    spec = spec_of(model="perceptron")
    for noise, expected in ((1.0, "beyond_capacity"), (0.0, "stuck")):
        problem = lines(spec, 4500, noise)
        weights = {"0.weight": np.ones((1, 1, 30)), "0.bias": np.zeros((1, 1))}
        history = np.array([[0.7, 0.7]])
        group = Group(spec, weights, weights, np.arange(2), history, np.zeros(1, bool), np.full(1, -1), problem)
        assert str(diagnose(group).verdict[0]) == expected


def test_programs_that_would_be_too_large_or_could_prove_nothing_are_not_asked(spec_of):
    problem = lines(spec_of(model="perceptron"), 500, 1.0)
    assert problem_margin(problem) < 0
    wide = np.random.default_rng(0).normal(size=(500, 3_000))
    shape = replace(problem.shape, dense=(replace(problem.shape.dense[0], fan_in=3_000),))
    assert problem_margin(replace(problem, shape=shape, inputs=wide)) == FREE


def test_parity_of_many_bits_is_beyond_a_perceptron(spec_of):
    assert model_margin(spec_of(model="perceptron", data={"name": "parity", "bits": 13})) < 0


def test_regression_has_bounds_for_each_target(spec_of):
    spec = spec_of(model={"name": "perceptron", "output": "identity"}, loss="mse")
    problem = Problem.of(spec)
    random = np.random.default_rng(0)
    inputs = random.normal(size=(300, 2))
    near = inputs @ np.array([[1.0], [2.0]]) + 0.39 * random.uniform(-1, 1, size=(300, 1))
    assert problem_margin(replace(problem, inputs=inputs, targets=near)) > 0  # within the tolerance of 0.4
    near[7] += 3
    assert problem_margin(replace(problem, inputs=inputs, targets=near)) < 0


def test_three_classes_whose_right_one_must_be_the_largest(spec_of):
    spec = spec_of(model="perceptron", loss="cross_entropy", activation="softmax")
    problem = replace(Problem.of(spec), tolerance=0.5)
    layer = replace(problem.shape.dense[0], fan_out=3)
    shape = replace(problem.shape, dense=(layer,))
    corners = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    assert problem_margin(replace(problem, shape=shape, inputs=corners, targets=np.eye(3))) > 0
    line = np.array([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0], [3.0, 0.0]])  # the first class on both sides of the second
    targets = np.eye(3)[[0, 1, 0, 2]]
    assert problem_margin(replace(problem, shape=shape, inputs=line, targets=targets)) <= 1e-6  # as a program can tell


def test_on_rows_keeps_rows_and_targets_together(spec_of):
    problem = Problem.of(parity(spec_of, bits=8, loss="mse"))
    some = on_rows(problem, 20)
    np.testing.assert_array_equal(some.inputs.sum(1) % 2, some.targets[:, 0])
    assert len(some.inputs) == 20


def test_what_a_linear_program_decides_only_where_every_row_counts():
    class Asked:
        measure, at_least = "test_accuracy", 0.95

    assert not wants_every_row(Asked())


def test_a_crowd_of_copies_is_symmetric(spec_of, beyond):
    spec = parity(spec_of, activation="sigmoid", init={"name": "constant"})
    assert set(diagnose(untrained(spec)).verdict) == {"symmetric"}
