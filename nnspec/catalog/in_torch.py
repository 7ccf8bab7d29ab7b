"""What a script in plain PyTorch says for an entry, where its class in torch does not say all of it. Text; no torch.

The lines may use ``torch``, ``nn``, ``math``, ``NormalDist``, ``layer`` (an ``nn.Linear``), ``generator`` and what else
their table names. They do what the entry's formulas do, on the same noise in the same order.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from nnspec.catalog.inits import AUTO_GAIN

P = Mapping[str, Any]
Lines = list[str]
WEIGHT = "layer.weight"
DRAWN = "generator=generator"
# gains that torch.nn.init.calculate_gain knows, by what it calls them
KNOWN_GAINS = {1.0: "linear", math.sqrt(2): "relu", 5 / 3: "tanh", 0.75: "selu"}


@dataclass(frozen=True)
class LossScript:
    """``lines`` make ``loss_function(outputs, targets)``; ``distance`` tells of outputs ``p`` and targets ``y`` how far
    each row is from being right. ``logits`` says that the function takes what is before the output activation."""

    lines: Callable[[P], Lines]
    distance: str = "(p - y).abs().amax(1)"
    logits: bool = False


LOSS_SCRIPTS = {
    "bce": LossScript(
        lambda p: ["loss_function = nn.BCEWithLogitsLoss()  # binary cross-entropy with the sigmoid in it"], logits=True
    ),
    "mse": LossScript(lambda p: ["loss_function = nn.MSELoss()"]),
    "cross_entropy": LossScript(
        lambda p: ["loss_function = nn.CrossEntropyLoss()  # with the softmax in it"],
        "(1 + (p - 2 * y).amax(1) - (p * y).sum(1)) / 2",
        logits=True,
    ),
    "hinge": LossScript(
        lambda p: [
            "def loss_function(outputs, targets):  # hinge loss: torch has no class for it",
            "    return torch.relu(1 - targets * outputs).mean()",
        ],
        "torch.relu(1 - y * p).amax(1) / 2",
    ),
    "huber": LossScript(lambda p: [f"loss_function = nn.HuberLoss(delta={p['delta']!r})"]),
}


def number(value: float) -> str:
    """A number as a person writes it."""
    return "math.sqrt(2)" if value == math.sqrt(2) else repr(value)


def _gain(p: P, gain: float) -> float:
    return gain if p["gain"] == AUTO_GAIN.default else float(p["gain"])


def _times(factor: float, text: str) -> str:
    return text if factor == 1 else f"{number(factor)} * {text}"


def _over(factor: float, fan: str) -> str:
    return f"{number(factor)} / math.sqrt({fan})"


def _fan(p: P) -> str:
    return "layer.out_features" if p.get("mode") == "fan_out" else "layer.in_features"


def _he(p: P, gain: float) -> str:
    return _over(_gain(p, gain), _fan(p))


def _glorot(p: P, gain: float) -> str:
    return _times(_gain(p, gain), "math.sqrt(2 / (layer.in_features + layer.out_features))")


def _lecun(p: P, gain: float) -> str:
    return "1 / math.sqrt(layer.in_features)"


def _spread(kind: str, std: Callable[[P, float], str]) -> Callable[[P, float, str], Lines]:
    """Numbers of a distribution around 0 with a standard deviation."""

    def lines(p: P, gain: float, tensor: str) -> Lines:
        if kind == "normal":
            return [f"std = {std(p, gain)}", f"nn.init.normal_({tensor}, 0, std, {DRAWN})"]
        bound = f"bound = math.sqrt(3) * {std(p, gain)}"
        return [bound, f"nn.init.uniform_({tensor}, -bound, bound, {DRAWN})"]

    return lines


def _xavier(kind: str) -> Callable[[P, float, str], Lines]:
    def lines(p: P, gain: float, tensor: str) -> Lines:
        if tensor != WEIGHT:  # torch refuses a vector, which has no fans of its own
            return _spread(kind, _glorot)(p, gain, tensor)
        factor = _gain(p, gain)
        said = "" if factor == 1 else f"gain={number(factor)}, "
        return [f"nn.init.xavier_{kind}_({tensor}, {said}{DRAWN})"]

    return lines


def _kaiming(kind: str) -> Callable[[P, float, str], Lines]:
    def lines(p: P, gain: float, tensor: str) -> Lines:
        name = KNOWN_GAINS.get(_gain(p, gain))
        if tensor != WEIGHT or name is None:  # torch knows the gains of few activations
            return _spread(kind, _he)(p, gain, tensor)
        mode = "" if p["mode"] == "fan_in" else f"mode={p['mode']!r}, "
        return [f'nn.init.kaiming_{kind}_({tensor}, {mode}nonlinearity="{name}", {DRAWN})']

    return lines


def _truncated(p: P, gain: float, tensor: str) -> Lines:
    mean, std, low, high = (repr(p[name]) for name in ("mean", "std", "low", "high"))
    return [
        f"low, high = (NormalDist({mean}, {std}).cdf(cut) for cut in ({low}, {high}))",
        f"nn.init.uniform_({tensor}, low, high, {DRAWN})  # made normal by the inverse distribution function",
        f"{tensor}.data = (torch.special.ndtri({tensor}.data) * {std} + {mean}).clamp({low}, {high})",
    ]


def _orthogonal(p: P, gain: float, tensor: str) -> Lines:
    factor = _gain(p, gain)
    said = "" if factor == 1 else f"gain={number(factor)}, "
    return [f"nn.init.orthogonal_({tensor}, {said}{DRAWN})"]


def _sparse(p: P, gain: float, tensor: str) -> Lines:
    return [
        f"nn.init.normal_({tensor}, 0, {p['std']!r}, {DRAWN})",
        f"lots = torch.empty_like({tensor}).uniform_({DRAWN})",
        f"off = math.ceil({p['sparsity']!r} * layer.out_features)  # weights of each input that are 0",
        f"{tensor}.data[lots.argsort(dim=0, stable=True).argsort(dim=0, stable=True) < off] = 0",
    ]


def _mirror(p: P, gain: float, tensor: str) -> Lines:
    return [
        f"std = {_he(p, gain)}",
        f"nn.init.normal_({tensor}, 0, std, {DRAWN})",
        "paired = layer.out_features // 2 * 2  # each second unit is the opposite of the one before",
        f"{tensor}.data[1:paired:2] = -{tensor}.data[0:paired:2]",
    ]


# (parameters, the activation's gain, the tensor's name) -> lines that fill it
INIT_LINES: dict[str, Callable[[P, float, str], Lines]] = {
    "zeros": lambda p, gain, tensor: [f"nn.init.zeros_({tensor})"],
    "constant": lambda p, gain, tensor: [f"nn.init.constant_({tensor}, {p['value']!r})"],
    "uniform": lambda p, gain, tensor: [f"nn.init.uniform_({tensor}, {p['low']!r}, {p['high']!r}, {DRAWN})"],
    "normal": lambda p, gain, tensor: [f"nn.init.normal_({tensor}, {p['mean']!r}, {p['std']!r}, {DRAWN})"],
    "truncated_normal": _truncated,
    "xavier_uniform": _xavier("uniform"),
    "xavier_normal": _xavier("normal"),
    "kaiming_uniform": _kaiming("uniform"),
    "kaiming_normal": _kaiming("normal"),
    "lecun_uniform": _spread("uniform", _lecun),
    "lecun_normal": _spread("normal", _lecun),
    "orthogonal": _orthogonal,
    "sparse": _sparse,
    "identity": lambda p, gain, tensor: [f"nn.init.eye_({tensor})"],
    "mirror": _mirror,
    "torch_default": lambda p, gain, tensor: [
        "bound = 1 / math.sqrt(layer.in_features)",
        f"nn.init.uniform_({tensor}, -bound, bound, {DRAWN})",
    ],
}


def _left(p: P, updates: int) -> str:
    length = p["updates"] or updates
    return f"max({length} - behind, 0) / {length}"


def _down(p: P, share: str) -> str:
    return share if p["floor"] == 0 else f"{p['floor']!r} + {1 - p['floor']!r} * {share}"


# (parameters, updates after the warm-up) -> the share of lr with ``behind`` updates made since the warm-up
RATES: dict[str, Callable[[P, int], str]] = {
    "constant": lambda p, updates: "1.0",
    "step": lambda p, updates: f"{p['gamma']!r} ** (behind // {p['step_size']})",
    "exponential": lambda p, updates: f"{p['gamma']!r} ** behind",
    "cosine": lambda p, updates: _down(p, f"math.sin(math.pi / 2 * {_left(p, updates)}) ** 2"),
    "linear": lambda p, updates: _down(p, _left(p, updates)),
}
