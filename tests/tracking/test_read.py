"""Runs read back from their store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from nnspec.errors import TrackingError, WeightsError
from nnspec.readback import networks
from nnspec.settings import Tracking
from nnspec.specs import RunSpec
from nnspec.tracking import Store, open_store
from nnspec.tracking.read import read_spec, read_weights
from nnspec.tracking.records import RunStart

Make = Callable[..., Any]
OUTCOME = ["seed", "final_loss", "final_accuracy", "solved", "solved_at", "verdict", "epochs"]
SHAPES = {"0.weight": (4, 2), "0.bias": (4,), "2.weight": (1, 4), "2.bias": (1,)}


@pytest.fixture
def store(folder: Path) -> Iterator[Store]:
    opened = open_store(Tracking())
    yield opened
    opened.close()


def test_spec_and_weights_come_back(store: Store, cell: Make, started: Make, ended: Make) -> None:
    made = cell(seed=4, replicates=3)
    run_id = store.start([started(made)], store.experiment("one"))[0]
    store.finish([ended(made, run_id)])
    assert RunSpec.from_mapping(read_spec(run_id, store)) == made.spec
    weights = read_weights(run_id, store, SHAPES, replicates=3)
    assert all(np.array_equal(weights[name], made.final[name]) for name in SHAPES)
    initial = read_weights(run_id, store, path="weights/initial.safetensors")
    assert all(np.array_equal(initial[name], made.initial[name]) for name in SHAPES)
    with pytest.raises(
        WeightsError, match=r"must have 2.weight of shape \(3, 1, 5\), but got \(3, 1, 4\); load it into"
    ):
        read_weights(run_id, store, {**SHAPES, "2.weight": (1, 5)}, replicates=3)
    with pytest.raises(WeightsError, match=r"must have 4.bias of shape \(3, 1\), but got none"):
        read_weights(run_id, store, {**SHAPES, "4.bias": (1,)}, replicates=3)
    with pytest.raises(WeightsError, match=r"must have no 2.bias, but got \(3, 1\)"):
        read_weights(run_id, store, {name: SHAPES[name] for name in list(SHAPES)[:3]}, replicates=3)
    with pytest.raises(WeightsError, match="must be a safetensors file"):
        read_weights(run_id, store, path="spec.yaml")
    with pytest.raises(TrackingError, match="artifact none of run"):
        read_weights(run_id, store, path="none")


def test_the_table_of_a_single_run(store: Store, cell: Make, started: Make, ended: Make) -> None:
    made = cell(seed=4, replicates=3)
    run_id = store.start([started(made)], store.experiment("one"))[0]
    store.finish([ended(made, run_id)])
    table = networks(store, run_id)
    assert list(table.columns) == ["cell", "run_id", *OUTCOME]
    assert table["seed"].tolist() == [4, 5, 6]
    assert table["solved_at"].dtype == pd.Int64Dtype()
    assert table["solved_at"].isna().tolist() == [True, False, True]
    assert table["solved_at"][1] == 17
    assert np.array_equal(table["final_loss"].to_numpy(), made.final_loss)


def test_the_table_of_a_sweep_has_its_axes(store: Store, cell: Make, started: Make, ended: Make) -> None:
    experiment_id = store.experiment("one")
    sweep = store.start([RunStart("sweep", {"train.epochs": "40"}, {"nnspec.sweep": "abc"})], experiment_id)[0]
    with pytest.raises(
        TrackingError, match=f"must have finished cells to show, but {sweep} has none; run it again with resume={sweep}"
    ):
        networks(store, sweep)
    cells = [cell(seed=seed, replicates=2, lr=lr) for seed, lr in ((0, 0.1), (0, 0.01), (5, 1.0))]
    ids = store.start([started(made, sweep, 10 + n) for n, made in enumerate(cells)], experiment_id)
    store.finish([ended(made, run_id) for made, run_id in zip(cells[:2], ids, strict=False)])
    table = networks(store, sweep)
    assert list(table.columns) == ["cell", "run_id", "optimizer.lr", *OUTCOME]
    assert table["cell"].tolist() == [0, 0, 1, 1]
    assert table["optimizer.lr"].tolist() == [0.1, 0.1, 0.01, 0.01]
    assert table["seed"].tolist() == [0, 1, 0, 1]
    assert table["run_id"].tolist() == [ids[0], ids[0], ids[1], ids[1]]


def test_what_is_not_there(store: Store) -> None:
    for read in (read_spec, read_weights, lambda run_id, store: networks(store, run_id)):
        with pytest.raises(TrackingError, match="must exist, but got 'missing'"):
            read("missing", store)
