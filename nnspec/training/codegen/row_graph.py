"""Formulas of whole rows of outputs as graphs: what the output activation and the loss make of one row of data."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from nnspec.problem import Problem
from nnspec.training.codegen.graph import GraphMaths, Traced, takes_over, total


class Row:
    """What one row of data has in its outputs, ``values`` [k], with the operators of a tensor; a row of one value goes
    with any other."""

    def __init__(self, values: Iterable[Traced]):
        self.values = list(values)

    def __add__(self, other: Any) -> Row:
        return each(operator.add, self, other)

    def __radd__(self, other: Any) -> Row:
        return each(operator.add, other, self)

    def __sub__(self, other: Any) -> Row:
        return each(operator.sub, self, other)

    def __rsub__(self, other: Any) -> Row:
        return each(operator.sub, other, self)

    def __mul__(self, other: Any) -> Row:
        return each(operator.mul, self, other)

    def __rmul__(self, other: Any) -> Row:
        return each(operator.mul, other, self)

    def __truediv__(self, other: Any) -> Row:
        return each(operator.truediv, self, other)

    def __rtruediv__(self, other: Any) -> Row:
        return each(operator.truediv, other, self)

    def __neg__(self) -> Row:
        return each(operator.neg, self)

    def __pow__(self, exponent: Any) -> Row:
        return each(operator.pow, self, exponent)

    def __gt__(self, other: Any) -> Row:
        return each(operator.gt, self, other)

    def __ge__(self, other: Any) -> Row:
        return each(operator.ge, self, other)

    def __lt__(self, other: Any) -> Row:
        return each(operator.lt, self, other)

    def __le__(self, other: Any) -> Row:
        return each(operator.le, self, other)


def each(formula: Callable[..., Traced], *args: Any) -> Row:
    """A formula of single values on rows, value by value."""
    if any(map(takes_over, args)):
        return NotImplemented  # as operators answer
    count = max(len(arg.values) for arg in args if isinstance(arg, Row))

    def of(arg: Any, number: int) -> Any:
        return arg.values[number % len(arg.values)] if isinstance(arg, Row) else arg

    return Row(formula(*(of(arg, number) for arg in args)) for number in range(count))


class RowMaths:
    """The namespace ``xp`` of a formula that is traced on rows of outputs, whose axis 1 is along the row."""

    def __getattr__(self, name: str) -> Any:
        formula = getattr(GraphMaths(), name)
        return lambda *args: each(formula, *args)

    @staticmethod
    def max(z: Row, axis: int) -> Row:
        """The largest of a row."""
        return Row([functools.reduce(lambda one, two: one._new("maximum", one, two), z.values)])

    @staticmethod
    def sum(z: Row, axis: int) -> Row:
        """The sum of a row."""
        return Row([total(z.values)])

    def softmax(self, z: Row) -> Row:
        """``torch.softmax``, which has an exponential function of its own, and adds up one by one."""
        raised = each(lambda value: value._new("sleef_exp", value), z - self.max(z, 1))
        whole = functools.reduce(operator.add, raised.values, z.values[0].graph.number(0.0))
        return raised / Row([whole])


ROWS: Any = RowMaths()


@dataclass(frozen=True)
class OutputRow:
    """What one row comes to: its ``outputs``, the ``losses`` whose sum over all rows is the loss but for its scale,
    their ``gradients`` with respect to the pre-activations, and the ``distances`` from the targets."""

    outputs: Row
    losses: Row
    gradients: Row
    distances: Row


def trace_outputs(problem: Problem, z: Row, y: Row) -> OutputRow:
    """The formulas of a problem on the pre-activations and the targets of one row."""
    loss, params = problem.loss, problem.loss_params
    p = problem.output.value(ROWS, z)
    gradients = loss.gradient(ROWS, z, p, y, params)
    if not loss.fused:
        gradients = gradients * problem.output.slope(ROWS, z, p)
    return OutputRow(p, loss.elements(ROWS, z, p, y, params), gradients, loss.distance(ROWS, p, y))
