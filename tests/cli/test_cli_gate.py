"""Runs as a gate and for programs: requirements, silence, and one document of JSON; on real stores."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from nnspec.settings import Tracking
from nnspec.tracking import open_store

SHORT = ("train.epochs=40", "train.workers=1")
# zeros never solve, the other cell nearly always
SWEEP = ("run", "-m", "init=zeros,orthogonal", "activation=tanh", "train.epochs=300", *SHORT[1:], "sweep.report=false")
HERE = Tracking(uri="sqlite:///mlflow.db")
RUN_PY = Path(__file__).resolve().parents[2] / "run.py"
pytestmark = pytest.mark.usefixtures("folder")
PLACE = {"run_id", "name", "experiment", "look_at"}
RUN_KEYS = {"kind", "exit_status", "interrupted", "all_filed", *PLACE, "model", "axes"}
RUN_KEYS |= {"requirements_hold", "race", "study", "cells", "cells_missing"}
CELL_KEYS = {"cell", "run_id", "choices", "fingerprint", "spec", "failure", "requirements"}
NETWORK_KEYS = {"networks", "seeds", "solved", "solve_rate", "solve_rate_low", "solve_rate_high", "interval"}
NETWORK_KEYS |= {"solved_at_median", "final_loss", "final_accuracy", "verdicts"}


def tags(run_id: str) -> dict[str, str]:
    return dict(open_store(HERE).get(run_id).tags)


def run_json(nnspec: Any, *words: str, status: int = 0) -> dict[str, Any]:
    found, out, _ = nnspec(*words, "--json")
    assert found == status
    document = json.loads(out)
    assert isinstance(document, dict)
    return document


def test_a_requirement_that_does_not_hold_fails_a_run_that_is_filed(nnspec: Any) -> None:
    info = run_json(nnspec, "run", "init=zeros", *SHORT, "require.solve_rate=0.1", "require.final_loss=9", status=1)
    assert tags(info["run_id"])["nnspec.require"] == "not held: solve_rate"
    assert open_store(HERE).get(info["run_id"]).status == "FINISHED"
    assert info["requirements_hold"] is False
    assert [(each["name"], each["holds"]) for each in info["cells"][0]["requirements"]] == [
        ("solve_rate", False),
        ("final_loss", True),
    ]


def test_it_is_told_in_a_line_on_stderr(nnspec: Any) -> None:
    status, out, err = nnspec("run", "init=zeros", *SHORT, "tracking=off", "require.solve_rate=0.5")
    assert (status, err.splitlines()[1:]) == (1, ["nnspec: require.solve_rate 0.5, but got 0 [0.000, 0.793]"])
    assert "final loss" in out
    status, _, err = nnspec("run", "init=zeros", *SHORT, "tracking=off", "require.final_loss=9")
    assert (status, len(err.splitlines())) == (0, 1)  # the plan


def test_each_cell_of_a_sweep_is_judged(nnspec: Any) -> None:
    status, out, err = nnspec(*SWEEP, "replicates=8", "require.solve_rate=0.5", "--quiet")
    assert (status, out) == (1, "")
    assert err == "nnspec: cell 0 (init=zeros): require.solve_rate 0.5, but got 0 [0.000, 0.324]\n"


def test_cells_that_were_filed_earlier_are_judged_too(nnspec: Any) -> None:
    first = run_json(nnspec, *SWEEP, "replicates=8")
    assert first["requirements_hold"] is None
    assert "nnspec.require" not in tags(first["run_id"])
    again = run_json(nnspec, *SWEEP, "replicates=8", "resume=last", "require.solve_rate=0.5", status=1)
    assert again["run_id"] == first["run_id"]
    assert [[check["holds"] for check in cell["requirements"]] for cell in again["cells"]] == [[False], [True]]
    assert tags(again["run_id"])["nnspec.require"] == "not held in 1 of 2 cells: solve_rate"


def test_a_shard_is_judged_by_its_own_cells(nnspec: Any) -> None:
    words = (*SWEEP, "replicates=8", "tracking=off", "require.solve_rate=0.5")
    assert nnspec(*words, "shard=0/2")[0] == 1
    assert nnspec(*words, "shard=1/2")[0] == 0


def test_accuracy_on_a_test_part_needs_one_before_anything_trains(nnspec: Any, folder: Path) -> None:
    status, out, err = nnspec("run", *SHORT, "require.test_accuracy=0.9")
    assert (status, out) == (2, "")
    assert err == (
        "nnspec: require.test_accuracy=0.9 has no effect on a cell without a test part; add data.test_fraction=0.3, or "
        "leave it out\n"
    )
    assert not (folder / "mlflow.db").exists()
    words = ("run", "data=blobs", "loss=cross_entropy", "data.test_fraction=0.3", *SHORT, "tracking=off", "-q")
    assert nnspec(*words, "require.test_accuracy=0.1") == (0, "", "")
    status, _, err = nnspec(*words, "optimizer.lr=1e-9", "require.test_accuracy=1")
    assert status == 1
    assert err.startswith("nnspec: require.test_accuracy 1, but got 0.")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (
            ("require.solve_rate=1.5",),
            "require.solve_rate must be a finite number at least 0 and at most 1, but got 1.5",
        ),
        (("require.final_loss=-1",), "require.final_loss must be a finite number at least 0, but got -1"),
        (("require.solverate=1",), "did you mean 'require.solve_rate'?"),
        (("-m", "require.solve_rate=0.1,0.2"), "must be the same in all cells"),
        (
            ("-m", "hydra/sweeper=basic", "seed=1,2", "require.solve_rate=1"),
            "has no effect on a job of another sweeper",
        ),
        (("-m", "hydra/sweeper=basic", "seed=1,2", "--json"), "has no effect on a job of another sweeper"),
        (
            ("-m", "data=blobs", "loss=cross_entropy", "data.test_fraction=0,0.3", "require.test_accuracy=0.1"),
            "has no effect on a cell without a test part",
        ),
        (("--cfg", "job", "--json"), "--json goes with training and --plan"),
    ],
)
def test_refused(nnspec: Any, words: tuple[str, ...], says: str) -> None:
    status, out, err = nnspec("run", *words, "tracking=off", *SHORT)
    assert (status, out) == (2, "")
    assert says in err


def test_quiet_says_nothing_but_what_is_asked_for(nnspec: Any) -> None:
    assert nnspec("run", *SHORT, "-q") == (0, "", "")
    assert nnspec("run", "-m", "seed=0,1", *SHORT, "sweep.report=false", "--quiet", "sweep.csv=t.csv") == (0, "", "")
    assert Path("t.csv").exists()
    out = nnspec("run", *SHORT, "-q", "--timings")[1]
    assert out.startswith("timings ")


def test_a_single_run_as_json(nnspec: Any, spec_of: Any) -> None:
    info = run_json(nnspec, "run", *SHORT, "replicates=6")
    assert set(info) == RUN_KEYS
    assert (info["kind"], info["exit_status"], info["axes"], info["cells_missing"]) == ("run", 0, {}, [])
    assert info["look_at"]["url"].endswith(f"runs/{info['run_id']}?workflowType=machine_learning")
    (cell,) = info["cells"]
    assert set(cell) == CELL_KEYS | NETWORK_KEYS
    spec = spec_of(replicates=6, train={"epochs": 40})
    assert (cell["spec"], cell["fingerprint"]) == (spec.to_mapping(), spec.fingerprint)
    filed = open_store(HERE).get(info["run_id"])
    assert {name: cell[name] for name in ("solve_rate", "solve_rate_low", "solve_rate_high")} == {
        name: pytest.approx(filed.metrics[name]) for name in ("solve_rate", "solve_rate_low", "solve_rate_high")
    }
    assert sum(cell["verdicts"].values()) == 6
    assert cell["final_loss"]["q10"] <= cell["final_loss"]["median"] <= cell["final_loss"]["q90"]
    assert cell["seeds"] == {"first": 0, "last": 5}


def test_every_field_is_in_the_documentation() -> None:
    text = (RUN_PY.parent / "docs/json.md").read_text()
    assert {key for key in RUN_KEYS | CELL_KEYS | NETWORK_KEYS if f"`{key}`" not in text} == set()


def test_a_sweep_as_json(nnspec: Any) -> None:
    info = run_json(nnspec, *SWEEP, "replicates=2", "--timings")
    assert set(info) == RUN_KEYS | {"seconds", "updaters"}
    assert info["axes"] == {"init": ["zeros", "orthogonal"]}
    assert [cell["choices"] for cell in info["cells"]] == [{"init": "zeros"}, {"init": "orthogonal"}]
    children = {child.run_id for child in open_store(HERE).find_children(info["run_id"])}
    assert children == {cell["run_id"] for cell in info["cells"]}
    assert sum(each["networks"] for each in info["updaters"]) == 4


def test_a_cell_that_fails_is_in_the_document(nnspec: Any) -> None:
    words = ("init=normal", "init.std=1e38", "tracking=off")
    info = run_json(nnspec, "run", *SHORT, *words, status=1)
    assert "non-finite from the start" in info["cells"][0]["failure"]
    assert info["cells"][0]["final_loss"]["median"] is None
    assert (info["run_id"], info["look_at"], info["all_filed"]) == (None, None, False)


def test_a_plan_as_json(nnspec: Any, folder: Path) -> None:
    words = ("run", "-m", "optimizer=adam,sgd", "replicates=3", "--plan", "--json")
    status, out, err = nnspec(*words)
    plan = json.loads(out)
    assert (status, err) == (0, "")
    assert set(plan) == {
        *("cells", "cells_stated_twice", "networks", "first_round_only", "chunks", "processes"),
        *("memory_mib", "seconds", "stacks", "stacks_differ_in"),
    }
    assert (plan["cells"], plan["networks"], plan["chunks"]) == (2, 6, 2)
    assert [stack["cells"] for stack in plan["stacks"]] == [[0], [1]]
    assert {stack["layout"] for stack in plan["stacks"]} == {"lanes"}
    assert "optimizer" in plan["stacks_differ_in"]
    assert not (folder / "mlflow.db").exists()
    separate = json.loads(
        nnspec("run", "data=iris", "loss=cross_entropy", "train.batch_size=10", "--plan", "--json")[1]
    )
    (stack,) = separate["stacks"]
    assert (stack["layout"], stack["why_separate"]) == ("separate", "each has its own order of batches")


@pytest.mark.slow
def test_streams_of_a_real_process(folder: Path) -> None:
    """Nothing of other libraries on either stream, on a store that is made and on one that is there."""
    environ = {**os.environ, "PYTHONPATH": str(RUN_PY.parent), "XDG_CACHE_HOME": str(folder / "empty")}
    for _ in range(2):
        with (folder / "out").open("w") as out:
            done = subprocess.run(
                [sys.executable, str(RUN_PY), *SHORT],
                env=environ,
                stdout=out,
                stderr=subprocess.PIPE,
                text=True,
                check=True,
            )
        (plan,) = done.stderr.splitlines()
        assert plan.endswith("1 network in 1 stack, 1 chunk on 1 process; 1 MLflow run, about 1 MB")
        lines = (folder / "out").read_text().splitlines()
        assert lines[0].split() == ["inputs", "target", "output"]
        assert [line[:12].strip() for line in lines[-5:]] == ["run", "report", "what helps", "look at it", ""]
