"""The command line in processes forked from one that has imported everything: they begin within 0.1 s in place of 3."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import resource
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

from nnspec.tracking.database.template import schema_script

PRELOAD = [
    "sweeps",
    "torch",
    "mlflow",
    "pyarrow.parquet",
    "nnspec.cli.run",
    "nnspec.runner",
    "nnspec.report.sweep_result",
    "nnspec.tracking.database.store",
    "nnspec.tracking.client.store",
    "pyarrow.pandas_compat",
    "scipy.special",
]
AXES = ["activation=relu,tanh,gelu,sigmoid,elu", "init=kaiming_uniform,orthogonal", "seed=range(0,20)"]
CELLS = 200
MANY_CHUNKS = "train.memory=23"  # MiB: room for a tenth of the cells at a time, so that they are filed in many batches
SMALL_DATABASE = 1_000_000  # bytes: room for MLflow's empty tables and no sweep
SHORT = ["train.epochs=40", "train.log_every=10", "train.workers=1", "sweep.report=false"]


@cache
def forks() -> Any:
    """Processes from a server that is made once: forking pytest itself would copy its threads' locks."""
    schema_script()  # a command could not make it that may write little, and each has a home of its own
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOAD)
    return context


@dataclass(frozen=True)
class Circumstances:
    """Under which a command runs: seconds of patience with the store and with each request, the largest file it may
    write in bytes, the home folder in place of the working folder, the transaction (counted from 1) at whose commit it
    kills itself, more variables of its environment."""

    patience: float | None = None
    request: int | None = None
    largest_file: int | None = None
    home: str | None = None
    killed_at: int | None = None
    variables: Mapping[str, str] = field(default_factory=dict)


def command_here(folder: str, words: Sequence[str], under: Circumstances) -> None:
    """The body of a process: ``nnspec`` with these words in ``folder``, where its temporary files are too; exits with
    the command's status. Its output goes to ``output``."""
    os.chdir(folder)
    os.environ.update({"HOME": under.home or folder, **under.variables})
    tempfile.tempdir = folder
    with open("output", "a", buffering=1) as output:  # noqa: PTH123
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
        import torch

        from nnspec.cli.main import main
        from nnspec.tracking import patience as waiting

        torch.set_num_threads(1)
        if under.patience is not None:
            waiting.PATIENCE_SECONDS = under.patience
        if under.request is not None:
            os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] = str(under.request)
        if under.largest_file is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (under.largest_file, under.largest_file))
        if under.killed_at is not None:
            kill_at_commit(under.killed_at)
        status = main(words)
        sys.stdout.flush()
        os._exit(status)


def kill_at_commit(number: int) -> None:
    """Let this process be killed when it is about to commit its transaction of this number."""
    from sqlalchemy import Engine, event

    transactions = count(1)

    def committing(connection: Any) -> None:
        if next(transactions) == number:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(Engine, "commit", committing)


def command(folder: Path, *words: str, under: Circumstances = Circumstances()) -> Any:
    """``nnspec`` in a process of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    process = forks().Process(target=command_here, args=(str(folder), words, under))
    process.start()
    return process


def begin(folder: Path, *words: str, axes: Sequence[str] = AXES, under: Circumstances = Circumstances()) -> Any:
    """A sweep of the 200 cells in a process of its own; of some of them with other ``axes``."""
    return command(folder, "run", "-m", *axes, *SHORT, *words, under=under)


def output(folder: Path) -> str:
    """What the commands in a folder said."""
    return (folder / "output").read_text()


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


def filed(uri: str, experiment: str | None = None) -> Filed:
    """Everything in a store, or in one experiment of it, that is not deleted, through MLflow's public client."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=uri)
    runs, token = [], None
    ids = [found.experiment_id for found in client.search_experiments() if experiment in (None, found.name)]
    while True:
        page = client.search_runs(ids, max_results=1000, page_token=token)
        runs += page
        token = page.token
        if not token:
            break
    children = [run for run in runs if "mlflow.parentRunId" in run.data.tags]
    parents = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    return Filed(
        children,
        parents,
        {run.data.tags["nnspec.fingerprint"]: digest(client, run) for run in children if run.info.status == "FINISHED"},
    )


def digest(client: Any, run: Any) -> str:
    """Of the table of networks, both sets of weights and the final numbers."""
    found = hashlib.sha256()
    remote = run.info.artifact_uri.startswith("mlflow-artifacts:")
    # MLflow's client takes 50 ms to find a file that lies on this disk
    folder = Path(client.download_artifacts(run.info.run_id, "")) if remote else Path(run.info.artifact_uri)
    for path in (
        "results.parquet",
        "weights/initial.safetensors",
        "weights/final.safetensors",
        "spec.yaml",
        "history.parquet",
    ):
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
        assert found.digests.items() <= reference.digests.items()
