"""The parameters of a user's part, from the keyword arguments of its decorator."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nnspec.errors import Fault, SpecError
from nnspec.params import Boolean, Choice, Integer, Many, Param, Real, Refused, Stated, Text

RESERVED = ("name", "source", "output", "bias")  # keys that a spec gives a meaning of its own


@dataclass(frozen=True)
class Given:
    """A default with bounds, as ``param`` makes it."""

    default: object
    low: float | None
    high: float | None
    options: tuple[str, ...]
    doc: str


def param(
    default: object,
    low: float | None = None,
    high: float | None = None,
    options: Sequence[str] = (),
    doc: str = "",
) -> Given:
    """A parameter of a part with bounds (both included), with the words that it may be, or with a line about it:
    ``@nnspec.activation("swoosh", beta=nnspec.param(1.5, low=0))``."""
    return Given(default, low, high, tuple(options), doc)


def parameters(part: str, given: Mapping[str, object]) -> tuple[Param, ...]:
    """The parameters that keyword arguments state: the kind of each is that of its default.

    Raises:
        SpecError: a name that a spec has a meaning for, a default of no kind or out of its bounds.
    """
    return tuple(_parameter(part, name, value) for name, value in given.items())


def _parameter(part: str, name: str, value: object) -> Param:
    said = value if isinstance(value, Given) else param(value)
    where = f"the parameter {name} of {part}"
    if name in RESERVED or name.startswith("_"):
        raise SpecError([Fault(where, f"must not be called {', '.join(RESERVED)} or _...", remedy="rename it")])
    kind = _kind(said.default, said)
    if kind is None:
        rule = "must have a default that is a number, true or false, a text, or a list of those of one kind"
        raise SpecError([Fault(where, rule, repr(said.default), "give it one")])
    try:
        default = kind.parse(said.default)
    except Refused as refused:
        raise SpecError([Fault(f"the default of {where}", str(refused), repr(said.default), "mend it")]) from None
    return Param(name, default, kind, said.doc)


def _kind(default: object, said: Given) -> Stated | None:
    """What values are of the default's kind, within the bounds."""
    if isinstance(default, bool):
        return Boolean()
    if isinstance(default, int):
        return Integer(_whole(said.low), _whole(said.high))
    if isinstance(default, float):
        low, high = said.low, said.high
        return Real(-math.inf if low is None else low, math.inf if high is None else high)
    if isinstance(default, str):
        return Choice(said.options) if said.options else Text()
    if isinstance(default, (list, tuple)) and default:
        inner = _kind(default[0], said)
        return None if inner is None else Many(inner)
    return None


def _whole(bound: float | None) -> int | None:
    return None if bound is None else int(bound)
