"""Models: how many units each layer has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from nnspec.params import Integer, Many, Optional, Param, Rule, Text, Value
from nnspec.registry import Registry

OUTPUT = Param("output", None, Optional(Text()), "output activation; null lets the loss decide")


@dataclass(frozen=True)
class Model:
    """One architecture; ``hidden(params)`` gives the widths of its hidden layers, input side first."""

    name: str
    summary: str
    hidden: Callable[[Mapping[str, Value]], tuple[int, ...]]
    params: tuple[Param, ...] = ()
    rules: tuple[Rule, ...] = ()


def _listed(params: Mapping[str, Value]) -> tuple[int, ...]:
    hidden = params["hidden"]
    assert isinstance(hidden, tuple)
    return tuple(int(str(width)) for width in hidden)


MODELS: Registry[Model] = Registry(
    "model",
    (
        Model(
            "mlp",
            "multi-layer perceptron: linear layers with the activation between them",
            _listed,
            (Param("hidden", (4,), Many(Integer(1, 65536)), "units of each hidden layer, input side first"), OUTPUT),
        ),
        Model("perceptron", "one linear layer and its output activation (Rosenblatt 1958)", lambda p: (), (OUTPUT,)),
    ),
)
