"""A store with two small sweeps and a single run, and the command line on it."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from nnspec import runner
from nnspec.check import checked_mapping
from nnspec.cli import main
from nnspec.runner import Outcome
from nnspec.settings import Settings, Sweep, Tracking
from nnspec.sweep import Cell

AXES = ("activation", "init")


@dataclass(frozen=True)
class Filed:
    """A sweep of 2 x 2 cells of 6 networks, the same with a longer training, and a single run."""

    uri: str
    sweep: Outcome
    longer: Outcome
    single: str


def file_runs(folder: Path, mapping_of: Callable[..., dict[str, Any]]) -> Filed:
    uri = f"sqlite:///{folder}/mlflow.db"
    settings = Settings(tracking=Tracking(uri=uri), sweep=Sweep(report=False))

    def sweep(epochs: int) -> Outcome:
        cells = [
            Cell(
                checked_mapping(mapping_of(activation=a, init=i, replicates=6, train={"epochs": epochs})),
                (("activation", a), ("init", i)),
            )
            for a in ("relu", "tanh")
            for i in ("kaiming_uniform", "zeros")
        ]
        return runner.run(cells, settings, AXES, True, f"python run.py -m epochs={epochs}", quiet=True)

    first, second = sweep(60), sweep(80)
    one = Cell(checked_mapping(mapping_of(replicates=4, train={"epochs": 40, "log_every": 10, "snapshot_every": 10})))
    single = runner.run([one], settings, command="python run.py", quiet=True)
    return Filed(uri, first, second, single.run_ids[0])


@pytest.fixture(scope="session")
def filed_in(mapping_of: Callable[..., dict[str, Any]]) -> Callable[[Path], Filed]:
    """``filed_in(folder)`` makes such a store there."""
    return lambda folder: file_runs(folder, mapping_of)


@pytest.fixture(scope="package")
def filed(tmp_path_factory: pytest.TempPathFactory, filed_in: Callable[[Path], Filed]) -> Filed:
    """Shared by all tests that only read."""
    return filed_in(tmp_path_factory.mktemp("store"))


def copied(filed: Filed, folder: Path) -> Filed:
    """The store again in a new folder, whose runs name the files there."""
    source = Path(filed.uri.removeprefix("sqlite:///")).parent
    shutil.copytree(source, folder)
    with closing(sqlite3.connect(folder / "mlflow.db", isolation_level=None)) as connection:
        for table, column in (("runs", "artifact_uri"), ("experiments", "artifact_location")):
            query = f"UPDATE {table} SET {column} = replace({column}, ?, ?)"
            connection.execute(query, (str(source), str(folder)))
    return replace(filed, uri=f"sqlite:///{folder}/mlflow.db")


@pytest.fixture
def own(tmp_path: Path, filed: Filed) -> Filed:
    """A store that a test may change."""
    return copied(filed, tmp_path / "own")


@pytest.fixture
def nnspec(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """``nnspec("table", "last")`` -> (exit status, stdout, stderr)."""

    def call(*words: str) -> tuple[int, str, str]:
        status = main(words)
        said = capsys.readouterr()
        return status, said.out, said.err

    return call
