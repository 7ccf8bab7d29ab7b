"""A race that was broken off, wherever: resumed it ends as if nothing had happened, and no cell is filed twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from nnspec.check import checked_mapping
from nnspec.errors import TrackingError
from nnspec.execute.pool import Event, Extra, Finished, train_chunks
from nnspec.results.outcome import Outcome
from nnspec.runner import run
from nnspec.settings import Runtime, Settings, Sweep, Tracking
from nnspec.specs import RunSpec
from nnspec.sweep import Cell
from nnspec.tracking import RunQuery, open_store
from nnspec.tracking.records import PARENT_TAG
from nnspec.training.plan import Chunk

NAMES = ("relu", "tanh", "sigmoid", "gelu")
AXES = ("activation", "init")
RACE = Sweep(race=True, within=0.05, budget=4000, report=False)


class Carrier:
    """Trains as ever, until it is interrupted in a round of this number, counted from 1."""

    def __init__(self, interrupted_in: int = 0) -> None:
        self.interrupted_in, self.rounds, self.networks = interrupted_in, 0, 0

    def __call__(
        self, specs: Sequence[RunSpec], chunks: Sequence[Chunk], workers: int, extra: Extra
    ) -> Iterator[Event]:
        self.rounds += 1
        if self.rounds == self.interrupted_in:
            raise KeyboardInterrupt
        for event in train_chunks(specs, chunks, workers, extra):
            self.networks += chunks[event.chunk].networks if isinstance(event, Finished) else 0
            yield event


@pytest.fixture(scope="module")
def cells(mapping_of: Callable[..., Any]) -> list[Cell]:
    """They go out sooner and later, and two differ by little."""
    train, both = {"epochs": 200, "log_every": 200}, [("relu", "zeros"), *((name, "kaiming_uniform") for name in NAMES)]
    return [
        Cell(
            checked_mapping(mapping_of(train=train, activation=activation, init=init)),
            (("activation", activation), ("init", init)),
        )
        for activation, init in both
    ]


def raced(
    cells: Sequence[Cell], carry: Carrier, resume: str | None = None, cells_filed: str = "all", sweep: Sweep = RACE
) -> Outcome:
    settings = Settings(
        Tracking(uri="sqlite:///mlflow.db", cells=cells_filed), Runtime(workers=1), sweep, resume=resume
    )
    return run(cells, settings, AXES, True, "nnspec run -m", carry=carry)


@pytest.fixture(scope="module")
def undisturbed(cells: list[Cell]) -> Outcome:
    settings = Settings(Tracking(enabled=False), Runtime(workers=1), RACE)
    return run(cells, settings, AXES, True, quiet=True)


def filed() -> dict[int, tuple[str, str]]:
    """By the number of a cell its status and how many networks it has; each is there once, below the one sweep."""
    store = open_store(Tracking(uri="sqlite:///mlflow.db"))
    (sweep,) = store.search(RunQuery(without_tags=(PARENT_TAG,)))
    found = store.find_children(sweep.run_id, ["replicates"])
    numbers = [run.cell for run in found]
    assert len(set(numbers)) == len(numbers)
    assert len(store.runs_below(sweep.run_id)) in (0, len(found))
    return {run.cell: (run.status, run.params["replicates"]) for run in found if run.cell is not None}


@pytest.mark.parametrize(
    ("interrupted_in", "cells_filed"),
    [
        (1, "all"),
        (2, "none"),
        (4, "all"),
        pytest.param(1, "none", marks=pytest.mark.slow),
        pytest.param(2, "all", marks=pytest.mark.slow),
        pytest.param(4, "none", marks=pytest.mark.slow),
    ],
)
def test_a_race_resumed_is_the_race_undisturbed(
    cells: list[Cell],
    undisturbed: Outcome,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    interrupted_in: int,
    cells_filed: str,
) -> None:
    assert undisturbed.race is not None
    assert undisturbed.race.looks[3:], "choose cells that race longer"
    first = raced(cells, Carrier(interrupted_in), cells_filed=cells_filed)
    assert first.interrupted
    assert (first.race.best, first.race.known) == (None, False)
    assert "go on with: nnspec run -m resume=last" in capsys.readouterr().err
    assert (len(first.outcomes) > 0) == (interrupted_in > 1)

    carrier = Carrier()
    numbered = cells_filed == "all" and interrupted_in > 1
    again = cells[::-1] if numbered else cells  # in another order, where runs have kept the numbers
    second = raced(again, carrier, "last", cells_filed)
    assert f"{len(first.outcomes)} of {len(cells)} cells already done" in capsys.readouterr().err
    assert (second.parent, second.exit_status) == (first.parent, 0)
    kept = sum(len(first.outcomes[cell]["seed"]) for cell in first.outcomes)
    assert carrier.networks == undisturbed.race.networks - kept
    assert second.race == undisturbed.race
    pd.testing.assert_frame_equal(second.table(), undisturbed.table())
    assert filed() == {cell: ("FINISHED", str(spec.replicates)) for cell, spec in enumerate(second.specs)}


def test_a_race_that_is_done_trains_nothing_and_is_told(
    cells: list[Cell], undisturbed: Outcome, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    raced(cells, Carrier())
    said = capsys.readouterr().out
    carrier = Carrier()
    again = raced(cells, carrier, "last")
    assert carrier.networks == 0
    assert again.race == undisturbed.race
    assert capsys.readouterr().out == said
    pd.testing.assert_frame_equal(again.table(), undisturbed.table())


@pytest.mark.parametrize("changed", [{"budget": 1000}, {"within": 0.2}, {"race": False}])
def test_another_race_is_not_gone_on_with(
    cells: list[Cell], folder: Path, capsys: pytest.CaptureFixture[str], changed: dict[str, Any]
) -> None:
    first = raced(cells, Carrier(2))
    other = replace(RACE, **changed)
    second = raced(cells, Carrier(), "last", sweep=other)
    assert "no sweep of these cells to resume yet: starting it" in capsys.readouterr().err
    assert second.parent != first.parent
    if other.race:
        with pytest.raises(TrackingError, match="must be a race of the same cells"):
            raced(cells, Carrier(), first.parent, sweep=other)
