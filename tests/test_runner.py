"""run(): a whole command on a real SQLite store."""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import signal
import socket
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from nnspec.cli.main import main
from nnspec.errors import TrackingError
from nnspec.execute.engine import Training
from nnspec.execute.pool import Lost
from nnspec.journal.filer import UNFILED
from nnspec.journal.parent import Parent
from nnspec.journal.recording import FAILURE_TAG
from nnspec.readback import networks
from nnspec.report import console
from nnspec.results.events import Begun, TrainedCell
from nnspec.runner import Outcome, run
from nnspec.settings import Runtime, Settings, Sweep, Tracking
from nnspec.specs import RunSpec
from nnspec.sweep import Cell
from nnspec.tracking import RunQuery, Store, open_store
from nnspec.tracking.cell_records import SWEEP_POINTS
from nnspec.tracking.locate import Location
from nnspec.tracking.records import CELL_TAG, FINGERPRINT_TAG, PARENT_TAG, PROCESS_TAG

SpecOf = Callable[..., RunSpec]
HERE = Tracking(uri="sqlite:///mlflow.db")
ONE_WORKER = Runtime(workers=1)
PLAIN = Settings(HERE, ONE_WORKER, Sweep(report=False))  # the report takes a second a sweep and has tests of its own
pytestmark = pytest.mark.usefixtures("folder")
HUGE = {"name": "normal", "std": 1e38}  # the first product overflows single precision


def sweep_of(spec_of: SpecOf, rates: tuple[float, ...] = (0.01, 0.1, 0.5), **fields: Any) -> list[Cell]:
    base: dict[str, Any] = {"train": {"epochs": 30}, "replicates": 4, **fields}
    return [Cell(spec_of(**base, optimizer={"name": "adam", "lr": lr}), (("optimizer.lr", str(lr)),)) for lr in rates]


def swept(cells: list[Cell], settings: Settings = PLAIN, **more: Any) -> Outcome:
    return run(cells, settings, ["optimizer.lr"], sweep=True, command="nnspec run -m", quiet=True, **more)


def store() -> Store:
    return open_store(HERE)


def children_by_fingerprint(parent: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for child in store().find_children(parent):
        found.setdefault(child.fingerprint, []).append(child.status)
    return found


def links(said: str) -> list[str]:
    return [word for word in said.split() if word.startswith("http")]


def test_the_link_to_a_sweep_is_its_own_page_also_on_a_server(
    spec_of: SpecOf, capsys: pytest.CaptureFixture[str]
) -> None:
    cells = sweep_of(spec_of)
    outcome = run(cells, PLAIN, ["optimizer.lr"], sweep=True, command="nnspec run -m")
    page = f"/#/experiments/1/runs/{outcome.parent}?workflowType=machine_learning"
    assert links(capsys.readouterr().out) == ["http://127.0.0.1:5000" + page]
    on_server = Parent(
        SimpleNamespace(location=Location("https://host/", "http")), "nnspec-xor", "1", cells, None, outcome.parent
    )  # type: ignore[arg-type]
    said: list[str] = []
    on_server.show(outcome, said.append)
    assert said[-1] == "https://host" + page


def test_a_single_cell_is_one_run_with_all_that_a_run_has(spec_of: SpecOf, capsys: pytest.CaptureFixture[str]) -> None:
    spec = spec_of(activation="gelu", replicates=3, train={"epochs": 200})
    outcome = run([Cell(spec)], PLAIN, command="nnspec run")
    assert outcome.exit_status == 0
    assert outcome.failed == {}
    assert outcome.parent is None
    facts = store().get(outcome.run_ids[0])
    assert facts.status == "FINISHED"
    assert PARENT_TAG not in facts.tags
    assert facts.params == spec.flat()
    assert facts.tags[FINGERPRINT_TAG] == spec.fingerprint
    result = outcome.cells[0].result
    assert facts.metrics["final_loss"] == pytest.approx(np.median(result.final_loss), rel=1e-6)  # of float32 numbers
    assert facts.metrics["solve_rate"] == result.solved.mean()
    said, noted = capsys.readouterr()
    assert noted.startswith(
        "mlp 2-4-1 gelu, kaiming_uniform, adam lr 0.1, bce on xor, 200 epochs: 3 networks in 1 stack"
    )
    for part in (
        "output (median)",
        "final loss",
        "(95% Wilson)",
        "verdict",
    ):
        assert part in said
    assert f"{facts.name} in experiment nnspec-xor" in said
    assert "\nreport      nnspec report last\n" in said
    assert "ui --backend-store-uri sqlite:///mlflow.db" in said
    assert links(said) == [
        f"http://127.0.0.1:5000/#/experiments/1/runs/{outcome.run_ids[0]}?workflowType=machine_learning"
    ]
    np.testing.assert_array_equal(networks(store(), outcome.run_ids[0])["final_loss"], outcome.table()["final_loss"])


def test_metrics_have_sections_and_only_a_sweep_thins_their_series(spec_of: SpecOf) -> None:
    """At most thirty metrics a run, diagnosis among them; every logged step stays in history.parquet."""
    spec = spec_of(replicates=20, train={"epochs": 400})
    single = run([Cell(spec)], PLAIN)
    sweep = swept([Cell(spec, (("activation", "relu"),))])
    for outcome, points in ((single, 41), (sweep, SWEEP_POINTS)):
        run_id = outcome.run_ids[0]
        with closing(sqlite3.connect("mlflow.db")) as database:
            query = "SELECT key, count(*) FROM metrics WHERE run_uuid = ? GROUP BY key"
            found = dict(database.execute(query, [run_id]).fetchall())
        assert len(found) <= 30
        series = {"loss", "accuracy", "loss_q10", "loss_q90", "solved_fraction", "weight_norm/0", "weight_norm/2"}
        assert {key: count for key, count in found.items() if count > 1} == dict.fromkeys(series, points)
        ends = {"final_loss", "final_accuracy", "solve_rate", "solve_rate_low", "solve_rate_high", "solved_at"}
        assert {key for key, count in found.items() if count == 1 and "/" not in key} == ends
        sections = {key.partition("/")[0] for key in found if "/" in key}
        assert sections == {"weight_norm", "units", "gradient", "at_start", "verdict"}
        history = pd.read_parquet(io.BytesIO(store().artifact(run_id, "history.parquet")))
        assert len(history) == 20 * 41


def test_a_sweep_is_a_parent_with_the_cells_as_its_children(spec_of: SpecOf) -> None:
    cells = sweep_of(spec_of)
    outcome = swept(cells)
    assert outcome.exit_status == 0
    assert outcome.parent is not None
    parent = store().get(outcome.parent)
    assert parent.status == "FINISHED"
    assert parent.params["axis.optimizer.lr"] == "0.01, 0.1, 0.5"
    assert parent.params["cells"] == "3"
    assert parent.params["networks"] == "12"
    assert parent.params["activation.name"] == "relu"
    assert "optimizer.lr" not in parent.params
    assert json.loads(parent.tags["nnspec.axes"]) == ["optimizer.lr"]
    assert parent.metrics["cells_done"] == 3
    assert parent.metrics["networks_trained"] == 12
    assert parent.metrics["cells_failed"] == 0
    assert children_by_fingerprint(outcome.parent) == {cell.spec.fingerprint: ["FINISHED"] for cell in cells}
    for index, cell in enumerate(cells):
        facts = store().get(outcome.run_ids[index])
        assert facts.tags[PARENT_TAG] == outcome.parent
        assert facts.params == cell.spec.flat()
    table = outcome.table()
    assert table["optimizer.lr"].tolist() == [lr for lr in (0.01, 0.1, 0.5) for _ in range(4)]
    filed = networks(store(), outcome.parent).sort_values(["optimizer.lr", "seed"])
    np.testing.assert_array_equal(filed["final_loss"], table["final_loss"])
    assert outcome.cells == {}  # a sweep keeps no arrays unless asked
    assert outcome.objective == pytest.approx(np.median(table["final_loss"]))


def test_a_cell_of_a_sweep_is_the_cell_alone(spec_of: SpecOf) -> None:
    cells = sweep_of(spec_of)
    together = swept(cells, keep=True)
    for index, cell in enumerate(cells):
        alone = run([cell], Settings(Tracking(enabled=False), ONE_WORKER), quiet=True).cells[0]
        for name, tensor in alone.result.final.items():
            assert tensor.tobytes() == together.cells[index].result.final[name].tobytes()
        assert alone.result.verdict.tolist() == together.cells[index].result.verdict.tolist()


def test_a_cell_that_cannot_train_has_failed_and_the_others_finish(
    spec_of: SpecOf, capsys: pytest.CaptureFixture[str]
) -> None:
    cells = sweep_of(spec_of, (0.01, 0.1))
    cells.insert(1, Cell(replace(cells[0].spec, init=spec_of(init=HUGE).init), (("optimizer.lr", "huge"),)))
    outcome = run(cells, PLAIN, ["optimizer.lr"], sweep=True, command="nnspec run -m")
    assert outcome.exit_status == 1
    assert list(outcome.failed) == [1]
    assert "non-finite from the start" in outcome.failed[1]
    assert outcome.parent is not None
    assert store().get(outcome.parent).status == "FAILED"
    assert store().get(outcome.parent).metrics["cells_failed"] == 1
    statuses = [store().get(outcome.run_ids[index]).status for index in range(3)]
    assert statuses == ["FINISHED", "FAILED", "FINISHED"]
    assert "non-finite from the start" in store().get(outcome.run_ids[1]).tags[FAILURE_TAG]
    said = capsys.readouterr().err
    assert "1 cell failed:" in said
    assert "optimizer.lr=huge: non-finite from the start" in said


def test_a_chunk_that_is_lost_fails_its_cells_only(spec_of: SpecOf, monkeypatch: pytest.MonkeyPatch) -> None:
    import nnspec.execute.engine as training

    cells = [*sweep_of(spec_of, (0.01, 0.1)), *sweep_of(spec_of, (0.2, 0.3), loss="mse")]  # two stacks, one chunk each
    real = training.train_chunks

    def losing(specs: Any, chunks: Any, workers: int, extra: Any) -> Iterator[Any]:
        yield Lost(0, "out of memory; lower train.memory or replicates")
        for event in real(specs, chunks[1:], workers, extra):
            yield replace(event, chunk=event.chunk + 1)

    monkeypatch.setattr(training, "train_chunks", losing)
    outcome = swept(cells)
    assert outcome.failed == dict.fromkeys((0, 1), "out of memory; lower train.memory or replicates")
    assert outcome.exit_status == 1
    assert [store().get(outcome.run_ids[index]).status for index in range(4)] == [
        "FAILED",
        "FAILED",
        "FINISHED",
        "FINISHED",
    ]
    assert sorted(outcome.table()["cell"].unique()) == [2, 3]


def test_plan_only_trains_nothing_and_leaves_no_store(
    spec_of: SpecOf, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cells = [*sweep_of(spec_of, (0.01, 0.1)), *sweep_of(spec_of, (0.2,), loss="mse")]
    outcome = run(cells, replace(PLAIN, sweep=Sweep(plan_only=True)), ["optimizer.lr"], sweep=True)
    assert outcome.exit_status == 0
    assert outcome.outcomes == {}
    assert list(folder.iterdir()) == []
    said = capsys.readouterr().out
    assert "3 cells: 12 networks in 2 stacks, 2 chunks" in said
    assert "here these differ: loss" in said
    assert "MiB of memory for training and results" in said
    assert "s of training" in said


def test_without_tracking_nothing_is_written(spec_of: SpecOf, folder: Path) -> None:
    outcome = swept(sweep_of(spec_of), Settings(Tracking(enabled=False), ONE_WORKER))
    assert len(outcome.outcomes) == 3
    assert outcome.run_ids == {}
    assert outcome.parent is None
    assert list(folder.iterdir()) == []


def interrupted_after(cells: int, how: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on training is interrupted once ``cells`` cells are whole; 0: as soon as it has begun."""
    train = Training.__iter__

    def broken_off(self: Training) -> Iterator[Any]:
        whole = 0
        for event in train(self):
            yield event
            whole += isinstance(event, TrainedCell)
            if whole == cells and isinstance(event, TrainedCell if cells else Begun):
                how()

    monkeypatch.setattr(Training, "__iter__", broken_off)


def cells_trained(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A list that gets the cells that train from now on."""
    train, whole = Training.__iter__, []

    def noted(self: Training) -> Iterator[Any]:
        for event in train(self):
            if isinstance(event, TrainedCell):
                whole.append(event.index)
            yield event

    monkeypatch.setattr(Training, "__iter__", noted)
    return whole


def no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on nobody may train."""

    def refused(self: Training) -> Iterator[Any]:
        raise AssertionError("something trains")

    monkeypatch.setattr(Training, "__iter__", refused)


def ctrl_c() -> None:
    raise KeyboardInterrupt


def asked_to_end() -> None:
    signal.raise_signal(signal.SIGTERM)


def separate(spec_of: SpecOf) -> list[Cell]:
    """Four cells in a stack each, so that each comes whole by itself."""
    cells = sweep_of(spec_of, (0.1,))
    return [
        Cell(replace(cells[0].spec, train=replace(cells[0].spec.train, epochs=n)), (("train.epochs", str(n)),))
        for n in (20, 21, 22, 23)
    ]


@pytest.mark.parametrize("how", [ctrl_c, asked_to_end])
def test_an_interrupted_sweep_is_killed_and_resumed(
    spec_of: SpecOf, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], how: Callable[[], None]
) -> None:
    cells = separate(spec_of)
    handler = signal.getsignal(signal.SIGTERM)
    with monkeypatch.context() as patch:
        interrupted_after(2, how, patch)
        first = run(cells, PLAIN, ["train.epochs"], sweep=True, command="nnspec run -m")
    assert signal.getsignal(signal.SIGTERM) is handler
    assert (first.interrupted, first.exit_status, sorted(first.outcomes)) == (True, 130, [0, 1])
    said = capsys.readouterr().err
    assert (
        "interrupted: 2 of 4 cells done, and what is known of the others is filed; go on with: nnspec run -m "
        "resume=last" in said
    )
    assert first.parent is not None
    assert store().get(first.parent).status == "KILLED"
    assert store().get(first.parent).metrics["cells_done"] == 2
    assert {child.status for child in store().find_children(first.parent)} <= {"FINISHED", "KILLED"}

    second = run(
        cells[::-1], replace(PLAIN, resume="last"), ["train.epochs"], sweep=True, command="nnspec run -m", keep=True
    )
    assert "2 of 4 cells already done" in capsys.readouterr().err
    assert second.parent == first.parent
    assert second.exit_status == 0
    assert sorted(second.cells) == [2, 3]  # the order of cells is another one now, and those that are filed keep theirs
    assert sorted(second.outcomes) == [0, 1, 2, 3]
    numbers = {child.fingerprint: child.tags[CELL_TAG] for child in store().find_children(second.parent)}
    assert numbers == {cell.spec.fingerprint: str(number) for number, cell in enumerate(cells)}
    assert store().get(second.parent).status == "FINISHED"
    assert children_by_fingerprint(second.parent) == {cell.spec.fingerprint: ["FINISHED"] for cell in cells}
    whole = run(cells, Settings(Tracking(enabled=False), ONE_WORKER), ["train.epochs"], sweep=True, quiet=True)
    pd.testing.assert_frame_equal(second.table(), whole.table())


@pytest.mark.parametrize("goes_on", ["", "reuse=true", "resume=last", "resume=FIRST"])
def test_the_command_that_an_interrupted_sweep_names_goes_on(
    goes_on: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Also of one that took cells of an earlier sweep, or that goes on with a part of one."""

    def nnspec_run(*words: str) -> int:
        monkeypatch.setattr("sys.orig_argv", ["nnspec", "run", *words])
        return main(["run", *words])

    sweep = ["-m", "train.workers=1", "sweep.report=false", "tracking.uri=sqlite:///mlflow.db"]
    if goes_on:
        first = "train.epochs=20,21,22,23" if goes_on == "resume=last" else "train.epochs=20,21,24"
        with monkeypatch.context() as patch:
            interrupted_after(1, ctrl_c, patch)
            assert nnspec_run(*sweep, first) == 130
    (found,) = store().search(RunQuery(without_tags=(PARENT_TAG,))) if goes_on else (None,)
    with monkeypatch.context() as patch:
        interrupted_after(1, ctrl_c, patch)
        more = goes_on.replace("FIRST", found.run_id if found is not None else "")
        assert nnspec_run(*sweep, "train.epochs=20,21,22,23", *([more] if more else [])) == 130
    *_, said = capfd.readouterr().err.splitlines()
    program, run_it, *words = shlex.split(said.partition("; go on with: ")[2])
    assert (program, run_it) == ("nnspec", "run")
    no_more = 3 if not goes_on else 2  # cells that are left
    trained = cells_trained(monkeypatch)
    assert nnspec_run(*words) == 0
    assert len(trained) == no_more
    assert len(store().search(RunQuery(without_tags=(PARENT_TAG,)))) == (3 if goes_on == "reuse=true" else 1)


def test_an_interrupted_single_cell_is_killed(
    spec_of: SpecOf, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    interrupted_after(0, ctrl_c, monkeypatch)
    outcome = run([Cell(spec_of(train={"epochs": 5}))], PLAIN, command="nnspec run")
    assert outcome.exit_status == 130
    assert store().get(outcome.run_ids[0]).status == "KILLED"
    assert "interrupted: 0 of 1 cells done" in capsys.readouterr().err


def test_a_finished_sweep_resumed_trains_nothing(spec_of: SpecOf, monkeypatch: pytest.MonkeyPatch) -> None:
    cells = sweep_of(spec_of)
    first = swept(cells)
    no_training(monkeypatch)
    second = swept(cells, replace(PLAIN, resume="last"))
    assert second.parent == first.parent
    assert second.run_ids == first.run_ids
    pd.testing.assert_frame_equal(second.table(), first.table())


def test_resume_without_an_earlier_sweep_starts_one(spec_of: SpecOf, capsys: pytest.CaptureFixture[str]) -> None:
    outcome = run(sweep_of(spec_of), replace(PLAIN, resume="last"), ["optimizer.lr"], sweep=True)
    assert outcome.exit_status == 0
    assert "no sweep of these cells to resume yet: starting it" in capsys.readouterr().err


def test_resume_of_what_is_no_run_is_refused(spec_of: SpecOf) -> None:
    cells = sweep_of(spec_of)
    with pytest.raises(TrackingError, match="must exist"):
        swept(cells, replace(PLAIN, resume="f" * 32))
    (single,) = run(cells[:1], PLAIN, quiet=True).run_ids.values()
    with pytest.raises(TrackingError, match=f"resume must be 'last' or the id of a sweep, but {single} is none"):
        swept(cells, replace(PLAIN, resume=single))


@pytest.mark.parametrize("by_id", [False, True])
def test_a_sweep_that_still_runs_is_not_resumed(spec_of: SpecOf, by_id: bool) -> None:
    cells = sweep_of(spec_of)
    first = swept(cells)
    assert first.parent is not None
    store().set_status([first.parent, first.run_ids[0]], "RUNNING")  # as if this very process were still at it
    with pytest.raises(TrackingError, match="must not be resumed while it runs"):
        swept(cells, replace(PLAIN, resume=first.parent if by_id else "last"))
    assert store().get(first.run_ids[0]).status == "RUNNING"  # and its cells are left to it
    assert len(store().find_children(first.parent)) == 3


def test_a_sweep_that_a_dead_process_left_is_resumed(spec_of: SpecOf) -> None:
    cells = sweep_of(spec_of)
    first = swept(cells)
    assert first.parent is not None
    store().set_status([first.parent, first.run_ids[0]], "RUNNING")
    store().set_tags(
        first.parent, {PROCESS_TAG: f"{socket.gethostname()}:{os.getpid()}:1"}
    )  # one of this id, born long ago
    second = swept(cells, replace(PLAIN, resume="last"))
    assert second.parent == first.parent
    assert second.run_ids[0] != first.run_ids[0]
    assert second.run_ids[1] == first.run_ids[1]
    assert children_by_fingerprint(first.parent) == {cell.spec.fingerprint: ["FINISHED"] for cell in cells}


def test_resuming_a_part_of_a_sweep_leaves_the_rest_alone(spec_of: SpecOf) -> None:
    cells = sweep_of(spec_of)
    first = swept(cells)
    assert first.parent is not None
    store().set_status([first.run_ids[0], first.run_ids[2]], "KILLED")
    second = swept(cells[:2], replace(PLAIN, resume=first.parent))
    assert second.run_ids[0] != first.run_ids[0]
    assert CELL_TAG not in store().get(second.run_ids[0]).tags  # a number would be another cell's
    assert second.run_ids[1] == first.run_ids[1]
    assert {child.run_id: child.status for child in store().find_children(first.parent)} == {
        second.run_ids[0]: "FINISHED",
        first.run_ids[1]: "FINISHED",
        first.run_ids[2]: "KILLED",
    }


def test_reuse_takes_what_is_filed_whichever_command_filed_it(
    spec_of: SpecOf, capsys: pytest.CaptureFixture[str]
) -> None:
    cells = sweep_of(spec_of)
    alone = run([cells[1]], PLAIN, quiet=True)
    outcome = run(cells, replace(PLAIN, reuse=True), ["optimizer.lr"], sweep=True, keep=True)
    assert "1 of 3 cells taken from earlier runs" in capsys.readouterr().err
    assert sorted(outcome.cells) == [0, 2]
    assert outcome.run_ids[1] == alone.run_ids[0]
    own = outcome.table()
    reused, columns = own[own["cell"] == 1].reset_index(drop=True), list(alone.table().columns[1:])
    pd.testing.assert_frame_equal(reused[columns], alone.table()[columns])
    assert "init_dead_rows" in columns


def test_a_store_that_cannot_be_reached_stops_before_anything_trains(
    spec_of: SpecOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_training(monkeypatch)
    with pytest.raises(TrackingError, match="must be a store that answers"):
        run(sweep_of(spec_of), Settings(Tracking(uri="http://127.0.0.1:1"), ONE_WORKER), sweep=True)


def swept_without_store(cells: list[Cell], monkeypatch: pytest.MonkeyPatch) -> Outcome:
    """A sweep whose store begins runs and completes none."""
    from nnspec.tracking.database.store import SqlStore

    def gone(self: Any, *_: Any) -> None:
        raise TrackingError("the store is gone")

    with monkeypatch.context() as patch:
        patch.setattr(SqlStore, "finish", gone)
        return swept(cells)


def its_process_died(sweep: str) -> None:
    """Make a sweep of this process look as if it were that of a dead one."""
    store().set_tags(sweep, {PROCESS_TAG: f"{socket.gethostname()}:{os.getpid()}:1"})


def test_a_store_that_fails_later_loses_nothing(
    spec_of: SpecOf, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from nnspec.tracking import file_spool

    cells = sweep_of(spec_of)
    outcome = swept_without_store(cells, monkeypatch)
    assert outcome.exit_status == 1
    assert outcome.unfiled
    assert len(outcome.outcomes) == 3
    said = capsys.readouterr().err
    assert "the store is gone" in said
    assert f"nnspec file {UNFILED}" in said
    for path in sorted((folder / UNFILED).glob("spool-*")):
        file_spool(path, store())
    assert outcome.parent is not None
    assert store().get(outcome.parent).status == "FINISHED"
    assert children_by_fingerprint(outcome.parent) == {cell.spec.fingerprint: ["FINISHED"] for cell in cells}


def filed_and_before(said: str) -> tuple[int, int]:
    """How many runs ``nnspec file`` says it filed, and how many had been filed before."""
    patterns = (r"(\d+) runs? filed from", r"(\d+) had been filed before")
    filed, before = (sum(map(int, re.findall(pattern, said))) for pattern in patterns)
    return filed, before


@pytest.mark.parametrize("when", ["resumed first", "filed after"])
def test_what_was_spooled_and_resumed_is_there_once(
    spec_of: SpecOf, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], when: str
) -> None:
    """resume=last files what an earlier process trained and could not file; where the folder was out of its reach, it
    trains these cells again, and the folder is not filed a second time."""
    from nnspec.cli.main import main

    cells = sweep_of(spec_of)
    first = swept_without_store(cells, monkeypatch)
    assert first.parent is not None
    its_process_died(first.parent)
    away = folder / "away"
    if when == "filed after":
        (folder / UNFILED).rename(away)
    else:
        no_training(monkeypatch)
    second = swept(cells, replace(PLAIN, resume="last"))
    assert second.parent == first.parent
    assert second.exit_status == 0
    once = {cell.spec.fingerprint: ["FINISHED"] for cell in cells}
    assert children_by_fingerprint(first.parent) == once
    assert (second.run_ids == first.run_ids) == (when == "resumed first")
    capsys.readouterr()
    assert main(["file", str(away if when == "filed after" else folder / UNFILED), "--uri", "sqlite:///mlflow.db"]) == 0
    said = capsys.readouterr().out
    assert (
        (filed_and_before(said) == (0, 4))  # the sweep's own run among them, in one folder or several
        if when == "filed after"
        else "nothing left to file" in said
    )
    assert children_by_fingerprint(first.parent) == once
    assert store().get(first.parent).status == "FINISHED"


def test_a_spool_that_cannot_be_filed_is_trained_again(
    spec_of: SpecOf, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cells = sweep_of(spec_of)
    first = swept_without_store(cells, monkeypatch)
    assert first.parent is not None
    its_process_died(first.parent)
    for spec in (folder / UNFILED).rglob("spec.yaml"):
        spec.write_text("changed: by hand")
    assert swept(cells, replace(PLAIN, resume="last")).exit_status == 0
    said = capsys.readouterr().err
    assert "must be as it was spooled" in said
    assert "are trained again" in said
    assert children_by_fingerprint(first.parent) == {cell.spec.fingerprint: ["FINISHED"] for cell in cells}


def test_duplicates_are_said(spec_of: SpecOf, capsys: pytest.CaptureFixture[str]) -> None:
    run(sweep_of(spec_of), Settings(Tracking(enabled=False), ONE_WORKER), ["optimizer.lr"], sweep=True, duplicates=2)
    assert "2 cells stated twice: trained once" in capsys.readouterr().err


def test_timings_are_said_where_asked(spec_of: SpecOf, capsys: pytest.CaptureFixture[str]) -> None:
    outcome = run(sweep_of(spec_of), replace(PLAIN, timings=True), ["optimizer.lr"], sweep=True, expand_seconds=0.25)
    said = capsys.readouterr().out
    for part in ("expand and check 0.25 s", "train ", "diagnose ", "file "):
        assert part in said
    assert outcome.seconds["all"] > 0.25
    networks = sum(spec.replicates for spec in outcome.specs)
    assert f"updaters    {networks} networks eagerly: too few updates to compile for\n" in said


def test_timings_count_networks_by_what_trained_them() -> None:
    said = console.timings_text({"train": 1.0}, {"too little to do": 1, "": 1200, "no memory": 3})
    assert said.splitlines() == [
        "timings     train 1.00 s",
        "updaters    1,200 networks by compiled code",
        "            3 networks eagerly: no memory",
        "            1 network eagerly: too little to do",
    ]
    assert console.timings_text({"file": 1.0}, {}) == "timings     file 1.00 s"


def test_the_csv_is_the_table_that_is_shown(spec_of: SpecOf, tmp_path: Path) -> None:
    settings = replace(PLAIN, sweep=replace(PLAIN.sweep, csv=str(tmp_path / "rates.csv")))
    outcome = run(sweep_of(spec_of, (0.01, 0.1)), settings, ["optimizer.lr"], sweep=True, command="nnspec run -m")
    lines = (tmp_path / "rates.csv").read_text().splitlines()
    assert lines[0] == "optimizer.lr,networks,solved,rate,low,high"
    assert [float(line.split(",")[0]) for line in lines[1:]] == [0.01, 0.1]
    solved = [int(rows["solved"].sum()) for rows in outcome.outcomes.values()]
    assert [int(line.split(",")[2]) for line in lines[1:]] == solved
