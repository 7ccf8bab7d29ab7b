"""From a spec back to the command line: the few overrides that state it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from nnspec.catalog import AUTO
from nnspec.check import checked_mapping
from nnspec.compose.api import spec as composed
from nnspec.compose.archived import grammar
from nnspec.errors import SpecError
from nnspec.specs import MEMBERS, RunSpec

# what Hydra's grammar reads as a text without quotes; numbers and a few words have a meaning of their own
_BARE = re.compile(r"(?!(?:null|true|false|inf|nan)$)[A-Za-z_./][\w./-]*", re.ASCII | re.IGNORECASE)


def words(spec: RunSpec) -> list[str]:
    """Overrides that compose to the checked ``spec``: what it has by default, or by another field, is not said."""
    left: dict[str, Any] = spec.to_mapping()
    _take(left, spec, left | {"activation": {"name": AUTO}})
    for key, section in list(left.items()):
        for name in [name for name in section if name != "name"] if isinstance(section, Mapping) else []:
            less = {other: value for other, value in left[key].items() if other != name}
            _take(left, spec, left | {key: less})
        if not isinstance(section, Mapping):
            _take(left, spec, {other: value for other, value in left.items() if other != key})
    usual = composed().to_mapping()
    return [word for key, value in left.items() for word in _said(key, value, usual)]


def _take(left: dict[str, Any], spec: RunSpec, less: Mapping[str, Any]) -> None:
    """Make ``left`` what says less, if that is the same spec."""
    try:
        same = checked_mapping(less) == spec
    except SpecError:
        return
    if same:
        left.clear()
        left.update(less)


def _said(key: str, value: object, usual: Mapping[str, Any]) -> list[str]:
    if not isinstance(value, Mapping):
        return [f"{key}={_typed(value)}"]
    others = [f"{key}.{name}={_typed(item)}" for name, item in value.items() if name != "name"]
    if key not in MEMBERS or value["name"] in (AUTO, usual[key]["name"]):
        return others
    return [f"{key}={value['name']}", *others]


def _typed(value: object) -> str:
    return value if isinstance(value, str) and _BARE.fullmatch(value) else grammar(value)
