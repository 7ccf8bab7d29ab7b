"""What is in a store and of no use to anybody: deleted runs, folders without a run, what a crash left half written,
spooled folders that are filed."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import and_, column, select, table

from nnspec.tracking.contents.disk import RUN_ID, Folder, Size, measured, run_folders
from nnspec.tracking.contents.held import may_train, points_of
from nnspec.tracking.database.schema import tables
from nnspec.tracking.database.store import SqlStore, read_rows
from nnspec.tracking.files import local_path
from nnspec.tracking.records import PARENT_TAG
from nnspec.tracking.store import RunQuery, as_text
from nnspec.tracking.unspool import is_filed, spools

_SQLITE = b"SQLite format 3\0"  # what such a file begins with


@dataclass(frozen=True)
class DeletedRun:
    """A deleted run that is still in the database; ``folder`` is that of its artifacts, and ``kept`` says why it must
    stay, '' if it need not."""

    run_id: str
    points: int
    folder: Path | None
    size: Size
    kept: str = ""


@dataclass(frozen=True)
class Leftovers:
    """What could be freed, and why something cannot be.

    ``deleted`` are runs, ``experiments`` the folders of deleted ones by id, ``strays`` folders of runs that the store
    does not know, ``half`` what is half written, ``spools`` what is filed. ``sizes`` are the artifacts of all runs, and
    ``trains`` says whether one of them may still be at work.
    """

    deleted: list[DeletedRun] = field(default_factory=list)
    experiments: dict[int, Path | None] = field(default_factory=dict)
    strays: dict[Path, Size] = field(default_factory=dict)
    half: dict[Path, Size] = field(default_factory=dict)
    spools: dict[Path, Size] = field(default_factory=dict)
    strays_kept: str = ""
    sizes: dict[str, Size] = field(default_factory=dict)
    trains: bool = False

    @property
    def runs(self) -> list[DeletedRun]:
        """The deleted runs that can be freed."""
        return [run for run in self.deleted if not run.kept]

    @property
    def kept(self) -> dict[str, int]:
        """Why deleted runs must stay, with how many they are."""
        return dict(Counter(run.kept for run in self.deleted if run.kept))

    @property
    def folders(self) -> dict[Path, Size]:
        """The files and folders that can be freed, apart from those of runs."""
        return {**({} if self.strays_kept else self.strays), **self.half, **self.spools}


class _Run(NamedTuple):
    run_id: str
    stage: str
    uri: object
    experiment: int | None
    parent: str | None


def find(store: SqlStore, spooled_in: Iterable[Path] = ()) -> Leftovers:
    """What is left over in the store, in the folders of its artifacts, and in those ``spooled_in`` which runs were
    spooled."""
    roots = _roots(store)
    folders = run_folders(root for root, _ in roots.values() if root is not None)
    runs = _runs(store)  # after the folders: a run is filed before it gets one
    at_work = {run.run_id for run in store.search(RunQuery()) if may_train(run)}
    busy = {run.run_id for run in runs if {run.run_id, run.parent} & at_work}
    deleted = _deleted(store, [run for run in runs if run.stage == "deleted"], roots, folders, busy)
    known = {run.run_id for run in runs}
    strays, why = _strays(store, {path: folder.whole for path, folder in folders.items() if path.name not in known})
    settled = known - busy - {run.run_id for run in deleted}
    half = (folder.half for path, folder in folders.items() if path.name in settled)
    return Leftovers(
        deleted=deleted,
        experiments={number: root for number, (root, stage) in roots.items() if stage == "deleted"},
        strays=strays,
        half={path: size for some in half for path, size in some.items()},
        spools={one: measured(one).whole for place in spooled_in for one in spools(place) if is_filed(one)},
        strays_kept=why,
        sizes={path.name: folder.whole for path, folder in folders.items()},
        trains=bool(at_work),
    )


def _roots(store: SqlStore) -> dict[int, tuple[Path | None, str]]:
    """Of each experiment the folder of its artifacts, None where that is none of this machine, and its stage."""
    one = tables().experiments
    rows = read_rows(store.engine, select(one.c.experiment_id, one.c.artifact_location, one.c.lifecycle_stage))
    return {number: (_local(uri), stage) for number, uri, stage in rows}


def _local(uri: object) -> Path | None:
    """The absolute folder that a URI names; None for one that it does not, or by a way through another."""
    path = local_path(as_text(uri))
    return path if path is not None and path.is_absolute() and ".." not in path.parts else None


def _runs(store: SqlStore) -> list[_Run]:
    run, tag = tables().runs, tables().tags
    joined = run.outerjoin(tag, and_(tag.c.run_uuid == run.c.run_uuid, tag.c.key == PARENT_TAG))
    query = select(run.c.run_uuid, run.c.lifecycle_stage, run.c.artifact_uri, run.c.experiment_id, tag.c.value)
    return [_Run(*row) for row in read_rows(store.engine, query.select_from(joined))]


def _deleted(
    store: SqlStore,
    runs: Iterable[_Run],
    roots: Mapping[int, tuple[Path | None, str]],
    folders: Mapping[Path, Folder],
    busy: Collection[str],
) -> list[DeletedRun]:
    points, versions = points_of(store), table("model_versions", column("run_id"))
    needed = {run_id for (run_id,) in read_rows(store.engine, select(versions.c.run_id))}
    found = []
    for run in runs:
        root, _ = roots.get(run.experiment or 0, (None, ""))
        own = _own_folder(run, root)
        size = folders[own].whole if own is not None and own in folders else Size()
        why = "a registered model is made of them" if run.run_id in needed else ""
        why = "the artifacts are not where their experiment has them: mlflow gc frees them" if own is None else why
        why = "their sweep may still be training" if run.run_id in busy else why
        found.append(DeletedRun(run.run_id, points.get(run.run_id, 0), own, size, why))
    return found


def _own_folder(run: _Run, root: Path | None) -> Path | None:
    """The folder of a run below that of its experiment; None if it is not there, whatever a store says."""
    if root is None or not RUN_ID.fullmatch(run.run_id):
        return None
    own = root / run.run_id
    return own if _local(run.uri) == own / "artifacts" else None


def _strays(store: SqlStore, folders: Mapping[Path, Size]) -> tuple[dict[Path, Size], str]:
    """Of these folders of runs that the store does not know those that no other store beside it knows, and why they
    must stay."""
    file = store.location.file
    if not folders:
        return {}, ""
    if file is None or not all(path.is_relative_to(file.parent) for path in folders):
        return dict(folders), "they may be another store's"
    others: set[str] = set()
    for other in file.parent.iterdir():
        try:
            others |= set() if other == file else _run_ids(other)
        except (OSError, sqlite3.Error) as error:
            return dict(folders), f"they may be of the store {other}, which cannot be read: {error}"
    return {path: size for path, size in folders.items() if path.name not in others}, ""


def _run_ids(file: Path) -> set[str]:
    """The ids of the runs in a file, if it is a database of MLflow's.

    Raises:
        OSError, sqlite3.Error: it cannot be read.
    """
    if not file.is_file():
        return set()
    with file.open("rb") as opened:
        if opened.read(len(_SQLITE)) != _SQLITE:
            return set()
    with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as connection:
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'runs'").fetchone():
            return set()
        return {run_id for (run_id,) in connection.execute("SELECT run_uuid FROM runs")}
