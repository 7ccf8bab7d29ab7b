"""The sweep that engines carry, as one process trains it."""

from __future__ import annotations

import holding
import pytest
import sweeps


@pytest.fixture(autouse=True)
def no_store_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Of each cell a digest of its results and weights."""
    folder = tmp_path_factory.mktemp("undisturbed")
    assert sweeps.ended(holding.begin(folder, "train.workers=1")) == 0, sweeps.output(folder)
    return holding.complete(folder).digests
