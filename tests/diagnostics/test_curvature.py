"""Gradients and Hessians of every activation and loss against automatic and finite differences; Lanczos against
LAPACK."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nnspec.catalog import ACTIVATIONS, LOSSES
from nnspec.diagnostics.curvature import Curvature, both_ends, extremes, lanczos
from nnspec.diagnostics.gradients import backward, flat_of, flatten, forward, losses, stacked

TRAINABLE = [entry.name for entry in ACTIVATIONS if entry.trainable]


def draw(spec, networks=3, scale=1.0):
    """A problem and random weights, at which no pre-activation is at a kink."""
    function = stacked(spec)
    generator = torch.Generator().manual_seed(0)
    size = function.shape.parameters
    return function, scale * torch.randn(networks, size, dtype=torch.float64, generator=generator)


def gradient(function, flat):
    """By the backward pass, [m, P]."""
    return flat_of(backward(function, forward(function, flat)).layers)


def by_autograd(function, flat):
    """Gradients and Hessians of each network by reverse mode, twice."""

    def loss(weights):
        return losses(function, forward(function, weights[None]))[0]

    first = torch.func.jacrev(loss)
    return torch.stack([first(w) for w in flat]), torch.stack([torch.func.jacrev(first)(w) for w in flat])


@pytest.mark.parametrize("activation", TRAINABLE)
def test_every_activation_against_autograd(spec_of, activation):
    spec = spec_of(activation=activation, model={"name": "mlp", "hidden": [3, 2]})
    function, flat = draw(spec)
    first, second = by_autograd(function, flat)
    # 1e-12: both round a few dozen operations on numbers of size 1
    torch.testing.assert_close(gradient(function, flat), first, rtol=0, atol=1e-12)
    torch.testing.assert_close(Curvature(function, flat).hessian(), second, rtol=0, atol=1e-12)


@pytest.mark.parametrize("loss", LOSSES.names())
@pytest.mark.parametrize("activation", ["tanh", "prelu"])  # a smooth one, and one that learns
def test_every_loss_against_autograd(spec_of, loss, activation):
    function, flat = draw(spec_of(activation=activation, loss=loss))
    first, second = by_autograd(function, flat)
    torch.testing.assert_close(gradient(function, flat), first, rtol=0, atol=1e-12)
    torch.testing.assert_close(Curvature(function, flat).hessian(), second, rtol=0, atol=1e-12)


@pytest.mark.parametrize("activation", ["relu", "gelu", "prelu"])
def test_hessian_against_finite_differences(spec_of, activation):
    function, flat = draw(spec_of(activation=activation, model={"name": "mlp", "hidden": [4, 3]}))
    step = 1e-5
    columns = []
    for place in range(flat.shape[1]):
        move = torch.zeros_like(flat)
        move[:, place] = step
        columns.append((gradient(function, flat + move) - gradient(function, flat - move)) / (2 * step))
    # central differences err by step^2 = 1e-10 times third derivatives of size 1 to 10, and round by 1e-16 / step
    torch.testing.assert_close(Curvature(function, flat).hessian(), torch.stack(columns, dim=2), rtol=0, atol=1e-8)


def test_a_unit_exactly_at_a_kink_has_the_curvature_of_the_piece_that_training_saw(spec_of):
    weights = {
        "0.weight": [[[1.0, 1.0]]],
        "0.bias": [[0.0]],
        "2.weight": [[[1.0]]],
        "2.bias": [[0.0]],
    }  # z = 0 at row 00
    function = stacked(spec_of(model={"name": "mlp", "hidden": [1]}))
    flat = flatten(function.shape, {name: np.array(w) for name, w in weights.items()})
    below = flat.clone()
    below[0, 2] = -1e-9  # the unit's bias: now row 00 is clearly on the side where the slope is 0, as it was at 0
    # 1e-8: the bias moved by 1e-9
    torch.testing.assert_close(
        Curvature(function, flat).hessian(), Curvature(function, below).hessian(), rtol=0, atol=1e-8
    )


def test_lanczos_against_exact_eigenvalues(spec_of):
    function, flat = draw(spec_of(activation="tanh", model={"name": "mlp", "hidden": [12, 12]}), networks=5, scale=0.5)
    along = Curvature(function, flat)
    exact, krylov = torch.linalg.eigvalsh(along.hessian()), torch.linalg.eigvalsh(lanczos(along, 60))
    assert flat.shape[1] > 150  # so that this is what such networks get
    low, high = extremes(function, flat)
    np.testing.assert_array_equal(low, krylov[:, 0])
    np.testing.assert_array_equal(high, krylov[:, -1])
    # four rows leave few large eigenvalues, which 60 steps find to rounding; 1e-6 of the width is a wide margin
    width = (exact[:, -1] - exact[:, 0]).max().item()
    torch.testing.assert_close(krylov[:, [0, -1]], exact[:, [0, -1]], rtol=0, atol=1e-6 * width)
    few = torch.linalg.eigvalsh(lanczos(along, 3))  # inside the spectrum, however few the steps
    assert (few[:, 0] >= exact[:, 0] - 1e-12).all()
    assert (few[:, -1] <= exact[:, -1] + 1e-12).all()
    assert (few[:, 0] > exact[:, 0] + 1e-6).any()


def test_lanczos_in_an_exhausted_space(spec_of):
    bipolar = {
        "name": "xor",
        "encoding": "bipolar",
    }  # orthogonal inputs: the Hessian is twice the identity, one step tells all
    function, flat = draw(
        spec_of(model={"name": "perceptron", "output": "identity"}, loss="mse", data=bipolar), networks=2
    )
    # 1e-12: rounding of a 3 by 3 problem
    found = torch.linalg.eigvalsh(lanczos(Curvature(function, flat), 60))
    torch.testing.assert_close(found, torch.full_like(found, 2), rtol=0, atol=1e-12)


def test_a_hessian_that_is_not_finite_spoils_no_other():
    matrices = torch.eye(2, dtype=torch.float64).repeat(2, 1, 1)
    matrices[0, 0, 0] = torch.inf
    found = both_ends(matrices)
    assert torch.isnan(found[0]).all()
    assert (found[1] == 1).all()
