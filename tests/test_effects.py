"""Keys without an effect are refused or told, whichever way they were said, and nothing else is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml

from nnspec.catalog import MODELS, Model
from nnspec.catalog.models import OUTPUT
from nnspec.cli.main import main
from nnspec.compose import Composer, compose, spec
from nnspec.effects import JOB, RUN, SWEEPS, Command, idle_settings
from nnspec.errors import SpecError
from nnspec.specs import RunSpec
from nnspec.sweep import plan

M = ["-m", "seed=1,2"]

FIELDS = [
    (["optimizer=sgd", "optimizer.dampening=0.5"], "optimizer.dampening must be 0 without optimizer.momentum"),
    (["optimizer=rprop", "optimizer.lr=100"], "optimizer.lr must lie within optimizer.step_sizes"),
    (["optimizer=rprop", "optimizer.lr=1e-9"], "optimizer.lr must lie within optimizer.step_sizes"),
    (
        ["loss=huber", "loss.delta=1.5"],
        "loss.delta must be at most 1 with outputs of sigmoid, whose errors are no larger, but got 1.5",
    ),
    (["train.stop=solved", "train.patience=7"], "train.patience must be left at 100 without train.stop=plateau"),
    (["optimizer=rprop", "schedule=cosine"], "schedule.name must be constant, without a warm-up, with rprop"),
    (["loss=huber", "loss.delta=2.5", "model.output=tanh"], "loss.delta must be at most 2 with outputs of tanh"),
]
EFFECTIVE = [
    ["train.stop=plateau", "train.patience=7"],
    ["optimizer=sgd", "optimizer.dampening=0.5", "optimizer.momentum=0.9"],
    ["optimizer=rprop", "optimizer.lr=50"],
    ["loss=huber", "loss.delta=1"],
    ["loss=huber", "loss.delta=1.5", "model.output=tanh"],
    ["loss=huber", "loss.delta=9", "model.output=identity"],
]


@pytest.mark.parametrize(("overrides", "message"), FIELDS, ids=lambda v: " ".join(v) if isinstance(v, list) else "")
def test_a_field_without_effect_is_refused(overrides: list[str], message: str, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=message):
        spec(overrides)
    key, _, value = overrides[1].partition("=")
    default = {
        "train.patience": "100",
        "schedule": "constant",
        "optimizer.dampening": "0",
        "optimizer.lr": "0.5",
        "loss.delta": "0.3",
    }[key]
    axis = [override if override != overrides[1] else f"{key}={default},{value}" for override in overrides]
    with pytest.raises(SpecError, match=rf"{message}.*\(1 of 2 cells\)"):
        plan(axis, Composer())


@pytest.mark.parametrize("overrides", EFFECTIVE, ids=" ".join)
def test_a_field_with_effect_is_taken(overrides: list[str]) -> None:
    assert isinstance(spec(overrides), RunSpec)


def test_an_archived_spec_has_what_it_has(tmp_path: Path) -> None:
    mapping = spec(["optimizer=sgd"]).to_mapping()
    mapping["optimizer"]["dampening"] = 0.5  # type: ignore[index]
    path = tmp_path / "spec.yaml"
    path.write_text(yaml.safe_dump(mapping))
    assert spec([f"spec={path}"]).optimizer["dampening"] == 0.5
    assert plan([f"spec={path}", "seed=1,2"], Composer())[0].cells[1].spec.optimizer["dampening"] == 0.5


def test_the_start_of_what_a_file_holds_is_not_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from nnspec.initial import initial_weights

    found = spec(["activation=prelu"])
    from safetensors.numpy import save_file

    save_file({name: tensor[0] for name, tensor in initial_weights(found, [0]).items()}, tmp_path / "w.safetensors")
    stored = ["activation=prelu", "init=from_file", f"init.path={tmp_path / 'w.safetensors'}"]
    assert spec(stored).activation["init"] == 0.25
    with pytest.raises(
        SpecError, match=r"activation.init must be left at 0.25 with init=from_file, whose file has what it is"
    ):
        spec([*stored, "activation.init=0.5"])


# overrides of the table below, on top of a short run without tracking: (kind, what else is said, the key, refused or
# told)
REFUSED, TOLD = True, False
SETTINGS = [
    (RUN, ["train.precision=0.1"], "train.precision", TOLD),
    (SWEEPS, ["train.precision=0.1"], "train.precision", TOLD),
    (RUN, ["train.address=auto"], "train.address", REFUSED),
    (SWEEPS, ["train.engine=ray", "sweep.plan_only=true"], "train.engine", TOLD),
    (RUN, ["train.engine=ray", "device=cuda"], "train.engine", REFUSED),
    (RUN, ["train.log_every=2000"], "train.log_every", TOLD),
    (RUN, ["train.snapshot_every=2000"], "train.snapshot_every", TOLD),
    (RUN, ["init=zeros", "replicates=9"], "replicates", TOLD),
    (RUN, ["init=constant", "seed=9"], "seed", TOLD),
    (RUN, ["tracking=off", "tracking.uri=sqlite:///x.db"], "tracking.uri", TOLD),
    (SWEEPS, ["tracking=off", "tracking.experiment=x"], "tracking.experiment", TOLD),
    (RUN, ["tracking=off", "tracking.writer=sql"], "tracking.writer", TOLD),
    (RUN, ["tracking=off", "tracking.model=best"], "tracking.model", TOLD),
    (SWEEPS, ["sweep.plan_only=true", "tracking.model=best"], "tracking.model", TOLD),
    (JOB, ["tracking.model=best"], "tracking.model", REFUSED),
    (SWEEPS, ["tracking=off", "resume=last"], "resume", REFUSED),
    (SWEEPS, ["tracking.enabled=false", "resume=abc"], "resume", REFUSED),
    (SWEEPS, ["tracking=off", "reuse=true"], "reuse", REFUSED),
    (SWEEPS, ["resume=last", "reuse=true"], "reuse", REFUSED),
    (SWEEPS, ["tracking=off", "sweep.report=false"], "sweep.report", TOLD),
    (RUN, ["sweep.zip=[[seed,init]]"], "sweep.zip", REFUSED),
    (RUN, ["sweep.exclude=[{seed: 1}]"], "sweep.exclude", REFUSED),
    (RUN, ["sweep.include=[{seed: 1}]"], "sweep.include", REFUSED),
    (RUN, ["sweep.where=[{seed: 1}]"], "sweep.where", REFUSED),
    (RUN, ["sweep.table=[init]"], "sweep.table", REFUSED),
    (RUN, ["sweep.csv=x.csv"], "sweep.csv", REFUSED),
    (RUN, ["sweep.report=false"], "sweep.report", TOLD),
    (RUN, ["shard=0/2"], "shard", REFUSED),
    (RUN, ["resume=last"], "resume", REFUSED),
    (RUN, ["reuse=true"], "reuse", REFUSED),
    (JOB, ["sweep.zip=[[seed,init]]"], "sweep.zip", REFUSED),
    (JOB, ["shard=0/2"], "shard", REFUSED),
    (JOB, ["sweep.csv=x.csv"], "sweep.csv", TOLD),
    (SWEEPS, ["sweep.plan_only=true", "timings=true"], "timings", TOLD),
    (SWEEPS, ["sweep.plan_only=true", "resume=last"], "resume", TOLD),
    (RUN, ["sweep.plan_only=true", "remedy=true"], "remedy", TOLD),
    (SWEEPS, ["remedy=true"], "remedy", REFUSED),
    (JOB, ["remedy=true"], "remedy", REFUSED),
    (RUN, ["json=true", "remedy=true"], "remedy", REFUSED),
    (SWEEPS, ["replicates=auto", "resume=last"], "resume", REFUSED),
    (SWEEPS, ["replicates=auto", "reuse=true"], "reuse", REFUSED),
    (RUN, ["sweep.race=true"], "sweep.race", REFUSED),
    (JOB, ["sweep.race=true"], "sweep.race", REFUSED),
    (RUN, ["sweep.budget=1000"], "sweep.budget", REFUSED),
    (SWEEPS, ["sweep.budget=1000"], "sweep.budget", TOLD),
    (SWEEPS, ["sweep.within=0.1"], "sweep.within", TOLD),
    (SWEEPS, ["sweep.race=true", "replicates=auto"], "replicates", REFUSED),
    (SWEEPS, ["sweep.race=true", "replicates=9"], "replicates", TOLD),
    (SWEEPS, ["sweep.race=true", "sweep.table=[init]"], "sweep.table", TOLD),
    (SWEEPS, ["sweep.race=true", "shard=0/2"], "shard", REFUSED),
    (SWEEPS, ["sweep.race=true", "reuse=true"], "reuse", REFUSED),
]


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    ("kind", "overrides", "key", "refused"), SETTINGS, ids=lambda v: " ".join(v) if isinstance(v, list) else str(v)
)
def test_a_setting_without_effect(kind: str, overrides: list[str], key: str, refused: bool) -> None:
    found, settings = compose(overrides)
    for said in ({key: "said"}, {}):  # on the command line, or by a file
        groups = idle_settings(Command([found], settings, kind, said))
        assert [[fault.where.partition("=")[0] for fault in group] for group in groups] == (
            [[key], []] if refused else [[], [key]]
        )


def test_an_engine_beside_a_launcher_is_refused() -> None:
    found, settings = compose(["train.engine=ray", "train.address=auto"])
    for launcher, count in (("joblib", 1), ("basic", 0)):
        said = {"train.engine": "ray", "train.address": "auto", "hydra/launcher": launcher}
        refused, told = idle_settings(Command([found], settings, SWEEPS, said))
        assert (len(refused), told) == (count, [])
    assert str(idle_settings(Command([found], settings, SWEEPS, {**said, "hydra/launcher": "joblib"}))[0][0]) == (
        "train.engine=ray has no effect beside hydra/launcher, whose jobs train; leave one of them out"
    )


@pytest.mark.parametrize(
    "overrides",
    [
        ["train.batch_size=2"],
        ["data=moons", "data.test_fraction=0.5", "data.split=per_network"],
        ["init=normal"],
        ["model.dropout=0.2"],
        ["model=sequential", "model.layers=[{linear:3},{dropout:0.2},{linear:null}]"],
    ],
)
def test_a_seed_has_an_effect_where_it_draws_weights_batches_rows_or_noise(overrides: list[str]) -> None:
    found, settings = compose(["init=zeros", *overrides, "seed=9"])
    assert idle_settings(Command([found], settings, RUN, {"seed": "9"})) == ([], [])


def test_a_seed_has_an_effect_on_a_module_whose_class_may_draw(spec_of: Callable[..., RunSpec]) -> None:
    MODELS.add(Model("draws_by_class", "", lambda p: (), None, (OUTPUT,), module=torch.nn.Linear))
    try:
        own, settings = spec_of(model="draws_by_class", init="zeros", seed=9), compose([])[1]
        assert idle_settings(Command([own], settings, RUN, {"seed": "9"})) == ([], [])
    finally:
        MODELS.remove("draws_by_class")


@pytest.mark.parametrize("kind", [RUN, JOB, SWEEPS])
def test_defaults_are_not_said(kind: str) -> None:
    found, settings = compose([])
    assert idle_settings(Command([found], settings, kind)) == ([], [])
    short, _ = compose(["train.epochs=3"])  # shorter than the default of train.log_every, which nobody said
    assert idle_settings(Command([short], settings, kind)) == ([], [])


def test_a_key_is_told_where_it_helps_no_cell() -> None:
    settings = compose([])[1]
    specs = [spec([f"init={init}", f"train.epochs={epochs}", "replicates=3", "train.log_every=50"]) for init, epochs in
             (("zeros", 10), ("normal", 100))]  # fmt: skip
    said = {"seed": "1,2", "replicates": "3", "train.log_every": "50"}
    assert idle_settings(Command(specs, settings, SWEEPS, said)) == ([], [])
    assert idle_settings(Command(specs[:1], settings, JOB, said)) == ([], [])  # it knows no other cells
    assert [f.where for f in idle_settings(Command(specs[:1], settings, SWEEPS, said))[1]] == [
        "train.log_every=50",
        "seed=1,2",
        "replicates=3",
    ]


CHOICES = [
    "activation={}",
    "data={alpha:1}",
    "optimizer=[adam,sgd]",
    *[
        pytest.param(f"{group}={{}}", marks=pytest.mark.slow)
        for group in ("model", "init", "optimizer", "loss", "data")
    ],
    pytest.param("activation={alpha:1}", marks=pytest.mark.slow),
    pytest.param("loss=[bce]", marks=pytest.mark.slow),
]


@pytest.mark.parametrize("choice", CHOICES)
def test_a_group_takes_one_name(choice: str) -> None:
    group = choice.partition("=")[0]
    with pytest.raises(SpecError, match=f"{group} must be a name, but got .*; choose one with {group}=NAME"):
        spec([choice])
    with pytest.raises(SpecError, match=f"{group} must be a name"):
        plan([choice, "seed=1,2"], Composer())


COMMANDS = [
    (
        ["train.precision=0.1"],
        0,
        "train.precision=0.1 has no effect without replicates=auto; add replicates=auto, or leave it out",
    ),
    (["activation={}"], 2, "activation must be a name, but got {}"),
    (["tracking={}"], 2, "tracking must be a name, but got {}"),
    ([*M, "resume=last"], 2, "resume=last has no effect with tracking=off"),
    (
        [*M, "shard=5/9"],
        2,
        "shard must have a cell to train, but the sweep has 2 in all, but got 5/9; take fewer parts",
    ),
    ([*M, "sweep.table=[seed,seed]"], 2, r"sweep.table must name each axis once, but got \[seed,seed\]"),
    ([*M, "sweep.table=[sed]"], 2, "sweep.table must name axes of the sweep, but got 'sed'; did you mean 'seed'"),
    ([*M, "sweep.csv=."], 1, r"sweep.csv must be a file that can be written \(it is a folder\)"),
    ([*M, "sweep.csv=taken/x.csv"], 1, r"sweep.csv must be a file that can be written \(.*taken is no folder\)"),
    (
        [*M, "init=zeros,normal", "sweep.zip=[[seed,init]]", "sweep.exclude=[{seed: 1, init: normal}]"],
        2,
        "sweep.exclude must match a cell",
    ),
    (["seed=1", "seed=2"], 0, r"seed is said more than once \(1, 2\) and the last counts; keep one"),
    (
        ["experiment=perceptron", "hydra.mode=RUN", "replicates=1"],
        0,
        "hydra.sweeper.params=data has no effect on a single run; add -m",
    ),
    ([*M, "hydra/sweeper=basic", "sweep.csv=x.csv"], 0, "sweep.csv=x.csv has no effect on a job of another sweeper"),
]


@pytest.mark.parametrize(
    ("words", "status", "line"), COMMANDS, ids=lambda v: " ".join(v) if isinstance(v, list) else ""
)
def test_it_is_one_line_at_the_command_line(
    words: list[str],
    status: int,
    line: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    import re

    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken").write_text("")
    tracking = [] if words[0].startswith("tracking") else ["tracking=off"]
    assert main(["run", *words, *tracking, "train.epochs=2", "train.log_every=1"]) == status
    said = [text for text in capfd.readouterr().err.splitlines() if text.startswith("nnspec:")]
    assert len(said) == 1
    assert re.match(f"nnspec: {line}", said[0])


def test_every_setting_of_the_command_has_been_looked_at() -> None:
    """A new key must be given a rule, or be named here as one that always has an effect."""
    from nnspec.effects import PAGE, REFUSED, TOLD
    from nnspec.settings import COMMAND, REQUIRE, RUNTIME, SWEEP, TRACKING

    sections = (("tracking.", TRACKING), ("train.", RUNTIME), ("sweep.", SWEEP), ("require.", REQUIRE), ("", COMMAND))
    keys = {f"{prefix}{param.name}" for prefix, params in sections for param in params}
    always = {"tracking.enabled", "train.workers", "train.memory", "sweep.plan_only"}
    rules = [rule for rule in (*REFUSED, *TOLD) if PAGE not in rule.why]  # no key has an effect on a page
    assert keys - {key for rule in rules for key in rule.keys} == always
