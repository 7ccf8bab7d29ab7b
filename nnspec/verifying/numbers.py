"""When numbers agree: named arrays of two implementations, with a tolerance that roundings explain."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

Numbers = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Tolerance:
    """``relative`` to the largest number of an array, plus ``floor`` times the largest of all arrays together: what
    is subtracted from numbers of that size carries their roundings."""

    relative: float
    floor: float

    def __str__(self) -> str:
        return f"{self.relative:g} of the largest number of each array"


# some thousand roundings of 1e-16 and 6e-8; the smallest fault that anybody makes is larger by far
OUTPUTS = {"float64": Tolerance(1e-9, 1e-13), "float32": Tolerance(1e-4, 1e-5)}
# torch's Hardsigmoid has a 1/6 of single precision on the way back
GRADIENTS = {"float64": Tolerance(1e-7, 1e-12), "float32": Tolerance(1e-3, 1e-5)}


def largest(array: np.ndarray) -> float:
    """The largest absolute value; 0 of an empty array."""
    return float(np.abs(array).max(initial=0.0))


def gap(one: np.ndarray, other: np.ndarray) -> float:
    """The largest difference."""
    return largest(np.asarray(one, dtype=np.float64) - other)


def parted(ours: Numbers, theirs: Numbers, tolerance: Tolerance) -> Iterator[str]:
    """The names of those of ``theirs`` that differ."""
    floor = tolerance.floor * max((largest(array) for array in ours.values()), default=0.0)
    for name, array in theirs.items():
        if not gap(ours[name], array) <= tolerance.relative * largest(ours[name]) + floor:  # NaN is not near
            yield name


def agree(ours: Numbers, theirs: Numbers, tolerance: Tolerance) -> bool:
    """Whether no array differs."""
    return next(parted(ours, theirs, tolerance), None) is None


def common_factor(ours: Numbers, theirs: Numbers, tolerance: Tolerance) -> float | None:
    """What all of ``ours`` times gives ``theirs``; None if no number does. Numbers that are all 0 have none."""
    below = sum(float((array * array).sum()) for array in ours.values())
    if below == 0:
        return None
    factor = sum(float((array * theirs[name]).sum()) for name, array in ours.items()) / below
    if factor == 0:
        return None if any(array.any() for array in theirs.values()) else 0.0
    return factor if agree(ours, {name: array / factor for name, array in theirs.items()}, tolerance) else None
