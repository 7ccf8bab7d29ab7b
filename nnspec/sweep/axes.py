"""The axes of a sweep: what its overrides state, by Hydra's multirun grammar."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from hydra.core.override_parser.types import Override, QuotedString, Transformer

from nnspec.catalog import entry_name
from nnspec.compose.composer import Composer
from nnspec.compose.explain import choice_faults, elements, parsed, unknown_option
from nnspec.errors import Fault
from nnspec.specs import text

Row = tuple[int, ...]  # for each axis, which of its values; UNSAID where the row's block does not say the axis
UNSAID = -1
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

    ``order`` has the lines that are shared and the places of the axes between them, as they were typed. ``blocks`` has
    for each block of ``sweep.where`` the places of values to which it keeps an axis, a single UNSAID where it does not
    say it; an axis that is not in it is there whole.
    """

    order: tuple[str | int, ...]
    fixed: tuple[Override, ...]
    axes: tuple[Axis, ...]
    faults: tuple[Fault, ...]
    blocks: tuple[Mapping[int, Row], ...] = ({},)

    def lines(self, row: Mapping[int, int]) -> list[str]:
        """The overrides where the axes in ``row`` are at these places and the others are not said."""
        lines = []
        for part in self.order:
            if isinstance(part, str):
                lines.append(part)
            elif row.get(part, UNSAID) != UNSAID:
                lines.append(self.axes[part].line(row[part]))
        return lines

    def without(self, lines: Collection[str], faults: Sequence[Fault]) -> Statement:
        """This statement without some of the shared lines, and with their faults."""
        kept = tuple(part for part in self.order if part not in lines)
        fixed = tuple(override for override in self.fixed if override.input_line not in lines)
        return replace(self, order=kept, fixed=fixed, faults=tuple(dict.fromkeys([*self.faults, *faults])))

    def with_fixed(self, override: Override) -> Statement:
        """This statement and one more override that all cells share."""
        return replace(self, order=(*self.order, str(override.input_line)), fixed=(*self.fixed, override))

    def with_axis(self, axis: Axis, places: Sequence[Row | None]) -> Statement:
        """This statement and one more axis, of which each block has some places, or None."""
        number = len(self.axes)
        known = self.blocks if len(self.blocks) == len(places) else self.blocks * len(places)
        blocks = [{**block, number: own or (UNSAID,)} for block, own in zip(known, places, strict=True)]
        return replace(self, order=(*self.order, number), axes=(*self.axes, axis), blocks=tuple(blocks))

    @property
    def places(self) -> list[list[Row]]:
        """For each block, the places of values that it has of each axis."""
        whole = [tuple(range(len(axis.texts))) for axis in self.axes]
        return [[block.get(i, places) for i, places in enumerate(whole)] for block in self.blocks]


def read(composer: Composer, overrides: Sequence[str]) -> Statement:
    """The statement of overrides; a later one replaces an earlier one of the same key, as in Hydra."""
    found, faults = parsed(composer, overrides)
    stated = {override.get_key_element(): override for override in found}
    order: list[str | int] = []
    fixed: list[Override] = []
    axes: list[Axis] = []
    for key, override in stated.items():
        wrong = choice_faults(composer, override, sweeping=True)
        faults.extend(wrong)
        if override.is_sweep_override():
            if wrong and not composer.is_group(override.key_or_group):
                continue
            axis = axis_of(composer, key, override)
            if len(axis.texts) > 1:
                order.append(len(axes))
                axes.append(axis)
            elif axis.texts:
                order.append(axis.line(0))
                fixed.append(composer.parse(axis.line(0)))
        elif not wrong:
            line = f"{key}={override.get_value_element_as_str()}"
            order.append(line)
            fixed.append(replace(override, input_line=line))
    return Statement(tuple(order), tuple(fixed), tuple(axes), tuple(dict.fromkeys(faults)))


def axis_of(composer: Composer, key: str, override: Override) -> Axis:
    """The axis that a sweep's override states; of a group, without the names that it does not have."""
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
