"""A sweep whose chunks a Hydra launcher carries: the same numbers as here, filed by the driver."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import nnspec
from nnspec.errors import TrainingError
from nnspec.execute.shards import Shards

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


def test_joblib_carries_a_sweep(tmp_path: Path) -> None:
    pd.testing.assert_frame_equal(
        table(tmp_path / "here"), table(tmp_path / "joblib", "hydra/launcher=joblib"), check_exact=True
    )


def test_a_launcher_that_returns_nothing_is_refused() -> None:
    class Silent:
        return_value = None

    spec = nnspec.spec(["train.epochs=1"])
    with pytest.raises(TrainingError, match="a launcher must give back what its jobs return, but gave NoneType"):
        list(Shards(lambda task, count: [Silent()])([spec], [], 1, lambda *_: None))
