"""Arithmetic as data: numbers, names, + - * / **, and a few functions; parsed, never executed by Python."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping

OPERATORS: dict[type, Callable[..., float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
    ast.USub: operator.neg,
}
FUNCTIONS: dict[str, Callable[..., float]] = {
    "sqrt": math.sqrt,
    "exp": math.exp,
    "log": math.log,
    "tanh": math.tanh,
    "erf": math.erf,
    "min": min,
    "max": max,
    "abs": abs,
}
LONGEST = 500  # characters


class FormulaError(Exception):
    """Not a formula, or one without a value; says why."""


class Formula:
    """A formula, as ``Formula("1 - 2 ** -width")``.

    Raises:
        FormulaError: it has anything but numbers, names, operators and the ``FUNCTIONS``.
    """

    def __init__(self, source: object):
        if isinstance(source, (int, float)):
            source = repr(source)
        if not isinstance(source, str) or len(source) > LONGEST:
            raise FormulaError("must be a formula in words, as in '1 - 2 ** -width'")
        try:
            self._tree = ast.parse(source.strip(), mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            raise FormulaError("must be a formula, as in '1 - 2 ** -width'") from None
        self.source = source.strip()
        self.names = frozenset(_names(self._tree))

    def __str__(self) -> str:
        return self.source

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Formula) and other.source == self.source

    def __hash__(self) -> int:
        return hash(self.source)

    def value(self, numbers: Mapping[str, float]) -> float:
        """Its value.

        Raises:
            FormulaError: a name has no number, or there is no value (a division by zero, a root of a negative one).
        """
        missing = sorted(self.names - numbers.keys())
        if missing:
            raise FormulaError(
                f"has '{missing[0]}', of which a cell has no number; it has {', '.join(sorted(numbers))}"
            )
        try:
            found = _value(self._tree, numbers)
        except (ArithmeticError, ValueError, TypeError) as error:
            raise FormulaError(f"has no value ({error})") from None
        if isinstance(found, complex) or not math.isfinite(found):
            raise FormulaError("has no finite value")
        return float(found)


def _names(node: ast.AST) -> set[str]:
    """The names in a tree, which is refused if it has anything else than a formula has."""
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        return set()
    if isinstance(node, ast.Name):
        return {node.id}
    if isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
        return _names(node.left) | _names(node.right)
    if isinstance(node, ast.UnaryOp) and type(node.op) in OPERATORS:
        return _names(node.operand)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in FUNCTIONS:
        return set().union(*map(_names, [*node.args, *node.keywords]))
    raise FormulaError(f"may have numbers, names, + - * / ** and {', '.join(FUNCTIONS)} only")


def _value(node: ast.AST, numbers: Mapping[str, float]) -> float:
    if isinstance(node, ast.Constant):
        return float(node.value)  # type: ignore[arg-type]
    if isinstance(node, ast.Name):
        return numbers[node.id]
    if isinstance(node, ast.UnaryOp):
        return OPERATORS[type(node.op)](_value(node.operand, numbers))
    if isinstance(node, ast.BinOp):
        return OPERATORS[type(node.op)](_value(node.left, numbers), _value(node.right, numbers))
    assert isinstance(node, ast.Call)
    assert isinstance(node.func, ast.Name)
    return FUNCTIONS[node.func.id](*(_value(argument, numbers) for argument in node.args))
