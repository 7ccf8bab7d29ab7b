"""Every loss against torch: the sum of elements times scale is torch's mean, and gradients are autograd's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from nnspec.catalog import LOSSES, OUTPUTS, Loss
from nnspec.catalog.maths import NumpyMaths
from nnspec.torch_maths import TorchMaths

TIGHT = 1e-12  # a few roundings of float64 (1e-16) on numbers of up to a few thousand
ROWS, NETWORKS = 7, 3
DELTAS = (0.5, 1.0, 2.0)
Oracle = Callable[[torch.Tensor, torch.Tensor, torch.Tensor, dict[str, Any]], torch.Tensor]

F = torch.nn.functional
ORACLES: dict[str, Oracle] = {  # (pre-activations z, outputs p, targets y, parameters) -> torch's mean loss
    "bce": lambda z, p, y, q: F.binary_cross_entropy_with_logits(z, y),
    "mse": lambda z, p, y, q: F.mse_loss(p, y),
    "cross_entropy": lambda z, p, y, q: F.cross_entropy(z, y.argmax(1)),
    "hinge": lambda z, p, y, q: torch.clamp(1 - y * p, min=0).mean(),
    "huber": lambda z, p, y, q: F.huber_loss(p, y, delta=q["delta"]),
}
CASES = [
    (loss, {"delta": delta} if loss.params else {}, reach)
    for loss in LOSSES
    for delta in (DELTAS if loss.params else DELTAS[:1])
    for reach in (2.0, 40.0, 700.0)
]
IDS = [f"{loss.name}-{q}-{reach:g}" for loss, q, reach in CASES]


def test_every_loss_has_an_oracle() -> None:
    assert ORACLES.keys() == set(LOSSES.names())


def drawn(loss: Loss, reach: float) -> tuple[np.ndarray, np.ndarray]:
    """Pre-activations [n, k, m] up to ``reach`` and targets [n, k]."""
    rng = np.random.default_rng(5)
    columns = loss.columns(2)
    return rng.uniform(-reach, reach, (ROWS, columns, NETWORKS)), loss.targets(rng.integers(0, 2, ROWS), 2)


def outputs(loss: Loss, z: torch.Tensor) -> torch.Tensor:
    return OUTPUTS[loss.output].bind({}).value(TorchMaths(), z)


@pytest.mark.parametrize("library", ["numpy", "torch"])
@pytest.mark.parametrize(("loss", "q", "reach"), CASES, ids=IDS)
def test_value_and_gradient(loss: Loss, q: dict[str, Any], reach: float, library: str) -> None:
    z, y = drawn(loss, reach)
    for network in range(NETWORKS):
        inner = torch.tensor(z[..., network], requires_grad=True)
        p = outputs(loss, inner)
        mean = ORACLES[loss.name](inner, p, torch.tensor(y), q)
        (expected,) = torch.autograd.grad(mean, inner if loss.fused else p)
        xp, like = (NumpyMaths(), np.asarray) if library == "numpy" else (TorchMaths(), torch.tensor)
        arguments = [like(a) for a in (z, outputs(loss, torch.tensor(z)).numpy(), y[..., None])]
        scale = loss.scale(ROWS, y.shape[1])
        elements, gradient = loss.elements(xp, *arguments, q), loss.gradient(xp, *arguments, q)
        assert np.asarray(elements).dtype == np.asarray(gradient).dtype == np.float64
        np.testing.assert_allclose(np.asarray(elements)[..., network].sum() * scale, mean.item(), rtol=TIGHT)
        np.testing.assert_allclose(np.asarray(gradient)[..., network] * scale, expected.numpy(), rtol=TIGHT, atol=TIGHT)


def test_a_small_bce_keeps_its_digits_in_single_precision() -> None:
    z = torch.tensor([[20.0], [-20.0]])
    y = torch.tensor([[1.0], [0.0]])
    elements = LOSSES["bce"].elements(TorchMaths(), z, torch.sigmoid(z), y, {})
    np.testing.assert_allclose(elements.numpy(), np.log1p(np.exp(-20.0)), rtol=1e-6)  # float32 has 7 digits


@pytest.mark.parametrize("delta", [0.25, 1.0])
def test_huber_at_its_corner(delta: float) -> None:
    p, y = np.array([[delta], [-delta]]), np.zeros((2, 1))
    loss = LOSSES["huber"]
    np.testing.assert_array_equal(loss.elements(NumpyMaths(), p, p, y, {"delta": delta}), 0.5 * delta**2)
    np.testing.assert_array_equal(loss.gradient(NumpyMaths(), p, p, y, {"delta": delta}), p)


def test_scale_is_the_mean_over_rows_and_over_outputs_but_for_one_hot() -> None:
    scales = {loss.name: loss.scale(4, 3) for loss in LOSSES}
    assert scales == {"bce": 1 / 12, "mse": 1 / 12, "cross_entropy": 1 / 4, "hinge": 1 / 12, "huber": 1 / 12}


def test_targets_and_columns() -> None:
    labels = np.array([0, 1, 1])
    assert LOSSES["bce"].targets(labels, 2).tolist() == [[0.0], [1.0], [1.0]]
    assert LOSSES["hinge"].targets(labels, 2).tolist() == [[-1.0], [1.0], [1.0]]
    assert LOSSES["cross_entropy"].targets(labels, 3).tolist() == [[1, 0, 0], [0, 1, 0], [0, 1, 0]]
    assert [loss.columns(3) for loss in LOSSES] == [3 if loss.one_hot else 1 for loss in LOSSES]


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.name)
def test_distance_is_0_on_target_and_1_from_one_target_to_the_other(loss: Loss) -> None:
    y = loss.targets(np.array([0, 1]), 2)
    xp = NumpyMaths()
    np.testing.assert_array_equal(loss.distance(xp, y, y), 0.0)
    np.testing.assert_array_equal(loss.distance(xp, y[::-1], y), 1.0)


def test_hinge_counts_beyond_the_margin_as_on_target() -> None:
    assert LOSSES["hinge"].distance(NumpyMaths(), np.array([5.0, -5.0, 0.0]), np.array([1.0, -1.0, 1.0])).tolist() == [
        0.0,
        0.0,
        0.5,
    ]


def test_the_distance_of_classes_is_below_a_half_where_the_right_one_is_largest() -> None:
    rng = np.random.default_rng(3)
    p, labels = rng.dirichlet(np.ones(5), size=200), rng.integers(0, 5, 200)
    found = LOSSES["cross_entropy"].distance(NumpyMaths(), p[..., None], np.eye(5)[labels][..., None])
    assert found.shape == (200, 1, 1)
    assert ((found[:, 0, 0] < 0.5) == (p.argmax(1) == labels)).all()
    two = np.column_stack([p[:, 0], 1 - p[:, 0]])
    y = np.eye(2)[labels % 2]
    near = LOSSES["cross_entropy"].distance(NumpyMaths(), two, y)
    np.testing.assert_allclose(near, np.abs(two - y)[:, :1], rtol=0, atol=1e-15)  # roundings of numbers below 2
