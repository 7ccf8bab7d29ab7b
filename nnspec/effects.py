"""Keys without an effect: what a user says and nothing listens to is refused or told, never dropped.

One table for the fields of a spec and two for the settings, what is refused and what is told, each row keys and when
they have no effect. A field is judged by its value: where it has no effect, another value than the default would be
another spec with the same networks. A setting is judged where it was said: by the command line, or by a file, where it
is then not at its default.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import cast

from nnspec.architecture import architecture, test_rows
from nnspec.catalog import ACTIVATIONS, INITS, LOSSES, LR_PER_LAYER, MODELS, OPTIMIZERS, OUTPUTS, PER_LAYER
from nnspec.catalog.inits import BIAS_SAME
from nnspec.catalog.layers import DROPOUT
from nnspec.duration import log_every, pace, rate_factor, updates, updates_a_pass
from nnspec.errors import Fault
from nnspec.params import Param, Value
from nnspec.problem import own_rows
from nnspec.settings import COMMAND, NO_RUNS, RAY, REQUIRE, RUNTIME, SWEEP, TRACKING, Settings
from nnspec.specs import CUDA, SCALARS, TRAIN, RunSpec, Train, text

BASIC = "basic"  # Hydra's launcher that carries nothing elsewhere
RUN, JOB, SWEEPS, MAP = "a single run", "a job of another sweeper", "a sweep", "a map"
PAGE = "a page, which has one recipe and files nothing"  # of nnspec play


@dataclass(frozen=True)
class Command:
    """What one command does: ``kind`` is one of RUN, JOB, SWEEPS, MAP and PAGE, ``said`` are its overrides, key ->
    value as typed.

    ``archived`` says that the spec is that of a file (``spec=``), ``search`` that its cells are proposed by a sampler,
    ``specs`` being some of them.
    """

    specs: Sequence[RunSpec]
    settings: Settings
    kind: str = RUN
    said: Mapping[str, str] = field(default_factory=dict)
    archived: bool = False
    search: bool = False


@dataclass(frozen=True)
class Idle:
    """Keys, ``named`` with blanks between them, that have no effect where ``idle(command)``; ``why`` follows 'has no
    effect'."""

    named: str
    why: str
    idle: Callable[[Command], bool]
    remedy: str

    @property
    def keys(self) -> list[str]:
        """The keys one by one."""
        return self.named.split()


@dataclass(frozen=True)
class IdleField:
    """A field of a spec that has no effect beyond a value: ``rule(spec)`` is what must hold, or None if all is well."""

    key: str
    rule: Callable[[RunSpec], str | None]
    remedy: str


def _dampening(spec: RunSpec) -> str | None:
    idle = "dampening" in spec.optimizer and spec.optimizer["dampening"] != 0 and spec.optimizer["momentum"] == 0
    return "must be 0 without optimizer.momentum, whose share of the gradient it is" if idle else None


def _first_step(spec: RunSpec) -> str | None:
    if "step_sizes" not in spec.optimizer:
        return None
    shortest, longest = (float(str(step)) for step in cast(tuple[Value, ...], spec.optimizer["step_sizes"]))
    return (
        None
        if shortest <= spec.optimizer.number("lr") <= longest
        else "must lie within optimizer.step_sizes, to which every step is cut"
    )


def _learned_start(spec: RunSpec) -> str | None:
    entry = ACTIVATIONS[spec.activation.name] if architecture(spec).hidden else None
    if entry is None or not entry.learned or not INITS[spec.init.name].stored:
        return None
    name = entry.learned.start
    default = next(param.default for param in entry.params if param.name == name)
    idle = spec.activation[name] != default
    return f"must be left at {text(default)} with init={spec.init.name}, whose file has what it is" if idle else None


def _delta(spec: RunSpec) -> str | None:
    output = architecture(spec).output.name
    span = OUTPUTS[output].span
    if "delta" not in spec.loss or span is None:
        return None
    off = LOSSES[spec.loss.name].off
    widest = max(span[1] - off, 1 - span[0])
    idle = spec.loss.number("delta") > widest
    return f"must be at most {widest:g} with outputs of {output}, whose errors are no larger" if idle else None


def _patience(spec: RunSpec) -> str | None:
    default = next(param.default for param in TRAIN if param.name == "patience")
    idle = spec.train.stop != "plateau" and spec.train.patience != default
    return f"must be left at {text(default)} without train.stop=plateau" if idle else None


def _schedule(spec: RunSpec) -> str | None:
    idle = rate_factor(spec) is not None and not OPTIMIZERS[spec.optimizer.name].scheduled
    return (
        f"must be constant, without a warm-up, with {spec.optimizer.name}, whose lr it does not move" if idle else None
    )


def _by_layer(spec: RunSpec) -> str | None:
    if LR_PER_LAYER not in spec.optimizer or "lr" not in spec.optimizer:
        return None
    params = OPTIMIZERS[spec.optimizer.name].params
    default = next(param.default for param in params if param.name == "lr")
    idle = spec.optimizer["lr"] != default
    return f"must be left at {text(default)} with optimizer.{LR_PER_LAYER}, which has every layer's" if idle else None


FIELDS = (
    IdleField("train.patience", _patience, "add train.stop=plateau, or leave it out"),
    IdleField("schedule.name", _schedule, "leave it out"),
    IdleField("optimizer.dampening", _dampening, "leave it out, or try optimizer.momentum=0.9"),
    IdleField("optimizer.lr", _first_step, "change one of them"),
    IdleField("optimizer.lr", _by_layer, "leave it out"),
    IdleField("activation.init", _learned_start, "leave it out"),
    IdleField("loss.delta", _delta, "lower it, or choose another model.output"),
)


def idle_fields(spec: RunSpec) -> Iterator[Fault]:
    """A fault for each field of a checked spec whose value changes nothing."""
    for row in FIELDS:
        rule = row.rule(spec)
        if rule is not None:
            yield Fault(row.key, rule, spec.flat()[row.key], row.remedy)


def seed_matters(spec: RunSpec) -> bool:
    """Whether the networks of a spec differ by their seeds: by their first weights, by the order of their batches, by
    the rows that they train on or by their noise."""
    entry = INITS[spec.init.name]
    if updates_a_pass(spec) > 1 or own_rows(spec) or _drops(spec):
        return True
    if PER_LAYER in spec.init:
        return True
    if entry.stored:
        return False
    if MODELS[spec.model.name].module is not None:
        return True  # its class may draw weights that no scheme fills
    bias = str(spec.init["bias"])
    return bool(entry.noise) or (bias != BIAS_SAME and bool(INITS[bias].noise))


def _drops(spec: RunSpec) -> bool:
    """Whether the networks of a spec train with dropout, whose noise is each network's own."""
    entry, params = MODELS[spec.model.name], dict(spec.model.params)
    listed = () if entry.layers is None else entry.layers(params)
    return bool(params.get(DROPOUT)) or any(layer.kind == DROPOUT and layer.share for layer in listed)


def _whole(command: Command) -> bool:
    """Whether all cells are known: another sweeper's job sees its own, and a field may have its effect in the
    others."""
    return bool(command.specs) and command.kind not in (JOB, MAP)


def _no_seed_matters(command: Command) -> bool:
    return _whole(command) and not any(seed_matters(spec) for spec in command.specs)


def _all_alike(command: Command) -> bool:
    """Whether every cell has several networks, all of them equal; a file's are as different as it has them."""
    return _no_seed_matters(command) and all(s.replicates > 1 and not INITS[s.init.name].stored for s in command.specs)


def _never(name: str) -> Callable[[Command], bool]:
    """Whether nothing is written down every ``train.<name>`` updates."""
    return lambda c: _whole(c) and all(getattr(pace(s), name) > updates(s) for s in c.specs)


def _stored(command: Command) -> bool:
    """Whether a cell's weights come from a file."""
    return any(INITS[spec.init.name].stored for spec in command.specs)


def _untested(command: Command) -> bool:
    """Whether a cell has no test part."""
    return not all(test_rows(spec.data) for spec in command.specs)


def _launched(command: Command) -> bool:
    """Whether the jobs of a launcher train the chunks."""
    return command.kind == SWEEPS and command.said.get("hydra/launcher", BASIC) != BASIC


def _is(kind: str) -> Callable[[Command], bool]:
    return lambda c: c.kind == kind


def _study_of_maps(command: Command) -> bool:
    """Whether it is a study of maps: the only command that has several of them."""
    return command.settings.study is not None and command.settings.sweep.map is not None


def _no_maps(kind: str) -> Callable[[Command], bool]:
    """Whether it is of this kind, and no sweep that is a study of maps."""
    return lambda c: c.kind == kind and not (kind == SWEEPS and not c.search and _study_of_maps(c))


def _auto_claims(command: Command) -> bool:
    return command.settings.auto and command.settings.study is not None


def _auto_page(command: Command) -> bool:
    return command.kind == PAGE and command.settings.auto


_OFF = ("with tracking=off", lambda c: not c.settings.tracking.enabled)
_SINGLE = (f"on {RUN}", lambda c: c.kind == RUN)
_MAP = (f"on {MAP}, which is one run", lambda c: c.kind == MAP)
_MAPS = (f"on {MAP}", lambda c: c.settings.sweep.map is not None)
_PAGE = (f"on {PAGE}", lambda c: c.kind == PAGE)
_FOREIGN = (f"on {JOB}", lambda c: c.kind == JOB)
_CELL = "ask for one of its cells afterwards: nnspec remedy RUN"
_RACING = ("with sweep.race=true", lambda c: c.settings.sweep.race)
_PLAN = ("on a plan", lambda c: c.settings.sweep.plan_only)
_UNSEARCHED = ("without a search", lambda c: not c.search)
_SEARCHED = ("on a search, whose cells are not known before", lambda c: c.search)
_ADD_M, _LEAVE, _LEAVE_ONE = "add -m, or leave it out", "leave it out", "leave one of them out"
_DRAW = "choose an init that draws weights"
_ADD_TEST = "add data.test_fraction=0.3, or leave it out"
_OWN = "take hydra/sweeper=nnspec, or leave it out"

# keys that go together
_CHOSEN = "sweep.zip sweep.exclude sweep.include sweep.where"
_RACE = "sweep.race sweep.within sweep.budget"
_REQUIRED = " ".join(f"require.{param.name}" for param in REQUIRE)
_TELLING = ("report", "quiet", "timings")  # ways to tell what came out: of a sweep, and of any command
_COMMAND = " ".join(param.name for param in COMMAND if param.name not in _TELLING)
_SWEEP = " ".join(f"sweep.{param.name}" for param in SWEEP if param.name not in _TELLING)
_TRACKING = " ".join(f"tracking.{param.name}" for param in TRACKING)
_RUNTIME = " ".join(f"train.{param.name}" for param in RUNTIME)
_HYDRA = "hydra/launcher hydra/sweeper hydra.mode hydra.run.dir hydra.sweep.dir hydra.sweep.subdir"

TOLD = (
    Idle(f"{_TRACKING} {_RUNTIME} sweep.report quiet timings {_HYDRA}", *_PAGE, _LEAVE),
    Idle("hydra.sweeper.params", *_PAGE, "say one value of each"),
    Idle(
        "study",
        f"on {PAGE}",
        lambda c: c.kind == PAGE and c.settings.study is not None,
        "add study=null, or try its claims with nnspec run",
    ),
    Idle(
        "train.precision train.most_replicates",
        "without replicates=auto",
        lambda c: not c.settings.auto,
        "add replicates=auto, or leave it out",
    ),
    Idle(
        "train.precision",
        "in a study, where replicates=auto adds networks until the claims are decided",
        _auto_claims,
        "leave it out, or add study=null",
    ),
    Idle("train.engine", "on a plan, which is made for this machine's cores", _PLAN[1], _LEAVE),
    Idle(
        "train.log_every",
        "beyond train.epochs: the first and the last row are always there",
        _never("log_every"),
        "lower it",
    ),
    Idle("train.snapshot_every", "beyond train.epochs", _never("snapshot_every"), "lower it"),
    Idle("seed", "where nothing is drawn", _no_seed_matters, _DRAW),
    Idle("replicates", "where no weight is drawn: all networks are equal", _all_alike, _DRAW),
    Idle(
        "tracking.uri tracking.experiment tracking.writer tracking.cells tracking.model",
        *_OFF,
        _LEAVE_ONE,
    ),
    Idle("tracking.model", *_PLAN, _LEAVE),
    Idle("sweep.report", *_OFF, _LEAVE),
    Idle("sweep.report", *_SINGLE, "leave it out; make one with: nnspec report last"),
    Idle("sweep.table sweep.csv sweep.report", *_FOREIGN, _OWN),
    Idle(
        "sweep.within sweep.budget",
        "without sweep.race=true",
        lambda c: not c.settings.sweep.race,
        "add sweep.race=true, or leave it out",
    ),
    Idle("replicates", *_RACING, "leave it out: a race adds networks by itself, up to sweep.budget"),
    Idle("sweep.table", *_RACING, "leave it out: the table of a race has a row a cell"),
    Idle(f"resume reuse timings quiet remedy {_REQUIRED}", *_PLAN, _LEAVE),
    Idle("hydra.sweeper.params", *_SINGLE, "add -m"),
    Idle("hydra/launcher hydra/sweeper hydra.sweep.dir hydra.sweep.subdir", *_SINGLE, _ADD_M),
    Idle("sweep.report hydra.sweeper.params hydra/sweeper", *_MAP, _LEAVE),
    Idle("hydra.run.dir", "on a sweep", _is(SWEEPS), "say hydra.sweep.dir"),
)

REFUSED = (
    Idle(
        f"{_SWEEP} {_REQUIRED} {_COMMAND} train.engine train.address",
        *_PAGE,
        "leave it out, or train with nnspec run",
    ),
    Idle("replicates", f"as auto on {PAGE}", _auto_page, "say how many networks the page has"),
    Idle(
        "shard",
        "on a study with replicates=auto, whose claims need all cells",
        _auto_claims,
        "say how many replicates, or add study=null",
    ),
    Idle(
        "train.address",
        "without train.engine=ray",
        lambda c: c.settings.runtime.engine != RAY,
        "add train.engine=ray, or leave it out",
    ),
    Idle("train.engine", "beside hydra/launcher, whose jobs train", _launched, _LEAVE_ONE),
    Idle(
        "train.engine",
        f"with device={CUDA}, whose networks train on this machine's card",
        lambda c: c.settings.runtime.engine == RAY and any(spec.device == CUDA for spec in c.specs),
        _LEAVE_ONE,
    ),
    Idle("tracking.cells", *_SINGLE, _ADD_M),
    Idle("tracking.cells", *_FOREIGN, _OWN),
    Idle(
        "tracking.model",
        "with tracking.cells=none, where no cell has a run",
        lambda c: c.kind == SWEEPS and c.settings.tracking.cells == NO_RUNS,
        "say tracking.cells=chosen",
    ),
    Idle("tracking.model", *_FOREIGN, "take hydra/sweeper=nnspec: each job would log one"),
    Idle("resume reuse", *_OFF, _LEAVE_ONE),
    Idle(f"{_CHOSEN} sweep.table sweep.csv {_RACE} shard resume reuse", *_SINGLE, _ADD_M),
    Idle(f"{_CHOSEN} {_RACE} shard resume reuse", *_FOREIGN, _OWN),
    Idle(
        "reuse",
        "beside resume, which takes the cells of its sweep",
        lambda c: c.settings.resume is not None,
        "leave one out",
    ),
    Idle(
        "resume reuse",
        "with replicates=auto, whose cells depend on what trained before",
        lambda c: c.settings.auto,
        "say how many replicates, or train all of it again",
    ),
    Idle(
        "sweep.trials sweep.batch sweep.sampler sweep.pruner sweep.objectives",
        *_UNSEARCHED,
        "add -m hydra/sweeper=nnspec_search, or leave it out",
    ),
    Idle(
        "sweep.zip sweep.exclude sweep.include sweep.table sweep.race shard reuse",
        *_SEARCHED,
        "leave it out, or take hydra/sweeper=nnspec",
    ),
    Idle(
        "replicates",
        "on a search, which compares cells by equally many",
        lambda c: c.search and c.settings.auto,
        "say how many, as in replicates=200",
    ),
    Idle(
        "replicates",
        "with sweep.race=true, which adds networks by itself",
        lambda c: c.settings.sweep.race and c.settings.auto,
        _LEAVE_ONE,
    ),
    Idle("shard", *_RACING, "leave it out: a race compares all cells"),
    Idle("reuse", *_RACING, "race again: each look depends on what trained before"),
    Idle(f"{_REQUIRED} json", *_FOREIGN, _OWN),
    Idle(
        "sweep.objectives",
        "on a cell without a test part",
        lambda c: "test_accuracy" in c.settings.sweep.objectives and _untested(c),
        _ADD_TEST,
    ),
    Idle("require.test_accuracy", "on a cell without a test part", _untested, _ADD_TEST),
    *(Idle("remedy", f"on {kind}", _is(kind), _CELL) for kind in (SWEEPS, JOB)),
    Idle("remedy", "with weights of a file: changes are measured over seeds", _stored, "choose another init"),
    Idle(
        "remedy",
        "with --json, which prints one document",
        lambda c: c.settings.json,
        "leave one out; nnspec remedy last --json prints the other document",
    ),
    *(
        Idle("sweep.map sweep.zoom", f"on {kind}: a map is one run", _no_maps(kind), "leave -m or the experiment out")
        for kind in (SWEEPS, JOB)
    ),
    Idle(
        "sweep.zooms",
        "without a study of maps",
        lambda c: not _study_of_maps(c),
        "look at a part by --zoom, or leave it out",
    ),
    Idle("sweep.zoom", "without sweep.map", lambda c: c.settings.sweep.map is None, "say sweep.map too"),
    Idle(f"{_CHOSEN} {_REQUIRED}", *_MAP, _LEAVE),
    Idle(
        f"sweep.table sweep.csv {_RACE} tracking.cells tracking.model shard resume reuse remedy "
        "train.snapshot_every train.precision",
        *_MAPS,
        _LEAVE,
    ),
    Idle(
        "replicates",
        f"as auto on {MAP}",
        lambda c: c.settings.sweep.map is not None and c.settings.auto,
        "say how many networks a pixel has, or maps a study",
    ),
)


def idle_settings(command: Command) -> tuple[list[Fault], list[Fault]]:
    """What must be refused of what a command says, and what its user must be told: keys that have no effect on it."""
    said = {**_of_files(command), **command.said}
    mapped = (Idle(key, "on a map over it", lambda _: True, _LEAVE) for key in _mapped(command))
    refused = _idle((*mapped, *REFUSED), command, said)
    told = _idle(TOLD, command, said)
    return list(refused.values()), [fault for key, fault in told.items() if key not in refused]


def _idle(rows: Iterable[Idle], command: Command, said: Mapping[str, str]) -> dict[str, Fault]:
    """The first fault of each key of what is ``said`` that has no effect on the command."""
    found: dict[str, Fault] = {}
    for row in rows:
        for key in row.keys:
            if key in said and row.idle(command):
                found.setdefault(key, Fault(f"{key}={said[key]}", f"has no effect {row.why}", remedy=row.remedy))
    return found


def _mapped(command: Command) -> set[str]:
    """The keys that are axes of a map."""
    return {axis[0] for axis in command.settings.sweep.map or ()}


def _of_files(command: Command) -> dict[str, str]:
    """The keys that are not at their defaults, with their values: whatever the command line left, a file has
    changed."""
    settings = command.settings
    sections: list[tuple[str, object, Iterable[Param]]] = [
        ("tracking.", settings.tracking, TRACKING),
        ("train.", settings.runtime, RUNTIME),
        ("sweep.", settings.sweep, SWEEP),
        ("require.", settings.require, REQUIRE),
        ("", settings, COMMAND),
    ]
    if not command.archived:  # an archived spec says every field, whether its run needed it or not
        sections += [
            section for spec in command.specs[:1] for section in (("train.", _train(spec), TRAIN), ("", spec, SCALARS))
        ]
    changed = {}
    for prefix, section, params in sections:
        for param in params:
            value = getattr(section, param.name)
            if value != param.default:
                changed[f"{prefix}{param.name}"] = text(value)
    if settings.study:
        changed["study"] = f"{len(settings.study.claims)} claims"
    return changed


def _train(spec: RunSpec) -> Train:
    """The section as it was before the check filled in what it leaves open."""
    unsaid = replace(spec.train, log_every=None)
    return unsaid if log_every(replace(spec, train=unsaid)) == spec.train.log_every else spec.train


def tell(faults: Iterable[Fault]) -> None:
    """Print what a user must know and need not mend."""
    for fault in faults:
        print(f"nnspec: {fault}", file=sys.stderr)
