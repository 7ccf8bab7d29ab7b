"""What the networks of a spec learn: rows, targets and the loss, put together here for every forward and backward
pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from nnspec.architecture import Architecture, architecture, test_rows
from nnspec.catalog import DATA, LOSSES, Bound, Loss
from nnspec.catalog.data import Parts, parts
from nnspec.catalog.maths import Array, Maths
from nnspec.duration import tolerance
from nnspec.specs import Member, RunSpec


def rows_of(data: Member, loss: str, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Inputs [n, i] and targets [n, k], float64, of a data set's training part as a loss wants them."""
    found = parts_of(data, loss, seed)
    return found.inputs, found.targets


def parts_of(data: Member, loss: str, seed: int = 0) -> Parts:
    """Training and test part of a data set as a loss wants them; ``seed`` is the network's, for
    ``data.split=per_network``.

    Raises:
        SpecError: a file that cannot be read, or is another one than when the spec was checked.
    """
    params, entry = dict(data.params), LOSSES[loss]
    made = DATA[data.name].make(params)
    targets = entry.targets(made.labels, made.classes, made.targets)
    numeric = entry.numbers and made.targets is not None
    return parts(params, made.inputs, targets, None if numeric else made.labels, made.classes, seed)


def own_rows(spec: RunSpec) -> bool:
    """Whether each network has a training part of its own, drawn from its seed."""
    return test_rows(spec.data) > 0 and spec.data["split"] == "per_network"


@dataclass(frozen=True)
class Problem:
    """Rows, targets, and what lies between and behind them.

    The test part, on which nothing is trained, has t rows: none unless the spec asks for some.

    Axes: n rows, i inputs, k outputs. Of the outputs, pre-activations z and values p have the axes [n, k], or for the
    networks of a stack [n, k, m]; the targets broadcast against them, see ``stacked``.
    """

    shape: Architecture
    inputs: Array  # [n, i]
    targets: Array  # [n, k] float64, or [n, k, 1]
    loss: Loss
    loss_params: Mapping[str, Any]
    tolerance: float  # an output is right if its distance is below
    test_inputs: Array  # [t, i]
    test_targets: Array  # [t, k] float64, or [t, k, 1]
    spec: RunSpec | None = None  # that they were put together from

    @classmethod
    def of(cls, spec: RunSpec, seed: int | None = None) -> Problem:
        """The problem of a checked spec, in NumPy arrays.

        ``seed`` is that of the network, each of which has rows of its own with ``data.split=per_network``; None takes
        the spec's first network's, for those who need one split for all, or the shapes only.
        """
        found = parts_of(spec.data, spec.loss.name, spec.seed if seed is None else seed)
        loss, params = LOSSES[spec.loss.name], dict(spec.loss.params)
        test = {"test_inputs": found.test_inputs, "test_targets": found.test_targets}
        return cls(architecture(spec), found.inputs, found.targets, loss, params, tolerance(spec), **test, spec=spec)

    def stacked(self, convert: Callable[[np.ndarray], Array]) -> Problem:
        """The same for many networks, in the arrays of another library."""
        return replace(
            self,
            inputs=convert(self.inputs),
            targets=convert(self.targets[:, :, None]),
            test_inputs=convert(self.test_inputs),
            test_targets=convert(self.test_targets[:, :, None]),
        )

    @property
    def width(self) -> int:
        """Units of the widest layer."""
        return max((dense.fan_out for dense in self.shape.dense), default=self.shape.outputs)

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
