"""The sizes of training and results, beside what real training leaves, and what they say about chunks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from nnspec.catalog import LOSSES, OPTIMIZERS
from nnspec.results.arrays import Results
from nnspec.specs import RunSpec
from nnspec.training.layout import LANE, LARGEST, is_separate, parts
from nnspec.training.memory import (
    BLOCK,
    Room,
    chunk_bytes,
    column_bytes,
    compiles,
    held_bytes,
    history_bytes,
    makes_files,
    most_networks,
    own_bytes,
    passing_bytes,
    result_bytes,
    shared_bytes,
    snapshots,
)
from nnspec.training.spans import MOST

SpecOf = Callable[..., RunSpec]
IRIS = {"name": "iris", "test_fraction": 0.25}
ASIDE: dict[str, Any] = {  # networks that train one after another
    "loss": "cross_entropy",
    "model": {"name": "mlp", "hidden": [16]},
    "train": {"epochs": 4, "batch_size": 50, "log_every": 3},
}
SIZES: list[dict[str, Any]] = [
    {},
    {"dtype": "float64", "train": {"epochs": 37, "log_every": 5}},
    {"loss": "cross_entropy", "train": {"epochs": 20, "log_every": 1}},
    {
        "model": {"name": "mlp", "hidden": [5, 3, 6]},
        "activation": "prelu",
        "train": {"epochs": 20, "snapshot_every": 7},
    },
    {"model": {"name": "mlp", "hidden": [30, 30]}, "data": {"name": "parity", "bits": 5}, "train": {"epochs": 3}},
    {**ASIDE, "data": IRIS},
]


def test_the_sizes_of_the_textbook_network_by_hand(spec_of: SpecOf) -> None:
    spec = spec_of(train={"epochs": 100, "log_every": 10})  # 17 weights, 2 layers, 4 rows, 11 rows of the history
    assert history_bytes(spec) == 11 * (4 * (2 + 2) + 1)
    # two sets of weights, four outputs, 32 numbers of the diagnosis, and seed, verdict, solved_at, nonfinite_at
    assert result_bytes(spec) == 11 * 17 + 4 * 2 * 17 + 4 * 4 + 8 * (32 + 4)
    # 6 arrays and Adam's 2; z 4 and 1, scratch 4, h and dh 8, formulas 24, outputs 10 for each of 4 rows; the history's
    # block
    assert column_bytes(spec, compiled=False) == 4 * (8 * 17 + 4 * (5 + 4 + 8 + 24 + 10)) + 11 * 17
    assert column_bytes(spec, compiled=True) - column_bytes(spec, compiled=False) == 4 * 2 * 3 * 17
    assert chunk_bytes(spec, 3, Room()) == 64 * column_bytes(spec, compiled=False) + 3 * 2 * 11 * 17
    assert snapshots(spec_of(train={"epochs": 100, "snapshot_every": 25})) == 5


@pytest.mark.parametrize("fields", SIZES, ids=str)
def test_a_result_has_the_size_that_is_reckoned_with(
    spec_of: SpecOf, train: Callable[[RunSpec], Results], fields: dict[str, Any]
) -> None:
    from nnspec.execute.judge import judge
    from nnspec.training.plan import Chunk, Share

    spec = spec_of(**{"train": {"epochs": 50}, **fields}, replicates=3)
    trained = train(spec)
    judged = judge([spec], Chunk((Share(0, 0, 3),)), trained)
    sets = [trained.initial, trained.final, *trained.snapshots.values(), judged.numbers]
    arrays = [
        trained.loss,
        trained.accuracy,
        trained.right,
        *trained.weight_norm.values(),
        trained.outputs,
        trained.seeds,
        trained.solved_at,
        trained.nonfinite_at,
        *(line for line in (trained.test_loss, trained.test_accuracy) if line is not None),
    ]
    size = sum(
        array.nbytes
        for array in [*arrays, judged.verdict, *(tensor for weights in sets for tensor in weights.values())]
    )
    spare = snapshots(spec) - len(
        trained.snapshots
    )  # one that falls on the last update is counted though it is not kept
    weights = sum(tensor.nbytes for tensor in trained.final.values())
    assert size == 3 * result_bytes(spec) - spare * weights


def test_the_sizes_of_networks_that_train_one_after_another_by_hand(spec_of: SpecOf) -> None:
    # 4 inputs, 16 units, 3 classes: 131 weights; 112 training rows and 38 of the test part; updates in batches of 50
    spec, per_network = (spec_of(**ASIDE, data=IRIS | split) for split in ({}, {"split": "per_network"}))
    weights, data = 131, 150 * (5 + 3) * (3 * 8 + 2 * 4)
    assert own_bytes(spec) == 4 * (5 + 2) * weights + 8 * 112
    # blocks of 64 rows for updates and of 112 for looks: pre-activations, gradients and inputs of both layers, and
    # twice the outputs
    assert shared_bytes(spec) == data + 4 * ((64 + 112) * ((2 * 16 + 5) + (2 * 3 + 17) + 2 * 3) + 2 * weights)
    assert own_bytes(per_network) - own_bytes(spec) == data
    kept = 2 * history_bytes(spec)  # 12 updates, a row every 3
    assert chunk_bytes(spec, 7, Room()) == 7 * (own_bytes(spec) + kept) + shared_bytes(spec)


def test_large_updates_take_as_much_memory_as_they_have_parts(spec_of: SpecOf) -> None:
    # 64 inputs, 90 units, 10 classes: 6,760 weights; 1,797 rows, of which each part takes blocks of 240 rows
    spec = spec_of(**{**ASIDE, "model": {"name": "mlp", "hidden": [90]}, "data": "digits", "train": {"epochs": 4}})
    assert parts(spec) == 2
    data, values = 1797 * (65 + 10) * (3 * 8 + 2 * 4), (2 * 90 + 65) + (2 * 10 + 91) + 2 * 10
    assert shared_bytes(spec) == data + 4 * 2 * (2 * 240 * values + 2 * 6760)


def test_a_network_that_trains_by_itself_takes_no_more_than_one(spec_of: SpecOf) -> None:
    wide = spec_of(model={"name": "mlp", "hidden": [512, 512]}, train={"epochs": 10})
    assert is_separate(wide)
    one, two, three = (chunk_bytes(wide, count, Room()) for count in (1, 2, 3))
    assert two - one == three - two > 0
    assert most_networks(wide, 64, Room(1.0), 64) == 1
    lanes = spec_of(train={"epochs": 10})
    assert chunk_bytes(lanes, 2, Room()) - chunk_bytes(lanes, 1, Room()) < column_bytes(lanes, compiled=False)


def test_where_lanes_end(spec_of: SpecOf) -> None:
    def of(bits: int, units: int) -> RunSpec:
        return spec_of(data={"name": "parity", "bits": bits}, model={"name": "mlp", "hidden": [units]})

    assert LARGEST == 2500
    assert not is_separate(of(4, 25))
    assert is_separate(of(4, 26))  # 157 weights, 16 rows: 2512
    assert is_separate(of(12, 1))


@pytest.mark.parametrize("fields", [*SIZES, {"train": {"epochs": 5000, "log_every": 1}}], ids=str)
@pytest.mark.parametrize(("workers", "files"), [(1, False), (1, True), (3, True)])
def test_as_many_train_at_a_time_as_fit(spec_of: SpecOf, fields: dict[str, Any], workers: int, files: bool) -> None:
    spec = spec_of(**fields, replicates=5000)
    for size in (3e5, 3e6, 3e7, 3e9):
        room = Room(size, workers, files)
        most = most_networks(spec, 5000, room, 5000)
        assert most == 1 or held_bytes(spec, most, 5000, room) <= size
        more = most + (1 if is_separate(spec) or most < LANE - 1 else LANE)
        assert more > 5000 or held_bytes(spec, more, 5000, room) > size
    sizes = [held_bytes(spec, count, 5000, room) for count in range(1, 400)]
    assert sizes == sorted(sizes)  # what the search rests on


def test_files_of_large_cells_are_not_made_beside_training(spec_of: SpecOf) -> None:
    small, large = spec_of(replicates=2), spec_of(replicates=5000)
    assert makes_files(small)
    assert not makes_files(large)
    assert passing_bytes(large, 10, Room(workers=1, files=True)) == 10 * result_bytes(large)
    assert passing_bytes(small, 10, Room(workers=1, files=True)) > 20 * result_bytes(small)
    assert passing_bytes(small, 10, Room(workers=1, files=False)) == 0


def test_what_is_compiled_is_reckoned_with(spec_of: SpecOf) -> None:
    spec = spec_of(train={"epochs": 1000})
    assert compiles(spec, 1000)
    assert not compiles(spec, 900)
    assert compiles(replace(spec, dtype="float64"), 1000)
    assert BLOCK >= MOST  # compiled code writes so many rows of a block at a time


def test_every_optimizer_and_loss_has_a_size(spec_of: SpecOf) -> None:
    for optimizer in [entry.name for entry in OPTIMIZERS if not entry.by_rows]:
        for loss in LOSSES.names():
            assert np.isfinite(chunk_bytes(spec_of(optimizer=optimizer, loss=loss), 7, Room()))
