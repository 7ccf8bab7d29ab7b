"""Why Hydra refused a command line, in nnspec's words: one fault an override, and then whatever else is wrong.

Hydra stops at the first fault and says it in a paragraph. Here each override is looked at by itself, the broken ones
are dropped, the rest is composed again, and what that yields is checked, so that one look mends everything.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from typing import Any

from hydra.core.override_parser.types import Glob, Override, QuotedString, Sweep, ValueType

from nnspec.check import examine
from nnspec.compose.composer import COMPOSE_ERRORS, Composer
from nnspec.effects import idle_fields
from nnspec.errors import SHOWN_FAULTS, Fault, nearest, unknown
from nnspec.settings import Settings, examine_settings, split
from nnspec.specs import RunSpec, parse, targets, text

GRAMMAR = "see https://hydra.cc/docs/advanced/override_grammar/basic"
MOST_VALUES = 1_000_000  # of one axis, and cells of a sweep: what is more is a slip of the pen
EXTRAS = {  # choices that come with an extra of nnspec's
    "hydra/launcher=joblib": "joblib",
    "hydra/launcher=submitit_local": "slurm",
    "hydra/launcher=submitit_slurm": "slurm",
}
_LONGEST = 200  # characters of somebody else's message that still are one line


def examine_config(config: Mapping[str, object]) -> tuple[RunSpec | None, Settings, list[Fault]]:
    """The checked spec and the settings of a composed config, and every fault of both."""
    stated, rest = split(config)
    settings, faults = examine_settings(rest)
    spec, found = parse(stated)
    if spec is not None:
        spec, more = examine_fields(spec, archived=config.get("spec") is not None)
        found += more
    return spec, settings, found + faults


def examine_fields(spec: RunSpec, archived: bool = False) -> tuple[RunSpec, list[Fault]]:
    """``check.examine``, and the fields that have no effect: an archived spec has what it has."""
    spec, faults = examine(spec)
    return spec, faults if faults or archived else list(idle_fields(spec))


def explain(composer: Composer, overrides: Sequence[str]) -> list[Fault]:
    """Every fault of the command line of a single run; empty if it composes and states a spec."""
    readable, faults = parsed(composer, overrides)
    kept: list[Override] = []
    unclear: set[str] = set()  # sections that no member could be chosen for: what is said of its keys means nothing
    for override in readable:
        found = choice_faults(composer, override, sweeping=False)
        faults.extend(found)
        if found:
            unclear.add(override.key_or_group)
        else:
            kept.append(override)
    config, dropped = compose_rest(composer, [o for o in kept if o.key_or_group.split(".")[0] not in unclear])
    faults.extend(fault for _, fault in dropped)
    if config is not None:
        faults.extend(examine_config(config)[2])
    return list(dict.fromkeys(faults))


def refusal(
    composer: Composer, overrides: Sequence[str], error: BaseException, where: str = "the config"
) -> list[Fault]:
    """Why a command line does not compose: every fault found, or else what Hydra says."""
    return explain(composer, overrides) or [uncomposed(error, where)]


def uncomposed(error: BaseException, where: str = "the config") -> Fault:
    """What Hydra says of a command line that does not compose."""
    return Fault(where, "must compose", one_line(error), "mend what it names")


def one_line(error: BaseException) -> str:
    """Somebody else's message as one line of bounded length."""
    message = " ".join(str(error).split()) or type(error).__name__
    message = re.sub(r"\s*(full_key|object_type|reference_type)[=:]\s*\S+", "", message)
    return message if len(message) <= _LONGEST else message[: _LONGEST - 3] + "..."


def unknown_key(key: str, config: Mapping[str, Any]) -> Fault | None:
    """The fault of a dotted key that a composed config does not have, with the nearest key it has."""
    node: object = config
    done: list[str] = []
    for part in key_parts(key):
        if not isinstance(node, Mapping):
            rule = f"is not a known key: {'.'.join(done)} holds no keys"
            return None if isinstance(node, list) else Fault(key, rule, remedy="leave it out")
        if part not in node:
            before = "".join(f"{name}." for name in done)  # not compared: all of them begin alike
            remedy = nearest(part, map(str, node), before) if node else f"{'.'.join(done)} has no keys"
            return Fault(key, "is not a known key", remedy=remedy)
        node, done = node[part], [*done, part]
    return None


def key_parts(key: str) -> list[str]:
    """The parts of a dotted key; ``a[b]`` is ``a.b``."""
    return [part for part in re.split(r"[.\[\]]", key) if part]


def parsed(composer: Composer, overrides: Sequence[str]) -> tuple[list[Override], list[Fault]]:
    """The overrides that can be read, and a fault for each other."""
    found, faults = [], []
    for line in overrides:
        try:
            found.append(composer.parse(line))
        except COMPOSE_ERRORS:
            rule, remedy = "must be written KEY=VALUE", f"quote what is special; {GRAMMAR}"
            faults.append(Fault("an override", rule, f"'{line}'", remedy))
    return found, faults


def choice_faults(composer: Composer, override: Override, sweeping: bool) -> list[Fault]:
    """The faults of one override by itself: several values where one may be, a name that its group does not have."""
    key = override.key_or_group
    if override.is_sweep_override() and not sweeping:
        value = override.get_value_string()
        return [
            Fault(key, "must be one value without -m", value, f"add -m to try each, or write {key}=[...] for a list")
        ]
    if override.is_sweep_override() and (fault := _sweep_fault(override)):
        return [fault]
    if not override.is_sweep_override() and _holds_sweep(override.value()):
        rule = "must not have a range or a choice inside its list unless it is quoted"
        line = f"'{override.input_line}'"
        return [Fault(key, rule, line, "put it in quotes, as in 'range(0,3)', or write the values out")]
    if not composer.is_group(key) or override.is_delete():
        return []
    said = elements(override) if override.is_sweep_override() else [override.value()]
    if any(isinstance(value, (Mapping, list)) and not any(targets(value)) for value in said):
        value, remedy = (
            override.get_value_string(),
            f"choose one with {key}=NAME, and change its parameters with {key}.KEY=VALUE",
        )
        return [Fault(key, "must be a name", value, remedy)]
    return [fault for name in _names(override) if (fault := unknown_option(composer, key, name))]


def _holds_sweep(value: object) -> bool:
    """Whether a range or the like, which no config can hold, is somewhere in a value."""
    if isinstance(value, (Mapping, list)):
        return any(map(_holds_sweep, value.values() if isinstance(value, Mapping) else value))
    return isinstance(value, (Sweep, Glob))


def _sweep_fault(override: Override) -> Fault | None:
    key, said = override.key_or_group, override.get_value_string()
    if override.value_type == ValueType.INTERVAL_SWEEP:
        remedy = "use choice(...) or range(...): an interval has no end of values, for hydra/sweeper=nnspec_search"
        return Fault(key, "must be a list of values", said, remedy)
    if override.is_hydra_override():
        return Fault(key, "cannot be swept: it is Hydra's own", said, "give one value")
    try:
        values = elements(override)
    except COMPOSE_ERRORS as error:
        return Fault(key, f"must be a list of values ({one_line(error)})", said, GRAMMAR)
    if not 0 < len(values) <= MOST_VALUES:
        return Fault(key, f"must have 1 to {MOST_VALUES} values", said, "change the range or the choice")
    if any(isinstance(value, (Sweep, Glob)) for value in values):
        return Fault(key, "must not have a range or a choice inside its list", said, "write the values out")
    return None


def elements(override: Override) -> list[Any]:
    """The values of a sweep, parsed; one more than ``MOST_VALUES`` at most. A shuffle is another one at each call."""
    return list(itertools.islice(override.sweep_iterator(), MOST_VALUES + 1))


def unknown_option(composer: Composer, group: str, name: object) -> Fault | None:
    """The fault of a name that a config group does not have."""
    if isinstance(name, Mapping) or composer.has(group, name):
        return None
    extra = EXTRAS.get(f"{group}={name}")
    if extra:
        rule, remedy = f"needs the extra nnspec[{extra}]", f"install it with: pip install 'nnspec[{extra}]'"
        return Fault(f"{group}={name}", rule, "an environment without it", remedy)
    return unknown(group, group, text(name), composer.options(group))


def _names(override: Override) -> list[object]:
    if override.is_sweep_override():
        return [value.text if isinstance(value, QuotedString) else value for value in elements(override)]
    value = override.value()
    return list(value) if isinstance(value, list) else [value]


def compose_rest(
    composer: Composer, overrides: Sequence[Override]
) -> tuple[dict[str, Any] | None, list[tuple[Override | None, Fault]]]:
    """What the overrides compose once those with faults are dropped, and which were dropped for what.

    The config is None, and the last fault nobody's, where the config files themselves do not compose, or the faults are
    many.
    """
    kept = list(overrides)
    dropped: list[tuple[Override | None, Fault]] = []
    while len(dropped) < SHOWN_FAULTS:  # each takes several compositions
        try:
            return composer.mapping([str(o.input_line) for o in kept]), dropped
        except COMPOSE_ERRORS as error:
            blamed = _blamed(composer, kept)
            if blamed is None:
                fault = Fault("the config", "must compose", one_line(error), "mend the config file that it names")
                return None, [*dropped, (None, fault)]
            culprit, found = blamed
            if found is None:
                said = f"'{culprit.input_line}' ({one_line(error)})"
                found = Fault(culprit.key_or_group, "must be an override that Hydra accepts", said, GRAMMAR)
            dropped.append((culprit, found))
            kept = [override for override in kept if override is not culprit]
    return None, [*dropped, (None, Fault("the command line", "may have more faults", remedy="mend these first"))]


def _blamed(composer: Composer, overrides: list[Override]) -> tuple[Override, Fault | None] | None:
    """The first override that breaks the composition of those before it; group choices go first, as in Hydra."""
    groups = [o for o in overrides if composer.is_group(o.key_or_group)]
    values = [o for o in overrides if o not in groups]
    lines: list[str] = []
    config: dict[str, Any] | None = None
    for override in [*groups, *values]:
        lines.append(str(override.input_line))
        try:
            config = composer.mapping(lines)
        except COMPOSE_ERRORS:
            return override, _key_fault(composer, override, lines[:-1], config)
    return None


def _key_fault(
    composer: Composer, override: Override, before: list[str], config: dict[str, Any] | None
) -> Fault | None:
    key = override.key_or_group
    if override.is_hydra_override() or override.is_force_add() or composer.is_group(key):
        return None
    try:
        config = composer.mapping(before) if config is None else config
    except COMPOSE_ERRORS:
        return None
    missing = unknown_key(key, config)
    if override.is_add():
        remedy = f"leave the + out: {str(override.input_line)[1:]}"
        return None if missing else Fault(key, "is there already and cannot be added", str(override.input_line), remedy)
    return missing
