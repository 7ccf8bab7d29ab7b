"""One filed sweep that the tests of a file share, in a folder of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import nnspec

WORDS = [
    "activation=relu,tanh",
    "init=kaiming_uniform,zeros",
    "replicates=12",
    "train.epochs=60",
    "seed=4",
    "sweep.report=false",
]


@dataclass(frozen=True)
class Swept:
    """A sweep as it came back, the folder in which it was filed, and its name."""

    result: nnspec.TrainResult
    folder: Path
    name: str


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Swept]:
    folder = tmp_path_factory.mktemp("swept")
    uri = f"sqlite:///{folder}/mlflow.db"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        result = nnspec.sweep(WORDS, tracking=uri, workers=1)
        from nnspec.tracking import opened

        with opened(uri) as store:
            name = store.get(str(result.run_id)).name
        yield Swept(result, folder, name)
