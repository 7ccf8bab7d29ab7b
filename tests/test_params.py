"""Kinds turn plain values into canonical ones or name the rule that they break."""

from __future__ import annotations

import math
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from nnspec.catalog import REGISTRIES, parameters
from nnspec.params import Boolean, Choice, Either, Integer, Many, Optional, Real, Refused, Text, ordered
from nnspec.specs import SCALARS, SOLVED, TRAIN

ACCEPTED = [
    (Real(), 1, 1.0),
    (Real(), -2.5, -2.5),
    (Real(0), 0, 0.0),
    (Integer(1), 3, 3),
    (Boolean(), False, False),
    (Text(), "a", "a"),
    (Choice(("a", "b")), "b", "b"),
    (Many(Integer(1)), [1, 2], (1, 2)),
    (Many(Real(), 2, 2), [1, 2], (1.0, 2.0)),
    (Optional(Integer()), None, None),
    (Optional(Integer()), 4, 4),
    (Either("auto", Real()), "auto", "auto"),
    (Either("auto", Real()), 2, 2.0),
]
REFUSED = [
    (Real(), math.nan, "^must be a finite number$"),
    (Real(), math.inf, "^must be a finite number$"),
    (Real(), 10**400, "^must be a finite number$"),
    (Real(), True, "finite number"),
    (Real(), "1", "finite number"),
    (Real(), None, "finite number"),
    (Real(0, open_low=True), 0, "^must be a finite number above 0$"),
    (Real(0), -1, "^must be a finite number at least 0$"),
    (Real(0, 1, open_high=True), 1, "^must be a finite number at least 0 and below 1$"),
    (Real(high=2), 2.1, "^must be a finite number at most 2$"),
    (Integer(), 1.0, "^must be a whole number$"),
    (Integer(), True, "whole number"),
    (Integer(1), 0, "^must be a whole number at least 1$"),
    (Integer(1, 16), 17, "^must be a whole number at least 1 and at most 16$"),
    (Boolean(), 1, "^must be true or false$"),
    (Boolean(), "true", "true or false"),
    (Text(), "", "^must be a text$"),
    (Text(), 3, "^must be a text$"),
    (Choice(("a", "b")), "c", "^must be one of a, b$"),
    (Choice(("a", "b")), ["a"], "one of a, b"),
    (Many(Integer(1)), 4, "^must be a list of at least 1 value$"),
    (Many(Integer(1)), "four", "list of at least 1 value$"),
    (Many(Integer(1)), [], "list of at least 1 value$"),
    (Many(Integer(1)), [2, -4], "^must be a list in which each item must be a whole number at least 1$"),
    (Many(Real(), 2, 2), [1], "^must be a list of 2 values$"),
    (Many(Real(), 2, 2), [1, 2, 3], "^must be a list of 2 values$"),
    (Optional(Integer()), "x", "whole number"),
    (Either("auto", Real(0)), "autos", "^must be a finite number at least 0 or 'auto'$"),
]


@pytest.mark.parametrize(("kind", "value", "canonical"), ACCEPTED, ids=str)
def test_accepted(kind: Any, value: object, canonical: object) -> None:
    parsed = kind.parse(value)
    assert parsed == canonical
    assert type(parsed) is type(canonical)
    assert kind.parse(parsed) == parsed  # a canonical value stays what it is


@pytest.mark.parametrize(("kind", "value", "rule"), REFUSED, ids=lambda v: str(v)[:40])
def test_refused(kind: Any, value: object, rule: str) -> None:
    with pytest.raises(Refused, match=rule):
        kind.parse(value)


@pytest.mark.parametrize(("kind", "value", "_"), ACCEPTED, ids=str)
def test_the_schema_accepts_what_the_kind_accepts(kind: Any, value: object, _: object) -> None:
    Draft202012Validator.check_schema(kind.schema())
    assert Draft202012Validator(kind.schema()).is_valid(value)


def beyond_schemas(value: object) -> bool:
    """Whether a value is a number that JSON does not have, or that a schema takes for another."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and (value == 1.0 or not abs(value) < 1e300)


@pytest.mark.parametrize(
    ("kind", "value", "_"), [row for row in REFUSED if not beyond_schemas(row[1])], ids=lambda v: str(v)[:40]
)
def test_the_schema_refuses_what_the_kind_refuses(kind: Any, value: object, _: str) -> None:
    assert not Draft202012Validator(kind.schema()).is_valid(value)


def test_minus_zero_is_zero() -> None:
    assert math.copysign(1, Real().parse(-0.0)) == 1.0


def test_ordered() -> None:
    rule = ordered("low", "high")
    assert rule.holds({"low": 1, "high": 2})
    assert not rule.holds({"low": 2, "high": 2})


ALL = [
    pytest.param(param, id=f"{where}.{param.name}")
    for where, params in [
        *((f"{group}={entry.name}", parameters(entry)) for group, registry in REGISTRIES.items() for entry in registry),
        ("train", TRAIN),
        ("solved", SOLVED),
        ("spec", SCALARS),
    ]
    for param in params
]


@pytest.mark.parametrize("param", ALL)
def test_every_default_is_canonical_and_explained(param: Any) -> None:
    parsed = param.kind.parse(param.default)
    assert repr(parsed) == repr(param.default)  # 0 and 0.0 would be one value and two fingerprints
    assert param.doc or param.name == "output"


def test_every_entry_s_defaults_keep_its_rules() -> None:
    for registry in REGISTRIES.values():
        for entry in registry:
            for rule in entry.rules:
                assert rule.holds({p.name: p.default for p in entry.params}), (entry.name, rule)
                assert rule.where in {p.name for p in entry.params}, (entry.name, rule)
