"""Which store is meant, and what is said when it is none."""

from __future__ import annotations

import re
import socket
import sys
from pathlib import Path

import pytest

from nnspec.errors import TrackingError
from nnspec.settings import Tracking
from nnspec.tracking import open_store
from nnspec.tracking.locate import DRIVERS, Location, locate, reach_server, run_page, ui_command, uri_flag


def test_the_setting_comes_before_the_environment_before_the_default(folder: Path) -> None:
    environ = {"MLFLOW_TRACKING_URI": "http://server:5000"}
    assert locate(Tracking(uri="sqlite:///mine.db"), environ).file == folder / "mine.db"
    assert locate(Tracking(), environ) == Location("http://server:5000", "http")
    assert locate(Tracking(), {}) == Location("sqlite:///mlflow.db", "sqlite", folder / "mlflow.db")
    assert locate(Tracking(uri="postgresql+psycopg2://me@host/db"), {}).kind == "postgresql"


@pytest.mark.parametrize(
    ("uri", "text"),
    [
        (
            "nonsense://x",
            "must start with one of sqlite, .* but got 'nonsense://x'; try tracking.uri=sqlite:///mlflow.db or "
            "tracking=off",
        ),
        ("sqlite://", "must name a file of its own, but got 'sqlite://'; try"),
        ("sqlite:///:memory:", "must name a file of its own"),
        (
            "sqlite+pysqlcipher:///a.db",
            r"must be sqlite or sqlite\+pysqlite, for no other driver is known, but got .*; try sqlite:///a.db",
        ),
        ("sqlite+aiosqlite:///a.db", r"must be sqlite or sqlite\+pysqlite"),
        (
            "postgresql+asyncpg://host/db",
            r"must be postgresql or postgresql\+psycopg or postgresql\+psycopg2, for no other",
        ),
        ("mysql+aiomysql://host/db", r"must be mysql or mysql\+mysqldb or mysql\+pymysql, for no other"),
        ("http+unix://host", "must be http, for no other driver is known"),
        (
            "sqlite:///a.db?mode=ro",
            r"must have no parameters, because none is obeyed \(\?mode=ro\), .*; try tracking.uri=sqlite:///a.db$",
        ),
        ("sqlite:///a.db?timeout=9", "must have no parameters"),
        ("sqlite:///file:a.db?mode=ro&uri=true", "must have no parameters"),
        (
            "sqlite:////nosuch/d/m.db",
            r"must lie in a folder that exists \(/nosuch/d does not\), .*; make the folder, or name another",
        ),
        ("sqlite:///below/m.db", r"must lie in a folder that exists \(.*below does not\)"),
        ("./mlruns", "MLflow has closed its file store, but got './mlruns'; try .* MLFLOW_ALLOW_FILE_STORE=true"),
        ("file:///tmp/mlruns", "MLflow has closed its file store"),
    ],
)
def test_what_is_no_store(uri: str, text: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_ALLOW_FILE_STORE", raising=False)
    with pytest.raises(TrackingError, match=f"tracking.uri .*{text}") as caught:
        open_store(Tracking(uri=uri))
    assert "\n" not in str(caught.value)
    assert list(folder.iterdir()) == []


def test_a_server_that_is_not_there_is_known_at_once(folder: Path, clock: list[float]) -> None:
    with pytest.raises(
        TrackingError,
        match=r"tracking.uri must be a store that answers \(.*refused\), but got 'http://127.0.0.1:9/'; start the",
    ):
        open_store(Tracking(uri="http://127.0.0.1:9/"))
    assert clock == []  # nobody waited for another try


def test_a_server_that_hangs_is_given_up(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        uri = f"http://me:secret@127.0.0.1:{deaf.getsockname()[1]}"
        with pytest.raises(
            TrackingError, match=r"must be a store that answers \(.*\), but got 'http://me:\*\*\*@127.0.0.1"
        ) as caught:
            reach_server(locate(Tracking(uri=uri)), seconds=0.2)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("content", [b"not a database at all, but long enough to be looked at as one" * 20])
def test_a_file_that_is_no_database(folder: Path, content: bytes) -> None:
    (folder / "mlflow.db").write_bytes(content)
    with pytest.raises(TrackingError, match=r"must be a store that answers \(file is not a database\)"):
        open_store(Tracking())
    assert (folder / "mlflow.db").read_bytes() == content


def test_a_folder_that_cannot_be_written(folder: Path) -> None:
    (folder / "taken").write_text("")
    with pytest.raises(TrackingError, match="must be a store that answers"):
        open_store(Tracking(uri="sqlite:///taken/mlflow.db"))


def test_the_writer_must_fit(folder: Path) -> None:
    with pytest.raises(
        TrackingError,
        match=r"must be a database for tracking.writer=sql, but got 'http://host'; use tracking.writer=auto",
    ):
        open_store(Tracking(uri="http://host", writer="sql"))


@pytest.mark.parametrize(
    ("scheme", "package"),
    [
        ("mssql", "pyodbc"),
        ("mysql", "pymysql"),
        ("mysql+mysqldb", "mysqlclient"),
        ("postgresql", r"'psycopg\[binary\]'"),
        ("postgresql+psycopg2", "psycopg2-binary"),
    ],
)
def test_a_missing_driver_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch, scheme: str, package: str) -> None:
    for names in DRIVERS.values():
        for name in names:
            monkeypatch.setitem(sys.modules, name, None)
    rule = (
        rf"must be a database whose driver is installed \(.*\), but got '{re.escape(scheme)}://me:\*\*\*@host/db'; "
        rf"pip install {package}$"
    )
    with pytest.raises(TrackingError, match=rule):
        open_store(Tracking(uri=f"{scheme}://me:secret@host/db"))


@pytest.mark.parametrize(
    ("installed", "scheme"),
    [({"pymysql", "MySQLdb"}, "mysql+pymysql"), ({"MySQLdb"}, "mysql+mysqldb"), (set(), "mysql+pymysql")],
)
def test_the_driver_that_is_there_is_taken(monkeypatch: pytest.MonkeyPatch, installed: set[str], scheme: str) -> None:
    monkeypatch.setattr("nnspec.tracking.locate.find_spec", lambda name: name if name in installed else None)
    location = locate(Tracking(uri="mysql://me:secret@host/db"), {})
    assert location.absolute == f"{scheme}://me:secret@host/db"
    assert ui_command(location).endswith(f"mlflow ui --backend-store-uri '{scheme}://me:***@host/db'")
    assert locate(Tracking(uri="mysql+mysqldb://host/db"), {}).absolute == "mysql+mysqldb://host/db"


@pytest.mark.parametrize(
    ("location", "server"),
    [
        (Location("sqlite:///mlflow.db", "sqlite", Path("/mlflow.db")), "http://127.0.0.1:5000"),
        (Location("postgresql://me:secret@host/db", "postgresql"), "http://127.0.0.1:5000"),
        (Location("http://host:8080", "http"), "http://host:8080"),
        (Location("https://host/mlflow/", "http"), "https://host/mlflow"),
        (Location("https://me:secret@host/", "http"), "https://host"),
    ],
)
def test_a_runs_page_is_that_of_model_training(location: Location, server: str) -> None:
    page = run_page(location, "3", "abc")
    assert page == f"{server}/#/experiments/3/runs/abc?workflowType=machine_learning"


def test_the_ui_command(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = ui_command(locate(Tracking(uri="sqlite:///my runs.db"), {}))
    assert command.endswith("mlflow ui --backend-store-uri 'sqlite:///my runs.db'")
    secret = Location("postgresql://me:secret@host/db", "postgresql")
    assert "secret" not in ui_command(secret)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", secret.uri)
    assert ui_command(secret).endswith('--backend-store-uri "$MLFLOW_TRACKING_URI"')


def test_a_command_needs_a_store_named_where_it_would_look_elsewhere() -> None:
    default, other = locate(Tracking(), {}), Location("postgresql://me:secret@host/my db", "postgresql")
    assert uri_flag(default, {}) == ""
    assert uri_flag(other, {"MLFLOW_TRACKING_URI": other.uri}) == ""
    assert uri_flag(other, {}) == " --uri 'postgresql://me:***@host/my db'"
    assert uri_flag(default, {"MLFLOW_TRACKING_URI": other.uri}) == " --uri sqlite:///mlflow.db"
