"""Exported scripts train the same networks: all of them run in one process that cannot import nnspec, and what they end
with is compared with what the trainer did."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from nnspec.architecture import Architecture, Pointwise
from nnspec.catalog import ACTIVATIONS, INITS, LOSSES, OPTIMIZERS, SCHEDULES
from nnspec.catalog.in_torch import INIT_LINES, LOSS_SCRIPTS, RATES
from nnspec.exporting.script import script
from nnspec.exporting.trained import ExportError, Trained
from nnspec.specs import Member, RunSpec

SpecOf = Callable[..., RunSpec]
NEAR = 1e-9
EPOCHS = 40
# Weights and biases are normal, so that no pre-activation lies on a kink.
BASE: dict[str, Any] = {
    "model": {"name": "mlp", "hidden": [5, 3]},
    "activation": "tanh",
    "init": {"name": "normal", "bias": "same"},
    "optimizer": {"name": "adam", "lr": 0.02},
    "train": {"epochs": EPOCHS},
    "dtype": "float64",
    "seed": 3,
}
SOLVED: dict[str, Any] = {"epochs": 500, "stop": "solved"}
RULE: dict[str, Any] = {
    "model": "perceptron",
    "activation": "heaviside",
    "optimizer": "perceptron_rule",
    "loss": "mse",
    "data": "and",
}
WIDE = {"name": "parity", "bits": 5, "test_fraction": 0.3}  # too many numbers for the script


def cases() -> dict[str, dict[str, Any]]:
    """Fields of specs by a name of what they try."""
    found: dict[str, dict[str, Any]] = {
        f"activation-{entry.name}": {"activation": entry.name} for entry in ACTIVATIONS if entry.trainable
    }
    for entry in INITS:
        if entry.stored:
            continue
        found[f"init-{entry.name}"] = {"init": entry.name, "activation": "gelu"}
        if any(param.name == "gain" for param in entry.params):  # torch knows relu's, and not gelu's
            found[f"init-{entry.name}-relu"] = {"init": entry.name, "activation": "relu"}
        if entry.biases:
            found[f"bias-{entry.name}"] = {"init": {"name": "normal", "bias": entry.name}, "activation": "gelu"}
    losses, kinds = LOSSES.names(), [entry.name for entry in OPTIMIZERS if not entry.by_rows]
    for number, kind in enumerate(kinds):  # two losses each, so that every loss meets some of them
        for loss in (losses[2 * number % len(losses)], losses[(2 * number + 1) % len(losses)]):
            found[f"{kind}-{loss}"] = {"optimizer": kind, "loss": loss}
    for name in SCHEDULES.names():
        some = {"step_size": 9} if name == "step" else {}
        found[f"schedule-{name}"] = {"schedule": {"name": name, "warmup": 7, **some}}
    floor = {"floor": 0.2, "updates": 30}
    return found | {
        "cosine-floor": {"schedule": {"name": "cosine", **floor}},
        "linear-floor": {"schedule": {"name": "linear", **floor}},
        "nesterov": {"optimizer": {"name": "sgd", "momentum": 0.9, "nesterov": True, "weight_decay": 0.01}},
        "clip": {"train": {"epochs": EPOCHS, "clip_norm": 0.05}},
        "batches": {"train": {"epochs": EPOCHS, "batch_size": 3}},
        "data-beside": {"data": WIDE, "train": {"epochs": 8, "batch_size": 7}},
        "own-split": {"data": WIDE | {"split": "per_network"}, "train": {"epochs": 8}},
        "stop-solved": {"train": SOLVED},
        "stop-solved-batches": {"train": SOLVED | {"batch_size": 2}, "solved": {"at_least": 0.75}},
        "stop-solved-test": {
            "train": SOLVED,
            "data": WIDE,
            "solved": {"measure": "test_accuracy", "at_least": 0.5},
        },
        "stop-plateau": {
            "train": {"epochs": 3000, "stop": "plateau", "patience": 20},
            "optimizer": {"name": "sgd", "lr": 5.0},
        },
        "by-rows": RULE | {"train": SOLVED},
        "diverges": {
            "model": {"name": "mlp", "hidden": [3], "output": "identity"},
            "activation": "identity",
            "optimizer": {"name": "sgd", "lr": 1e30},
            "loss": "mse",
            "dtype": "float32",
        },
        "prelu": {"activation": {"name": "prelu", "init": -0.4}},
        "gelu-tanh": {"activation": {"name": "gelu", "approximate": "tanh"}},
        "sine-output": {"model": {"name": "mlp", "hidden": [3], "output": "sine"}, "loss": "hinge"},
        "float32": {"dtype": "float32", "train": {"epochs": 3}},
    }


CASES = cases()
RUNNER = """
import sys
sys.modules["nnspec"] = None
import contextlib, io, pathlib
import torch
from safetensors.torch import save_file

for path in sorted(pathlib.Path(sys.argv[1]).glob("*.py")):
    torch.set_default_dtype(torch.float32)
    names = {"__name__": "__main__", "__file__": str(path)}
    with contextlib.redirect_stdout(io.StringIO()) as said:
        exec(compile(path.read_text(), path.name, "exec"), names)
    path.with_suffix(".txt").write_text(said.getvalue())
    ended = [names["loss"], names["accuracy"], float(names["solved"]())]
    weights = {name: tensor.contiguous() for name, tensor in names["net"].state_dict().items()}
    save_file(weights | {"ended": torch.tensor(ended, dtype=torch.float64)}, path.with_suffix(".ended"))
"""


@dataclass(frozen=True)
class Ended:
    """What the trainer made of the cases, and where what their scripts made is."""

    trained: dict[str, Trained]
    folder: Path


@pytest.fixture(scope="module")
def ended(
    spec_of: SpecOf,
    trained_networks: Callable[[Sequence[RunSpec]], list[Trained]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Ended:
    folder = tmp_path_factory.mktemp("scripts")
    networks = trained_networks([spec_of(**BASE | fields) for fields in CASES.values()])
    for name, network in zip(CASES, networks, strict=True):
        made = script(network, f"{name}_data.safetensors")
        (folder / f"{name}.py").write_text(made.text)
        if made.tensors:
            save_file(dict(made.tensors), folder / f"{name}_data.safetensors")
    done = subprocess.run([sys.executable, "-W", "error", "-c", RUNNER, str(folder)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return Ended(dict(zip(CASES, networks, strict=True)), folder)


@pytest.mark.parametrize("name", CASES)
def test_a_script_ends_as_the_trainer_does(name: str, ended: Ended) -> None:
    network = ended.trained[name]
    near = NEAR if network.spec.dtype == "float64" else 1e-6
    weights = load_file(ended.folder / f"{name}.ended")
    loss, accuracy, solved = weights.pop("ended")
    assert weights.keys() == network.final.keys()
    for tensor, expected in network.final.items():
        np.testing.assert_allclose(weights[tensor], expected, rtol=near, atol=near)
    np.testing.assert_allclose([loss, accuracy], [network.loss, network.accuracy], rtol=near, atol=near)
    assert bool(solved) == network.solved


def test_nearly_all_of_them_train(ended: Ended) -> None:
    still = {
        name
        for name, network in ended.trained.items()
        if max(np.abs(network.final[tensor] - start).max() for tensor, start in network.initial.items()) < 1e-3
    }
    assert still <= {"init-zeros", "diverges", "stop-solved-test"}


def test_what_a_script_says(ended: Ended) -> None:
    network, said = ended.trained["batches"], (ended.folder / "batches.txt").read_text()
    assert said == f"final loss {network.loss:.10g}, accuracy {network.accuracy:.4g}, " + (
        "solved\n" if network.solved else "not solved\n"
    )
    assert "accuracy on the test part" in (ended.folder / "data-beside.txt").read_text()


def test_every_entry_can_be_said() -> None:
    assert LOSS_SCRIPTS.keys() == set(LOSSES.names())
    assert INIT_LINES.keys() == {entry.name for entry in INITS if not entry.stored}
    assert RATES.keys() == set(SCHEDULES.names())


def test_a_module_whose_layers_nobody_knows_is_refused(ended: Ended, monkeypatch: pytest.MonkeyPatch) -> None:
    opaque = Architecture(2, 1, (), (Pointwise("output", Member("sigmoid")),))
    monkeypatch.setattr("nnspec.exporting.script.network.architecture", lambda spec: opaque)
    with pytest.raises(ExportError, match=r"must be given a network of linear layers, .* try --format pt2, onnx or"):
        script(ended.trained["batches"])


def test_a_loss_that_torch_does_not_say_is_refused(ended: Ended, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(LOSS_SCRIPTS, "bce")
    with pytest.raises(ExportError, match=r"must be given a loss of nnspec's own, but got loss=bce; try --format pt2"):
        script(ended.trained["batches"])


def test_weights_of_a_scheme_that_torch_does_not_say_go_beside(ended: Ended, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(INIT_LINES, "normal")
    made = script(ended.trained["batches"], "net_data.safetensors")
    assert made.tensors.keys() == {f"start.{name}" for name in ended.trained["batches"].initial}
    np.testing.assert_array_equal(made.tensors["start.0.weight"], ended.trained["batches"].initial["0.weight"])


def test_data_that_are_many_need_a_file(ended: Ended) -> None:
    with pytest.raises(ExportError, match=r"--format script must be written to a file, .* add --out net\.py"):
        script(ended.trained["data-beside"])
    assert not script(ended.trained["batches"]).tensors


def test_weights_of_a_file_go_beside_the_script(
    spec_of: SpecOf, trained_networks: Callable[[Sequence[RunSpec]], list[Trained]], ended: Ended, tmp_path: Path
) -> None:
    first = ended.trained["nesterov"]
    save_file(dict(first.initial), tmp_path / "start.safetensors")
    init = {"name": "from_file", "path": str(tmp_path / "start.safetensors")}
    (network,) = trained_networks([spec_of(**BASE | CASES["nesterov"] | {"init": init})])
    made = script(network, "net_data.safetensors")
    save_file(dict(made.tensors), tmp_path / "net_data.safetensors")
    names: dict[str, Any] = {"__file__": str(tmp_path / "net.py")}
    try:
        exec(compile(made.text, "net.py", "exec"), names)
    finally:
        torch.set_default_dtype(torch.float32)
    assert names["loss"] == pytest.approx(first.loss, rel=NEAR)
    assert str(tmp_path) not in made.text
