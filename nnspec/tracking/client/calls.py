"""Calls of MLflow's public client: patient ones, several at a time; and what it is asked for in pages."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, TypeVar

from nnspec.errors import TrackingError
from nnspec.tracking.locate import Location
from nnspec.tracking.patience import Patience
from nnspec.tracking.store import no_such_run

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

THREADS = 8
NO_SUCH_RUN = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")  # no run of this id, or no id at all
PAGE = 1000
EXPERIMENTS = 10_000  # that are searched
REQUEST_SECONDS = 20

T = TypeVar("T")
A = TypeVar("A")


class Calls:
    """MLflow's client of a store, and the ways to call it."""

    def __init__(self, location: Location, patience: Patience | None = None):
        if location.kind == "http":
            # MLflow's own retries take minutes, and would send a new run twice without our knowing.
            os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
            os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", str(REQUEST_SECONDS))
            os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")  # two lines a run
        elif location.kind != "file":
            from nnspec.tracking.database.schema import connect

            engine, _ = connect(location)  # makes the tables once, where MLflow lets two processes trip over each other
            engine.dispose()
        from mlflow import MlflowClient

        # its tracebacks; we raise them as one line
        logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
        self.location = location
        self.patience = patience or Patience(location)
        self.client: MlflowClient = self.patience.call(lambda: MlflowClient(tracking_uri=location.absolute))
        self._threads = ThreadPoolExecutor(THREADS if location.kind == "http" else 1, "nnspec-file")

    def each(self, work: Callable[[A], T], items: Sequence[A]) -> list[T]:
        """``work`` on every item, several at a time; all are tried before the first failure is raised, unless the store
        is down: a thousand items must not wait for an answer one after the other."""
        failures: list[BaseException] = []

        def attempt(item: A) -> T:
            if failures and self.patience.down:
                raise failures[0]
            try:
                return work(item)
            except BaseException as error:
                failures.append(error)
                raise

        futures = [self._threads.submit(attempt, item) for item in items]
        wait(futures)
        if failures:
            raise failures[0]
        return [future.result() for future in futures]

    def run(self, run_id: str) -> Run:
        """A run.

        Raises:
            NoSuchRun: there is none of that id.
        """
        from mlflow.exceptions import MlflowException

        try:
            return self.patience.call(lambda: self.client.get_run(run_id))
        except TrackingError as error:
            cause = error.__cause__
            if isinstance(cause, MlflowException) and cause.error_code in NO_SUCH_RUN:
                raise no_such_run(self.location, run_id) from error
            raise

    def search(self, experiment_ids: list[str], query: str, order: str = "ASC", most: int | None = None) -> list[Run]:
        """The runs of which a query is true, by their start, ``most`` of them."""
        return list(self._pages(experiment_ids, query, order, most))[:most]

    def _pages(self, experiment_ids: list[str], query: str, order: str, most: int | None) -> Iterator[Run]:
        token: str | None = None
        by = [f"attributes.start_time {order}", f"attributes.run_id {order}"]
        while True:
            page = self.patience.call(
                lambda token=token: self.client.search_runs(
                    experiment_ids, query, max_results=most or PAGE, order_by=by, page_token=token
                )  # type: ignore[misc]
            )
            yield from page
            token = page.token
            if not token or most is not None:
                return

    def experiments(self) -> list[str]:
        """Those that are not deleted."""
        found = self.patience.call(lambda: list(self.client.search_experiments(max_results=EXPERIMENTS)))
        return [experiment.experiment_id for experiment in found]

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown()
