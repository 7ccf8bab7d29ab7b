"""Who makes the files of cells: the processes that train, where there are several."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from nnspec.execute.engine import Training
from nnspec.results.events import TrainedCell
from nnspec.settings import Runtime
from nnspec.specs import RunSpec


@pytest.mark.parametrize("workers", [1, 2])
def test_a_process_alone_leaves_files_to_the_one_that_files_them(spec_of: Callable[..., RunSpec], workers: int) -> None:
    specs = [
        spec_of(seed=seed, model={"name": "mlp", "hidden": [width]}, train={"epochs": 5})
        for seed in (0, 1)
        for width in (2, 3)
    ]
    training = Training(specs, Runtime(workers=workers), files=True)
    cells = [event for event in training if isinstance(event, TrainedCell)]
    assert len(cells) == 4
    assert [cell.files is None for cell in cells] == [workers == 1] * 4
