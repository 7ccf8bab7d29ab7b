"""How long filing takes: a new store, the bulk writer beside MLflow's client, our client writer beside single calls.

    python benchmarks/tracking.py            all questions; a few minutes
    python benchmarks/tracking.py new        a new SQLite file: a user's first, later ones, one that MLflow makes
    python benchmarks/tracking.py database   1000 runs into SQLite, and 10,000
    python benchmarks/tracking.py server     through `mlflow server` on loopback

Each run has 30 params, 118 metric points (96 of four series, 22 of the end) and the artifacts of a single run. All
ratios come from one go on one machine; the artifacts and rows of a run are made beforehand and are the same for every
contender.
"""

from __future__ import annotations

import gc
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nnspec.check import checked
from nnspec.results.arrays import Results
from nnspec.settings import Tracking
from nnspec.specs import Member, RunSpec
from nnspec.tracking import open_store
from nnspec.tracking.artifacts import cell_artifacts
from nnspec.tracking.cell_records import dataset_info, run_name
from nnspec.tracking.files import write_files
from nnspec.tracking.provenance import run_tags
from nnspec.tracking.records import RunEnd, RunStart, Series

POINTS = 24  # of each of four metrics
FINALS = 22  # metrics of the end
BY_CLIENT = 100  # runs that the client files of the 1000: it takes the same time for each
BY_SERVER = 60
Job = tuple[RunStart, RunEnd]


def job(seed: int) -> Job:
    """One run to file: 30 params, 118 metric points, 5 artifacts; the run id is still to come."""
    rng = np.random.default_rng(seed)
    members = (Member(name) for name in ("mlp", "gelu", "kaiming_uniform", "adam", "bce", "xor"))
    spec = checked(RunSpec(*members, seed=seed))
    weights = {
        "0.weight": rng.random((1, 4, 2)),
        "0.bias": rng.random((1, 4)),
        "2.weight": rng.random((1, 1, 4)),
        "2.bias": rng.random((1, 1)),
    }
    line = rng.random((1, POINTS))
    never = np.array([-1])
    norms = {"0": line, "2": line}
    outputs = np.zeros((1, 4, 1))
    steps = 10 * np.arange(POINTS)
    cell = Results(
        spec=spec,
        seeds=np.array([seed]),
        steps=steps,
        loss=line,
        accuracy=line,
        weight_norm=norms,
        right=line > 0.5,
        outputs=outputs,
        solved_at=never,
        nonfinite_at=never,
        initial=weights,
        final=weights,
    )
    params = {**spec.flat(), **{f"more.{n}": str(n) for n in range(30)}}
    params = dict(list(params.items())[:30])
    history = {key: Series(steps, rng.random(POINTS)) for key in ("loss", "accuracy", "weight_norm/0", "weight_norm/2")}
    start = RunStart(
        run_name(spec), params, run_tags(spec), None, dataset_info("xor", np.zeros((4, 2)), np.zeros((4, 1))), 1_000
    )
    finals = {f"at_start/{number}": value for number, value in enumerate(rng.random(FINALS).tolist())}
    return start, RunEnd("", "FINISHED", history, finals, {}, dict(cell_artifacts(cell)), 2_000, 1_000)


def by_us(uri: str, jobs: Sequence[Job], writer: str = "auto") -> float:
    """Seconds that a writer of ours takes, from the first run to the last one finished."""
    store = open_store(Tracking(uri=uri, writer=writer))
    experiment_id = store.experiment("bench")
    begin = time.perf_counter()
    ids = store.start([start for start, _ in jobs], experiment_id)
    store.finish([RunEnd(**{**vars(end), "run_id": run_id}) for run_id, (_, end) in zip(ids, jobs, strict=True)])
    seconds = time.perf_counter() - begin
    store.close()
    return seconds


def by_client(uri: str, jobs: Sequence[Job], each_point: bool = False) -> float:
    """Seconds that MLflow's public client takes, call after call; batched as well as it can be, or one call a metric
    point."""
    os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"
    from mlflow import MlflowClient
    from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param

    client = MlflowClient(tracking_uri=uri)
    found = client.get_experiment_by_name("peer")
    experiment_id = found.experiment_id if found else client.create_experiment("peer")
    begin = time.perf_counter()
    for start, end in jobs:
        run_id = client.create_run(experiment_id, start.start_time, dict(start.tags), start.name).info.run_id
        client.log_batch(run_id, params=[Param(key, value) for key, value in start.params.items()])
        info: Any = start.dataset
        dataset = Dataset(info.name, info.digest, info.source_type, info.source, info.schema, info.profile)
        client.log_inputs(run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])])
        points = [
            Metric(key, value, 2_000, step)
            for key, line in end.all_history().items()
            for step, value in zip(line.steps.tolist(), line.values.tolist(), strict=True)
        ]
        if each_point:
            for point in points:
                client.log_metric(run_id, point.key, point.value, point.timestamp, point.step)
        else:
            client.log_batch(run_id, metrics=points)
        with tempfile.TemporaryDirectory() as folder:
            write_files(Path(folder), end.artifacts)
            client.log_artifacts(run_id, folder)
        client.set_terminated(run_id, "FINISHED", end.end_time)
    return time.perf_counter() - begin


def seconds_of(code: str, *arguments: str) -> float:
    """Seconds that a process of its own takes for ``code``, without its start and nnspec's own imports."""
    timed = "import sys, time\nfrom nnspec.tracking import opening\nfrom nnspec.settings import Tracking\n"
    timed += f"begin = time.perf_counter()\n{code}\nprint(time.perf_counter() - begin)"
    done = subprocess.run([sys.executable, "-c", timed, *arguments], check=True, capture_output=True, text=True)
    return float(done.stdout)


def new(folder: Path) -> None:
    """To open a store that is not there yet, in processes of their own."""
    os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
    ours = "opening.open_store(Tracking(uri=sys.argv[1])).close()"
    theirs = "from mlflow import MlflowClient\nMlflowClient(tracking_uri=sys.argv[1]).search_experiments()"
    first, *later = [seconds_of(ours, f"sqlite:///{folder}/new-{number}.db") for number in range(4)]
    mlflow = min(seconds_of(theirs, f"sqlite:///{folder}/mlflow-{number}.db") for number in range(3))
    print(f"a new SQLite file: the first {first:.2f} s, later ones {min(later):.2f} s; made by MLflow {mlflow:.2f} s")


def database(folder: Path) -> None:
    """The bulk writer into SQLite beside the client, each into a database of its own; then ten times as many."""
    jobs = [job(seed) for seed in range(1000)]
    many = [job(seed) for seed in range(10_000)]
    for name in ("before", "many", "after"):
        (folder / name).mkdir()
    gc.freeze()  # a sweep files its runs as they come: Python's collector must not go over all of these again and again
    before = by_us(f"sqlite:///{folder}/before/ours.db", jobs)
    ten = by_us(f"sqlite:///{folder}/many/ours.db", many)
    theirs = by_client(f"sqlite:///{folder}/theirs.db", jobs[:BY_CLIENT]) * len(jobs) / BY_CLIENT
    after = by_us(f"sqlite:///{folder}/after/ours.db", jobs)
    ours = (before + after) / 2
    print(
        f"SQLite, 1000 runs: bulk {before:.2f}, {after:.2f} s, client {theirs:.1f} s (from {BY_CLIENT}): "
        f"{theirs / ours:.1f} times faster"
    )
    print(f"SQLite, 10,000 runs: bulk {ten:.2f} s: {ten / ours:.1f} times as long as 1000")


def server(folder: Path) -> None:
    """Our client writer through a server on loopback beside one call of MLflow's client after another."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    uri = f"http://127.0.0.1:{port}"
    command = [
        sys.executable,
        "-m",
        "mlflow",
        "server",
        "--port",
        str(port),
        "--backend-store-uri",
        f"sqlite:///{folder}/server.db",
    ]
    command += ["--artifacts-destination", str(folder / "artifacts")]
    process = subprocess.Popen(
        command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        _wait(lambda: urllib.request.urlopen(f"{uri}/health", timeout=1).close())
        jobs = [job(seed) for seed in range(BY_SERVER)]
        by_us(uri, jobs[:8])  # the server's workers load what they need
        by_client(uri, jobs[:8])
        ours = by_us(uri, jobs)
        theirs = by_client(uri, jobs)
        singly = by_client(uri, jobs[: BY_SERVER // 12], each_point=True) * 12
        print(
            f"server, {BY_SERVER} runs: ours {ours:.2f} s; client, batched {theirs:.2f} s: {theirs / ours:.1f} times "
            "faster"
        )
        print(f"server, {BY_SERVER} runs: client, one call a point {singly:.2f} s: {singly / ours:.1f} times faster")
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()


def _wait(ready: Callable[[], None], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while True:
        try:
            return ready()
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)


if __name__ == "__main__":
    asked = sys.argv[1:] or ["new", "database", "server"]
    with tempfile.TemporaryDirectory(prefix="nnspec-bench-") as place:
        for question in asked:
            {"new": new, "database": database, "server": server}[question](Path(place))
