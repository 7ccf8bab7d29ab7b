"""What of checked specs must be said for them to come back: not defaults, nor what a check fills in."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from nnspec.catalog import AUTO, REGISTRIES, parameters, unsaid
from nnspec.check import examine
from nnspec.compose.archived import grammar
from nnspec.compose.composer import Composer
from nnspec.compose.sources import plain_values
from nnspec.specs import MEMBERS, RunSpec

# what a check fills in, and how it is written where nobody says it
FILLED = (
    ("activation", "name", AUTO),
    ("model", "output", None),
    ("model", "hidden", None),
    ("train", "log_every", None),
    ("solved", "tolerance", None),
)
DIGESTS = ("init.digest", "data.digest")  # of files that are at hand, from which a check fills them in
ABSENT = object()  # the value of a parameter that a cell's member does not have
# what Hydra's grammar reads as a text without quotes; numbers and a few words have a meaning of their own
_BARE = re.compile(r"(?!(?:null|true|false|inf|nan)$)[A-Za-z_./][\w./-]*", re.ASCII | re.IGNORECASE)

Said = dict[str, Any]  # dotted key -> value; a group's key has the name of its member


def stated(specs: Sequence[RunSpec]) -> list[Said]:
    """The fields of each spec in the form in which most of them are at their ``default``: what a check fills in for
    all specs stands as where nobody says it."""
    return [_flat(mapping) for mapping in _unfilled(specs)]


def default(key: str, said: Said) -> Any:
    """What ``key`` holds in the spec ``said`` where nobody says it; ``ABSENT`` where its member has no such
    parameter."""
    group, _, name = key.partition(".")
    if group in MEMBERS and name:
        return _parameters(group, said[group]).get(name, ABSENT)
    plain = _plain_config()
    return plain[group]["name"] if group in MEMBERS else plain[group][name] if name else plain[group]


def typed(value: object) -> str:
    """A value in Hydra's grammar, without quotes where it needs none."""
    return value if isinstance(value, str) and _BARE.fullmatch(value) else grammar(value)


def words(spec: RunSpec) -> list[str]:
    """Overrides that compose to the checked ``spec``: what it has by default, or by another field, is not said."""
    (said,) = stated([spec])
    return [
        f"{key}={typed(value)}" for key, value in said.items() if key not in DIGESTS and value != default(key, said)
    ]


def _unfilled(specs: Sequence[RunSpec]) -> list[dict[str, Any]]:
    """The specs' mappings, without what a check fills in for all of them."""
    mappings: list[dict[str, Any]] = [spec.to_mapping() for spec in specs]
    for section, name, empty in FILLED:
        if section == "activation" and len({mapping[section]["name"] for mapping in mappings}) > 1:
            continue  # it is an axis, whose values have names
        shorter = [{**m, section: {"name": empty} if name == "name" else {**m[section], name: empty}} for m in mappings]
        if all(_states(mapping, spec) for mapping, spec in zip(shorter, specs, strict=True)):
            mappings = shorter
    return mappings


def _states(mapping: Mapping[str, Any], spec: RunSpec) -> bool:
    found, faults = examine(RunSpec.from_mapping(mapping), files=False)
    return not faults and found == spec


def _flat(mapping: Mapping[str, Any]) -> Said:
    said: Said = {}
    for key, value in mapping.items():
        if key in MEMBERS:
            said[key] = value["name"]
            said |= {f"{key}.{name}": item for name, item in plain_values(unsaid(key, value["name"])).items()}
        for name, item in value.items() if isinstance(value, Mapping) else ():
            if name != "name" or key not in MEMBERS:
                said[f"{key}.{name}"] = item
        if not isinstance(value, Mapping):
            said[key] = value
    return said


@cache
def _plain_config() -> dict[str, Any]:
    return Composer().mapping([])


@cache
def _parameters(group: str, member: str) -> dict[str, Any]:
    """The parameters of a member with their defaults, as plain values."""
    if member not in REGISTRIES[group]:
        return plain_values(unsaid(group, member))  # it stands in for one
    entry = REGISTRIES[group][member]
    return plain_values({param.name: param.default for param in parameters(entry)})
