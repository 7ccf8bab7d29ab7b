"""Models: how many units each layer has, and which layers the activation is behind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from nnspec.catalog.layers import SHARE, UNITS, Layers, Listed, listed
from nnspec.params import Boolean, Choice, Integer, Many, Optional, Param, Rule, Text, Value
from nnspec.registry import Registry

OUTPUT = Param("output", None, Optional(Text()), "output activation; null lets the loss decide")
HIDDEN = (4,)  # layers of an mlp unless said
AUTO = "auto"  # activation=auto: not said
STAND_INS = {  # what may stand where an activation's name does, and is no entry
    AUTO: "the model's own: relu between the layers of an mlp; that of a perceptron is what the loss takes",
    "softmax": "of a perceptron's outputs with loss=cross_entropy: the one activation that is not elementwise",
}


@dataclass(frozen=True)
class Model:
    """One architecture; ``hidden(params)`` gives the widths of its hidden layers, input side first.

    ``unfold`` makes the values of ``params`` of those and of ``shorthand``, or raises ``Unclear``.
    ``between`` is the activation of the hidden layers where none is said; None says that the model has no such layers,
    so that its activation is that of its output.
    ``module(inputs, outputs, **params)`` makes a model that is a ``torch.nn.Module`` of its own, in place of layers
    that ``hidden`` describes; its outputs are pre-activations. ``layers(params)`` are those of a model that lists them.
    """

    name: str
    summary: str
    hidden: Callable[[Mapping[str, Value]], tuple[int, ...]]
    between: str | None
    params: tuple[Param, ...] = ()
    shorthand: tuple[Param, ...] = ()  # other ways to say ``params``, which a spec does not keep
    unfold: Callable[[Mapping[str, Value]], Mapping[str, Value]] = dict  # ``params`` from both
    rules: tuple[Rule, ...] = ()
    aliases: tuple[str, ...] = ()  # names that people type for it
    module: Callable[..., Any] | None = None
    layers: Callable[[Mapping[str, Value]], tuple[Listed, ...]] | None = None

    @property
    def opaque(self) -> bool:
        """Whether it is a module whatever its parameters."""
        return self.module is not None or self.layers is not None


def _listed(params: Mapping[str, Value]) -> tuple[int, ...]:
    hidden = params["hidden"]
    assert isinstance(hidden, tuple)
    return tuple(int(str(width)) for width in hidden)


BIAS = Param("bias", True, Boolean(), "whether linear layers have a bias", kept=False)
FROZEN = Param(
    "frozen",
    None,
    Optional(Many(Text())),
    "linear layers that keep their first weights: layer1, layer2, ..., output",
    kept=False,
)
RICHER = (  # what makes a perceptron of several layers a module
    Param("norm", "none", Choice(("none", "layer", "batch")), "behind each hidden linear layer", kept=False),
    Param("residual", False, Boolean(), "add its input to what a hidden layer gives, where as wide", kept=False),
    Param("skip", None, Optional(Choice(("input",))), "input: every layer is fed the inputs too", kept=False),
    Param("dropout", 0.0, SHARE, "share of hidden activations that training sets to 0", kept=False),
    BIAS,
    FROZEN,
)
DEPTH = Param("depth", None, Optional(Integer(1, 1000)), "number of hidden layers, all of model.width units")
WIDTH = Param("width", None, Optional(UNITS), "units of each of model.depth hidden layers")


class Unclear(ValueError):
    """A parameter said in two ways; the text is the rule, ``remedy`` what to do about it."""

    def __init__(self, where: str, rule: str, remedy: str):
        super().__init__(rule)
        self.where, self.remedy = where, remedy


def _layers(values: Mapping[str, Value]) -> Mapping[str, Value]:
    """The parameters of an mlp: ``depth`` layers of ``width`` units are as many numbers in ``hidden``."""
    depth, width = values["depth"], values["width"]
    kept = {name: value for name, value in values.items() if name not in (DEPTH.name, WIDTH.name)}
    if depth is None and width is None:
        return {**kept, "hidden": HIDDEN if values["hidden"] is None else values["hidden"]}
    if values["hidden"] is not None:
        said = DEPTH.name if depth is not None else WIDTH.name
        raise Unclear("hidden", f"must not be said beside model.{said}, which says it too", "keep one of them")
    layers = (width or HIDDEN[0],) * int(str(depth or len(HIDDEN)))
    return {**kept, "hidden": layers}


MODELS: Registry[Model] = Registry(
    "model",
    (
        Model(
            "mlp",
            "multi-layer perceptron: linear layers with the activation between them",
            _listed,
            "relu",
            (
                Param("hidden", None, Optional(Many(UNITS)), "units of each hidden layer, input side first; null: [4]"),
                OUTPUT,
                *RICHER,
            ),
            (DEPTH, WIDTH),
            _layers,
            aliases=("multilayer_perceptron",),
        ),
        Model(
            "perceptron",
            "one linear layer and its activation, y = activation(w x + b) (Rosenblatt 1958)",
            lambda p: (),
            None,
            (OUTPUT, BIAS),
        ),
        Model(
            "sequential",
            "layers one behind the other, as torch.nn.Sequential",
            lambda p: (),
            None,
            (
                Param(
                    "layers",
                    (("linear", 4), ("relu",), ("linear",)),
                    Layers(),
                    "linear: UNITS (null of the last: the outputs), activations, layer_norm, batch_norm, dropout",
                ),
                OUTPUT,
            ),
            layers=lambda p: tuple(listed(p["layers"])),
        ),
    ),
)
