"""What changes a store: deleting a sweep, filing what was spooled."""

from __future__ import annotations

import shlex
import subprocess
import sys
import uuid
from dataclasses import replace

import pytest

from nnspec.cli.filed import opened
from nnspec.cli.store.delete import kept_lines
from nnspec.journal.recording import Recorder
from nnspec.tracking import Unfiled, spool
from nnspec.tracking.locate import Location
from nnspec.tracking.spool import FILED


def test_delete_asks_and_refuses_without_a_terminal(filed, nnspec, monkeypatch):
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    status, out, err = nnspec("delete", filed.sweep.parent, "--uri", filed.uri)
    assert (status, out) == (2, "")
    assert "it must be confirmed, but there is no terminal to ask on; give --yes to delete sweep-" in err
    assert "with 4 cells (4 FINISHED)" in err


@pytest.mark.parametrize(("answer", "left"), [("", 4), ("no", 4), ("y", 0)])
def test_delete_does_what_it_is_told(own, nnspec, monkeypatch, answer, left):
    asked = []
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda text: asked.append(text) or answer)
    status, out, _ = nnspec("delete", own.sweep.parent, "--uri", own.uri)
    assert "with 4 cells" in asked[0]
    assert (status, out.split()[0]) == ((1, "nothing") if left else (0, "deleted"))
    with opened(own.uri) as store:
        assert len(store.find_children(own.sweep.parent)) == left
        assert len(store.find_children(own.longer.parent)) == 4  # the other sweep stays
        experiment = store.get(own.sweep.parent).experiment_id
        assert (
            store.latest_sweep(experiment, {"nnspec.sweep": store.get(own.sweep.parent).tags["nnspec.sweep"]}) is None
        ) == (left == 0)


def test_delete_says_what_is_not_freed_and_the_command_that_does(own, nnspec):
    with opened(own.uri) as store:
        single, location = store.find_children(own.sweep.parent)[0].run_id, store.location
    before = location.file.stat().st_size
    status, out, _ = nnspec("delete", single, "--yes", "--uri", own.uri)
    assert status == 0
    artifacts = location.file.parent / "mlartifacts"
    assert list(artifacts.rglob(f"{single}/artifacts/*"))
    command = shlex.split(out.splitlines()[-1])
    assert command[:3] == ["nnspec", "gc", "--free"]
    status, out, _ = nnspec(*command[1:], "--yes")
    assert status == 0
    assert "freed 1 deleted runs" in out
    assert list(artifacts.rglob(single)) == []
    assert location.file.stat().st_size < before
    assert "nothing is left over" in nnspec("gc", "--uri", own.uri)[1]


def test_on_a_server_others_free_it():
    lines = list(kept_lines(Location("https://me:secret@host/", "http")))
    assert lines[1] == (
        "  mlflow gc --tracking-uri 'https://me:***@host/' --backend-store-uri DATABASE  # on the server's machine"
    )
    assert len(lines) == 2


def test_a_sweep_that_trains_is_not_deleted(own, nnspec):
    with opened(own.uri) as store:
        store.set_status([own.sweep.parent], "RUNNING")  # by this process, which lives
    status, _, err = nnspec("delete", own.sweep.parent, "--yes", "--uri", own.uri)
    assert status == 2
    assert "must not be deleted while it trains" in err


@pytest.fixture
def spooled(tmp_path, spec_of, trained_cell):
    """A folder with two spooled runs."""

    def write(seed):
        cell = trained_cell(spec_of(seed=seed, train={"epochs": 20}))
        recorder = Recorder({0: cell.spec})
        end = replace(recorder.end_of(cell), run_id=uuid.uuid4().hex)
        return spool(tmp_path / "nnspec-unfiled", "nnspec-xor", [Unfiled(recorder.start_of(cell.index), end)])

    return [write(0), write(1)]


@pytest.fixture
def trained_cell():
    from nnspec.execute.engine import Training
    from nnspec.results.events import TrainedCell
    from nnspec.settings import Runtime

    return lambda spec: next(event for event in Training([spec], Runtime(workers=1)) if isinstance(event, TrainedCell))


def found(uri):
    from nnspec.tracking import RunQuery

    with opened(uri) as store:
        return [
            run
            for run in store.search(RunQuery(store.experiment("nnspec-xor"), tags={"nnspec.spool_item": "0"}))
            if run.status == "FINISHED"
        ]


def test_all_of_a_folder_is_filed_once(spooled, nnspec, tmp_path):
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    status, out, _ = nnspec("file", str(spooled[0].parent), "--uri", uri)
    assert (status, out.count("1 run filed from")) == (0, 2)
    assert nnspec("file", str(spooled[0].parent), "--uri", uri)[1].startswith("nothing left to file in")
    assert nnspec("file", str(spooled[0]), "--uri", uri)[0] == 0
    assert len(found(uri)) == 2


def test_one_bad_folder_does_not_keep_the_others(spooled, nnspec, tmp_path):
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    bad = min(spooled, key=lambda path: (path / "spool.json").stat().st_mtime)
    (bad / "spool.json").write_text("{}")
    status, out, err = nnspec("file", str(bad.parent), "--uri", uri)
    assert status == 1
    assert "must be a folder that nnspec spooled" in err
    assert out.count("1 run filed from") == 1
    assert not (bad / FILED).exists()


def test_what_was_filed_in_part_is_filed_once(spooled, nnspec, tmp_path):
    """As after a kill between filing and marking: the runs are known again by their tags."""
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    nnspec("file", str(spooled[0]), "--uri", uri)
    (spooled[0] / FILED).unlink()
    assert nnspec("file", str(spooled[0]), "--uri", uri)[0] == 0
    assert len(found(uri)) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="no flock")
def test_two_commands_do_not_file_one_folder(spooled, nnspec, tmp_path):
    wait = (
        "import time; from pathlib import Path; from nnspec.tracking.unspool import _alone; folder = "
        f"Path({str(spooled[0])!r})"
    )
    holder = f"{wait}\nwith _alone(folder):\n    print(1, flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", holder], stdout=subprocess.PIPE) as other:
        assert other.stdout.readline()
        status, _, err = nnspec("file", str(spooled[0]), "--uri", f"sqlite:///{tmp_path}/mlflow.db")
        other.kill()
    assert status == 1
    assert "must be filed by one command at a time" in err
    assert not (spooled[0] / FILED).exists()


def test_a_folder_that_is_none(nnspec, tmp_path):
    status, _, err = nnspec("file", str(tmp_path))
    assert status == 2
    assert "must be nnspec-unfiled or a folder spool-* with a spool.json" in err
