"""One member of a spec by itself: its parameters, the rules between them, and what the run's dtype leaves of both."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import replace
from functools import lru_cache

from nnspec.catalog import (
    ACTIVATION_PER_LAYER,
    AUTO,
    INITS,
    MODELS,
    REGISTRIES,
    STAND_INS,
    Model,
    parameters,
    unsaid,
)
from nnspec.catalog.models import Unclear
from nnspec.catalog.origins import ORIGINS, SOURCE, origin_of
from nnspec.errors import Fault, unknown
from nnspec.params import Param, Refused, Rule, Value, rounded
from nnspec.parts.checking import tried
from nnspec.specs import MEMBERS, SOLVED, TRAIN, Member, RunSpec, parse_params, text


def examine_member(group: str, member: Member) -> tuple[Member, tuple[Fault, ...]]:
    """The canonical form of a member and its faults."""
    return _examined(group, member, repr(member.params), len(ORIGINS))


def stand_ins(group: str) -> Mapping[str, str]:
    """The names of a group that are no entries of its registry."""
    return STAND_INS if group == "activation" else {}


@lru_cache(maxsize=16384)
def _examined(group: str, member: Member, typed: str, parts: int) -> tuple[Member, tuple[Fault, ...]]:
    # `typed` tells 1, 1.0 and true apart, which are one key to a cache and three values to a kind; `parts` tells that
    # entries have been added
    registry = REGISTRIES[group]
    faults: list[Fault] = []
    member = replace(member, name=registry.named(member.name))
    if member.name in stand_ins(group):
        return _stand_in(group, member, faults), tuple(faults)
    if member.name not in registry:
        return member, (_unknown(group, member),)
    entry = registry[member.name]
    shorthand = MODELS[member.name].shorthand if group == "model" else ()
    taken = (*parameters(entry), *shorthand)
    values: Mapping[str, Value] = parse_params(f"{group}.", taken, dict(member.params), faults)
    if group == "model":
        values = _unfolded(MODELS[member.name], values, faults)
    if group == "init" and "bias" in values:
        values = {**values, "bias": INITS.named(str(values["bias"]))}
    broken = {fault.where.removeprefix(f"{group}.") for fault in faults}
    faults.extend(
        Fault(f"{group}.{rule.where}", rule.rule, text(values[rule.where]), rule.remedy)
        for rule in _broken(entry.rules, values, broken)
    )
    if (origin := origin_of(entry)) is not None:
        given = values.get(SOURCE.name)
        values = {**values, SOURCE.name: origin.label}
        if given is not None and str(given).rpartition("@")[2] != origin.label.rpartition("@")[2]:
            rule = f"must be that of the {group} '{entry.name}' that was given, {origin.label}"
            faults.append(Fault(f"{group}.{SOURCE.name}", rule, str(given), "give the file that it was trained with"))
        elif not faults:
            faults.extend(tried(group, entry, values))
    idle = unsaid(group, member.name)
    said = {name: value for name, value in values.items() if name not in idle or value != idle[name]}
    return Member(member.name, tuple(sorted(said.items()))), tuple(faults)


def _stand_in(group: str, member: Member, faults: list[Fault]) -> Member:
    """A name that is no entry's: it takes what says the activation of each layer, if it stands for those between."""
    taken = (ACTIVATION_PER_LAYER,) if member.name == AUTO else ()
    values = parse_params(f"{group}.", taken, dict(member.params), faults)
    return Member(member.name, tuple((key, value) for key, value in values.items() if value is not None))


def _unknown(group: str, member: Member) -> Fault:
    """The fault of a name that no entry has; a filed spec says where the part came from."""
    fault = unknown(f"{group}.name", group, member.name, REGISTRIES[group].names())
    if SOURCE.name not in member:
        return fault
    file = str(member[SOURCE.name]).rpartition("@")[0]
    remedy = f"it is a part of {member[SOURCE.name]}: give that file with --parts {file}"
    return replace(fault, remedy=remedy)


def _unfolded(model: Model, values: Mapping[str, Value], faults: list[Fault]) -> Mapping[str, Value]:
    """The parameters that a spec keeps of a model; its shorthand is gone."""
    try:
        return model.unfold(values)
    except Unclear as unclear:
        where = f"model.{unclear.where}"
        faults.append(Fault(where, str(unclear), text(values[unclear.where]), unclear.remedy))
        return model.unfold({**values, **{param.name: None for param in model.shorthand}})


def _broken(rules: Iterable[Rule], values: Mapping[str, Value], faulty: Set[str]) -> Iterator[Rule]:
    """The rules that values break; of a value that is itself at fault a rule says nothing."""
    for rule in rules:
        read = _Read(values)
        if not rule.holds(read) and not read.names & faulty:
            yield rule


def precision_faults(spec: RunSpec) -> Iterator[Fault]:
    """What does not hold of the numbers of the run's dtype that the parameters become."""
    for group in MEMBERS:
        member: Member = getattr(spec, group)
        if member.name in REGISTRIES[group]:
            yield from _member_precision_faults(group, member, spec.dtype)
    yield from _lost("train.", TRAIN, {param.name: getattr(spec.train, param.name) for param in TRAIN}, spec.dtype)[1]
    yield from _lost("solved.", SOLVED, {param.name: getattr(spec.solved, param.name) for param in SOLVED}, spec.dtype)[
        1
    ]


@lru_cache(maxsize=16384)
def _member_precision_faults(group: str, member: Member, dtype: str) -> tuple[Fault, ...]:
    entry = REGISTRIES[group][member.name]
    said = [param for param in parameters(entry) if param.name in member]
    values, faults = _lost(f"{group}.", said, dict(member.params), dtype)
    faulty = {fault.where.removeprefix(f"{group}.") for fault in faults}
    known = set(_broken(entry.rules, dict(member.params), frozenset()))  # whatever the dtype
    for rule in (rule for rule in _broken(entry.rules, values, faulty) if rule not in known):
        faults.append(_coarse(f"{group}.{rule.where}", rule.rule, member[rule.where], dtype, rule.remedy))
    return tuple(faults)


def _lost(
    prefix: str, params: Iterable[Param], given: Mapping[str, Value], dtype: str
) -> tuple[dict[str, Value], list[Fault]]:
    """Parameters as ``dtype`` holds them, and a fault for each that it cannot hold or that its kind refuses then."""
    values, faults = dict(given), []
    for param in params:
        value, where, remedy = (
            given[param.name],
            f"{prefix}{param.name}",
            f"try {prefix}{param.name}={text(param.default)}",
        )
        try:
            values[param.name] = rounded(value, dtype)
        except Refused as refused:
            faults.append(Fault(where, str(refused), text(value), _wider(value, dtype, remedy)))
            continue
        try:
            param.kind.parse(values[param.name])
        except Refused as refused:
            faults.append(_coarse(where, str(refused), value, dtype, remedy))
    return values, faults


def _coarse(where: str, rule: str, value: Value, dtype: str, remedy: str) -> Fault:
    return Fault(where, f"{rule} when rounded to dtype={dtype}", text(value), _wider(value, dtype, remedy))


def _wider(value: Value, dtype: str, remedy: str) -> str:
    """The remedy for a value that ``dtype`` does not hold: a dtype that does, if there is one."""
    if dtype == "float64":
        return remedy
    try:
        rounded(value, "float64")
    except Refused:
        return remedy
    return f"{remedy}, or dtype=float64" if remedy else "try dtype=float64"


class _Read(dict[str, Value]):
    """Parameters that know which of them a rule has looked at."""

    def __init__(self, values: Mapping[str, Value]):
        super().__init__(values)
        self.names: set[str] = set()

    def __getitem__(self, name: str) -> Value:
        self.names.add(name)
        return super().__getitem__(name)
