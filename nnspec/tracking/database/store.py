"""The bulk writer: thousands of runs into MLflow's own tables in a few transactions.

``rows`` knows what goes into which column; the contract suite reads all of it back through MLflow's client.
"""

from __future__ import annotations

import functools
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import Select, Update, insert, select, update
from sqlalchemy.exc import IntegrityError

from nnspec.errors import Fault, TrackingError
from nnspec.tracking.client.remote import download, upload, write_local
from nnspec.tracking.database.rows import IDS_A_QUERY, StartRows, artifacts_of, file_ends, file_points, merge_tags
from nnspec.tracking.database.schema import tables
from nnspec.tracking.database.transact import transact
from nnspec.tracking.files import artifact_root, local_path
from nnspec.tracking.limits import batches, checked_experiment, clipped_tags
from nnspec.tracking.locate import Location
from nnspec.tracking.records import EXPERIMENT_TAGS, FINGERPRINT_TAG, IDENTITY_TAGS, RunEnd, RunStart, Series
from nnspec.tracking.store import FoundRun, RunFacts, RunQuery, Store, deleted_experiment, no_such_run, now_ms

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection, Engine, Table

RUNS_A_TRANSACTION = 500
POINTS_A_TRANSACTION = 125_000
WORKSPACE = "default"
T = TypeVar("T")
_Found = tuple[int, str, str]  # an experiment: id, lifecycle stage, artifact folder


class SqlStore(Store):
    """Files runs straight into the database; see ``Store`` for what each method promises. A transaction files at most
    ``most_runs`` and about ``most_points`` points of their histories."""

    def __init__(
        self,
        location: Location,
        engine: Engine,
        most_runs: int = RUNS_A_TRANSACTION,
        most_points: int = POINTS_A_TRANSACTION,
    ):
        self.location = location
        self.engine = engine
        self.most_runs, self.most_points = most_runs, most_points

    def experiment(self, name: str) -> str:
        found = transact(self.engine, lambda connection: _experiment(connection, name), write=False)
        if found is None:
            found = transact(self.engine, lambda connection: self._new_experiment(connection, name))
        number, stage, folder = found
        if stage != "active":
            raise deleted_experiment(name)
        if str(folder).startswith("mlflow-artifacts:"):
            rule = "must keep its artifacts where this process can write them"
            raise TrackingError(
                Fault(f"experiment '{name}'", rule, folder, "set tracking.uri to its server's http address")
            )
        tag = tables().experiment_tags
        there = {key for (key,) in self._read(select(tag.c.key).where(tag.c.experiment_id == number))}
        for key in EXPERIMENT_TAGS.keys() - there:
            transact(self.engine, functools.partial(_tag_experiment, number=number, key=key))
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
        ids: list[str] = []
        for batch in batches(runs, self.most_runs):
            new = sorted(_run_id() for _ in batch)  # those of one millisecond rise, too
            rows = StartRows(batch, new, int(experiment_id))
            transact(self.engine, rows.file)
            ids += new
        return ids

    def progress(self, items: Sequence[tuple[str, Mapping[str, Series]]]) -> None:
        now = now_ms()
        for batch in self._by_points(items, lambda item: sum(len(series.steps) for series in item[1].values())):
            runs = [RunEnd(run_id, history=history, end_time=now) for run_id, history in batch]
            transact(self.engine, lambda connection, runs=runs: file_points(connection, runs))  # type: ignore[misc]

    def finish(self, ends: Sequence[RunEnd]) -> None:
        with ThreadPoolExecutor(1) as writer:  # large files are made as they are written: never two at a time
            for batch in self._by_points(ends, lambda end: 10 + sum(len(one.steps) for one in end.history.values())):
                folders = transact(self.engine, functools.partial(_folders, ends=batch), write=False)
                missing = next((end.run_id for end in batch if end.run_id not in folders), None)
                if missing is not None:
                    raise no_such_run(self.location, missing)
                written = writer.submit(self._write_all, batch, folders)
                if any(local_path(folder) is None for folder in folders.values()):
                    written.result()  # MLflow's client sends them, and reads the database for it
                transact(self.engine, functools.partial(file_ends, ends=batch, complete=written.result))

    def _write_all(self, ends: Sequence[RunEnd], folders: Mapping[str, str]) -> None:
        for end in ends:
            self._write_artifacts(end.run_id, folders[end.run_id], end.artifacts)

    def file(self, runs: Sequence[tuple[RunStart, RunEnd]], experiment_id: str) -> list[str]:
        experiment = tables().experiments
        query = select(experiment.c.artifact_location).where(experiment.c.experiment_id == int(experiment_id))
        found = [location for (location,) in self._read(query)]
        if not found or local_path(found[0]) is None:  # what is elsewhere takes artifacts of runs that it knows
            return super().file(runs, experiment_id)
        ids: list[str] = []
        for batch in self._by_points(runs, lambda run: 10 + sum(len(one.steps) for one in run[1].history.values())):
            new = sorted(_run_id() for _ in batch)
            starts = StartRows([start for start, _ in batch], new, int(experiment_id))
            ends = [replace(end, run_id=run_id) for (_, end), run_id in zip(batch, new, strict=True)]
            for end in ends:
                self._write_artifacts(end.run_id, artifacts_of(found[0], end.run_id), end.artifacts)
            transact(self.engine, functools.partial(_file_whole, starts=starts, ends=ends))
            ids += new
        return ids

    def _by_points(self, items: Sequence[T], points: Callable[[T], int]) -> Iterator[list[T]]:
        """``items`` in order, in the batches of transactions; ``points`` counts those of one."""
        batch: list[T] = []
        total = 0
        for item in items:
            batch.append(item)
            total += points(item)
            if len(batch) >= self.most_runs or total >= self.most_points:
                yield batch
                batch, total = [], 0
        if batch:
            yield batch

    def _write_artifacts(self, run_id: str, artifact_uri: str, files: Mapping[str, bytes]) -> None:
        if files and not write_local(self.location, artifact_uri, files):
            upload(self.location, run_id, files)

    def search(self, query: RunQuery, newest_first: bool = False, limit: int | None = None) -> list[FoundRun]:
        run = tables().runs
        asked = select(run.c.run_uuid, run.c.name, run.c.status, run.c.start_time).where(*_conditions(query))
        order = (run.c.start_time, run.c.run_uuid)
        asked = asked.order_by(*(column.desc() for column in order) if newest_first else order).limit(limit)
        found = self._read(asked)
        ids = [run_id for run_id, *_ in found]
        tags, params = self._texts(tables().tags, ids, IDENTITY_TAGS), self._texts(tables().params, ids, query.params)
        return [FoundRun(run_id, name, status, at, tags[run_id], params[run_id]) for run_id, name, status, at in found]

    def _texts(self, table: Table, run_ids: Sequence[str], keys: Sequence[str]) -> dict[str, dict[str, str]]:
        """Of each run the tags or params of these keys that it has."""
        found: dict[str, dict[str, str]] = defaultdict(dict)
        for batch in batches(run_ids, IDS_A_QUERY) if keys else ():
            of_runs = select(table.c.run_uuid, table.c.key, table.c.value).where(table.c.run_uuid.in_(batch))
            for run_id, key, value in self._read(of_runs.where(table.c.key.in_(keys))):
                found[run_id][key] = value
        return found

    def finished(self, experiment_id: str, fingerprints: Sequence[str]) -> dict[str, str]:
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

    def get(self, run_id: str) -> RunFacts:
        every = tables()

        def pairs(table: Table) -> dict[str, Any]:
            rows = self._read(select(table).where(table.c.run_uuid == run_id).order_by(table.c.key))
            return {row.key: float("nan") if getattr(row, "is_nan", False) else row.value for row in rows}

        rows = self._read(select(every.runs).where(every.runs.c.run_uuid == run_id))
        if not rows:
            raise no_such_run(self.location, run_id)
        run = rows[0]
        tags, params, metrics = pairs(every.tags), pairs(every.params), pairs(every.latest)
        return RunFacts(
            run_id=run_id,
            experiment_id=run.experiment_id,
            name=run.name,
            status=run.status,
            tags=tags,
            params=params,
            metrics=metrics,
            start_time=run.start_time,
            end_time=run.end_time,
            deleted=run.lifecycle_stage == "deleted",
        )

    def set_status(self, run_ids: Sequence[str], status: str, end_time: int | None = None) -> None:
        values: dict[str, Any] = {"status": status} if end_time is None else {"status": status, "end_time": end_time}
        self._update_runs(run_ids, values)

    def set_tags(self, run_id: str, tags: Mapping[str, str]) -> None:
        transact(self.engine, lambda connection: merge_tags(connection, {run_id: clipped_tags(tags)}))

    def delete(self, run_ids: Sequence[str]) -> None:
        self._update_runs(run_ids, {"lifecycle_stage": "deleted", "deleted_time": now_ms()})

    def _update_runs(self, run_ids: Sequence[str], values: dict[str, Any]) -> None:
        run = tables().runs
        for batch in batches(run_ids, IDS_A_QUERY):
            change = update(run).where(run.c.run_uuid.in_(batch)).values(**values)
            transact(self.engine, functools.partial(_execute, change=change))

    def artifact(self, run_id: str, path: str) -> bytes:
        return download(self.location, run_id, path, self._artifact_uri(run_id))

    def add_artifacts(self, run_id: str, files: Mapping[str, bytes]) -> None:
        artifact_uri = self._artifact_uri(run_id)
        artifact_root(artifact_uri)  # this run may be a stranger's
        self._write_artifacts(run_id, artifact_uri, files)

    def _artifact_uri(self, run_id: str) -> Any:
        run = tables().runs
        rows = self._read(select(run.c.artifact_uri).where(run.c.run_uuid == run_id))
        if not rows:
            raise no_such_run(self.location, run_id)
        return rows[0][0]

    def close(self) -> None:
        self.engine.dispose()

    def _read(self, query: Select[Any]) -> list[Any]:
        return read_rows(self.engine, query)


def read_rows(engine: Engine, query: Any) -> list[Any]:
    """What a query finds.

    Raises:
        TrackingError: the database refuses, or holds what no column of MLflow's may hold.
    """
    try:
        return transact(engine, lambda connection: list(connection.execute(query)), write=False)
    except (ValueError, TypeError, OverflowError) as error:
        where = f"the database {engine.url.render_as_string(hide_password=True)}"
        raise TrackingError(Fault(where, "must hold what MLflow files", str(error), "mend it")) from error


def _conditions(query: RunQuery) -> Iterator[ColumnElement[bool]]:
    run, tag, experiment = tables().runs, tables().tags, tables().experiments

    def tagged(*conditions: ColumnElement[bool]) -> ColumnElement[bool]:
        return run.c.run_uuid.in_(select(tag.c.run_uuid).where(*conditions))

    yield run.c.lifecycle_stage == "active"
    if query.experiment_id is None:
        active = select(experiment.c.experiment_id).where(experiment.c.lifecycle_stage == "active")
        yield run.c.experiment_id.in_(active)
    else:  # a database from elsewhere may have runs without one
        yield run.c.experiment_id == (int(query.experiment_id) if query.experiment_id.isdecimal() else None)
    if query.id_prefix is not None:
        yield run.c.run_uuid.startswith(query.id_prefix, autoescape=True)
    if query.name is not None:
        yield run.c.name == query.name
    for key, value in query.tags.items():
        yield tagged(tag.c.key == key, tag.c.value == value)
    for key in query.with_tags:
        yield tagged(tag.c.key == key)
    for key in query.without_tags:
        yield ~tagged(tag.c.key == key)


def _file_whole(connection: Connection, starts: StartRows, ends: Sequence[RunEnd]) -> None:
    starts.file(connection)
    file_ends(connection, ends)


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
    table = tables().experiments
    query = select(table.c.experiment_id, table.c.lifecycle_stage, table.c.artifact_location)
    row = connection.execute(query.where(table.c.name == name, table.c.workspace == WORKSPACE)).first()
    return None if row is None else (row[0], row[1], row[2])


def _tag_experiment(connection: Connection, number: int, key: str) -> None:
    row = {"key": key, "value": EXPERIMENT_TAGS[key], "experiment_id": number}
    with suppress(IntegrityError), connection.begin_nested():  # another process set one between our look and our insert
        connection.execute(insert(tables().experiment_tags).values(**row))


def _run_id() -> str:
    """32 hexadecimal digits that rise with time, so that a table's index grows at its end instead of everywhere."""
    return f"{now_ms():012x}{uuid.uuid4().hex[:20]}"
