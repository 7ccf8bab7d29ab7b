"""The primitives that a formula may use, and their NumPy form. ``torch_maths`` has the torch form.

A short list on purpose: every primitive is exact to the last digits of its type in both libraries, and a formula made
of them reads the same in both.
"""

from __future__ import annotations

import math
from typing import Any, Protocol

import numpy as np

_ERF = np.frompyfunc(math.erf, 1, 1)
Array = Any  # a NumPy array or a torch tensor: whatever ``xp`` works on


class Maths(Protocol):
    """The namespace ``xp`` that a formula is given."""

    def exp(self, z: Array) -> Array: ...
    def expm1(self, z: Array) -> Array: ...
    def log1p(self, z: Array) -> Array: ...
    def tanh(self, z: Array) -> Array: ...
    def sigmoid(self, z: Array) -> Array: ...
    def erf(self, z: Array) -> Array: ...
    def sin(self, z: Array) -> Array: ...
    def cos(self, z: Array) -> Array: ...
    def abs(self, z: Array) -> Array: ...
    def sign(self, z: Array) -> Array: ...
    def clip(self, z: Array, low: Array | None, high: Array | None) -> Array: ...
    def where(self, condition: Array, yes: Array, no: Array) -> Array: ...
    def mask(self, condition: Array, like: Array) -> Array: ...
    def max(self, z: Array, axis: int) -> Array: ...
    def sum(self, z: Array, axis: int) -> Array: ...
    def log(self, z: Array) -> Array: ...
    def softmax(self, z: Array) -> Array: ...


class NumpyMaths:
    """The primitives on NumPy arrays of any precision."""

    exp, expm1, log1p, tanh, sin, cos = np.exp, np.expm1, np.log1p, np.tanh, np.sin, np.cos
    abs, sign, log = np.abs, np.sign, np.log
    clip, where = staticmethod(np.clip), staticmethod(np.where)

    @staticmethod
    def sigmoid(z: np.ndarray) -> np.ndarray:
        """1 / (1 + e^-z), without overflow: the exponent is never positive."""
        small = np.exp(-np.abs(z))
        return np.where(z >= 0, 1 / (1 + small), small / (1 + small))

    @staticmethod
    def erf(z: np.ndarray) -> np.ndarray:
        """The error function, the C library's: NumPy has none, and SciPy's takes longer to be imported than a sweep
        takes for all that it asks of it."""
        return np.asarray(_ERF(z), np.result_type(z, np.float32))

    @staticmethod
    def mask(condition: np.ndarray, like: np.ndarray) -> np.ndarray:
        """1 where the condition holds, else 0, in the type of ``like``."""
        return condition.astype(like.dtype)

    @staticmethod
    def max(z: np.ndarray, axis: int) -> np.ndarray:
        """The largest along an axis, which stays with length 1."""
        return z.max(axis, keepdims=True)

    @staticmethod
    def sum(z: np.ndarray, axis: int) -> np.ndarray:
        """The sum along an axis, which stays with length 1."""
        return z.sum(axis, keepdims=True)

    def softmax(self, z: np.ndarray) -> np.ndarray:
        """See ``softmax``."""
        return softmax(self, z)


class InPlace:
    """Methods of a torch tensor by which the optimizers' rules change it in place, made of its operators, for what is
    none; ``_set`` puts new values into it."""

    _set: Any
    clamp: Any

    def copy_(self, other: Any) -> Any:
        return self._set(other)

    def add_(self, other: Any) -> Any:
        return self._set(self + other)

    def sub_(self, other: Any) -> Any:
        return self._set(self - other)

    def mul_(self, other: Any) -> Any:
        return self._set(self * other)

    def div_(self, other: Any) -> Any:
        return self._set(self / other)

    def clamp_(self, min: Any = None, max: Any = None) -> Any:
        return self._set(self.clamp(min, max))

    def addcdiv_(self, one: Any, two: Any, value: float) -> Any:
        return self._set(self + (one * value) / two)


class NumpyTensor(InPlace, np.ndarray):
    """A NumPy array with the methods of a tensor that the optimizers' rules use."""

    def _set(self, values: Array) -> NumpyTensor:
        self[...] = values
        return self

    def to(self, dtype: np.dtype) -> Array:
        """The same numbers in another type."""
        return self.astype(dtype)

    def sqrt(self) -> Array:
        """The root of every number."""
        return np.sqrt(self)

    def clamp(self, min: Array = None, max: Array = None) -> Array:
        """Every number cut to min..max."""
        return np.clip(self, min, max)

    def sign_(self) -> NumpyTensor:
        return self._set(np.sign(self))

    def rsqrt_(self) -> NumpyTensor:
        return self._set(1 / np.sqrt(self))

    def addcmul_(self, one: Array, two: Array) -> NumpyTensor:
        return self._set(self + one * two)

    def lerp_(self, end: Array, weight: Array) -> NumpyTensor:
        return self._set(self + weight * (end - self))


def softplus(xp: Maths, z: Array) -> Array:
    """log(1 + e^z), without overflow: the exponent is never positive."""
    return xp.log1p(xp.exp(-xp.abs(z))) + xp.clip(z, 0, None)


def softmax(xp: Maths, z: Array) -> Array:
    """e^z over its sum along axis 1, the classes; the largest z is taken off first, so that nothing overflows."""
    raised = xp.exp(z - xp.max(z, 1))
    return raised / xp.sum(raised, 1)
