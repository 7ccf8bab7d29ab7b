"""The bulk writer: thousands of runs into MLflow's own tables in a few transactions.

``rows`` knows what goes into which column; the contract suite reads all of it back through MLflow's client.
"""

from __future__ import annotations

import functools
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from sqlalchemy import Select, Update, and_, insert, select, update
from sqlalchemy.exc import IntegrityError

from nnspec.errors import Fault, NoSuchRun, TrackingError
from nnspec.tracking.files import local_path, write_files
from nnspec.tracking.limits import batches, checked_experiment, clip, clipped_tags
from nnspec.tracking.locate import Location
from nnspec.tracking.records import EXPERIMENT_KIND, FINGERPRINT_TAG, PARENT_TAG, SWEEP_TAG, RunEnd, RunStart, Series
from nnspec.tracking.remote import download, upload
from nnspec.tracking.rows import IDS_A_QUERY, StartRows, file_ends, file_points, merge_tags
from nnspec.tracking.schema import tables
from nnspec.tracking.store import Child, RunFacts, as_text, now_ms
from nnspec.tracking.transact import transact

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine, Table

RUNS_A_TRANSACTION = 500
POINTS_A_TRANSACTION = 125_000
WORKSPACE = "default"
_Found = tuple[int, str, str, str | None]  # an experiment: id, lifecycle stage, artifact folder, kind


class SqlStore:
    """Files runs straight into the database; see ``Store`` for what each method promises."""

    def __init__(self, location: Location, engine: Engine):
        self.location = location
        self._engine = engine

    def experiment(self, name: str) -> str:
        """See ``Store.experiment``."""
        found = transact(self._engine, lambda connection: _experiment(connection, name), write=False)
        if found is None:
            found = transact(self._engine, lambda connection: self._new_experiment(connection, name))
        number, stage, folder, kind = found
        if stage != "active":
            raise TrackingError(
                str(Fault("tracking.experiment", "must not be deleted", f"'{name}'", "restore it or name another"))
            )
        if str(folder).startswith("mlflow-artifacts:"):
            rule = "must keep its artifacts where this process can write them"
            raise TrackingError(
                str(Fault(f"experiment '{name}'", rule, folder, "set tracking.uri to its server's http address"))
            )
        if kind is None:
            transact(self._engine, lambda connection: _set_kind(connection, number))
        return str(number)

    def _new_experiment(self, connection: Connection, name: str) -> _Found:
        checked_experiment(name)
        table, now = tables().experiments, now_ms()
        folder = self.location.artifact_folder(name)
        row = {"name": name, "workspace": WORKSPACE, "artifact_location": folder, "lifecycle_stage": "active"}
        try:
            with connection.begin_nested():
                connection.execute(insert(table).values(**row, creation_time=now, last_update_time=now))
        except IntegrityError:
            pass  # another process made it between our look and our insert
        found = _experiment(connection, name)
        if found is None:
            raise TrackingError(f"the experiment '{name}' could not be made in {self.location.shown}")
        return found

    def start(self, runs: Sequence[RunStart], experiment_id: str) -> list[str]:
        """See ``Store.start``."""
        ids: list[str] = []
        for batch in batches(runs, RUNS_A_TRANSACTION):
            new = sorted(_run_id() for _ in batch)  # those of one millisecond rise, too
            rows = StartRows(batch, new, int(experiment_id))
            transact(self._engine, rows.file)
            ids += new
        return ids

    def progress(self, items: Sequence[tuple[str, Mapping[str, Series]]]) -> None:
        """See ``Store.progress``."""
        now = now_ms()
        for batch in _by_points(items, lambda item: sum(len(series.steps) for series in item[1].values())):
            runs = [RunEnd(run_id, history=history, end_time=now) for run_id, history in batch]
            transact(self._engine, lambda connection, runs=runs: file_points(connection, runs))  # type: ignore[misc]

    def finish(self, ends: Sequence[RunEnd]) -> None:
        """See ``Store.finish``."""
        for batch in _by_points(ends, lambda end: 10 + sum(len(series.steps) for series in end.history.values())):
            folders = transact(self._engine, functools.partial(_folders, ends=batch), write=False)
            for end in batch:
                self._write_artifacts(end, folders.get(end.run_id))
            transact(self._engine, lambda connection, batch=batch: file_ends(connection, batch))  # type: ignore[misc]

    def _write_artifacts(self, end: RunEnd, folder: str | None) -> None:
        if folder is None:
            raise _missing(end.run_id, self.location)
        root = local_path(folder)
        if root is not None:
            write_files(root, end.artifacts)
        elif end.artifacts:
            upload(self.location, end.run_id, end.artifacts)

    def find_children(self, parent_id: str) -> list[Child]:
        """See ``Store.find_children``."""
        self.get(parent_id)  # an unknown id is an error, not a sweep without cells
        every = tables()
        parent, mark, run = every.tags.alias(), every.tags.alias(), every.runs
        joined = run.join(parent, parent.c.run_uuid == run.c.run_uuid).outerjoin(
            mark, and_(mark.c.run_uuid == run.c.run_uuid, mark.c.key == FINGERPRINT_TAG)
        )
        query = select(run.c.run_uuid, mark.c.value, run.c.status).select_from(joined)
        query = query.where(parent.c.key == PARENT_TAG, parent.c.value == parent_id, run.c.lifecycle_stage == "active")
        rows = self._read(query.order_by(run.c.start_time, run.c.run_uuid))
        return [Child(*map(as_text, row)) for row in rows]

    def latest_sweep(self, experiment_id: str, tags: Mapping[str, str] | None = None) -> str | None:
        """See ``Store.latest_sweep``."""
        run, every = tables().runs, tables().tags
        query = select(run.c.run_uuid).where(
            run.c.experiment_id == int(experiment_id), run.c.lifecycle_stage == "active"
        )
        query = query.where(run.c.run_uuid.in_(select(every.c.run_uuid).where(every.c.key == SWEEP_TAG)))
        for key, value in (tags or {}).items():
            query = query.where(
                run.c.run_uuid.in_(select(every.c.run_uuid).where(every.c.key == key, every.c.value == value))
            )
        rows = self._read(query.order_by(run.c.start_time.desc(), run.c.run_uuid.desc()).limit(1))
        return rows[0][0] if rows else None

    def finished(self, experiment_id: str, fingerprints: Sequence[str]) -> dict[str, str]:
        """See ``Store.finished``."""
        run, tag = tables().runs, tables().tags
        found: dict[str, str] = {}
        for batch in batches(sorted(set(fingerprints)), IDS_A_QUERY):
            query = select(tag.c.value, run.c.run_uuid).join(run, run.c.run_uuid == tag.c.run_uuid)
            query = query.where(
                tag.c.key == FINGERPRINT_TAG, tag.c.value.in_(batch), run.c.experiment_id == int(experiment_id)
            )
            query = query.where(run.c.status == "FINISHED", run.c.lifecycle_stage == "active")
            found.update(dict(self._read(query.order_by(run.c.start_time, run.c.run_uuid))))
        return found

    def tagged(self, experiment_id: str, key: str, value: str) -> list[RunFacts]:
        """See ``Store.tagged``."""
        run, tag = tables().runs, tables().tags
        query = select(run.c.run_uuid).join(tag, run.c.run_uuid == tag.c.run_uuid)
        query = query.where(tag.c.key == key, tag.c.value == value, run.c.experiment_id == int(experiment_id))
        rows = self._read(query.where(run.c.lifecycle_stage == "active").order_by(run.c.start_time, run.c.run_uuid))
        return [self.get(run_id) for (run_id,) in rows]

    def get(self, run_id: str) -> RunFacts:
        """See ``Store.get``."""
        every = tables()

        def pairs(table: Table) -> dict[str, Any]:
            rows = self._read(select(table).where(table.c.run_uuid == run_id).order_by(table.c.key))
            return {row.key: float("nan") if getattr(row, "is_nan", False) else row.value for row in rows}

        rows = self._read(select(every.runs).where(every.runs.c.run_uuid == run_id))
        if not rows:
            raise _missing(run_id, self.location)
        run = rows[0]
        tags, params, metrics = pairs(every.tags), pairs(every.params), pairs(every.latest)
        about = run_id, str(run.experiment_id), run.name, run.status
        return RunFacts(*about, tags, params, metrics, run.start_time, run.end_time, run.lifecycle_stage == "deleted")

    def set_status(self, run_ids: Sequence[str], status: str, end_time: int | None = None) -> None:
        """See ``Store.set_status``."""
        values: dict[str, Any] = {"status": status} if end_time is None else {"status": status, "end_time": end_time}
        self._update_runs(run_ids, values)

    def set_tags(self, run_id: str, tags: Mapping[str, str]) -> None:
        """See ``Store.set_tags``."""
        transact(self._engine, lambda connection: merge_tags(connection, {run_id: clipped_tags(tags)}))

    def delete(self, run_ids: Sequence[str]) -> None:
        """See ``Store.delete``."""
        self._update_runs(run_ids, {"lifecycle_stage": "deleted", "deleted_time": now_ms()})

    def _update_runs(self, run_ids: Sequence[str], values: dict[str, Any]) -> None:
        run = tables().runs
        for batch in batches(run_ids, IDS_A_QUERY):
            change = update(run).where(run.c.run_uuid.in_(batch)).values(**values)
            transact(self._engine, functools.partial(_execute, change=change))

    def artifact(self, run_id: str, path: str) -> bytes:
        """See ``Store.artifact``."""
        run = tables().runs
        rows = self._read(select(run.c.artifact_uri).where(run.c.run_uuid == run_id))
        if not rows:
            raise _missing(run_id, self.location)
        return download(self.location, run_id, path, rows[0][0])

    def close(self) -> None:
        """See ``Store.close``."""
        self._engine.dispose()

    def _read(self, query: Select[Any]) -> list[Any]:
        return read_rows(self._engine, query)


def read_rows(engine: Engine, query: Any) -> list[Any]:
    """What a query finds.

    Raises:
        TrackingError: the database refuses, or holds what no column of MLflow's may hold.
    """
    try:
        return transact(engine, lambda connection: list(connection.execute(query)), write=False)
    except (ValueError, TypeError, OverflowError) as error:
        where = f"the database {engine.url.render_as_string(hide_password=True)}"
        raise TrackingError(str(Fault(where, "must hold what MLflow files", str(error), "mend it"))) from error


def _execute(connection: Connection, change: Update) -> None:
    connection.execute(change).close()


def _folders(connection: Connection, ends: Sequence[RunEnd]) -> dict[str, str]:
    run = tables().runs
    found: dict[str, str] = {}
    for batch in batches([end.run_id for end in ends], IDS_A_QUERY):
        query = select(run.c.run_uuid, run.c.artifact_uri).where(run.c.run_uuid.in_(batch))
        found.update((run_id, folder) for run_id, folder in connection.execute(query))
    return found


def _experiment(connection: Connection, name: str) -> _Found | None:
    table, tag = tables().experiments, tables().experiment_tags
    joined = table.outerjoin(tag, and_(tag.c.experiment_id == table.c.experiment_id, tag.c.key == EXPERIMENT_KIND[0]))
    query = select(table.c.experiment_id, table.c.lifecycle_stage, table.c.artifact_location, tag.c.value).select_from(
        joined
    )
    row = connection.execute(query.where(table.c.name == name, table.c.workspace == WORKSPACE)).first()
    return None if row is None else (row[0], row[1], row[2], row[3])


def _set_kind(connection: Connection, experiment_id: int) -> None:
    key, value = EXPERIMENT_KIND
    with suppress(IntegrityError), connection.begin_nested():  # another process set one between our look and our insert
        connection.execute(insert(tables().experiment_tags).values(key=key, value=value, experiment_id=experiment_id))


def _by_points(items: Sequence[Any], points: Any) -> Iterator[list[Any]]:
    """``items`` in order, in lists of at most RUNS_A_TRANSACTION and about POINTS_A_TRANSACTION points."""
    batch: list[Any] = []
    total = 0
    for item in items:
        batch.append(item)
        total += points(item)
        if len(batch) >= RUNS_A_TRANSACTION or total >= POINTS_A_TRANSACTION:
            yield batch
            batch, total = [], 0
    if batch:
        yield batch


def _run_id() -> str:
    """32 hexadecimal digits that rise with time, so that a table's index grows at its end instead of everywhere."""
    return f"{now_ms():012x}{uuid.uuid4().hex[:20]}"


def _missing(run_id: str, location: Location) -> NoSuchRun:
    where = f"a run in {location.shown}"
    return NoSuchRun(str(Fault(where, "must exist", f"'{clip(run_id, 40)}'", "look its id up in the MLflow UI")))
