"""Layers, names and shapes of a spec's network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from nnspec.architecture import Dense, architecture
from nnspec.builder import build
from nnspec.specs import RunSpec

SpecOf = Callable[..., RunSpec]


def test_the_textbook(spec_of: SpecOf) -> None:
    shape = architecture(spec_of())
    assert shape.dense == (Dense("0", 2, 4), Dense("2", 4, 1))
    assert shape.tensors() == {"0.weight": (4, 2), "0.bias": (4,), "2.weight": (1, 4), "2.bias": (1,)}
    assert (shape.inputs, shape.outputs, shape.parameters, shape.output.name) == (2, 1, 17, "sigmoid")
    assert [after.name for after in shape.after] == ["1", "3"]
    assert len(shape.hidden) == 1


CASES: list[tuple[dict[str, Any], list[tuple[int, int]], str]] = [
    ({"model": "perceptron"}, [(2, 1)], "sigmoid"),
    ({"model": {"name": "mlp", "hidden": [3, 7, 2]}}, [(2, 3), (3, 7), (7, 2), (2, 1)], "sigmoid"),
    ({"loss": "cross_entropy"}, [(2, 4), (4, 2)], "softmax"),
    ({"loss": "hinge"}, [(2, 4), (4, 1)], "identity"),
    ({"loss": "mse", "model": {"name": "mlp", "output": "tanh"}}, [(2, 4), (4, 1)], "tanh"),
    ({"data": {"name": "parity", "bits": 5}, "activation": "prelu"}, [(5, 4), (4, 1)], "sigmoid"),
]


@pytest.mark.parametrize(("fields", "widths", "output"), CASES, ids=str)
def test_widths_and_output_follow_model_loss_and_data(
    spec_of: SpecOf, fields: dict[str, Any], widths: list[tuple[int, int]], output: str
) -> None:
    spec = spec_of(**fields)
    shape = architecture(spec)
    assert [(d.fan_in, d.fan_out) for d in shape.dense] == widths
    assert shape.output.name == output
    built = build(spec).state_dict()
    assert {name: tuple(tensor.shape) for name, tensor in built.items()} == shape.tensors()
    assert list(built) == list(shape.tensors())
    assert shape.parameters == sum(tensor.numel() for tensor in built.values())


def test_learned_slopes_follow_their_layer(spec_of: SpecOf) -> None:
    shape = architecture(spec_of(model={"name": "mlp", "hidden": [3, 2]}, activation="prelu"))
    names = ["0.weight", "0.bias", "1.weight", "2.weight", "2.bias", "3.weight", "4.weight", "4.bias"]
    assert list(shape.tensors()) == names
    assert shape.tensors()["3.weight"] == (1,)
    assert shape.parameters == 6 + 3 + 1 + 6 + 2 + 1 + 2 + 1
