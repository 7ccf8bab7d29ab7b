"""What a store holds: a line a sweep with its cells, and a single run, of those that are not deleted."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import func, select

from nnspec.tracking.contents.disk import Size
from nnspec.tracking.database.schema import tables
from nnspec.tracking.database.store import SqlStore, read_rows
from nnspec.tracking.provenance import process_alive
from nnspec.tracking.records import PARENT_TAG, PROCESS_TAG
from nnspec.tracking.store import FoundRun, RunQuery, Store, as_whole


@dataclass(frozen=True)
class Held:
    """A sweep with its cells, or a single run: ``points`` are its rows of metrics, ``size`` its artifacts. Both are
    None where the store does not say them. ``trains`` says whether its process may still be at work."""

    run_id: str
    name: str
    status: str
    cells: int
    trains: bool
    points: int | None = None
    size: Size | None = None


def held(store: Store, sizes: Mapping[str, Size] | None = None) -> list[Held]:
    """What the store holds, the largest first; ``sizes`` are those of the runs' artifacts, by run id."""
    runs = store.search(RunQuery(params=("cells",)))
    known = {run.run_id for run in runs}
    points = points_of(store) if isinstance(store, SqlStore) else None
    families: dict[str, list[FoundRun]] = defaultdict(list)
    for run in runs:
        parent = run.tags.get(PARENT_TAG, "")
        families[parent if parent in known else run.run_id].append(run)
    by_id = {run.run_id: run for run in runs}
    found = [_family(by_id[first], family, points, sizes) for first, family in families.items()]
    return sorted(found, key=lambda one: (-(one.points or 0) - (one.size or Size()).files, -one.cells))


def _family(
    first: FoundRun, runs: Sequence[FoundRun], points: Mapping[str, int] | None, sizes: Mapping[str, Size] | None
) -> Held:
    return Held(
        run_id=first.run_id,
        name=first.name,
        status=first.status,
        cells=_cells(first, len(runs) - 1),
        trains=may_train(first),
        points=None if points is None else sum(points.get(run.run_id, 0) for run in runs),
        size=None if sizes is None else sum((sizes.get(run.run_id, Size()) for run in runs), Size()),
    )


def _cells(sweep: FoundRun, children: int) -> int:
    """How many cells a sweep has, packed ones too: it says so in a param."""
    return max(children, as_whole(sweep.params.get("cells", "")) or 0)


def may_train(run: FoundRun) -> bool:
    """Whether a run is RUNNING and its process lives, or is another machine's, which nobody can ask from here."""
    return run.status == "RUNNING" and process_alive(run.tags.get(PROCESS_TAG, "")) is not False


def points_of(store: SqlStore) -> dict[str, int]:
    """The rows of metrics of each run that has some, deleted ones too."""
    metrics = tables().metrics
    query = select(metrics.c.run_uuid, func.count()).group_by(metrics.c.run_uuid)
    return {str(run_id): number for run_id, number in read_rows(store.engine, query)}
