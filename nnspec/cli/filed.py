"""What commands on filed runs share: arguments, the store, and finding the run that a user means."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnspec.cli.flags import Flags
from nnspec.cli.flags import UsageError as UsageError
from nnspec.errors import Fault
from nnspec.settings import Tracking

if TYPE_CHECKING:
    from nnspec.tracking import Store

LAST = "last"
RUN = "a run id, the beginning of one, a run's name, or 'last'"
MOST_NAMED = 5  # runs that an error lists
_ID = re.compile(r"[0-9a-f]{32}")
_PREFIX = re.compile(r"[0-9a-f]{3,31}")


class Parser(Flags):
    """The flags of a command on filed runs."""

    def __init__(self, command: str, doc: str):
        super().__init__(command, doc)
        self.add_argument("--uri", help="MLflow store; by default where the command line files")

    def run(self, name: str = "run") -> None:
        """Add an argument that names a run."""
        self.add_argument(name, help=RUN)


def share(value: str) -> float:
    """A confidence, for argparse."""
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if not 0 < number < 1:
        raise argparse.ArgumentTypeError(f"must be between 0 and 1, but got '{value}'; try 0.95")
    return number


def count(value: str) -> int:
    """A whole number from 0, for argparse."""
    if not value.isdecimal():
        raise argparse.ArgumentTypeError(f"must be a whole number from 0, but got '{value}'; try 40")
    return int(value)


@contextmanager
def opened(uri: str | None, make: bool = False) -> Iterator[Store]:
    """The store, closed afterwards. A SQLite file that is not there is refused rather than made, unless ``make``."""
    from nnspec.tracking import open_store
    from nnspec.tracking.locate import locate

    settings = Tracking(uri=uri)
    location = locate(settings)
    if location.file is not None and not location.file.exists() and not make:
        remedy = "go to the folder of your runs, or name their store with --uri"
        raise UsageError(str(Fault("the store", "must be there to be read", f"{location.shown}, which is not", remedy)))
    store = open_store(settings)
    try:
        yield store
    finally:
        store.close()


@dataclass(frozen=True)
class Found:
    """A run that may be the one meant."""

    run_id: str
    name: str


def find_run(store: Store, words: str) -> str:
    """The id of the run that is meant: by its id, the beginning of it, its name, or 'last' for the youngest sweep or
    single run.

    Raises:
        UsageError: no run is meant, or several are.
    """
    if _ID.fullmatch(words):
        return store.get(words).run_id
    if words == LAST:
        found = _search(store, "last", "")
        if not found:
            raise UsageError(
                f"'last' needs a run in {store.location.shown}, but there is none; train one, or name its store with "
                "--uri"
            )
        return found[0].run_id
    found = _search(store, "prefix", words) if _PREFIX.fullmatch(words) else []
    found = found or _search(store, "name", words)
    if len(found) == 1:
        return found[0].run_id
    where = f"a run in {store.location.shown}"
    if not found:
        raise UsageError(
            str(Fault(where, f"must be named by {RUN}", f"'{words}', which none has", "look it up in the MLflow UI"))
        )
    named = ", ".join(f"{run.run_id[:12]} ({run.name})" for run in found[:MOST_NAMED])
    more = " and more" if len(found) > MOST_NAMED else ""
    raise UsageError(
        str(
            Fault(
                where, "must be named so that no other is meant", f"'{words}', which may be {named}{more}", "give an id"
            )
        )
    )


def _search(store: Store, by: str, words: str) -> list[Found]:
    """Runs that are not deleted, the youngest first: by 'prefix' of the id, by 'name', or the 'last' one without a
    parent."""
    from nnspec.tracking.schema import KNOWN_REVISIONS, connect

    if store.location.kind in ("http", "file"):
        return _search_client(store, by, words)
    engine, revision = connect(store.location)
    try:
        return _search_tables(engine, by, words) if revision in KNOWN_REVISIONS else _search_client(store, by, words)
    finally:
        engine.dispose()


def _search_tables(engine: Any, by: str, words: str) -> list[Found]:
    """Straight from the tables: importing MLflow's client takes longer than everything else that these commands do."""
    from sqlalchemy import select

    from nnspec.tracking.records import PARENT_TAG
    from nnspec.tracking.schema import tables
    from nnspec.tracking.sql import read_rows
    from nnspec.tracking.store import as_text

    run, tag, experiment = tables().runs, tables().tags, tables().experiments
    alive = select(experiment.c.experiment_id).where(experiment.c.lifecycle_stage == "active")
    children = select(tag.c.run_uuid).where(tag.c.key == PARENT_TAG)
    condition = {
        "prefix": run.c.run_uuid.like(f"{words}%"),
        "name": run.c.name == words,
        "last": run.c.run_uuid.not_in(children),
    }[by]
    query = select(run.c.run_uuid, run.c.name).where(
        run.c.lifecycle_stage == "active", run.c.experiment_id.in_(alive), condition
    )
    newest = query.order_by(run.c.start_time.desc(), run.c.run_uuid.desc()).limit(MOST_NAMED + 1)
    return [Found(*map(as_text, row)) for row in read_rows(engine, newest)]


def _search_client(store: Store, by: str, words: str) -> list[Found]:
    from mlflow import MlflowClient

    from nnspec.tracking.patience import Patience
    from nnspec.tracking.store import as_text

    if by == "name" and "'" in words:  # MLflow's grammar has no escapes, and no name of ours has one
        return []
    query = {
        "prefix": f"attributes.run_id LIKE '{words}%'",
        "name": f"attributes.run_name = '{words}'",
        "last": "tags.`mlflow.parentRunId` IS NULL",
    }[by]
    client, patience = MlflowClient(tracking_uri=store.location.absolute), Patience(store.location)
    ids = [one.experiment_id for one in patience.call(lambda: list(client.search_experiments(max_results=10_000)))]
    order = ["attributes.start_time DESC"]
    runs = (
        patience.call(lambda: list(client.search_runs(ids, query, max_results=MOST_NAMED + 1, order_by=order)))
        if ids
        else []
    )
    return [Found(as_text(run.info.run_id), as_text(run.info.run_name)) for run in runs]


def folder(path: str) -> Path:
    """A folder to write to, made where it is missing."""
    target = Path(path)
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            str(Fault("--out", "must be a folder that can be made", f"'{path}' ({error.strerror})", "name another"))
        ) from error
    return target
