"""Finding the store and the run that a user means."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from nnspec.errors import Fault, TrackingError
from nnspec.settings import Tracking
from nnspec.tracking.locate import locate
from nnspec.tracking.opening import open_store
from nnspec.tracking.packs.store import SLASH, CellStore
from nnspec.tracking.records import PARENT_TAG, REUSED, SWEEP_TAG
from nnspec.tracking.store import RunQuery, Store, as_whole

LAST = "last"
RUN = "a run id, the beginning of one, a run's name, RUN/17 for a sweep's cell 17, or 'last'"
MOST_NAMED = 5  # runs that an error lists
_ID = re.compile(r"[0-9a-f]{32}")
_CELL = re.compile(r"[0-9]{1,9}")
_PREFIX = re.compile(r"[0-9a-f]{3,31}")


class NamingError(TrackingError):
    """A store that is not there, or words by which no run is meant, or several."""

    exit_status = 2


@contextmanager
def opened(uri: str | None, make: bool = False, option: str = "uri=") -> Iterator[CellStore]:
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
    sweep, slash, cell = words.rpartition(SLASH)
    if slash and _CELL.fullmatch(cell):
        return cell_run(store, find_run(store, sweep, option), int(cell))
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


def cell_run(store: Store, sweep: str, cell: int) -> str:
    """The id of one cell of a sweep; see ``cell_runs``."""
    return cell_runs(store, sweep, [cell])[cell]


def cell_runs(store: Store, sweep: str, cells: Sequence[int]) -> dict[int, str]:
    """The ids of cells of a sweep by their numbers, as the column ``cell`` of the sweep's table has them.

    Raises:
        NamingError: the run is no sweep, or none of its cells that are filed has a number.
    """
    if SWEEP_TAG not in store.get(sweep).tags:
        where = f"the run of cell {cells[0]}"
        raise NamingError(Fault(where, "must be a sweep", f"the run {sweep}", "leave the cell out"))
    children = store.find_children(sweep)
    found = {child.cell: child.run_id for child in children if child.cell is not None}
    if not set(cells) <= found.keys():
        found = {**_reused(store, sweep), **found}
    for cell in cells:
        if cell not in found:
            rule, remedy = "must be one that is filed", "see the column cell of nnspec table"
            old = " (its cells have no numbers: name one by its id)" if children and not found else ""
            raise NamingError(Fault(f"the cell of sweep {sweep}", rule, f"{cell}{old}", remedy))
    return {cell: found[cell] for cell in cells}


def _reused(store: Store, sweep: str) -> dict[int, str]:
    """The ids of the cells that a sweep took from earlier ones, by number."""
    try:
        found = json.loads(store.artifact(sweep, REUSED))
    except (TrackingError, ValueError):
        return {}
    pairs = found.items() if isinstance(found, dict) else ()
    return {number: str(run_id) for text, run_id in pairs if (number := as_whole(text)) is not None}


def telling(ids: Sequence[str], least: int = 12) -> int:
    """How many characters tell ids apart, ``least`` or more: those of one second begin alike."""
    longest = max(len(one) for one in ids)
    return next((n for n in range(least, longest) if len({one[:n] for one in ids}) == len(ids)), longest)
