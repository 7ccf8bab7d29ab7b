"""Whole searches: trials as cells of one run, gone on with, the same as in one go, and the best one alone again."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import nnspec
from nnspec.cli.main import main
from nnspec.compose import load_spec
from nnspec.specs import RunSpec

STORE = "sqlite:///mlflow.db"
SPACE = ["optimizer.lr=tag(log, interval(0.001,10))", "activation=choice(relu,tanh,gelu)", "init.gain=interval(0.2,3)"]
SHORT = ["replicates=20", "train.epochs=40", "train.log_every=20", "train.workers=1", "sweep.batch=4"]


def search(*words: str) -> int:
    return main(["run", "-m", "hydra/sweeper=nnspec_search", *SPACE, *SHORT, *words])


def runs(folder: Path) -> tuple[list[Any], list[Any]]:
    """The runs without a parent and those with one, through MLflow's public client."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{folder}/mlflow.db")
    found = client.search_runs([e.experiment_id for e in client.search_experiments()], max_results=500)
    own = [run for run in found if "mlflow.parentRunId" not in run.data.tags]
    return own, [run for run in found if run not in own]


def table(folder: Path) -> pd.DataFrame:
    (parent,), _ = runs(folder)
    return nnspec.table(parent.info.run_id, uri=f"sqlite:///{folder}/mlflow.db")


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a search of 8 trials that went on to 16, and what it printed."""
    folder = tmp_path_factory.mktemp("searched")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        assert search("sweep.trials=8") == 0
        assert search("sweep.trials=16", "resume=last") == 0
    return folder


def test_a_search_that_goes_on_is_one_run_with_all_trials(searched: Path) -> None:
    (parent,), children = runs(searched)
    assert [run.info.status for run in [parent, *children]] == ["FINISHED"] * 17
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {parent.info.run_id}
    assert sorted(int(run.data.tags["nnspec.trial"]) for run in children) == list(range(16))
    rates = table(searched).groupby("cell").solved.mean()
    assert rates.index.tolist() == list(range(16))
    assert parent.data.metrics["trials"] == parent.data.metrics["cells_done"] == 16
    assert parent.data.metrics["best/solve_rate"] == rates.max()
    assert parent.data.tags["nnspec.search"] == "tpe"
    assert parent.data.params["axis.optimizer.lr"] == "0.001 to 10.0 (log)"
    note = parent.data.tags["mlflow.note.content"]
    assert "16 trials by tpe: best solve" in note
    artifacts = Path(parent.info.artifact_uri)
    assert (artifacts / "report/search.png").stat().st_size > 5000
    assert (artifacts / "report/report.html").exists()


def test_it_is_the_same_as_in_one_go(searched: Path, folder: Path) -> None:
    assert search("sweep.trials=16", "sweep.report=false") == 0
    pd.testing.assert_frame_equal(table(folder), table(searched))


def test_the_best_spec_alone_gives_what_the_study_recorded(
    searched: Path,
    folder: Path,
    capfd: pytest.CaptureFixture[str],
    trained_cells: Callable[[Sequence[RunSpec]], list],
) -> None:
    import optuna
    from optuna.storages.journal import JournalFileBackend

    (parent,), _ = runs(searched)
    journal = Path(parent.info.artifact_uri, "search/study.journal")
    storage = optuna.storages.JournalStorage(JournalFileBackend(str(journal)))
    study = optuna.load_study(study_name=None, storage=storage)
    best = int(parent.data.tags["nnspec.best_cell"])
    (trial,) = [trial for trial in study.trials if trial.user_attrs.get("cell") == best]
    assert trial.value == study.best_value == parent.data.metrics["best/solve_rate"]
    capfd.readouterr()
    spec = Path(parent.info.artifact_uri, "search/best.yaml")
    assert main(["run", f"spec={spec}", "tracking=off", "--json"]) == 0
    alone = json.loads(capfd.readouterr().out)["cells"][0]
    assert alone["solve_rate"] == trial.value
    rows = table(searched)
    (cell,) = trained_cells([load_spec(spec)])
    assert np.array_equal(cell.result.final_loss, rows[rows.cell == best].final_loss)


def test_what_chose_the_best_is_said_and_the_command_beside_it_has_other_seeds(
    searched: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """In the terminal, the description and the report; with fewer networks of some trials as well."""
    says = "the best looks better than it is, for these seeds chose it; train it on others"
    (parent,), _ = runs(searched)
    artifacts = Path(parent.info.artifact_uri)
    best = load_spec(artifacts / "search/best.yaml")
    words = shlex.split(parent.data.tags["mlflow.note.content"].split("```")[1])
    assert nnspec.spec([word for word in words if "=" in word]) == replace(best, seed=20)
    assert says in parent.data.tags["mlflow.note.content"]
    assert says.capitalize() in (artifacts / "report/report.html").read_text()
    monkeypatch.chdir(searched)
    capfd.readouterr()
    assert search("sweep.trials=16", "resume=last") == 0
    _, _, below = capfd.readouterr().out.partition(f"{says}:\n")
    assert shlex.split(below.splitlines()[0]) == words
    assert search("replicates=4,20", "sweep.trials=12", "tracking=off", "--json") == 0
    document = json.loads(capfd.readouterr().out)
    sizes = {cell["networks"] for cell in document["cells"]}
    assert sizes == {4, 20}
    assert "seed=20" in shlex.split(document["search"]["best_command"])


@pytest.mark.parametrize(
    ("words", "status", "line"),
    [
        (["sweep.trials=8"], 2, "sweep.trials must be at least the 16 trials that the search has already"),
        (["sweep.trials=20", "sweep.objectives=[final_loss]"], 2, "sweep.objectives must be [solve_rate], for which"),
        (["sweep.trials=20", "activation=relu,tanh"], 1, "resume must be a search of the same space"),
        (["sweep.trials=20", "replicates=21"], 1, "resume must be a search of the same space"),
    ],
)
def test_another_search_cannot_be_gone_on_with(
    searched: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    words: list[str],
    status: int,
    line: str,
) -> None:
    monkeypatch.chdir(searched)
    before = sorted((run.info.run_id, run.info.status) for part in runs(searched) for run in part)
    capfd.readouterr()
    said = [word.split("=")[0] for word in words]
    kept = [word for word in [*SPACE, *SHORT] if word.split("=")[0] not in said]
    assert main(["run", "-m", "hydra/sweeper=nnspec_search", *kept, *words, "resume=last"]) == status
    (told,) = capfd.readouterr().err.splitlines()
    assert told.startswith(f"nnspec: {line}")
    assert before == sorted((run.info.run_id, run.info.status) for part in runs(searched) for run in part)


def test_a_sweep_is_no_search_to_go_on_with(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    quick = ["train.epochs=5", "train.workers=1", "sweep.report=false"]
    assert main(["run", "-m", "activation=relu,tanh", *quick]) == 0
    (sweep,), _ = runs(folder)
    capfd.readouterr()
    assert search("sweep.trials=4", f"resume={sweep.info.run_id}") == 1
    (told,) = capfd.readouterr().err.splitlines()
    assert told.startswith("nnspec: resume must be 'last' or the id of a search")
    assert search("sweep.trials=4", "resume=last", "sweep.report=false") == 0
    assert "no search of this space to resume yet" in capfd.readouterr().err


def test_a_search_is_no_sweep_to_go_on_with(
    searched: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(searched)
    (parent,), _ = runs(searched)
    before = table(searched)
    capfd.readouterr()
    said = ["-m", "activation=relu,tanh", "train.epochs=5", "sweep.report=false", f"resume={parent.info.run_id}"]
    assert main(["run", *said]) == 1
    (told,) = capfd.readouterr().err.splitlines()
    assert told.startswith("nnspec: resume must be 'last' or the id of a sweep")
    pd.testing.assert_frame_equal(table(searched), before)


def test_a_conditional_search_is_filed_and_gone_on_with(folder: Path) -> None:
    where = (
        "sweep.where=[{optimizer: sgd, optimizer.lr: 'tag(log,interval(0.01,10))', "
        "optimizer.momentum: 'interval(0,0.9)'}, {optimizer: adam, optimizer.lr: 'interval(0.001,1)'}]"
    )
    said = ["-m", "hydra/sweeper=nnspec_search", where, *SHORT, "sweep.report=false"]
    assert main(["run", *said, "sweep.trials=4"]) == 0
    assert main(["run", *said, "sweep.trials=12", "resume=last"]) == 0
    (parent,), children = runs(folder)
    momenta = [run.data.params.get("optimizer.momentum") for run in children]
    names = [run.data.params["optimizer.name"] for run in children]
    assert [name == "sgd" for name in names] == [momentum is not None for momentum in momenta]
    assert set(names) == {"sgd", "adam"}
    assert parent.data.params["axis.optimizer.lr"].startswith("0.01 to 10.0 (log) where optimizer=sgd; 0.001 to 1.0")


@pytest.mark.parametrize(
    "pruner",
    [
        "median",
        "wilcoxon",
        pytest.param("halving", marks=pytest.mark.slow),
        pytest.param("hyperband", marks=pytest.mark.slow),
    ],
)
def test_a_pruned_trial_has_a_part_of_the_networks(
    pruner: str, folder: Path, capfd: pytest.CaptureFixture[str], trained_cells: Callable[[Sequence[RunSpec]], list]
) -> None:
    words = ["sweep.trials=20", f"sweep.pruner={pruner}", "tracking=off", "replicates=32", "--json"]
    assert search(*words) == 0
    document = json.loads(capfd.readouterr().out)
    sizes = [cell["networks"] for cell in document["cells"]]
    assert set(sizes) <= {4, 8, 16, 32}
    assert sum(size < 32 for size in sizes) == document["search"]["trials_pruned"] > 0
    best = document["cells"][document["search"]["best_cell"]]
    assert best["networks"] == 32
    # a cell's networks are the first of those that it would have whole
    fewest = document["cells"][sizes.index(min(sizes))]
    words = [f"{key}={value}" for key, value in fewest["choices"].items()]
    spec = nnspec.spec([*words, *SHORT[1:3], f"replicates={min(sizes)}"])
    (whole,) = trained_cells([spec])
    assert fewest["solved"] == int(whole.result.solved.sum())


def test_a_finite_space_is_searched_without_repeats(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    axes = ["activation=relu,tanh,gelu", "model.width=range(2,6)", "sweep.trials=12", "tracking=off", "--json"]
    assert main(["run", "-m", "hydra/sweeper=nnspec_search", *axes, *SHORT]) == 0
    cells = json.loads(capfd.readouterr().out)["cells"]
    assert len({cell["fingerprint"] for cell in cells}) == 12


def test_without_optuna_one_line_says_what_to_install(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "optuna"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert search("sweep.trials=4", "tracking=off") == 1
    (told,) = capfd.readouterr().err.splitlines()
    assert told.endswith("pip install 'nnspec[search]'")
    assert main(["run", "-m", "seed=1,2", "tracking=off", "train.epochs=2", "train.workers=1"]) == 0  # needs none
