"""What a store holds is counted as MLflow's client counts it; freeing takes what is left over, and nothing else."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import event, inspect, text

from nnspec.errors import TrackingError
from nnspec.settings import Tracking
from nnspec.tracking import open_store
from nnspec.tracking.contents import find, free, held, pages, shrink
from nnspec.tracking.contents.disk import QUIET_SECONDS, Size, measured
from nnspec.tracking.database.store import SqlStore
from nnspec.tracking.files import local_path
from nnspec.tracking.locate import locate
from nnspec.tracking.provenance import process_id
from nnspec.tracking.records import PROCESS_TAG, SWEEP_TAG, DatasetInfo, RunEnd, RunStart, Series
from nnspec.tracking.spool import FILED, MANIFEST

CELLS = 3
POINTS = 2 * 10 + 1  # two series and a metric of the end


@dataclass
class Stocked:
    """A store with two sweeps of CELLS cells and a single run."""

    store: SqlStore
    uri: str
    sweep: str
    cells: list[str]
    other: str
    others: list[str]
    single: str

    def folder(self, run_id: str) -> Path:
        """The folder of a run."""
        uri = str(self.rows("SELECT artifact_uri FROM runs WHERE run_uuid = :id", id=run_id)[0][0])
        path = local_path(uri)
        assert path is not None
        return path.parent

    def rows(self, query: str, **values: object) -> list[Any]:
        with self.store.engine.begin() as connection:
            found = connection.execute(text(query), values)
            return list(found) if found.returns_rows else []

    def mentions(self, run_ids: list[str]) -> list[str]:
        """The tables and columns in which one of these ids stands."""
        found = []
        look = inspect(self.store.engine)
        for name in look.get_table_names():
            for one in look.get_columns(name):
                column = one["name"]
                quoted = self.store.engine.dialect.identifier_preparer.quote
                values = {str(value) for (value,) in self.rows(f"SELECT {quoted(column)} FROM {quoted(name)}")}
                found += [f"{name}.{column}" for run_id in run_ids if run_id in values]
        return found


def finish(store: SqlStore, run_ids: list[str]) -> None:
    series = Series(np.arange(10), np.arange(10) / 7)
    files = {"spec.yaml": b"a" * 5000, "weights/final.safetensors": b"b"}
    history = {"loss": series, "accuracy": series}
    store.finish([RunEnd(run_id, "FINISHED", history, {"end": 1.0}, {}, files, 5, 9) for run_id in run_ids])


@pytest.fixture
def stocked(folder: Path, database: Callable[[Path, str], str]) -> Iterator[Stocked]:
    uri = database(folder, "contents")
    store = open_store(Tracking(uri=uri, writer="sql")).runs
    assert isinstance(store, SqlStore)
    experiment = store.experiment("kept: ü")
    data = DatasetInfo("xor", "0123", "{}", "{}")

    def sweep(name: str) -> tuple[str, list[str]]:
        (parent,) = store.start([RunStart(name, {}, {SWEEP_TAG: name, PROCESS_TAG: process_id()})], experiment)
        starts = [RunStart(f"{name}-{n}", {"n": str(n)}, {}, parent, data, n) for n in range(CELLS)]
        cells = store.start(starts, experiment)
        finish(store, [*cells, parent])
        return parent, cells

    first, second = sweep("one"), sweep("other")
    (single,) = store.start([RunStart("single", {}, {}, None, data)], experiment)
    finish(store, [single])
    yield Stocked(store, uri, *first, *second, single)
    store.close()


def test_what_is_held_is_what_mlflow_finds(stocked: Stocked) -> None:
    from mlflow import MlflowClient

    found = find(stocked.store)
    runs = {run.run_id: run for run in held(stocked.store, found.sizes)}
    assert set(runs) == {stocked.sweep, stocked.other, stocked.single}
    assert (runs[stocked.sweep].cells, runs[stocked.single].cells) == (CELLS, 0)
    assert runs[stocked.sweep].points == (CELLS + 1) * POINTS
    client = MlflowClient(tracking_uri=locate(Tracking(uri=stocked.uri)).absolute)
    metrics = [client.get_metric_history(stocked.single, key) for key in ("loss", "accuracy", "end")]
    assert runs[stocked.single].points == sum(map(len, metrics))
    on_disk = [path.lstat() for path in stocked.folder(stocked.single).rglob("*") if path.is_file()]
    assert runs[stocked.single].size == Size(2, sum(facts.st_blocks * 512 for facts in on_disk))
    assert (found.deleted, found.folders, found.experiments) == ([], {}, {})


def test_deleted_runs_go_with_everything_of_theirs(stocked: Stocked) -> None:
    from mlflow import MlflowClient

    gone = [*stocked.cells, stocked.sweep]
    stocked.store.delete(gone)
    folders = [stocked.folder(run_id) for run_id in gone]
    found = find(stocked.store)
    assert {run.run_id for run in found.runs} == set(gone)
    assert sum(run.points for run in found.runs) == len(gone) * POINTS
    assert sum((run.size for run in found.runs), Size()).files == 2 * len(gone)
    assert stocked.mentions(gone)  # or the next would prove nothing
    assert free(stocked.store, found, most_runs=2) == len(gone)
    assert stocked.mentions(gone) == []
    assert not any(map(os.path.lexists, folders))
    links = stocked.rows("SELECT input_uuid FROM inputs")
    assert sorted(stocked.rows("SELECT input_uuid FROM input_tags")) == sorted(links)
    assert len(links) == CELLS + 1
    client = MlflowClient(tracking_uri=locate(Tracking(uri=stocked.uri)).absolute)
    for run_id in (*stocked.others, stocked.other, stocked.single):
        assert client.get_run(run_id).data.metrics.keys() == {"loss", "accuracy", "end"}
        assert {one.path for one in client.list_artifacts(run_id)} == {"spec.yaml", "weights"}
    assert not find(stocked.store).deleted


def test_what_was_interrupted_can_be_done_again(stocked: Stocked) -> None:
    """As after a kill between the files and the rows: they go in one transaction, the files first."""
    stocked.store.delete(stocked.cells)
    folders = [stocked.folder(run_id) for run_id in stocked.cells]

    @event.listens_for(stocked.store.engine, "before_cursor_execute")
    def die(_connection: Any, _cursor: Any, statement: str, *_: object) -> None:
        if statement.startswith("DELETE FROM runs"):
            raise InterruptedError

    with pytest.raises(InterruptedError):
        free(stocked.store, find(stocked.store))
    event.remove(stocked.store.engine, "before_cursor_execute", die)
    assert not any(folder.exists() for folder in folders)
    again = find(stocked.store)
    assert {run.run_id for run in again.runs} == set(stocked.cells)
    assert free(stocked.store, again) == CELLS
    assert stocked.mentions(stocked.cells) == []


def test_a_run_that_is_restored_meanwhile_stays(stocked: Stocked) -> None:
    stocked.store.delete(stocked.cells)
    found = find(stocked.store)
    stocked.rows("UPDATE runs SET lifecycle_stage = 'active' WHERE run_uuid = :id", id=stocked.cells[0])
    assert free(stocked.store, found) == CELLS - 1
    assert (stocked.folder(stocked.cells[0]) / "artifacts" / "spec.yaml").exists()
    assert held(stocked.store)[-1].points is not None


@pytest.mark.parametrize(
    ("process", "kept"),
    [(process_id(), True), ("elsewhere:1:2", True), (process_id(2**22 + 1), False)],
    ids=["alive", "elsewhere", "dead"],
)
def test_nothing_goes_while_its_sweep_may_train(stocked: Stocked, process: str, kept: bool) -> None:
    half = stocked.folder(stocked.cells[1]) / f".artifacts.{'0' * 32}.tmp"
    half.mkdir()
    os.utime(half, (0, 0))
    stocked.store.set_status([stocked.sweep], "RUNNING")
    stocked.store.set_tags(stocked.sweep, {PROCESS_TAG: process})
    stocked.store.delete(stocked.cells[:1])
    found = find(stocked.store)
    assert (found.trains, bool(found.kept), half in found.half) == (kept, kept, not kept)
    assert free(stocked.store, found) == (0 if kept else 1)
    assert half.exists() == kept


def test_what_a_crash_left_half_written_goes_once_it_is_quiet(stocked: Stocked) -> None:
    home = stocked.folder(stocked.single)
    old, new = (home / f".artifacts.{digit * 32}.tmp" for digit in "ab")
    for half in (old, new):
        half.mkdir()
        (half / "large").write_bytes(b"1")
    single = home / "artifacts" / f".report.html.{'c' * 32}.tmp"
    single.write_bytes(b"1")
    for path in (old, old / "large", single):
        os.utime(path, (path.stat().st_mtime - 2 * QUIET_SECONDS,) * 2)
    found = find(stocked.store)
    assert set(found.half) == {old, single}
    free(stocked.store, found)
    assert (old.exists(), single.exists(), new.exists()) == (False, False, True)
    assert (home / "artifacts" / "spec.yaml").exists()


@pytest.fixture
def on_sqlite(stocked: Stocked) -> Stocked:
    if stocked.store.location.file is None:
        pytest.skip("of a file")
    return stocked


@pytest.mark.parametrize(
    "uri", ["{outside}", "{root}/../outside/{id}/artifacts", "{root}/{id}", "s3://bucket/{id}", ""]
)
def test_a_folder_elsewhere_is_never_removed(on_sqlite: Stocked, folder: Path, uri: str) -> None:
    """Whatever the database says: it may be a stranger's."""
    (run_id, *_), root = on_sqlite.cells, on_sqlite.folder(on_sqlite.sweep).parent
    outside = folder / "outside" / run_id / "artifacts"
    outside.mkdir(parents=True)
    (outside / "precious").write_text("1")
    uri = uri.format(outside=outside, root=root, id=run_id)
    on_sqlite.rows("UPDATE runs SET artifact_uri = :uri WHERE run_uuid = :id", uri=uri, id=run_id)
    on_sqlite.store.delete([run_id])
    found = find(on_sqlite.store)
    assert [run.kept[:28] for run in found.deleted] == ["the artifacts are not where "]
    assert free(on_sqlite.store, found) == 0
    assert (outside / "precious").exists()
    assert (root / run_id).exists()
    assert on_sqlite.mentions([run_id])


def test_links_are_removed_and_not_followed(on_sqlite: Stocked, folder: Path) -> None:
    precious = folder / "precious"
    precious.mkdir()
    (precious / "file").write_text("1")
    linked, inside = on_sqlite.cells[:2]
    home = on_sqlite.folder(linked)
    home.rename(folder / "moved")
    home.symlink_to(precious)
    (on_sqlite.folder(inside) / "artifacts" / "link").symlink_to(precious)
    on_sqlite.store.delete([linked, inside])
    assert free(on_sqlite.store, find(on_sqlite.store)) == 2
    assert not os.path.lexists(home)
    assert (precious / "file").exists()
    assert measured(folder / "moved").size.files == 2


def test_runs_of_registered_models_stay(stocked: Stocked) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=locate(Tracking(uri=stocked.uri)).absolute)
    name = f"model of {stocked.single}"
    client.create_registered_model(name)
    client.create_model_version(name, f"runs:/{stocked.single}/weights", stocked.single)
    stocked.store.delete([stocked.single])
    found = find(stocked.store)
    assert found.kept == {"a registered model is made of them": 1}
    assert free(stocked.store, found) == 0
    assert stocked.folder(stocked.single).exists()


def test_folders_without_a_run_go_unless_another_store_has_it(on_sqlite: Stocked, folder: Path) -> None:
    """Two files in one folder keep their artifacts in one place."""
    root = on_sqlite.folder(on_sqlite.single).parent
    stray, theirs = root / ("0" * 32), root / ("1" * 32)
    for path in (stray, theirs):
        (path / "artifacts").mkdir(parents=True)
    (root / "models").mkdir()
    with closing(sqlite3.connect(folder / "other")) as other:
        other.execute("CREATE TABLE runs (run_uuid TEXT)")
        other.execute("INSERT INTO runs VALUES (?)", (theirs.name,))
        other.commit()
    found = find(on_sqlite.store)
    assert (set(found.strays), found.strays_kept) == ({stray}, "")
    free(on_sqlite.store, found)
    assert (stray.exists(), theirs.exists(), (root / "models").exists()) == (False, True, True)
    (folder / "broken").write_bytes(b"SQLite format 3\0 and no more")
    stray.mkdir()
    found = find(on_sqlite.store)
    assert "which cannot be read" in found.strays_kept
    free(on_sqlite.store, found)
    assert stray.exists()


def test_a_deleted_experiment_goes_when_nothing_is_left_in_it(stocked: Stocked) -> None:
    from mlflow import MlflowClient

    store, client = stocked.store, MlflowClient(tracking_uri=locate(Tracking(uri=stocked.uri)).absolute)
    numbers = [store.experiment(name) for name in ("first", "second")]
    ids = [store.start([RunStart("a", {}, {}, None, DatasetInfo("d", "1", "", ""))], number)[0] for number in numbers]
    finish(store, ids)
    homes = [stocked.folder(run_id) for run_id in ids]
    for number in numbers:
        client.delete_experiment(number)
    client.restore_run(ids[1])  # it is active in an experiment that is not
    found = find(store)
    assert [str(number) for number in found.experiments] == numbers
    free(store, found)
    left = {row[0] for row in stocked.rows("SELECT name FROM experiments WHERE name IN ('first', 'second')")}
    assert left == {"second"}
    assert (homes[0].parent.exists(), homes[1].exists()) == (False, True)
    assert stocked.rows("SELECT * FROM datasets WHERE experiment_id = :id", id=int(numbers[0])) == []


def test_spooled_folders_go_when_they_are_filed(on_sqlite: Stocked, folder: Path) -> None:
    filed, unfiled = (folder / "nnspec-unfiled" / f"spool-{name}" for name in "ab")
    for spool in (filed, unfiled):
        spool.mkdir(parents=True)
        (spool / MANIFEST).write_text("{}")
    (filed / FILED).write_text("[]")
    found = find(on_sqlite.store, [folder / "nnspec-unfiled", folder / "none"])
    assert set(found.spools) == {filed}
    free(on_sqlite.store, found)
    assert (filed.exists(), unfiled.exists()) == (False, True)


def test_a_sqlite_file_shrinks_or_says_why_not(on_sqlite: Stocked) -> None:
    file = on_sqlite.store.location.file
    assert file is not None
    on_sqlite.store.delete([*on_sqlite.cells, *on_sqlite.others, on_sqlite.single])
    on_sqlite.rows("CREATE TABLE ballast AS SELECT randomblob(200000)")
    on_sqlite.rows("DROP TABLE ballast")
    free(on_sqlite.store, find(on_sqlite.store))
    before, unused = pages(file)
    assert before == file.stat().st_size
    assert unused > 200_000
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(TrackingError, match="must shrink, but got database is locked"):
            shrink(file, busy_seconds=0)
    shrink(file)
    assert pages(file) == (before - unused, 0)
    assert held(on_sqlite.store)
