"""Finding the store and the run that a user means."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from nnspec.errors import Fault, TrackingError
from nnspec.settings import Tracking
from nnspec.tracking.locate import locate
from nnspec.tracking.opening import open_store
from nnspec.tracking.records import PARENT_TAG
from nnspec.tracking.store import RunQuery, Store

LAST = "last"
RUN = "a run id, the beginning of one, a run's name, or 'last'"
MOST_NAMED = 5  # runs that an error lists
_ID = re.compile(r"[0-9a-f]{32}")
_PREFIX = re.compile(r"[0-9a-f]{3,31}")


class NamingError(TrackingError):
    """A store that is not there, or words by which no run is meant, or several."""

    exit_status = 2


@contextmanager
def opened(uri: str | None, make: bool = False, option: str = "uri=") -> Iterator[Store]:
    """The store, closed afterwards. A SQLite file that is not there is refused rather than made, unless ``make``.

    ``option`` is how whoever asks names a store, for the messages.

    Raises:
        NamingError: there is no such file.
        TrackingError: the store cannot be reached.
    """
    settings = Tracking(uri=uri)
    location = locate(settings)
    if location.file is not None and not location.file.exists() and not make:
        remedy = f"go to the folder of your runs, or name their store with {option}"
        raise NamingError(Fault("the store", "must be there to be read", f"{location.shown}, which is not", remedy))
    store = open_store(settings)
    try:
        yield store
    finally:
        store.close()


def find_run(store: Store, words: str, option: str = "uri=") -> str:
    """The id of the run that is meant: by its id, the beginning of it, its name, or 'last' for the youngest sweep or
    single run. ``option`` is how whoever asks names a store.

    Raises:
        NamingError: no run is meant, or several are.
    """
    if _ID.fullmatch(words):
        return store.get(words).run_id
    if words == LAST:
        found = store.search(RunQuery(without_tags=(PARENT_TAG,)), newest_first=True, limit=1)
        if not found:
            rule = f"'last' needs a run in {store.location.shown}, but there is none"
            raise NamingError(f"{rule}; train one, or name its store with {option}")
        return found[0].run_id
    queries = [RunQuery(id_prefix=words)] if _PREFIX.fullmatch(words) else []
    for query in (*queries, RunQuery(name=words)):
        found = store.search(query, newest_first=True, limit=MOST_NAMED + 1)
        if found:
            break
    if len(found) == 1:
        return found[0].run_id
    where = f"a run in {store.location.shown}"
    if not found:
        value, remedy = f"'{words}', which none has", "look it up in the MLflow UI"
        raise NamingError(Fault(where, f"must be named by {RUN}", value, remedy))
    length = telling([run.run_id for run in found])
    named = ", ".join(f"{run.run_id[:length]} ({run.name})" for run in found[:MOST_NAMED])
    more = " and more" if len(found) > MOST_NAMED else ""
    rule, value = "must be named so that no other is meant", f"'{words}', which may be {named}{more}"
    raise NamingError(Fault(where, rule, value, "give an id"))


def telling(ids: Sequence[str], least: int = 12) -> int:
    """How many characters tell ids apart, ``least`` or more: those of one second begin alike."""
    longest = max(len(one) for one in ids)
    return next((n for n in range(least, longest) if len({one[:n] for one in ids}) == len(ids)), longest)
