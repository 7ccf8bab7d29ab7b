"""The spec: one frozen, hashable, torch-free value that says everything a run depends on.

What a run does not depend on (where it is filed, how many workers train it) is not in the spec: see ``settings``.
"""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property, lru_cache
from html import escape
from operator import attrgetter

from nnspec.errors import Fault, SpecError, nearest
from nnspec.params import Choice, Integer, Optional, Param, Real, Refused, Value
from nnspec.yaml_text import yaml_text

MEMBERS = ("model", "activation", "init", "optimizer", "loss", "data", "schedule")
STOPS = ("never", "solved", "plateau")
MEASURES = ("accuracy", "test_accuracy")
TRAIN = (
    Param("epochs", 1000, Integer(1, 100_000_000), "passes over the rows; at full batch a pass is one update"),
    Param(
        "log_every",
        None,
        Optional(Integer(1)),
        "updates between two rows of the history; null: 10 at full batch, a pass with mini-batches",
    ),
    Param("snapshot_every", 0, Integer(0), "updates between two kept sets of weights; 0 keeps none"),
    Param("batch_size", None, Optional(Integer(1)), "rows an update; null: all; the last of a pass may be fewer"),
    Param("clip_norm", 0.0, Real(0), "largest norm that a network's gradient keeps; 0 leaves it as it is"),
    Param("stop", "never", Choice(STOPS), "when a network is done before its last epoch"),
    Param("patience", 100, Integer(1), "updates without a lower loss after which stop=plateau ends a network"),
)
CPU, CUDA = "cpu", "cuda"  # devices
SEEDS = 2**32  # torch's CPU generator reads 32 bits of a seed: 2^32 draws the same numbers as 0
SOLVED = (
    Param(
        "tolerance",
        None,
        Optional(Real(0, 1, open_low=True)),
        "a row is right if its output is this near its target; null: what the data set says",
    ),
    Param("measure", "accuracy", Choice(MEASURES), "share of right rows that decides: in training or in the test part"),
    Param("at_least", 1.0, Real(0, 1, open_low=True), "a network is solved if its measure is at least this"),
)
SCALARS = (
    Param("seed", 0, Integer(0, SEEDS - 1), "seed of the first replicate"),
    Param("replicates", 1, Integer(1, 100_000_000), "networks to train, from seeds seed, seed + 1, ..."),
    Param("dtype", "float32", Choice(("float32", "float64")), "precision of weights and arithmetic"),
    Param(
        "device", CPU, Choice((CPU, CUDA)), "where the networks train: on the processor or a graphics card of NVIDIA's"
    ),
)
FIELDS = frozenset((*MEMBERS, "train", "solved", *(param.name for param in SCALARS)))  # the top-level keys of a spec
_LATER = {  # fields that came after the first version
    "train": {param.name: param.default for param in TRAIN[3:]},
    "solved": {param.name: param.default for param in SOLVED[1:]},
}
_json = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False).encode
_BITS = 10_000  # of a number that is written out: Python refuses to from some 14,000 on


@dataclass(frozen=True)
class Member:
    """One named member of a registry with its parameters, sorted by name."""

    name: str
    params: tuple[tuple[str, Value], ...] = ()

    @cached_property
    def _by_name(self) -> dict[str, Value]:
        return dict(self.params)

    def __getitem__(self, key: str) -> Value:
        return self._by_name[key]

    def __contains__(self, key: object) -> bool:
        return key in self._by_name

    def keys(self) -> Iterator[str]:
        return iter(self._by_name)

    def number(self, key: str) -> float:
        """The parameter ``key`` as a float; a programming error if it is no number."""
        value = self[key]
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise TypeError(f"{self.name}.{key} is {value!r}, which is no number")
        return float(value)

    @cached_property
    def canonical(self) -> str:
        """As JSON, for the fingerprint."""
        return _json({"name": self.name, **{key: plain(value) for key, value in self.params}})

    def with_params(self, **params: Value) -> Member:
        """This member with some parameters replaced."""
        return Member(self.name, tuple(sorted({**self._by_name, **params}.items())))


@dataclass(frozen=True)
class Train:
    """How long a network trains and what is written down on the way: ``epochs`` counts passes over the rows, all else
    updates made. What is None is found in ``duration``."""

    epochs: int = 1000
    log_every: int | None = None
    snapshot_every: int = 0
    batch_size: int | None = None
    clip_norm: float = 0.0
    stop: str = "never"
    patience: int = 100

    @cached_property
    def canonical(self) -> str:
        """As JSON, for the fingerprint."""
        return _early(self, _LATER["train"])


@dataclass(frozen=True)
class Solved:
    """When a row counts as right, and how many rows must be for a network to be solved. What is None is found in
    ``duration``."""

    tolerance: float | None = None
    measure: str = "accuracy"
    at_least: float = 1.0

    @cached_property
    def canonical(self) -> str:
        """As JSON, for the fingerprint."""
        return _early(self, _LATER["solved"])


CONSTANT = Member("constant", (("warmup", 0),))  # the schedule of a spec that says none


@dataclass(frozen=True)
class RunSpec:
    """Everything that one run depends on. Equal specs give bitwise equal weights on the same machine."""

    model: Member
    activation: Member
    init: Member
    optimizer: Member
    loss: Member
    data: Member
    schedule: Member = CONSTANT
    train: Train = Train()
    solved: Solved = Solved()
    seed: int = 0
    replicates: int = 1
    dtype: str = "float32"
    device: str = CPU

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, object]) -> RunSpec:
        """The spec that a plain mapping states. Strict: an unknown key, a wrong type or a ``_target_`` is a fault.

        The parameters of members are checked by ``check``, which knows the registries.

        Raises:
            SpecError: with every fault found.
        """
        spec, faults = parse(mapping)
        if faults or spec is None:
            raise SpecError(faults)
        return spec

    def to_mapping(self) -> dict[str, object]:
        """The plain mapping that ``from_mapping`` reads: numbers, strings, lists and mappings only."""
        return {field.name: plain(getattr(self, field.name)) for field in fields(self)}

    @cached_property
    def fingerprint(self) -> str:
        """Sixteen hexadecimal digits that are the same for the same spec, on every machine and in every version."""
        said = (name for name in sorted(FIELDS) if name != "schedule" or self.schedule != CONSTANT)
        text = ",".join(f'"{name}":{_canonical(getattr(self, name))}' for name in said)
        return hashlib.sha256(f"{{{text}}}".encode()).hexdigest()[:16]

    def yaml(self) -> str:
        """The spec as YAML, which ``from_mapping`` takes back once it is loaded."""
        return yaml_text(self.to_mapping())

    def __repr__(self) -> str:
        return self.yaml().rstrip("\n")

    def _repr_html_(self) -> str:
        """A table for notebooks, a row a field."""
        rows = (f"<tr><th>{escape(key)}</th><td>{escape(value)}</td></tr>" for key, value in self.flat().items())
        return f"<table><tbody>{''.join(rows)}</tbody></table>"

    def flat(self) -> dict[str, str]:
        """Every field by its dotted name, as text: what a tracker files as params."""
        return {name: item for field in fields(self) for name, item in _flat(field.name, getattr(self, field.name))}


_BUT_SEED = attrgetter(*(field.name for field in fields(RunSpec) if field.name != "seed"))


def by_combination(specs: Sequence[RunSpec]) -> list[list[int]]:
    """The places of the specs, those together that differ by their seeds alone; in order of the first of each."""
    combinations: dict[object, list[int]] = {}
    for place, spec in enumerate(specs):
        combinations.setdefault(_BUT_SEED(spec), []).append(place)
    return list(combinations.values())


def combinations(specs: Sequence[RunSpec]) -> list[RunSpec]:
    """The first of the specs of each combination."""
    return [specs[places[0]] for places in by_combination(specs)]


def fresh_seed(spec: RunSpec, count: int) -> int:
    """The first of ``count`` seeds beside the spec's own: those after them, or those before where there are too few."""
    after = spec.seed + spec.replicates
    return after if after + count <= SEEDS else max(0, spec.seed - count)


def _canonical(value: Value | Member | Train | Solved) -> str:
    """A field as JSON, by which specs are told apart: equal fields give equal texts."""
    return value.canonical if isinstance(value, (Member, Train, Solved)) else _json(value)


def _early(section: Train | Solved, later: Mapping[str, Value]) -> str:
    """A section as JSON, without the fields that came after the first version where they are at their defaults."""
    said = {field.name: getattr(section, field.name) for field in fields(section)}
    return _json({name: value for name, value in said.items() if name not in later or value != later[name]})


@lru_cache(4096)  # the cells of a sweep share most of their parts
def _flat(key: str, value: Value | Member | Train | Solved) -> tuple[tuple[str, str], ...]:
    """A field by dotted names, as text."""
    found = plain(value)
    inner = {f"{key}.{name}": item for name, item in found.items()} if isinstance(found, dict) else {key: found}
    return tuple((name, "null" if item is None else str(item)) for name, item in inner.items())


def plain(value: object) -> object:
    """A part of a spec, in numbers, strings, lists and mappings only."""
    if isinstance(value, Member):
        return {"name": value.name, **{key: plain(item) for key, item in value.params}}
    if isinstance(value, (Train, Solved)):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    return [plain(item) for item in value] if isinstance(value, tuple) else value


def parse(mapping: Mapping[str, object]) -> tuple[RunSpec | None, list[Fault]]:
    """The spec of a plain mapping and all faults found; the spec is None where a fault leaves none to speak of."""
    if not isinstance(mapping, Mapping):
        return None, [Fault("a spec", "must be a mapping", text(mapping))]
    faults = list(targets(mapping))
    known = {field.name for field in fields(RunSpec)}
    for key in mapping:
        if key not in known and key != "_target_":
            faults.append(Fault(str(key), "is not a field of a spec", remedy=nearest(str(key), known)))
    values: dict[str, object] = {}
    for name in MEMBERS:
        if name == "schedule" and name not in mapping:
            continue  # an older spec says none
        member = as_member(name, mapping.get(name), faults)
        if member is not None:
            values[name] = member
    train = parse_params("train.", TRAIN, _section("train", mapping, faults), faults)
    solved = parse_params("solved.", SOLVED, _section("solved", mapping, faults), faults)
    values["train"] = Train(**train)  # type: ignore[arg-type]
    values["solved"] = Solved(**solved)  # type: ignore[arg-type]
    scalars = {p.name: mapping[p.name] for p in SCALARS if p.name in mapping}
    values.update(parse_params("", SCALARS, scalars, faults))
    if any(name not in values for name in MEMBERS if name != "schedule" or name in mapping):
        return None, faults
    return RunSpec(**values), faults  # type: ignore[arg-type]


def parse_params(
    prefix: str, params: tuple[Param, ...], given: Mapping[str, object], faults: list[Fault]
) -> dict[str, Value]:
    """Canonical values of ``params``: the given ones parsed, the others at their defaults; faults are appended."""
    known = {param.name: param for param in params}
    values: dict[str, Value] = {param.name: param.default for param in params}
    for key, value in given.items():
        param = known.get(key)
        if param is None:
            remedy = nearest(key, known) if any(param.kept for param in params) else "it takes no parameters"
            faults.append(Fault(f"{prefix}{key}", "is not a known key", remedy=remedy))
            continue
        try:
            values[key] = param.kind.parse(value)
        except Refused as refused:
            near = difflib.get_close_matches(str(value)[:100], getattr(param.kind, "options", ()), n=1)
            instead = near[0] if near else param.default
            remedy = f"try {prefix}{key}={text(instead)}" if instead is not None else ""
            faults.append(Fault(f"{prefix}{key}", str(refused), text(value), remedy))
    return values


def text(value: object) -> str:
    """A value as a user would type it."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(text(item) for item in value) + "]"
    if isinstance(value, int) and value.bit_length() > _BITS:
        return f"a number of {value.bit_length()} bits"
    return str(value) if not isinstance(value, str) else value or "''"


def targets(node: object, where: str = "") -> Iterator[Fault]:
    """A fault for each ``_target_`` anywhere in a mapping: a spec names members and cannot name code."""
    if isinstance(node, Mapping):
        for key, value in node.items():
            path = f"{where}.{key}" if where else str(key)
            if key == "_target_":
                rule = "is not allowed: a spec is data and cannot name code"
                yield Fault(path, rule, text(value), "remove it and choose a member by name")
            else:
                yield from targets(value, path)
    elif isinstance(node, (list, tuple)):
        for index, value in enumerate(node):
            yield from targets(value, f"{where}[{index}]")


def _section(name: str, mapping: Mapping[str, object], faults: list[Fault]) -> dict[str, object]:
    section = mapping.get(name, {})
    if isinstance(section, Mapping):
        return {str(k): v for k, v in section.items() if k != "_target_"}
    faults.append(Fault(name, "must be a mapping", text(section)))
    return {}


def as_member(name: str, given: object, faults: list[Fault]) -> Member | None:
    """The member that a plain mapping names, its parameters as they are; a fault where it names none."""
    if isinstance(given, Mapping) and isinstance(given.get("name"), str):
        params = {str(k): _frozen(v) for k, v in given.items() if k not in ("name", "_target_")}
        return Member(given["name"], tuple(sorted(params.items())))
    rule = "must be a mapping with a 'name'"
    faults.append(Fault(name, rule, text(given), f"choose one with {name}=NAME; 'nnspec list' shows the names"))
    return None


def _frozen(value: object) -> Value:
    if isinstance(value, (list, tuple)):
        return tuple(_frozen(item) for item in value)
    if isinstance(value, Mapping):
        pairs = tuple((str(key), _frozen(item)) for key, item in value.items())
        return pairs[0] if len(pairs) == 1 else pairs  # {linear: 256} is [linear, 256]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return str(value)
