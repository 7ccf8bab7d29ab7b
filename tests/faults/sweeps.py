"""Sweeps as the command line runs them, but in processes forked from one that has imported everything: 0.1 s in place of 3."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

PRELOAD = ["sweeps", "torch", "mlflow", "pyarrow.parquet", "nnspec.runner.run", "nnspec.runner.sweep_result", "nnspec.tracking.sql"]
AXES = ["activation=relu,tanh,gelu,sigmoid,elu", "init=kaiming_uniform,orthogonal", "seed=range(0,20)"]
CELLS = 200
SHORT = ["train.epochs=40", "train.log_every=10", "train.workers=1", "sweep.report=false"]


@cache
def forks() -> Any:
    """Processes from a server that is made once: forking pytest itself would copy its threads' locks."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOAD)
    return context


def sweep_here(folder: str, words: Sequence[str], patience: float | None = None) -> None:
    """The body of a process: one sweep in ``folder``; exits with the sweep's status. Its output goes to ``output``."""
    os.chdir(folder)
    with open("output", "a", buffering=1) as output:  # noqa: PTH123
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
        import torch

        from nnspec.errors import NnspecError
        from nnspec.runner import run
        from nnspec.sweep import plan
        from nnspec.tracking import patience as waiting

        torch.set_num_threads(1)
        if patience is not None:
            waiting.PATIENCE_SECONDS = patience
            os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] = "10"
        swept, settings = plan(words)
        try:
            outcome = run(swept.cells, settings, swept.axes, sweep=True, command="nnspec run -m")
        except NnspecError as error:
            print(f"nnspec: {error}", file=sys.stderr)
            os._exit(2)
        sys.stdout.flush()
        os._exit(outcome.exit_status)


def begin(folder: Path, *words: str, patience: float | None = None) -> Any:
    """A sweep of the 200 cells in a process of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    process = forks().Process(target=sweep_here, args=(str(folder), [*AXES, *SHORT, *words], patience))
    process.start()
    return process


def ended(process: Any, seconds: float = 120) -> int:
    """The exit status of a process that has ended."""
    process.join(seconds)
    if process.is_alive():
        process.kill()
        process.join()
        raise TimeoutError(f"the sweep has not ended within {seconds} s")
    status: int = process.exitcode
    process.close()
    return status


@dataclass(frozen=True)
class Filed:
    """What a store has: the runs with a parent, those without, and of each cell a digest of results and weights."""

    children: list[Any]
    parents: list[Any]
    digests: dict[str, str]

    @property
    def statuses(self) -> Counter[str]:
        return Counter(run.info.status for run in self.children)

    @property
    def fingerprints(self) -> Counter[str]:
        return Counter(run.data.tags["nnspec.fingerprint"] for run in self.children)


def filed(uri: str) -> Filed:
    """Everything in a store that is not deleted, through MLflow's public client."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=uri)
    runs, token = [], None
    ids = [experiment.experiment_id for experiment in client.search_experiments()]
    while True:
        page = client.search_runs(ids, max_results=1000, page_token=token)
        runs += page
        token = page.token
        if not token:
            break
    children = [run for run in runs if "mlflow.parentRunId" in run.data.tags]
    parents = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    return Filed(children, parents, {run.data.tags["nnspec.fingerprint"]: digest(client, run) for run in children})


def digest(client: Any, run: Any) -> str:
    """Of the table of networks, both sets of weights and the final numbers."""
    found = hashlib.sha256()
    remote = run.info.artifact_uri.startswith("mlflow-artifacts:")
    # MLflow's client takes 50 ms to find a file that lies on this disk
    folder = Path(client.download_artifacts(run.info.run_id, "")) if remote else Path(run.info.artifact_uri)
    for path in ("results.parquet", "weights/initial.safetensors", "weights/final.safetensors", "spec.yaml", "history.parquet"):
        found.update((folder / path).read_bytes())
    found.update(repr(sorted(run.data.metrics.items())).encode())
    return found.hexdigest()


def check_complete(found: Filed, reference: Filed | None = None, cells: int = CELLS) -> None:
    """All cells FINISHED once under one FINISHED parent, nothing else there, and results as those of ``reference``."""
    assert found.statuses == {"FINISHED": cells}
    assert len(found.fingerprints) == cells
    assert [run.info.status for run in found.parents] == ["FINISHED"]
    assert {run.data.tags["mlflow.parentRunId"] for run in found.children} == {found.parents[0].info.run_id}
    assert all(run.info.end_time is not None for run in found.children)
    if reference is not None:
        assert found.digests == reference.digests
