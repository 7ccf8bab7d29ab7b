"""Losses on stacked outputs: value, gradient and the distance that decides whether a row is right.

Arrays have axes [n rows, k outputs, ...]; whatever follows (the networks of a stack) is carried along. ``elements`` and
``gradient`` are sums over nothing: the trainer multiplies both by ``scale``, which is where the reduction lives.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnspec.catalog.maths import Array, Maths
from nnspec.params import Param, Real, Rule
from nnspec.registry import Registry

P = Mapping[str, Any]
Term = Callable[[Maths, Array, Array, Array, P], Array]  # (xp, z pre-activations, p outputs, y targets, parameters)
SIGNED = ("identity", "tanh", "softsign", "hardtanh", "sine")  # outputs that can take both signs


def _distance(xp: Maths, p: Array, y: Array) -> Array:
    return xp.abs(p - y)


@dataclass(frozen=True)
class Loss:
    """One loss.

    ``outputs`` are the output activations that make sense with it (None: any elementwise one), ``output`` the one it
    takes unless said. A loss that is ``fused`` gives its gradient with respect to the pre-activation of its own output
    (p - y: no cancellation, no overflow); the others with respect to the output. ``one_hot`` losses have one output a
    class; those of ``numbers`` have one output for each number to be learnt, if there are any; the others one output.
    """

    name: str
    summary: str
    output: str
    elements: Term
    gradient: Term
    outputs: tuple[str, ...] | None = None
    params: tuple[Param, ...] = ()
    fused: bool = False
    one_hot: bool = False
    numbers: bool = False
    off: float = 0.0  # the target of class 0; class 1 has 1
    distance: Callable[[Maths, Array, Array], Array] = _distance
    module: str = ""
    rules: tuple[Rule, ...] = ()
    aliases: tuple[str, ...] = ()  # names that people type for it

    def columns(self, classes: int, numbers: int = 0) -> int:
        """Number of outputs for data with this many classes and numbers to be learnt."""
        if self.one_hot:
            return classes
        return numbers if self.numbers and numbers else 1

    def targets(self, labels: np.ndarray | None, classes: int, numbers: np.ndarray | None = None) -> np.ndarray:
        """Targets [n, k] float64: ``numbers`` [n, k] for a loss that learns numbers, else made of ``labels`` [n].

        Raises:
            ValueError: the data have neither, which ``check`` refuses.
        """
        if self.numbers and numbers is not None:
            return numbers
        if labels is None:
            raise ValueError(f"loss={self.name} needs classes, but the data have none")
        if self.one_hot:
            return np.eye(classes)[labels]
        return np.where(labels[:, None] > 0, 1.0, self.off)

    def scale(self, rows: int, columns: int) -> float:
        """What a sum over rows and outputs is multiplied by: torch's ``reduction='mean'``."""
        return 1 / rows if self.one_hot else 1 / (rows * columns)


def _log_softmax(xp: Maths, z: Array) -> Array:
    shifted = z - xp.max(z, 1)
    return shifted - xp.log(xp.sum(xp.exp(shifted), 1))


def _bce(xp: Maths, z: Array, p: Array, y: Array, q: P) -> Array:
    # max(z, 0) - z y is exact, so that what is left of a small loss keeps all its digits
    return (xp.clip(z, 0, None) - z * y) + xp.log1p(xp.exp(-xp.abs(z)))


def _hinge_distance(xp: Maths, p: Array, y: Array) -> Array:
    gap = 1 - y * p
    return gap * xp.mask(gap > 0, gap) / 2


def _class_distance(xp: Maths, p: Array, y: Array) -> Array:
    """[n, 1, ...]: (1 + max_j(p_j - 2 y_j) - sum_j p_j y_j) / 2 for y of one class, p probabilities.

    That is half of 1 less the lead of the right class over the best of the others: below 1/2 exactly where the right
    class has the largest output, and |p - y| where there are two classes.
    """
    return (1 + xp.max(p - 2 * y, 1) - xp.sum(p * y, 1)) / 2


def _huber(xp: Maths, z: Array, p: Array, y: Array, q: P) -> Array:
    error = xp.abs(p - y)
    return xp.where(error < q["delta"], 0.5 * error * error, q["delta"] * (error - 0.5 * q["delta"]))


LOSSES: Registry[Loss] = Registry(
    "loss",
    (
        Loss(
            "bce",
            "binary cross-entropy -y log p - (1-y) log(1-p), mean over rows",
            output="sigmoid",
            outputs=("sigmoid",),
            elements=_bce,
            gradient=lambda xp, z, p, y, q: p - y,
            fused=True,
            module="BCELoss",
            aliases=("binary_cross_entropy", "binary_crossentropy", "bce_with_logits"),
        ),
        Loss(
            "mse",
            "squared error (p-y)^2, mean over rows and outputs: the gradient has a factor 2",
            output="sigmoid",
            elements=lambda xp, z, p, y, q: (p - y) * (p - y),
            gradient=lambda xp, z, p, y, q: 2 * (p - y),
            numbers=True,
            module="MSELoss",
            aliases=("mean_squared_error",),
        ),
        Loss(
            "cross_entropy",
            "-log of the softmax probability of the row's class, mean over rows; one output a class",
            output="softmax",
            outputs=("softmax",),
            elements=lambda xp, z, p, y, q: -y * _log_softmax(xp, z),
            gradient=lambda xp, z, p, y, q: p - y,
            fused=True,
            one_hot=True,
            distance=_class_distance,
            module="CrossEntropyLoss",
            aliases=(
                "crossentropy",
                "categorical_crossentropy",
                "categorical_cross_entropy",
                "sparse_categorical_crossentropy",
                "softmax_cross_entropy",
            ),
        ),
        Loss(
            "hinge",
            "max(0, 1 - y p) with targets -1 and +1, mean over rows and outputs; beyond the margin counts as on "
            "target, "
            "and a distance of 2 (from -1 to +1) as 1",
            output="identity",
            outputs=SIGNED,
            elements=lambda xp, z, p, y, q: (1 - y * p) * xp.mask(y * p < 1, p),
            gradient=lambda xp, z, p, y, q: -y * xp.mask(y * p < 1, p),
            off=-1.0,
            distance=_hinge_distance,
            aliases=("hinge_loss",),
        ),
        Loss(
            "huber",
            "(p-y)^2 / 2 for errors below delta, delta (|p-y| - delta/2) above, mean over rows and outputs (Huber "
            "1964)",
            output="sigmoid",
            elements=_huber,
            gradient=lambda xp, z, p, y, q: xp.clip(p - y, -q["delta"], q["delta"]),
            params=(Param("delta", 1.0, Real(0, open_low=True), "error from which the loss is linear"),),
            numbers=True,
            module="HuberLoss",
            aliases=("huber_loss",),
        ),
    ),
)
