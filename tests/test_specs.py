"""A spec is frozen, hashable, torch-free; it goes to a plain mapping and back, and its fingerprint does not move."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Callable
from dataclasses import FrozenInstanceError, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from nnspec.check import checked, checked_mapping
from nnspec.errors import Fault, SpecError
from nnspec.specs import Member, RunSpec, Solved, Train, by_combination, text

MappingOf = Callable[..., dict[str, Any]]
SpecOf = Callable[..., RunSpec]


def test_the_textbook_s_fingerprint_is_pinned(spec_of: SpecOf) -> None:
    # if this changes, every archived run loses its name: change what a spec says, never how the same spec is written
    assert spec_of().fingerprint == "be98d3d88a08affb"


def test_equal_specs_are_equal_objects_whatever_they_were_written_as(spec_of: SpecOf) -> None:
    ways = [
        spec_of(optimizer={"name": "sgd", "lr": lr, "momentum": zero}, model={"name": "mlp", "hidden": hidden})
        for lr in (1, 1.0)
        for zero in (0, 0.0, -0.0)
        for hidden in ([4], (4,))
    ]
    assert len(set(ways)) == 1
    assert len({spec.fingerprint for spec in ways}) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        {"replicates": 2},
        {"dtype": "float64"},
        {"train": {"epochs": 999}},
        {"train": {"log_every": 11}},
        {"solved": {"tolerance": 0.3}},
        {"optimizer": {"name": "adam", "lr": 0.1000001}},
        {"model": {"name": "mlp", "hidden": [5]}},
        {"activation": "gelu"},
        {"data": "and"},
    ],
    ids=str,
)
def test_every_field_is_in_the_fingerprint(spec_of: SpecOf, change: dict[str, Any]) -> None:
    assert spec_of(**change).fingerprint != spec_of().fingerprint
    assert spec_of(**change) != spec_of()


def test_there_and_back(spec_of: SpecOf) -> None:
    spec = spec_of(model={"name": "mlp", "hidden": [3, 5]}, loss="huber", init="sparse", replicates=7, seed=2)
    mapping = spec.to_mapping()
    assert RunSpec.from_mapping(mapping) == spec == checked_mapping(mapping)
    assert RunSpec.from_mapping(yaml.safe_load(yaml.safe_dump(mapping))) == spec
    assert checked(spec) == spec
    assert pickle.loads(pickle.dumps(spec)) == spec


def test_frozen_and_hashable(spec_of: SpecOf) -> None:
    spec = spec_of()
    assert {spec: 1}[spec_of()] == 1
    with pytest.raises(FrozenInstanceError):
        spec.seed = 3  # type: ignore[misc]
    assert replace(spec, seed=3).fingerprint != spec.fingerprint


def test_defaults_are_those_of_the_textbook(spec_of: SpecOf) -> None:
    spec = spec_of()
    assert (spec.train, spec.solved) == (Train(1000, 10, 0), Solved(0.4))
    assert (spec.seed, spec.replicates, spec.dtype, spec.device) == (0, 1, "float32", "cpu")
    assert spec.model["hidden"] == (4,)
    assert spec.optimizer["lr"] == 0.1
    assert spec.init["bias"] == "zeros"


def test_flat_has_every_field_by_its_dotted_name(spec_of: SpecOf) -> None:
    flat = spec_of(activation={"name": "leaky_relu", "negative_slope": 0.2}).flat()
    expected = {
        "model.name": "mlp",
        "model.hidden": "[4]",
        "model.output": "sigmoid",
        "activation.name": "leaky_relu",
        "activation.negative_slope": "0.2",
        "init.name": "kaiming_uniform",
        "init.bias": "zeros",
        "optimizer.lr": "0.1",
        "optimizer.betas": "[0.9, 0.999]",
        "loss.name": "bce",
        "data.encoding": "binary",
        "train.epochs": "1000",
        "solved.tolerance": "0.4",
        "seed": "0",
        "replicates": "1",
        "dtype": "float32",
    }
    assert expected.items() <= flat.items()


def test_members() -> None:
    member = Member("adam", (("eps", 1e-8), ("lr", 0.1)))
    assert member["lr"] == 0.1
    assert "eps" in member
    assert "momentum" not in member
    assert list(member.keys()) == ["eps", "lr"]
    assert member.with_params(beta=1, lr=0.2).params == (("beta", 1), ("eps", 1e-8), ("lr", 0.2))
    assert member.number("lr") == 0.1
    with pytest.raises(TypeError, match=r"adam.flag is True, which is no number"):
        member.with_params(flag=True).number("flag")


@pytest.mark.parametrize(
    ("value", "typed"),
    [
        (None, "null"),
        (True, "true"),
        (1, "1"),
        (0.5, "0.5"),
        ("", "''"),
        ("a", "a"),
        ([1, [2.0, None]], "[1,[2.0,null]]"),
    ],
)
def test_text_is_what_a_user_types(value: object, typed: str) -> None:
    assert text(value) == typed


def test_a_spec_error_keeps_its_faults_between_processes() -> None:
    error = SpecError([Fault("a", "must be b", "c", "try d"), Fault("e", "must be f")])
    again = pickle.loads(pickle.dumps(error))
    assert again.faults == error.faults
    assert str(again) == str(error) == "a must be b, but got c; try d\ne must be f"


def test_a_fault_found_twice_is_told_once() -> None:
    assert len(SpecError([Fault("a", "b"), Fault("a", "b")]).faults) == 1


def test_a_spec_needs_no_torch() -> None:
    code = "import sys, nnspec.specs, nnspec.check, nnspec.catalog; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_spec_prints_as_its_yaml(spec_of: SpecOf) -> None:
    spec = spec_of(optimizer={"name": "adam", "lr": 1e-5}, replicates=200)
    assert str(spec) == repr(spec)
    assert RunSpec.from_mapping(yaml.safe_load(repr(spec))) == spec
    assert "optimizer:\n  name: adam\n" in repr(spec)


def test_a_spec_in_a_notebook_is_a_table_of_its_fields(spec_of: SpecOf) -> None:
    html = spec_of()._repr_html_()
    assert html.startswith("<table>")
    assert "<tr><th>optimizer.lr</th><td>0.1</td></tr>" in html
    assert "<b>" not in replace(spec_of(), activation=Member("<b>"))._repr_html_()


def test_a_spec_that_was_never_checked_can_be_printed() -> None:
    odd: Any = Member("x", (("y", Path("here")),))  # type: ignore[arg-type]
    broken = RunSpec("mlp", odd, odd, odd, odd, odd, seed=odd)  # type: ignore[arg-type]
    assert "model: mlp\n" in repr(broken)
    assert "<table" in broken._repr_html_()


def test_combinations_are_those_that_differ_by_their_seeds_alone(spec_of: SpecOf) -> None:
    ways = [spec_of(seed=seed, activation=name) for seed in (3, 0, 7) for name in ("relu", "tanh")]
    ways.append(spec_of(seed=3, replicates=2))
    assert by_combination(ways) == [[0, 2, 4], [1, 3, 5], [6]]
