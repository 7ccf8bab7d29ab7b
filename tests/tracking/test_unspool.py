"""Filing a spool whatever became of the store meanwhile: answers that were lost, cells trained again, earlier tries cut
off."""

from __future__ import annotations

import os
import socket
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nnspec.errors import TrackingError
from nnspec.results.arrays import Results
from nnspec.settings import Tracking
from nnspec.tracking import RunQuery, Store, open_store
from nnspec.tracking.provenance import process_id
from nnspec.tracking.records import PROCESS_TAG, SPOOL_TAG, RunEnd, RunStart
from nnspec.tracking.spool import FILED, Unfiled, spool
from nnspec.tracking.unspool import FiledSpool, file_spool, spools, unfiled_of

Make = Callable[..., Any]
CELLS = 5
EXPERIMENT = "nnspec-xor"
DEAD = f"{socket.gethostname()}:{os.getpid()}:1"  # one of this process's id, born long ago


@pytest.fixture(params=["sql", "client"])
def store(request: pytest.FixtureRequest, folder: Path, clock: list[float]) -> Iterator[Store]:
    opened = open_store(Tracking(writer=request.param))
    yield opened
    opened.close()


@pytest.fixture
def by_client(folder: Path, clock: list[float]) -> Iterator[Any]:
    opened = open_store(Tracking(writer="client"))
    yield opened
    opened.close()


@pytest.fixture
def cells(cell: Make) -> list[Results]:
    return [cell(seed=seed) for seed in range(CELLS)]


def sweep_in(store: Store, process: str = DEAD) -> tuple[str, str]:
    """An experiment with a sweep that a process left RUNNING: the ids of both."""
    experiment_id = store.experiment(EXPERIMENT)
    start = RunStart("sweep", {}, {"nnspec.sweep": "abc", PROCESS_TAG: process}, start_time=500)
    return experiment_id, store.start([start], experiment_id)[0]


def starts_of(cells: Sequence[Results], started: Make, parent: str | None) -> list[RunStart]:
    starts = [started(cell, parent, 1_000 + number) for number, cell in enumerate(cells)]
    return [replace(start, tags={**start.tags, PROCESS_TAG: DEAD}) for start in starts]


def spooled(
    folder: Path, starts: Sequence[RunStart], cells: Sequence[Results], ended: Make, ids: Sequence[str] = ()
) -> Path:
    """The cells in a folder, each as it had begun under one of the ``ids`` if there are some."""
    named = ids or [f"local-{number}" for number in range(len(cells))]
    runs = [
        Unfiled(start, ended(cell, name), begun=bool(ids))
        for start, cell, name in zip(starts, cells, named, strict=True)
    ]
    return spool(folder / "nnspec-unfiled", EXPERIMENT, runs)


def check_once(store: Store, parent: str, cells: Sequence[Results], ids: Sequence[str]) -> None:
    """Each cell is there once, complete, under the id that was returned."""
    children = store.find_children(parent)
    assert Counter(child.status for child in children) == {"FINISHED": len(cells)}
    assert {child.fingerprint: child.run_id for child in children} == {
        cell.spec.fingerprint: run_id for cell, run_id in zip(cells, ids, strict=True)
    }
    for cell, run_id in zip(cells, ids, strict=True):
        assert store.get(run_id).params == cell.spec.flat()


def die_at(monkeypatch: pytest.MonkeyPatch, store: Any, method: str, call: int) -> None:
    """Let the server do what this call of MLflow's client asks, but answer neither it nor anything after it."""
    from mlflow.exceptions import MlflowException

    calls: list[str] = []

    def dying(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def asked(*arguments: Any, **options: Any) -> Any:
            alive = calls.count(method) < call
            calls.append(name)
            done = real(*arguments, **options) if alive else None
            if calls.count(method) >= call:
                raise MlflowException("API request failed")
            return done

        return asked

    for name in ("create_run", "log_batch", "log_inputs", "search_runs"):
        monkeypatch.setattr(store.runs.client, name, dying(name, getattr(store.runs.client, name)))


@pytest.mark.sampled(3)
@pytest.mark.parametrize("method", ["create_run", "log_batch"])
@pytest.mark.parametrize("call", [1, 3, CELLS])
def test_runs_that_a_broken_beginning_left_are_not_there_twice(
    by_client: Any,
    monkeypatch: pytest.MonkeyPatch,
    folder: Path,
    cells: list[Results],
    started: Make,
    ended: Make,
    method: str,
    call: int,
) -> None:
    """The ids of those that were made before the store failed are lost, and so are the cells' only ties to them."""
    experiment_id, parent = sweep_in(by_client)
    starts = starts_of(cells, started, parent)
    with monkeypatch.context() as patch:
        die_at(patch, by_client, method, call)
        with pytest.raises(TrackingError, match="must be a store that answers"):
            by_client.start(starts, experiment_id)
    left = Counter(child.status for child in by_client.find_children(parent))
    assert left["RUNNING"] >= 1
    filed = file_spool(spooled(folder, starts, cells, ended), by_client)
    check_once(by_client, parent, cells, filed.ids)


@pytest.mark.parametrize("method", ["create_run", "log_batch"])
def test_a_single_run_that_a_broken_beginning_left_is_not_there_twice(
    by_client: Any,
    monkeypatch: pytest.MonkeyPatch,
    folder: Path,
    cells: list[Results],
    started: Make,
    ended: Make,
    method: str,
) -> None:
    experiment_id = by_client.experiment(EXPERIMENT)
    starts = starts_of(cells[:1], started, None)
    other = replace(starts[0], start_time=7)  # the same spec, begun by another command that still trains it
    (kept,) = by_client.start([other], experiment_id)
    with monkeypatch.context() as patch:
        die_at(patch, by_client, method, 1)
        with pytest.raises(TrackingError, match="must be a store that answers"):
            by_client.start(starts, experiment_id)
    filed = file_spool(spooled(folder, starts, cells[:1], ended), by_client)
    found = by_client.search(RunQuery(experiment_id, tags={"nnspec.fingerprint": cells[0].spec.fingerprint}))
    assert {facts.run_id: facts.status for facts in found} == {kept: "RUNNING", filed.ids[0]: "FINISHED"}


def test_a_twin_that_comes_up_while_the_spool_is_filed_is_deleted(
    store: Store, folder: Path, cells: list[Results], started: Make, ended: Make
) -> None:
    """As of a server that hung, and goes on with what it had been asked."""
    experiment_id, parent = sweep_in(store)
    starts = starts_of(cells, started, parent)
    ids = store.start(starts, experiment_id)

    class Late:
        def __getattr__(self, name: str) -> Any:
            return getattr(store, name)

        def finish(self, ends: Sequence[RunEnd]) -> None:
            store.finish(ends)
            store.start(starts[:2], experiment_id)

    assert file_spool(spooled(folder, starts, cells, ended, ids), Late()) == FiledSpool(ids, before=0)  # type: ignore[arg-type]
    check_once(store, parent, cells, ids)


def test_a_cell_that_was_trained_again_is_not_filed_again(
    store: Store, folder: Path, cells: list[Results], started: Make, ended: Make
) -> None:
    experiment_id, parent = sweep_in(store)
    starts = starts_of(cells, started, parent)
    ids = store.start(starts, experiment_id)
    made = spooled(folder, starts, cells, ended, ids)
    store.delete(ids)  # what resume=last does with cells that are not finished
    again = store.start(starts[:3], experiment_id)
    store.finish([ended(cell, run_id) for cell, run_id in zip(cells, again, strict=False)])
    filed = file_spool(made, store)
    assert filed.before == 3
    assert filed.ids[:3] == again
    assert not set(filed.ids) & set(ids)
    check_once(store, parent, cells, filed.ids)
    assert file_spool(made, store) == FiledSpool(filed.ids, before=CELLS)


def test_a_finished_cell_takes_the_place_of_one_that_failed(
    store: Store, folder: Path, cells: list[Results], started: Make, ended: Make
) -> None:
    experiment_id, parent = sweep_in(store)
    starts = starts_of(cells, started, parent)
    failed, killed = store.start(starts[:2], experiment_id)
    store.finish([replace(ended(cells[0], failed), status="FAILED"), replace(ended(cells[1], killed), status="KILLED")])
    filed = file_spool(spooled(folder, starts, cells, ended), store)
    check_once(store, parent, cells, filed.ids)


def test_runs_that_an_earlier_try_began_without_their_params_are_begun_again(
    by_client: Any, monkeypatch: pytest.MonkeyPatch, folder: Path, cells: list[Results], started: Make, ended: Make
) -> None:
    """Killed between two requests; under a sweep, and alone."""
    experiment_id, parent = sweep_in(by_client)
    for above in (parent, None):
        starts = starts_of(cells, started, above)
        made = spooled(folder, starts, cells, ended)
        with monkeypatch.context() as patch:
            die_at(patch, by_client, "log_batch", 2)
            with pytest.raises(TrackingError, match="must be a store that answers"):
                file_spool(made, by_client)
        filed = file_spool(made, by_client)
        if above is not None:
            check_once(by_client, parent, cells, filed.ids)
        for cell, run_id in zip(cells, filed.ids, strict=True):
            assert by_client.get(run_id).params == cell.spec.flat()
            found = [
                one
                for one in by_client.search(RunQuery(experiment_id, tags={"nnspec.fingerprint": cell.spec.fingerprint}))
                if SPOOL_TAG in one.tags
            ]
            alone = [one for one in found if one.tags.get("mlflow.parentRunId") == above]
            assert [(one.run_id, one.status) for one in alone] == [(run_id, "FINISHED")]


def test_a_single_run_that_was_deleted_is_not_filed(
    store: Store, folder: Path, cells: list[Results], started: Make, ended: Make
) -> None:
    starts = starts_of(cells[:1], started, None)
    ids = store.start(starts, store.experiment(EXPERIMENT))
    made = spooled(folder, starts, cells[:1], ended, ids)
    store.delete(ids)
    with pytest.raises(
        TrackingError,
        match=f"run {ids[0]} must not be deleted, but got a deleted run; restore it, or remove the folder",
    ):
        file_spool(made, store)
    assert not (made / FILED).exists()


def test_a_sweep_that_is_resumed_just_now_is_waited_for(
    store: Store, folder: Path, cells: list[Results], started: Make, ended: Make
) -> None:
    experiment_id, parent = sweep_in(store, process_id())
    starts = starts_of(cells, started, parent)
    ids = store.start(starts, experiment_id)
    made = spooled(folder, starts, cells, ended, ids)
    with pytest.raises(
        TrackingError, match=f"must not be filed while their sweep is resumed, but {parent} is; wait for it or stop it"
    ):
        file_spool(made, store)
    store.set_status([parent], "KILLED")
    assert file_spool(made, store).ids == ids


def test_a_sweep_of_another_store_is_refused(folder: Path, cells: list[Results], started: Make, ended: Make) -> None:
    first, other = open_store(Tracking()), open_store(Tracking(uri="sqlite:///other.db"))
    _, parent = sweep_in(first)
    made = spooled(folder, starts_of(cells, started, parent), cells, ended)
    with pytest.raises(TrackingError, match=f"must exist, but got '{parent}'"):
        file_spool(made, other)
    assert (
        other.search(RunQuery(other.experiment(EXPERIMENT), tags={"nnspec.fingerprint": cells[0].spec.fingerprint}))
        == []
    )


def test_the_folders_of_a_sweep(folder: Path, cells: list[Results], started: Make, ended: Make) -> None:
    kept = folder / "nnspec-unfiled"
    mine = [spooled(folder, starts_of([cell], started, "mine"), [cell], ended) for cell in cells[:3]]
    own = spool(kept, EXPERIMENT, [Unfiled(RunStart("sweep", {}, {}), RunEnd("mine"), begun=True)])
    spooled(folder, starts_of(cells[:1], started, "other"), cells[:1], ended)
    (mine[1] / FILED).touch()
    (mine[2] / "spool.json").write_text("{}")
    assert len(spools(kept)) == 5
    assert set(unfiled_of("mine", [kept, folder / "none"])) == {mine[0], own}


def test_a_note_that_finds_no_room_is_said(
    folder: Path, monkeypatch: pytest.MonkeyPatch, cells: list[Results], started: Make, ended: Make
) -> None:
    store = open_store(Tracking())
    _, parent = sweep_in(store)
    made = spooled(folder, starts_of(cells, started, parent), cells, ended)
    with monkeypatch.context() as patch:

        def full(*_: Any) -> None:
            raise OSError(28, "No space left on device")

        patch.setattr("nnspec.tracking.unspool.write_file", full)
        with pytest.raises(
            TrackingError, match="must take a note that it is filed, but got No space left on device; make room"
        ):
            file_spool(made, store)
    assert file_spool(made, store).before == CELLS
