"""An MLflow server that stops, that fails at random and that hangs, in the middle of a sweep."""

from __future__ import annotations

from pathlib import Path

import pytest
import servers
import sweeps

from nnspec.runner.filing import UNFILED
from nnspec.settings import Tracking
from nnspec.tracking import file_spool, open_store

pytestmark = pytest.mark.slow
SHORT = 5.0  # seconds of patience in place of 60


def children(address: str, experiment: str) -> list[str]:
    """The status of each of a sweep's cells that the server knows."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=address)
    found = client.get_experiment_by_name(experiment)
    runs = client.search_runs([found.experiment_id], max_results=1000) if found else []
    return [run.info.status for run in runs if "mlflow.parentRunId" in run.data.tags]


def file_all(folder: Path, address: str) -> int:
    """File what was spooled, twice: the second time must change nothing."""
    spools = sorted((folder / UNFILED).glob("spool-*"))
    store = open_store(Tracking(uri=address))
    once = [file_spool(spool, store) for spool in spools]
    assert [file_spool(spool, store) for spool in spools] == once
    store.close()
    return sum(len(ids) for ids in once)


def test_a_server_that_is_stopped_and_comes_back_within_patience(tmp_path: Path, undisturbed: sweeps.Filed) -> None:
    with servers.mlflow_server(f"sqlite:///{tmp_path}/server/mlflow.db", tmp_path / "server") as (address, server):
        sweep = sweeps.begin(tmp_path, f"tracking.uri={address}", "tracking.experiment=back")
        servers.until(lambda: "FINISHED" in children(address, "back") or not sweep.is_alive(), "a cell is filed")
        server.stop()
        server.start()
        there = len(children(address, "back"))
        assert sweeps.ended(sweep, 300) == 0, (tmp_path / "output").read_text()
        assert not (tmp_path / UNFILED).exists()
        sweeps.check_complete(sweeps.filed(address), undisturbed)
    assert there <= sweeps.CELLS


@pytest.mark.parametrize("how", ["stopped"])
def test_a_server_that_does_not_come_back_in_time(tmp_path: Path, undisturbed: sweeps.Filed, how: str) -> None:
    """What it did not take is spooled, and filed once it is back."""
    with servers.mlflow_server(f"sqlite:///{tmp_path}/server/mlflow.db", tmp_path / "server") as (address, server):
        sweep = sweeps.begin(tmp_path, f"tracking.uri={address}", "tracking.experiment=gone", patience=SHORT)
        servers.until(lambda: "FINISHED" in children(address, "gone") or not sweep.is_alive(), "a cell is filed")
        server.stop() if how == "stopped" else server.pause()
        assert sweeps.ended(sweep, 300) == 1, (tmp_path / "output").read_text()
        output = (tmp_path / "output").read_text()
        assert "200 runs trained, but some could not be filed" in output
        assert f"file them later with: nnspec file {UNFILED}" in output
        server.start() if how == "stopped" else server.go_on()
        assert file_all(tmp_path, address) > 0
        sweeps.check_complete(sweeps.filed(address), undisturbed)
