"""Parameters of a spec by their dotted keys: ``optimizer.lr``, or ``optimizer.lr_per_layer.0``, one of a list."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from nnspec.catalog import unsaid
from nnspec.params import Value
from nnspec.specs import Member, RunSpec

_KEY = re.compile(r"(\w+)\.(\w+)(?:\.(\d+))?")


def parts(key: str) -> tuple[str, str, int | None]:
    """Section, name and place of a key; empty texts where it is written otherwise."""
    found = _KEY.fullmatch(key)
    return ("", "", None) if found is None else (found[1], found[2], None if found[3] is None else int(found[3]))


def value_of(spec: RunSpec, key: str) -> Value:
    """A parameter's value; None where it is a list without that place."""
    section, name, place = parts(key)
    part = getattr(spec, section)
    value: Any
    if not isinstance(part, Member):
        value = getattr(part, name)
    elif name in part:
        value = part[name]
    else:
        value = unsaid(section, part.name).get(name)
    if place is None:
        return value
    return value[place] if isinstance(value, tuple) and place < len(value) else None


def changed(spec: RunSpec, key: str, value: Value) -> RunSpec:
    """The spec with another value of a parameter."""
    section, name, place = parts(key)
    part: Any = getattr(spec, section)
    if place is not None:
        listed: Any = value_of(spec, f"{section}.{name}")
        value = (*listed[:place], value, *listed[place + 1 :])
    new: Any = part.with_params(**{name: value}) if isinstance(part, Member) else replace(part, **{name: value})
    return replace(spec, **{section: new})
