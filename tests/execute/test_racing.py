"""sweep.race: which cells get more networks, that these are the networks of a plain run, and what cannot race."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from nnspec.analysis.racing import FIRST, anytime_interval, replayed
from nnspec.errors import SpecError
from nnspec.execute.engine import Training
from nnspec.execute.pool import Event, Extra, Lost, train_chunks
from nnspec.execute.racing import RaceTraining
from nnspec.results.events import Advance, Failed, Notice, TrainedCell
from nnspec.results.race import Race, race_of
from nnspec.settings import Runtime
from nnspec.specs import Member, RunSpec
from nnspec.training.plan import Chunk

SpecOf = Callable[..., RunSpec]
ONE = Runtime(workers=1)
WITHIN = 0.04


@pytest.fixture
def specs(spec_of: SpecOf) -> list[RunSpec]:
    """Of these the last two solve XOR about equally often, the others never or seldom."""
    short = {"epochs": 200, "log_every": 200}
    zeros = spec_of(init="zeros", train=short, seed=5)
    return [zeros, *(spec_of(activation=name, train=short, seed=5) for name in ("relu", "tanh", "gelu"))]


def cells(events: Sequence[Any]) -> dict[int, TrainedCell]:
    found = [event for event in events if isinstance(event, TrainedCell)]
    assert len({cell.index for cell in found}) == len(found), "a cell came out twice"
    return {cell.index: cell for cell in found}


def test_a_race_is_what_its_rule_says_of_the_whole_grid(specs: list[RunSpec]) -> None:
    training = RaceTraining(specs, ONE, within=WITHIN, most=5000)
    events = list(training)
    found, race = cells(events), training.race
    size = max(race.looks)
    grid = cells(list(Training([replace(spec, replicates=size) for spec in specs], ONE)))
    solved = np.array([grid[index].result.solved for index in range(len(specs))])
    expected = replayed(solved, WITHIN, 5000)
    assert race.known
    assert (race.best, race.networks) == (expected.best, expected.networks)
    assert race.networks == sum(len(cell.result.seeds) for cell in found.values()) < 0.7 * len(specs) * size
    assert race.out[0] == FIRST == race.looks[0]
    for index, cell in found.items():
        networks = race.out.get(index, size)
        assert cell.spec == training.by_cell[index] == replace(specs[index], replicates=networks)
        for name in ("seeds", "loss", "right", "solved_at", "outputs", "verdict"):
            np.testing.assert_array_equal(getattr(cell.result, name), getattr(grid[index].result, name)[:networks])
        for name, tensor in cell.result.final.items():
            np.testing.assert_array_equal(tensor, grid[index].result.final[name][:networks])
        assert cell.ended == race.ended(index)
    assert training.updaters.total() == race.networks
    low, high = anytime_interval(int(solved[0].sum()), size)
    assert training.interval(int(solved[0].sum()), size) == (low, high)


def test_networks_on_the_bar_rise_to_what_the_race_took(specs: list[RunSpec]) -> None:
    training = RaceTraining(specs, ONE, within=WITHIN, most=5000)
    far = [event.networks for event in training if isinstance(event, Advance)]
    assert far == sorted(far)
    assert far[-1] == training.race.networks <= training.most_networks == 5000


@pytest.mark.parametrize("most", [80, 81, 83, 130, 200])
def test_never_more_networks_than_the_budget(specs: list[RunSpec], most: int) -> None:
    training = RaceTraining(specs, ONE, within=0.001, most=most)
    found = cells(list(training))
    trained = sum(len(cell.result.seeds) for cell in found.values())
    assert len(found) == len(specs)
    assert most - len(specs) < trained == training.race.networks <= most
    assert not training.race.known
    assert "is not known to be within 0.001 of the best solve rate" in training.race.text()


def test_of_equally_good_cells_the_quickest_is_the_best(spec_of: SpecOf) -> None:
    same: dict[str, Any] = {"activation": "gelu", "train": {"epochs": 300, "log_every": 300}}
    specs = [spec_of(optimizer={"name": "adam", "lr": lr}, **same) for lr in (0.03, 0.1)]
    training = RaceTraining(specs, ONE, within=0.2)
    found = cells(list(training))
    assert all(cell.result.solved.all() for cell in found.values()), "choose specs that always solve"
    medians = [np.median(found[index].result.solved_at) for index in (0, 1)]
    assert training.race.best == int(np.argmin(medians)) == 1
    assert training.race.known


def losing(round: int, cell: int) -> Callable[..., Iterator[Event]]:
    """Trains as ever, but loses in one round the chunk that has a cell."""
    rounds: list[int] = []

    def carry(specs: Sequence[RunSpec], chunks: Sequence[Chunk], workers: int, extra: Extra) -> Iterator[Event]:
        rounds.append(len(chunks))
        for event in train_chunks(specs, chunks, workers, extra):
            of = [share.cell for share in chunks[event.chunk].shares] if not isinstance(event, Lost) else []
            yield Lost(event.chunk, "out of memory") if len(rounds) == round and cell in of else event

    return carry


@pytest.mark.parametrize("round", [1, 2])
def test_a_cell_that_fails_is_out_of_the_race(spec_of: SpecOf, round: int) -> None:
    """Each cell has a stack of its own, for their optimizers differ."""
    short = {"epochs": 200, "log_every": 200}
    specs = [
        spec_of(activation="gelu", optimizer=optimizer, train=short)
        for optimizer in ({"name": "rmsprop", "lr": 0.05}, "adam", {"name": "adamw", "lr": 0.1})
    ]
    training = RaceTraining(specs, ONE, carry=losing(round, 1), within=0.2)
    events = list(training)
    failed = {event.index for event in events if isinstance(event, Failed)}
    assert failed == {1}
    assert cells(events).keys() == {0, 2}
    assert training.race.best in (0, 2)
    assert training.stopped() == []


def test_a_small_memory_is_the_budget_and_is_told(specs: list[RunSpec]) -> None:
    training = RaceTraining(specs, Runtime(workers=1, memory=60), within=0.001, most=10**7)
    assert 80 <= training.most_networks < 10**7
    larger = RaceTraining(specs, Runtime(workers=1, memory=90), within=0.001, most=10**7)
    assert larger.most_networks > training.most_networks
    small = RaceTraining(specs, Runtime(workers=1, memory=60), within=WITHIN, most=training.most_networks + 1)
    first = next(iter(small))
    assert isinstance(first, Notice)
    assert f"holds the results of {training.most_networks:,} networks" in first.text


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda s: s[:1], "sweep.race must have at least 2 cells, but got 1; vary an axis"),
        (lambda s: [s[0], replace(s[1], seed=9)], "sweep.race must have cells of one first seed, but got 2 of them"),
        (lambda s: [s[0], replace(s[0], replicates=9)], "sweep.race must have cells that differ, but got 1 twice"),
        (lambda s: s * 3 + [s[0]] * 38, "sweep.budget must be at least 1000, 20 networks of each of the 50 cells"),
        (
            lambda s: [s[0], replace(s[1], init=Member("from_file", (("digest", None), ("path", "w.safetensors"))))],
            "sweep.race must be false with init=from_file, but got true; choose an init that draws weights",
        ),
    ],
)
def test_what_cannot_race(specs: list[RunSpec], change: Callable[[list[RunSpec]], list[RunSpec]], line: str) -> None:
    with pytest.raises(SpecError) as refused:
        RaceTraining(change(specs), ONE, most=999)
    assert line in str(refused.value)


def test_a_race_as_a_document_and_back() -> None:
    race = Race(0.02, 0.95, 1000, 90, (20, 30), {3: 20, 0: 30}, 1, True)
    import json

    assert race_of(json.dumps(race.content()).encode()) == race
    assert race.ended(3) == "out after 20"
    for broken in (b"{", b"[]", b"null", b'{"out": 3}', json.dumps(race.content() | {"best": -1}).encode()):
        with pytest.raises(ValueError, match=r"."):
            race_of(broken)
    assert math.isclose(race.within, 0.02)
