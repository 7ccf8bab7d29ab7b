"""kill -9 in the middle of a search, which goes on where it was: the trials are those of a search that nobody kills."""

from __future__ import annotations

from pathlib import Path

import pytest
import sweeps

pytestmark = pytest.mark.slow
STORE = "sqlite:///mlflow.db"
SEARCH = [
    "hydra/sweeper=nnspec_search",
    "optimizer.lr=tag(log, interval(0.001,10))",
    "activation=choice(relu,tanh,gelu)",
    "replicates=16",
    "sweep.batch=4",
    f"tracking.uri={STORE}",
]
TRIALS = 8
# commits of a search: of its run, of the first batch begun and done, of the second
COMMITS = (2, 4, 6, 8)


def begin(folder: Path, *words: str, killed_at: int | None = None) -> int:
    under = sweeps.Circumstances(killed_at=killed_at)
    return sweeps.ended(sweeps.begin(folder, *words, axes=SEARCH, under=under))


@pytest.mark.parametrize("pruner", ["none", "median"])
def test_a_killed_search_goes_on_where_it_was(pruner: str, tmp_path: Path) -> None:
    own = [f"sweep.pruner={pruner}"]
    assert begin(tmp_path / "whole", *own, f"sweep.trials={TRIALS}") == 0
    reference = sweeps.filed(f"sqlite:///{tmp_path}/whole/mlflow.db")
    sweeps.check_complete(reference, cells=TRIALS)
    for commit in COMMITS:
        folder = tmp_path / str(commit)
        killed = begin(folder, *own, f"sweep.trials={TRIALS}", killed_at=commit)
        assert killed in (-9, 0)
        assert killed == -9 or commit > 6  # how many commits there are depends on how quickly cells come
        assert begin(folder, *own, f"sweep.trials={TRIALS}", "resume=last") == 0, sweeps.output(folder)
        found = sweeps.filed(f"sqlite:///{folder}/mlflow.db")
        sweeps.check_complete(found, reference, cells=TRIALS)
        cells = {run.data.tags["nnspec.cell"]: run.data.tags["nnspec.fingerprint"] for run in found.children}
        assert cells == {
            run.data.tags["nnspec.cell"]: run.data.tags["nnspec.fingerprint"] for run in reference.children
        }
