"""Models: how many units each layer has, and which layers the activation is behind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from nnspec.params import Integer, Many, Optional, Param, Rule, Text, Value
from nnspec.registry import Registry

OUTPUT = Param("output", None, Optional(Text()), "output activation; null lets the loss decide")
AUTO = "auto"  # activation=auto: not said
STAND_INS = {  # what may stand where an activation's name does, and is no entry
    AUTO: "the model's own: relu between the layers of an mlp; that of a perceptron is what the loss takes",
    "softmax": "of a perceptron's outputs with loss=cross_entropy: the one activation that is not elementwise",
}


@dataclass(frozen=True)
class Model:
    """One architecture; ``hidden(params)`` gives the widths of its hidden layers, input side first.

    ``between`` is the activation of the hidden layers where none is said; None says that the model has no such layers,
    so that its activation is that of its output.
    """

    name: str
    summary: str
    hidden: Callable[[Mapping[str, Value]], tuple[int, ...]]
    between: str | None
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
            "relu",
            (Param("hidden", (4,), Many(Integer(1, 65536)), "units of each hidden layer, input side first"), OUTPUT),
        ),
        Model(
            "perceptron",
            "one linear layer and its activation, y = activation(w x + b) (Rosenblatt 1958)",
            lambda p: (),
            None,
            (OUTPUT,),
        ),
    ),
)
