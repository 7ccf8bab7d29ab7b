"""From the overrides of a multirun to checked cells, with all faults of all cells in one error."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import fields, replace
from typing import Any

from nnspec.check import seed_faults
from nnspec.compose.archived import with_archived
from nnspec.compose.composer import COMPOSE_ERRORS, Composer
from nnspec.compose.explain import compose_rest, examine_config, examine_fields, refusal, uncomposed
from nnspec.errors import Fault, SpecError
from nnspec.settings import Settings, examine_settings, split
from nnspec.specs import SCALARS, RunSpec, parse, parse_params
from nnspec.sweep.axes import UNSAID, Row, Statement, read
from nnspec.sweep.cells import Cell, SweepPlan
from nnspec.sweep.included import included
from nnspec.sweep.layout import layout
from nnspec.sweep.product import NotPlain, Product
from nnspec.sweep.where import with_blocks

Found = tuple[RunSpec | None, Sequence[Fault]]
Watch = Callable[[Iterator[Found], int], Iterable[Found]]
_SHOWN = 5  # values of one fault that are written out
_EXPLAINED = 20  # combinations refused by Hydra that are looked into, at half a second or so each


def plan(overrides: Sequence[str], composer: Composer | None = None) -> tuple[SweepPlan, Settings]:
    """The checked cells and the settings of a multirun's overrides, the axes of a named experiment among them.

    Raises:
        SpecError: with every fault of every cell.
    """
    composer = composer or Composer()
    lines = with_archived(overrides)
    lines = [*named_axes(composer, lines), *lines]
    statement = read(composer, lines)
    first = statement.lines(dict.fromkeys(range(len(statement.axes)), 0))
    config, _ = compose_rest(composer, [composer.parse(line) for line in first])  # the expansion says what is wrong
    settings = Settings() if config is None else examine_config(config)[1]
    return expand(lines, settings, composer), settings


def named_axes(composer: Composer, overrides: Sequence[str]) -> list[str]:
    """The axes of the experiments that overrides choose, as overrides, on top of which the others go."""
    found: list[str] = []
    for line in overrides:
        if line.lstrip("+").startswith("experiment="):
            with suppress(*COMPOSE_ERRORS):  # the expansion says what is wrong
                params = composer.config([line]).hydra.sweeper.get("params")
                found += [f"{key}={value}" for key, value in (params or {}).items()]
    return found


def unwatched(found: Iterator[Found], total: int) -> Iterable[Found]:
    """The cells as they are made, without a word."""
    return found


def expand(overrides: Sequence[str], settings: Settings, composer: Composer, watch: Watch = unwatched) -> SweepPlan:
    """The checked cells of a multirun's overrides, each spec once, and of these the shard that ``settings`` ask for.
    ``watch`` is given the cells before the first is made, and how many there are: it passes them on and may tell how
    far they are.

    Raises:
        SpecError: with every fault of every cell; a fault of many cells is said once.
    """
    statement = composable(composer, with_blocks(composer, read(composer, overrides), settings.sweep.where))
    rows, faults = layout(statement, settings.sweep)
    names = [axis.name for axis in statement.axes]
    specs, wrong = checked_rows(composer, statement, rows, watch)
    cells = [
        Cell(spec, tuple((names[i], statement.axes[i].texts[at]) for i, at in enumerate(row) if at != UNSAID))
        for row, spec in zip(rows, specs, strict=True)
        if spec is not None
    ]
    added, more = included(composer, statement, settings.sweep.include)
    faults = [*statement.faults, *faults, *wrong, *more]
    if faults:
        raise SpecError(faults)
    cells += added
    distinct = _distinct(cells)
    shard = settings.shard
    mine = distinct if shard is None else distinct[shard[0] :: shard[1]]
    if shard is not None and not mine:
        rule, remedy = (
            f"must have a cell to train, but the sweep has {len(distinct)} in all",
            "take fewer parts, or leave this one out",
        )
        raise SpecError([Fault("shard", rule, f"{shard[0]}/{shard[1]}", remedy)])
    return SweepPlan(tuple(mine), tuple(names), len(cells) - len(distinct), shard)


def checked_rows(
    composer: Composer, statement: Statement, rows: Sequence[Row], watch: Watch = unwatched
) -> tuple[list[RunSpec | None], list[Fault]]:
    """The checked spec of each row, None of one with faults; and these faults, one of many rows once."""
    tally: Counter[Fault] = Counter()
    specs: list[RunSpec | None] = []
    for spec, found in _specs(composer, statement, rows, watch):
        tally.update(dict.fromkeys(found, 1))
        specs.append(None if found else spec)
    return specs, grouped(tally, len(rows))


def grouped(tally: Mapping[Fault, int], cells: int) -> list[Fault]:
    """The faults of many cells: the same rule broken by several values is one fault, with how many cells it has."""
    groups: dict[tuple[str, str, str], list[Fault]] = {}
    for fault in tally:
        groups.setdefault((fault.where, fault.rule, fault.remedy), []).append(fault)
    said = []
    for alike in groups.values():
        count = sum(tally[fault] for fault in alike)
        values = [fault.value for fault in alike if fault.value]
        shown = ", ".join(values[:_SHOWN]) + (f", ... ({len(values)} values)" if len(values) > _SHOWN else "")
        note = f"{count} of {cells} cells" if count < cells else ""
        remedy = f"{alike[0].remedy} ({note})" if note and alike[0].remedy else alike[0].remedy or note
        said.append(replace(alike[0], value=shown, remedy=remedy))
    return said


def _distinct(cells: Sequence[Cell]) -> list[Cell]:
    first: dict[RunSpec, Cell] = {}
    for cell in cells:
        first.setdefault(cell.spec, cell)
    return list(first.values())


def composable(composer: Composer, statement: Statement) -> Statement:
    """The statement without the shared overrides that compose nowhere, each of which becomes one of its faults.

    Raises:
        SpecError: an axis composes nowhere, or the config files do not.
    """
    first = statement.lines({i: 0 for i, axis in enumerate(statement.axes) if axis.group})
    try:
        composer.container(first)
        return statement
    except COMPOSE_ERRORS:
        _, dropped = compose_rest(composer, [composer.parse(line) for line in first])
        lines, faults = {str(o.input_line) for o, _ in dropped if o is not None}, [fault for _, fault in dropped]
        rest = statement.without(lines, faults)
        if not lines or lines - {p for p in statement.order if isinstance(p, str)}:
            raise SpecError(rest.faults) from None  # it is an axis: every row would be refused, slowly
        return rest


def _specs(composer: Composer, statement: Statement, rows: Sequence[Row], watch: Watch) -> Iterable[Found]:
    product: Product | None = None
    try:
        product = Product(composer, statement)
        if not product.interpolated:
            return list(watch(_by_section(product, rows), len(rows)))
    except (NotPlain, *COMPOSE_ERRORS):
        product = None
    return watch(_by_config(composer, statement, product, rows), len(rows))


def _by_section(product: Product, rows: Sequence[Row]) -> Iterator[Found]:
    """The rows' specs, each section of the config parsed once.

    Raises:
        NotPlain: a section needs Hydra.
    """
    stated, rest = split(product.first)
    base, faults = parse(stated)
    if base is None:
        raise NotPlain
    archived = rest.get("spec") is not None
    sections = {key: _Section(product, key, rest) for key in product.sections}
    shared = [f for f in (*faults, *examine_settings(rest)[1]) if _section_of(f) not in product.sections]
    known = {field.name: getattr(base, field.name) for field in fields(RunSpec)}
    seeds = sections.pop("seed", None)
    if seeds is not None:
        known["seed"] = 0

    def examined(row: Row) -> Found:
        values, found = dict(known), list(shared)
        for key, section in sections.items():
            values[key], wrong = section.at(row)
            found += wrong
        if any(values[key] is None for key in known):
            return None, found
        spec, wrong = examine_fields(RunSpec(**values), archived)
        return spec, [*found, *wrong]

    axes = sorted({axis for section in sections.values() for axis in section.axes})
    combinations: dict[
        Row, Found
    ] = {}  # a rule asks for the seed alone, or not at all: thousands of seeds are one look
    for row in rows:
        places = tuple([row[i] for i in axes])
        if places not in combinations:
            combinations[places] = examined(row)
        yield combinations[places] if seeds is None else _seeded(combinations[places], *seeds.at(row))


def _seeded(found: Found, seed: int | None, wrong: Sequence[Fault]) -> Found:
    """What was found of a combination, with this seed."""
    spec, faults = found
    if spec is None or seed is None:
        return None, [*faults, *wrong]
    spec = replace(spec, seed=seed)
    return spec, [*faults, *wrong, *seed_faults(spec)]


class _Section:
    """What one top-level key states, parsed once for each place of the axes it depends on; None with faults."""

    def __init__(self, product: Product, key: str, rest: Mapping[str, object]):
        self.key = key
        self.axes = product.sections[key]
        self._product = product
        self._rest = rest
        self._known: dict[Row, tuple[Any, list[Fault]]] = {}

    def at(self, row: Row) -> tuple[Any, list[Fault]]:
        """The field of a row's spec, and its faults."""
        places = tuple([row[i] for i in self.axes])
        if places not in self._known:
            self._known[places] = self._parsed(places)
        return self._known[places]

    def _parsed(self, places: Row) -> tuple[Any, list[Fault]]:
        try:
            section = self._product.section(self.key, places)
        except SpecError as error:
            return None, list(error.faults)
        if self.key == "seed":  # of which there may be a hundred thousand
            own: list[Fault] = []
            return parse_params("", SCALARS, {"seed": section}, own)["seed"], own
        stated, rest = split({**self._product.first, self.key: section})
        spec, faults = parse(stated)
        own = [f for f in faults if _section_of(f) == self.key] + _unlike(rest, self._rest)
        return getattr(spec, self.key, None), own


def _by_config(
    composer: Composer, statement: Statement, product: Product | None, rows: Sequence[Row]
) -> Iterator[Found]:
    """The rows' specs, from the whole config of each; without a product Hydra composes it: slow, exact."""
    first: Mapping[str, object] | None = None
    refused = 0
    for row in rows:
        lines = statement.lines(dict(enumerate(row)))
        try:
            config = composer.mapping(lines) if product is None else product.config(row)
        except SpecError as error:
            yield None, error.faults
            continue
        except (NotPlain, *COMPOSE_ERRORS) as error:
            refused += 1
            yield None, refusal(composer, lines, error) if refused <= _EXPLAINED else [uncomposed(error)]
            continue
        spec, _, faults = examine_config(config)
        rest = split(config)[1]
        first = rest if first is None else first
        yield spec, [*faults, *_unlike(rest, first)]


def _unlike(rest: Mapping[str, object], first: Mapping[str, object]) -> list[Fault]:
    """A fault for each setting that differs between cells."""
    flat, base = _flat(rest), _flat(first)
    differ = sorted(key for key in {*flat, *base} if flat.get(key) != base.get(key))
    rule = "must be the same in all cells: it belongs to the command, not to a run"
    return [Fault(name, rule, remedy="give one value") for name in differ]


def _flat(rest: Mapping[str, object]) -> dict[str, object]:
    flat: dict[str, object] = {}
    for key, value in rest.items():
        inner = value if isinstance(value, Mapping) else {None: value}
        flat.update({key if name is None else f"{key}.{name}": item for name, item in inner.items()})
    return flat


def _section_of(fault: Fault) -> str:
    return fault.where.split(".")[0].split("[")[0]
