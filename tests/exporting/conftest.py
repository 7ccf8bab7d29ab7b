"""Trained networks as they are read for an export, without a store."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from nnspec.exporting.trained import Trained
from nnspec.results.events import TrainedCell
from nnspec.specs import RunSpec

Cells = Callable[[Sequence[RunSpec]], list[TrainedCell]]


def first_network(cell: TrainedCell) -> Trained:
    """The first network of a cell."""
    result = cell.result
    return Trained(
        run_id="0" * 32,
        spec=result.spec,
        replicate=0,
        initial={name: tensor[0] for name, tensor in result.initial.items()},
        final={name: tensor[0] for name, tensor in result.final.items()},
        loss=float(result.loss[0, -1]),
        accuracy=float(result.accuracy[0, -1]),
        solved=bool(result.solved[0]),
        verdict=str(result.verdict[0]),
    )


@pytest.fixture(scope="session")
def trained_networks(trained_cells: Cells) -> Callable[[Sequence[RunSpec]], list[Trained]]:
    """``trained_networks(specs)``: the first network of each."""
    return lambda specs: [first_network(cell) for cell in trained_cells(specs)]
