"""Cells and runs to file, small and the same every time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import servers

from nnspec.results.arrays import NEVER, Results
from nnspec.specs import Member, RunSpec, Train
from nnspec.tracking.artifacts import cell_artifacts
from nnspec.tracking.cell_records import dataset_info, final_metrics, history_series, run_name
from nnspec.tracking.records import DatasetInfo, RunEnd, RunStart

INPUTS = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
TARGETS = np.array([[0], [1], [1], [0]], np.float32)


def make_cell(seed: int = 0, replicates: int = 1, steps: int = 5, lr: float = 0.1, snapshots: bool = False) -> Results:
    """A made-up trained cell of the textbook network; the odd replicates are solved."""
    rng = np.random.default_rng(seed)
    spec = RunSpec(
        Member("mlp", (("hidden", (4,)), ("output", None))),
        Member("gelu"),
        Member("kaiming_uniform", (("bias", "zeros"),)),
        Member("adam", (("betas", (0.9, 0.999)), ("eps", 1e-8), ("lr", lr))),
        Member("bce"),
        Member("xor", (("encoding", "binary"),)),
        train=Train(epochs=10 * (steps - 1)),
        seed=seed,
        replicates=replicates,
    )

    def lines() -> np.ndarray:
        return rng.random((replicates, steps)).astype(np.float32)

    def weights() -> dict[str, np.ndarray]:
        shapes = {"0.weight": (4, 2), "0.bias": (4,), "2.weight": (1, 4), "2.bias": (1,)}
        return {name: rng.standard_normal((replicates, *shape)).astype(np.float32) for name, shape in shapes.items()}

    right = np.zeros((replicates, steps), bool)
    right[1::2, 2:] = True
    kept = {0: weights(), 20: weights()} if snapshots else {}
    return Results(
        spec=spec,
        seeds=np.arange(seed, seed + replicates),
        steps=10 * np.arange(steps),
        loss=lines(),
        accuracy=lines(),
        weight_norm={"0": lines(), "2": lines()},
        right=right,
        outputs=rng.random((replicates, 4, 1)).astype(np.float32),
        solved_at=np.where(right[:, -1], 17, NEVER),
        nonfinite_at=np.full(replicates, NEVER),
        initial=weights(),
        final=weights(),
        snapshots=kept,
    )


def make_start(
    cell: Results, parent: str | None = None, start_time: int = 1_000, dataset: DatasetInfo | None = None
) -> RunStart:
    """The beginning of a cell's run, with fixed tags in place of this machine's."""
    tags = {"nnspec.fingerprint": cell.spec.fingerprint, "mlflow.note.content": "a note", "mlflow.user": "ada"}
    return RunStart(
        run_name(cell.spec), cell.spec.flat(), tags, parent, dataset or dataset_info("xor", INPUTS, TARGETS), start_time
    )


def make_end(cell: Results, run_id: str, end_time: int = 2_000) -> RunEnd:
    """The end of a cell's run."""
    last = int(cell.steps[-1])
    return RunEnd(
        run_id,
        "FINISHED",
        history_series(cell),
        final_metrics(cell),
        {"verdict": "solved"},
        cell_artifacts(cell),
        end_time,
        last,
    )


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder, without a store in the environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return tmp_path


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that only sleeping moves on; the list is what was slept."""
    slept: list[float] = []
    monkeypatch.setattr("nnspec.tracking.patience.sleep", slept.append)
    monkeypatch.setattr("nnspec.tracking.patience.monotonic", lambda: sum(slept))
    return slept


@pytest.fixture(scope="session")
def cell() -> Callable[..., Results]:
    return make_cell


@pytest.fixture(scope="session")
def started() -> Callable[..., RunStart]:
    return make_start


@pytest.fixture(scope="session")
def ended() -> Callable[..., RunEnd]:
    return make_end


@pytest.fixture(
    scope="session", params=["sqlite", *(pytest.param(kind, marks=pytest.mark.slow) for kind in servers.DATABASES)]
)
def database(request: pytest.FixtureRequest) -> Iterator[Callable[[Path, str], str]]:
    """``database(folder, name)`` is the URI of a database without runs: a file in the folder, or of this name on a
    server."""
    if request.param == "sqlite":
        yield lambda folder, name: f"sqlite:///{folder}/mlflow.db"
        return
    why_not = servers.missing(request.param)
    if why_not:
        pytest.skip(why_not)
    with servers.DATABASES[request.param]() as (uri, _):
        made: dict[str, str] = {}

        def empty(_folder: Path, name: str) -> str:
            if name in made:
                servers.delete_runs(made[name])  # to make MLflow's tables anew would take seconds
            else:
                made[name] = servers.new_database(uri, f"nnspec_{name}")
            return made[name]

        yield empty
