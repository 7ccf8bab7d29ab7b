"""The client writer where the store is slow, absent or forgetful, and a real MLflow server."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnspec.errors import TrackingError
from nnspec.settings import Tracking
from nnspec.tracking import CellStore, open_store
from nnspec.tracking.client.store import ClientStore
from nnspec.tracking.locate import Location, ui_command
from nnspec.tracking.patience import Patience, may_pass
from nnspec.tracking.records import RunEnd, RunStart, Series

Make = Callable[..., Any]
LOCATION = Location("http://host:5000", "http")


class Failing:
    """A call that fails so many times with an error, then returns."""

    def __init__(self, times: int, error: BaseException):
        self.left, self.error, self.calls = times, error, 0

    def __call__(self) -> str:
        self.calls += 1
        if self.calls <= self.left:
            raise self.error
        return "done"


def down() -> Exception:
    from mlflow.exceptions import MlflowException

    return MlflowException("API request failed\nwith a long story")  # what MLflow raises when no answer comes


def test_a_failure_that_passes_is_sat_out(clock: list[float]) -> None:
    work = Failing(5, down())
    assert Patience(LOCATION).call(work) == "done"
    assert work.calls == 6
    assert len(clock) == 5
    assert clock[4] > clock[0]


def test_patience_ends_and_then_is_short_until_the_store_is_back(clock: list[float]) -> None:
    patience = Patience(LOCATION)
    with pytest.raises(
        TrackingError, match=r"must be a store that answers \(API request failed\), but got 'http://host:5000'; start"
    ) as caught:
        patience.call(Failing(10_000, down()))
    assert "\n" not in str(caught.value)
    assert 50 < sum(clock) < 62  # PATIENCE_SECONDS, less one pause at most, which is 4 s and half as much again
    before = sum(clock)
    with pytest.raises(TrackingError):
        patience.call(Failing(10_000, down()))
    assert sum(clock) - before < 4
    patience.call(Failing(0, down()))
    assert patience.call(Failing(6, down())) == "done"


def test_a_refusal_is_not_repeated(clock: list[float]) -> None:
    from mlflow.exceptions import RestException

    work = Failing(1, RestException({"error_code": "INVALID_PARAMETER_VALUE", "message": "too long"}))
    with pytest.raises(
        TrackingError, match=r"the store http://host:5000 refuses: INVALID_PARAMETER_VALUE: too long; mend this"
    ):
        Patience(LOCATION).call(work)
    assert work.calls == 1
    assert clock == []


def test_an_interrupt_is_not_repeated(clock: list[float]) -> None:
    work = Failing(1, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        Patience(LOCATION).call(work)
    assert work.calls == 1
    assert clock == []


def test_what_was_done_after_all_is_not_done_again(clock: list[float]) -> None:
    """The first try is not asked about; then the first answer that is one counts."""
    work, answers = Failing(10, down()), iter([None, None, "found"])
    assert Patience(LOCATION).call(work, lambda: next(answers)) == "found"
    assert work.calls == 3
    assert len(clock) == 3


def test_what_may_pass() -> None:
    import requests

    assert may_pass(requests.ConnectionError("refused"))
    assert may_pass(requests.Timeout("slow"))
    assert not may_pass(OSError(28, "No space left on device"))
    assert not may_pass(ValueError("a bug"))


RACE = "sqlite3.IntegrityError"


@pytest.mark.parametrize(
    ("why", "passes"), [(RACE, True), ("psycopg.errors.UniqueViolation", True), ("sqlite3.DataError", False)]
)
def test_two_requests_for_one_row_are_made_again(clock: list[float], why: str, passes: bool) -> None:
    """As a server does that hung, and goes on with what it was asked first and with its repetition at once."""
    from mlflow.exceptions import RestException

    work = Failing(
        1, RestException({"error_code": "BAD_REQUEST", "message": f"({why}) UNIQUE constraint failed: params.key"})
    )
    if passes:
        assert Patience(LOCATION).call(work) == "done"
    else:
        with pytest.raises(TrackingError, match="refuses: BAD_REQUEST"):
            Patience(LOCATION).call(work)


@pytest.fixture
def store(folder: Path, clock: list[float]) -> Iterator[CellStore]:
    opened = open_store(Tracking(writer="client"))
    assert isinstance(opened.runs, ClientStore)
    yield opened
    opened.close()


def test_a_lost_answer_makes_no_second_run(
    store: CellStore, monkeypatch: pytest.MonkeyPatch, cell: Make, started: Make
) -> None:
    real, lost = store.runs.client.create_run, []

    def forgetful(*arguments: Any) -> Any:
        run = real(*arguments)
        if not lost:
            lost.append(run.info.run_id)
            raise down()
        return run

    monkeypatch.setattr(store.runs.client, "create_run", forgetful)
    experiment_id = store.experiment("one")
    ids = store.start([started(cell(seed=seed)) for seed in range(2)], experiment_id)
    assert ids[0] == lost[0]
    assert len(store.runs.client.search_runs([experiment_id])) == 2


def test_a_run_that_comes_up_late_is_deleted(
    store: CellStore, monkeypatch: pytest.MonkeyPatch, cell: Make, started: Make, ended: Make
) -> None:
    """A server that hangs makes the run only after we have asked again and made another."""
    real = store.runs.client.create_run
    late: list[Any] = []

    def hanging(*arguments: Any) -> Any:
        if not late:
            late.append(arguments)
            raise down()
        return real(*arguments)

    monkeypatch.setattr(store.runs.client, "create_run", hanging)
    experiment_id = store.experiment("one")
    made = cell()
    run_id = store.start([started(made)], experiment_id)[0]
    twin = real(*late[0]).info.run_id
    store.finish([ended(made, run_id)])
    assert [run.info.run_id for run in store.runs.client.search_runs([experiment_id])] == [run_id] != [twin]


def test_a_data_set_that_another_process_brings_at_once(
    store: CellStore, monkeypatch: pytest.MonkeyPatch, cell: Make, started: Make
) -> None:
    from mlflow.exceptions import MlflowException
    from mlflow.protos.databricks_pb2 import BAD_REQUEST

    real, calls = store.runs.client.log_inputs, []

    def racing(run_id: str, datasets: Any) -> None:
        calls.append(run_id)
        if len(calls) == 1:  # what MLflow 3.17 answers to the slower of the two
            raise MlflowException(
                f"({RACE}) UNIQUE constraint failed: datasets.experiment_id, datasets.name", BAD_REQUEST
            )
        real(run_id, datasets)

    monkeypatch.setattr(store.runs.client, "log_inputs", racing)
    ids = store.start([started(cell(seed=seed)) for seed in range(2)], store.experiment("one"))
    assert calls == [ids[0], ids[0], ids[1]]
    assert all(len(store.runs.client.get_run(run_id).inputs.dataset_inputs) == 1 for run_id in ids)


def test_no_batch_is_too_big_and_none_is_sent_twice(store: CellStore, monkeypatch: pytest.MonkeyPatch) -> None:
    real, sizes, failed = store.runs.client.log_batch, [], []

    def watched(run_id: str, metrics: Any = (), params: Any = (), tags: Any = (), **options: Any) -> None:
        assert len(metrics) <= 1000
        assert len(params) <= 100
        assert len(tags) <= 100
        assert len(metrics) + len(params) + len(tags) <= 1000
        if len(sizes) == 4 and not failed:
            failed.append(True)
            raise TrackingError("cut off")
        real(run_id, metrics, params, tags, **options)
        sizes.append(len(metrics))

    monkeypatch.setattr(store.runs.client, "log_batch", watched)
    run_id = store.start([RunStart("a", {str(n): "x" for n in range(250)}, {})], store.experiment("one"))[0]
    end = RunEnd(
        run_id,
        "FINISHED",
        {key: Series(np.arange(1500), np.zeros(1500)) for key in "ab"},
        {},
        {str(n): "t" for n in range(150)},
    )
    with pytest.raises(TrackingError, match="cut off"):
        store.finish([end])
    assert store.get(run_id).status == "RUNNING"
    store.finish([end])
    assert sum(sizes) == 3000
    assert len(store.get(run_id).params) == 250
    assert len(store.get(run_id).tags) == 151
    assert len(store.runs.client.get_metric_history(run_id, "b")) == 1500


def serve(folder: Path, *options: str) -> Iterator[str]:
    """`mlflow server` on a free loopback port, until the test is done."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--port", str(port), "--workers", "1", *options]
    process = subprocess.Popen(
        command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    uri, end = f"http://127.0.0.1:{port}", time.monotonic() + 90
    try:
        while True:
            try:
                urllib.request.urlopen(f"{uri}/health", timeout=1).close()
                break
            except OSError:
                assert process.poll() is None, "the server died"
                assert time.monotonic() < end, "the server does not come up"
                time.sleep(0.1)
        yield uri
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()


@pytest.fixture
def server(folder: Path) -> Iterator[str]:
    yield from serve(folder, "--backend-store-uri", "sqlite:///server.db", "--artifacts-destination", "kept")


@pytest.mark.slow
def test_a_real_server(server: str, cell: Make, started: Make, ended: Make, tmp_path: Path) -> None:
    from mlflow import MlflowClient

    store = open_store(Tracking(uri=server))
    experiment_id = store.experiment("nnspec-xor")
    sweep = store.start([RunStart("sweep", {}, {"nnspec.sweep": "abc"}, start_time=500)], experiment_id)[0]
    cells = [cell(seed=seed) for seed in range(5)]
    ids = store.start([started(made, sweep, 1_000 + n) for n, made in enumerate(cells)], experiment_id)
    store.progress([(ids[0], {"loss": Series(np.array([0]), np.array([0.5]))})])
    store.finish([ended(made, run_id) for made, run_id in zip(cells, ids, strict=True)])
    assert [child.run_id for child in store.find_children(sweep)] == ids
    assert store.latest_sweep(experiment_id) == sweep
    assert store.finished(experiment_id, [made.spec.fingerprint for made in cells]) == {
        made.spec.fingerprint: run_id for made, run_id in zip(cells, ids, strict=True)
    }
    client = MlflowClient(tracking_uri=server)
    run = client.get_run(ids[0])
    assert (run.info.status, run.info.start_time, run.info.end_time) == ("FINISHED", 1_000, 2_000)
    assert run.data.params == cells[0].spec.flat()
    assert run.inputs.dataset_inputs[0].dataset.name == "xor"
    points = sorted((point.step, point.value) for point in client.get_metric_history(ids[0], "loss"))
    assert points == [(0, 0.5), *zip(cells[0].steps[1:], cells[0].loss[0, 1:], strict=True)]
    (tmp_path / "got").mkdir()
    got = Path(client.download_artifacts(ids[0], "", str(tmp_path / "got")))
    wanted = ended(cells[0], "x").artifacts
    assert {path.relative_to(got).as_posix(): path.read_bytes() for path in got.rglob("*") if path.is_file()} == wanted
    assert store.artifact(ids[0], "spec.yaml") == wanted["spec.yaml"]
    store.delete([ids[0]])
    assert len(store.find_children(sweep)) == 4
    store.close()


@pytest.mark.slow
def test_the_ui_shows_what_the_bulk_writer_filed(folder: Path, cell: Make, started: Make, ended: Make) -> None:
    """The command that we print, run in the same folder: the artifacts that the page asks for are there."""
    store = open_store(Tracking(writer="sql"))
    made = cell()
    run_id = store.start([started(made)], store.experiment("nnspec-xor"))[0]
    store.finish([ended(made, run_id)])
    assert ui_command(store.location).endswith("ui --backend-store-uri sqlite:///mlflow.db")
    for uri in serve(folder, "--backend-store-uri", "sqlite:///mlflow.db"):
        with urllib.request.urlopen(f"{uri}/get-artifact?path=spec.yaml&run_uuid={run_id}", timeout=20) as answer:
            assert answer.read() == ended(made, "x").artifacts["spec.yaml"]
        with urllib.request.urlopen(f"{uri}/api/2.0/mlflow/artifacts/list?run_id={run_id}", timeout=20) as answer:
            assert b"results.parquet" in answer.read()
