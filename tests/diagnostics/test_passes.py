"""The batched passes that reports and read-back use, against the reference, one network at a time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from nnspec import reference
from nnspec.diagnostics.gradients import backward, outputs, passes, stacked, undisturbed
from nnspec.initial import initial_weights
from nnspec.problem import Problem

NETWORKS = 5


@pytest.fixture(
    params=[{"activation": "prelu"}, {"loss": "cross_entropy"}, {"loss": "huber"}, {"model": "perceptron"}], ids=str
)
def case(request, spec_of):
    fields = {"model": {"name": "mlp", "hidden": [4, 3]}, "init": {"name": "normal", "std": 1.0, "bias": "same"}}
    spec = spec_of(**fields | request.param, dtype="float64")
    return spec, initial_weights(spec, np.arange(NETWORKS))


def one(weights, network):
    return {name: tensor[network] for name, tensor in weights.items()}


@pytest.mark.parametrize("other", [False, True])
def test_outputs_are_the_reference_s(case, other):
    """For the problem's rows, or for others."""
    spec, weights = case
    rows = np.random.default_rng(0).normal(size=(7, 2)) if other else None
    problem = replace(Problem.of(spec), inputs=rows) if other else Problem.of(spec)
    expected = [reference.forward(problem, one(weights, network))[-1].h for network in range(NETWORKS)]
    np.testing.assert_allclose(outputs(stacked(spec), weights, rows), expected, rtol=1e-13)  # sums of a few terms


def test_passes_take_some_networks_at_a_time(case):
    spec, weights = case
    problem = stacked(spec)
    (whole,) = passes(problem, weights)
    largest = max(len(problem.inputs) * problem.width, problem.shape.parameters)
    parts = list(passes(problem, weights, most=2 * largest))
    assert [len(part.h[-1]) for part in parts] == [2, 2, 1]
    for number, values in enumerate(whole.h):
        torch.testing.assert_close(torch.cat([part.h[number] for part in parts]), values, rtol=1e-13, atol=0)


def test_gradients_are_the_reference_s(case):
    spec, weights = case
    problem = Problem.of(spec)
    (run,) = passes(stacked(spec), weights)
    layers = backward(stacked(spec), run).layers
    for network in range(NETWORKS):
        own = one(weights, network)
        expected = reference.backward(problem, own, reference.forward(problem, own))
        for dense, after, layer in zip(problem.shape.dense, problem.shape.after, layers, strict=True):
            names = [f"{dense.name}.weight", f"{dense.name}.bias", *after.tensors]
            for name, part in zip(names, layer.parts(), strict=True):
                found = part[network].reshape(expected[name].shape).numpy()
                np.testing.assert_allclose(found, expected[name], rtol=1e-12, atol=1e-15)


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_one_thread_inside_and_as_many_as_before_after_it(two_threads):
    with undisturbed():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 2
