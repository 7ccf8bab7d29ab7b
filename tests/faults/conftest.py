"""One undisturbed sweep to compare with, and the servers that a test file shares."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import servers
import sweeps

HERE = "tracking.uri=sqlite:///mlflow.db"


@pytest.fixture(autouse=True)
def no_store_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> sweeps.Filed:
    folder = tmp_path_factory.mktemp("undisturbed")
    assert sweeps.ended(sweeps.begin(folder, HERE)) == 0, sweeps.output(folder)
    found = sweeps.filed(f"sqlite:///{folder}/mlflow.db")
    sweeps.check_complete(found)
    return found


@pytest.fixture(scope="session")
def mlflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, servers.Server]]:
    """The address of an MLflow server on SQLite, and the server. A test takes an experiment of its own."""
    folder = tmp_path_factory.mktemp("server")
    with servers.mlflow_server(f"sqlite:///{folder}/mlflow.db", folder) as found:
        yield found
