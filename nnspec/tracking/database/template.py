"""MLflow's SQLite tables as a script, made by the MLflow that is installed.

MLflow takes seconds to be imported and to make its tables by one migration after another; executing the script takes
30 ms. So a process of its own makes them once in a file of its own, and the statements that would make the same again
are kept in the user's cache folder, one file a version of MLflow, which anyone may remove.
"""

from __future__ import annotations

import hashlib
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import closing, suppress
from importlib import metadata
from pathlib import Path

from platformdirs import user_cache_path

from nnspec.files import read_bytes
from nnspec.tracking.files import write_file

SCRIPT_BYTES = 4 * 2**20  # MLflow 3.17's has 40 KiB
SECONDS = 120
MAKE_TABLES = """
from mlflow import MlflowClient
MlflowClient(tracking_uri="sqlite:///mlflow.db").search_experiments(max_results=1)
"""
# The tables and indexes, and the rows of MLflow's migrations; experiments it makes when it needs them.
KEPT = ("CREATE ", 'INSERT INTO "alembic_version"', 'INSERT INTO "workspaces"')


def make_script() -> str | None:
    """The statements that make MLflow's tables; None if the installed MLflow could not be asked."""
    # -P: what lies in the working folder is no module of ours
    command = [sys.executable, "-P", "-c", MAKE_TABLES]
    try:
        with tempfile.TemporaryDirectory(prefix="nnspec-") as folder:
            subprocess.run(
                command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, check=True, timeout=SECONDS
            )
            with closing(sqlite3.connect(Path(folder, "mlflow.db"))) as connection:
                return "\n".join(line for line in connection.iterdump() if line.startswith(KEPT)) + "\n"
    except (OSError, subprocess.SubprocessError, sqlite3.Error):
        return None


def schema_script(folder: Path | None = None, make: Callable[[], str | None] = make_script) -> str | None:
    """The statements that make MLflow's tables, kept in ``folder`` (by default nnspec's in the user's cache folder).

    They are made where none are kept, or what is kept is not whole. A folder that cannot be written is no failure: then
    they are not kept. None if the installed MLflow could not be asked.
    """
    try:
        version = metadata.version("mlflow")
    except metadata.PackageNotFoundError:
        return None
    folder = folder or user_cache_path("nnspec")
    file = folder / f"mlflow-{version}.sql"
    script = _kept(file)
    if script is None:
        script = make()
        if script is not None and folder.is_absolute():  # it is not where nobody knows the user's home
            with suppress(OSError):
                folder.mkdir(parents=True, exist_ok=True)
                write_file(file, f"{_mark(script)}\n{script}".encode())
    return script


def _kept(file: Path) -> str | None:
    try:
        mark, _, script = read_bytes(file, SCRIPT_BYTES).decode().partition("\n")
    except (OSError, UnicodeDecodeError):
        return None
    return script if mark == _mark(script) else None


def _mark(script: str) -> str:
    """The first line of a kept script, by which one that was cut off is known."""
    return f"-- MLflow's tables, for nnspec; sha256 {hashlib.sha256(script.encode()).hexdigest()}"
