"""kill -9 at random moments, and resume until done."""

from __future__ import annotations

import random
import sqlite3
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest
import sweeps

pytestmark = pytest.mark.slow
ROUNDS = 12
HERE = "tracking.uri=sqlite:///mlflow.db"


def test_sweeps_killed_at_random_and_resumed_are_as_if_nothing_had_happened(tmp_path: Path, undisturbed: sweeps.Filed) -> None:
    started = time.monotonic()
    sweeps.ended(sweeps.begin(tmp_path / "timed", HERE))
    whole = time.monotonic() - started
    chance = random.Random(4)
    kills = Counter[str]()
    for number in range(ROUNDS):
        folder = tmp_path / str(number)
        for attempt in range(30):
            process = sweeps.begin(folder, HERE, "resume=last")
            process.join(chance.uniform(0, 1.2 * whole) if attempt < 29 else 120)
            if not process.is_alive():
                assert sweeps.ended(process) == 0, (folder / "output").read_text()
                break
            process.kill()
            sweeps.ended(process)
            kills[state(folder / "mlflow.db")] += 1
        sweeps.check_complete(sweeps.filed(f"sqlite:///{folder}/mlflow.db"), undisturbed)
    print(f"{ROUNDS} sweeps, {kills.total()} kills: {dict(kills)}")
    assert kills.total() >= ROUNDS // 2
    assert kills["some cells done"] + kills["cells begun"] >= ROUNDS // 4  # else the moments are not what they should be


def state(database: Path) -> str:
    """How far a killed sweep had come."""
    if not database.exists() or not database.stat().st_size:
        return "no store yet"
    with closing(sqlite3.connect(database)) as connection:
        child = "SELECT run_uuid FROM tags WHERE key = 'mlflow.parentRunId'"
        query = f"SELECT count(*), sum(status = 'FINISHED') FROM runs WHERE lifecycle_stage = 'active' AND run_uuid IN ({child})"
        try:
            begun, done = connection.execute(query).fetchone()
        except sqlite3.OperationalError as error:  # killed while the tables were being made: they are rolled back
            if "no such table" not in str(error):
                raise
            return "no store yet"
    return "all cells done" if done == sweeps.CELLS else "some cells done" if done else "cells begun" if begun else "no cell yet"
