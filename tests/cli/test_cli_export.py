"""``nnspec export``: a filed run as a file that trains it again."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import yaml
from safetensors import safe_open
from safetensors.numpy import load_file

import nnspec
from nnspec.cli import main
from nnspec.compose import load_spec
from nnspec.settings import Tracking
from nnspec.tracking import RunQuery, open_store
from nnspec.tracking.records import AXES_TAG, CELL_TAG, SWEEP_TAG

SHORT = ["train.epochs=2", "train.workers=1"]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with a store of its own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def exported(capfd: pytest.CaptureFixture[str], *words: str) -> str:
    capfd.readouterr()
    assert main(["export", *words]) == 0
    return capfd.readouterr().out


def digests() -> list[str]:
    """The digests of the sweeps in the store: each names a set of cells."""
    found = open_store(Tracking()).search(RunQuery(with_tags=(SWEEP_TAG,)))
    return [open_store(Tracking()).get(run.run_id).tags[SWEEP_TAG] for run in found]


def test_a_sweep_goes_to_a_file_and_trains_again(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    axes = ["activation=relu,tanh", "init=zeros,orthogonal", "sweep.exclude=[{activation: relu, init: zeros}]"]
    assert main(["run", "-m", *axes, "replicates=3", "optimizer.lr=0.03", "sweep.report=false", *SHORT]) == 0
    (folder / "mine.yaml").write_text(exported(capfd, "last", "--format", "experiment"))
    assert main(["run", "experiment=mine.yaml", "sweep.report=false", "train.workers=1"]) == 0
    first, second = digests()
    assert first == second


def test_values_keep_the_order_in_which_they_were_typed(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    axes = {"activation": "tanh,relu,gelu,sigmoid", "optimizer.lr": "0.3,0.01,0.1", "seed": "7,2"}
    words = [f"{key}={values}" for key, values in axes.items()]
    assert main(["run", "-m", *words, "replicates=2", "sweep.report=false", *SHORT]) == 0
    params = yaml.safe_load(exported(capfd, "last", "--format", "experiment"))["hydra"]["sweeper"]["params"]
    assert params == axes
    assert list(params) == list(axes)


def test_a_cell_that_has_not_ended_is_left_out_of_the_file_and_cannot_be_read(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """As the command that trained it leaves it when it is killed."""
    assert main(["run", "-m", "activation=relu,tanh,gelu", *SHORT, "sweep.report=false"]) == 0
    store = open_store(Tracking())
    cell = next(run for run in store.search(RunQuery(with_tags=(CELL_TAG,))) if run.cell == 1)
    store.set_status([cell.run_id], "RUNNING")
    for path in (folder / "mlartifacts").rglob(f"{cell.run_id}/artifacts/*"):
        if path.is_file():
            path.unlink()
    capfd.readouterr()
    assert main(["export", "last", "--format", "experiment"]) == 0
    captured = capfd.readouterr()
    assert yaml.safe_load(captured.out)["hydra"]["sweeper"]["params"] == {"activation": "relu,gelu"}
    assert re.fullmatch(r"nnspec: the sweep \S+ has 3 cells, of which 2 are filed below it\n", captured.err)
    for words in (["export", "last/1", "--format", "spec"], ["explain", "last/1"], ["promote", "last", "1"]):
        assert main(words) == 1
        (line,) = capfd.readouterr().err.splitlines()
        assert line.startswith(f"nnspec: the run {cell.run_id} must have ended to be read, but got RUNNING")


def test_a_single_run_and_a_cell_go_to_a_spec(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "activation=gelu", *SHORT]) == 0
    (folder / "s.yaml").write_text(exported(capfd, "last", "--format", "spec"))
    assert load_spec(folder / "s.yaml").activation.name == "gelu"
    assert load_spec(folder / "s.yaml").train.epochs == 2


@pytest.mark.parametrize(
    ("words", "kind", "said"),
    [
        (["-m", "seed=0,1", "sweep.report=false"], "script", "--format script must be given a single run or a cell, "),
        (["activation=gelu"], "experiment", "--format experiment must be given a sweep, .*; try --format spec"),
        (["-m", "seed=0,1", "sweep.report=false"], "spec", "--format spec must be given a single run or a cell, "),
    ],
)
def test_the_wrong_format_names_the_right_one(
    words: list[str], kind: str, said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", *words, *SHORT]) == 0
    capfd.readouterr()
    assert main(["export", "last", "--format", kind]) == 2
    assert re.search(said, capfd.readouterr().err)


def test_a_format_must_be_said_and_known(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "last"]) == 2
    assert main(["export", "last", "--format", "word"]) == 2
    assert "choose from 'experiment', 'spec', 'script', 'pt2', 'onnx', 'safetensors'" in capfd.readouterr().err


def test_axes_that_cannot_be_read_are_refused(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "-m", "seed=0,1", "sweep.report=false", *SHORT]) == 0
    store = open_store(Tracking())
    (sweep,) = store.search(RunQuery(with_tags=(SWEEP_TAG,)))
    store.set_tags(sweep.run_id, {AXES_TAG: "{"})
    capfd.readouterr()
    assert main(["export", "last", "--format", "experiment"]) == 1
    assert f"the tag nnspec.axes of run {sweep.run_id} must be a list of texts in JSON" in capfd.readouterr().err


def test_a_file_takes_what_would_be_printed(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["run", *SHORT]) == 0
    for kind in ("spec", "script"):
        printed = exported(capfd, "last", "--format", kind)
        assert exported(capfd, "last", "--format", kind, "--out", "a/file") == ""
        assert (folder / "a" / "file").read_text() == printed


def test_a_network_of_several(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "replicates=4", "seed=2", "train.epochs=60", "train.workers=1"]) == 0
    frame = nnspec.table("last")
    best = frame.sort_values(["solved", "final_loss"], ascending=[False, True]).index[0]
    assert "SEED = 4\n" in exported(capfd, "last", "--format", "script", "--replicate", "2")
    capfd.readouterr()
    assert main(["export", "last", "--format", "safetensors", "--out", "net.safetensors"]) == 0
    assert f"network {best} of 4, from 0 (seed {best + 2}), which has the lowest final loss" in capfd.readouterr().err
    weights = load_file(folder / "net.safetensors")
    for name, tensor in nnspec.load("last", replicate=int(best)).state_dict().items():
        np.testing.assert_array_equal(weights[name], tensor.numpy())
    with safe_open(folder / "net.safetensors", "numpy") as file:
        assert '"name": "xor"' in file.metadata()["nnspec.spec"]
        assert file.metadata()["nnspec.seed"] == str(best + 2)


def test_from_python(folder: Path) -> None:
    assert main(["run", *SHORT]) == 0
    assert nnspec.export("last", "pt2", out=folder / "net.pt2") == folder / "net.pt2"
    assert (folder / "net.pt2").stat().st_size
    assert "nn.Sequential(" in str(nnspec.export("last", "script"))
    with pytest.raises(nnspec.NnspecError, match=r"format must be one of .*, but got 'word'"):
        nnspec.export("last", "word")


def test_data_lie_beside_the_script(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "data=iris", "loss=cross_entropy", *SHORT]) == 0
    capfd.readouterr()
    assert main(["export", "last", "--format", "script", "--out", "net.py"]) == 0
    assert "its data are in net_data.safetensors" in capfd.readouterr().err
    assert load_file(folder / "net_data.safetensors")["x"].shape == (150, 4)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--format", "pt2"], "--format pt2 must be written to a file, .* as --out net.pt2"),
        (["--format", "spec", "--replicate", "0"], "--replicate must be left out of a format that holds no single"),
        (["--format", "script", "--replicate", "1"], "replicate must be one of the run's 1, from 0, but got 1"),
        (["--format", "script", "--out", "."], "--out must be a file that can be written, but got '.'"),
    ],
)
def test_what_does_not_go_together(words: list[str], said: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["run", *SHORT]) == 0
    capfd.readouterr()
    assert main(["export", "last", *words]) != 0
    assert re.search(said, capfd.readouterr().err)
