"""nnspec's own network with a fault built in: activations that are others than the spec's, forward or on the way back.

The reference (``nnspec.reference``) runs them as it runs every problem.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from nnspec.architecture import Pointwise, at_defaults
from nnspec.catalog import OUTPUTS, Activation, Bound
from nnspec.catalog.maths import Array, Maths
from nnspec.problem import Problem
from nnspec.reference import Tensors
from nnspec.specs import Member

GRID = (0.01, 0.05, 0.1, 0.2, 0.25, 0.3, 0.5, 1.0, 2.0)  # what people give an activation's parameter
Value = Callable[[Bound, Maths, Array], Array]  # (formulas, xp, z)
Slope = Callable[[Bound, Maths, Array, Array], Array]  # (formulas, xp, z, h)


@dataclass(frozen=True)
class ChangedBound(Bound):
    """Formulas of which one is exchanged."""

    value_of: Value = Bound.value
    slope_of: Slope = Bound.slope

    def value(self, xp: Maths, z: Array) -> Array:
        return self.value_of(Bound(self.entry, self.params), xp, z)

    def slope(self, xp: Maths, z: Array, h: Array) -> Array:
        return self.slope_of(Bound(self.entry, self.params), xp, z, h)


@dataclass(frozen=True)
class ChangedPointwise(Pointwise):
    """An activation of which one formula is exchanged."""

    value_of: Value = Bound.value
    slope_of: Slope = Bound.slope

    def bind(self, learned: Array | None = None) -> Bound:
        bound = super().bind(learned)
        return ChangedBound(bound.entry, bound.params, self.value_of, self.slope_of)


def with_value(after: Pointwise, value: Value) -> Pointwise:
    """``after`` with another value."""
    return ChangedPointwise(after.name, after.member, after.tensors, value_of=value)


def with_slope(after: Pointwise, slope: Slope) -> Pointwise:
    """``after`` with another derivative."""
    return ChangedPointwise(after.name, after.member, after.tensors, slope_of=slope)


def exchanged(problem: Problem, layers: Mapping[int, Pointwise]) -> Problem:
    """The problem with other activations behind some of its layers."""
    after = tuple(layers.get(number, old) for number, old in enumerate(problem.shape.after))
    return replace(problem, shape=replace(problem.shape, after=after))


def with_tensors(changes: Mapping[str, Callable[[np.ndarray], np.ndarray]]) -> Callable[[Tensors], Tensors]:
    """A function that changes some tensors and leaves the others as they are."""
    return lambda tensors: {name: changes[name](w) if name in changes else w for name, w in tensors.items()}


def other_activations(than: Member) -> Iterator[Member]:
    """The catalog's other activations at their defaults; not the identity, which is called a missing activation."""
    for entry in OUTPUTS:
        if entry.learned is None and entry.derivative != "1" and at_defaults(entry.name) != than:
            yield at_defaults(entry.name)


def other_settings(than: Member) -> Iterator[Member]:
    """The catalog's activations with each of their numbers as people set it."""
    for entry in OUTPUTS:
        if entry.learned is None:
            yield from (member for member in _settings(entry) if member != than)


def _settings(entry: Activation) -> Iterator[Member]:
    for param in entry.params:
        if isinstance(param.default, float):
            for number in GRID:
                member = at_defaults(entry.name).with_params(**{param.name: number})
                if number != param.default and all(rule.holds(dict(member.params)) for rule in entry.rules):
                    yield member


def member_words(member: Member) -> str:
    """An activation as people name it: ``leaky_relu (negative_slope=0.2)``."""
    if not member.params:
        return member.name
    values = {name: f"{value:.4g}" if isinstance(value, float) else value for name, value in member.params}
    return f"{member.name} ({', '.join(f'{name}={value}' for name, value in values.items())})"
