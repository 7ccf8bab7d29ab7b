"""One SQLite file: several sweeps at once, a lock that someone else holds, a full disk."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import servers
import sweeps

pytestmark = pytest.mark.slow
HERE = "tracking.uri=sqlite:///mlflow.db"


def test_four_sweeps_at_once_into_one_new_file(tmp_path: Path) -> None:
    running = [sweeps.begin(tmp_path, HERE, f"optimizer.lr={rate}") for rate in (0.1, 0.05, 0.02, 0.01)]
    assert [sweeps.ended(process, 300) for process in running] == [0] * 4, (tmp_path / "output").read_text()
    found = sweeps.filed(f"sqlite:///{tmp_path}/mlflow.db")
    assert found.statuses == {"FINISHED": 4 * sweeps.CELLS}
    assert len(found.fingerprints) == 4 * sweeps.CELLS
    assert [run.info.status for run in found.parents] == ["FINISHED"] * 4


def test_a_lock_that_another_process_holds_for_two_seconds(tmp_path: Path, undisturbed: sweeps.Filed) -> None:
    sweep = sweeps.begin(tmp_path, HERE)
    database = tmp_path / "mlflow.db"
    servers.until(lambda: database.exists() and database.stat().st_size > 0, "there is a database")
    other = sqlite3.connect(database, timeout=60, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert not threading.Event().wait(2)  # the fault itself, not a wait for anything
    assert sweep.is_alive()
    other.execute("ROLLBACK")
    other.close()
    assert sweeps.ended(sweep) == 0, (tmp_path / "output").read_text()
    sweeps.check_complete(sweeps.filed(f"sqlite:///{database}"), undisturbed)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder with room for 4 MiB: the tables and some of the cells."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "none", folder]
    mounted = os.geteuid() == 0 and subprocess.run(mount, capture_output=True).returncode == 0
    if not mounted:
        pytest.skip("no right to mount a small disk here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def test_a_disk_that_fills_up(small_disk: Path, undisturbed: sweeps.Filed) -> None:
    """Neither store nor spool has room: the sweep says so and fails. With room, resume=last trains what is missing."""
    output = small_disk / "output"
    status = sweeps.ended(sweeps.begin(small_disk, HERE), 300)
    said = output.read_text()
    assert status != 0
    assert "nnspec: " in said
    assert "disk" in said or "space" in said
    subprocess.run(["mount", "-o", "remount,size=200m", small_disk], check=True)
    assert sweeps.ended(sweeps.begin(small_disk, HERE, "resume=last"), 300) == 0, output.read_text()
    sweeps.check_complete(sweeps.filed(f"sqlite:///{small_disk}/mlflow.db"), undisturbed)
