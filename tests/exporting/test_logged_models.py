"""The best network of a command as a model of MLflow."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mlflow import MlflowClient

import nnspec
from nnspec.cli import main
from nnspec.exporting.logged import best_cell
from nnspec.exporting.trained import best_network

SWEEP = ["activation=relu,tanh", "init=kaiming_uniform,zeros", "replicates=3", "train.epochs=300"]


def test_the_best_network_is_solved_with_the_lowest_loss() -> None:
    assert best_network(np.array([False, True, True]), np.array([0.1, 0.3, 0.2])) == 2
    assert best_network(np.array([False, False, False]), np.array([np.nan, 0.3, 0.2])) == 2
    assert best_network(np.array([False, False]), np.array([np.nan, np.inf])) == 0


def test_the_best_cell_is_solved_by_most() -> None:
    rows = [([True, False], [0.1, 0.2]), ([True, True], [0.3, 0.4]), ([True, True], [0.3, 0.2]), ([False], [np.nan])]
    outcomes = {n: {"solved": np.array(s), "final_loss": np.array(loss)} for n, (s, loss) in enumerate(rows)}
    assert best_cell(outcomes) == 2
    assert best_cell({3: outcomes[3], 5: {"solved": np.array([False]), "final_loss": np.array([0.7])}}) == 5


def client(folder: Path) -> MlflowClient:
    """MLflow's client of the store in a folder; by a relative address it would take that of an earlier test."""
    return MlflowClient(f"sqlite:///{folder}/mlflow.db")


def logged(folder: Path) -> list[str]:
    """The ids of the models in the store."""
    return [model.model_id for model in client(folder).search_logged_models(["0", "1"])]


@pytest.mark.slow
def test_one_model_of_a_sweep_that_predicts(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    words = ["tracking.model=best", "sweep.report=false", "train.workers=1", "--json"]
    assert main(["run", "-m", *SWEEP, *words]) == 0
    said = json.loads(capfd.readouterr().out)
    (model_id,) = logged(folder)
    assert said["model"] == f"models:/{model_id}"
    model = client(folder).get_logged_model(model_id)
    frame = nnspec.table("last")
    rates = frame.groupby("cell")["solved"].mean()
    run_id = said["cells"][int(rates.idxmax())]["run_id"]
    assert model.source_run_id == run_id
    assert client(folder).get_run(run_id).info.status == "FINISHED"
    assert model.status == "READY"

    artifacts = Path(model.artifact_location)
    assert not [path for path in artifacts.rglob("*") if path.suffix in (".pkl", ".pth", ".pickle")]
    assert f"torch=={torch.__version__.split('+')[0]}" in (artifacts / "requirements.txt").read_text()

    rows = [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0]]
    (folder / "rows.json").write_text(json.dumps({"inputs": rows}))
    command = [sys.executable, "-m", "mlflow", "models", "predict", "-m", f"models:/{model_id}", "-i", "rows.json"]
    done = subprocess.run(
        [*command, "--env-manager", "local", "-o", "out.json"],
        env={"PATH": "/usr/bin:/bin", "HOME": str(folder), "MLFLOW_TRACKING_URI": "sqlite:///mlflow.db"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    predicted = json.loads((folder / "out.json").read_text())["predictions"]
    net = nnspec.load(run_id, replicate=int(model.tags["nnspec.replicate"]))
    np.testing.assert_allclose(predicted, net(torch.tensor(rows)).detach(), rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_a_model_of_a_single_run(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "tracking.model=best", "train.epochs=3", "tracking.writer=client"]) == 0
    assert f"model       models:/{logged(folder)[0]}\n" in capfd.readouterr().out


@pytest.mark.slow
def test_a_store_that_takes_no_model(
    folder: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow.exceptions import MlflowException

    def full(*_: object) -> None:
        raise MlflowException("the disk is full\nsecond line")

    monkeypatch.setattr(MlflowClient, "log_model_artifacts", full)
    assert main(["run", "tracking.model=best", "train.epochs=3"]) == 1
    said = capfd.readouterr().err.strip().splitlines()[-1]
    assert "the model of run " in said
    assert "the disk is full" in said
    assert nnspec.table("last")["seed"].tolist() == [0]
