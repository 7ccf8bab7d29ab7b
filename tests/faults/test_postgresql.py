"""PostgreSQL end to end: the bulk writer straight into it, and MLflow's server on it over http."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
import servers
import sweeps

import nnspec

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(servers.postgresql_bin() is None, reason="PostgreSQL is not installed: apt-get install postgresql"),
    pytest.mark.skipif(find_spec("psycopg") is None, reason="psycopg is not installed: pip install 'nnspec[postgres]'"),
]
RUN = Path(nnspec.__file__).parents[1] / "run.py"
WORDS = ["-m", "activation=relu,tanh", "seed=range(0,4)", "train.epochs=60", "train.log_every=20", "replicates=3"]
CELLS = 8


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    with servers.postgresql() as (uri, _):
        yield uri


def command(folder: Path, *words: str) -> str:
    """What ``run.py`` says; it must end well."""
    environ = {"PYTHONPATH": str(RUN.parent), "PATH": "/usr/bin:/bin", "HOME": str(folder)}
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run([sys.executable, RUN, *WORDS, *words], cwd=folder, env=environ, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "slower" not in done.stderr  # the warning that the bulk writer does not know the schema
    return done.stdout


def check_sweep(found: sweeps.Filed, uri: str, reference: sweeps.Filed) -> None:
    """All there, as on SQLite; read through the public client."""
    from mlflow import MlflowClient

    sweeps.check_complete(found, reference, CELLS)
    client = MlflowClient(tracking_uri=uri)
    params = {run.data.tags["nnspec.fingerprint"]: run.data.params for run in reference.children}
    for run in found.children:
        assert run.data.tags["mlflow.runName"] == run.info.run_name
        assert run.data.params == params[run.data.tags["nnspec.fingerprint"]]
        assert [item.dataset.name for item in client.get_run(run.info.run_id).inputs.dataset_inputs] == ["xor"]
        points = client.get_metric_history(run.info.run_id, "loss")
        assert [point.step for point in points] == [0, 20, 40, 60]
        assert run.data.metrics["loss"] == points[-1].value


@pytest.fixture(scope="module")
def on_sqlite(tmp_path_factory: pytest.TempPathFactory) -> sweeps.Filed:
    folder = tmp_path_factory.mktemp("sqlite")
    command(folder, "tracking.uri=sqlite:///mlflow.db", "sweep.report=false")
    return sweeps.filed(f"sqlite:///{folder}/mlflow.db")


def test_the_bulk_writer_files_straight_into_postgresql(database: str, tmp_path: Path, on_sqlite: sweeps.Filed) -> None:
    """As a user writes the URI, without a driver; then resumed whole, and after two of its runs are lost."""
    from mlflow import MlflowClient

    uri = database.replace("postgresql:", "postgresql+psycopg:")
    words = (f"tracking.uri={database}", "tracking.writer=sql")
    command(tmp_path, *words)
    check_sweep(sweeps.filed(uri), uri, on_sqlite)
    assert f"{CELLS} of {CELLS} cells already done" in command(tmp_path, *words, "resume=last")
    client = MlflowClient(tracking_uri=uri)
    children = sweeps.filed(uri).children
    client.delete_run(children[0].info.run_id)
    client.update_run(children[1].info.run_id, "RUNNING")
    assert f"{CELLS - 2} of {CELLS} cells already done" in command(tmp_path, *words, "resume=last")
    check_sweep(sweeps.filed(uri), uri, on_sqlite)
    assert f"{CELLS} of {CELLS} cells taken" in command(tmp_path, *words, "reuse=true")


def test_a_server_on_postgresql(tmp_path: Path, on_sqlite: sweeps.Filed) -> None:
    with servers.postgresql() as (uri, _):
        backend = uri.replace("postgresql:", "postgresql+psycopg:")
        with servers.mlflow_server(backend, tmp_path / "server") as (address, _):
            command(tmp_path / "work", f"tracking.uri={address}")
            found = sweeps.filed(address)
            check_sweep(found, address, on_sqlite)
            assert found.children[0].info.artifact_uri.startswith("mlflow-artifacts:")
            assert f"{CELLS} of {CELLS} cells already done" in command(tmp_path / "work", f"tracking.uri={address}", "resume=last")


def test_a_database_that_restarts_during_a_sweep(tmp_path: Path, undisturbed: sweeps.Filed) -> None:
    """Cells that are being filed wait until it is back."""
    import psycopg

    with servers.postgresql() as (uri, server):
        sweep = sweeps.begin(tmp_path, f"tracking.uri={uri}", "train.memory=1")

        def begun() -> bool:
            try:
                with psycopg.connect(uri) as connection:
                    row = connection.execute("SELECT count(*) FROM runs WHERE status = 'FINISHED'").fetchone()
                    return row is not None and row[0] > 0
            except psycopg.errors.UndefinedTable:
                return False

        servers.until(begun, "a cell is filed")
        server.stop()  # SIGKILL: connections break in the middle of what they do
        server.start()
        assert sweeps.ended(sweep) == 0, sweeps.output(tmp_path)
        sweeps.check_complete(sweeps.filed(uri.replace("postgresql:", "postgresql+psycopg:")), undisturbed)
