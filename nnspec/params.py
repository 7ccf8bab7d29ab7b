"""Typed parameters: what a value in a spec may be, said once and checked in one place.

A kind turns a plain value (from YAML, a command line or Python) into its canonical form or says which rule it breaks.
Canonical means that equal specs are equal objects: ``lr: 1`` and ``lr: 1.0`` are the same learning rate. It also states
its values as a JSON Schema, for editors; that may accept what ``parse`` refuses (a whole number as a float, say), and
never the other way round.
"""

from __future__ import annotations

import math
import struct
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

Value = bool | int | float | str | None | tuple["Value", ...]
Schema = dict[str, Any]  # a JSON Schema, draft 2020-12


class Refused(ValueError):
    """A value that breaks its kind's rule; the text is the rule, as in 'must be above 0'."""


# The smallest and the largest size of a number that keeps all its digits: denormal numbers lose them, down to 0.
SIZES = {"float32": (2.0**-126, 2.0**128 - 2.0**104), "float64": (sys.float_info.min, sys.float_info.max)}


class Kind(Protocol):
    """Turns a plain value into its canonical form, or raises ``Refused`` with the rule it breaks."""

    def parse(self, value: object) -> Value: ...


class Stated(Kind, Protocol):
    """A kind of a parameter: it also says which values it takes."""

    def schema(self) -> Schema: ...


@dataclass(frozen=True)
class Real:
    """A finite number, optionally bounded; ``open_low`` and ``open_high`` exclude the bounds themselves."""

    low: float = -math.inf
    high: float = math.inf
    open_low: bool = False
    open_high: bool = False

    def parse(self, value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise Refused(self.rule())
        try:
            number = float(value) + 0.0  # -0.0 becomes 0.0: equal values, one fingerprint
        except OverflowError:
            raise Refused(self.rule()) from None
        below = number <= self.low if self.open_low else number < self.low
        above = number >= self.high if self.open_high else number > self.high
        if not math.isfinite(number) or below or above:
            raise Refused(self.rule())
        return number

    def rule(self) -> str:
        bounds = []
        if self.low > -math.inf:
            bounds.append(f"{'above' if self.open_low else 'at least'} {self.low:g}")
        if self.high < math.inf:
            bounds.append(f"{'below' if self.open_high else 'at most'} {self.high:g}")
        return " ".join(["must be a finite number", " and ".join(bounds)]).strip()

    def schema(self) -> Schema:
        low = "exclusiveMinimum" if self.open_low else "minimum"
        high = "exclusiveMaximum" if self.open_high else "maximum"
        bounds = {name: bound for name, bound in ((low, self.low), (high, self.high)) if math.isfinite(bound)}
        return {"type": "number", **bounds}


WHOLE = "must be a whole number"


@dataclass(frozen=True)
class Integer:
    """A whole number within bounds; a float with a whole value is not one."""

    low: int | None = None
    high: int | None = None

    def parse(self, value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise Refused(self.rule())
        if (self.low is not None and value < self.low) or (self.high is not None and value > self.high):
            raise Refused(self.rule())
        return value

    def rule(self) -> str:
        bounds = []
        if self.low is not None:
            bounds.append(f"at least {self.low}")
        if self.high is not None:
            bounds.append(f"at most {self.high}")
        return " ".join([WHOLE, " and ".join(bounds)]).strip()

    def schema(self) -> Schema:
        bounds = {name: bound for name, bound in (("minimum", self.low), ("maximum", self.high)) if bound is not None}
        return {"type": "integer", **bounds}


@dataclass(frozen=True)
class Boolean:
    """true or false."""

    def parse(self, value: object) -> bool:
        if not isinstance(value, bool):
            raise Refused("must be true or false")
        return value

    def schema(self) -> Schema:
        return {"type": "boolean"}


@dataclass(frozen=True)
class Text:
    """A non-empty string."""

    def parse(self, value: object) -> str:
        if not isinstance(value, str) or not value:
            raise Refused("must be a text")
        return value

    def schema(self) -> Schema:
        return {"type": "string", "minLength": 1}


@dataclass(frozen=True)
class Choice:
    """One of a few names."""

    options: tuple[str, ...]

    def parse(self, value: object) -> str:
        if not isinstance(value, str) or value not in self.options:
            raise Refused(f"must be one of {', '.join(self.options)}")
        return value

    def schema(self) -> Schema:
        return {"enum": list(self.options)}


@dataclass(frozen=True)
class Many:
    """A list of values of one kind, at least ``least`` and at most ``most`` of them."""

    kind: Stated
    least: int = 1
    most: int | None = None

    def parse(self, value: object) -> tuple[Value, ...]:
        if not isinstance(value, (list, tuple)):
            raise Refused(self.rule())
        try:
            items = tuple(self.kind.parse(item) for item in value)
        except Refused as refused:
            raise Refused(f"must be a list in which each item {refused}") from None
        if len(items) < self.least or (self.most is not None and len(items) > self.most):
            raise Refused(self.rule())
        return items

    def rule(self) -> str:
        if self.least == self.most:
            return f"must be a list of {self.least} values"
        return f"must be a list of at least {self.least} value{'s' * (self.least != 1)}"

    def schema(self) -> Schema:
        most = {} if self.most is None else {"maxItems": self.most}
        return {"type": "array", "items": self.kind.schema(), "minItems": self.least, **most}


@dataclass(frozen=True)
class Optional:
    """A value of ``kind``, or null for 'not said'."""

    kind: Stated

    def parse(self, value: object) -> Value:
        return None if value is None else self.kind.parse(value)

    def schema(self) -> Schema:
        return {"anyOf": [self.kind.schema(), {"type": "null"}]}


@dataclass(frozen=True)
class Either:
    """A word with a meaning of its own, or a value of ``kind`` (as in ``gain: auto``)."""

    word: str
    kind: Stated

    def parse(self, value: object) -> Value:
        if value == self.word:
            return self.word
        try:
            return self.kind.parse(value)
        except Refused as refused:
            raise Refused(f"{refused} or '{self.word}'") from None

    def schema(self) -> Schema:
        return {"anyOf": [{"const": self.word}, self.kind.schema()]}


def rounded(value: Value, dtype: str) -> Value:
    """The value as numbers of ``dtype`` hold it; what is no real number stays as it is.

    Raises:
        Refused: if one is larger than they can be, or so small that they lose it.
    """
    if isinstance(value, tuple):
        return tuple(rounded(item, dtype) for item in value)
    if not isinstance(value, float):
        return value
    least, most = SIZES[dtype]
    if value != 0 and not least <= abs(value) <= most:
        raise Refused(f"must be of a size that dtype={dtype} holds, {least:.2g} to {most:.2g}")
    return float(struct.unpack("f", struct.pack("f", value))[0]) if dtype == "float32" else value


@dataclass(frozen=True)
class Param:
    """One parameter: its name, default, kind, and a line about it.

    A spec keeps one that is not ``kept`` only where it is not at its default: what few specs ask for, and what specs
    had not when they were filed before there was such a parameter.
    """

    name: str
    default: Value
    kind: Stated
    doc: str = ""
    kept: bool = True


@dataclass(frozen=True)
class Rule:
    """What must hold between the parameters of one member: ``holds(params)``, or ``where`` breaks ``rule``."""

    where: str
    rule: str
    holds: Callable[[Mapping[str, Any]], bool]
    remedy: str = ""


def ordered(low: str, high: str) -> Rule:
    """The rule that parameter ``low`` lies below parameter ``high``."""
    return Rule(low, f"must be below {high}", lambda p: p[low] < p[high], f"exchange {low} and {high}, or move one")
