"""A network for each verdict, its weights written down by hand, so that the verdict is certain. No torch.

All learn XOR: rows 00, 01, 10, 11 with targets 0, 1, 1, 0. Unless said they have one ReLU, a linear output and the
squared error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnspec.check import checked_mapping
from nnspec.specs import RunSpec

BASE = {
    "model": {"name": "mlp", "hidden": [1], "output": "identity"},
    "activation": {"name": "relu"},
    "init": {"name": "kaiming_uniform"},
    "optimizer": {"name": "adam"},
    "loss": {"name": "mse"},
    "data": {"name": "xor"},
}
LEVEL = (0.7, 0.69, 0.69, 0.69, 0.69, 0.69)  # losses over training where nothing depends on them


@dataclass(frozen=True)
class Example:
    """A network that ended with ``weights``; ``caption`` says what to look at.

    ``right`` says what the right picture shows: the output over the 'plane', the loss along 'directions', those of
    smallest and of largest curvature, or the 'loss' over training.
    """

    fields: Mapping[str, Any]
    weights: Mapping[str, Any]
    caption: str
    right: str = "plane"
    loss: Sequence[float] = LEVEL

    @property
    def spec(self) -> RunSpec:
        """Its spec, checked."""
        return checked_mapping({**BASE, **self.fields})

    @property
    def tensors(self) -> dict[str, np.ndarray]:
        """Its weights by ``state_dict`` name, float64."""
        return {name: np.array(tensor, dtype=np.float64) for name, tensor in self.weights.items()}

    @property
    def steps(self) -> np.ndarray:
        """The updates at which its losses were logged."""
        return np.linspace(0, self.spec.train.epochs, len(self.loss)).astype(np.int64)


def _logistic(hidden: int, activation: str = "relu") -> dict[str, Any]:
    """The textbook's network, with a sigmoid and binary cross-entropy at its output."""
    model = {"name": "mlp", "hidden": [hidden], "output": "sigmoid"}
    return {"model": model, "activation": {"name": activation}, "loss": {"name": "bce"}}


AWAY = {"0.weight": [[1, 1]], "0.bias": [1], "2.weight": [[0]], "2.bias": [0.6]}  # 0.1 beside the best bias

EXAMPLES = {
    "diverged": Example(
        _logistic(2),
        {"0.weight": [[1, 1], [1, 1]], "0.bias": [0, -1], "2.weight": [[20, -40]], "2.bias": [-30]},
        "Steps that are too large: the loss is many times its start, and grows.",
        "loss",
        (0.7, 0.9, 1.5, 3.0, 6.0, 9.0, 12.0),
    ),
    "solved": Example(
        _logistic(2),
        {"0.weight": [[1, 1], [1, 1]], "0.bias": [0, -1], "2.weight": [[20, -40]], "2.bias": [-10]},
        "Two units make a fold: the second takes row 11 back to where row 00 is.",
    ),
    "beyond_capacity": Example(
        {"model": {"name": "perceptron"}, "activation": {"name": "auto"}, "loss": {"name": "bce"}},
        {"0.weight": [[1.5, 1.5]], "0.bias": [-0.7]},
        "One straight line has to divide the plane: it never gets all four rows.",
    ),
    "dead_units": Example(
        _logistic(4),
        {
            "0.weight": [[-1, -1], [-1, -2], [-2, 0], [1, 1]],
            "0.bias": [0, -0.5, -1, -1],
            "2.weight": [[1, 2, -1, -6]],
            "2.bias": [0.693],
        },
        "Grey, hatched: off, no gradient passes. Of the wrong row no unit of the layer sees anything.",
    ),
    "symmetric": Example(
        _logistic(4, "sigmoid"),
        {"0.weight": [[1, 1]] * 4, "0.bias": [0.5] * 4, "2.weight": [[0.3] * 4], "2.bias": [0]},
        "All four units say the same of every row: they are one unit.",
    ),
    "saturated": Example(
        _logistic(2, "sigmoid"),
        {"0.weight": [[20, 20], [20, 20]], "0.bias": [-10, -35], "2.weight": [[1, -3]], "2.bias": [0]},
        "Grey, hatched: flat, next to no gradient passes. Every unit is near 0 or 1 for every row.",
    ),
    "local_minimum": Example(
        {},
        {"0.weight": [[1, 1]], "0.bias": [1], "2.weight": [[0]], "2.bias": [0.5]},
        "The only unit is on for every row, and so a straight line: one half everywhere is its best.",
        "directions",
    ),
    "saddle": Example(
        {"activation": {"name": "tanh"}},
        {"0.weight": [[1, 1]], "0.bias": [-1], "2.weight": [[0]], "2.bias": [0.5]},
        "The gradient is zero, yet along one direction the loss falls to both sides.",
        "directions",
    ),
    "still_learning": Example(
        {}, AWAY, "The loss was still falling when training ended.", "loss", (0.70, 0.62, 0.56, 0.50, 0.495, 0.49)
    ),
    "stuck": Example(
        {},
        AWAY,
        "The loss is level, but the gradient is not zero and no unit is off: none of the other verdicts.",
        "loss",
        (0.70, 0.60, 0.50, 0.50, 0.50, 0.50),
    ),
}
