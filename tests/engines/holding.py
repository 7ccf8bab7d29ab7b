"""Sweeps with a worker that is held in the middle of its chunk until a test kills it; see held.py."""

from __future__ import annotations

import os
import select
from pathlib import Path
from typing import Any

import sweeps

USUAL = sweeps.Circumstances()
HERE = "tracking.uri=sqlite:///mlflow.db"
# no two of these shapes, nor a part of one's own and another init, train as one: eight chunks
AXES = ["activation=relu,tanh,gelu", "init=orthogonal,held", "model.hidden=[4],[5],[6],[7]", "seed=range(0,5)"]
CELLS = 120
SHORT = ["train.epochs=30", "train.workers=2", "sweep.report=false"]
PARTS = Path(__file__).with_name("held.py")


def begin(folder: Path, *words: str, under: sweeps.Circumstances = USUAL) -> Any:
    """The sweep of ``CELLS`` cells in a process of its own."""
    return sweeps.command(folder, *words_of(*words), under=under)


def words_of(*more: str) -> list[str]:
    """The words of that sweep's command."""
    return ["run", f"--parts={PARTS}", "-m", *AXES, *SHORT, HERE, *more]


class Hold:
    """A folder that makes one worker wait, of those that have ``variables`` in their environment."""

    def __init__(self, folder: Path):
        folder.mkdir()
        os.mkfifo(folder / "reached")
        self.variables = {"NNSPEC_TEST_HOLDS": str(folder)}
        self._pipe = os.open(folder / "reached", os.O_RDONLY | os.O_NONBLOCK)

    def reached(self, seconds: float = 120) -> int:
        """The number of the process that waits, as soon as one does."""
        ready, _, _ = select.select([self._pipe], [], [], seconds)
        if not ready:
            raise TimeoutError(f"no worker has begun a chunk within {seconds} s")
        return int(os.read(self._pipe, 100))


def complete(folder: Path) -> sweeps.Filed:
    """What is filed there: all cells, each once."""
    found = sweeps.filed(f"sqlite:///{folder}/mlflow.db")
    sweeps.check_complete(found, cells=CELLS)
    return found
