"""The JSON Schemas accept what a check accepts, and refuse what it refuses by name, type or bounds."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from nnspec.catalog import REGISTRIES, parameters
from nnspec.check import checked_mapping
from nnspec.compose import conf_dir
from nnspec.errors import SpecError
from nnspec.schema import spec_schema, sweep_schema

SPEC, SWEEP = Draft202012Validator(spec_schema()), Draft202012Validator(sweep_schema())
EXPERIMENTS = sorted((conf_dir() / "experiment").glob("*.yaml"))
MappingOf = Callable[..., dict[str, Any]]


@pytest.mark.parametrize("schema", [spec_schema(), sweep_schema()], ids=["spec", "sweep"])
def test_they_are_schemas(schema: dict[str, Any]) -> None:
    Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize(
    ("group", "name"), [(group, entry.name) for group, registry in REGISTRIES.items() for entry in registry]
)
def test_every_member_goes_with_its_own_parameters_at_their_defaults(
    mapping_of: MappingOf, group: str, name: str
) -> None:
    member = {"name": name} | {param.name: param.default for param in parameters(REGISTRIES[group][name])}
    mapping = mapping_of(**{group: yaml.safe_load(yaml.safe_dump(lists(member)))})
    assert list(SPEC.iter_errors(mapping)) == []
    mapping[group]["nosuch"] = 1
    assert not SPEC.is_valid(mapping)


def lists(member: dict[str, Any]) -> dict[str, Any]:
    return {key: list(value) if isinstance(value, tuple) else value for key, value in member.items()}


# dotted key -> a value that check refuses, by its type, its bounds or its name
REFUSED = [
    ("model.name", "mpl"),
    ("model.hidden", []),
    ("model.hidden", [0]),
    ("model.hidden", 4),
    ("model.output", "nosuch"),
    ("activation.name", "gleu"),
    ("activation.alpha", 1.0),
    ("init.mode", "fan"),
    ("init.gain", "automatic"),
    ("init.gain", 0),
    ("init.bias", "nosuch"),
    ("optimizer.lr", -0.1),
    ("optimizer.lr", "fast"),
    ("optimizer.lr", True),
    ("optimizer.betas", [0.9]),
    ("optimizer.betas", [0.9, 1.0]),
    ("optimizer.momentum", 0.9),
    ("loss.name", None),
    ("data.encoding", "unary"),
    ("schedule.warmup", -1),
    ("train.epochs", 0),
    ("train.epochs", 1.5),
    ("train.batch_size", 0),
    ("train.stop", "soon"),
    ("train.workers", 2),
    ("solved.tolerance", 0),
    ("solved.at_least", 1.1),
    ("seed", -1),
    ("seed", 2**32),
    ("replicates", "auto"),
    ("replicates", 0),
    ("dtype", "float16"),
    ("device", "tpu"),
    ("tracking.uri", "sqlite:///x.db"),
]


@pytest.mark.parametrize(("key", "value"), REFUSED)
def test_refused_as_by_the_check(spec_of: Callable[..., Any], key: str, value: Any) -> None:
    mapping = spec_of().to_mapping()
    assert list(SPEC.iter_errors(mapping)) == []
    changed = deepcopy(mapping)
    section, _, name = key.rpartition(".")
    (changed.setdefault(section, {}) if section else changed)[name] = value
    with pytest.raises(SpecError):
        checked_mapping(changed)
    assert not SPEC.is_valid(changed)


@pytest.mark.parametrize("group", sorted({*REGISTRIES} - {"schedule"}))
def test_a_spec_names_its_members(mapping_of: MappingOf, group: str) -> None:
    mapping = {name: member for name, member in mapping_of().items() if name != group}
    assert not SPEC.is_valid(mapping)
    with pytest.raises(SpecError):
        checked_mapping(mapping)


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_the_named_sweeps_fit(path: Path) -> None:
    assert list(SWEEP.iter_errors(yaml.safe_load(path.read_text()))) == []


ACCEPTED_SWEEPS = [
    "replicates: auto",
    "replicates: 50\nhydra: {mode: MULTIRUN, sweeper: {params: {activation: 'relu,tanh', seed: 'range(0,5)'}}}",
    "optimizer: {lr: 0.01}\ntrain: {epochs: 10, workers: 2}\nrequire: {solve_rate: 0.9}",
    "seed: ${oc.env:SEED}\nmodel: {hidden: '${oc.decode:[4]}'}",
    "hydra: {sweeper: {params: {optimizer.lr: 0.1, +optimizer.momentum: '0.5,0.9'}}}",
]
REFUSED_SWEEPS = [
    "replicate: 50",
    "replicates: 0",
    "activation: {name: gleu}",
    "activation: relu",
    "train: {epoch: 10}",
    "require: {solve_rate: 2}",
    "hydra: {mode: SWEEP}",
    "hydra: {sweeper: {params: {activaton: relu}}}",
    "hydra: {sweeper: {params: {activation: {name: relu}}}}",
]


@pytest.mark.parametrize("text", ACCEPTED_SWEEPS)
def test_sweeps_that_fit(text: str) -> None:
    assert list(SWEEP.iter_errors(yaml.safe_load(text))) == []


@pytest.mark.parametrize("text", REFUSED_SWEEPS)
def test_sweeps_that_do_not_fit(text: str) -> None:
    assert not SWEEP.is_valid(yaml.safe_load(text))


def test_they_say_what_a_parameter_is_for() -> None:
    epochs = spec_schema()["properties"]["train"]["properties"]["epochs"]
    assert (epochs["default"], epochs["minimum"]) == (1000, 1)
    assert epochs["description"].startswith("passes over the rows")
