"""Confusion matrices of a sweep: pooled over networks of a group, as torch and scikit-learn count them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import confusion_matrix

from nnspec.builder import with_weights
from nnspec.problem import parts_of
from nnspec.report.collected.collecting import Collector
from nnspec.report.collected.confusions import NETWORKS
from nnspec.report.pages.networks import confusions_section
from nnspec.results.events import TrainedCell
from nnspec.specs import RunSpec
from nnspec.training.loop import train_chunk
from nnspec.training.plan import Chunk, Share

SpecOf = Callable[..., RunSpec]
AXES = ["activation.name"]
IRIS: dict[str, Any] = {"data": {"name": "iris", "test_fraction": 0.3}, "loss": "cross_entropy"}


def trained(specs: list[RunSpec]) -> list[TrainedCell]:
    cells = []
    for index, spec in enumerate(specs):
        *_, last = train_chunk([spec], Chunk((Share(0, 0, spec.replicates),)))
        cells.append(TrainedCell(index, last))
    return cells


def collected(cells: list[TrainedCell]) -> Collector:
    collector = Collector([cell.spec for cell in sorted(cells, key=lambda cell: cell.index)], AXES)
    for cell in cells:
        collector.add(cell)
    return collector


def answers(cell: TrainedCell, replicate: int) -> tuple[np.ndarray, np.ndarray]:
    """The classes of the test rows, and those that the network says, by torch."""
    spec = cell.spec
    parts = parts_of(spec.data, spec.loss.name, spec.seed + replicate)
    net = with_weights(spec, {name: tensor[replicate] for name, tensor in cell.result.final.items()})
    with torch.no_grad():
        said = net(torch.from_numpy(parts.test_inputs).float()).argmax(1).numpy()
    return parts.test_targets.argmax(1), said


@pytest.mark.parametrize("split", ["shared", "per_network"])
def test_a_matrix_pools_the_networks_of_a_level(split: str, spec_of: SpecOf) -> None:
    own = {**IRIS, "data": {**IRIS["data"], "split": split}}
    kinds = [("relu", 1), ("tanh", 2), ("relu", 3)]
    specs = [spec_of(**own, activation=name, replicates=n, seed=n, train={"epochs": 5}) for name, n in kinds]
    cells = trained(specs)
    found = collected(cells[::-1]).confusions()
    assert [matrix.label for matrix in found] == ["relu: 4 networks", "tanh: 2 networks"]
    for matrix, members in zip(found, ((cells[0], cells[2]), (cells[1],)), strict=True):
        assert (matrix.part, matrix.networks, matrix.rows) == ("test", sum(c.spec.replicates for c in members), 45)
        pairs = [answers(cell, replicate) for cell in members for replicate in range(cell.spec.replicates)]
        wanted, said = (np.concatenate(one) for one in zip(*pairs, strict=True))
        oracle = confusion_matrix(wanted, said, normalize="true")
        np.testing.assert_allclose(matrix.shares, oracle, rtol=1e-15)  # the same divisions of whole numbers
    section = confusions_section(found)
    assert section.title == "Confusion, test part"
    assert "on up to 45 test rows" in section.text
    best = int(found[0].shares.diagonal().argmax())
    assert f"relu: 4 networks, said rightly: best {best} ({100 * found[0].shares[best, best]:.1f}%)" in section.alt


def test_no_more_than_so_many_networks_of_a_level_are_counted(spec_of: SpecOf) -> None:
    specs = [spec_of(**IRIS, activation=name, replicates=20, train={"epochs": 1}) for name in ("relu", "relu", "tanh")]
    found = collected(trained(specs)).confusions()
    assert [matrix.networks for matrix in found] == [NETWORKS, 20]


def test_cells_with_other_classes_are_not_mixed(spec_of: SpecOf) -> None:
    """Of the level's cells those are shown that most of its networks belong to."""
    blobs = {"name": "moons", "rows": 20}
    specs = [
        spec_of(**IRIS, replicates=1, train={"epochs": 1}),
        spec_of(data=blobs, loss="cross_entropy", replicates=2, train={"epochs": 1}),
    ]
    (found,) = collected(trained(specs)).confusions()
    assert (found.part, found.names, found.label) == ("training", ("0", "1"), "all: 2 networks")


def test_truth_tables_and_numbers_have_none(spec_of: SpecOf) -> None:
    numbers = {"model": {"name": "mlp", "hidden": [3], "output": "identity"}, "loss": "mse"}
    specs = [spec_of(train={"epochs": 1}), spec_of(data={"name": "sine", "rows": 9}, **numbers, train={"epochs": 1})]
    assert collected(trained(specs)).confusions() == []
    assert Collector(specs, AXES).confusions() == []
