"""What a search may try: axes in Hydra's grammar as dimensions, and the values of a trial as a checked cell.

``interval(a,b)`` is every number from a to b, ``tag(log, ...)`` evenly by their logarithms, ``range(...)`` its
numbers in their order, a list or ``choice(...)`` one of its values. The blocks of ``sweep.where`` make it conditional:
a trial takes one block, and of the dimensions that stand in blocks those of its own.

Where values are numbers the grid of their ends is a sweep like any other, which is checked before anything trains.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Any

from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep

from nnspec.compose.composer import COMPOSE_ERRORS, Composer
from nnspec.compose.explain import elements, examine_config, key_parts, refusal
from nnspec.errors import Fault, SpecError
from nnspec.params import WHOLE
from nnspec.settings import Settings, split
from nnspec.specs import FIELDS, RunSpec, text
from nnspec.sweep.axes import UNSAID, Row, Statement, read
from nnspec.sweep.cells import Cell
from nnspec.sweep.expand import checked_rows, composable
from nnspec.sweep.product import NotPlain, Product, put
from nnspec.sweep.where import WHERE, with_blocks

LOG = "log"
MOST_ENDS = 2000  # rows in which a space is checked; of a larger one each axis by itself
Number = int | float


@dataclass(frozen=True)
class Numbers:
    """The numbers from ``low`` to ``high``, both included: whole ones where both are, ``step`` apart where one is said,
    evenly by their logarithms if ``log`` says so."""

    low: Number
    high: Number
    step: Number | None = None
    log: bool = False

    @property
    def count(self) -> float:
        """How many there are."""
        if isinstance(self.low, int) and isinstance(self.high, int):
            return (self.high - self.low) // int(self.step or 1) + 1
        return math.inf if self.step is None else round((self.high - self.low) / self.step) + 1

    def __str__(self) -> str:
        kind = "whole numbers " if isinstance(self.low, int) else ""
        step = "" if self.step in (None, 1) else f" by {text(self.step)}"
        return f"{kind}{text(self.low)} to {text(self.high)}{step}{' (log)' if self.log else ''}"


@dataclass(frozen=True)
class Names:
    """A few values, as they are typed."""

    values: tuple[str, ...]

    @property
    def count(self) -> float:
        """How many there are."""
        return len(self.values)

    def __str__(self) -> str:
        return ", ".join(self.values)


Domain = Numbers | Names
Value = Number | str


@dataclass(frozen=True)
class Dimension:
    """One thing that is searched: a ``name`` of its own, the number of its axis, and what it may be. The name is the
    axis's, or says the block too where blocks of ``sweep.where`` give a key different values."""

    name: str
    axis: int
    domain: Domain


class Space:
    """What a search may try. ``blocks`` has the dimensions of each block of ``sweep.where``, named by ``labels``; one
    without such blocks has one. ``specs`` are the cells at the ends, ``axes`` the keys that vary.

    Raises:
        SpecError: with every fault of the overrides and of the cells at the ends.
    """

    def __init__(self, overrides: Sequence[str], settings: Settings, composer: Composer):
        self.composer = composer
        reader = _Reader(composer)
        lines = [reader.line(line, None) for line in overrides]
        where = [reader.block(block, number) for number, block in enumerate(settings.sweep.where)]
        stated = read(composer, [line for line in lines if line])
        if reader.faults:
            raise SpecError([*reader.faults, *stated.faults])
        self.statement = composable(composer, with_blocks(composer, stated, where))
        specs, faults = checked_rows(composer, self.statement, list(_end_rows(self.statement)))
        faults = [*self.statement.faults, *(_in_whole_numbers(fault, reader.domains) for fault in faults)]
        faults += self._key_faults()
        self.axes = tuple(axis.name for axis in self.statement.axes)
        if not faults and not self.axes:
            remedy = "add an axis, as in optimizer.lr='tag(log, interval(0.0001, 10))'"
            faults = [Fault("a search", "must have something to search", "no axis", remedy)]
        if faults:
            raise SpecError(faults)
        self.specs: list[RunSpec] = list(dict.fromkeys(spec for spec in specs if spec is not None))
        self.labels, self.blocks = self._named(reader.domains)
        self._choices = _Choices(composer, self.statement)

    @property
    def count(self) -> float:
        """How many combinations there are."""
        return sum(math.prod(dimension.domain.count for dimension in block) for block in self.blocks)

    @property
    def conditional(self) -> bool:
        """Whether a trial does not have all of the dimensions."""
        return len(self.blocks) > 1

    @property
    def listed(self) -> dict[str, str]:
        """What is searched in words, by axis; where blocks differ, which values go with which."""
        found: dict[str, dict[str, list[str]]] = {}
        for label, block in zip(self.labels, self.blocks, strict=True):
            for dimension in block:
                own = found.setdefault(self.axes[dimension.axis], {})
                own.setdefault(str(dimension.domain), []).append(label)
        said = {
            axis: "; ".join(
                f"{domain} where {' or '.join(labels)}" if len(labels) < len(self.labels) else domain
                for domain, labels in own.items()
            )
            for axis, own in found.items()
        }
        return ({WHERE: "; ".join(self.labels)} if self.conditional else {}) | said

    @property
    def digest(self) -> str:
        """Sixteen hexadecimal digits that name the space: its dimensions, and what all of its cells share."""
        blocks = [[[d.name, type(d.domain).__name__, asdict(d.domain)] for d in block] for block in self.blocks]
        told = json.dumps([blocks, self.labels, self.specs[0].fingerprint])
        return hashlib.sha256(told.encode()).hexdigest()[:16]

    def cell(self, block: int, values: Mapping[str, Value]) -> tuple[Cell | None, list[Fault]]:
        """The checked cell of a trial in a block, ``values`` being those of its dimensions by name; None with the
        faults of one that cannot train."""
        places = self.statement.places[block]
        typed = {i: axis.texts[places[i][0]] for i, axis in enumerate(self.statement.axes) if places[i][0] != UNSAID}
        plain: dict[int, object] = {i: self.statement.axes[i].values[places[i][0]] for i in typed}
        for dimension in self.blocks[block]:
            value, axis = values[dimension.name], self.statement.axes[dimension.axis]
            typed[dimension.axis] = text(value)
            names = isinstance(dimension.domain, Names)
            plain[dimension.axis] = axis.values[axis.texts.index(str(value))] if names else value
        spec, faults = self._choices.spec(typed, plain)
        return (None if spec is None else Cell(spec, tuple((self.axes[i], said) for i, said in typed.items()))), faults

    def _key_faults(self) -> Iterator[Fault]:
        for axis in self.statement.axes:
            parts = key_parts(axis.name)
            node: Any = axis.values[0]
            for part in reversed(parts):
                node = {part: node}
            if axis.name == "seed":
                rule, remedy = "cannot be searched: seeds are replicates", "say replicates=200, or another number"
                yield Fault("seed", rule, remedy=remedy)
            elif parts[0] not in FIELDS or any(split(node)[1].values()):
                rule, remedy = "cannot be searched: it belongs to the command, not to a run", "give one value"
                yield Fault(axis.name, rule, remedy=remedy)

    def _named(
        self, numbers: Mapping[tuple[int | None, str], Numbers]
    ) -> tuple[list[str], list[tuple[Dimension, ...]]]:
        """The labels of the blocks, and their dimensions."""
        found: list[dict[int, Domain]] = []
        labels: list[str] = []
        for number, places in enumerate(self.statement.places):
            domains: dict[int, Domain] = {}
            constant = []
            for i, axis in enumerate(self.statement.axes):
                own = numbers.get((number, axis.name)) or numbers.get((None, axis.name))
                if len(places[i]) > 1:
                    domains[i] = own or Names(tuple(axis.texts[place] for place in places[i]))
                elif places[i][0] != UNSAID:
                    constant.append(axis.line(places[i][0]))
            found.append(domains)
            labels.append(", ".join(constant) or f"block {number + 1}")
        labels = [label if labels.count(label) == 1 else f"{label} ({i + 1})" for i, label in enumerate(labels)]
        blocks = []
        for label, domains in zip(labels, found, strict=True):
            alike = {i: len({block[i] for block in found if i in block}) == 1 for i in domains}
            names = {i: self.axes[i] if alike[i] else f"{self.axes[i]} ({label})" for i in domains}
            blocks.append(tuple(Dimension(names[i], i, domain) for i, domain in domains.items()))
        return labels, blocks


class _Choices:
    """Puts cells together: of each combination of groups the config is composed once, values are put into it."""

    def __init__(self, composer: Composer, statement: Statement):
        self.composer, self.statement = composer, statement
        self.groups = [i for i, axis in enumerate(statement.axes) if axis.group]
        self._product = self._product_of(statement)
        self._configs: dict[Row, dict[str, Any]] = {}

    def spec(self, typed: Mapping[int, str], plain: Mapping[int, object]) -> tuple[RunSpec | None, list[Fault]]:
        """The spec where the axes have these values, as text and as plain values."""
        try:
            config = self._config(typed, plain)
        except SpecError as error:
            return None, list(error.faults)
        except (NotPlain, *COMPOSE_ERRORS):
            axes = tuple(replace(axis, texts=(typed.get(i, ""),)) for i, axis in enumerate(self.statement.axes))
            lines = replace(self.statement, axes=axes).lines(dict.fromkeys(typed, 0))
            try:
                config = self.composer.mapping(lines)
            except COMPOSE_ERRORS as error:
                return None, refusal(self.composer, lines, error)
        spec, _, faults = examine_config(config)
        return (None if faults else spec), faults

    def _config(self, typed: Mapping[int, str], plain: Mapping[int, object]) -> dict[str, Any]:
        if self._product is None:
            raise NotPlain
        row = tuple(self.statement.axes[i].texts.index(typed[i]) for i in self.groups)
        if row not in self._configs:
            self._configs[row] = self._product.config(row)
        config = self._configs[row]
        for i, value in plain.items():
            if i not in self.groups:
                config = put(config, self.statement.axes[i].override.key_or_group, value)
        return config

    def _product_of(self, statement: Statement) -> Product | None:
        """The configs of the groups alone; None where values cannot just be put into them, and Hydra composes all."""
        whole = [tuple(range(len(axis.texts))) for axis in statement.axes]
        values = [i for i in range(len(whole)) if i not in self.groups]
        order = tuple(self.groups.index(p) if isinstance(p, int) else p for p in statement.order if p not in values)
        groups = tuple(statement.axes[i] for i in self.groups)
        try:
            Product(self.composer, statement)  # which asks whether values are plain
            product = Product(self.composer, replace(statement, order=order, axes=groups, blocks=({},)))
        except (NotPlain, *COMPOSE_ERRORS):
            return None
        return None if product.interpolated else product


class _Reader:
    """Reads overrides with intervals and ranges as those of their two ends, and keeps what lies between as
    ``domains``, by the number of a block (None: said beside ``sweep.where``) and the key."""

    def __init__(self, composer: Composer):
        self.composer = composer
        self.domains: dict[tuple[int | None, str], Numbers] = {}
        self.faults: list[Fault] = []

    def line(self, line: str, block: int | None) -> str:
        """An override as that of the ends of its values; nothing where it has a fault."""
        try:
            override = self.composer.parse(line)
        except COMPOSE_ERRORS:
            if "interval(" not in line:
                return line  # whoever reads it says what is wrong
            key, _, said = line.partition("=")
            remedy = "write interval(LOW, HIGH), as in interval(0.001, 10)"
            self.faults.append(Fault(key, "must have two bounds", said, remedy))
            return ""
        if not isinstance(override._value, (IntervalSweep, RangeSweep)):
            tagged = getattr(override._value, "tags", None)
            return "" if tagged and self._fault(override, "must be an interval or a range to be tagged") else line
        before = len(self.faults)
        numbers = self._numbers(override)
        if len(self.faults) > before:
            return ""
        if numbers is None or numbers.low == numbers.high:
            return line
        self.domains[block, override.key_or_group.lstrip("+")] = numbers
        return f"{override.get_key_element()}=choice({text(numbers.low)},{text(numbers.high)})"

    def block(self, block: Mapping[str, object], number: int) -> Mapping[str, object]:
        """A block of ``sweep.where`` as that of the ends of its values."""
        return {key: self._value(key, value, number) for key, value in block.items()}

    def _value(self, key: str, value: object, number: int) -> object:
        if not isinstance(value, str):
            return value
        line = self.line(f"{key}={value}", number)
        return value if line == f"{key}={value}" else line.partition("=")[2]

    def _numbers(self, override: Override) -> Numbers | None:
        """What an interval or a range holds; None, and mostly a fault, where that is nothing."""
        value: Any = override._value
        log = LOG in value.tags
        low: Any
        high: Any
        step: Number | None
        low, high, step = (value.start, value.end, None) if isinstance(value, IntervalSweep) else _ends(override)
        if low is None:
            return None  # whoever reads the line says what is wrong
        if value.tags - {LOG}:
            self._fault(override, f"must have no other tag than {LOG}", "leave it out")
        elif isinstance(value, IntervalSweep) and not (math.isfinite(low) and math.isfinite(high) and low < high):
            self._fault(override, "must have two finite bounds, the lower one first", "write interval(LOW, HIGH)")
        elif log and low <= 0:
            self._fault(override, "must be above 0 to be tagged log", "raise the lower end")
        elif log and step not in (None, 1):
            rule = "must be an interval, or a range of whole numbers by 1, to be tagged log"
            self._fault(override, rule, "use interval(LOW, HIGH)")
        else:
            return Numbers(low, high, None if log else step, log)
        return None

    def _fault(self, override: Override, rule: str, remedy: str = "leave the tag out") -> bool:
        self.faults.append(Fault(override.key_or_group, rule, override.get_value_string(), remedy))
        return True


def with_ends(composer: Composer, overrides: Sequence[str]) -> tuple[list[str], list[Fault]]:
    """Overrides with intervals and ranges as the lists of their ends, which a sweep takes, and what is wrong with
    them."""
    reader = _Reader(composer)
    lines = [reader.line(line, None) for line in overrides]
    return [line for line in lines if line], reader.faults


def _in_whole_numbers(fault: Fault, domains: Mapping[tuple[int | None, str], Numbers]) -> Fault:
    """The fault; of an interval whose numbers must be whole ones, with the remedy."""
    for (_, key), domain in domains.items():
        if key == fault.where and fault.rule.startswith(WHOLE) and isinstance(domain.low, float):
            interval = f"interval({domain.low:g},{domain.high:g})"
            tagged = f"tag({LOG},{interval})" if domain.log else interval
            return replace(fault, remedy=f"try '{key}=int({tagged})'")
    return fault


def _ends(override: Override) -> tuple[Any, Any, Number | None]:
    """The lowest and the highest number of a range, and what lies between two; None for one without numbers."""
    found: list[Any] = []
    with suppress(*COMPOSE_ERRORS):
        found = sorted(elements(override))
    value: Any = override._value
    return (found[0], found[-1], abs(value.step)) if found else (None, None, None)


def _end_rows(statement: Statement) -> Iterator[Row]:
    """The rows in which a space is checked: every combination of groups with each other axis at each of its places in
    turn; of very many combinations, each axis by itself."""
    for places in statement.places:
        groups = [i for i, axis in enumerate(statement.axes) if axis.group]
        others = [i for i in range(len(statement.axes)) if i not in groups]
        turns = 1 + sum(len(places[i]) - 1 for i in others)
        first = tuple(own[0] for own in places)
        if math.prod(len(places[i]) for i in groups) * turns > MOST_ENDS:
            others, groups = [*groups, *others], []
        for chosen in itertools.product(*(places[i] for i in groups)):
            row = _with(first, dict(zip(groups, chosen, strict=True)))
            yield row
            yield from (_with(row, {i: place}) for i in others for place in places[i][1:])


def _with(row: Row, changed: Mapping[int, int]) -> Row:
    return tuple(changed.get(i, place) for i, place in enumerate(row))
