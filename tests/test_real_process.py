"""The real command in a real process: Ctrl-C at random moments, and ten thousand cells in bounded memory."""

from __future__ import annotations

import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

import nnspec

ROOT = Path(__file__).resolve().parents[1]
ROUNDS = 6
CELLS = 200
SWEEP = [
    "-m",
    "activation=relu,tanh,gelu,sigmoid",
    "init=kaiming_uniform,orthogonal",
    "seed=range(0,25)",
    "sweep.report=false",
]
MEMORY = (
    2000  # MiB that a sweep of 10,000 cells may take: torch, MLflow's tables and one batch of results, not the sweep
)


def start(folder: Path, *words: str) -> subprocess.Popen[str]:
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(ROOT / "run.py"), *words]
    # a group of its own, so that the signal reaches the workers as it does in a terminal
    return subprocess.Popen(
        command,
        cwd=folder,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def runs(folder: Path) -> list[Run]:
    client = MlflowClient(f"sqlite:///{folder}/mlflow.db")
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]

    def pages() -> Iterator[Run]:
        token = None
        while True:
            page = client.search_runs(experiments, max_results=1000, page_token=token)
            yield from page
            token = page.token
            if not token:
                return

    return list(pages())


@pytest.mark.slow
def test_ctrl_c_at_random_moments_leaves_a_consistent_store(tmp_path: Path) -> None:
    chance = random.Random(3)
    interrupted = 0
    for number in range(ROUNDS):
        folder = tmp_path / str(number)
        folder.mkdir()
        process = start(folder, *SWEEP)
        wait = chance.uniform(0.5, 6)
        if number % 2:  # on a busy machine nothing is filed in that time: so count from when the database is there
            wait = chance.uniform(0, 1)
            while process.poll() is None and not (folder / "mlflow.db").exists():
                with suppress(subprocess.TimeoutExpired):
                    process.wait(0.02)
        try:
            text, _ = process.communicate(timeout=wait)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGINT)
            text, _ = process.communicate(timeout=60)
        assert "Traceback" not in text, text
        # it may also come when all is done and Python itself is ending, which then dies of the signal
        assert process.returncode in (0, 130, -signal.SIGINT), text
        if not (folder / "mlflow.db").exists():
            continue  # it came before anything was filed
        found = runs(folder)
        statuses = {run.info.status for run in found}
        assert "RUNNING" not in statuses, text
        done = [run for run in found if run.info.status == "FINISHED" and "mlflow.parentRunId" in run.data.tags]
        assert all("final_loss" in run.data.metrics for run in done)
        if process.returncode == 130:
            interrupted += 1
            parents = [run for run in found if "mlflow.parentRunId" not in run.data.tags]
            assert [parent.info.status for parent in parents] in ([], ["KILLED"])
            if parents:
                assert "resume=last" in text
        resumed = start(folder, *SWEEP, "resume=last")
        text, _ = resumed.communicate(timeout=120)
        assert resumed.returncode == 0, text
        children = [run for run in runs(folder) if "mlflow.parentRunId" in run.data.tags]
        assert [run.info.status for run in children] == ["FINISHED"] * CELLS
        assert len({run.data.tags["nnspec.fingerprint"] for run in children}) == CELLS
    assert interrupted, "no round was interrupted: the moments come too late"


@pytest.mark.slow
def test_ten_thousand_cells_in_bounded_memory(tmp_path: Path) -> None:
    began = time.perf_counter()
    axes = [
        "activation=relu,gelu,tanh,sigmoid,leaky_relu",
        "init=kaiming_uniform,xavier_uniform,zeros,orthogonal",
        "seed=range(0,500)",
    ]
    process = start(tmp_path, "-m", *axes, "train.epochs=200", "train.memory=200", "--timings")
    text, _ = process.communicate(timeout=900)
    assert process.returncode == 0, text
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(
        f"10,000 cells in {time.perf_counter() - began:.0f} s, at most {peak:.0f} MiB in one "
        f"process\n{text.splitlines()[-1]}"
    )
    children = [run for run in runs(tmp_path) if "mlflow.parentRunId" in run.data.tags]
    assert 0 < len(children) <= 200  # those worth opening
    assert {run.info.status for run in children} == {"FINISHED"}
    assert len(nnspec.table("last", uri=f"sqlite:///{tmp_path}/mlflow.db")) == 10_000
    assert peak < MEMORY
