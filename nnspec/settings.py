"""What a run does not depend on: where it is filed, how many workers train it, how a sweep is laid out and shown."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from nnspec.errors import Fault, SpecError, nearest
from nnspec.params import Boolean, Choice, Integer, Many, Optional, Param, Real, Refused, Schema, Text, Value
from nnspec.specs import FIELDS, parse_params, targets, text

BEST = "best"  # tracking.model: the best network of the best cell is logged
TRACKING = (
    Param("enabled", True, Boolean(), "false trains without a store"),
    Param("uri", None, Optional(Text()), "MLflow store; null takes MLFLOW_TRACKING_URI, else sqlite:///mlflow.db"),
    Param("experiment", None, Optional(Text()), "MLflow experiment; null is nnspec-<data name>"),
    Param("writer", "auto", Choice(("auto", "sql", "client")), "how runs are filed: in bulk, or by MLflow's client"),
    Param("model", "none", Choice(("none", BEST)), "MLflow model to log: none, or the best network of the best cell"),
)
RUNTIME = (
    Param("workers", None, Optional(Integer(1)), "processes that train; null is one a core"),
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
        "replicates=auto: width of the solve rate's interval to reach",
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


SWEEP = (
    Param("plan_only", False, Boolean(), "show the plan and train nothing"),
    Param("zip", (), Many(Many(Text(), 2), 0), "axes that go together: lists of axis names"),
    Param("exclude", (), Mappings(), "cells to leave out: those that match all items of one mapping"),
    Param("include", (), Mappings(), "cells to add; an axis not named takes its first value"),
    Param("where", (), Mappings(), "blocks of axes that hold together; the sweep has the cells of each block"),
    Param("table", None, Optional(Many(Text(), 1, 2)), "axes of the result table; null is the two widest"),
    Param("csv", None, Optional(Text()), "file to write the result table to"),
    Param("report", True, Boolean(), "write the report at the end of a sweep"),
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
    model: str = "none"


@dataclass(frozen=True)
class Runtime:
    """How training uses the machine. No result depends on it."""

    workers: int | None = None
    memory: float | None = None
    precision: float = 0.02


@dataclass(frozen=True)
class Sweep:
    """How a sweep is laid out and shown, beyond its axes."""

    plan_only: bool = False
    table: tuple[str, ...] | None = None
    csv: str | None = None
    report: bool = True
    zip: tuple[tuple[str, ...], ...] = ()
    exclude: tuple[Mapping[str, object], ...] = ()
    include: tuple[Mapping[str, object], ...] = ()
    where: tuple[Mapping[str, object], ...] = ()


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
    resume: str | None = None  # 'last' or the id of a parent run
    reuse: bool = False
    timings: bool = False
    quiet: bool = False
    json: bool = False
    remedy: bool = False
    shard: tuple[int, int] | None = None  # (i, K): cells i, i + K, i + 2K, ...
    auto: bool = False  # replicates=auto: train more replicates until runtime.precision is reached


_RUNTIME_KEYS = frozenset(p.name for p in RUNTIME)
SETTINGS_KEYS = frozenset(("tracking", "sweep", "require", "spec", *(p.name for p in COMMAND)))


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
