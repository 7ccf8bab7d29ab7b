"""One SQLite file: several sweeps at once, a lock that someone else holds, a full disk, a quota."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import servers
import sweeps

from nnspec.journal.filer import UNFILED

pytestmark = pytest.mark.slow
HERE = "tracking.uri=sqlite:///mlflow.db"


def test_four_sweeps_at_once_into_one_new_file(tmp_path: Path) -> None:
    running = [sweeps.begin(tmp_path, HERE, f"optimizer.lr={rate}") for rate in (0.1, 0.05, 0.02, 0.01)]
    assert [sweeps.ended(process, 300) for process in running] == [0] * 4, sweeps.output(tmp_path)
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
    assert sweeps.ended(sweep) == 0, sweeps.output(tmp_path)
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


def grow(disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,size=200m", disk], check=True)


def said_folder(output: str) -> str:
    """The folder that the last message about unfiled runs names."""
    return re.findall(r"file later with: nnspec file (\S+)$", output, re.MULTILINE)[-1]


def file_twice(folder: Path, spools: str) -> None:
    """``nnspec file`` on what a sweep in ``folder`` could not file; the second time there is nothing left."""
    for _ in range(2):
        assert sweeps.ended(sweeps.command(folder, "file", spools, "--uri", "sqlite:///mlflow.db")) == 0, sweeps.output(
            folder
        )
    assert f"nothing left to file in {spools}" in sweeps.output(folder)


def test_a_disk_that_fills_up(small_disk: Path, tmp_path: Path, undisturbed: sweeps.Filed) -> None:
    """Store and working folder lie on it, so what trained is kept at home; with room it is filed, and nothing trains
    again."""
    home = tmp_path / "home"
    home.mkdir()
    sweep = sweeps.begin(small_disk, HERE, under=sweeps.Circumstances(home=str(home)))
    assert sweeps.ended(sweep, 300) == 1, sweeps.output(small_disk)
    said = sweeps.output(small_disk)
    assert "disk" in said or "space" in said
    assert said_folder(said) == str(home / UNFILED)
    grow(small_disk)
    file_twice(small_disk, said_folder(said))
    sweeps.check_complete(sweeps.filed(f"sqlite:///{small_disk}/mlflow.db"), undisturbed)


def test_a_full_disk_and_no_other(small_disk: Path, undisturbed: sweeps.Filed) -> None:
    """Neither store nor spool has room: the sweep says what is lost and fails. With room, resume=last trains what is
    missing."""
    assert sweeps.ended(sweeps.begin(small_disk, HERE), 300) == 1, sweeps.output(small_disk)
    assert re.search(
        r"nnspec: \d+ trained runs are lost, for neither the store nor any folder \(.*\) took them: .*No space",
        sweeps.output(small_disk),
    )
    grow(small_disk)
    assert sweeps.ended(sweeps.begin(small_disk, HERE, "resume=last"), 300) == 0, sweeps.output(small_disk)
    sweeps.check_complete(sweeps.filed(f"sqlite:///{small_disk}/mlflow.db"), undisturbed)


@pytest.mark.parametrize("most", [sweeps.SMALL_DATABASE, 5_000_000])
def test_a_database_that_may_not_grow(tmp_path: Path, undisturbed: sweeps.Filed, most: int) -> None:
    """A quota: from the first cell on, and when some have begun."""
    sweep = sweeps.begin(tmp_path, HERE, sweeps.MANY_CHUNKS, under=sweeps.Circumstances(largest_file=most))
    assert sweeps.ended(sweep) == 1, sweeps.output(tmp_path)
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    assert (sweeps.filed(uri).statuses["RUNNING"] > 0) == (most > sweeps.SMALL_DATABASE)
    assert said_folder(sweeps.output(tmp_path)) == str(UNFILED)
    file_twice(tmp_path, str(UNFILED))
    sweeps.check_complete(sweeps.filed(uri), undisturbed)
