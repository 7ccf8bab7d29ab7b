"""MLflow's own tables, as far as the bulk writer needs them, and the way to a database that has them."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
from collections.abc import Collection, Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from nnspec.errors import TrackingError
from nnspec.files import open_note
from nnspec.tracking.database.template import schema_script
from nnspec.tracking.files import lock
from nnspec.tracking.locate import Location, refuse, unreachable

if TYPE_CHECKING:
    from sqlalchemy import Engine, Table

# Alembic revisions of MLflow's schema that the contract suite has passed on; dc11669786a5 is MLflow 3.17's.
KNOWN_REVISIONS = frozenset({"dc11669786a5"})
BUSY_SECONDS = 60
# Locks of the database that a connection is to; MySQL's are the server's, so they are named after the database.
_LOCKS = {
    "postgresql": "SELECT pg_advisory_lock(7308332183884161125)",
    "mysql": "SELECT GET_LOCK(CONCAT('nnspec-', MD5(DATABASE())), 600)",
}
CONNECT_SECONDS = 4
# others are named as their driver
_PACKAGES = {"psycopg": "'psycopg[binary]'", "psycopg2": "psycopg2-binary", "mysqldb": "mysqlclient"}


class Tables(NamedTuple):
    """The tables that a run is filed in."""

    experiments: Table
    experiment_tags: Table
    runs: Table
    params: Table
    tags: Table
    metrics: Table
    latest: Table
    datasets: Table
    inputs: Table
    input_tags: Table


@cache
def tables() -> Tables:
    """Column names and kinds only: the tables exist already, with their own constraints and indexes."""
    from sqlalchemy import BigInteger, Boolean, Column, Float, Integer, MetaData, String, Table, Text

    kinds: dict[type, Any] = {
        int: BigInteger,
        str: String,
        float: Float(53),
        bool: Boolean(create_constraint=False),
        bytes: Text,
    }

    def table(name: str, keys: str = "", /, **columns: type) -> Table:
        first = [Column(key, Integer, primary_key=True) for key in keys.split()]
        return Table(name, MetaData(), *first, *(Column(column, kinds[kind]) for column, kind in columns.items()))

    def texts(names: str, kind: type = str) -> dict[str, type]:
        return dict.fromkeys(names.split(), kind)

    pair = texts("key value run_uuid")
    metric = {"key": str, "value": float, "timestamp": int, "step": int, "is_nan": bool, "run_uuid": str}
    run = texts(
        "run_uuid name source_type source_name entry_point_name user_id status source_version lifecycle_stage "
        "artifact_uri"
    )
    run |= texts("start_time end_time deleted_time experiment_id", int)
    experiment = texts("name workspace artifact_location lifecycle_stage")
    dataset = texts("dataset_uuid name digest dataset_source_type") | texts(
        "dataset_source dataset_schema dataset_profile", bytes
    )
    return Tables(
        experiments=table("experiments", "experiment_id", **experiment, creation_time=int, last_update_time=int),
        experiment_tags=table("experiment_tags", **texts("key value"), experiment_id=int),
        runs=table("runs", **run),
        params=table("params", **pair),
        tags=table("tags", **pair),
        metrics=table("metrics", **metric),
        latest=table("latest_metrics", **metric),
        datasets=table("datasets", **dataset, experiment_id=int),
        inputs=table("inputs", **texts("input_uuid source_type source_id destination_type destination_id")),
        input_tags=table("input_tags", input_uuid=str, name=str, value=str),
    )


def connect(
    location: Location, known: Collection[str] = KNOWN_REVISIONS, busy_seconds: int = BUSY_SECONDS
) -> tuple[Engine, str]:
    """An engine on the database and its schema revision; MLflow's tables are made if it has none.

    ``known`` revisions are taken as they are found. SQLite waits ``busy_seconds`` for a lock before it says that the
    file is locked.

    Raises:
        TrackingError: if the database does not answer within seconds, or has tables that are not MLflow's.
    """
    from sqlalchemy.exc import SQLAlchemyError

    try:
        if location.file is not None:
            _create_by_script(location.file, busy_seconds)
        engine = _engine(location, busy_seconds)
        found = revision(engine)
        if found not in known:
            with _alone(location, engine):  # another process may be making the tables: MySQL shows them half made
                found = revision(engine)
                if found is None and not _foreign(location, engine):
                    _create_by_mlflow(location)
                    found = revision(engine)
    except (SQLAlchemyError, sqlite3.Error, OSError) as error:
        raise unreachable(location, getattr(error, "orig", None) or error) from error
    if found is None:
        raise refuse("must be a database with MLflow's tables or none", location.uri, "name another one")
    return engine, found


def revision(engine: Engine) -> str | None:
    """The Alembic revision of the database's schema; None if it has no MLflow tables."""
    from sqlalchemy import inspect

    with engine.connect() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        return connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()


def _foreign(location: Location, engine: Engine) -> bool:
    """Whether a SQLite file has tables of something else alone; a server's database may be shared."""
    from sqlalchemy import inspect

    found, ours = set(inspect(engine).get_table_names()), {table.name for table in tables()}
    return location.file is not None and bool(found) and not found & ours


def _engine(location: Location, busy_seconds: int) -> Engine:
    from sqlalchemy import URL, create_engine
    from sqlalchemy.exc import NoSuchModuleError

    # a connection that breaks as it is given back is let go, and the next one made: its log, a traceback, is no news
    logging.getLogger("sqlalchemy.pool").setLevel(logging.CRITICAL)
    try:
        if location.file is not None:
            return _sqlite_engine(create_engine(URL.create("sqlite", database=str(location.file))), busy_seconds)
        seconds = {"timeout" if location.kind == "mssql" else "connect_timeout": CONNECT_SECONDS}
        # MySQL's own level shows a transaction what was there when it began, not what another process has filed since.
        return create_engine(
            location.absolute, connect_args=seconds, pool_pre_ping=True, isolation_level="READ COMMITTED"
        )
    except (ModuleNotFoundError, NoSuchModuleError) as error:
        driver = location.absolute.partition("://")[0].partition("+")[2].lower()
        remedy = f"pip install {_PACKAGES.get(driver, driver)}"
        raise refuse(f"must be a database whose driver is installed ({error})", location.uri, remedy) from None


def _sqlite_engine(engine: Engine, busy_seconds: int) -> Engine:
    from sqlalchemy import event

    @event.listens_for(engine, "connect")
    def set_up(connection: Any, _record: object) -> None:
        connection.text_factory = lambda raw: raw.decode(errors="replace")  # a file from elsewhere may hold any bytes
        connection.isolation_level = None  # sqlite3 must not begin transactions by itself: see begin
        connection.execute(f"PRAGMA busy_timeout = {busy_seconds * 1000}")
        # A transaction that outgrows the cache locks out every reader until it ends.
        connection.execute("PRAGMA cache_size = -65536")

    @event.listens_for(engine, "checkin")
    def hand_back(connection: Any, _record: object) -> None:
        if connection is not None:  # one that broke is gone
            connection.execute("PRAGMA shrink_memory")  # the cache is for one transaction, not for the rest of a sweep

    @event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:
        # A deferred transaction that turns writer fails at once if another wrote meanwhile; an immediate one waits its
        # turn.
        write = connection.get_execution_options().get("nnspec_write", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine


def _create_by_script(file: Path, busy_seconds: int) -> None:
    """Give an empty SQLite file MLflow's tables; nothing if it has some, or there is no script."""
    if file.exists() and file.stat().st_size > 0:
        return
    script = schema_script()
    if script is None:
        return
    connection = sqlite3.connect(file, timeout=busy_seconds, isolation_level=None)
    with contextlib.closing(connection):
        connection.execute("BEGIN IMMEDIATE")
        if connection.execute("SELECT 1 FROM sqlite_master").fetchone() is None:  # another process may have been first
            for statement in _statements(script):
                connection.execute(statement)
        connection.execute("COMMIT")


def _statements(script: str) -> Iterator[str]:
    """Single statements: ``executescript`` would commit the transaction around it."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


@contextlib.contextmanager
def _alone(location: Location, engine: Engine) -> Iterator[None]:
    """One process at a time, wherever it runs: two that make MLflow's tables at once trip over each other. A server
    holds the lock as long as the connection lasts; for a file it is a file beside it."""
    if location.file is not None:
        with open_note(f"{location.file}-schema.lock") as file:
            lock(file)
            yield
        return
    with engine.connect() as connection:
        connection.detach()  # else the pool would keep the connection, and so the lock
        if location.kind in _LOCKS:
            connection.exec_driver_sql(_LOCKS[location.kind])
        yield


def _create_by_mlflow(location: Location) -> None:
    if find_spec("mlflow") is None:
        raise TrackingError(
            "tracking needs MLflow, which is not installed; pip install mlflow, or train with tracking=off"
        )
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    try:
        MlflowClient(tracking_uri=location.absolute).search_experiments(max_results=1)
    except MlflowException as error:
        raise unreachable(location, error) from error
