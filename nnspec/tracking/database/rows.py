"""The rows of a run in MLflow's tables, as MLflow's own store would write them; see its ``sqlalchemy_store.py``."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.exc import IntegrityError

from nnspec.errors import Fault, TrackingError
from nnspec.tracking.database.schema import tables
from nnspec.tracking.limits import batches, checked_key, clipped, clipped_tags, sanitized
from nnspec.tracking.records import NAME_LIMIT, DatasetInfo, RunEnd, RunStart

if TYPE_CHECKING:
    from sqlalchemy import Connection, Table

VALUES_A_STATEMENT = 999  # SQLite's oldest limit
IDS_A_QUERY = 500
ARTIFACT_URI_LIMIT = 200  # the column's width: SQLite ignores it, PostgreSQL does not
NAME_TAG = "mlflow.runName"
CONTEXT_TAG = "mlflow.data.context"

Columns = Sequence[list[Any]]  # in the order of the table's columns


def artifacts_of(folder: str, run_id: str) -> str:
    """The artifact URI of a new run in an experiment whose artifacts lie in ``folder``."""
    return f"{folder.rstrip('/')}/{run_id}/artifacts"


class StartRows:
    """The rows of runs that begin, made before the transaction that files them."""

    def __init__(self, starts: Sequence[RunStart], ids: Sequence[str], experiment: int):
        self.ids, self.experiment = ids, experiment
        self.sqlite = False
        self.starts = list(zip(ids, starts, strict=True))
        pairs = [clipped(start) for start in starts]
        self.params = _pairs({run_id: params for run_id, (params, _) in zip(ids, pairs, strict=True)})
        names = ({NAME_TAG: start.name[:NAME_LIMIT]} for start in starts)
        self.tags = _pairs({run_id: tags | name for run_id, (_, tags), name in zip(ids, pairs, names, strict=True)})

    def file(self, connection: Connection) -> None:
        """Insert everything, unless a try whose connection was lost had been committed after all."""
        every, self.sqlite = tables(), connection.dialect.name == "sqlite"
        if connection.execute(select(every.runs.c.run_uuid).where(every.runs.c.run_uuid == self.ids[0])).first():
            return
        experiments = every.experiments
        query = select(experiments.c.artifact_location).where(experiments.c.experiment_id == self.experiment)
        folder = connection.execute(query).scalar()
        if folder is None:
            raise TrackingError(
                f"the experiment {self.experiment} must exist, but is not in the store; ask for it by name first"
            )
        _insert(connection, every.runs, _columns([self._run(run_id, start, folder) for run_id, start in self.starts]))
        _insert(connection, every.params, self.params)
        _insert(connection, every.tags, self.tags)
        self._inputs(connection)

    def _run(self, run_id: str, start: RunStart, folder: str) -> tuple[Any, ...]:
        artifact_uri = artifacts_of(folder, run_id)
        if len(artifact_uri) > ARTIFACT_URI_LIMIT and not self.sqlite:
            rule = f"must have at most {ARTIFACT_URI_LIMIT} characters"
            raise TrackingError(
                Fault("an artifact folder", rule, artifact_uri, "give the experiment a shorter artifact location")
            )
        row = {
            "run_uuid": run_id,
            "name": start.name[:NAME_LIMIT],
            "source_type": "UNKNOWN",
            "user_id": start.tags.get("mlflow.user", "unknown"),
            "status": "RUNNING",
            "start_time": start.start_time,
            "lifecycle_stage": "active",
            "artifact_uri": artifact_uri,
            "experiment_id": self.experiment,
        }
        empty = {"source_name": "", "entry_point_name": "", "source_version": ""}
        return tuple({**row, **empty}.get(name) for name in [column.name for column in tables().runs.columns])

    def _inputs(self, connection: Connection) -> None:
        infos = {start.dataset for _, start in self.starts if start.dataset is not None}
        known = {
            info: _dataset(connection, self.experiment, info)
            for info in sorted(infos, key=lambda info: (info.name, info.digest))
        }
        inputs, tags = [], []
        for run_id, start in self.starts:
            if start.dataset is None:
                continue
            input_uuid = uuid.uuid4().hex
            inputs.append((input_uuid, "DATASET", known[start.dataset], "RUN", run_id))
            tags.append((input_uuid, CONTEXT_TAG, "training"))
        _insert(connection, tables().inputs, _columns(inputs))
        _insert(connection, tables().input_tags, _columns(tags))


def _dataset(connection: Connection, experiment: int, info: DatasetInfo) -> str:
    """The uuid of a data set in the experiment, filed if it is not there yet."""
    table = tables().datasets
    query = select(table.c.dataset_uuid).where(table.c.experiment_id == experiment)
    query = query.where(table.c.name == info.name, table.c.digest == info.digest)
    found = connection.execute(query).scalar()
    if found is not None:
        return str(found)
    new = {"dataset_uuid": uuid.uuid4().hex, "experiment_id": experiment, "name": info.name, "digest": info.digest}
    about = {"dataset_source_type": info.source_type, "dataset_source": info.source}
    row = {**new, **about, "dataset_schema": info.schema, "dataset_profile": info.profile}
    try:
        with connection.begin_nested():
            connection.execute(insert(table).values(**row))
    except IntegrityError:
        return str(connection.execute(query).scalar_one())  # another process filed it meanwhile
    return str(new["dataset_uuid"])


def file_ends(connection: Connection, ends: Sequence[RunEnd], complete: Callable[[], object] = lambda: None) -> None:
    """File what is known at the end of runs, and that they have ended once ``complete`` returns."""
    file_points(connection, ends)
    merge_tags(connection, {end.run_id: clipped_tags(end.tags) for end in ends if end.tags})
    complete()
    run = tables().runs
    change = (
        update(run)
        .where(run.c.run_uuid == bindparam("ended"))
        .values(status=bindparam("how"), end_time=bindparam("at"))
    )
    connection.execute(change, [{"ended": end.run_id, "how": end.status, "at": end.end_time} for end in ends])


def file_points(connection: Connection, runs: Sequence[RunEnd]) -> None:
    """File the points of each run that lie behind the last one filed of their series, and the last of each in
    latest_metrics.

    A run that still trains has no metrics yet; its ``end_time`` is that of the points.
    """
    every = tables()
    filed = _last_steps(connection, [run.run_id for run in runs])
    points, last = _points(runs, filed)
    if not last:
        return
    _insert(connection, every.metrics, points)
    fresh: list[int] = []
    moved: list[int] = []
    for place in last:
        (moved if (points[5][place], points[0][place]) in filed else fresh).append(place)
    _insert(connection, every.latest, [[column[place] for place in fresh] for column in points])
    if moved:
        change = update(every.latest).where(
            every.latest.c.run_uuid == bindparam("b_run"), every.latest.c.key == bindparam("b_key")
        )
        change = change.values({name: bindparam(f"b_{name}") for name in ("value", "timestamp", "step", "is_nan")})
        names = ("b_key", "b_value", "b_timestamp", "b_step", "b_is_nan", "b_run")
        connection.execute(
            change, [{name: column[place] for name, column in zip(names, points, strict=True)} for place in moved]
        )


def _points(runs: Sequence[RunEnd], filed: Mapping[tuple[str, str], int]) -> tuple[Columns, list[int]]:
    """The columns of the points to file, and the place of the last one of each series. A point must not cost a
    microsecond."""
    keys: list[str] = []
    timestamps: list[int] = []
    steps: list[int] = []
    ids: list[str] = []
    values: list[np.ndarray] = []
    last: list[int] = []
    for run in runs:
        start = len(keys)
        for key, series in run.history.items():
            before = filed.get((run.run_id, key))
            first = 0 if before is None else int(np.searchsorted(series.steps, before, side="right"))
            if first < len(series.steps) and key not in run.metrics:
                keys += [checked_key(key)] * (len(series.steps) - first)
                steps += series.steps[first:].tolist()
                values.append(series.values[first:])
                last.append(len(keys) - 1)
        new = {
            checked_key(key): value
            for key, value in run.metrics.items()
            if filed.get((run.run_id, key), -1) < run.last_step
        }
        last += range(len(keys), len(keys) + len(new))
        keys += new
        steps += [run.last_step] * len(new)
        values.append(np.array(list(new.values()), np.float64))
        timestamps += [run.end_time] * (len(keys) - start)
        ids += [run.run_id] * (len(keys) - start)
    numbers, isnan = sanitized(np.concatenate(values))
    return (keys, numbers.tolist(), timestamps, steps, isnan.tolist(), ids), last


def _last_steps(connection: Connection, run_ids: Sequence[str]) -> dict[tuple[str, str], int]:
    latest = tables().latest
    found: dict[tuple[str, str], int] = {}
    for batch in batches(run_ids, IDS_A_QUERY):
        query = select(latest.c.run_uuid, latest.c.key, latest.c.step).where(latest.c.run_uuid.in_(batch))
        found.update({(run_id, key): step for run_id, key, step in connection.execute(query)})
    odd = next((where for where, step in found.items() if not isinstance(step, int)), None)
    if odd is not None:
        where = f"the last step of the metric {odd[1]} of run {odd[0]}"
        raise TrackingError(
            Fault(where, "must be a whole number", f"'{found[odd]}'", "mend the store, or train the run again")
        )
    return found


def merge_tags(connection: Connection, tags: Mapping[str, Mapping[str, str]]) -> None:
    table = tables().tags
    there: set[tuple[str, str]] = set()
    keys = sorted({key for pairs in tags.values() for key in pairs})
    for batch in batches(list(tags), IDS_A_QUERY):
        query = select(table.c.run_uuid, table.c.key).where(table.c.run_uuid.in_(batch), table.c.key.in_(keys))
        there.update((run_id, key) for run_id, key in connection.execute(query))
    rows = [(key, value, run_id) for run_id, pairs in tags.items() for key, value in pairs.items()]
    _insert(connection, table, _columns([row for row in rows if (row[2], row[0]) not in there]))
    old = [{"b_key": key, "b_value": value, "b_run": run_id} for key, value, run_id in rows if (run_id, key) in there]
    if old:
        change = update(table).where(table.c.run_uuid == bindparam("b_run"), table.c.key == bindparam("b_key"))
        connection.execute(change.values(value=bindparam("b_value")), old)


def _insert(connection: Connection, table: Table, columns: Columns) -> None:
    if not columns or not columns[0]:
        return
    if connection.dialect.name != "sqlite":
        names = table.columns.keys()
        connection.execute(insert(table), [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)])
        return
    # Straight to the driver, and many rows a statement: SQLAlchemy's work on each row, and the driver's on each
    # statement, take longer than SQLite's. OR FAIL, or SQLite would journal each statement to take its first rows back
    # if a later one fails: here the transaction takes all of them back.
    single = str(insert(table).prefix_with("OR FAIL").compile(dialect=connection.dialect))
    width, rows = len(columns), len(columns[0])
    values: list[Any] = [None] * (width * rows)
    for place, column in enumerate(columns):
        # the driver is slow to adapt a bool
        values[place::width] = map(int, column) if isinstance(column[0], bool) else column
    together = VALUES_A_STATEMENT // width
    whole = rows - rows % together
    if whole:
        many = single + f", ({', '.join('?' * width)})" * (together - 1)
        connection.exec_driver_sql(many, [tuple(batch) for batch in batches(values[: whole * width], together * width)])
    if whole < rows:
        connection.exec_driver_sql(single, [tuple(batch) for batch in batches(values[whole * width :], width)])


def _columns(rows: Sequence[tuple[Any, ...]]) -> Columns:
    return [list(column) for column in zip(*rows, strict=True)]


def _pairs(pairs: Mapping[str, Mapping[str, str]]) -> Columns:
    """Key, value and run id of the pairs of each run."""
    keys = [key for some in pairs.values() for key in some]
    values = [value for some in pairs.values() for value in some.values()]
    return keys, values, [run_id for run_id, some in pairs.items() for _ in some]
