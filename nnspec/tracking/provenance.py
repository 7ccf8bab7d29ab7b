"""Where a run comes from: nnspec's version, the git commit, the user, the process. Found once per process."""

from __future__ import annotations

import getpass
import os
import socket
import subprocess
import sys
from functools import cache
from pathlib import Path

from nnspec.release import version
from nnspec.specs import RunSpec
from nnspec.tracking.records import COMMIT_TAG, DIRTY_TAG, FINGERPRINT_TAG, PROCESS_TAG, VERSION_TAG
from nnspec.tracking.store import FoundRun

_GIT_SECONDS = 5.0  # a repository on a sleeping network disk must not hold up a run


def run_tags(spec: RunSpec) -> dict[str, str]:
    """The tags of a cell: what it is and where it comes from. Its name, parent and description are not among them."""
    return {FINGERPRINT_TAG: spec.fingerprint, **process_tags()}


@cache
def process_tags() -> dict[str, str]:
    """The tags that every run of this process shares; sweeps carry them too."""
    return {
        VERSION_TAG: version(),
        "mlflow.user": _user(),
        "mlflow.source.name": sys.argv[0] or "python",
        "mlflow.source.type": "LOCAL",
        PROCESS_TAG: process_id(),
        **git_tags(),
    }


@cache
def git_tags() -> dict[str, str]:
    """Commit and dirtiness of the tree that holds the running script, else the working folder; empty without git."""
    script = Path(sys.argv[0]).resolve() if sys.argv and sys.argv[0] else Path.cwd()
    folder = script.parent if script.is_file() else Path.cwd()
    commit = _git(folder, "rev-parse", "HEAD")
    if not commit:
        return {}
    changes = _git(folder, "status", "--porcelain", "--untracked-files=no")
    tags = {COMMIT_TAG: commit, "mlflow.source.git.commit": commit}
    return tags if changes is None else {**tags, DIRTY_TAG: "true" if changes else "false"}


def _git(folder: Path, *command: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", *command], cwd=folder, capture_output=True, text=True, timeout=_GIT_SECONDS, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container whose user has no name
        return "unknown"


def process_id(pid: int | None = None) -> str:
    """``host:pid:birth`` of a process here, by default of this one: enough to tell later whether it still runs."""
    pid = os.getpid() if pid is None else pid
    return f"{socket.gethostname()}:{pid}:{_birth(pid)}"


def still_trains(run: FoundRun) -> bool:
    """Whether a run is RUNNING and its process, one of this machine, lives."""
    return run.status == "RUNNING" and bool(process_alive(run.tags.get(PROCESS_TAG, "")))


def process_alive(tag: str) -> bool | None:
    """Whether the process of a ``nnspec.process`` tag still runs; None where that cannot be known, as on another
    host."""
    host, pid, birth = [*tag.rsplit(":", 2), "", ""][:3]
    if host != socket.gethostname() or not (pid.isascii() and pid.isdecimal()):
        return None
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass  # it is someone else's, but it lives
    now = _birth(int(pid))
    return now == birth if now and birth else None


def _birth(pid: int) -> str:
    """Clock ticks since boot when a process started (Linux): a process id comes round again, this does not. ''
    elsewhere."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    state, birth = (fields := text.rpartition(")")[2].split())[0], fields[19]
    return "" if state in "ZX" else birth
