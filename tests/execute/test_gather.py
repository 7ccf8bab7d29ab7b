"""Chunks in any order and any cut give back the same whole cells."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import numpy as np
import pytest

from nnspec.execute.gather import Gatherer, by_cell
from nnspec.execute.judge import Judged, judge
from nnspec.results.arrays import Results
from nnspec.results.events import TrainedCell
from nnspec.specs import RunSpec
from nnspec.training.loop import train_chunk
from nnspec.training.plan import Chunk, Share

SpecOf = Callable[..., RunSpec]
REPLICATES = (5, 1, 8)


@pytest.fixture(scope="module")
def specs(spec_of: SpecOf) -> list[RunSpec]:
    train = {"epochs": 12, "snapshot_every": 5}
    # gelu for all, so that any cut of the list of networks has one segment
    return [spec_of(activation="gelu", seed=100 * i, replicates=n, train=train) for i, n in enumerate(REPLICATES)]


def trained(specs: list[RunSpec], chunk: Chunk) -> tuple[Chunk, Results, Judged]:
    *_, last = train_chunk(specs, chunk)
    assert isinstance(last, Results)
    return chunk, last, judge(specs, chunk, last)


def gathered(specs: list[RunSpec], chunks: list[Chunk]) -> dict[int, TrainedCell]:
    gatherer = Gatherer(specs)
    found = [cell for chunk in chunks for cell in gatherer.add(*trained(specs, chunk))]
    assert len({cell.index for cell in found}) == len(found)
    assert gatherer.parts == {}
    return {cell.index: cell for cell in found}


def assert_equal(ours: Any, theirs: Any) -> None:
    if isinstance(theirs, dict):
        assert list(ours) == list(theirs)
        for key in theirs:
            assert_equal(ours[key], theirs[key])
    elif isinstance(theirs, np.ndarray):
        np.testing.assert_array_equal(ours, theirs)
        assert ours.dtype == theirs.dtype
    else:
        assert ours == theirs


@pytest.fixture(scope="module")
def whole(specs: list[RunSpec]) -> dict[int, TrainedCell]:
    return gathered(specs, [Chunk((Share(i, 0, n),)) for i, n in enumerate(REPLICATES)])


def test_a_cell_in_one_chunk_is_that_chunk(specs: list[RunSpec], whole: dict[int, TrainedCell]) -> None:
    for index, spec in enumerate(specs):
        cell = whole[index]
        _, last, judged = trained(specs, Chunk((Share(index, 0, spec.replicates),)))
        assert cell.spec == spec
        assert cell.result.seeds.tolist() == list(range(spec.seed, spec.seed + spec.replicates))
        assert_equal(cell.result.loss, last.loss)
        assert_equal(cell.result.weight_norm, last.weight_norm)
        assert_equal(cell.result.final, last.final)
        assert_equal(cell.result.snapshots, last.snapshots)
        assert_equal(cell.result.diagnosis, {"verdict": judged.verdict, **judged.numbers})


@pytest.mark.parametrize("seed", range(6))
def test_any_cut_in_any_order_gives_the_same_cells(
    specs: list[RunSpec], whole: dict[int, TrainedCell], seed: int
) -> None:
    rng = random.Random(seed)
    pieces = []
    for cell, count in enumerate(REPLICATES):
        cuts = sorted({0, count, *(rng.randrange(count + 1) for _ in range(3))})
        pieces += [Share(cell, first, stop - first) for first, stop in itertools.pairwise(cuts)]
    rng.shuffle(pieces)
    chunks = []
    while pieces:
        size = rng.randrange(1, 4)
        chunks.append(Chunk(tuple(pieces[:size])))
        pieces = pieces[size:]
    found = gathered(specs, chunks)
    assert sorted(found) == [0, 1, 2]
    for index, cell in found.items():
        for field in fields(cell.result):
            assert_equal(getattr(cell.result, field.name), getattr(whole[index].result, field.name))
        assert_equal(cell.result.diagnosis, whole[index].result.diagnosis)


def test_a_cell_comes_when_its_last_part_does(specs: list[RunSpec]) -> None:
    gatherer = Gatherer(specs)
    assert list(gatherer.add(*trained(specs, Chunk((Share(2, 3, 5),))))) == []
    assert list(gatherer.add(*trained(specs, Chunk((Share(0, 0, 4),))))) == []
    (one,) = gatherer.add(*trained(specs, Chunk((Share(2, 0, 3), Share(0, 0, 0)))))
    assert one.index == 2


def test_a_history_so_far_is_the_start_of_the_whole_one(specs: list[RunSpec], whole: dict[int, TrainedCell]) -> None:
    chunk = Chunk((Share(0, 0, 5), Share(1, 0, 1)))
    _, last, _ = trained(specs, chunk)
    _, (cell, first, live) = by_cell(specs, chunk, last.history().select(step=slice(2)))
    assert (cell, first, live.spec) == (1, 0, specs[1])
    assert live.seeds.tolist() == [100]
    assert (live.outputs, live.solved_at, live.verdict, live.final) == (None, None, None, {})
    known = whole[1].result.select(step=slice(2))
    for name in ("steps", "loss", "accuracy", "right", "weight_norm"):
        assert_equal(getattr(live, name), getattr(known, name))
