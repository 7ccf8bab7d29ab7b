"""What runs take on a disk, as foretold, against what a store has grown by."""

from __future__ import annotations

from pathlib import Path

import pytest

from nnspec.execute.disk import filed_bytes, packed_bytes
from nnspec.runner import run
from nnspec.settings import Runtime, Settings, Tracking
from nnspec.specs import RunSpec
from nnspec.sweep import plan

BLOCK = 4096  # bytes that files and folders are given whole
WORDS = ["seed=range(0,30)", "replicates=1"]
SWEEPS = {"the textbook's": WORDS}
SLOW = {
    "replicates": ["optimizer.lr=range(0.1,2.5,0.1)", "replicates=40", "train.epochs=500"],
    "short": [*WORDS, "train.epochs=50"],
    "wide": [*WORDS, "model.hidden=[40,40]"],
    "a test part": [*WORDS, "data=moons", "data.test_fraction=0.3", "train.epochs=100"],
    "snapshots": [*WORDS, "train.snapshot_every=50", "model.hidden=[20]"],
}


def taken(folder: Path) -> int:
    """The bytes that everything in a folder takes, in whole blocks."""
    return sum(BLOCK if path.is_dir() else -(-path.stat().st_size // BLOCK) * BLOCK for path in folder.rglob("*"))


def train(words: list[str], cells: str = "all") -> list[RunSpec]:
    """Train and file a sweep, with these cells as runs; its specs."""
    found, _ = plan(words)
    settings = Settings(Tracking(uri="sqlite:///mlflow.db", cells=cells), Runtime(workers=1))
    assert run(found.cells, settings, axes=found.axes, sweep=True, quiet=True).exit_status == 0
    return [cell.spec for cell in found.cells]


@pytest.mark.parametrize("name", [*SWEEPS, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)])
def test_a_store_grows_by_what_was_foretold(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    train(["seed=range(100,102)", "train.epochs=2"])  # an empty store has a megabyte of tables
    before = taken(tmp_path)
    specs = train((SWEEPS | SLOW)[name])
    grown = taken(tmp_path) - before
    # pages of SQLite that are not full, Parquet's and MLflow's versions: a rule of thumb needs no more
    assert filed_bytes(specs, sweep=True) == pytest.approx(grown, rel=0.15)


@pytest.mark.parametrize(
    "words",
    [
        ["optimizer.lr=0.1,0.2", "replicates=300", "train.epochs=500"],
        pytest.param(["seed=range(0,600)"], marks=pytest.mark.slow),
    ],
)
def test_packed_cells_take_what_was_foretold(words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    train(["seed=range(100,102)", "train.epochs=2"])
    before = taken(tmp_path)
    specs = train(words, "none")
    # what networks have in common compresses well, and how much they have nobody foretells
    assert packed_bytes(specs) == pytest.approx(taken(tmp_path) - before, rel=0.3)
