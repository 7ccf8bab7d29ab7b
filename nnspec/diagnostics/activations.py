"""What an activation's formula says about its units, read off it on a grid."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from nnspec.catalog import ACTIVATIONS
from nnspec.catalog.maths import NumpyMaths
from nnspec.specs import Member

XP = NumpyMaths()
# The interval that pre-activations of ordinary size fall into. Further out smooth activations underflow to an exact
# slope of 0 (tanh from 19, the normal density from 38), which is saturation and no death.
PROBES = np.linspace(-8, 8, 1603)


@dataclass(frozen=True)
class Slopes:
    """What an activation's derivative says about it.

    ``largest`` is its largest size; ``dies`` where it is exactly 0 over an interval, so that a unit can be off for
    good; ``linear`` where it is the same everywhere.
    """

    largest: float
    dies: bool
    linear: bool


@lru_cache(maxsize=1024)
def slopes(member: Member) -> Slopes:
    """The facts about an elementwise activation's derivative; a learned parameter could be anything, so it rules out
    both."""
    entry = ACTIVATIONS[member.name]
    activation = entry.bind(dict(member.params))
    slope = activation.slope(XP, PROBES, activation.value(XP, PROBES))
    flat = slope == 0
    dies = bool((flat[1:] & flat[:-1]).any()) and entry.trainable and not entry.learned
    linear = bool(np.ptp(slope) == 0) and entry.trainable and not entry.learned
    return Slopes(float(np.abs(slope).max()), dies, linear)


@lru_cache(maxsize=1024)
def is_odd(member: Member) -> bool:
    """Whether f(-z) = -f(z): then a unit and its negative are the same unit."""
    entry = ACTIVATIONS[member.name]
    activation = entry.bind(dict(member.params))
    up, down = activation.value(XP, PROBES), activation.value(XP, -PROBES)
    return not entry.learned and bool(np.allclose(up, -down, rtol=1e-12, atol=1e-12))
