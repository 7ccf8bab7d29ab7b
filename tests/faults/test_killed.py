"""kill -9 at every commit and at random moments: of sweeps, resumed until done, and of the command that files what was
spooled."""

from __future__ import annotations

import hashlib
import json
import random
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sweeps

from nnspec.journal.filer import UNFILED
from nnspec.readback import networks
from nnspec.tracking import RunQuery, find_run, opened
from nnspec.tracking.records import CELL_TAG, PARENT_TAG

pytestmark = pytest.mark.slow
COMMITS = range(1, 13)  # of a sweep: of its experiment and parent, of the first cells begun, and of the first done
FILED = (8, 32, 40)  # commits of a filing: before anything is begun, and in the middle
AT_RANDOM = 4  # rounds besides that are killed at random moments: between commits, and when all is done
AT_ONCE = 2
STORE = "sqlite:///mlflow.db"
HERE = f"tracking.uri={STORE}"


def timed(process: Any) -> float:
    """How long a process takes that nobody kills."""
    started = time.monotonic()
    assert sweeps.ended(process) == 0
    return time.monotonic() - started


def moments(number: int, commits: Sequence[int], whole: float) -> list[tuple[sweeps.Circumstances, float]]:
    """When the commands of a round are killed, each begun after the one before it: under which circumstances, after how
    many seconds. In the first rounds it is at one of ``commits``, for some states last milliseconds; in the others
    twice at a random moment of a life of ``whole`` seconds."""
    if number < len(commits):
        return [(sweeps.Circumstances(killed_at=commits[number]), 120.0)]
    chance = random.Random(number)
    return [(sweeps.Circumstances(), chance.uniform(0, 1.2 * whole)) for _ in range(2)]


def until_done(
    begin: Callable[[sweeps.Circumstances], Any],
    folder: Path,
    killed: list[tuple[sweeps.Circumstances, float]],
    state: Callable[[Path], str],
) -> Counter[str]:
    """Begin a command and kill it, again and again, then let it be; the states in which the kills left the store."""
    kills = Counter[str]()
    for under, seconds in killed:
        process = begin(under)
        process.join(seconds)
        if process.is_alive():
            process.kill()
        status = sweeps.ended(process)
        if status == 0:
            assert under.killed_at is None, f"it makes less than {under.killed_at} commits"
            return kills
        assert status == -signal.SIGKILL, sweeps.output(folder)
        kills[state(folder / "mlflow.db")] += 1
    assert sweeps.ended(begin(sweeps.Circumstances())) == 0, sweeps.output(folder)
    return kills


def test_sweeps_killed_and_resumed_are_as_if_nothing_had_happened(tmp_path: Path, undisturbed: sweeps.Filed) -> None:
    whole = timed(sweeps.begin(tmp_path / "timed", HERE, sweeps.MANY_CHUNKS))

    def one_round(number: int) -> Counter[str]:
        folder = tmp_path / str(number)

        def begin(under: sweeps.Circumstances) -> Any:
            return sweeps.begin(folder, HERE, sweeps.MANY_CHUNKS, "resume=last", under=under)

        kills = until_done(begin, folder, moments(number, COMMITS, whole), progress)
        sweeps.check_complete(sweeps.filed(f"sqlite:///{folder}/mlflow.db"), undisturbed)
        return kills

    with ThreadPoolExecutor(AT_ONCE) as pool:
        kills = sum(pool.map(one_round, range(len(COMMITS) + AT_RANDOM)), Counter())
    print(f"sweeps of {whole:.1f} s, {kills.total()} kills: {dict(kills)}")
    assert kills.total() >= len(COMMITS)
    for moment in ("no cell yet", "cells begun", "some cells done"):  # else the moments are not what they should be
        assert kills[moment]


@pytest.mark.parametrize("cells", ["chosen", "none"])
def test_sweeps_of_packed_cells_killed_and_resumed_are_as_if_nothing_had_happened(tmp_path: Path, cells: str) -> None:
    """Killed at transactions early and late, until one is too many."""

    def begin(folder: Path, under: sweeps.Circumstances, *words: str) -> Any:
        return sweeps.begin(folder, HERE, sweeps.MANY_CHUNKS, f"tracking.cells={cells}", *words, under=under)

    assert sweeps.ended(begin(tmp_path / "undisturbed", sweeps.Circumstances())) == 0
    undisturbed = packed(tmp_path / "undisturbed")
    kills = Counter[str]()
    for number in range(1, 600, 40):
        folder = tmp_path / str(number)
        status = sweeps.ended(begin(folder, sweeps.Circumstances(killed_at=number)))
        if status == 0:
            break
        assert status == -signal.SIGKILL, sweeps.output(folder)
        kills[packs(folder / "mlflow.db")] += 1
        assert sweeps.ended(begin(folder, sweeps.Circumstances(), "resume=last")) == 0, sweeps.output(folder)
        assert packed(folder) == undisturbed
    print(f"killed until transaction {number}: {dict(kills)}")
    assert kills.total() >= 3
    assert kills["no pack yet"]
    assert kills["some packs"]


def packed(folder: Path) -> dict[str, str]:
    """By the number of a cell a digest of its files; each cell is there once, under the one sweep, and its runs are
    finished."""
    paths = (
        "results.parquet",
        "weights/initial.safetensors",
        "weights/final.safetensors",
        "spec.yaml",
        "history.parquet",
    )
    with opened(f"sqlite:///{folder}/mlflow.db") as store:
        (sweep,) = store.search(RunQuery(without_tags=(PARENT_TAG,)))
        assert sweep.status == "FINISHED"
        cells = store.find_children(sweep.run_id)
        assert {cell.status for cell in cells} == {"FINISHED"}
        runs = store.runs_below(sweep.run_id)
        assert {run.status for run in runs} <= {"FINISHED"}
        assert len({run.fingerprint for run in runs}) == len(runs)
        assert len(cells) == len({cell.tags[CELL_TAG] for cell in cells}) == sweeps.CELLS
        assert len(networks(store, sweep.run_id)) == sweeps.CELLS
        return {
            cell.tags[CELL_TAG]: hashlib.sha256(
                b"".join(store.artifact(cell.run_id, path) for path in paths)
            ).hexdigest()
            for cell in cells
        }


RACE = ["activation=relu,tanh,gelu", "init=zeros,kaiming_uniform", "sweep.race=true", "sweep.within=0.05"]
RACE += ["train.epochs=200", "train.log_every=200", "sweep.report=false"]


@pytest.mark.parametrize(
    ("carried", "commits"),
    [("train.workers=1", range(2, 60, 3)), ("hydra/launcher=joblib", (8, 14))],  # the latter takes seconds to begin
)
def test_races_killed_and_resumed_are_as_if_nothing_had_happened(
    tmp_path: Path, carried: str, commits: Sequence[int]
) -> None:
    """Killed at transactions early and late, until one is too many."""

    def race(folder: Path, *words: str, killed_at: int | None = None) -> int:
        under = sweeps.Circumstances(killed_at=killed_at)
        return sweeps.ended(sweeps.command(folder, "run", "-m", *RACE, HERE, carried, *words, under=under))

    def raced(folder: Path) -> tuple[bytes, ...]:
        found = sweeps.filed(f"sqlite:///{folder}/mlflow.db")
        sweeps.check_complete(found, cells=6)
        digests = json.dumps(sorted(found.digests.items())).encode()
        with opened(f"sqlite:///{folder}/mlflow.db") as store:
            (sweep,) = store.search(RunQuery(without_tags=(PARENT_TAG,)))
            return digests, store.artifact(sweep.run_id, "race.json"), store.artifact(sweep.run_id, "results.parquet")

    assert race(tmp_path / "undisturbed") == 0, sweeps.output(tmp_path / "undisturbed")
    undisturbed = raced(tmp_path / "undisturbed")
    kills = Counter[str]()
    for number in commits:
        folder = tmp_path / str(number)
        status = race(folder, killed_at=number)
        if status == 0:
            break
        assert status == -signal.SIGKILL, sweeps.output(folder)
        kills[progress(folder / "mlflow.db")] += 1
        assert race(folder, "resume=last") == 0, sweeps.output(folder)
        assert raced(folder) == undisturbed
    print(f"{carried}, killed until transaction {number}: {dict(kills)}")
    assert kills["some cells done"]


def packs(database: Path) -> str:
    """How far a killed sweep of packed cells had come."""
    if not database.exists() or not database.stat().st_size:
        return "no store yet"
    count, runs = asked(database, "SELECT (SELECT max(value) FROM tags WHERE key = 'nnspec.packs'), count(*) FROM runs")
    return "no pack yet" if count is None else "some packs" if runs == 1 else "chosen cells begun"


def progress(database: Path) -> str:
    """How far a killed sweep had come."""
    if not database.exists() or not database.stat().st_size:
        return "no store yet"
    child = "SELECT run_uuid FROM tags WHERE key = 'mlflow.parentRunId'"
    query = (
        "SELECT count(*), sum(status = 'FINISHED') FROM runs WHERE lifecycle_stage = 'active' AND run_uuid IN "
        f"({child})"
    )
    try:
        begun, done = asked(database, query)
    except sqlite3.OperationalError as error:  # killed while the tables were being made: they are rolled back
        if "no such table" not in str(error):
            raise
        return "no store yet"
    return (
        "all cells done"
        if done == sweeps.CELLS
        else "some cells done"
        if done
        else "cells begun"
        if begun
        else "no cell yet"
    )


def asked(database: Path, query: str) -> tuple[Any, ...]:
    with closing(sqlite3.connect(database)) as connection:
        found: tuple[Any, ...] = connection.execute(query).fetchone()
        return found


def test_a_spool_is_filed_once_by_filings_that_are_killed(tmp_path: Path, undisturbed: sweeps.Filed) -> None:
    def spooled(folder: Path) -> Path:
        """A sweep whose database may not grow: its cells are in folders beside it."""
        sweep = sweeps.begin(
            folder, HERE, sweeps.MANY_CHUNKS, under=sweeps.Circumstances(largest_file=sweeps.SMALL_DATABASE)
        )
        assert sweeps.ended(sweep) == 1, sweeps.output(folder)
        assert f"file later with: nnspec file {UNFILED}" in sweeps.output(folder)
        return folder

    def file(folder: Path, under: sweeps.Circumstances) -> Any:
        return sweeps.command(folder, "file", str(UNFILED), "--uri", "sqlite:///mlflow.db", under=under)

    whole = timed(file(spooled(tmp_path / "timed"), sweeps.Circumstances()))
    kills = Counter[str]()
    for number in range(len(FILED) + 1):
        folder = spooled(tmp_path / str(number))
        begin = partial(file, folder)
        kills += until_done(begin, folder, moments(number, FILED, whole), filing)
        sweeps.check_complete(sweeps.filed(f"sqlite:///{folder}/mlflow.db"), undisturbed)
    print(f"filings of {whole:.1f} s, {kills.total()} kills: {dict(kills)}")
    assert kills.total() >= len(FILED)
    assert kills["in the middle"]


def filing(database: Path) -> str:
    """How far a killed ``nnspec file`` had come."""
    tagged = "SELECT run_uuid FROM tags WHERE key = 'nnspec.spool_id'"
    begun, running = asked(database, f"SELECT count(*), sum(status = 'RUNNING') FROM runs WHERE run_uuid IN ({tagged})")
    return "nothing begun" if not begun else "in the middle" if running or begun < sweeps.CELLS else "all filed"


def test_a_promotion_that_is_killed_leaves_nothing_half(tmp_path: Path) -> None:
    """At whichever transaction it dies, the two cells have no runs, or whole ones; and the same command then ends."""
    assert sweeps.ended(sweeps.begin(tmp_path, HERE, "tracking.cells=none")) == 0, sweeps.output(tmp_path)
    states = Counter[int]()
    for number in range(1, 200):
        under = sweeps.Circumstances(killed_at=number)
        status = sweeps.ended(sweeps.command(tmp_path, "promote", "last", "3", "5", "--uri", STORE, under=under))
        with opened(f"sqlite:///{tmp_path}/mlflow.db") as store:
            runs = store.runs_below(find_run(store, "last"))
            assert [run.status for run in runs] in ([], ["FINISHED"] * 2)
            states[len(runs)] += 1
            if status == 0:
                assert [run.tags[CELL_TAG] for run in runs] == ["3", "5"]
                assert all(store.artifact(run.run_id, "weights/final.safetensors") for run in runs)
                break
        assert status == -signal.SIGKILL, sweeps.output(tmp_path)
    assert status == 0
    print(f"{number} transactions, killed with so many runs: {dict(states)}")
    assert states[0] >= 3  # it dies before, between and at the transaction that files both
