"""What networks learn, put together in one place: against the formulas of the entries that it is made of."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from nnspec.catalog import LOSSES
from nnspec.problem import Problem
from nnspec.specs import RunSpec
from nnspec.training.network_last import XP

SpecOf = Callable[..., RunSpec]


def test_rows_and_targets_are_the_data_s_as_the_loss_wants_them(spec_of: SpecOf) -> None:
    problem = Problem.of(spec_of(loss="hinge", data={"name": "and", "encoding": "bipolar"}))
    assert problem.inputs.tolist() == [[-1, -1], [-1, 1], [1, -1], [1, 1]]
    assert problem.targets.tolist() == [[-1], [-1], [-1], [1]]
    assert Problem.of(spec_of(loss="cross_entropy")).targets.tolist() == [[1, 0], [0, 1], [0, 1], [1, 0]]
    assert Problem.of(spec_of(model={"name": "mlp", "hidden": [3, 9, 2]})).width == 9


@pytest.mark.parametrize("loss", LOSSES.names())
def test_loss_and_gradient_of_a_stack_are_autograd_s_and_each_network_s_own(spec_of: SpecOf, loss: str) -> None:
    alone = Problem.of(spec_of(loss=loss))
    together = alone.stacked(torch.from_numpy)
    z = torch.randn(*alone.targets.shape, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    z.requires_grad_()
    losses = together.losses(XP, z, together.output.value(XP, z))
    (expected,) = torch.autograd.grad(losses.sum(), z)
    found = together.gradient(XP, z, together.output.value(XP, z))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-14)  # a few roundings of numbers of size 1
    one = alone.stacked(torch.from_numpy)
    for network in range(5):
        own = z[..., network : network + 1]
        torch.testing.assert_close(one.losses(XP, own, one.output.value(XP, own)), losses[network : network + 1])


def test_distances_are_the_loss_s(spec_of: SpecOf) -> None:
    problem = Problem.of(spec_of(loss="hinge")).stacked(torch.from_numpy)
    p = torch.tensor([3.0, -0.5], dtype=torch.float64).expand(4, 1, 2)
    expected = np.array([[2.0, 0.25], [0.0, 0.75], [0.0, 0.75], [2.0, 0.25]])[:, None]
    np.testing.assert_array_equal(problem.distances(XP, p).numpy(), expected)
