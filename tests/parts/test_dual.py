"""Derivatives that are made of formulas, against torch's own, for every formula of the catalog."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nnspec.catalog import ACTIVATIONS, OUTPUTS
from nnspec.catalog.maths import NumpyMaths
from nnspec.parts.dual import derivative
from nnspec.torch_maths import XP

Z = np.linspace(-4.13, 3.87, 48)  # no kink of any formula is among them
NUMPY = NumpyMaths()
ELEMENTWISE = sorted({entry.name for entry in (*ACTIVATIONS, *OUTPUTS)} - {"softmax"})  # which goes over outputs
EXACT = 1e-12  # a few roundings, of numbers near 1


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_a_derivative_of_an_activation_is_that_of_torch(name: str) -> None:
    entry = ACTIVATIONS[name] if name in ACTIVATIONS else OUTPUTS[name]
    params = {param.name: param.default for param in entry.params}
    z = torch.tensor(Z, requires_grad=True)
    value = entry.value(XP, z, params)
    value.sum().backward() if value.requires_grad else None
    expected = np.zeros_like(Z) if z.grad is None else z.grad.numpy()

    for xp, at in ((NUMPY, Z), (XP, torch.tensor(Z))):
        made = derivative(lambda xp, z: entry.value(xp, z, params), xp, at)
        assert np.shape(made) == Z.shape
        np.testing.assert_allclose(np.asarray(made), expected, rtol=EXACT, atol=EXACT)


def test_powers_quotients_and_choices_have_the_derivative_of_torch() -> None:
    def formula(xp, z, one):  # type: ignore[no-untyped-def]
        return xp.where(z > 0.5, one / (2 + z * z), -(z**3) + 1 - xp.clip(z, -1.0, 1.0) / 3)

    z = torch.tensor(Z, requires_grad=True)
    formula(XP, z, 1.0).sum().backward()
    assert z.grad is not None
    made = derivative(lambda xp, z: formula(xp, z, 1.0), NUMPY, Z)
    np.testing.assert_allclose(made, z.grad.numpy(), rtol=EXACT, atol=EXACT)


def test_what_has_no_known_derivative_is_said() -> None:
    with pytest.raises(TypeError, match=r"give slope= beside the formula"):
        derivative(lambda xp, z: xp.gamma(z), NUMPY, Z)
