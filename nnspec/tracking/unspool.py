"""Filing what was spooled: each run once, whatever became of the store, of the sweep and of earlier tries to file
it."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from nnspec.errors import Fault, NoSuchRun, TrackingError
from nnspec.files import open_note
from nnspec.tracking.files import lock, write_file
from nnspec.tracking.provenance import still_trains
from nnspec.tracking.records import (
    FINGERPRINT_TAG,
    ITEM_TAG,
    NAME_LIMIT,
    PARENT_TAG,
    PROCESS_TAG,
    SPOOL_TAG,
    SWEEP_TAG,
    RunStart,
)
from nnspec.tracking.spool import FILED, MANIFEST, Unfiled, read_manifest, read_runs
from nnspec.tracking.store import FoundRun, RunFacts, RunQuery, Store

LOCK = ".filing"


class PartlyFiled(TrackingError):
    """Some runs of a folder could not be filed, a line each; ``filed`` of them were."""

    def __init__(self, errors: Iterable[TrackingError], filed: int):
        self.filed = filed
        super().__init__("\n".join(map(str, errors)))


@dataclass(frozen=True)
class FiledSpool:
    """The ids in the store of a folder's runs, in order, and how many of them were complete there before."""

    ids: list[str]
    before: int


def file_spool(folder: Path, store: Store) -> FiledSpool:
    """File what a spooled folder holds. Safe to repeat: each run is filed once.

    A cell is known by its parent and its fingerprint, so one that was trained again meanwhile is not filed a second
    time; a run without a parent by the tags ``nnspec.spool_id`` and ``nnspec.spool_item``, or by the id it already had
    in the store. What a lost answer or a kill left of these runs in the store is deleted.

    Raises:
        PartlyFiled: if some of the runs are not as ``spool`` left them; the others are filed.
        TrackingError: if the folder is not as ``spool`` left it, another command files it or resumes its sweep, or the
            store fails; then simply call it again.
    """
    manifest, runs, refused = read_runs(folder)
    with _alone(folder):
        filing = _Filing(store, store.experiment(manifest["experiment"]), manifest["spool_id"])
        for generation in _parents_first(runs):
            unfit = filing.unfit({number: runs[number] for number in generation})
            for number, (field, error) in unfit.items():
                refused[number] = TrackingError(f"spooled {folder / 'runs' / str(number)}: {field}: {error}")
            filing.file({number: runs[number] for number in generation if number not in unfit})
        filing.delete_strays()
        if refused:
            raise PartlyFiled([refused[number] for number in sorted(refused)], len(filing.ids))
        filed = [filing.ids[run.end.run_id] for run in runs.values()]
        try:
            write_file(folder / FILED, json.dumps(filed).encode())
        except OSError as error:
            raise _no_room(folder, error) from error
    return FiledSpool(filed, filing.before)


def spools(folder: Path) -> list[Path]:
    """The spooled folders in ``folder``, or the one that it is, oldest first; none where there can be no such
    folder."""
    try:
        found = (
            [folder] if (folder / MANIFEST).is_file() else [path.parent for path in folder.glob(f"spool-*/{MANIFEST}")]
        )
        return sorted(found, key=lambda path: ((path / MANIFEST).stat().st_mtime, path))
    except OSError:  # its name is too long, say
        return []


def is_filed(spool: Path) -> bool:
    """Whether all of a spooled folder is in a store."""
    return (spool / FILED).exists()


def unfiled_of(sweep: str, folders: Iterable[Path]) -> list[Path]:
    """The spooled folders in ``folders`` that have something of the sweep's and are not filed yet."""
    return [spool for folder in folders for spool in spools(folder) if not is_filed(spool) and _holds(spool, sweep)]


def _holds(spool: Path, sweep: str) -> bool:
    try:
        runs = read_manifest(spool)["runs"]
        return any(sweep in (run["start"]["parent"], run["end"]["run_id"]) for run in runs)
    except (OSError, ValueError, KeyError, TypeError):
        return False  # whoever files it is told


@dataclass
class _Filing:
    """The runs of one folder on their way into a store. ``ids`` maps the id in the folder to that in the store."""

    store: Store
    experiment_id: str
    spool_id: str

    def __post_init__(self) -> None:
        self.ids: dict[str, str] = {}
        self.before = 0
        self._seen: list[tuple[int, Unfiled]] = []
        self._tries: dict[str, list[FoundRun]] = defaultdict(list)
        for found in self.store.search(RunQuery(self.experiment_id, tags={SPOOL_TAG: self.spool_id})):
            self._tries[found.tags.get(ITEM_TAG, "")].append(found)

    def unfit(self, runs: Mapping[int, Unfiled]) -> dict[int, tuple[str, NoSuchRun]]:
        """The field that keeps a run from being filed, and why: the store has not its parent, or not the run that had
        begun in it."""
        parents = {run.start.parent for run in runs.values() if run.start.parent is not None}
        missing = {parent: self._missing(parent) for parent in parents if parent not in self.ids}
        found: dict[int, tuple[str, NoSuchRun]] = {}
        for number, run in runs.items():
            if (error := missing.get(run.start.parent or "")) is not None:
                found[number] = "start.parent", error
            elif run.begun and not _is_cell(run.start) and (error := self._missing(run)) is not None:
                found[number] = "end.run_id", error
        return found

    def _missing(self, run: str | Unfiled) -> NoSuchRun | None:
        try:
            self.store.get(run) if isinstance(run, str) else self._begun(run)
        except NoSuchRun as error:
            return error
        return None

    def file(self, runs: Mapping[int, Unfiled]) -> None:
        """File runs whose parents are in the store."""
        marked = {number: self._marked(number, run) for number, run in runs.items()}
        self._seen += marked.items()
        there = self._there(marked)
        known = {number: _known(run, there[number]) for number, run in marked.items()}
        new = [number for number, child in known.items() if child is None]
        begun = dict(
            zip(new, self.store.start([marked[number].start for number in new], self.experiment_id), strict=True)
        )
        ids = {number: begun[number] if child is None else child.run_id for number, child in known.items()}
        rest = [number for number, child in known.items() if child is None or not _complete(marked[number], child)]
        self.store.finish([replace(marked[number].end, run_id=ids[number]) for number in rest])
        self.ids |= {run.end.run_id: ids[number] for number, run in runs.items()}
        self.before += len(runs) - len(rest)

    def delete_strays(self) -> None:
        """Delete what else there is of the same runs, which nobody will complete: of a beginning whose answer was lost,
        of a cell that was being trained when its process died, of an earlier try of this."""
        there = self._there(dict(self._seen))
        ours = set(self.ids.values())
        left = [
            child
            for number, _ in self._seen
            for child in there[number]
            if child.status != "FINISHED" and child.run_id not in ours
        ]
        self.store.delete(list(dict.fromkeys(child.run_id for child in left)))

    def _marked(self, number: int, run: Unfiled) -> Unfiled:
        """The run with the tags by which it is known again, and its parent as the store knows it."""
        tags = {SPOOL_TAG: self.spool_id, ITEM_TAG: str(number)}
        parent = run.start.parent and self.ids.get(run.start.parent, run.start.parent)
        start = replace(run.start, parent=parent, tags={**run.start.tags, **tags})
        return replace(run, start=start, end=replace(run.end, tags={**run.end.tags, **tags}))

    def _there(self, marked: Mapping[int, Unfiled]) -> dict[int, list[FoundRun]]:
        """What the store has of each run, not deleted."""
        cells = {number: run for number, run in marked.items() if _is_cell(run.start)}
        parents = {run.start.parent: run.start for run in cells.values()}
        children = {parent: self._children(parent, start) for parent, start in parents.items() if parent is not None}
        return {
            number: [
                child for child in children[run.start.parent] if child.fingerprint == run.start.tags[FINGERPRINT_TAG]
            ]
            if number in cells and run.start.parent is not None
            else self._alike(number, run)
            for number, run in marked.items()
        }

    def _children(self, parent: str, start: RunStart) -> list[FoundRun]:
        facts = self.store.get(parent)
        if still_trains(facts) and facts.tags.get(PROCESS_TAG) != start.tags.get(PROCESS_TAG):
            raise TrackingError(
                f"cells must not be filed while their sweep is resumed, but {parent} is; wait for it or stop it"
            )
        return self.store.find_children(parent)

    def _alike(self, number: int, run: Unfiled) -> list[FoundRun]:
        """Of a run that is no sweep's cell: what earlier tries began, what began before it was spooled, and its
        duplicates."""
        found = {one.run_id: one for one in self._tries[str(number)]}
        key = FINGERPRINT_TAG if FINGERPRINT_TAG in run.start.tags else SWEEP_TAG
        if key in run.start.tags:
            alike = self.store.search(RunQuery(self.experiment_id, tags={key: run.start.tags[key]}))
            found |= {one.run_id: one for one in alike if _twin(one, run.start)}
        if run.begun:
            found[run.end.run_id] = self._begun(run)
        return list(found.values())

    def _begun(self, run: Unfiled) -> RunFacts:
        facts = self.store.get(run.end.run_id)
        mark = run.start.tags.get(FINGERPRINT_TAG)
        where = f"run {run.end.run_id}"
        if facts.tags.get(FINGERPRINT_TAG) != mark:
            rule = f"must be the one that was spooled ({mark})"
            remedy = "set tracking.uri to the store it began in"
            raise NoSuchRun(Fault(where, rule, str(facts.tags.get(FINGERPRINT_TAG)), remedy))
        if facts.deleted:
            raise NoSuchRun(Fault(where, "must not be deleted", "a deleted run", "restore it, or remove the folder"))
        return facts


def _is_cell(start: RunStart) -> bool:
    return start.parent is not None and FINGERPRINT_TAG in start.tags


def _known(run: Unfiled, there: Sequence[FoundRun]) -> FoundRun | None:
    """The run that the store has in this one's place: a complete one, else the one that had begun before it was
    spooled.

    What an earlier try began may lack params, so it is no such run: it is deleted and begun again.
    """
    done = [child for child in there if _complete(run, child)]
    begun = [child for child in there if run.begun and child.run_id == run.end.run_id]
    return next(iter([child for child in done if child in begun] + done + begun), None)


def _complete(run: Unfiled, child: FoundRun) -> bool:
    """Whether a run of the store needs nothing more: a status other than RUNNING is the last that is filed of it."""
    return child.status in ("FINISHED", run.end.status)


def _twin(found: FoundRun, start: RunStart) -> bool:
    """Whether the store began this very run and its answer was lost."""
    same = (found.name, found.start_time, found.tags.get(PARENT_TAG)) == (
        start.name[:NAME_LIMIT],
        start.start_time,
        start.parent,
    )
    return same and found.tags.get(PROCESS_TAG) == start.tags.get(PROCESS_TAG) and SPOOL_TAG not in found.tags


def _parents_first(runs: Mapping[int, Unfiled]) -> list[list[int]]:
    """The numbers of the runs whose parent is not among them, then those of the others: a sweep has two levels."""
    own = {run.end.run_id for run in runs.values()}
    children = [number for number, run in runs.items() if run.start.parent in own]
    return [[number for number in runs if number not in set(children)], children]


@contextmanager
def _alone(spool: Path) -> Iterator[None]:
    """Keep a second command off the same folder: both would find its runs unfiled. The system lets go if this process
    dies."""
    with ExitStack() as stack:
        try:
            file = stack.enter_context(open_note(spool / LOCK))
        except OSError as error:
            raise _no_room(spool, error) from error
        try:
            lock(file, wait=False)
        except OSError as error:
            raise TrackingError(
                f"a folder must be filed by one command at a time, but another files {spool}; wait for it"
            ) from error
        yield


def _no_room(spool: Path, error: OSError) -> TrackingError:
    rule = "must take a note that it is filed"
    return TrackingError(
        Fault(f"the folder {spool}", rule, error.strerror or str(error), "make room and file it again")
    )
