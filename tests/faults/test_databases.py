"""PostgreSQL and MySQL end to end: the bulk writer straight into them, and MLflow's server on them over http."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import servers
import sweeps
from sqlalchemy import create_engine, event

import nnspec
from nnspec.settings import Tracking
from nnspec.tracking import open_store
from nnspec.tracking.database.transact import transact
from nnspec.tracking.records import DatasetInfo, RunStart

pytestmark = pytest.mark.slow
RUN = Path(nnspec.__file__).parents[1] / "run.py"
WORDS = ["-m", "activation=relu,tanh", "seed=range(0,4)", "train.epochs=60", "train.log_every=20", "replicates=3"]
CELLS = 8
SHUT_DOWN = {"PostgreSQL": signal.SIGINT, "MariaDB": signal.SIGTERM}  # the signal that tells clients off and then ends
NUMBERS = count()


@pytest.fixture(scope="module", params=servers.DATABASES)
def running(request: pytest.FixtureRequest) -> Iterator[tuple[str, servers.Server]]:
    """The URI of a database and its server."""
    why_not = servers.missing(request.param)
    if why_not:
        pytest.skip(why_not)
    with servers.DATABASES[request.param]() as found:
        yield found


@pytest.fixture
def database(running: tuple[str, servers.Server]) -> str:
    """The URI of an empty database of the test's own."""
    return servers.new_database(running[0], f"nnspec_{next(NUMBERS)}")


def command(folder: Path, *words: str) -> str:
    """What ``run.py`` says; it must end well."""
    environ = {"PYTHONPATH": str(RUN.parent), "PATH": "/usr/bin:/bin", "HOME": str(folder)}
    environ["XDG_CACHE_HOME"] = os.environ["XDG_CACHE_HOME"]
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [sys.executable, RUN, *WORDS, *words], cwd=folder, env=environ, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "slower" not in done.stderr  # the warning that the bulk writer does not know the schema
    return done.stdout + done.stderr


def check_sweep(found: sweeps.Filed, uri: str, reference: sweeps.Filed) -> None:
    """All there, as on SQLite; read through the public client."""
    from mlflow import MlflowClient

    sweeps.check_complete(found, reference, CELLS)
    client = MlflowClient(tracking_uri=uri)
    params = {run.data.tags["nnspec.fingerprint"]: run.data.params for run in reference.children}
    for run in found.children:
        assert run.data.tags["mlflow.runName"] == run.info.run_name
        assert run.data.params == params[run.data.tags["nnspec.fingerprint"]]
        assert [item.dataset.name for item in client.get_run(run.info.run_id).inputs.dataset_inputs] == ["xor"]
        points = client.get_metric_history(run.info.run_id, "loss")
        assert [point.step for point in points] == [0, 20, 40, 60]
        assert run.data.metrics["loss"] == points[-1].value


@pytest.fixture(scope="module")
def on_sqlite(tmp_path_factory: pytest.TempPathFactory) -> sweeps.Filed:
    folder = tmp_path_factory.mktemp("sqlite")
    command(folder, "tracking.uri=sqlite:///mlflow.db", "sweep.report=false")
    return sweeps.filed(f"sqlite:///{folder}/mlflow.db")


def test_the_bulk_writer(database: str, tmp_path: Path, on_sqlite: sweeps.Filed) -> None:
    """As a user writes the URI, without a driver; then resumed whole, and after two of its runs are lost."""
    from mlflow import MlflowClient

    uri = servers.with_driver(database)
    words = (f"tracking.uri={database}", "tracking.writer=sql")
    command(tmp_path, *words)
    check_sweep(sweeps.filed(uri), uri, on_sqlite)
    assert f"{CELLS} of {CELLS} cells already done" in command(tmp_path, *words, "resume=last")
    client = MlflowClient(tracking_uri=uri)
    children = sweeps.filed(uri).children
    client.delete_run(children[0].info.run_id)
    client.update_run(children[1].info.run_id, "RUNNING")
    assert f"{CELLS - 2} of {CELLS} cells already done" in command(tmp_path, *words, "resume=last")
    check_sweep(sweeps.filed(uri), uri, on_sqlite)
    assert f"{CELLS} of {CELLS} cells taken" in command(tmp_path, *words, "reuse=true")


def test_a_server_on_it(database: str, tmp_path: Path, on_sqlite: sweeps.Filed) -> None:
    with servers.mlflow_server(servers.with_driver(database), tmp_path / "server") as (address, _):
        command(tmp_path / "work", f"tracking.uri={address}")
        found = sweeps.filed(address)
        check_sweep(found, address, on_sqlite)
        assert found.children[0].info.artifact_uri.startswith("mlflow-artifacts:")
        assert f"{CELLS} of {CELLS} cells already done" in command(
            tmp_path / "work", f"tracking.uri={address}", "resume=last"
        )


def test_three_sweeps_at_once(database: str, tmp_path: Path, undisturbed: sweeps.Filed) -> None:
    """They make the tables together, and the experiment, and the data set."""
    running = [
        sweeps.begin(tmp_path / name, f"tracking.uri={database}", "tracking.writer=sql", sweeps.MANY_CHUNKS)
        for name in "abc"
    ]
    for name, sweep in zip("abc", running, strict=True):
        assert sweeps.ended(sweep, 300) == 0, sweeps.output(tmp_path / name)
    found = sweeps.filed(servers.with_driver(database))
    assert found.statuses == {"FINISHED": 3 * sweeps.CELLS}
    assert found.fingerprints == dict.fromkeys(undisturbed.fingerprints, 3)
    assert [run.info.status for run in found.parents] == ["FINISHED"] * 3
    assert found.digests == undisturbed.digests
    assert [servers.query(database, f"SELECT count(*) FROM {table}") for table in ("experiments", "datasets")] == [
        [(2,)],
        [(1,)],
    ]


@pytest.mark.parametrize("how", ["killed", "shut down"])
def test_a_restart_during_a_sweep(
    running: tuple[str, servers.Server], database: str, tmp_path: Path, undisturbed: sweeps.Filed, how: str
) -> None:
    """Cells that are being filed wait until it is back: whether connections break in the middle of what they do, or are
    told off."""
    open_store(Tracking(uri=database)).close()
    sweep = sweeps.begin(tmp_path, f"tracking.uri={database}", sweeps.MANY_CHUNKS)
    servers.until(
        lambda: servers.query(database, "SELECT run_uuid FROM runs WHERE status = 'FINISHED'"), "a cell is filed"
    )
    _, server = running
    server.stop(signal.SIGKILL if how == "killed" else SHUT_DOWN[server.name])
    server.start()
    assert sweeps.ended(sweep) == 0, sweeps.output(tmp_path)
    sweeps.check_complete(sweeps.filed(servers.with_driver(database)), undisturbed)
    assert "Traceback" not in sweeps.output(tmp_path)


@pytest.fixture
def store(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.chdir(tmp_path)
    opened = open_store(Tracking(uri=database, writer="sql"))
    yield opened
    opened.close()


def rename(connection: Any, run_id: str, name: str) -> None:
    connection.exec_driver_sql(f"UPDATE runs SET name = '{name}' WHERE run_uuid = '{run_id}'")


def test_a_lock_is_waited_for(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server gives the waiting up after a second; the second try succeeds, for by then the lock is gone."""
    [run_id] = store.start([RunStart("a", {}, {})], store.experiment("one"))
    patience = "lock_timeout = 1000" if store.location.kind == "postgresql" else "innodb_lock_wait_timeout = 1"
    event.listen(store.runs.engine, "begin", lambda connection: connection.exec_driver_sql(f"SET SESSION {patience}"))
    holder = create_engine(store.location.absolute).connect()
    rename(holder, run_id, "held")
    waits = []
    monkeypatch.setattr("nnspec.tracking.patience.sleep", lambda seconds: (waits.append(seconds), holder.rollback()))
    store.set_status([run_id], "FAILED", 9)
    assert len(waits) == 1
    assert (store.get(run_id).name, store.get(run_id).status) == ("a", "FAILED")
    holder.close()
    holder.engine.dispose()


@pytest.mark.parametrize("nested", [False, True])
def test_a_deadlock_is_tried_again(store: Any, monkeypatch: pytest.MonkeyPatch, nested: bool) -> None:
    """Two transactions take two runs in opposite order; also within a savepoint, as the rows that several processes
    make."""
    ids = store.start([RunStart(name, {}, {}) for name in "ab"], store.experiment("one"))
    both, tries = threading.Barrier(2), []

    def work(order: list[str], name: str) -> None:
        def cross(connection: Any) -> None:
            rename(connection, order[0], name)
            tries.append(name)
            if tries.count(name) == 1:
                both.wait(60)
            with connection.begin_nested() if nested else nullcontext():
                rename(connection, order[1], name)

        transact(store.runs.engine, cross)

    with ThreadPoolExecutor(2) as threads:
        for done in [threads.submit(work, ids, "x"), threads.submit(work, ids[::-1], "y")]:
            done.result(60)
    assert len(tries) == 3
    assert store.get(ids[0]).name == store.get(ids[1]).name in ("x", "y")


def test_a_connection_that_is_cut_is_made_anew(store: Any) -> None:
    [run_id] = store.start([RunStart("a", {}, {})], store.experiment("one"))
    own, cut = (
        ("pg_backend_pid()", "SELECT pg_terminate_backend({})")
        if store.location.kind == "postgresql"
        else ("connection_id()", "KILL {}")
    )
    tries = []

    def work(connection: Any) -> None:
        rename(connection, run_id, "b")
        tries.append(connection.exec_driver_sql(f"SELECT {own}").scalar())
        if len(tries) == 1:
            servers.query(store.location.absolute, cut.format(tries[0]))
        rename(connection, run_id, "c")

    transact(store.runs.engine, work)
    assert len(set(tries)) == 2
    assert store.get(run_id).name == "c"


def test_two_files_of_a_data_set_at_once(store: Any) -> None:
    """Another process has filed it between our look and our insert: then it is theirs that both runs have."""
    experiment_id = store.experiment("one")
    info = DatasetInfo("xor", "0" * 8, "code", "{}", "{}", "{}")
    looked, filed = [], []

    @event.listens_for(store.runs.engine, "before_cursor_execute")
    def overtake(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if "INSERT INTO datasets" in statement and not looked:
            looked.append(statement)
            filed.extend(store.start([RunStart("theirs", {}, {}, dataset=info)], experiment_id))

    filed += store.start([RunStart("ours", {}, {}, dataset=info)], experiment_id)
    found = servers.query(store.location.absolute, "SELECT source_id, destination_id FROM inputs")
    assert sorted(run_id for _, run_id in found) == sorted(filed)
    assert len({uuid for uuid, _ in found}) == 1
