"""Filing: each cell is filed once, or spooled where the store fails, and can be filed later."""

from __future__ import annotations

import sqlite3
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from queue import Queue
from typing import Any

import numpy as np
import pytest

from nnspec.errors import TrackingError
from nnspec.explaining import explained_result
from nnspec.journal import filer as filing
from nnspec.journal.filer import UNFILED, Filer
from nnspec.journal.recording import FAILURE_TAG, VERDICT_TAG, Recorder, held_bytes, most_common, verdict_metrics
from nnspec.results.arrays import NEVER
from nnspec.results.events import Begun, Failed, Live, TrainedCell
from nnspec.settings import Tracking
from nnspec.specs import RunSpec
from nnspec.tracking import RunQuery, Store, file_spool, open_store
from nnspec.tracking.artifacts import cell_artifacts
from nnspec.tracking.records import FINGERPRINT_TAG, NOTE_TAG

SpecOf = Callable[..., RunSpec]
CellsOf = Callable[..., list[TrainedCell]]
CELLS = 5


@pytest.fixture(scope="module")
def cells(spec_of: SpecOf, trained_cells: CellsOf) -> list[TrainedCell]:
    rates = [0.01 * (i + 1) for i in range(CELLS)]
    return trained_cells(
        [spec_of(optimizer={"name": "adam", "lr": lr}, replicates=2, train={"epochs": 20}) for lr in rates]
    )


@pytest.fixture
def store(folder: Path) -> Store:
    return open_store(Tracking(uri="sqlite:///mlflow.db"))


def filer_on(store: Any, cells: list[TrainedCell], experiment_id: str = "1", batch: int = 1, **more: Any) -> Filer:
    """A filer that files event by event, so that calls of the store come in a known order."""
    recorder = Recorder({cell.index: cell.spec for cell in cells}, **more)
    return Filer(store, "nnspec-xor", experiment_id, recorder, batch=batch)


def hand_over(filer: Filer, events: list[Any]) -> None:
    for event in events:
        filer.put(event)
    filer.finish()


def everything(cells: list[TrainedCell]) -> list[Any]:
    """Cells begin one by one; the last one fails."""
    trained = [item for cell in cells[:-1] for item in (Begun((cell.index,)), cell)]
    return [*trained, Begun((CELLS - 1,)), Failed(CELLS - 1, "out of memory")]


def test_everything_handed_over_is_filed_once_when_finish_returns(
    folder: Path, cells: list[TrainedCell], failing_store: Any
) -> None:
    fake = failing_store()
    filer = filer_on(fake, cells, batch=250)
    hand_over(filer, everything(cells))
    assert sorted(filer.ids) == list(range(CELLS))
    assert set(filer.ids.values()) == set(fake.started) == set(fake.ended)
    assert filer.done == set(range(CELLS))
    assert filer.unfiled == []
    assert filer.broken is None
    assert not (folder / UNFILED).exists()
    for cell in cells[:-1]:
        start, end = fake.started[filer.ids[cell.index]], fake.ended[filer.ids[cell.index]]
        assert start.tags[FINGERPRINT_TAG] == cell.spec.fingerprint
        assert start.params == cell.spec.flat()
        assert end.status == "FINISHED"
        assert end.last_step == 0
        assert end.history["loss"].steps[-1] == 20
        assert end.tags[VERDICT_TAG] == most_common(cell.result.verdict)
        # what it was when it began, and why its networks did not learn
        why = [str(one) for one in explained_result(cell.result)]
        assert end.tags[NOTE_TAG] == "\n\n".join([start.tags[NOTE_TAG], *why])
        assert why
        assert end.metrics["final_loss"] == pytest.approx(
            np.median(cell.result.final_loss), rel=1e-6
        )  # of float32 numbers
        assert {"weights/final.safetensors", "spec.yaml", "results.parquet", "history.parquet"} <= set(end.artifacts)
    failed = fake.ended[filer.ids[CELLS - 1]]
    assert (failed.status, failed.tags) == ("FAILED", {FAILURE_TAG: "out of memory"})


def test_a_cell_that_never_said_it_began_is_filed_too(
    folder: Path, cells: list[TrainedCell], failing_store: Any
) -> None:
    fake = failing_store()
    filer = filer_on(fake, cells)
    hand_over(filer, [cells[1]])
    assert len(fake.started) == len(fake.ended) == 1


def test_live_histories_go_to_cells_that_still_train(
    folder: Path, cells: list[TrainedCell], failing_store: Any
) -> None:
    fake = failing_store()
    filer = filer_on(fake, cells)
    live = Live(((0, cells[0].result.history()),))
    hand_over(filer, [Begun((0,)), live, cells[0], live])  # the last comes too late and is dropped
    assert fake.progressed == [filer.ids[0]]
    assert len(fake.ended) == 1


@pytest.mark.parametrize("fails_at", range(1, 2 * CELLS + 1))
def test_from_whichever_call_the_store_fails_nothing_is_lost_and_nothing_is_twice(
    folder: Path, cells: list[TrainedCell], failing_store: Any, store: Store, fails_at: int
) -> None:
    experiment_id = store.experiment("nnspec-xor")
    broken = failing_store(fails_at, real=store)
    filer = filer_on(broken, cells, experiment_id)
    hand_over(filer, everything(cells))
    assert "the store is gone" in str(filer.broken)
    filed_before = len(broken.ended)
    assert filed_before == (fails_at - 1) // 2
    assert len(filer.unfiled) == CELLS - filed_before
    assert sorted((folder / UNFILED).glob("spool-*")) == sorted(folder / path for path in filer.unfiled)
    for path in filer.unfiled:
        file_spool(path, store)
    first = set(runs_of(store, experiment_id, cells))
    for path in filer.unfiled:  # again: each run is there once all the same
        file_spool(path, store)
    assert set(runs_of(store, experiment_id, cells)) == first
    check_all_there(store, experiment_id, cells)


def runs_of(store: Store, experiment_id: str, cells: list[TrainedCell]) -> list[str]:
    return [
        run.run_id
        for cell in cells
        for run in store.search(RunQuery(experiment_id, tags={FINGERPRINT_TAG: cell.spec.fingerprint}))
    ]


def check_all_there(store: Store, experiment_id: str, cells: list[TrainedCell]) -> None:
    """Each cell has one run, complete, in its status."""
    for cell in cells:
        (run_id,) = runs_of(store, experiment_id, [cell])
        facts = store.get(run_id)
        assert facts.params == cell.spec.flat()
        if cell.index == CELLS - 1:
            assert (facts.status, facts.tags[FAILURE_TAG]) == ("FAILED", "out of memory")
        else:
            assert facts.status == "FINISHED"
            assert facts.end_time is not None
            assert facts.metrics["final_loss"] == pytest.approx(np.median(cell.result.final_loss), rel=1e-6)
            assert store.artifact(facts.run_id, "spec.yaml")
            assert len(store.artifact(facts.run_id, "weights/final.safetensors")) > 2 * 17 * 4


def test_spooled_cells_keep_their_parent(
    folder: Path, cells: list[TrainedCell], failing_store: Any, store: Store
) -> None:
    experiment_id = store.experiment("nnspec-xor")
    from nnspec.tracking import RunStart

    (parent,) = store.start([RunStart("sweep", {}, {"nnspec.sweep": "abc"})], experiment_id)
    filer = filer_on(failing_store(4, real=store), cells, experiment_id, parent=parent)
    hand_over(filer, everything(cells))
    for path in filer.unfiled:
        file_spool(path, store)
    children = store.find_children(parent)
    assert Counter(child.fingerprint for child in children) == {cell.spec.fingerprint: 1 for cell in cells}


def test_a_store_that_failed_is_asked_no_more(folder: Path, cells: list[TrainedCell], failing_store: Any) -> None:
    fake = failing_store(3)
    hand_over(filer_on(fake, cells), everything(cells))
    assert fake.calls == 3


def test_a_programming_error_in_the_thread_is_raised_here(folder: Path, cells: list[TrainedCell]) -> None:
    class Wrong:
        def start(self, *_: object) -> list[str]:
            raise ZeroDivisionError("a programming error")

    with pytest.raises(ZeroDivisionError, match="a programming error"):
        hand_over(filer_on(Wrong(), cells), [cells[0]])
    assert "nnspec-filer" not in [thread.name for thread in threading.enumerate()]


def test_a_cell_has_failed_if_all_its_networks_broke_before_the_first_update(cells: list[TrainedCell]) -> None:
    def with_breaks(at: list[int]) -> TrainedCell:
        from dataclasses import replace

        return replace(cells[0], result=replace(cells[0].result, nonfinite_at=np.array(at)))

    assert with_breaks([NEVER, NEVER]).failure is None
    assert with_breaks([0, NEVER]).failure is None
    assert with_breaks([0, 3]).failure is None
    assert "non-finite from the start" in str(with_breaks([0, 0]).failure)


def test_verdicts_are_shares_and_numbers_medians_of_what_is_known(cells: list[TrainedCell]) -> None:
    verdict = np.array(["solved", "diverged", "solved", "dead_units"])
    numbers = {
        "dead_units": np.array([np.nan, 1.0, 5.0, 3.0]),
        "init_dead_units": np.array([0.0, 1, 1, 1]),
        "since": np.full(4, np.nan),
        "effective_rank": np.ones(4),
    }
    metrics = verdict_metrics(replace(cells[0].result, verdict=verdict, numbers=numbers))
    assert metrics == {
        "verdict/diverged": 0.25,
        "verdict/solved": 0.5,
        "verdict/dead_units": 0.25,
        "units/dead_units": 3.0,
        "at_start/dead_units": 1.0,
    }
    assert most_common(verdict) == "solved"
    assert most_common(np.array(["dead_units", "diverged"])) == "diverged"  # a tie: the earlier in VERDICTS


def no_room(monkeypatch: pytest.MonkeyPatch, *taken: str) -> None:
    """Let every place be full but those whose path has one of these in it."""
    spooling = import_module("nnspec.tracking.spool")  # the package has a function of this name
    real = spooling.write_files

    def write(root: Path, files: Any) -> None:
        if not any(word in str(root.absolute()) for word in taken):
            raise TrackingError("artifacts must be written") from OSError(28, "No space left on device")
        real(root, files)

    monkeypatch.setattr(spooling, "write_files", write)


@pytest.mark.parametrize("place", ["work", "home", "temporary"])
def test_a_full_disk_is_left_for_another(
    folder: Path,
    cells: list[TrainedCell],
    failing_store: Any,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    place: str,
) -> None:
    for name in ("work", "home", "temporary"):
        (folder / name).mkdir()
    monkeypatch.setenv("HOME", str(folder / "home"))
    monkeypatch.setattr("tempfile.tempdir", str(folder / "temporary"))
    monkeypatch.chdir(folder / "work")
    filing.temporary_place.cache_clear()
    no_room(monkeypatch, f"/{place}/")
    experiment_id = store.experiment("nnspec-xor")
    filer = filer_on(failing_store(3, real=store), cells, experiment_id)
    hand_over(filer, everything(cells))
    assert filer.spooled == CELLS - 1
    assert {path.absolute().relative_to(folder).parts[0] for path in filer.unfiled} == {place}
    assert list(folder.rglob(".spool-*")) == []
    for path in filer.unfiled:
        file_spool(path, store)
    check_all_there(store, experiment_id, cells)
    filing.temporary_place.cache_clear()


def test_no_room_anywhere_is_said_plainly(
    folder: Path, cells: list[TrainedCell], failing_store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_room(monkeypatch)
    filer = filer_on(failing_store(1), cells)
    with pytest.raises(
        TrackingError,
        match=(
            r"^1 trained run is lost, for neither .* \(nnspec-unfiled, .*\) took it: the folder .* No space left .*, "
            r"and train it again$"
        ),
    ):
        hand_over(filer, [cells[0]])
    assert list(folder.rglob("*spool-*")) == []


def test_no_room_for_a_temporary_file_spools(folder: Path, cells: list[TrainedCell], failing_store: Any) -> None:
    class Full(failing_store):  # type: ignore[misc]
        def finish(self, ends: Any) -> None:
            raise OSError(28, "No space left on device")

    filer = filer_on(Full(), cells)
    hand_over(filer, [cells[0]])
    assert filer.spooled == 1
    assert "No space left" in str(filer.broken)


def test_a_run_is_spooled_as_it_was_begun(folder: Path, cells: list[TrainedCell], failing_store: Any) -> None:
    """Whether its beginning was answered or not: by name and time it is known again in the store."""
    from nnspec.tracking.spool import read_runs

    class Seen(failing_store):  # type: ignore[misc]
        def start(self, runs: Any, experiment_id: str) -> list[str]:
            sent.extend(runs)
            return super().start(runs, experiment_id)

    for fails_at in (1, 2):
        sent: list[Any] = []
        times = iter(range(1_000, 2_000))
        filer = filer_on(Seen(fails_at), cells, clock=lambda times=times: next(times))
        hand_over(filer, [Begun((0, 1)), cells[0], cells[1]])
        spooled = [run.start for path in filer.unfiled for run in read_runs(path)[1].values()]
        assert spooled == sent
        assert len(spooled) == 2


class Slow:
    """A store that files nothing until it is let, and notes how many runs ended in each call."""

    def __init__(self, store: Any):
        self.store, self.let = store, threading.Event()
        self.batches: list[int] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)

    def finish(self, ends: Any) -> None:
        assert self.let.wait(60)
        self.batches.append(len(ends))
        self.store.finish(ends)


def test_what_waits_is_bounded_by_its_bytes_and_one_cell_always_finds_room(
    cells: list[TrainedCell], failing_store: Any
) -> None:
    slow = Slow(failing_store())
    filer = filer_on(slow, cells, batch=250)
    filer.room = held_bytes(cells[0]) * 2.5
    handed: Queue[int] = Queue()
    held: list[int] = []

    def hand() -> None:
        for cell in cells:
            filer.put(cell)
            held.append(filer.held)
            handed.put(cell.index)

    thread = threading.Thread(target=hand)
    thread.start()
    assert [handed.get(timeout=60) for _ in range(2)] == [0, 1]
    slow.let.set()
    thread.join()
    filer.finish()
    assert max(held) <= filer.room  # what is being filed counts until it is filed
    assert handed.qsize() == CELLS - 2
    assert sum(slow.batches) == CELLS == len(filer.done)
    assert max(slow.batches) == 1  # half the room is one cell


def test_the_bytes_of_a_cell_are_those_of_its_arrays_files_and_metrics(cells: list[TrainedCell]) -> None:
    cell = cells[0]
    files = dict(cell_artifacts(cell.result, cell.result.diagnosis))
    made = held_bytes(replace(cell, files=files))
    assert made - held_bytes(replace(cell, files={})) == sum(map(len, files.values()))
    assert held_bytes(Begun((1,))) == held_bytes(Failed(1, "why")) == 0
    own = sum(
        array.nbytes for array in (cell.result.loss, cell.result.final["0.weight"], cell.result.initial["0.weight"])
    )
    assert made > own + 8 * 2 * len(cell.result.steps)


def test_a_long_history_is_filed_in_pieces(spec_of: SpecOf, trained_cells: CellsOf, store: Store) -> None:
    (cell,) = trained_cells([spec_of(train={"epochs": 4000, "log_every": 1})])
    pieces: list[int] = []

    class Watched:
        def __getattr__(self, name: str) -> Any:
            return getattr(store, name)

        def progress(self, items: Any) -> None:
            pieces.extend(len(series.steps) for _, history in items for series in history.values())
            store.progress(items)

    filer = filer_on(Watched(), [cell], store.experiment("nnspec-xor"))
    filer.room = 1.0
    hand_over(filer, [cell])
    assert len(set(pieces)) == 3  # of 1250 rows of four metrics, and a rest
    with sqlite3.connect("mlflow.db") as connection:
        rows = connection.execute(
            "SELECT key, COUNT(*), COUNT(DISTINCT step) FROM metrics WHERE key IN ('loss', 'accuracy') GROUP BY key"
        )
        assert rows.fetchall() == [("accuracy", 4001, 4001), ("loss", 4001, 4001)]
