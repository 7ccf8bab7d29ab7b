"""The function that all networks of a group share: layers, formulas, rows and loss, in float64."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from nnspec.architecture import Architecture, architecture
from nnspec.catalog import ACTIVATIONS, DATA, LOSSES, Activation, Loss
from nnspec.catalog.activations import formula_params
from nnspec.catalog.maths import NumpyMaths
from nnspec.diagnostics import room
from nnspec.specs import Member, RunSpec

Tensor = torch.Tensor


@dataclass(frozen=True)
class Problem:
    """Inputs [n, i], targets [n, k], and the layers and formulas between them."""

    shape: Architecture
    inputs: Tensor
    targets: Tensor
    loss: Loss
    loss_params: dict[str, Any]
    tolerance: float

    @property
    def width(self) -> int:
        """Units of the widest layer."""
        return max(dense.fan_out for dense in self.shape.dense)


def problem(spec: RunSpec) -> Problem:
    """The function of a checked spec's networks."""
    data, loss = DATA[spec.data.name].make(dict(spec.data.params)), LOSSES[spec.loss.name]
    targets = torch.from_numpy(loss.targets(data.labels, data.classes).astype(np.float64))
    inputs = torch.from_numpy(data.inputs.astype(np.float64))
    return Problem(architecture(spec), inputs, targets, loss, dict(spec.loss.params), spec.solved.tolerance)


def lanes(problem: Problem) -> int:
    """See ``room.lanes``."""
    return room.lanes(len(problem.inputs), problem.shape.parameters)


def padded(problem: Problem, flat: Tensor) -> Tensor:
    """Weights [m, P] with copies of the first network added to fill whole lanes."""
    spare = -len(flat) % lanes(problem)
    return torch.cat([flat, flat[:1].expand(spare, -1)]) if spare else flat


@dataclass(frozen=True)
class Slopes:
    """What an activation's derivative says about it, read off its formula.

    ``largest`` is its largest size; ``dies`` where it is exactly 0 over an interval, so that a unit can be off for
    good; ``linear`` where it is the same everywhere.
    """

    largest: float
    dies: bool
    linear: bool


# The interval that pre-activations of ordinary size fall into. Further out smooth activations underflow to an exact
# slope of 0 (tanh from 19, the normal density from 38), which is saturation and no death.
PROBES = np.linspace(-8, 8, 1603)


@lru_cache(maxsize=1024)
def slopes(member: Member) -> Slopes:
    """The facts about an elementwise activation's derivative; a learned parameter could be anything, so it rules out
    both."""
    entry = ACTIVATIONS[member.name]
    slope = slope_at(entry, member, PROBES)
    flat = slope == 0
    dies = bool((flat[1:] & flat[:-1]).any()) and entry.trainable and not entry.learned
    linear = bool(np.ptp(slope) == 0) and entry.trainable and not entry.learned
    return Slopes(float(np.abs(slope).max()), dies, linear)


def slope_at(entry: Activation, member: Member, z: np.ndarray) -> np.ndarray:
    """The derivative of an activation at ``z``."""
    xp, params = NumpyMaths(), formula_params(entry, dict(member.params))
    return entry.slope(xp, z, entry.value(xp, z, params), params)


@lru_cache(maxsize=1024)
def is_odd(member: Member) -> bool:
    """Whether f(-z) = -f(z): then a unit and its negative are the same unit."""
    entry = ACTIVATIONS[member.name]
    xp, params = NumpyMaths(), formula_params(entry, dict(member.params))
    up, down = entry.value(xp, PROBES, params), entry.value(xp, -PROBES, params)
    return not entry.learned and bool(np.allclose(up, -down, rtol=1e-12, atol=1e-12))
