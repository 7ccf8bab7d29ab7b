"""Composition: the configs are the entries' defaults, overrides become checked specs, and Hydra's state is left
alone."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hypothesis import given, settings
from hypothesis import strategies as st

from nnspec.catalog import REGISTRIES, STAND_INS, parameters
from nnspec.compose import (
    Composer,
    checked_config,
    command_line,
    conf_dir,
    explain,
    load_spec,
    settings_from,
    spec,
    with_archived,
)
from nnspec.compose.archived import grammar
from nnspec.compose.composer import plain
from nnspec.compose.explain import unknown_option
from nnspec.compose.loader import loader
from nnspec.errors import SpecError
from nnspec.params import Param
from nnspec.settings import COMMAND, REQUIRE, RUNTIME, SWEEP, TRACKING, Settings
from nnspec.specs import SCALARS, SOLVED, TRAIN, RunSpec

MEMBERS = [(group, entry) for group, registry in REGISTRIES.items() for entry in registry]


@pytest.fixture(scope="module")
def composer() -> Composer:
    return Composer()


@pytest.mark.parametrize(("group", "entry"), MEMBERS, ids=[f"{group}-{entry.name}" for group, entry in MEMBERS])
def test_yaml_of_an_entry_is_its_defaults(group: str, entry, composer: Composer) -> None:
    params = (*parameters(entry), *(entry.shorthand if group == "model" else ()))
    result = next(s for s in composer.loader.get_sources() if s.is_config(f"{group}/{entry.name}")).load_config(
        f"{group}/{entry.name}"
    )
    stated = plain(result.config, resolve=True)
    assert stated.pop("name") == entry.name
    assert sorted(stated) == sorted(param.name for param in params)
    for param in params:
        assert param.kind.parse(stated[param.name]) == param.default
        assert type(param.kind.parse(stated[param.name])) is type(param.default)


def test_every_yaml_is_an_entrys() -> None:
    for group, registry in REGISTRIES.items():
        words = STAND_INS if group == "activation" else ()
        assert sorted(path.stem for path in (conf_dir() / group).glob("*.yaml")) == sorted([*registry.names(), *words])


@pytest.mark.parametrize(
    ("section", "params"),
    [
        ("train", TRAIN + RUNTIME),
        ("solved", SOLVED),
        ("sweep", SWEEP),
        ("require", REQUIRE),
        ("tracking", TRACKING),
        ("", SCALARS + COMMAND),
    ],
    ids=["train", "solved", "sweep", "require", "tracking", "top"],
)
def test_config_states_the_defaults_of_its_params(section: str, params: tuple[Param, ...], composer: Composer) -> None:
    config = composer.mapping([])
    stated = (
        config[section]
        if section
        else {k: v for k, v in config.items() if not isinstance(v, dict) and k not in ("spec", "study")}
    )
    assert sorted(stated) == sorted(param.name for param in params)
    for param in params:
        assert param.kind.parse(stated[param.name]) == param.default, param.name


def test_default_is_the_textbook_exercise() -> None:
    found = spec()
    names = [getattr(found, group).name for group in REGISTRIES]
    assert names == ["mlp", "relu", "kaiming_uniform", "adam", "bce", "xor", "constant"]
    assert (found.model["hidden"], found.model["output"], found.init["bias"]) == ((4,), "sigmoid", "zeros")
    assert (found.optimizer["lr"], found.train.epochs, found.replicates) == (0.1, 1000, 1)


def test_hydras_state_is_left_uninitialised() -> None:
    GlobalHydra.instance().clear()
    spec(["activation=gelu"])
    assert not GlobalHydra.instance().is_initialized()


def test_hydras_state_is_left_to_its_owner(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("a: 1\n")
    with initialize_config_dir(str(tmp_path), version_base=None):
        before = GlobalHydra.instance().hydra
        spec(["activation=gelu"])
        Composer(loader(str(tmp_path)))
        assert GlobalHydra.instance().hydra is before
        assert hydra_compose("mine") == {"a": 1}


def test_settings_go_their_own_way(composer: Composer) -> None:
    lines = [
        "tracking=off",
        "train.workers=2",
        "sweep.plan_only=true",
        "shard=1/3",
        "replicates=auto",
        "timings=true",
        "remedy=true",
        "resume=last",
    ]
    found, stated = checked_config(composer.mapping(lines))
    assert found == RunSpec.from_mapping({**found.to_mapping(), "replicates": 100})
    assert (stated.tracking.enabled, stated.runtime.workers, stated.sweep.plan_only) == (False, 2, True)
    assert (stated.shard, stated.auto, stated.timings, stated.resume) == ((1, 3), True, True, "last")
    assert stated.remedy
    assert settings_from(composer.mapping([])) == Settings()


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["tracking.writer=fast"], "tracking.writer must be one of auto, sql, client, but got fast"),
        (["train.workers=0"], "train.workers must be a whole number at least 1"),
        (["+tracking.urii=x"], "tracking.urii is not a known key; did you mean 'uri'"),
        (["+sweep._target_=x"], "sweep._target_ is not allowed"),
        (["tracking=3"], "tracking must be a known tracking, but got '3'"),
        (["+shardd=0/2"], "shardd is not a known key; did you mean 'shard'"),
        (["shard=3"], "shard must be i/K"),
        (["timings=1"], "timings must be true or false, but got 1"),
        (["sweep.table=[a,b,c]"], "sweep.table must be a list"),
        (["activation=null"], "activation must be a known activation, but got 'null'"),
        (["init=kaimingg"], "'kaimingg'; did you mean 'kaiming_normal'"),
        (["model.hiden=[4]"], "model.hiden is not a known key; did you mean 'model.hidden'"),
        (["optimizer.learning_rate=0.2"], r"optimizer.learning_rate is not a known key; available: optimizer.betas, "),
        (["modle.hidden=[4]"], "modle.hidden is not a known key; did you mean 'model'"),
        (["seed.x=3"], "seed.x is not a known key: seed holds no keys; leave it out"),
        (["+seed=3"], "seed is there already and cannot be added, but got .*; leave the . out: seed=3"),
        (["==="], "an override must be written KEY=VALUE, but got '==='"),
        (["model=mlp", "model=perceptron,mlp"], "model must be one value without -m, but got perceptron,mlp; add -m"),
        (["seed=range(0,3)"], "seed must be one value without -m"),
        (["model.hidden=${nowhere}"], "nowhere"),
        (["model.hidden=${model.hidden}"], "model.hidden"),
        (["+activation={_target_:os.system}"], "activation._target_ is not allowed"),
        (["hydra.foo=3"], "hydra.foo"),
    ],
)
def test_faults_are_told(overrides: list[str], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        spec(overrides)


def test_all_faults_at_once_each_once() -> None:
    bad = [
        "activation=gleu",
        "model.hiden=[3]",
        "===",
        "optimizer.lr=-1",
        "foo=3",
        "tracking=onn",
        "train.epochs=ten",
        "seed=-1",
    ]
    with pytest.raises(SpecError) as refused:
        spec(bad)
    lines = str(refused.value).splitlines()
    assert len(lines) == len(bad)
    for part in ("gleu", "hiden", "===", "optimizer.lr", "foo", "onn", "train.epochs", "seed"):
        assert sum(part in line for line in lines) >= 1, part


def test_keys_of_a_member_that_was_not_found_are_no_second_fault() -> None:
    with pytest.raises(SpecError) as refused:
        spec(["activation=leaky_rellu", "activation.negative_slope=0.2"])
    assert len(refused.value.faults) == 1


def test_what_composes_has_no_faults(composer: Composer) -> None:
    assert explain(composer, ["activation=leaky_relu", "activation.negative_slope=0.2", "seed=3"]) == []


def archive(found: RunSpec, folder: Path) -> Path:
    path = folder / "an archived spec.yaml"
    path.write_text(yaml.safe_dump(found.to_mapping(), sort_keys=False))
    return path


ARCHIVED = [
    ["activation=leaky_relu", "activation.negative_slope=0.3", "seed=7", "replicates=5", "optimizer.eps=1e-12"],
    ["model=perceptron", "loss=hinge", "data=parity", "data.bits=4", "dtype=float64"],
    ["model=perceptron", "loss=cross_entropy"],
    ["model=perceptron", "loss=huber", "activation=leaky_relu", "activation.negative_slope=0.3"],
    [
        "optimizer=rprop",
        "init=truncated_normal",
        "init.low=-0.1",
        "train.epochs=3",
        "train.snapshot_every=2",
        "solved.tolerance=0.1",
    ],
]


@pytest.mark.parametrize("overrides", ARCHIVED, ids=["leaky", "perceptron", "softmax", "slope", "rprop"])
def test_archived_spec_is_the_same_spec(overrides: list[str], tmp_path: Path) -> None:
    found = spec(overrides)
    path = archive(found, tmp_path)
    assert load_spec(path) == found
    assert spec([f"spec={path}"]) == found
    assert spec([f"spec='{path}'"]).fingerprint == found.fingerprint


def test_what_else_is_said_goes_on_top_of_an_archived_spec(tmp_path: Path) -> None:
    path = archive(spec(ARCHIVED[0]), tmp_path)
    assert spec(["seed=8", f"spec={path}"]) == spec([*ARCHIVED[0], "seed=8"])
    assert spec([f"spec={path}", "activation=gelu"]) == spec(["activation=gelu", *ARCHIVED[0][2:]])
    assert with_archived(["-m", "seed=1,2", f"spec={path}"])[0] == "-m"


def test_another_activation_goes_on_top_of_an_archived_perceptron(tmp_path: Path) -> None:
    path = archive(spec(ARCHIVED[1]), tmp_path)
    assert spec([f"spec={path}", "activation=tanh"]) == spec([*ARCHIVED[1], "activation=tanh"])
    assert spec([f"spec={path}", "model.output=tanh"]) == spec([*ARCHIVED[1], "activation=tanh"])
    assert spec([f"spec={path}", "activation=auto", "loss=cross_entropy"]).activation.name == "softmax"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "spec must be a readable file"),
        ("[1, 2]", "spec must hold a mapping"),
        ("a: [", "spec must be a YAML file"),
        ("!!python/object/apply:os.system [echo]", "spec must be a YAML file"),
        ("model: {name: mlp, _target_: os.system}", "model._target_ is not allowed"),
        ("modle: {name: mlp}", "modle is not a field of a spec; did you mean 'model'"),
    ],
)
def test_archived_faults(content: str | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    if content is not None:
        path.write_text(content)
    with pytest.raises(SpecError, match=message):
        spec([f"spec={path}"])


def test_two_archived_specs_are_refused(tmp_path: Path) -> None:
    path = archive(spec(), tmp_path)
    with pytest.raises(SpecError, match="spec must be given once"):
        spec([f"spec={path}", f"spec={path}"])


PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**40), 2**40)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text("ab '\"\\,:=[]{}1.e-"),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=4,
)


@settings(max_examples=150, deadline=None)
@given(PLAIN)
def test_values_survive_hydras_grammar(value: object) -> None:
    assert Composer().parse(f"key={grammar(value)}").value() == value


def test_command_line_as_typed() -> None:
    assert (
        command_line(["/usr/bin/python3.11", "run.py", "-m", "seed=range(0,3)"]) == "python run.py -m 'seed=range(0,3)'"
    )
    assert command_line(["/venv/bin/python", "/venv/bin/nnspec", "run", "seed=1"]) == "nnspec run seed=1"
    assert command_line(["python", "-m", "pytest"]) == "python -m pytest"


@pytest.mark.parametrize(("launcher", "extra"), [("joblib", "joblib"), ("submitit_slurm", "slurm")])
def test_a_launcher_that_is_not_installed_names_its_extra(launcher: str, extra: str) -> None:
    class Bare(Composer):
        def has(self, group: str, name: object) -> bool:
            return name == "basic"

    assert unknown_option(Bare(), "hydra/launcher", "basic") is None
    assert str(unknown_option(Bare(), "hydra/launcher", launcher)) == (
        f"hydra/launcher={launcher} needs the extra nnspec[{extra}], but got an environment without it; install it "
        f"with: pip install 'nnspec[{extra}]'"
    )
    assert "available: basic" in str(unknown_option(Bare(), "hydra/launcher", "rq"))
