"""``sweep.where``: axes that hold together, in blocks, so that each optimizer can have its own rates.

A sweep is the union of its blocks, and each block a product: of the axes that are said beside ``sweep.where``, and of
its own, in the order in which the blocks first name them. A key that a block does not say stays as it is without it;
of a group that is the member of the config, by its name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from hydra.core.override_parser.types import ChoiceSweep, Override, ValueType

from nnspec.compose.composer import COMPOSE_ERRORS, Composer
from nnspec.compose.explain import GRAMMAR, choice_faults, key_parts
from nnspec.compose.stating import typed
from nnspec.errors import Fault, nearest
from nnspec.settings import split
from nnspec.specs import FIELDS, text
from nnspec.sweep.axes import Axis, Statement, axis_of

WHERE = "sweep.where"
Block = dict[str, Axis]


def with_blocks(composer: Composer, statement: Statement, where: Sequence[Mapping[str, object]]) -> Statement:
    """The statement with the blocks of ``sweep.where``: their axes after its own, and their faults."""
    if not where:
        return statement
    beside = {*(axis.name for axis in statement.axes), *(override.key_or_group for override in statement.fixed)}
    faults: list[Fault] = []
    blocks = [_block(composer, item, beside, faults) for item in where]
    if faults:
        return replace(statement, faults=tuple(dict.fromkeys([*statement.faults, *faults])))
    _fill_groups(composer, statement, blocks)
    keys = list(dict.fromkeys(key for block in blocks for key in block))
    for key in keys:
        said = [block[key] for block in blocks if key in block]
        joined = _joined(said)
        if len(said) == len(blocks) and len(joined.texts) == 1:  # the same everywhere: no axis
            statement = statement.with_fixed(composer.parse(joined.line(0)))
            continue
        number = {value: i for i, value in enumerate(joined.texts)}
        places = [tuple(number[value] for value in block[key].texts) if key in block else None for block in blocks]
        statement = statement.with_axis(joined, places)
    return statement


def _block(composer: Composer, item: Mapping[str, object], beside: set[str], faults: list[Fault]) -> Block:
    """The axes of one block; one of a single value is one, too."""
    block: Block = {}
    for key, value in item.items():
        found = list(_key_faults(key, beside))
        override = None if found else _override(composer, key, value, found)
        if override is not None:
            found += choice_faults(composer, override, sweeping=True)
        if override is not None and not found:
            block[key] = axis_of(composer, key, override)
            found += _value_faults(key, block[key].values)
        faults += found
    return block


def _key_faults(key: str, beside: set[str]) -> Iterator[Fault]:
    parts = key_parts(key)
    if not parts or parts[0] not in FIELDS:
        yield Fault(WHERE, "must name fields of a run", f"'{key}'", nearest(key, FIELDS))
    elif _of_command(parts, None):
        yield Fault(WHERE, "must name fields of a run, not of the command", f"'{key}'", f"say {key} beside it")
    elif key in beside:
        remedy = "say it in one of the two"
        yield Fault(WHERE, "must not name what is also said beside it", f"'{key}'", remedy)


def _of_command(parts: Sequence[str], value: object) -> bool:
    """Whether a key belongs to the settings of a command, as train.workers does and ``replicates: auto``."""
    node: Any = value
    for part in reversed(parts):
        node = {part: node}
    return any(split(node)[1].values())


def _override(composer: Composer, key: str, value: object, faults: list[Fault]) -> Override | None:
    """The values of a key as a sweep's override: a list's items, or a text in Hydra's grammar, as in its own axes."""
    fault = Fault(WHERE, f"must give {key} a value, a list of values or a range", text(value), GRAMMAR)
    if isinstance(value, Mapping) or value == []:
        faults.append(fault)
        return None
    said = ",".join(map(typed, value)) if isinstance(value, (list, tuple)) else value
    line = f"{key}={said}" if isinstance(said, str) else f"{key}={typed(said)}"
    try:
        override = composer.parse(line)
        if not override.is_sweep_override():  # choice(null) is none of Hydra's
            held: Any = override._value
            one = ChoiceSweep(list=[held], simple_form=True)
            override = replace(override, value_type=ValueType.SIMPLE_CHOICE_SWEEP, _value=one)
    except COMPOSE_ERRORS:
        faults.append(fault)
        return None
    return override


def _value_faults(key: str, values: Sequence[object]) -> Iterator[Fault]:
    for value in values:
        if _of_command(key_parts(key), value):
            said = text(value)
            yield Fault(WHERE, f"must give {key} values of a run", said, f"say {key}={said} beside it")


def _fill_groups(composer: Composer, statement: Statement, blocks: Sequence[Block]) -> None:
    """Give each block the groups that only others say, at the member that the config has."""
    groups = dict.fromkeys(key for block in blocks for key, axis in block.items() if axis.group)
    if all(key in block for key in groups for block in blocks):
        return
    chosen = [str(o.input_line) for o in statement.fixed if composer.is_group(o.key_or_group)]
    members = composer.config(chosen).hydra.runtime.choices
    for key in groups:
        for block in blocks:
            if key not in block:
                block[key] = axis_of(composer, key, composer.parse(f"{key}=choice({members[key]})"))


def _joined(axes: Sequence[Axis]) -> Axis:
    """One axis with the values of all, each once."""
    values = {typed: value for axis in axes for typed, value in zip(axis.texts, axis.values, strict=True)}
    return replace(axes[0], texts=tuple(values), values=tuple(values.values()))
