"""Derivatives of formulas that come without one: forward mode, by dual numbers, on whatever arrays ``xp`` works on.

A dual number is a value and its derivative; every operation makes both (Wengert 1964, A simple automatic derivative
evaluation program). So one rule an operation serves NumPy's arrays, torch's tensors and traced values alike.
At a kink the derivative is torch's choice.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, cast

from nnspec.catalog.maths import Array, Maths


class Dual:
    """``value`` and ``slope``, its derivative: an array, or a number where it is the same everywhere."""

    __array_ufunc__ = None  # NumPy's arrays leave operations with a dual number to it

    def __init__(self, value: Array, slope: Array):
        self.value, self.slope = value, slope

    def __add__(self, other: Any) -> Dual:
        one, two = self, dual(other)
        return Dual(one.value + two.value, _sum(one.slope, two.slope))

    __radd__ = __add__

    def __neg__(self) -> Dual:
        return Dual(-self.value, -self.slope)

    def __sub__(self, other: Any) -> Dual:
        return self + -dual(other)

    def __rsub__(self, other: Any) -> Dual:
        return -self + other

    def __mul__(self, other: Any) -> Dual:
        one, two = self, dual(other)
        return Dual(one.value * two.value, _sum(_product(one.slope, two.value), _product(two.slope, one.value)))

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Dual:
        one, two = self, dual(other)
        ratio = one.value / two.value
        return Dual(ratio, _sum(_product(one.slope, 1 / two.value), -_product(two.slope, ratio / two.value)))

    def __rtruediv__(self, other: Any) -> Dual:
        return dual(other) / self

    def __pow__(self, exponent: Any) -> Dual:
        if isinstance(exponent, int) and exponent >= 1:
            power = self
            for _ in range(exponent - 1):
                power = power * self
            return power
        raise TypeError("a power's exponent must be a whole number from 1; for others write xp.exp(a * xp.log(z))")

    def __gt__(self, other: Any) -> Array:
        return self.value > dual(other).value

    def __ge__(self, other: Any) -> Array:
        return self.value >= dual(other).value

    def __lt__(self, other: Any) -> Array:
        return self.value < dual(other).value

    def __le__(self, other: Any) -> Array:
        return self.value <= dual(other).value


def dual(value: Any) -> Dual:
    """A value as a dual number: one that is none does not change."""
    return value if isinstance(value, Dual) else Dual(value, 0)


def derivative(formula: Callable[[Maths, Array], Array], xp: Maths, z: Array) -> Array:
    """The derivative of an elementwise ``formula(xp, z)`` at ``z``, an array like it."""
    found = dual(formula(cast(Maths, DualMaths(xp)), Dual(z, 1)))
    return found.slope + 0 * z if isinstance(found.slope, (int, float)) else found.slope


class DualMaths:
    """The namespace ``xp`` of a formula on dual numbers, whose values are ``xp``'s."""

    def __init__(self, xp: Maths):
        self.xp = xp

    def _chain(self, name: str, z: Any, slope: Callable[[Array, Array], Array]) -> Any:
        """A function of one argument; ``slope`` is its derivative from the argument and the value."""
        function = getattr(self.xp, name)
        if not isinstance(z, Dual):
            return function(z)
        value = function(z.value)
        return Dual(value, _product(z.slope, slope(z.value, value)))

    def exp(self, z: Any) -> Any:
        return self._chain("exp", z, lambda z, h: h)

    def expm1(self, z: Any) -> Any:
        return self._chain("expm1", z, lambda z, h: h + 1)

    def log(self, z: Any) -> Any:
        return self._chain("log", z, lambda z, h: 1 / z)

    def log1p(self, z: Any) -> Any:
        return self._chain("log1p", z, lambda z, h: 1 / (1 + z))

    def tanh(self, z: Any) -> Any:
        return self._chain("tanh", z, lambda z, h: 1 - h * h)

    def sigmoid(self, z: Any) -> Any:
        return self._chain("sigmoid", z, lambda z, h: h * (1 - h))

    def erf(self, z: Any) -> Any:
        return self._chain("erf", z, lambda z, h: 2 / math.sqrt(math.pi) * self.xp.exp(-z * z))

    def sin(self, z: Any) -> Any:
        return self._chain("sin", z, lambda z, h: self.xp.cos(z))

    def cos(self, z: Any) -> Any:
        return self._chain("cos", z, lambda z, h: -self.xp.sin(z))

    def abs(self, z: Any) -> Any:
        return self._chain("abs", z, lambda z, h: self.xp.sign(z))

    def sign(self, z: Any) -> Any:
        return self._chain("sign", z, lambda z, h: 0 * z)

    def clip(self, z: Any, low: Any, high: Any) -> Any:
        """z cut to low..high, which are numbers or arrays, not made of ``z``."""
        if not isinstance(z, Dual):
            return self.xp.clip(z, low, high)
        slope = z.slope
        if low is not None:
            slope = _product(slope, self.xp.mask(z.value >= low, z.value))
        if high is not None:
            slope = _product(slope, 1 - self.xp.mask(z.value > high, z.value))
        return Dual(self.xp.clip(z.value, low, high), slope)

    def where(self, condition: Array, yes: Any, no: Any) -> Any:
        """yes where the condition holds, else no."""
        if not isinstance(yes, Dual) and not isinstance(no, Dual):
            return self.xp.where(condition, yes, no)
        one, two = dual(yes), dual(no)
        like = one.value if isinstance(yes, Dual) else two.value
        value = self.xp.where(condition, _like(one.value, like), _like(two.value, like))
        return Dual(value, self.xp.where(condition, _like(one.slope, like), _like(two.slope, like)))

    def mask(self, condition: Array, like: Any) -> Array:
        """1 where the condition holds, else 0, in the type of ``like``."""
        return self.xp.mask(condition, dual(like).value)

    def __getattr__(self, name: str) -> Any:
        raise TypeError(f"xp.{name} is no elementwise function with a known derivative; give slope= beside the formula")


def _like(value: Any, like: Array) -> Array:
    """A number as an array like another."""
    return value + 0 * like if isinstance(value, (int, float)) else value


def _sum(one: Array, two: Array) -> Array:
    """one + two, where a plain 0 adds nothing: not an infinite number of nothing's either."""
    if isinstance(one, (int, float)) and one == 0:
        return two
    return one if isinstance(two, (int, float)) and two == 0 else one + two


def _product(slope: Array, factor: Array) -> Array:
    """slope * factor, where a plain 0 stays 0 and a plain 1 gives the factor."""
    if isinstance(slope, (int, float)) and slope in (0, 1):
        return factor if slope == 1 else 0
    return slope * factor
