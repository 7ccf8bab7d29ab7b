"""The store as everyone sees it, in which a packed cell is found and read like a run.

The id of a packed cell is that of its sweep's run and its number, as ``<id>/17``.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

import numpy as np

from nnspec.errors import Fault, TrackingError
from nnspec.results.arrays import Results
from nnspec.tracking.artifacts import SPEC, cell_artifacts, spec_yaml
from nnspec.tracking.cell_records import final_metrics
from nnspec.tracking.packs.reading import Entry, Packs
from nnspec.tracking.packs.writing import FOLDER, NONFINITE, PackedCell, pack_files, packs_of
from nnspec.tracking.records import CELL_TAG, FINGERPRINT_TAG, PACKS_TAG, PARENT_TAG, RunEnd, RunStart, Series
from nnspec.tracking.store import FoundRun, RunFacts, RunQuery, Store, as_whole

SLASH = "/"  # between the id of a sweep and the number of a packed cell


class CellStore(Store):
    """A store of runs, and of cells that are packed in the run of their sweep; see ``Store`` for what each method
    promises. Packed cells have ended: what they are is not changed any more."""

    def __init__(self, runs: Store):
        self.runs, self.location = runs, runs.location
        self._packs: dict[str, Packs] = {}
        self._lock = threading.Lock()

    # What is filed.

    def experiment(self, name: str) -> str:
        return self.runs.experiment(name)

    def start(self, runs: Sequence[RunStart], experiment_id: str) -> list[str]:
        return self.runs.start(runs, experiment_id)

    def progress(self, items: Sequence[tuple[str, Mapping[str, Series]]]) -> None:
        self.runs.progress(items)

    def finish(self, ends: Sequence[RunEnd]) -> None:
        self.runs.finish(ends)

    def file(self, runs: Sequence[tuple[RunStart, RunEnd]], experiment_id: str) -> list[str]:
        return self.runs.file(runs, experiment_id)

    def pack(self, sweep: str, cells: Sequence[PackedCell]) -> None:
        """File cells of a sweep in its own run. They are there once the run's tag counts their packs: what a killed
        process left half is written over by the next one."""
        count = _count(self.runs.get(sweep))
        for pack in packs_of(cells):
            files = pack_files(pack)
            self.runs.add_artifacts(sweep, {f"{FOLDER}/{count}/{name}": files[name] for name in files})
            count += 1
        self.runs.set_tags(sweep, {PACKS_TAG: str(count)})

    def set_status(self, run_ids: Sequence[str], status: str, end_time: int | None = None) -> None:
        self.runs.set_status(_own(run_ids), status, end_time)

    def set_tags(self, run_id: str, tags: Mapping[str, str]) -> None:
        self.runs.set_tags(_unpacked(run_id), tags)

    def delete(self, run_ids: Sequence[str]) -> None:
        self.runs.delete(_own(run_ids))

    def add_artifacts(self, run_id: str, files: Mapping[str, bytes]) -> None:
        self.runs.add_artifacts(_unpacked(run_id), files)

    def close(self) -> None:
        self.runs.close()

    # What is found and read.

    def search(self, query: RunQuery, newest_first: bool = False, limit: int | None = None) -> list[FoundRun]:
        return self.runs.search(query, newest_first, limit)

    def find_children(self, parent_id: str, params: Sequence[str] = ()) -> list[FoundRun]:
        """The cells of a sweep. One that is packed stands for itself, unless it has a finished run of the same spec."""
        children, packed = super().find_children(parent_id, params), self._of(parent_id).entries
        if not packed:
            return children
        cells = {str(cell): _found(parent_id, entry, params) for cell, entry in packed.items()}
        for child in children:
            number = child.tags.get(CELL_TAG, child.run_id)
            of_a_pack = cells.get(number)
            if of_a_pack is None or (child.status, child.fingerprint) == ("FINISHED", of_a_pack.fingerprint):
                cells[number] = child
        return sorted(cells.values(), key=_place)

    def finished(self, experiment_id: str, fingerprints: Sequence[str]) -> dict[str, str]:
        wanted, found = set(fingerprints), {}
        for sweep in self.runs.search(RunQuery(experiment_id, with_tags=(PACKS_TAG,))):
            for cell, entry in self._of(sweep.run_id).entries.items():
                if entry.status == "FINISHED" and entry.fingerprint in wanted:
                    found[entry.fingerprint] = packed_id(sweep.run_id, cell)
        return found | self.runs.finished(experiment_id, fingerprints)

    def get(self, run_id: str) -> RunFacts:
        if SLASH not in run_id:
            return self.runs.get(run_id)
        packs, entry = self._entry(run_id)
        sweep = packs.sweep
        found = _found(packs.run_id, entry)
        metrics = dict(final_metrics(packs.result(entry))) if entry.networks else {}
        return RunFacts(
            run_id=run_id,
            experiment_id=sweep.experiment_id,
            name=entry.name,
            status=entry.status,
            tags={**entry.tags, **found.tags},
            params=dict(sorted(entry.spec.flat().items())),
            metrics=metrics | dict(entry.metrics),
            start_time=entry.start_time,
            end_time=entry.end_time,
            deleted=sweep.deleted,
        )

    def artifact(self, run_id: str, path: str) -> bytes:
        if SLASH not in run_id:
            return self.runs.artifact(run_id, path)
        packs, entry = self._entry(run_id)
        if path == SPEC:
            return spec_yaml(entry.spec)
        result = packs.result(entry)
        files = cell_artifacts(result, result.diagnosis)
        if path not in files:
            rule, remedy = "must be one that cells have", f"try {', '.join(files)}"
            raise TrackingError(Fault(f"an artifact of the packed cell {run_id}", rule, f"'{path}'", remedy))
        return files[path]

    def packed_cell(self, run_id: str) -> Results:
        """What training left of a packed cell, as far as it was packed: no store has ``outputs``.

        Raises:
            TrackingError: there is no such cell, it was not trained, or its pack is broken.
        """
        packs, entry = self._entry(run_id)
        return packs.result(entry)

    def packed_results(self, run_id: str) -> dict[str, np.ndarray] | None:
        if SLASH not in run_id:
            return None
        packs, entry = self._entry(run_id)
        columns = packs.columns(entry)
        del columns[NONFINITE]
        return columns

    def _entry(self, run_id: str) -> tuple[Packs, Entry]:
        sweep, _, number = run_id.partition(SLASH)
        said = as_whole(number)
        cell = -1 if said is None else said
        packs = self._packs.get(sweep)
        if packs is None or cell not in packs.entries:
            packs = self._of(sweep)
        return packs, packs.entry(cell)

    def _of(self, sweep: str) -> Packs:
        """The packs of a sweep, those that were added since with them."""
        facts = self.runs.get(sweep)
        with self._lock:
            packs = self._packs.setdefault(sweep, Packs(self.runs, facts))
            packs.grow(_count(facts))
            return packs


def _count(sweep: RunFacts) -> int:
    """How many packs a sweep's run holds."""
    said = sweep.tags.get(PACKS_TAG, "0")
    count = as_whole(said)
    if count is None:
        where = f"the tag {PACKS_TAG} of run {sweep.run_id}"
        raise TrackingError(Fault(where, "must be a whole number from 0", f"'{said[:40]}'", "mend the tag"))
    return count


def packed_id(sweep: str, cell: int) -> str:
    """What stands for the run id of a packed cell."""
    return f"{sweep}{SLASH}{cell}"


def is_packed(run_id: str) -> bool:
    """Whether an id is a packed cell's, which has no run of its own."""
    return SLASH in run_id


def _found(sweep: str, entry: Entry, params: Sequence[str] = ()) -> FoundRun:
    tags = {PARENT_TAG: sweep, CELL_TAG: str(entry.cell), FINGERPRINT_TAG: entry.fingerprint}
    flat = entry.spec.flat() if params else {}
    some = {name: flat[name] for name in params if name in flat}
    run_id = packed_id(sweep, entry.cell)
    return FoundRun(run_id, entry.name, entry.status, entry.start_time, tags, some)


def _place(run: FoundRun) -> tuple[int, int]:
    """Cells by their numbers, then runs without one by their age."""
    return (1, run.start_time) if run.cell is None else (0, run.cell)


def _own(run_ids: Sequence[str]) -> list[str]:
    """Those that are runs: what a packed cell is does not change, and a later pack of the cell stands for it."""
    return [run_id for run_id in run_ids if SLASH not in run_id]


def _unpacked(run_id: str) -> str:
    if SLASH in run_id:
        sweep, _, cell = run_id.partition(SLASH)
        rule, remedy = "must have a run of its own for that", f"nnspec promote {sweep} {cell}"
        raise TrackingError(Fault(f"cell {cell} of sweep {sweep}", rule, "a packed cell", remedy))
    return run_id
