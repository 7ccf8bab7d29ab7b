"""The store: where runs are filed. One contract, two writers that keep it: in bulk into a database (``sql``), or by
MLflow's client (``client``). ``opening`` chooses between them; ``spool`` keeps what neither could file."""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from nnspec.errors import Fault, NoSuchRun, TrackingError
from nnspec.tracking.limits import clip
from nnspec.tracking.locate import Location
from nnspec.tracking.records import (
    CELL_TAG,
    FINGERPRINT_TAG,
    PARENT_TAG,
    PROMOTED_TAG,
    SWEEP_TAG,
    RunEnd,
    RunStart,
    Series,
)

DIGITS = 9  # of a number of cells, of packs, of replicates


@dataclass(frozen=True)
class FoundRun:
    """A filed run as a search finds it: of its tags those of ``IDENTITY_TAGS``, of its params those that the query
    names; ``start_time`` in milliseconds since 1970."""

    run_id: str
    name: str
    status: str
    start_time: int
    tags: Mapping[str, str]
    params: Mapping[str, str]

    def __post_init__(self) -> None:
        """A database may hold anything in any column: texts become texts here, what is missing an empty one."""
        for name in ("run_id", "name", "status"):
            object.__setattr__(self, name, as_text(getattr(self, name)))
        object.__setattr__(self, "tags", _texts(self.tags))
        object.__setattr__(self, "params", _texts(self.params))

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the spec of a cell; empty for other runs."""
        return self.tags.get(FINGERPRINT_TAG, "")

    @property
    def cell(self) -> int | None:
        """The number of a cell in its sweep; None for other runs, and for cells that older versions filed."""
        return as_whole(self.tags.get(CELL_TAG, ""))


@dataclass(frozen=True)
class RunFacts(FoundRun):
    """Everything about a filed run but its artifacts and histories: all its tags and params, of each metric the last
    value."""

    experiment_id: str
    metrics: Mapping[str, float]
    end_time: int | None
    deleted: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "experiment_id", as_text(self.experiment_id))
        metrics = {
            as_text(key): value if isinstance(value, (int, float)) else math.nan for key, value in self.metrics.items()
        }
        object.__setattr__(self, "metrics", metrics)


def as_text(value: object) -> str:
    """What a store gave for a text."""
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return "" if value is None else str(value)


def as_whole(text: str) -> int | None:
    """The whole number from 0 that a text from a store says; None if it says none that anything can be numbered by."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= DIGITS else None


def _texts(pairs: Mapping[str, str]) -> dict[str, str]:
    return {as_text(key): as_text(value) for key, value in pairs.items()}


@dataclass(frozen=True)
class RunQuery:
    """Which runs to search for: those that are not deleted and meet all that is said here.

    ``experiment_id`` is the experiment they are in; None for every experiment that is not deleted. ``id_prefix`` is
    what their id begins with, in hexadecimal digits. They have each of ``tags`` with this value, each of ``with_tags``
    with any value, and none of ``without_tags``. ``params`` are those that are to be found with each run; they leave
    none out.
    """

    experiment_id: str | None = None
    id_prefix: str | None = None
    name: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    with_tags: Sequence[str] = ()
    without_tags: Sequence[str] = ()
    params: Sequence[str] = ()


def no_such_run(location: Location, run_id: str) -> NoSuchRun:
    """The error of a run that is not there."""
    where = f"a run in {location.shown}"
    return NoSuchRun(Fault(where, "must exist", f"'{clip(run_id, 40)}'", "look its id up in the MLflow UI"))


def deleted_experiment(name: str) -> TrackingError:
    """The error of an experiment that nothing can be filed in."""
    return TrackingError(Fault("tracking.experiment", "must not be deleted", f"'{name}'", "restore it or name another"))


def now_ms() -> int:
    """Milliseconds since 1970, as MLflow counts time."""
    return time.time_ns() // 1_000_000


class Store(ABC):
    """Files runs and finds them again. Every method raises TrackingError, with a message for the user, when the store
    cannot do it.

    Calling a method again with the same arguments after a failure is safe: what was filed before is recognised.
    The methods may be called from several threads.
    """

    location: Location

    @abstractmethod
    def experiment(self, name: str) -> str:
        """The id of the experiment called ``name``, made if there is none; it gets those of ``EXPERIMENT_TAGS`` of
        which it has none."""

    @abstractmethod
    def start(self, runs: Sequence[RunStart], experiment_id: str) -> list[str]:
        """File runs as RUNNING with params, tags and data set; their ids in the same order."""

    @abstractmethod
    def progress(self, items: Sequence[tuple[str, Mapping[str, Series]]]) -> None:
        """Add to the histories of runs: of each series, the points after the last one filed."""

    @abstractmethod
    def finish(self, ends: Sequence[RunEnd]) -> None:
        """Complete runs: artifacts, the rest of the history, final metrics and tags, and only then status and end
        time."""

    def file(self, runs: Sequence[tuple[RunStart, RunEnd]], experiment_id: str) -> list[str]:
        """File runs that have ended, whose ends have no ids yet; their ids in the same order. A database shows each
        whole or not at all, whenever the process dies."""
        ids = self.start([start for start, _ in runs], experiment_id)
        self.finish([replace(end, run_id=run_id) for (_, end), run_id in zip(runs, ids, strict=True)])
        return ids

    @abstractmethod
    def search(self, query: RunQuery, newest_first: bool = False, limit: int | None = None) -> list[FoundRun]:
        """The runs that the query means, oldest first; at most ``limit`` of them."""

    def find_children(self, parent_id: str, params: Sequence[str] = ()) -> list[FoundRun]:
        """The cells of a sweep that are not deleted, with those of their ``params``: oldest first, or by number where
        some have no runs of their own; TrackingError if there is no such run."""
        return [run for run in self.runs_below(parent_id, params) if PROMOTED_TAG not in run.tags]

    def runs_below(self, parent_id: str, params: Sequence[str] = ()) -> list[FoundRun]:
        """The runs below a sweep's that are not deleted, oldest first; TrackingError if there is no such run."""
        return self.search(RunQuery(self.get(parent_id).experiment_id, tags={PARENT_TAG: parent_id}, params=params))

    def latest_sweep(self, experiment_id: str, tags: Mapping[str, str] | None = None) -> str | None:
        """The run id of the youngest sweep in the experiment, among those with these tags if some are given."""
        query = RunQuery(experiment_id, tags=tags or {}, with_tags=(SWEEP_TAG,))
        found = self.search(query, newest_first=True, limit=1)
        return found[0].run_id if found else None

    @abstractmethod
    def finished(self, experiment_id: str, fingerprints: Sequence[str]) -> dict[str, str]:
        """Fingerprint -> run id of the youngest FINISHED cell, for the fingerprints that have one."""

    @abstractmethod
    def get(self, run_id: str) -> RunFacts:
        """A run's facts; TrackingError if there is none of this id."""

    @abstractmethod
    def set_status(self, run_ids: Sequence[str], status: str, end_time: int | None = None) -> None:
        """Set the status alone: 'RUNNING' to take a sweep up again, 'KILLED' for what a dead process left."""

    @abstractmethod
    def set_tags(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Add or replace tags of a run."""

    @abstractmethod
    def delete(self, run_ids: Sequence[str]) -> None:
        """Delete runs as MLflow does: they leave the UI and ``mlflow gc`` removes them."""

    @abstractmethod
    def artifact(self, run_id: str, path: str) -> bytes:
        """The content of one artifact; TrackingError if there is none."""

    def packed_results(self, run_id: str) -> dict[str, np.ndarray] | None:
        """The columns of the results of a cell that has no run of its own, see ``packs``, times as ``Results`` has
        them; None for a run."""
        return None

    @abstractmethod
    def add_artifacts(self, run_id: str, files: Mapping[str, bytes]) -> None:
        """Add files to a run, by path; one of the same path is replaced."""

    @abstractmethod
    def close(self) -> None:
        """Let go of connections and threads. The store can be used no more."""


def artifact_at_end(store: Store, run_id: str, path: str) -> bytes:
    """An artifact that a run files as it ends.

    Raises:
        TrackingError: it has none, or has not ended.
    """
    try:
        return store.artifact(run_id, path)
    except TrackingError:
        if store.get(run_id).status == "RUNNING":
            remedy = "wait for it, or train it again: that of a sweep by its command with resume=last"
            raise TrackingError(Fault(f"the run {run_id}", "must have ended to be read", "RUNNING", remedy)) from None
        raise
