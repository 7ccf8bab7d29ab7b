"""The built module: what a student reads, and the weights it holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from nnspec.builder import build, with_weights
from nnspec.catalog import ACTIVATIONS
from nnspec.errors import WeightsError
from nnspec.initial import initial_weights
from nnspec.specs import RunSpec

SpecOf = Callable[..., RunSpec]

PRINTED = """Sequential(
  (0): Linear(in_features=2, out_features=4, bias=True)
  (1): GELU(approximate='none')
  (2): Linear(in_features=4, out_features=1, bias=True)
  (3): Sigmoid()
)"""


def test_the_printed_form_reads_like_a_textbook(spec_of: SpecOf) -> None:
    assert str(build(spec_of(activation="gelu"))) == PRINTED


@pytest.mark.parametrize(
    ("fields", "kinds"),
    [
        ({"model": "perceptron"}, ["Linear", "Sigmoid"]),
        ({"loss": "cross_entropy"}, ["Linear", "ReLU", "Linear", "Softmax"]),
        ({"loss": "hinge", "activation": "sine"}, ["Linear", "Sine", "Linear"]),
        ({"activation": "identity"}, ["Linear", "Identity", "Linear", "Sigmoid"]),
        (
            {"activation": "prelu", "model": {"name": "mlp", "hidden": [3, 2]}},
            ["Linear", "PReLU", "Linear", "PReLU", "Linear", "Sigmoid"],
        ),
    ],
    ids=str,
)
def test_layers(spec_of: SpecOf, fields: dict[str, Any], kinds: list[str]) -> None:
    assert [type(layer).__name__ for layer in build(spec_of(**fields))] == kinds


@pytest.mark.parametrize("kind", ["float32", "float64"])
@pytest.mark.parametrize("activation", ["relu", "prelu"])
def test_it_holds_the_initial_weights_of_its_seed(spec_of: SpecOf, activation: str, kind: str) -> None:
    spec = spec_of(activation=activation, dtype=kind, seed=5)
    for seed, net in ((5, build(spec)), (8, build(spec, 8))):
        for name, w in initial_weights(spec, [seed]).items():
            tensor = net.state_dict()[name]
            assert tensor.dtype == getattr(torch, kind)
            np.testing.assert_array_equal(tensor.numpy(), w[0])
        assert all(parameter.requires_grad for parameter in net.parameters())


def test_outputs_are_probabilities(spec_of: SpecOf) -> None:
    x = torch.tensor([[0.0, 1.0], [30.0, -4.0]])
    softmax = build(spec_of(loss="cross_entropy"))(x)
    assert softmax.shape == (2, 2)
    torch.testing.assert_close(softmax.sum(1), torch.ones(2))
    sigmoid = build(spec_of())(x)
    assert ((sigmoid > 0) & (sigmoid < 1)).all()


@pytest.mark.parametrize("entry", [e for e in ACTIVATIONS if e.trainable], ids=lambda entry: entry.name)
def test_every_activation_builds_and_learns_something(spec_of: SpecOf, entry: Any) -> None:
    net = build(spec_of(activation=entry.name, init="normal"), 2)
    net(torch.tensor([[1.0, -1.0], [0.0, 1.0]])).sum().backward()
    assert all(parameter.grad is not None for parameter in net.parameters())
    out = net(torch.tensor([[0.5, 0.25]]))
    torch.testing.assert_close(net(torch.tensor([[0.5, 0.25]])), out, rtol=0, atol=0)  # RReLU draws nothing


def test_heaviside_steps_above_0() -> None:
    from nnspec.modules.pointwise import Heaviside

    assert Heaviside()(torch.tensor([-1.0, 0.0, 1e-30])).tolist() == [0.0, 0.0, 1.0]


def test_what_is_given_is_not_shared(spec_of: SpecOf) -> None:
    weights = {name: w[0] for name, w in initial_weights(spec_of(), [0]).items()}
    before = weights["0.weight"].copy()
    with torch.no_grad():
        with_weights(spec_of(), weights)[0].weight.zero_()
    np.testing.assert_array_equal(weights["0.weight"], before)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"0.weight": np.zeros((4, 3))}, r"'0\.weight', \(4, 2\)\), \('0\.weight', \(4, 3\)"),
        ({"9.weight": np.zeros(1)}, r"9\.weight"),
        ({"2.bias": None}, r"2\.bias"),
    ],
    ids=str,
)
def test_weights_that_do_not_fit_are_refused(spec_of: SpecOf, change: dict[str, Any], named: str) -> None:
    weights = {name: w[0] for name, w in initial_weights(spec_of(), [0]).items()} | change
    with pytest.raises(
        WeightsError, match=rf"weights must have the tensors .*{named}.*; use the spec they were trained with"
    ):
        with_weights(spec_of(), {name: w for name, w in weights.items() if w is not None})
