"""What can be named and what a spec is, for programs and editors; and the help of every command."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from nnspec.catalog import REGISTRIES
from nnspec.cli.main import COMMANDS, main
from nnspec.compose import conf_dir
from nnspec.settings import COMMAND, REQUIRE, RUNTIME, SWEEP, TRACKING
from nnspec.specs import SCALARS, SOLVED, TRAIN

pytestmark = pytest.mark.usefixtures("folder")


def test_the_yaml_of_show_runs_again(nnspec: Any) -> None:
    words = ("activation=gelu", "optimizer=sgd", "optimizer.momentum=0.9", "replicates=3", "train.epochs=7")
    status, out, err = nnspec("show", *words, "--yaml")
    assert (status, err) == (0, "")
    Path("s.yaml").write_text(out)
    assert nnspec("show", "spec=s.yaml", "--yaml") == (0, out, "")
    status, run, _ = nnspec("run", "spec=s.yaml", "tracking=off", "train.workers=1", "--json")
    assert (status, json.loads(run)["cells"][0]["spec"]) == (0, yaml.safe_load(out))


def test_show_as_json(nnspec: Any, spec_of: Any) -> None:
    status, out, _ = nnspec("show", "init=lecun_normal", "model.hidden=[300]", "--json")
    shown = json.loads(out)
    spec = spec_of(init="lecun_normal", model={"name": "mlp", "hidden": [300]})
    assert status == 0
    assert set(shown) == {"fingerprint", "spec", "data", "inputs", "outputs", "parameters", "layers", "init"}
    assert (shown["fingerprint"], shown["spec"]) == (spec.fingerprint, spec.to_mapping())
    assert (shown["inputs"], shown["outputs"], shown["parameters"]) == (2, 1, 1201)
    assert shown["parameters"] == sum(layer["parameters"] for layer in shown["layers"])
    assert shown["layers"][0]["tensors"] == {"weight": [300, 2], "bias": [300]}
    assert shown["init"]["layers"][0]["weight_promised"] == pytest.approx(2**-0.5)
    assert shown["data"]["classes"] == [{"name": "0", "training": 2}, {"name": "1", "training": 2}]
    assert shown["data"]["numbers"] is None
    assert shown["data"]["parts"][0] == {
        "part": "training",
        "inputs": [4, 2],
        "targets": [4, 1],
        "input_range": {"least": 0.0, "most": 1.0, "mean": 0.5},
    }


def test_show_promises_what_each_layer_is_filled_with(nnspec: Any) -> None:
    words = ["model.hidden=[30,40]", "init.per_layer=[zeros,kaiming_normal,xavier_uniform]", "model.bias=false"]
    status, out, _ = nnspec("show", *words, "--json")
    layers = json.loads(out)["init"]["layers"]
    assert status == 0
    assert layers[0]["weight_promised"] == layers[0]["weight_drawn"] == 0
    assert layers[1]["weight_promised"] == pytest.approx((2 / 30) ** 0.5)
    for layer in layers:
        assert layer["weight_drawn"] == pytest.approx(layer["weight_promised"], rel=0.05)
        assert layer["bias_drawn"] is None
    status, out, _ = nnspec("show", *words)
    assert status == 0
    assert "bias drawn" in out


def test_show_of_numbers_and_of_stored_weights_as_json(nnspec: Any) -> None:
    words = ("data=diabetes", "loss=mse", "model.output=identity", "data.test_fraction=0.2")
    data = json.loads(nnspec("show", *words, "--json")[1])["data"]
    assert data["classes"] is None
    assert [set(number) for number in data["numbers"]] == [{"name", "training", "test"}]
    assert [part["part"] for part in data["parts"]] == ["training", "test"]


def test_only_one_form_of_show(nnspec: Any) -> None:
    status, out, err = nnspec("show", "--yaml", "--json")
    assert (status, out) == (2, "")
    assert "--json: not allowed with argument --yaml" in err


def test_list_as_json(nnspec: Any) -> None:
    status, out, _ = nnspec("list", "--json")
    listed = json.loads(out)
    assert status == 0
    assert set(listed) == {
        *("activations", "inits", "models", "optimizers", "losses", "data", "schedules", "verdicts"),
        "experiments",
    }
    assert {entry["name"] for entry in listed["optimizers"]} == set(REGISTRIES["optimizer"].names())
    for kind, entries in listed.items():
        keys = {"name", "summary", "parameters", *(["derivative"] if kind == "activations" else [])}
        keys |= set() if kind in ("verdicts", "experiments") else {"aliases"}
        assert all(set(entry) == keys for entry in entries)
    parameters = [each for kind in listed.values() for entry in kind for each in entry["parameters"]]
    assert all(set(each) == {"key", "default", "doc", "schema"} for each in parameters)
    assert all(Draft202012Validator(each["schema"]).is_valid(each["default"]) for each in parameters)
    questions = {entry["name"]: entry["summary"] for entry in listed["experiments"]}
    assert questions["zero_init"].endswith("?")
    assert json.loads(nnspec("list", "losses", "--json")[1]) == {"losses": listed["losses"]}


def test_schemas_are_printed(nnspec: Any) -> None:
    spec, again, sweep = (json.loads(nnspec("schema", *words)[1]) for words in ((), ("spec",), ("sweep",)))
    assert spec == again
    Draft202012Validator(spec).validate(yaml.safe_load(nnspec("show", "--yaml")[1]))
    Draft202012Validator(sweep).validate(yaml.safe_load((conf_dir() / "experiment/depth.yaml").read_text()))
    assert nnspec("schema", "nosuch")[0] == 2


@pytest.mark.parametrize("flag", ["-h", "--help"])
@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_help_of_every_command(nnspec: Any, command: str, flag: str) -> None:
    status, out, err = nnspec(command, flag)
    assert (status, err) == (0, "")
    assert out.startswith(f"usage: nnspec {command}")


def test_help_of_run_names_flags_members_and_keys(nnspec: Any) -> None:
    out = nnspec("run", "--help")[1]
    for flag in ("--multirun, -m", "--plan", "--timings", "--quiet, -q", "--json", "--cfg, -c"):
        assert re.search(rf"^  {re.escape(flag)}( |$)", out, re.MULTILINE), flag
    sections = {
        "": SCALARS + COMMAND,
        "train.": TRAIN + RUNTIME,
        "solved.": SOLVED,
        "tracking.": TRACKING,
        "require.": REQUIRE,
        "sweep.": SWEEP,
    }
    for prefix, params in sections.items():
        for param in params:
            assert re.search(rf"^  {re.escape(prefix + param.name)}=", out, re.MULTILINE), param.name
    assert all(re.search(rf"\b{name}\b", out) for registry in REGISTRIES.values() for name in registry.names())
    assert all(len(line) <= 120 for line in out.splitlines())


def test_a_module_is_shown_part_by_part(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "--json", "model.norm=layer", "model.dropout=0.1", "model.frozen=[output]"]) == 0
    shown = json.loads(capsys.readouterr().out)["layers"]
    kinds = [(layer["kind"], layer["parameters"]) for layer in shown]
    assert kinds == [("Linear", 12), ("LayerNorm", 8), ("ReLU", 0), ("Dropout", 0), ("Linear", 0), ("sigmoid", 0)]
