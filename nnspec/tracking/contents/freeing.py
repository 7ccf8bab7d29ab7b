"""Freeing what is left over. An interruption at any moment leaves what can be freed by the same again: the artifacts
of a run go first, and its rows in the transaction in which they went."""

from __future__ import annotations

import functools
import sqlite3
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import and_, column, delete, inspect, select, table, update

from nnspec.errors import Fault, TrackingError
from nnspec.tracking.contents.disk import remove
from nnspec.tracking.contents.leftovers import DeletedRun, Leftovers
from nnspec.tracking.database.schema import BUSY_SECONDS, tables
from nnspec.tracking.database.store import SqlStore
from nnspec.tracking.database.transact import transact
from nnspec.tracking.limits import batches

if TYPE_CHECKING:
    from sqlalchemy import Connection

RUNS_A_TRANSACTION = 500
REMOVERS = 8  # threads, which wait for the disk most of the time
# Tables whose rows are a run's, with the column that says whose.
_OF_A_RUN = dict.fromkeys(("metrics", "latest_metrics", "params", "tags"), "run_uuid") | {
    "logged_model_metrics": "run_id"
}
_OF_AN_EXPERIMENT = ("experiment_tags", "datasets")  # rows that go with it; with others in it, it stays


def free(store: SqlStore, found: Leftovers, most_runs: int = RUNS_A_TRANSACTION) -> int:
    """Free what was found, and return how many runs went. A run that was restored meanwhile stays.

    Raises:
        TrackingError: the database or the disk refuses; what is left can be freed later.
    """
    freed = 0
    for batch in batches(found.runs, most_runs):
        freed += transact(store.engine, functools.partial(_free_runs, runs=batch))
    for path in found.folders:
        remove(path)
    for number, root in found.experiments.items():
        gone = transact(store.engine, functools.partial(_free_experiment, number=number))
        if gone and root is not None:
            with suppress(OSError):  # there is something in it
                root.rmdir()
    return freed


def _free_runs(connection: Connection, runs: Sequence[DeletedRun]) -> int:
    run = tables().runs
    asked = select(run.c.run_uuid).where(run.c.run_uuid.in_([one.run_id for one in runs]))
    ids = list(connection.scalars(asked.where(run.c.lifecycle_stage == "deleted").with_for_update()))
    with ThreadPoolExecutor(REMOVERS) as pool:
        list(pool.map(remove, [one.folder for one in runs if one.run_id in ids and one.folder is not None]))
    _delete_links(connection, ids)
    for name, key in _OF_A_RUN.items():
        _delete(connection, name, key, ids)
    issues = table("issues", column("source_run_id"))
    connection.execute(update(issues).where(issues.c.source_run_id.in_(ids)).values(source_run_id=None))
    _delete(connection, "runs", "run_uuid", ids)
    return len(ids)


def _delete_links(connection: Connection, ids: Sequence[str]) -> None:
    """What says which data sets and models went into runs and came out of them, and which traces are theirs."""
    links = tables().inputs
    goals = and_(links.c.destination_type == "RUN", links.c.destination_id.in_(ids))
    sources = and_(links.c.source_type.in_(("RUN_INPUT", "RUN_OUTPUT")), links.c.source_id.in_(ids))
    for mine in (goals, sources):
        for batch in batches(list(connection.scalars(select(links.c.input_uuid).where(mine))), RUNS_A_TRANSACTION):
            _delete(connection, "input_tags", "input_uuid", batch)
        connection.execute(delete(links).where(mine))
    for end in ("source", "destination"):
        ends = table("entity_associations", column(f"{end}_type"), column(f"{end}_id"))
        kind, one = ends.c
        connection.execute(delete(ends).where(kind == "run", one.in_(ids)))


def _free_experiment(connection: Connection, number: int) -> bool:
    """Delete a deleted experiment in which nothing is left; whether it went."""
    experiment, key = tables().experiments, "experiment_id"
    asked = select(experiment.c.lifecycle_stage).where(experiment.c.experiment_id == number).with_for_update()
    if connection.scalar(asked) != "deleted":
        return False
    look = inspect(connection)
    others = set(look.get_table_names()) - {"experiments", *_OF_AN_EXPERIMENT}
    for name in others:
        if any(one["name"] == key for one in look.get_columns(name)):
            theirs = table(name, column(key)).c[key]
            if connection.scalar(select(theirs).where(theirs == number).limit(1)) is not None:
                return False
    for name in (*_OF_AN_EXPERIMENT, "experiments"):
        _delete(connection, name, key, [number])
    return True


def _delete(connection: Connection, name: str, key: str, values: Sequence[object]) -> None:
    connection.execute(delete(table(name, column(key))).where(column(key).in_(values)))


def pages(file: Path) -> tuple[int, int]:
    """The bytes of a SQLite file, and of these such as are free for rows to come."""
    with closing(sqlite3.connect(file, timeout=BUSY_SECONDS)) as connection:
        size, count, unused = (
            connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_size", "page_count", "freelist_count")
        )
    return size * count, size * unused


def shrink(file: Path, busy_seconds: int = BUSY_SECONDS) -> None:
    """Give the free pages of a SQLite file back to the disk, which takes as much room again while it lasts.

    Raises:
        TrackingError: another process has the file, or there is no room.
    """
    try:
        with closing(sqlite3.connect(file, timeout=busy_seconds, isolation_level=None)) as connection:
            connection.execute("VACUUM")
    except sqlite3.Error as error:
        remedy = f"free some room, or stop what uses it; then sqlite3 {file.name} VACUUM"
        raise TrackingError(Fault(f"the database {file}", "must shrink", str(error), remedy)) from error
