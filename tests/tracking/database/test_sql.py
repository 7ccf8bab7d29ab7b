"""The bulk writer's own promises: the schema it knows, several processes at once, locks."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import servers
from sqlalchemy import event

import nnspec
from nnspec.errors import TrackingError
from nnspec.settings import Tracking
from nnspec.tracking import open_store
from nnspec.tracking.database.schema import KNOWN_REVISIONS, connect
from nnspec.tracking.database.store import SqlStore
from nnspec.tracking.database.transact import transact
from nnspec.tracking.locate import locate
from nnspec.tracking.records import RunEnd, RunStart, Series

Make = Callable[..., Any]

WRITE = """
import sys
import numpy as np
from nnspec.settings import Tracking
from nnspec.tracking.records import RunEnd, RunStart, Series
from nnspec.tracking import open_store
store = open_store(Tracking())
experiment_id = store.experiment("shared")
for round in range(3):
    who = sys.argv[1]
    starts = [RunStart(f"{who}-{round}-{n}", {"n": str(n)}, {"who": who}, start_time=n) for n in range(20)]
    ids = store.start(starts, experiment_id)
    loss = Series(np.arange(10), np.random.rand(10))
    store.progress([(run_id, {"loss": loss}) for run_id in ids])
    end = lambda run_id: RunEnd(run_id, "FINISHED", {"loss": loss}, {"end": 1.0}, {}, {"a.txt": b"a"}, 5, 9)
    store.finish([end(run_id) for run_id in ids])
assert "mlflow" not in sys.modules, "the bulk writer must do without MLflow: importing it takes seconds"
"""


@pytest.mark.slow
def test_four_processes_into_one_new_file(folder: Path) -> None:
    """None of them finds a database there: making the tables and the experiment is part of the race."""
    environ = {**os.environ, "PYTHONPATH": str(Path(nnspec.__file__).parents[1])}
    running = [
        subprocess.Popen(
            [sys.executable, "-c", WRITE, name], cwd=folder, env=environ, stderr=subprocess.PIPE, text=True
        )
        for name in "abcd"
    ]
    errors = [process.communicate(timeout=120)[1] for process in running]
    assert [process.returncode for process in running] == [0] * 4, errors
    connection = sqlite3.connect(folder / "mlflow.db")
    counts = [
        connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
        for table in ("runs", "params", "metrics", "latest_metrics")
    ]
    assert counts == [240, 240, 240 * 11, 240 * 2]
    assert connection.execute("SELECT count(*) FROM experiments WHERE name = 'shared'").fetchone() == (1,)
    assert connection.execute("SELECT status, count(*) FROM runs GROUP BY status").fetchall() == [("FINISHED", 240)]
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert len(list(folder.rglob("a.txt"))) == 240


def schema(path: Path) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(path)
    found = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master").fetchall()
    tables = [name for kind, name, *_ in found if kind == "table"]
    columns = [(name, connection.execute(f"PRAGMA table_info('{name}')").fetchall()) for name in tables]
    contents = [
        (name, connection.execute(f"SELECT * FROM {name}").fetchall()) for name in ("alembic_version", "workspaces")
    ]
    # MLflow's migrations put the constraints of a table in another order in each process.
    parts = [
        (kind, name, table, sorted(re.split(r",\s*\n", re.sub(r"\s*\)$", "", sql or ""))))
        for kind, name, table, sql in found
    ]
    return sorted(parts) + sorted(columns) + sorted(contents)


def test_the_script_makes_the_schema_that_mlflow_makes(folder: Path) -> None:
    import mlflow

    open_store(Tracking(uri="sqlite:///ours.db")).close()
    mlflow.MlflowClient(tracking_uri=f"sqlite:///{folder}/theirs.db").search_experiments()
    assert schema(folder / "ours.db") == schema(folder / "theirs.db")


def test_mlflow_makes_the_tables_where_there_is_no_script(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "empty"))
    monkeypatch.setattr(sys, "executable", str(folder / "no-python"))  # nor can it be made
    store = open_store(Tracking(writer="sql"))
    assert store.experiment("one") != "0"
    store.close()
    connection = sqlite3.connect("mlflow.db")
    assert {
        revision for (revision,) in connection.execute("SELECT version_num FROM alembic_version")
    } == KNOWN_REVISIONS
    assert not (folder / "empty").exists()


def test_an_unknown_schema_is_left_to_the_client(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    open_store(Tracking()).close()
    store = open_store(Tracking(), {"elder"})
    assert type(store.runs).__name__ == "ClientStore"
    (said,) = capsys.readouterr().err.splitlines()
    assert "tested with (elder), but got revision dc11669786a5; filing through MLflow's client" in said
    store.close()
    with pytest.raises(
        TrackingError,
        match=r"tracking.writer=sql must have a schema .* revision dc11669786a5; use tracking.writer=client",
    ):
        open_store(Tracking(writer="sql"), {"elder"})
    open_store(Tracking(writer="client"), {"elder"}).close()
    assert capsys.readouterr().err == ""


def test_tables_that_another_process_is_making_are_waited_for(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """MySQL shows each step of MLflow's migrations to everyone; whoever makes them holds the lock until they are
    done."""
    fcntl = pytest.importorskip("fcntl")
    open_store(Tracking()).close()
    [revision] = KNOWN_REVISIONS
    servers.query("sqlite:///mlflow.db", "UPDATE alembic_version SET version_num = 'elder'")
    done = f"UPDATE alembic_version SET version_num = '{revision}'"
    monkeypatch.setattr(fcntl, "flock", lambda _file, _how: servers.query("sqlite:///mlflow.db", done))
    store = open_store(Tracking())
    assert type(store.runs).__name__ == "SqlStore"
    store.close()


def test_a_file_with_tables_of_something_else_is_left_alone(folder: Path) -> None:
    servers.query("sqlite:///accounts.db", "CREATE TABLE accounts (name TEXT)")
    before = (folder / "accounts.db").read_bytes()
    with pytest.raises(TrackingError, match=r"must be a database with MLflow's tables or none, but got .*accounts.db"):
        open_store(Tracking(uri="sqlite:///accounts.db"))
    assert (folder / "accounts.db").read_bytes() == before


def test_a_second_start_leaves_the_file_alone(folder: Path) -> None:
    open_store(Tracking()).close()
    before = (folder / "mlflow.db").read_bytes()
    open_store(Tracking()).close()
    assert (folder / "mlflow.db").read_bytes() == before


def impatient() -> SqlStore:
    """A store whose SQLite does not wait for locks itself, so that what is seen is our waiting."""
    location = locate(Tracking())
    return SqlStore(location, connect(location, busy_seconds=0)[0])


def test_a_writer_waits_for_a_lock(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second try succeeds once the lock is gone."""
    store = impatient()
    experiment_id = store.experiment("one")
    lock = sqlite3.connect("mlflow.db", isolation_level=None, check_same_thread=False)
    lock.execute("BEGIN IMMEDIATE")
    waited = threading.Event()

    def release(_seconds: float) -> None:
        if not waited.is_set():
            waited.set()
            lock.execute("ROLLBACK")

    monkeypatch.setattr("nnspec.tracking.patience.sleep", release)
    assert len(store.start([RunStart("a", {}, {})], experiment_id)) == 1
    assert waited.is_set()


def test_a_lock_that_stays_is_an_error_in_words(folder: Path) -> None:
    store = impatient()
    lock = sqlite3.connect("mlflow.db", isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    with pytest.raises(
        TrackingError,
        match=r"the database sqlite:///.*mlflow.db must take what is filed, but got database is locked; mend it",
    ):
        transact(store.engine, lambda connection: connection.exec_driver_sql("DELETE FROM runs"), patience=0)
    lock.execute("ROLLBACK")


def test_a_transaction_that_fails_files_nothing(folder: Path) -> None:
    store = open_store(Tracking())
    run_id = store.start([RunStart("a", {}, {})], store.experiment("one"))[0]
    connection = sqlite3.connect("mlflow.db", isolation_level=None)
    connection.execute("CREATE TRIGGER full BEFORE UPDATE ON runs BEGIN SELECT RAISE(ABORT, 'disk is full'); END")
    end = RunEnd(
        run_id,
        "FINISHED",
        {"loss": Series(np.arange(3), np.zeros(3))},
        {"end": 1.0},
        {"new": "tag"},
        {"a.txt": b"a"},
        5,
        2,
    )
    with pytest.raises(TrackingError, match="but got disk is full"):
        store.finish([end])
    facts = store.get(run_id)
    assert facts.status == "RUNNING"
    assert facts.metrics == {}
    assert "new" not in facts.tags
    connection.execute("DROP TRIGGER full")
    store.finish([end])
    assert store.get(run_id).status == "FINISHED"
    assert store.get(run_id).metrics == {"loss": 0, "end": 1}


@pytest.mark.parametrize("location", ["mlflow-artifacts:/1"])
def test_artifacts_behind_a_server_need_the_server(folder: Path, location: str) -> None:
    store = open_store(Tracking())
    store.experiment("one")
    connection = sqlite3.connect("mlflow.db")
    connection.execute("UPDATE experiments SET artifact_location = ?", (location,))
    connection.commit()
    with pytest.raises(
        TrackingError,
        match=r"must keep its artifacts where this process can write them, but got mlflow-artifacts:/1; set",
    ):
        store.experiment("one")


def test_more_runs_than_a_transaction_holds(folder: Path, started: Callable[..., RunStart], cell: Any) -> None:
    location = locate(Tracking())
    store = SqlStore(location, connect(location)[0], most_runs=3, most_points=50)
    experiment_id = store.experiment("one")
    ids = store.start([started(cell(seed=seed)) for seed in range(8)], experiment_id)
    store.finish(
        [RunEnd(run_id, history={"loss": Series(np.arange(30), np.full(30, float(n)))}) for n, run_id in enumerate(ids)]
    )
    assert [(store.get(run_id).params["seed"], store.get(run_id).metrics) for run_id in ids] == [
        (str(n), {"loss": n}) for n in range(8)
    ]
    connection = sqlite3.connect("mlflow.db")
    assert connection.execute("SELECT count(*) FROM metrics").fetchone() == (240,)
    assert connection.execute("SELECT count(*) FROM datasets").fetchone() == (1,)


def test_an_artifact_store_that_refuses_is_said_and_the_run_stays_open(
    folder: Path, monkeypatch: pytest.MonkeyPatch, cell: Make, started: Make, ended: Make
) -> None:
    """Whatever it raises: an error of another kind would not be spooled."""
    import mlflow

    def refuse(*_: Any) -> None:
        raise LookupError("no such bucket\nand a long story")

    monkeypatch.setattr(mlflow.MlflowClient, "log_artifacts", refuse)
    store = open_store(Tracking())
    experiment_id = store.experiment("nnspec-xor")
    with closing(sqlite3.connect("mlflow.db")) as connection:
        connection.execute("UPDATE experiments SET artifact_location = 's3://gone/away'")
        connection.commit()
    (run_id,) = store.start([started(cell())], experiment_id)
    with pytest.raises(
        TrackingError, match=f"the artifacts of run {run_id} must be taken by their store, but got no such bucket; mend"
    ):
        store.finish([ended(cell(), run_id)])
    assert store.get(run_id).status == "RUNNING"


def test_a_connection_that_breaks_as_it_is_given_back_is_no_news(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """SQLAlchemy lets it go and makes another; what it logs would end as a traceback in the terminal."""
    location = locate(Tracking())
    store = SqlStore(location, connect(location)[0])

    def broken(*about: object) -> None:
        raise OSError("the server has gone")

    event.listen(store.engine, "reset", broken)
    with store.engine.connect() as connection:
        connection.exec_driver_sql("SELECT 1")
    event.remove(store.engine, "reset", broken)
    assert not caplog.records
    assert store.experiment("one") == store.experiment("one")


def test_a_run_ends_once_its_artifacts_are_there(folder: Path) -> None:
    """They are written beside the transaction: neither of the two may be filed as done without the other."""
    store = open_store(Tracking())
    (run_id,) = store.start([RunStart("a", {}, {})], store.experiment("artifacts"))
    root = next(Path(uri) for (uri,) in rows_of(folder, "SELECT artifact_uri FROM runs"))
    loss = Series(np.arange(3), np.arange(3.0))
    end = RunEnd(run_id, "FINISHED", {"loss": loss}, {}, {"tag": "1"}, {"a.txt": b"a"}, 5, 9)
    root.parent.mkdir(parents=True)
    root.write_text("in the way")
    with pytest.raises(TrackingError, match="must be written"):
        store.finish([end])
    assert rows_of(folder, "SELECT status, end_time FROM runs") == [("RUNNING", None)]
    root.unlink()
    store.finish([end])
    assert rows_of(folder, "SELECT status, end_time FROM runs") == [("FINISHED", 5)]
    assert rows_of(folder, "SELECT step FROM metrics ORDER BY step") == [(0,), (1,), (2,)]
    assert (root / "a.txt").read_bytes() == b"a"


def rows_of(folder: Path, query: str) -> list[Any]:
    with closing(sqlite3.connect(folder / "mlflow.db")) as connection:
        return list(connection.execute(query))
