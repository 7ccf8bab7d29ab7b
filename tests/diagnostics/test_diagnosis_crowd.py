"""A diagnosis depends on its own network alone, and leaves no trace."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nnspec.check import checked_mapping
from nnspec.diagnostics import VERDICTS, Group, diagnose
from nnspec.diagnostics.trend import tail_updates, trend, trends
from nnspec.duration import pace
from nnspec.initial import initial_weights
from nnspec.results.arrays import NEVER
from nnspec.training.spans import logged_steps


def part(group, which):
    """Some networks of a group."""
    return replace(
        group,
        initial={name: tensor[which] for name, tensor in group.initial.items()},
        final={name: tensor[which] for name, tensor in group.final.items()},
        loss=group.loss[which],
        right=group.right[which],
        nonfinite_at=group.nonfinite_at[which],
    )


def same(some, other):
    np.testing.assert_array_equal(some.verdict, other.verdict)
    assert some.numbers.keys() == other.numbers.keys()
    for name, values in some.numbers.items():
        np.testing.assert_array_equal(values, other.numbers[name], err_msg=name)  # bitwise, NaN where NaN


PARITY = {"name": "parity", "bits": 3}


@pytest.fixture(
    scope="module",
    params=[
        {"activation": "relu"},
        {"activation": "sigmoid", "model": {"name": "mlp", "hidden": [3, 5]}, "optimizer": {"name": "sgd", "lr": 0.5}},
        {"activation": "gelu", "loss": "cross_entropy", "train": {"epochs": 20}},
        {
            "activation": "mish",
            "data": {"name": "parity", "bits": 3},
            "model": {"name": "mlp", "hidden": [13, 12]},
            "train": {"epochs": 30},
        },
        {
            "activation": "sigmoid",
            "data": {"name": "parity", "bits": 3},
            "model": {"name": "mlp", "hidden": [25, 27]},
            "train": {"epochs": 9},
        },
        {
            "activation": "logsigmoid",
            "loss": "huber",
            "data": {"name": "symmetry", "bits": 6},
            "model": {"name": "mlp", "hidden": [3, 5]},
            "train": {"epochs": 9},
        },
    ],
    ids=["relu", "sigmoid", "cross_entropy", "lanczos", "wide", "64 rows"],
)
def crowd(request, spec_of, train_group):
    return train_group(spec_of(**{"replicates": 37, "train": {"epochs": 200}, **request.param}))


def test_neighbours_do_not_matter(crowd):
    whole = diagnose(crowd)
    for which in ([5], [36], [3, 1, 2], list(range(20, 37))):
        alone = diagnose(part(crowd, which))
        same(
            alone, replace(whole, verdict=whole.verdict[which], numbers={k: v[which] for k, v in whole.numbers.items()})
        )


def test_random_state_and_threads_are_left_alone(crowd):
    torch.manual_seed(7)
    np.random.seed(7)
    before, numpy_before, threads = torch.get_rng_state(), np.random.get_state()[1].copy(), torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with torch.inference_mode():  # as the trainer leaves it while a worker diagnoses
            inside = diagnose(crowd)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(torch.get_rng_state(), before)
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_before)
    same(diagnose(crowd), inside)


def test_arrays_of_a_group_are_not_written_to(crowd):
    before = {name: tensor.copy() for name, tensor in crowd.final.items()}
    loss = crowd.loss.copy()
    diagnose(crowd)
    np.testing.assert_array_equal(crowd.loss, loss)
    for name, tensor in before.items():
        np.testing.assert_array_equal(crowd.final[name], tensor)


@given(
    scale=st.floats(0, 1e30),
    activation=st.sampled_from(["relu", "sigmoid", "hardtanh", "prelu", "identity"]),
    loss=st.sampled_from(["bce", "mse", "cross_entropy", "hinge"]),
    rows=st.integers(1, 12),
    seed=st.integers(0, 2**31),
)
@settings(max_examples=40, deadline=None)
def test_every_network_gets_exactly_one_verdict_and_no_number_is_infinite(scale, activation, loss, rows, seed):
    members = {
        "model": "mlp",
        "activation": activation,
        "init": "torch_default",
        "optimizer": "adam",
        "loss": loss,
        "data": "xor",
    }
    spec = checked_mapping({key: {"name": name} for key, name in members.items()} | {"train": {"epochs": 100}})
    random = np.random.default_rng(seed)
    start = initial_weights(spec, np.arange(6))
    final = {name: tensor * scale for name, tensor in start.items()}
    history = random.exponential(size=(6, rows))
    group = Group(
        spec, start, final, np.linspace(0, 100, rows).astype(int), history, random.random(6) < 0.3, np.full(6, -1)
    )
    found = diagnose(group)
    shares = [float((found.verdict == name).mean()) for name in VERDICTS]
    assert sum(shares) == pytest.approx(1)  # sixths do not add up exactly
    assert not any(np.isinf(values).any() for values in found.numbers.values())
    assert all(values.shape == (6,) for values in found.numbers.values())


def test_trend_of_a_straight_line():
    steps = np.arange(0, 101, 10)
    falling = 2 - steps / 100  # from 1.2 to 1 over the last fifth: 0.2 of its mean there, 1.1
    slope, jitter = trend(steps, np.array([falling, np.full(11, 0.3)]))
    np.testing.assert_allclose(slope, [-0.2 / 1.1, 0], atol=1e-12)  # 1e-12: rounding
    np.testing.assert_allclose(jitter, [0, 0], atol=1e-12)


def test_the_trend_of_a_network_that_was_stopped_is_that_of_its_own_training(spec_of):
    """Its history repeats its last loss from there on; a training as short has the same trend, to the last bit."""
    steps, random = np.arange(0, 101, 10), np.random.default_rng(0)
    loss = random.random((4, 11))
    loss[1, 6:], loss[2, 1:], loss[3, 6:] = loss[1, 6], loss[2, 1], loss[3, 6]
    stopped_at = np.array([NEVER, 60, 10, 60])
    group = Group(spec_of(), {}, {}, steps, loss, np.zeros(4, bool), np.full(4, NEVER), stopped_at=stopped_at)
    found = trends(group)
    own = [trend(steps[:rows], loss[[m], :rows]) for m, rows in enumerate((11, 7, 2, 7))]
    np.testing.assert_array_equal(found, np.concatenate(own, axis=1))
    assert np.isfinite(found).all()


@given(epochs=st.integers(1, 300), every=st.integers(1, 400))
def test_the_span_of_a_trend_is_that_of_the_rows_it_reads(spec_of, epochs, every):
    """A loss that is 0 at the end of the span and falls by 1 an update falls by the span's length; what came before,
    which is far away, would tell."""
    spec = spec_of(train={"epochs": epochs, "log_every": every})
    span, steps = tail_updates(spec), logged_steps(pace(spec))
    inside = steps >= epochs - span
    slope, jitter = trend(steps, np.where(inside, epochs - steps, 1e9)[None])
    mean = (epochs - steps[inside]).mean()
    np.testing.assert_allclose((slope * mean, jitter), (-np.full(1, span), np.zeros(1)), atol=1e-9)  # rounding


def test_trend_of_a_single_row_is_unknown():
    slope, jitter = trend(np.array([0]), np.array([[0.5]]))
    assert np.isnan(slope).all()
    assert np.isnan(jitter).all()
