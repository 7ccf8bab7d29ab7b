"""What ``resume`` names must be of the command's own kind: every other pair is refused in one line, and no run made."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest

from nnspec.cli.main import main
from nnspec.settings import Tracking
from nnspec.tracking import RunQuery, open_store
from nnspec.tracking.records import PARENT_TAG

SHORT = ["train.epochs=5", "train.log_every=1", "train.workers=1", "sweep.report=false"]
MAP = "sweep.map=[[optimizer.lr,0.1,10,log,17],[init.gain,0.1,10,log,17]]"
STUDY = """# @package _global_
study:
  question: Does training converge?
  source: a test
  claims: [{says: Mostly, measure: converged_share, above: 0.5}]
replicates: 2
sweep: {zooms: 1}
"""
COMMANDS = {
    "run": [*SHORT[:3]],
    "sweep": ["-m", *SHORT, "activation=relu,tanh"],
    "race": ["-m", *SHORT, "activation=relu,tanh", "sweep.race=true", "sweep.budget=100"],
    "search": ["-m", *SHORT, "activation=relu,tanh,gelu", "hydra/sweeper=nnspec_search", "sweep.trials=2"],
    "map": [*SHORT[:3], MAP],
    "map study": [*SHORT[:3], MAP, "experiment=edge"],
}
CAN_RESUME = ("sweep", "race", "search")
PAIRS = [(command, other) for command, other in product(COMMANDS, COMMANDS) if command != other]


@pytest.fixture(scope="module")
def filed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The id of a run of each kind, all in one store in the working folder."""
    folder = tmp_path_factory.mktemp("kinds")
    ids: dict[str, str] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        Path("experiments").mkdir()
        Path("experiments/edge.yaml").write_text(STUDY)
        for kind, words in COMMANDS.items():
            assert main(["run", *words, "tracking.uri=sqlite:///mlflow.db"]) == 0
            (ids[kind],) = set(runs_above(folder)) - set(ids.values())
        return ids | {"folder": str(folder)}


def runs_above(folder: Path | str) -> list[str]:
    store = open_store(Tracking(uri=f"sqlite:///{folder}/mlflow.db"))
    return [run.run_id for run in store.search(RunQuery(without_tags=(PARENT_TAG,)))]


@pytest.mark.parametrize(("command", "other"), PAIRS, ids=[" resumes ".join(pair) for pair in PAIRS])
def test_a_run_of_another_kind_is_not_gone_on_with(
    filed: dict[str, str],
    command: str,
    other: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(filed["folder"])
    before = runs_above(filed["folder"])
    words = [*COMMANDS[command], f"resume={filed[other]}", "tracking.uri=sqlite:///mlflow.db"]
    status = main(["run", *words])
    (said,) = capfd.readouterr().err.splitlines()
    assert status == (1 if command in CAN_RESUME else 2)
    assert said.startswith("nnspec: resume must be " if command in CAN_RESUME else "nnspec: resume=")
    assert runs_above(filed["folder"]) == before
