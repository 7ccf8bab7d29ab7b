"""An MLflow server that stops, that fails at random and that hangs, in the middle of a sweep."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import servers
import sweeps

from nnspec.journal.filer import UNFILED

pytestmark = pytest.mark.slow
AXES = ["activation=relu,tanh,gelu,sigmoid,elu", "init=kaiming_uniform,orthogonal", "seed=range(0,3)"]
CELLS = 30  # 4 s over http
REQUEST = 3  # seconds
PATIENT = sweeps.Circumstances(patience=60, request=REQUEST)
IMPATIENT = sweeps.Circumstances(patience=4, request=REQUEST)
FAILING = 0.1  # of the requests that write; five files go up together, so a cell needs two tries

Served = tuple[str, servers.Server]  # address, server


@pytest.fixture
def served(mlflow: Served) -> Iterator[Served]:
    yield mlflow
    mlflow[1].revive()


def statuses(address: str, experiment: str) -> Counter[str]:
    """Of a sweep's cells that the server knows."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=address)
    found = client.get_experiment_by_name(experiment)
    runs = client.search_runs([found.experiment_id], max_results=1000) if found else []
    return Counter(run.info.status for run in runs if "mlflow.parentRunId" in run.data.tags)


def begin(folder: Path, address: str, under: sweeps.Circumstances, *words: str) -> Any:
    """A sweep in an experiment of its own, which is called as its folder."""
    return sweeps.begin(
        folder, f"tracking.uri={address}", f"tracking.experiment={folder.name}", *words, axes=AXES, under=under
    )


def wait_for(sweep: Any, address: str, experiment: str, moment: str) -> None:
    """Return when the sweep is in the middle: its cells are being begun, or completed."""
    status = {"while cells begin": "RUNNING", "while cells are completed": "FINISHED"}[moment]
    servers.until(lambda: statuses(address, experiment)[status] or not sweep.is_alive(), f"a cell is {status}")
    assert sweep.is_alive()


def file_twice(folder: Path, address: str) -> None:
    """``nnspec file`` on what was spooled; the second time there is nothing left."""
    for _ in range(2):
        assert sweeps.ended(sweeps.command(folder, "file", str(UNFILED), "--uri", address, under=PATIENT)) == 0, (
            sweeps.output(folder)
        )
    assert f"nothing left to file in {UNFILED}" in sweeps.output(folder)


def check(address: str, experiment: str, reference: sweeps.Filed) -> None:
    sweeps.check_complete(sweeps.filed(address, experiment), reference, CELLS)


MOMENTS = ["while cells begin", "while cells are completed"]


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("how", ["stops", "hangs"])
def test_a_server_that_comes_back_within_patience(
    tmp_path: Path, undisturbed: sweeps.Filed, served: Served, how: str, moment: str
) -> None:
    address, server = served
    sweep = begin(tmp_path, address, PATIENT)
    wait_for(sweep, address, tmp_path.name, moment)
    if how == "stops":
        server.stop()
        server.start()
    else:
        server.pause()
        sweep.join(2 * REQUEST)  # the fault itself: the requests that it was asked before are given up
        assert sweep.is_alive()
        server.go_on()
    assert sweeps.ended(sweep, 300) == 0, sweeps.output(tmp_path)
    assert not (tmp_path / UNFILED).exists()
    check(address, tmp_path.name, undisturbed)


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("how", ["stops", "hangs"])
def test_a_server_that_does_not_come_back_in_time(
    tmp_path: Path, undisturbed: sweeps.Filed, served: Served, how: str, moment: str
) -> None:
    """What it did not take is spooled, and filed once it is back."""
    address, server = served
    sweep = begin(tmp_path, address, IMPATIENT)
    wait_for(sweep, address, tmp_path.name, moment)
    server.stop() if how == "stops" else server.pause()
    assert sweeps.ended(sweep, 300) == 1, sweeps.output(tmp_path)
    assert f"of {CELLS} trained runs could not be filed (" in sweeps.output(tmp_path)
    assert f"file later with: nnspec file {UNFILED}" in sweeps.output(tmp_path)
    server.start() if how == "stops" else server.go_on()
    file_twice(tmp_path, address)
    check(address, tmp_path.name, undisturbed)


def test_a_sweep_that_a_hanging_server_broke_is_resumed(
    tmp_path: Path, undisturbed: sweeps.Filed, served: Served
) -> None:
    """resume=last files what was spooled and trains nothing again; then there is nothing left to file."""
    address, server = served
    sweep = begin(tmp_path, address, IMPATIENT)
    wait_for(sweep, address, tmp_path.name, "while cells begin")
    server.pause()
    assert sweeps.ended(sweep, 300) == 1, sweeps.output(tmp_path)
    server.go_on()
    again = begin(tmp_path, address, PATIENT, "resume=last")
    assert sweeps.ended(again, 300) == 0, sweeps.output(tmp_path)
    assert f"{CELLS} of {CELLS} cells already done" in sweeps.output(tmp_path)
    file_twice(tmp_path, address)
    check(address, tmp_path.name, undisturbed)


def test_a_server_that_answers_500_at_random(tmp_path: Path, undisturbed: sweeps.Filed, served: Served) -> None:
    """Half of what it fails it has done all the same: no run is there twice."""
    address, _ = served
    with servers.BadProxy(address, FAILING) as proxy:
        sweep = begin(tmp_path, proxy.address, PATIENT)
        assert sweeps.ended(sweep, 300) == 0, sweeps.output(tmp_path)
        assert proxy.failed >= CELLS / 2
        assert not (tmp_path / UNFILED).exists()
        check(address, tmp_path.name, undisturbed)
