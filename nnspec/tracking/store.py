"""The store: where runs are filed. One protocol, two writers: in bulk into a database (sql), or by MLflow's client
(client)."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from nnspec.errors import Fault, TrackingError
from nnspec.settings import Tracking
from nnspec.terminal import complain
from nnspec.tracking import locate
from nnspec.tracking.locate import Location
from nnspec.tracking.records import RunEnd, RunStart, Series


@dataclass(frozen=True)
class RunFacts:
    """A filed run as far as resuming and reading need it. Times in milliseconds since 1970."""

    run_id: str
    experiment_id: str
    name: str
    status: str
    tags: Mapping[str, str]
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    start_time: int
    end_time: int | None
    deleted: bool = False

    def __post_init__(self) -> None:
        """A database may hold anything in any column: texts become texts here, what is missing an empty one."""
        for name in ("run_id", "experiment_id", "name", "status"):
            object.__setattr__(self, name, as_text(getattr(self, name)))
        for name in ("tags", "params"):
            object.__setattr__(self, name, {as_text(key): as_text(value) for key, value in getattr(self, name).items()})
        metrics = {
            as_text(key): value if isinstance(value, (int, float)) else math.nan for key, value in self.metrics.items()
        }
        object.__setattr__(self, "metrics", metrics)


def as_text(value: object) -> str:
    """What a store gave for a text."""
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return "" if value is None else str(value)


@dataclass(frozen=True)
class Child:
    """A cell of a sweep."""

    run_id: str
    fingerprint: str
    status: str


def now_ms() -> int:
    """Milliseconds since 1970, as MLflow counts time."""
    return time.time_ns() // 1_000_000


class Store(Protocol):
    """Files runs. Every method raises TrackingError, with a message for the user, when the store cannot do it.

    Calling a method again with the same arguments after a failure is safe: what was filed before is recognised.
    The methods may be called from several threads.
    """

    location: Location

    def experiment(self, name: str) -> str:
        """The id of the experiment called ``name``, made if there is none; one without a kind becomes one of model
        training."""

    def start(self, runs: Sequence[RunStart], experiment_id: str) -> list[str]:
        """File runs as RUNNING with params, tags and data set; their ids in the same order."""

    def progress(self, items: Sequence[tuple[str, Mapping[str, Series]]]) -> None:
        """Add to the histories of runs: of each series, the points after the last one filed."""

    def finish(self, ends: Sequence[RunEnd]) -> None:
        """Complete runs: artifacts, the rest of the history, final metrics and tags, and only then status and end
        time."""

    def find_children(self, parent_id: str) -> list[Child]:
        """The cells of a sweep that are not deleted, oldest first; TrackingError if there is no such run."""

    def latest_sweep(self, experiment_id: str, tags: Mapping[str, str] | None = None) -> str | None:
        """The run id of the youngest sweep in the experiment, among those with these tags if some are given."""

    def finished(self, experiment_id: str, fingerprints: Sequence[str]) -> dict[str, str]:
        """Fingerprint -> run id of the youngest FINISHED cell, for the fingerprints that have one."""

    def tagged(self, experiment_id: str, key: str, value: str) -> list[RunFacts]:
        """The runs of the experiment that are not deleted and have this tag, oldest first."""

    def get(self, run_id: str) -> RunFacts:
        """A run's facts; TrackingError if there is none of this id."""

    def set_status(self, run_ids: Sequence[str], status: str, end_time: int | None = None) -> None:
        """Set the status alone: 'RUNNING' to take a sweep up again, 'KILLED' for what a dead process left."""

    def set_tags(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Add or replace tags of a run."""

    def delete(self, run_ids: Sequence[str]) -> None:
        """Delete runs as MLflow does: they leave the UI and ``mlflow gc`` removes them."""

    def artifact(self, run_id: str, path: str) -> bytes:
        """The content of one artifact; TrackingError if there is none."""

    def close(self) -> None:
        """Let go of connections and threads. The store can be used no more."""


def open_store(settings: Tracking) -> Store:
    """The store that the settings mean, reached and ready, with the writer they ask for.

    ``writer='auto'`` is the bulk writer for a database whose schema it has been tested with, else the client.

    Raises:
        TrackingError: if the URI is none, the store does not answer within seconds, or the writer does not fit it.
    """
    location = locate.locate(settings)
    if location.kind in ("http", "file"):
        if settings.writer == "sql":
            raise locate.refuse("must be a database for tracking.writer=sql", location.uri, "use tracking.writer=auto")
        if location.kind == "http":
            locate.reach_server(location)
        return _client(location)
    if settings.writer == "client":
        return _client(location)
    return _database(location, settings.writer)


def _client(location: Location) -> Store:
    from nnspec.tracking.client import ClientStore

    return ClientStore(location)


def _database(location: Location, writer: str) -> Store:
    from nnspec.tracking.schema import KNOWN_REVISIONS, connect
    from nnspec.tracking.sql import SqlStore

    engine, revision = connect(location)
    if revision in KNOWN_REVISIONS:
        return SqlStore(location, engine)
    engine.dispose()
    rule = f"must have a schema that the bulk writer has been tested with ({', '.join(sorted(KNOWN_REVISIONS))})"
    fault = Fault(
        "tracking.writer=sql",
        rule,
        f"revision {revision}",
        "use tracking.writer=client, or the MLflow of the constraints file",
    )
    if writer == "sql":
        raise TrackingError(str(fault))
    instead = "filing through MLflow's client instead, which is slower"
    complain(Fault(fault.where, fault.rule, fault.value, instead))
    return _client(location)
