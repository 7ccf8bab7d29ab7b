"""Where a run comes from."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nnspec.tracking.provenance import git_tags, process_alive, process_id, process_tags, run_tags


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    """The facts are found once per process: here, once per test."""
    for found_once in (git_tags, process_tags):
        found_once.cache_clear()
    yield
    for found_once in (git_tags, process_tags):
        found_once.cache_clear()


def git(folder: Path, *command: str) -> str:
    identity = ["-c", "user.name=ada", "-c", "user.email=ada@example.org"]
    return subprocess.run(
        ["git", *identity, *command], cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()


def test_commit_and_dirt_of_the_scripts_own_tree(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = folder / "tree"
    tree.mkdir()
    (tree / "run.py").write_text("one")
    monkeypatch.setattr(sys, "argv", [str(tree / "run.py")])
    assert git_tags() == {}
    git(tree, "init", "-q")
    git(tree, "add", ".")
    git(tree, "commit", "-qm", "one")
    git_tags.cache_clear()
    commit = git(tree, "rev-parse", "HEAD")
    assert git_tags() == {"nnspec.git_commit": commit, "mlflow.source.git.commit": commit, "nnspec.git_dirty": "false"}
    (tree / "run.py").write_text("two")
    git_tags.cache_clear()
    assert git_tags()["nnspec.git_dirty"] == "true"


def test_no_git_is_no_fault(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert git_tags() == {}
    assert process_tags()["nnspec.version"]


def test_a_cells_tags(cell: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def git_says(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        calls.append(command)
        return subprocess.CompletedProcess(command, 0, "abc")

    monkeypatch.setattr(subprocess, "run", git_says)
    spec = cell().spec
    tags = run_tags(spec)
    run_tags(spec)
    assert tags["nnspec.fingerprint"] == spec.fingerprint
    assert {"nnspec.version", "mlflow.user", "mlflow.source.name", "nnspec.process"} < set(tags)
    assert len(calls) == 2, "git must be asked once per process, not once per run"


def test_a_process_is_known_to_live_or_not() -> None:
    assert process_alive(process_id()) is True
    host, pid, birth = process_id().rsplit(":", 2)
    assert process_alive(f"elsewhere:{pid}:{birth}") is None
    assert process_alive("nonsense") is None
    assert process_alive(f"{host}:{pid}:{int(birth or 0) + 1}") is (False if birth else None)
    done = subprocess.Popen([sys.executable, "-c", ""])
    tag = process_id(done.pid)
    done.wait()
    assert process_alive(tag) is False
