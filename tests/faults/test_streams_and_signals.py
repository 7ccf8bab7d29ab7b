"""Real processes with streams that are closed or full, signals that come one by one or in a burst, and Python's own
switches."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import servers

ROOT = Path(__file__).resolve().parents[2]
RUN = [sys.executable, str(ROOT / "run.py")]
SHORT = ["-m", "seed=0,1", "train.epochs=20", "train.workers=1", "sweep.report=false"]
LONG = ["train.epochs=100000000", "train.log_every=1000", "sweep.report=false"]
ENVIRON = {**os.environ, "PYTHONPATH": str(ROOT)}


def shell(folder: Path, line: str) -> subprocess.CompletedProcess[str]:
    """A line of bash in which RUN is the command."""
    command = " ".join(RUN)
    return subprocess.run(
        ["bash", "-c", line.replace("RUN", command)],
        cwd=folder,
        env=ENVIRON,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def asked(folder: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(folder / "mlflow.db")) as connection:
        return connection.execute(query).fetchall()


def statuses(folder: Path) -> dict[str, int]:
    return dict(asked(folder, "SELECT status, count(*) FROM runs GROUP BY status"))


@pytest.mark.parametrize(("words", "reader"), [("--help", "head -1"), ("--help", "true"), ("--cfg job", "true")])
def test_the_reader_of_help_leaves(tmp_path: Path, words: str, reader: str) -> None:
    done = shell(tmp_path, f"set -o pipefail; RUN {words} | {reader}")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_working_folder_that_is_gone(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    done = shell(gone, f"rmdir {gone}; RUN train.epochs=20")
    assert done.returncode == 1
    assert done.stderr == (
        "nnspec: the working folder must be there, but got none (No such file or directory); it was deleted; cd to "
        "another\n"
    )


@pytest.mark.slow
@pytest.mark.parametrize("closed", ["2>&-", ">&-", "<&-", ">&- 2>&- <&-", "| true", "2>/dev/full"])
def test_closed_streams_train_and_file(tmp_path: Path, closed: str) -> None:
    done = shell(tmp_path, f"set -o pipefail; RUN {' '.join(SHORT)} {closed}")
    assert done.returncode == 0
    assert "Traceback" not in done.stderr + done.stdout
    assert statuses(tmp_path) == {"FINISHED": 3}


@pytest.mark.slow
@pytest.mark.parametrize("switch", ["", "-u"])
def test_a_full_device_for_stdout(tmp_path: Path, switch: str) -> None:
    done = shell(tmp_path, f"{sys.executable} {switch} {ROOT}/run.py {' '.join(SHORT)} > /dev/full")
    assert done.returncode == 1
    plan, lost = done.stderr.splitlines()
    assert "2 networks in 1 stack" in plan
    assert lost.startswith("nnspec: the output could not be written (No space left on device)")
    assert statuses(tmp_path) == {"FINISHED": 3}


@pytest.mark.slow
@pytest.mark.parametrize("words", ["-m seed=range(0,3)", "-m seed=choice(0,1,2) hydra/sweeper=basic"])
def test_python_without_asserts(tmp_path: Path, words: str) -> None:
    done = shell(
        tmp_path, f"{sys.executable} -O {ROOT}/run.py '{words.replace(' ', chr(39) + ' ' + chr(39))}' train.epochs=20"
    )
    assert done.returncode == 0, done.stderr
    assert set(statuses(tmp_path)) == {"FINISHED"}


def begun(folder: Path, *words: str, before: str = "") -> subprocess.Popen[str]:
    """A command in a group of its own that has filed a part of its histories."""
    line = f"{before} exec {' '.join(RUN)} {' '.join(words)}"
    process = subprocess.Popen(
        ["bash", "-c", line],
        cwd=folder,
        env=ENVIRON,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    database = folder / "mlflow.db"

    def trains() -> bool:
        assert process.poll() is None, process.communicate()
        return (
            database.exists()
            and bool(database.stat().st_size)
            and asked(folder, "SELECT count(*) FROM metrics WHERE step > 0")[0][0] > 0
        )

    servers.until(trains, "a history so far is filed")
    return process


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
@pytest.mark.parametrize(
    "words", [["replicates=5"], ["-m", "activation=relu,tanh", "'seed=range(0,3)'"]], ids=["single", "sweep"]
)
def test_a_signal_in_a_long_chunk_files_what_is_known_of_it(
    tmp_path: Path, number: signal.Signals, words: list[str]
) -> None:
    process = begun(tmp_path, *words, *LONG)
    os.killpg(process.pid, number)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert "Traceback" not in out + err
    assert "nnspec: interrupted: 0 of" in err
    runs = 1 if len(words) == 1 else 7
    assert statuses(tmp_path) == {"KILLED": runs}
    histories = sorted((tmp_path / "mlartifacts").rglob("history.parquet"))
    assert len(histories) == max(1, runs - 1)
    for history in histories:
        table = pq.read_table(history).to_pandas()
        assert table["step"].max() >= 1000
        assert table["loss"].notna().all()
        assert (history.parent / "spec.yaml").exists()
    points = asked(tmp_path, "SELECT run_uuid, count(*) FROM metrics WHERE key = 'loss' GROUP BY run_uuid")
    assert len(points) == len(histories)


@pytest.mark.slow
def test_six_quick_interrupts_are_one(tmp_path: Path) -> None:
    process = begun(tmp_path, "-m", "activation=relu,tanh", "seed=0,1", *LONG)
    for _ in range(6):
        os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in out + err
    assert statuses(tmp_path) == {"KILLED": 5}


@pytest.mark.slow
def test_an_ignored_hangup_stays_ignored(tmp_path: Path) -> None:
    process = begun(tmp_path, "replicates=5", *LONG, before="trap '' HUP;")
    os.killpg(process.pid, signal.SIGHUP)
    points = "SELECT count(*) FROM metrics"
    so_far = asked(tmp_path, points)
    servers.until(lambda: asked(tmp_path, points) > so_far, "it goes on")
    os.killpg(process.pid, signal.SIGTERM)
    assert process.wait(30) == 130
    process.communicate()


@pytest.mark.slow
def test_a_stopped_worker_is_named_once_and_waited_for(tmp_path: Path) -> None:
    process = begun(
        tmp_path, "-m", "train.snapshot_every=0,50000000", "train.workers=2", *LONG
    )  # which cannot share a chunk
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    worker = int(children[0])
    os.kill(worker, signal.SIGSTOP)
    assert process.stderr is not None
    _, said = process.stderr.readline(), process.stderr.readline()  # the plan comes first
    assert re.fullmatch(
        rf"nnspec: worker process {worker} is stopped and training waits for it; go on: kill -CONT {worker}\n", said
    )
    os.killpg(process.pid, signal.SIGTERM)  # also ends what is stopped
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "is stopped" not in err
