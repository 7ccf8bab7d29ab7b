"""One contract for all writers: the same records in, the same things read back through MLflow's public client.

What is to be read back is stated here from the records alone, so that two writers cannot agree on something wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from nnspec.settings import Tracking
from nnspec.tracking import Unfiled, file_spool, open_store, spool
from nnspec.tracking.locate import locate
from nnspec.tracking.records import RunEnd, RunStart, Series

EXPERIMENT = "nnspec-xor"
SWEEP = "the sweep"  # the id that its cells know it by until it has one
BIGGEST = 1.7976931348623157e308  # what MLflow keeps of infinity
ODD = {"inf": np.inf, "low": -np.inf, "nan": np.nan, "tiny": 5e-324, "third": 1 / 3}
OF_SPOOL = ("nnspec.spool_id", "nnspec.spool_item")  # tags by which a spooled run is known again

Make = Callable[..., Any]
Database = Callable[[Path, str], str]


class Record(NamedTuple):
    """A run to file: how it begins and how it ends."""

    start: RunStart
    end: RunEnd


@pytest.fixture
def records(cell: Make, started: Make, ended: Make) -> list[Record]:
    """A sweep, then its cells: finished, failed with odd numbers, stopped early; and a single run of several
    networks."""
    who = {"mlflow.user": "ada", "nnspec.sweep": "abc"}
    sweep = RunStart("sweep", {"axis.seed": "0, 1, 2"}, who, start_time=500)
    found = [Record(sweep, RunEnd(SWEEP, metrics={"solve_rate": 0.25}, artifacts={"report.html": b"<p>"}, end_time=9))]
    made = [cell(seed=0), cell(seed=1, steps=400), cell(seed=2, steps=3), cell(seed=3, replicates=5, snapshots=True)]
    for number, one in enumerate(made):
        start = started(one, SWEEP if number < 3 else None, 1_000 + number)
        found.append(Record(start, ended(one, f"run {number}", 2_000 + number)))
    odd = {key: Series(np.array([0, 5]), np.array([1.0, value])) for key, value in ODD.items()}
    failed, stopped = found[2].end, found[3].end
    found[2] = found[2]._replace(end=replace(failed, status="FAILED", history={**failed.history, **odd}, tags={}))
    found[3] = found[3]._replace(end=replace(stopped, status="KILLED", metrics={}, tags={"why": "Ctrl-C"}))
    return found


def filed_by(writer: str, uri: str, records: Sequence[Record]) -> list[str]:
    """File the records as they come while a sweep trains: first the sweep's own run, then its cells in pieces."""
    store = open_store(Tracking(uri=uri, writer=writer))
    experiment_id = store.experiment(EXPERIMENT)
    (sweep,) = store.start([records[0].start], experiment_id)
    starts = [replace(record.start, parent=record.start.parent and sweep) for record in records[1:]]
    ids = [sweep, *store.start(starts, experiment_id)]
    ends = [replace(record.end, run_id=run_id) for record, run_id in zip(records, ids, strict=True)]
    store.finish(ends[1:3])
    store.finish(ends[3:])
    store.finish(ends[:1])
    store.close()
    return ids


def filed_from_a_spool(writer: str, uri: str, records: Sequence[Record], folder: Path) -> list[str]:
    """File the records by way of a folder."""
    kept = spool(folder, EXPERIMENT, [Unfiled(record.start, record.end) for record in records])
    store = open_store(Tracking(uri=uri, writer=writer))
    ids = file_spool(kept, store).ids
    store.close()
    return ids


def expected(record: Record, ids: dict[str, str]) -> dict[str, Any]:
    """What MLflow's client must find of a run."""
    start, end = record
    tags = {**start.tags, **end.tags, "mlflow.runName": start.name}
    if start.parent is not None:
        tags["mlflow.parentRunId"] = ids[start.parent]
    history = {
        key: [(step, text(value), end.end_time) for step, value in zip(series.steps, series.values, strict=True)]
        for key, series in end.history.items()
    }
    history |= {key: [(end.last_step, text(value), end.end_time)] for key, value in end.metrics.items()}
    dataset = start.dataset
    return {
        "run": (start.name, end.status, start.start_time, end.end_time, "ada", "active"),
        "params": dict(start.params),
        "tags": tags,
        "metrics": {key: points[-1][1] for key, points in history.items()},
        "history": history,
        "data set": None if dataset is None else (dataset.name, dataset.digest, dataset.schema, dataset.profile),
        "artifacts": dict(end.artifacts),
    }


def text(value: float) -> str:
    """A number so that NaN equals NaN; MLflow keeps infinity as the biggest number."""
    return repr(float(np.clip(value, -BIGGEST, BIGGEST)))


def read_back(client: Any, run_id: str, folder: Path) -> dict[str, Any]:
    """What MLflow's client finds of a run."""
    run = client.get_run(run_id)
    info, data = run.info, run.data
    root = Path(client.download_artifacts(run_id, "", str(folder)))
    data_sets = [
        (one.dataset.name, one.dataset.digest, one.dataset.schema, one.dataset.profile)
        for one in run.inputs.dataset_inputs
    ]
    return {
        "run": (info.run_name, info.status, info.start_time, info.end_time, info.user_id, info.lifecycle_stage),
        "params": data.params,
        "tags": {key: value for key, value in data.tags.items() if key not in OF_SPOOL},
        "metrics": {key: text(value) for key, value in data.metrics.items()},
        "history": {
            key: [(one.step, text(one.value), one.timestamp) for one in client.get_metric_history(run_id, key)]
            for key in data.metrics
        },
        "data set": next(iter(data_sets), None),
        "artifacts": {
            path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()
        },
    }


@pytest.mark.parametrize("spooled", [False, True], ids=["at once", "spooled"])
@pytest.mark.parametrize("writer", ["sql", "client"])
def test_the_same_records_are_the_same_runs(
    writer: str, spooled: bool, database: Database, folder: Path, records: list[Record]
) -> None:
    from mlflow import MlflowClient

    uri = database(folder, "writers")
    ids = filed_from_a_spool(writer, uri, records, folder) if spooled else filed_by(writer, uri, records)
    client = MlflowClient(tracking_uri=locate(Tracking(uri=uri)).absolute)
    by_name = {record.end.run_id: run_id for record, run_id in zip(records, ids, strict=True)}
    for number, (record, run_id) in enumerate(zip(records, ids, strict=True)):
        (folder / str(number)).mkdir()
        assert read_back(client, run_id, folder / str(number)) == expected(record, by_name)
    experiment = client.get_experiment_by_name(EXPERIMENT)
    assert {run.info.run_id for run in client.search_runs([experiment.experiment_id])} == set(ids)
    assert {run.info.run_id for run in client.search_runs([experiment.experiment_id], "metrics.third < 0.5")} == {
        ids[2]
    }
