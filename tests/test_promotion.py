"""Cells that get a run of their own afterwards: trained again, bitwise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import nnspec
from nnspec.cli import main
from nnspec.errors import SpecError, TrackingError, TrainingError
from nnspec.readback import read_cell
from nnspec.tracking import find_run, opened
from nnspec.tracking.packs.store import is_packed
from nnspec.tracking.records import CELL_TAG, PARENT_TAG

SWEEP = [
    "-m",
    "activation=relu,tanh",
    "seed=range(0,4)",
    "replicates=2",
    "train.epochs=50",
    "sweep.report=false",
    "--quiet",
]


@pytest.fixture
def sweep(folder: Path) -> str:
    assert main(["run", *SWEEP, "tracking.cells=none"]) == 0
    with opened(None) as store:
        return find_run(store, "last")


def test_a_promoted_cell_is_the_run_that_it_would_have_been(sweep: str) -> None:
    with opened(None) as store:
        packed = read_cell(store, f"{sweep}/5").result
    runs = nnspec.promote("last", 5, 2)
    with opened(None) as store:
        assert [run.tags[CELL_TAG] for run in store.runs_below(sweep)] == ["5", "2"]
        facts, result = store.get(runs[5]), read_cell(store, runs[5]).result
        assert (facts.status, facts.tags[PARENT_TAG]) == ("FINISHED", sweep)
        assert facts.metrics["solve_rate"] == packed.solved.mean()
        assert find_run(store, "last/5") == runs[5]
        assert len(store.find_children(sweep)) == 8
    for name, tensor in packed.final.items():
        assert tensor.tobytes() == result.final[name].tobytes()
    assert len(nnspec.table("last")) == 16


def test_a_cell_is_promoted_once_and_again_with_more(sweep: str) -> None:
    (first,) = nnspec.promote("last", 3).values()
    assert nnspec.promote("last", 3) == {3: first}
    (second,) = nnspec.promote("last", 3, log_every=1, snapshot_every=10).values()
    assert second != first
    assert nnspec.promote("last", 3, log_every=1, snapshot_every=10) == {3: second}
    with opened(None) as store:
        more = read_cell(store, second).result
        assert more.steps.tolist() == list(range(51))
        assert list(more.snapshots) == [0, 10, 20, 30, 40, 50]
        assert find_run(store, "last/3") == first
        assert len(store.find_children(sweep)) == 8
    assert main(["run", *SWEEP, "tracking.cells=none", "resume=last"]) == 0
    assert len(nnspec.table("last")) == 16
    assert main(["delete", "last", "--yes"]) == 0
    with opened(None) as store:
        assert store.get(first).deleted
        assert store.get(second).deleted


def test_other_weights_are_refused_and_nothing_is_filed(sweep: str) -> None:
    """As those of another machine, or of another version."""
    from safetensors.numpy import load_file, save_file

    (file,) = Path().glob("mlartifacts/*/*/artifacts/cells/0/weights.safetensors")
    weights = load_file(file)
    weights["final/0.bias"][7] = np.nextafter(weights["final/0.bias"][7], 9)
    save_file(weights, file)
    with pytest.raises(TrainingError, match=r"cell 3 must come out as it did, but 0\.bias differ; nothing is filed"):
        nnspec.promote("last", 2, 3)
    with opened(None) as store:
        assert store.runs_below(sweep) == []
    assert is_packed(f"{sweep}/3")


def test_what_cannot_be_promoted(sweep: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(TrackingError, match="must be one that is filed, but got 8"):
        nnspec.promote("last", 8)
    with pytest.raises(SpecError, match=r"train\.epochs must be one of train\.log_every, train\.snapshot_every"):
        nnspec.promote("last", 1, epochs=3)
    with pytest.raises(SpecError, match=r"train\.log_every"):
        nnspec.promote("last", 1, log_every="often")
    for words, message in {
        "last": "CELL",
        "last x": "CELL must be a whole number from 0",
        "last train.log_every=1": "nnspec promote must be given a cell",
    }.items():
        assert main(["promote", *words.split()]) == 2
        assert message in capsys.readouterr().err


def test_the_command_prints_where_the_run_is_and_files_its_report(
    sweep: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["promote", "last", "6", "train.snapshot_every=25", "--report"]) == 0
    line = capsys.readouterr().out
    with opened(None) as store:
        (run,) = store.runs_below(sweep)
        assert line.startswith(f"cell 6  {run.name}  http")
        assert run.run_id in line
        assert store.artifact(run.run_id, "report/report.html").startswith(b"<!doctype html>")
