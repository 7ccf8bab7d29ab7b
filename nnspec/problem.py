"""What the networks of a spec learn: rows, targets and the loss, put together here for every forward and backward
pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from nnspec.architecture import Architecture, architecture
from nnspec.catalog import DATA, LOSSES, Bound, Loss
from nnspec.catalog.maths import Array, Maths
from nnspec.duration import tolerance
from nnspec.specs import Member, RunSpec


def rows_of(data: Member, loss: str) -> tuple[np.ndarray, np.ndarray]:
    """Inputs [n, i] and targets [n, k], float64, of a data set as a loss wants them."""
    rows = DATA[data.name].make(dict(data.params))
    return rows.inputs, LOSSES[loss].targets(rows.labels, rows.classes)


@dataclass(frozen=True)
class Problem:
    """Rows, targets, and what lies between and behind them.

    Axes: n rows, i inputs, k outputs. Of the outputs, pre-activations z and values p have the axes [n, k], or for the
    networks of a stack [n, k, m]; the targets broadcast against them, see ``stacked``.
    """

    shape: Architecture
    inputs: Array  # [n, i]
    targets: Array  # [n, k] float64, or [n, k, 1]
    loss: Loss
    loss_params: Mapping[str, Any]
    tolerance: float  # an output is right if its distance is below

    @classmethod
    def of(cls, spec: RunSpec) -> Problem:
        """The problem of a checked spec, in NumPy arrays."""
        inputs, targets = rows_of(spec.data, spec.loss.name)
        loss, params = LOSSES[spec.loss.name], dict(spec.loss.params)
        return cls(architecture(spec), inputs, targets, loss, params, tolerance(spec))

    def stacked(self, convert: Callable[[np.ndarray], Array], rows: int | None = None) -> Problem:
        """The same for many networks, the first ``rows`` of it, in the arrays of another library."""
        return replace(self, inputs=convert(self.inputs[:rows]), targets=convert(self.targets[:rows, :, None]))

    @property
    def width(self) -> int:
        """Units of the widest layer."""
        return max(dense.fan_out for dense in self.shape.dense)

    @cached_property
    def output(self) -> Bound:
        """The output activation."""
        return self.shape.after[-1].bind()

    @cached_property
    def scale(self) -> float:
        """What sums over rows and outputs are multiplied by."""
        return self.loss.scale(*self.targets.shape[:2])

    def losses(self, xp: Maths, z: Array, p: Array) -> Array:
        """The loss, [] or [m]."""
        return self.loss.elements(xp, z, p, self.targets, self.loss_params).sum((0, 1)) * self.scale

    def gradient(self, xp: Maths, z: Array, p: Array) -> Array:
        """The gradient of the loss with respect to ``z``."""
        gradient = self.loss.gradient(xp, z, p, self.targets, self.loss_params)
        if not self.loss.fused:
            gradient = gradient * self.output.slope(xp, z, p)
        return gradient * self.scale

    def distances(self, xp: Maths, p: Array) -> Array:
        """How far each output is from its target."""
        return self.loss.distance(xp, p, self.targets)
