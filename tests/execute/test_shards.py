"""A sweep whose chunks a Hydra launcher carries: the same numbers as here, filed by the driver."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

import nnspec
from nnspec.errors import TrainingError
from nnspec.execute.elsewhere import Surroundings
from nnspec.execute.pool import Event, Finished, Lost
from nnspec.execute.shards import Died, Shards, ShardTask
from nnspec.execute.submitit_jobs import each_by_itself, said
from nnspec.specs import RunSpec
from nnspec.training.plan import Chunk, Share

ROOT = Path(__file__).resolve().parents[2]
SWEEP = [
    "-m",
    "activation=relu,tanh",
    "seed=0,300",
    "replicates=300",
    "train.epochs=40",
    "train.workers=2",
    "sweep.report=false",
]


def table(folder: Path, *more: str) -> pd.DataFrame:
    folder.mkdir()
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(ROOT / "run.py"), *SWEEP, *more]
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (file,) = [path for path in folder.glob("mlartifacts/**/results.parquet") if len(pd.read_parquet(path)) == 1200]
    return pd.read_parquet(file)


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    return table(tmp_path_factory.mktemp("tables") / "here")


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["joblib", "submitit_local"])
def test_a_launcher_carries_a_sweep(launcher: str, tmp_path: Path, here: pd.DataFrame) -> None:
    there = table(tmp_path / launcher, f"hydra/launcher={launcher}")
    pd.testing.assert_frame_equal(here, there, check_exact=True)
    left = [path.name for path in (tmp_path / launcher).glob("multirun/*/*/*")]
    assert not [name for name in left if name.startswith("shards-")]


class Jobs:
    """A launcher that runs its jobs here, one after the other; ``dies(launch, number)`` says of which chunks its job
    dies. It keeps which chunks it has been asked for."""

    def __init__(self, dies: Any, goes_on: bool = True):
        self.dies, self.goes_on = dies, goes_on
        self.launched: list[tuple[int, ...]] = []
        self.firsts: list[int] = []
        self.trained: list[int] = []

    def __call__(self, task: ShardTask, count: int, first: int) -> Sequence[Any]:
        self.launched.append(tuple(task.numbers))
        self.firsts.append(first)
        found: list[Any] = []
        for index in range(count):
            try:
                found.append(SimpleNamespace(return_value=self._job(task, index, count)))
            except ChildProcessError as error:
                if not self.goes_on:
                    raise
                found.append(Died(str(error)))
        return found

    def _job(self, task: ShardTask, index: int, count: int) -> str:
        def extra(specs: Any, chunk: Chunk, trained: Any) -> None:
            (number,) = [n for n, other in enumerate(task.chunks) if other is chunk]
            if self.dies(len(self.launched), number):
                raise ChildProcessError("killed")
            self.trained.append(number)

        mine = ShardTask(task.specs, task.chunks, extra, task.numbers, task.folder, task.surroundings)
        return mine(SimpleNamespace(shard=f"{index}/{count}"))


@pytest.fixture
def work() -> tuple[list[RunSpec], list[Chunk]]:
    spec = nnspec.spec(["train.epochs=1", "replicates=6"])
    return [spec], [Chunk((Share(0, number, 1),), compiled=False) for number in range(6)]


def events(jobs: Jobs, work: tuple[list[RunSpec], list[Chunk]], folder: Path) -> list[Event]:
    return list(Shards(jobs, folder)(*work, 2, lambda *_: None))


@pytest.mark.parametrize("goes_on", [True, False], ids=["others are taken", "the launcher raises"])
def test_a_job_that_dies_is_launched_again_with_what_it_left_undone(goes_on: bool, work: Any, tmp_path: Path) -> None:
    jobs = Jobs(lambda launch, number: launch == 1 and number == 3, goes_on)  # the second of two jobs: 1, 3, 5
    found = events(jobs, work, tmp_path)
    assert sorted(event.chunk for event in found if isinstance(event, Finished)) == [0, 1, 2, 3, 4, 5]
    assert jobs.launched == [(0, 1, 2, 3, 4, 5), (3, 5)]
    assert jobs.firsts == [0, 2]  # no two jobs share a folder of Hydra's
    assert sorted(jobs.trained) == [0, 1, 2, 3, 4, 5]
    assert not list(tmp_path.iterdir())


def test_a_job_that_dies_twice_loses_its_chunks_only(work: Any, tmp_path: Path) -> None:
    found = events(Jobs(lambda launch, number: number == 3), work, tmp_path)
    assert sorted(event.chunk for event in found if isinstance(event, Finished)) == [0, 1, 2, 4, 5]
    assert [event for event in found if isinstance(event, Lost)] == [Lost(3, "its job died twice: killed")]


def test_a_launcher_none_of_whose_jobs_ends_is_an_error(work: Any, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no job of the launcher came to its end: killed"):
        events(Jobs(lambda launch, number: True), work, tmp_path)


def test_what_is_trained_is_taken_when_the_launcher_is_interrupted(work: Any, tmp_path: Path) -> None:
    def interrupted(launch: int, number: int) -> bool:
        if number == 3:
            raise KeyboardInterrupt
        return False

    stream = Shards(Jobs(interrupted), tmp_path)(*work, 2, lambda *_: None)
    assert [next(stream).chunk for _ in range(4)] == [0, 1, 2, 4]
    with pytest.raises(KeyboardInterrupt):
        next(stream)


def test_an_error_of_a_job_is_raised_when_what_the_others_trained_is_taken(work: Any, tmp_path: Path) -> None:
    def wrong(launch: int, number: int) -> bool:
        if number == 3:
            raise KeyError("a mistake")
        return False

    class Told(Jobs):
        def _job(self, task: ShardTask, index: int, count: int) -> Any:  # as Hydra's own jobs do
            try:
                return super()._job(task, index, count)
            except KeyError:
                return 5

    stream = Shards(Told(wrong), tmp_path)(*work, 2, lambda *_: None)
    assert [next(stream).chunk for _ in range(4)] == [0, 1, 2, 4]
    with pytest.raises(TrainingError, match="a launcher must give back what its jobs return, but gave int"):
        next(stream)


def test_a_job_whose_driver_has_gone_ends(work: Any, tmp_path: Path) -> None:
    def asked(*_: Any) -> None:
        raise AssertionError("it trains for nobody")

    task = ShardTask(*work, asked, range(6), tmp_path / "gone", Surroundings.here())
    assert task(SimpleNamespace(shard="0/1")) == "0/1"


def test_a_launcher_that_returns_nothing_is_refused(tmp_path: Path) -> None:
    spec = nnspec.spec(["train.epochs=1"])
    silent = SimpleNamespace(return_value=None)
    shards = Shards(lambda task, count, first: [silent], tmp_path)
    with pytest.raises(TrainingError, match="a launcher must give back what its jobs return, but gave NoneType"):
        list(shards([spec], [Chunk((Share(0, 0, 1),))], 1, lambda *_: None))


def test_a_failed_job_of_submitit_does_not_hide_the_others() -> None:
    core = pytest.importorskip("submitit.core.core")

    class Failed(core.Job):
        def __init__(self) -> None:
            pass

        def wait(self) -> None:
            raise RuntimeError("job 7 was cancelled\nsee its log")

        def __del__(self) -> None:
            pass

    launcher = type("SlurmLauncher", (), {"__module__": "hydra_plugins.hydra_submitit_launcher.submitit_launcher"})()
    with each_by_itself(launcher):
        assert Failed().results() == [Died("job 7 was cancelled")]
    with pytest.raises(RuntimeError, match="job 7"):
        Failed().results()


def test_a_traceback_of_submitits_is_told_by_its_last_line() -> None:
    rule = "-" * 22
    text = f"Job (task=0) failed during processing with trace:\n{rule}\nTraceback:\nImportError: no\n\n{rule}\nYou can"
    assert said(RuntimeError(text)) == "ImportError: no"
    assert said(RuntimeError("cancelled\nby you")) == "cancelled"
