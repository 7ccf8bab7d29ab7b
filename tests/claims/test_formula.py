"""Formulas: arithmetic that is parsed and never executed."""

from __future__ import annotations

import math

import pytest

from nnspec.formula import Formula, FormulaError


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("1 - 2 ** -width", 1 - 2.0**-4),
        ("1 - (1 - 2**-width)**depth", 1 - (1 - 2.0**-4) ** 3),
        ("-sqrt(2 / width) + exp(0)", -math.sqrt(0.5) + 1),
        ("max(width, depth) / min(width, depth)", 4 / 3),
        ("log(2)", math.log(2)),
        (" 0.5 ", 0.5),
    ],
)
def test_values_are_those_of_python(source: str, value: float) -> None:
    assert Formula(source).value({"width": 4.0, "depth": 3.0}) == pytest.approx(value, rel=1e-15)  # rounding


@pytest.mark.parametrize(
    "source",
    [
        "__import__('os')", "width.real", "[1]", "lambda: 1", "1 if 1 else 2", "open('x')", "exp(x=1)", "'a'", "1 +",
        "a := 1", "width[0]", "True", "exp(*a)", "(" * 300 + "1" + ")" * 300, "x" * 501, "",
    ],
)  # fmt: skip
def test_anything_else_is_refused(source: str) -> None:
    with pytest.raises(FormulaError):
        Formula(source)


@pytest.mark.parametrize(
    ("source", "words"),
    [("1 / width", "no value"), ("sqrt(-1)", "no value"), ("(0 - 8) ** 0.5", "no finite"), ("depht", "'depht'")],
)
def test_what_has_no_value_says_why(source: str, words: str) -> None:
    with pytest.raises(FormulaError, match=words):
        Formula(source).value({"width": 0.0})
