"""The writer for everything else: MLflow's public client, batched within its limits, several runs at a time."""

from __future__ import annotations

import functools
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnspec.tracking.client.calls import Calls
from nnspec.tracking.client.entities import dataset_input, facts_of, filter_of, found_run, quoted, tag_is
from nnspec.tracking.client.remote import download, write_local
from nnspec.tracking.files import artifact_root, write_files
from nnspec.tracking.limits import (
    METRICS_A_BATCH,
    PARAMS_A_BATCH,
    TAGS_A_BATCH,
    batches,
    checked_experiment,
    checked_key,
    clipped,
    clipped_tags,
    sanitized,
)
from nnspec.tracking.locate import Location
from nnspec.tracking.patience import Patience
from nnspec.tracking.records import (
    EXPERIMENT_TAGS,
    FINGERPRINT_TAG,
    IDENTITY_TAGS,
    NAME_LIMIT,
    DatasetInfo,
    RunEnd,
    RunStart,
    Series,
)
from nnspec.tracking.store import FoundRun, RunFacts, RunQuery, Store, deleted_experiment, now_ms

if TYPE_CHECKING:
    from mlflow.entities import Metric, Run

FEW = 20  # fingerprints that are looked up one by one rather than by reading every finished run


class ClientStore(Store):
    """Files runs through MLflow's client; see ``Store`` for what each method promises."""

    def __init__(self, location: Location, patience: Patience | None = None):
        self.location = location
        self._calls = Calls(location, patience)
        self._call, self._each, self.client = self._calls.patience.call, self._calls.each, self._calls.client
        self._lock = threading.Lock()
        self._dataset_lock = threading.Lock()
        self._datasets: set[tuple[str, DatasetInfo]] = set()  # those that are in their experiment already
        self._filed: dict[str, dict[str, int]] = {}  # run id -> metric -> the last step filed
        self._folders: dict[str, str] = {}  # run id -> artifact URI
        # run id -> finds runs that a lost answer may have left twice
        self._doubtful: dict[str, Callable[[], list[Run]]] = {}

    def experiment(self, name: str) -> str:
        checked_experiment(name)
        found = self._call(lambda: self.client.get_experiment_by_name(name)) or self._new_experiment(name)
        if found.lifecycle_stage != "active":
            raise deleted_experiment(name)
        for tag in EXPERIMENT_TAGS.items():
            if tag[0] not in found.tags:
                self._call(functools.partial(self.client.set_experiment_tag, found.experiment_id, *tag))
        return str(found.experiment_id)

    def _new_experiment(self, name: str) -> Any:
        from mlflow.exceptions import MlflowException

        folder = None if self.location.kind in ("http", "file") else self.location.artifact_folder(name)

        def make() -> Any:
            try:
                self.client.create_experiment(name, folder)
            except MlflowException:
                if self.client.get_experiment_by_name(name) is None:
                    raise
            return self.client.get_experiment_by_name(name)

        return self._call(make)

    def start(self, runs: Sequence[RunStart], experiment_id: str) -> list[str]:
        return self._each(lambda start: self._start(start, experiment_id), runs)

    def _start(self, start: RunStart, experiment_id: str) -> str:
        params, tags = clipped(start)

        def create() -> Run:
            return self.client.create_run(experiment_id, start.start_time, tags, start.name[:NAME_LIMIT])

        def same() -> list[Run]:
            marks = [tag_is(key, tags[key]) for key in IDENTITY_TAGS if key in tags]
            query = (
                f"attributes.start_time = {start.start_time} and attributes.run_name = "
                f"{quoted(start.name[:NAME_LIMIT])}"
            )
            return self._calls.search([experiment_id], " and ".join([query, *marks]))

        retried = threading.Event()

        def found() -> Run | None:
            retried.set()
            return next(iter(same()), None)

        run = self._calls.patience.call(create, found)
        run_id: str = run.info.run_id
        with self._lock:
            self._filed[run_id] = {}
            self._folders[run_id] = run.info.artifact_uri
            if retried.is_set():
                self._doubtful[run_id] = same
        self._log(run_id, params=params)
        if start.dataset is not None:
            self._log_dataset(run_id, experiment_id, start.dataset)
        return run_id

    def _log_dataset(self, run_id: str, experiment_id: str, info: DatasetInfo) -> None:
        """File the data set. MLflow fails one of two runs that bring a new one at once, so the first goes alone."""

        def log() -> None:
            self._call(lambda: self.client.log_inputs(run_id, [dataset_input(info)]))

        if (experiment_id, info) in self._datasets:
            log()
            return
        with self._dataset_lock:
            log()
            self._datasets.add((experiment_id, info))

    def progress(self, items: Sequence[tuple[str, Mapping[str, Series]]]) -> None:
        now = now_ms()
        self._each(lambda item: self._log(item[0], self._fresh(item[0], item[1], now)), items)

    def finish(self, ends: Sequence[RunEnd]) -> None:
        self._each(self._finish, ends)

    def _finish(self, end: RunEnd) -> None:
        self._write_artifacts(end.run_id, end.artifacts)
        self._log(end.run_id, self._fresh(end.run_id, end.all_history(), end.end_time), tags=clipped_tags(end.tags))
        self._call(lambda: self.client.set_terminated(end.run_id, end.status, end.end_time))
        duplicates = self._doubtful.pop(end.run_id, None)
        if duplicates is not None:
            for run in self._call(duplicates):  # not self.delete: a thread of the pool must not wait for the pool
                if run.info.run_id != end.run_id:
                    self._call(lambda run_id=run.info.run_id: self.client.delete_run(run_id))  # type: ignore[misc]

    def add_artifacts(self, run_id: str, files: Mapping[str, bytes]) -> None:
        artifact_root(self._artifact_uri(run_id))  # this run may be a stranger's
        self._write_artifacts(run_id, files)

    def _artifact_uri(self, run_id: str) -> str:
        if run_id not in self._folders:
            self._folders[run_id] = self._calls.run(run_id).info.artifact_uri
        return self._folders[run_id]

    def _write_artifacts(self, run_id: str, files: Mapping[str, bytes]) -> None:
        if not files or write_local(self.location, self._artifact_uri(run_id), files):
            return
        with tempfile.TemporaryDirectory(prefix="nnspec-") as folder:
            write_files(Path(folder), files)
            self._call(lambda: self.client.log_artifacts(run_id, folder))

    def _fresh(self, run_id: str, history: Mapping[str, Series], timestamp: int) -> list[Metric]:
        """The points that lie behind the last one filed."""
        from mlflow.entities import Metric

        filed = self._last_steps(run_id)
        fresh = []
        for key, series in history.items():
            values, isnan = sanitized(series.values)
            last = filed.get(checked_key(key), -1)
            points = zip(series.steps.tolist(), values.tolist(), isnan.tolist(), strict=True)
            fresh += [
                Metric(key, float("nan") if nan else value, timestamp, step)
                for step, value, nan in points
                if step > last
            ]
        return fresh

    def _last_steps(self, run_id: str) -> dict[str, int]:
        if run_id not in self._filed:  # another process began this run
            keys = self._calls.run(run_id).data.metrics
            read = functools.partial(self.client.get_metric_history, run_id)
            histories = {key: self._call(functools.partial(read, key)) for key in keys}
            self._filed[run_id] = {key: max(point.step for point in points) for key, points in histories.items()}
        return self._filed[run_id]

    def _log(
        self,
        run_id: str,
        metrics: Sequence[Metric] = (),
        *,
        params: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """File in as few batches as MLflow's limits allow; each batch sent is remembered, so that none is sent
        again."""
        from mlflow.entities import Param, RunTag

        parts: list[list[Sequence[Any]]] = [
            list(batches(metrics, METRICS_A_BATCH - 2 * PARAMS_A_BATCH)),  # a batch holds 1000 things in all
            list(batches([Param(key, value) for key, value in (params or {}).items()], PARAMS_A_BATCH)),
            list(batches([RunTag(key, value) for key, value in (tags or {}).items()], TAGS_A_BATCH)),
        ]
        for index in range(max(len(part) for part in parts)):
            batch = [part[index] if index < len(part) else () for part in parts]
            write = functools.partial(self.client.log_batch, run_id, synchronous=True)
            self._call(functools.partial(write, *batch))
            for metric in batch[0]:
                self._filed.setdefault(run_id, {})[metric.key] = metric.step

    def search(self, query: RunQuery, newest_first: bool = False, limit: int | None = None) -> list[FoundRun]:
        experiments = [query.experiment_id] if query.experiment_id is not None else self._calls.experiments()
        runs = self._calls.search(experiments, filter_of(query), "DESC" if newest_first else "ASC", limit)
        return [found_run(run, query.params) for run in runs]

    def finished(self, experiment_id: str, fingerprints: Sequence[str]) -> dict[str, str]:
        wanted = set(fingerprints)
        marks = [tag_is(FINGERPRINT_TAG, mark) for mark in sorted(wanted)]
        if len(marks) > FEW:
            marks = [f"tags.`{FINGERPRINT_TAG}` LIKE '%'"]
        runs = [
            run
            for mark in marks
            for run in self._calls.search([experiment_id], f"attributes.status = 'FINISHED' and {mark}")
        ]
        return {mark: run.info.run_id for run in runs if (mark := run.data.tags[FINGERPRINT_TAG]) in wanted}

    def get(self, run_id: str) -> RunFacts:
        return facts_of(self._calls.run(run_id))

    def set_status(self, run_ids: Sequence[str], status: str, end_time: int | None = None) -> None:
        if end_time is None:
            self._each(lambda run_id: self._call(lambda: self.client.update_run(run_id, status)), run_ids)
        else:
            self._each(lambda run_id: self._call(lambda: self.client.set_terminated(run_id, status, end_time)), run_ids)

    def set_tags(self, run_id: str, tags: Mapping[str, str]) -> None:
        self._log(run_id, tags=clipped_tags(tags))

    def delete(self, run_ids: Sequence[str]) -> None:
        self._each(lambda run_id: self._call(lambda: self.client.delete_run(run_id)), run_ids)

    def artifact(self, run_id: str, path: str) -> bytes:
        return download(self.location, run_id, path, self._calls.run(run_id).info.artifact_uri)

    def close(self) -> None:
        self._calls.close()
