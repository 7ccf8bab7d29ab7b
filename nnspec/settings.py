"""What a run does not depend on: where it is filed, how many workers train it, how a sweep is laid out and shown."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from nnspec.errors import Fault, SpecError, nearest
from nnspec.params import Boolean, Choice, Integer, Many, Optional, Param, Real, Refused, Schema, Text, Value
from nnspec.specs import FIELDS, parse_params, targets, text
from nnspec.study import Study, examine

ALL, CHOSEN, NO_RUNS = "all", "chosen", "none"  # tracking.cells: which cells get a run of their own
MOST_RUNS = 2000  # cells that get one with tracking.cells=auto; a store with more gets slow and large
SAMPLERS = ("tpe", "gp", "nsga2", "qmc", "random")  # sweep.sampler: what proposes the trials of a search
NEVER = "none"
PRUNERS = (NEVER, "median", "halving", "hyperband", "wilcoxon")  # sweep.pruner: what ends a trial before all its seeds
OBJECTIVES = ("solve_rate", "updates_to_solve", "final_loss", "test_accuracy")  # sweep.objectives
BEST = "best"  # tracking.model: the best network of the best cell is logged
TRACKING = (
    Param("enabled", True, Boolean(), "false trains without a store"),
    Param("uri", None, Optional(Text()), "MLflow store; null takes MLFLOW_TRACKING_URI, else sqlite:///mlflow.db"),
    Param("experiment", None, Optional(Text()), "MLflow experiment; null is nnspec-<data name>"),
    Param("writer", "auto", Choice(("auto", "sql", "client")), "how runs are filed: in bulk, or by MLflow's client"),
    Param(
        "cells",
        "auto",
        Choice(("auto", ALL, CHOSEN, NO_RUNS)),
        f"cells of a sweep with a run of their own, others are packed; auto is all of up to {MOST_RUNS}, else chosen",
    ),
    Param("model", "none", Choice(("none", BEST)), "MLflow model to log: none, or the best network of the best cell"),
)
LOCAL, RAY = "local", "ray"  # train.engine
RUNTIME = (
    Param("workers", None, Optional(Integer(1)), "processes that train; null is one a core, on a graphics card one"),
    Param("engine", LOCAL, Choice((LOCAL, RAY)), "what trains: processes of this machine, or tasks of Ray"),
    Param(
        "address",
        None,
        Optional(Text()),
        "Ray to join: auto, host:port or ray://host:port; null starts one on this machine",
    ),
    Param(
        "memory",
        None,
        Optional(Real(0, open_low=True)),
        "MiB that training may hold; null is a quarter of what is free",
    ),
    Param(
        "precision",
        0.02,
        Real(0, 1, open_low=True, open_high=True),
        "replicates=auto: width of the solve rate's interval to reach; with claims these are decided instead",
    ),
    Param(
        "most_replicates",
        None,
        Optional(Integer(20)),
        "replicates=auto: most networks of a cell; null is 10000 with claims, else what the precision takes",
    ),
)


@dataclass(frozen=True)
class Mappings:
    """A list of mappings from axis or field to value; kept as plain mappings, for their keys are the user's."""

    def parse(self, value: object) -> Value:
        if not isinstance(value, (list, tuple)) or not all(isinstance(item, Mapping) and item for item in value):
            raise Refused("must be a list of mappings, as in [{activation: relu, init: zeros}]")
        return tuple({str(k): v for k, v in item.items()} for item in value)  # type: ignore[misc]

    def schema(self) -> Schema:
        return {"type": "array", "items": {"type": "object", "minProperties": 1}}


LOG, LINEAR = "log", "linear"
MapAxis = tuple[str, float, float, str, int]  # key, low, high, log or linear, count


@dataclass(frozen=True)
class MapAxes:
    """The two axes of a map, each [key, low, high, log or linear, count]. Whether a spec has the keys is not known
    here."""

    def parse(self, value: object) -> Value:
        if not isinstance(value, (list, tuple)) or len(value) != 2:
            raise Refused("must be two axes, each [key, low, high, log or linear, count]")
        axes = [self._axis(item) for item in value]
        if axes[0][0] == axes[1][0]:
            raise Refused("must have two axes that differ")
        return tuple(axes)

    def _axis(self, item: object) -> MapAxis:
        if not isinstance(item, (list, tuple)) or len(item) != 5:
            raise Refused("must have axes of five parts, [key, low, high, log or linear, count]")
        key, scale = Text().parse(item[0]), Choice((LOG, LINEAR))
        try:
            low, high = Real().parse(item[1]), Real().parse(item[2])
        except Refused as refused:
            raise Refused(f"must run from a number to a number over {key}: each end {refused}") from None
        try:
            scale_said = scale.parse(item[3])
        except Refused as refused:
            raise Refused(f"must say of {key} how it is spaced, which {refused}") from None
        try:
            count = Integer(2, MOST_PIXELS).parse(item[4])
        except Refused as refused:
            raise Refused(f"must say how many values {key} has, which {refused}") from None
        if low >= high:
            raise Refused(f"must run from the lower to the higher end over {key}")
        if scale_said == LOG and low <= 0:
            raise Refused(f"must begin above 0 over {key}, which is logarithmic")
        return key, low, high, scale_said, count

    def schema(self) -> Schema:
        ends = [{"type": "number"}, {"type": "number"}, {"enum": [LOG, LINEAR]}]
        parts = [{"type": "string", "minLength": 1}, *ends, {"type": "integer", "minimum": 2, "maximum": MOST_PIXELS}]
        axis = {"type": "array", "prefixItems": parts, "minItems": 5, "maxItems": 5}
        return {"type": "array", "items": axis, "minItems": 2, "maxItems": 2}


MOST_PIXELS = 16_384  # of an axis of a map
MOST_ZOOMS = 50
SWEEP = (
    Param("plan_only", False, Boolean(), "show the plan and train nothing"),
    Param("zip", (), Many(Many(Text(), 2), 0), "axes that go together: lists of axis names"),
    Param("exclude", (), Mappings(), "cells to leave out: those that match all items of one mapping"),
    Param("include", (), Mappings(), "cells to add; an axis not named takes its first value"),
    Param("where", (), Mappings(), "blocks of axes that hold together; the sweep has the cells of each block"),
    Param("table", None, Optional(Many(Text(), 1, 2)), "axes of the result table; null is the two widest"),
    Param("csv", None, Optional(Text()), "file to write the result table to"),
    Param("report", True, Boolean(), "write the report at the end of a sweep"),
    Param("trials", None, Optional(Integer(1)), "trials of a search in all, with those of the one it goes on with"),
    Param("batch", 10, Integer(1), "trials of a search that are asked for and train at once"),
    Param("sampler", SAMPLERS[0], Choice(SAMPLERS), "what proposes the trials of a search"),
    Param("pruner", NEVER, Choice(PRUNERS), "what ends a trial of a search after a part of its replicates"),
    Param("objectives", OBJECTIVES[:1], Many(Choice(OBJECTIVES)), "what a search makes good, the first one first"),
    Param("race", False, Boolean(), "cells get more networks only as long as they may solve most"),
    Param("within", 0.02, Real(0, 1, open_low=True, open_high=True), "a race: how well to know the best solve rate"),
    Param("budget", 200_000, Integer(1), "a race: networks to train, at most"),
    Param(
        "map",
        None,
        Optional(MapAxes()),
        "two axes [key, low, high, log or linear, count] of a map; one network a pixel",
    ),
    Param(
        "zoom",
        None,
        Optional(Many(Many(Real(), 2, 2), 2, 2)),
        "the part [[x0,x1],[y0,y1]] of the map to train, at its full count; also --zoom x0:x1,y0:y1",
    ),
    Param(
        "zooms",
        0,
        Integer(0, MOST_ZOOMS),
        "of a study of maps: how often each is zoomed in on, to four pixels a side on its boundary",
    ),
)


@dataclass(frozen=True)
class Shard:
    """'i/K': the i-th of K parts of a sweep, counted from 0."""

    def parse(self, value: object) -> Value:
        match = re.fullmatch(r"(\d+)/(\d+)", value) if isinstance(value, str) else None
        if not match or not int(match[1]) < int(match[2]):
            raise Refused("must be i/K with 0 <= i < K")
        return (int(match[1]), int(match[2]))

    def schema(self) -> Schema:
        return {"type": "string", "pattern": r"^\d+/\d+$"}


COMMAND = (
    Param("shard", None, Optional(Shard()), "the part i/K of a sweep to train; null is all of it"),
    Param("resume", None, Optional(Text()), "'last' or the id of a sweep to go on with"),
    Param("reuse", False, Boolean(), "take cells that are filed already instead of training them"),
    Param("timings", False, Boolean(), "print where the time went"),
    Param("quiet", False, Boolean(), "print nothing but errors and what is asked for, and show no progress"),
    Param("json", False, Boolean(), "print one JSON document instead of text; see docs/json.md"),
    Param("remedy", False, Boolean(), "measure what would help a run that failed, on other seeds"),
)
REQUIRE = (
    Param("solve_rate", None, Optional(Real(0, 1)), "least share of a cell's networks that must be solved"),
    Param("solve_rate_low", None, Optional(Real(0, 1)), "least lower bound of the solve rate's 95% interval"),
    Param("final_loss", None, Optional(Real(0)), "largest final loss, as the median over a cell's networks"),
    Param(
        "test_accuracy",
        None,
        Optional(Real(0, 1)),
        "least final accuracy on the test part, as the median over a cell's networks",
    ),
)
AUTO = "auto"
AUTO_START = 100  # replicates of the first round of replicates=auto


@dataclass(frozen=True)
class Tracking:
    """Where runs are filed."""

    enabled: bool = True
    uri: str | None = None
    experiment: str | None = None
    writer: str = "auto"
    cells: str = "auto"
    model: str = "none"

    def runs_of(self, cells: int) -> str:
        """Which of so many cells get a run of their own: ``ALL``, ``CHOSEN`` or ``NO_RUNS``."""
        return (ALL if cells <= MOST_RUNS else CHOSEN) if self.cells == "auto" else self.cells


@dataclass(frozen=True)
class Runtime:
    """How training uses the machine. No result depends on it."""

    workers: int | None = None
    engine: str = LOCAL
    address: str | None = None
    memory: float | None = None
    precision: float = 0.02
    most_replicates: int | None = None


@dataclass(frozen=True)
class Sweep:
    """How a sweep is laid out and shown, beyond its axes."""

    plan_only: bool = False
    table: tuple[str, ...] | None = None
    csv: str | None = None
    report: bool = True
    race: bool = False
    within: float = 0.02
    budget: int = 200_000
    zip: tuple[tuple[str, ...], ...] = ()
    exclude: tuple[Mapping[str, object], ...] = ()
    include: tuple[Mapping[str, object], ...] = ()
    where: tuple[Mapping[str, object], ...] = ()
    trials: int | None = None
    batch: int = 10
    sampler: str = SAMPLERS[0]
    pruner: str = NEVER
    objectives: tuple[str, ...] = OBJECTIVES[:1]
    map: tuple[MapAxis, MapAxis] | None = None
    zoom: tuple[tuple[float, float], tuple[float, float]] | None = None
    zooms: int = 0


@dataclass(frozen=True)
class Require:
    """What must hold of each cell of a command, or its exit status is 1; None requires nothing."""

    solve_rate: float | None = None
    solve_rate_low: float | None = None
    final_loss: float | None = None
    test_accuracy: float | None = None


@dataclass(frozen=True)
class Settings:
    """All settings of one command."""

    tracking: Tracking = field(default_factory=Tracking)
    runtime: Runtime = field(default_factory=Runtime)
    sweep: Sweep = field(default_factory=Sweep)
    require: Require = field(default_factory=Require)
    study: Study | None = None
    resume: str | None = None  # 'last' or the id of a parent run
    reuse: bool = False
    timings: bool = False
    quiet: bool = False
    json: bool = False
    remedy: bool = False
    shard: tuple[int, int] | None = None  # (i, K): cells i, i + K, i + 2K, ...
    auto: bool = False  # replicates=auto: more until runtime.precision is reached, or the claims are decided


_RUNTIME_KEYS = frozenset(p.name for p in RUNTIME)
SETTINGS_KEYS = frozenset(("tracking", "sweep", "require", "study", "spec", *(p.name for p in COMMAND)))


def split(config: Mapping[str, object]) -> tuple[dict[str, object], dict[str, object]]:
    """A composed config as two mappings: what the run depends on (a spec's), and the rest (settings')."""
    spec = {key: value for key, value in config.items() if key in FIELDS}
    rest = {key: value for key, value in config.items() if key not in FIELDS}
    train = config.get("train")
    if isinstance(train, Mapping):
        spec["train"] = {key: value for key, value in train.items() if key not in _RUNTIME_KEYS}
        rest["train"] = {key: value for key, value in train.items() if key in _RUNTIME_KEYS}
    if spec.get("replicates") == AUTO:
        rest["replicates"], spec["replicates"] = AUTO, AUTO_START
    return spec, rest


def settings_from(config: Mapping[str, object]) -> Settings:
    """The settings that a composed config states. Strict.

    Raises:
        SpecError: with every fault found.
    """
    settings, faults = examine_settings(split(config)[1])
    if faults:
        raise SpecError(faults)
    return settings


def examine_settings(rest: Mapping[str, object]) -> tuple[Settings, list[Fault]]:
    """The settings of the second mapping of ``split`` and every fault found; meaningless where there are faults."""
    faults = list(targets(rest))
    known = SETTINGS_KEYS | {"train", "replicates"}
    for key in rest:
        if key not in known and key != "_target_":
            faults.append(Fault(str(key), "is not a known key", remedy=nearest(str(key), FIELDS | SETTINGS_KEYS)))
    values: dict[str, object] = {
        "tracking": Tracking(**_section("tracking", TRACKING, rest, faults)),
        "runtime": Runtime(**_section("train", RUNTIME, rest, faults)),
        "sweep": Sweep(**_section("sweep", SWEEP, rest, faults)),
        "require": Require(**_section("require", REQUIRE, rest, faults)),
        "study": examine(rest.get("study"), faults),
        "auto": rest.get("replicates") == AUTO,
    }
    values.update(parse_params("", COMMAND, {p.name: rest[p.name] for p in COMMAND if p.name in rest}, faults))
    return Settings(**values), faults  # type: ignore[arg-type]


def _section(name: str, params: tuple[Param, ...], rest: Mapping[str, object], faults: list[Fault]) -> dict:
    section = rest.get(name, {})
    if not isinstance(section, Mapping):
        faults.append(
            Fault(name, "must be a mapping", text(section), f"change its keys, as in {name}.{params[0].name}=...")
        )
        return {}
    given = {str(key): value for key, value in section.items() if key != "_target_"}
    return parse_params(f"{name}.", params, given, faults)
