"""The axes of a sweep and the rows of its product: Hydra's multirun grammar, then zip and exclude."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from hydra.core.override_parser.types import Override, QuotedString, Transformer

from nnspec.catalog import entry_name
from nnspec.compose.composer import COMPOSE_ERRORS, Composer
from nnspec.compose.explain import GRAMMAR, MOST_VALUES, choice_faults, elements, unknown_option
from nnspec.errors import Fault, nearest
from nnspec.settings import Sweep
from nnspec.specs import text

Row = tuple[int, ...]  # for each axis, which of its values
# Strings that Hydra's grammar reads back as they are; others make the way over the parser again, as in Hydra's own
# sweeper.
_PLAIN = re.compile(r"[A-Za-z_][\w-]*")
_WORDS = {"true", "false", "null", "nan", "inf"}


@dataclass(frozen=True)
class Axis:
    """One swept key: ``key`` as typed (a + included), ``name`` without it, the values as text and parsed."""

    key: str
    texts: tuple[str, ...]
    values: tuple[object, ...]
    override: Override
    group: bool

    @property
    def name(self) -> str:
        return self.key.lstrip("+~")

    def line(self, index: int) -> str:
        """The override of one value."""
        return f"{self.key}={self.texts[index]}"

    def find(self, value: object) -> set[int]:
        """The places of a value, given as typed or as the plain value it stands for."""
        plain = list(value) if isinstance(value, tuple) else entry_name(self.name, value)
        typed = text(plain)
        same = (i for i, v in enumerate(self.values) if v == plain and isinstance(v, bool) == isinstance(plain, bool))
        return {*same, *(i for i, t in enumerate(self.texts) if t == typed)}


@dataclass(frozen=True)
class Statement:
    """What a multirun's overrides state: the overrides that all cells share, the axes, and the faults of both.

    ``order`` has the lines that are shared and the places of the axes between them, as they were typed.
    """

    order: tuple[str | int, ...]
    fixed: tuple[Override, ...]
    axes: tuple[Axis, ...]
    faults: tuple[Fault, ...]

    def lines(self, row: Mapping[int, int]) -> list[str]:
        """The overrides where the axes in ``row`` are at these places and the others are not said."""
        lines = []
        for part in self.order:
            if isinstance(part, str):
                lines.append(part)
            elif part in row:
                lines.append(self.axes[part].line(row[part]))
        return lines

    def without(self, lines: Collection[str], faults: Sequence[Fault]) -> Statement:
        """This statement without some of the shared lines, and with their faults."""
        kept = tuple(part for part in self.order if part not in lines)
        fixed = tuple(override for override in self.fixed if override.input_line not in lines)
        return Statement(kept, fixed, self.axes, tuple(dict.fromkeys([*self.faults, *faults])))


def read(composer: Composer, overrides: Sequence[str]) -> Statement:
    """The statement of overrides; a later one replaces an earlier one of the same key, as in Hydra."""
    stated: dict[str, Override] = {}
    faults: list[Fault] = []
    for line in overrides:
        try:
            override = composer.parse(line)
        except COMPOSE_ERRORS:
            faults.append(
                Fault("an override", "must be written KEY=VALUE", f"'{line}'", f"quote what is special; {GRAMMAR}")
            )
            continue
        stated[override.get_key_element()] = override
    order: list[str | int] = []
    fixed: list[Override] = []
    axes: list[Axis] = []
    for key, override in stated.items():
        found = choice_faults(composer, override, sweeping=True)
        faults.extend(found)
        if override.is_sweep_override():
            if found and not composer.is_group(override.key_or_group):
                continue
            axis = _axis(composer, key, override)
            if len(axis.texts) > 1:
                order.append(len(axes))
                axes.append(axis)
            elif axis.texts:
                order.append(axis.line(0))
                fixed.append(composer.parse(axis.line(0)))
        elif not found:
            line = f"{key}={override.get_value_element_as_str()}"
            order.append(line)
            fixed.append(replace(override, input_line=line))
    return Statement(tuple(order), tuple(fixed), tuple(axes), tuple(dict.fromkeys(faults)))


def _axis(composer: Composer, key: str, override: Override) -> Axis:
    group = composer.is_group(override.key_or_group)
    chosen = elements(override)  # once: a shuffle is another one each time
    if group:
        chosen = [entry_name(override.key_or_group, element) for element in chosen]
    texts = [str(element) if type(element) is int else str(Transformer.str(element)) for element in chosen]
    values = [_value(composer, key, element, typed) for element, typed in zip(chosen, texts, strict=True)]
    known = [
        i for i, value in enumerate(values) if not (group and unknown_option(composer, override.key_or_group, value))
    ]
    return Axis(key, tuple(texts[i] for i in known), tuple(values[i] for i in known), override, group)


def _value(composer: Composer, key: str, element: object, typed: str) -> object:
    """The value that the override of this element states; known without parsing for most."""
    if element is None or isinstance(element, (bool, int, float)):
        return element
    if (
        isinstance(element, str)
        and not isinstance(element, QuotedString)
        and _PLAIN.fullmatch(element)
        and element.lower() not in _WORDS
    ):
        return element
    return composer.parse(f"{key}={typed}").value()


def layout(axes: Sequence[Axis], sweep: Sweep) -> tuple[list[Row], list[Fault]]:
    """The rows of the product of the axes, zipped ones moving together, excluded ones left out; and every fault."""
    groups, faults = _zipped(axes, sweep.zip)
    faults += _table_faults(axes, sweep.table or ())
    excluded = [_exclusion(axes, item, faults) for item in sweep.exclude]
    steps = [
        [tuple(zip(group, [i] * len(group), strict=True)) for i in range(len(axes[group[0]].texts))] for group in groups
    ]
    count = math.prod(len(step) for step in steps)
    if count > MOST_VALUES:
        return [], [
            *faults,
            Fault("the sweep", f"must have at most {MOST_VALUES} cells", str(count), "sweep over less at once"),
        ]
    if not sweep.zip and not excluded:  # every row of the product: a million of them within a second
        return list(itertools.product(*(range(len(axis.texts)) for axis in axes))), faults
    rows: list[Row] = []
    used: set[int] = set()  # the items of sweep.exclude that match something
    in_order = [axis for group in groups for axis in group] == list(range(len(axes)))
    for combination in itertools.product(*steps):
        pairs = itertools.chain.from_iterable(combination)
        row = tuple(i for _, i in pairs) if in_order else tuple(i for _, i in sorted(pairs))
        matched = [
            place for place, item in enumerate(excluded) if all(row[axis] in places for axis, places in item.items())
        ]
        used.update(matched)
        if not matched:
            rows.append(row)
    idle = [item for place, item in enumerate(sweep.exclude) if place not in used]
    if not faults:
        faults += [
            Fault("sweep.exclude", "must match a cell", _item(item), "remove it, or change what it names")
            for item in idle
        ]
    if not rows and not faults:
        faults.append(Fault("sweep.exclude", "must leave a cell", "none", "exclude fewer"))
    return rows, faults


def _zipped(axes: Sequence[Axis], wanted: Sequence[Sequence[str]]) -> tuple[list[list[int]], list[Fault]]:
    """The axes in groups that move together, each at the place of its first axis."""
    faults: list[Fault] = []
    owner: dict[int, list[int]] = {}
    for names in wanted:
        found = [place for name in names if (place := _place(axes, name, "sweep.zip", faults)) is not None]
        if len(found) < len(names):
            continue
        lengths = {axes[i].name: len(axes[i].texts) for i in found}
        if len(set(lengths.values())) > 1:
            said = ", ".join(f"{name} has {n}" for name, n in lengths.items())
            faults.append(Fault("sweep.zip", "must join axes with equally many values", said, "give them equally many"))
        elif len(set(found)) < len(found) or any(i in owner for i in found):
            faults.append(
                Fault("sweep.zip", "must name each axis once", text(list(names)), "remove the second mention")
            )
        else:
            owner.update(dict.fromkeys(found, found))
    groups: list[list[int]] = []
    for i in range(len(axes)):
        group = owner.get(i, [i])
        if group not in groups:
            groups.append(group)
    return groups, faults


def _item(item: Mapping[str, object]) -> str:
    return "{" + ", ".join(f"{name}: {text(value)}" for name, value in item.items()) + "}"


def _table_faults(axes: Sequence[Axis], names: Sequence[str]) -> list[Fault]:
    """What is wrong with the axes that the result table is to have."""
    faults: list[Fault] = []
    found = [_place(axes, name, "sweep.table", faults) for name in names]
    if not faults and len(set(found)) < len(found):
        faults.append(Fault("sweep.table", "must name each axis once", text(list(names)), "remove the second mention"))
    return faults


def _exclusion(axes: Sequence[Axis], item: Mapping[str, object], faults: list[Fault]) -> dict[int, set[int]]:
    """Axis -> the places of its values that this item matches."""
    matched: dict[int, set[int]] = {}
    for name, value in item.items():
        place = _place(axes, name, "sweep.exclude", faults)
        if place is None:
            continue
        matched[place] = axes[place].find(value)
        if not matched[place]:
            remedy = f"available: {', '.join(axes[place].texts)}"
            faults.append(Fault("sweep.exclude", f"must name values of the axis {name}", text(value), remedy))
    return matched


def _place(axes: Sequence[Axis], name: str, where: str, faults: list[Fault]) -> int | None:
    names = [axis.name for axis in axes]
    if name in names:
        return names.index(name)
    faults.append(
        Fault(
            where,
            "must name axes of the sweep",
            f"'{name}'",
            nearest(name, names) if names else "the sweep has no axes",
        )
    )
    return None
