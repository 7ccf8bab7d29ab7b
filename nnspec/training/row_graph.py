"""Formulas over all outputs of one row, as graphs: what a loss and an output activation are traced on.

A ``Row`` holds one ``Traced`` value an output and behaves as the array [1, outputs] that the formulas of the catalog
expect; sums and maxima along axis 1 leave a row of one value, which goes with any number of outputs.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from typing import Any

from nnspec.catalog.maths import softmax
from nnspec.training.graph import GraphMaths, Traced, total, where

SCALAR: Any = GraphMaths()


class Row:
    """One value an output."""

    def __init__(self, values: list[Traced]):
        self.values = values

    def each(self, formula: Callable[..., Traced], *others: Any) -> Row:
        """``formula`` of each value and those of the others that stand beside it."""
        rows = [other.values if isinstance(other, Row) else [other] for other in others]
        most = max(len(self.values), *map(len, rows)) if rows else len(self.values)
        spread = [values * most if len(values) == 1 else values for values in (self.values, *rows)]
        return Row([formula(*some) for some in zip(*spread, strict=True)])

    def __add__(self, other: Any) -> Row:
        return self.each(operator.add, other)

    def __sub__(self, other: Any) -> Row:
        return self.each(operator.sub, other)

    def __mul__(self, other: Any) -> Row:
        return self.each(operator.mul, other)

    def __truediv__(self, other: Any) -> Row:
        return self.each(operator.truediv, other)

    def __radd__(self, other: Any) -> Row:
        return self.each(lambda value: other + value)

    def __rsub__(self, other: Any) -> Row:
        return self.each(lambda value: other - value)

    def __rmul__(self, other: Any) -> Row:
        return self.each(lambda value: other * value)

    def __rtruediv__(self, other: Any) -> Row:
        return self.each(lambda value: other / value)

    def __neg__(self) -> Row:
        return self.each(operator.neg)

    def __gt__(self, other: Any) -> Row:
        return self.each(operator.gt, other)

    def __ge__(self, other: Any) -> Row:
        return self.each(operator.ge, other)

    def __lt__(self, other: Any) -> Row:
        return self.each(operator.lt, other)

    def __and__(self, other: Any) -> Row:
        return self.each(operator.and_, other)

    def sum(self) -> Traced:
        """The sum over the outputs."""
        return total(self.values)

    def max(self) -> Traced:
        """The largest output; not-a-number where one is."""
        return functools.reduce(lambda one, other: where(one < other, other, one), self.values)


class RowMaths:
    """The namespace ``xp`` of formulas on rows."""

    def softmax(self, z: Row) -> Row:
        """See ``catalog.maths.softmax``."""
        maths: Any = self
        return softmax(maths, z)

    def max(self, z: Row, axis: int) -> Row:
        """The largest output, as a row of one."""
        return Row([z.max()])

    def sum(self, z: Row, axis: int) -> Row:
        """The sum over the outputs, as a row of one."""
        return Row([z.sum()])

    def __getattr__(self, name: str) -> Callable[..., Row]:
        formula = getattr(SCALAR, name)
        return lambda z, *others: z.each(formula, *others)
