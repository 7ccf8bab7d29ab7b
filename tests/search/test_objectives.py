"""The number of a cell that a search makes good, by hand; which cells are the best."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nnspec.compose import spec
from nnspec.search.objectives import OBJECTIVES, found

ROWS = {
    "solved": np.array([True, False, True, False]),
    "solved_at": np.array([10, -1, 40, -1]),
    "final_loss": np.array([0.1, 0.5, np.nan, 0.3]),
    "final_test_accuracy": np.array([1.0, 0.5, np.nan, 0.75]),
}
SPEC = spec(["train.epochs=100", "replicates=4"])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("solve_rate", 2 / 4),
        ("updates_to_solve", (10 + 100 + 40 + 100) / 4),
        ("final_loss", (0.3 + 0.5) / 2),  # the one that broke counts as the worst
        ("test_accuracy", (0.5 + 0.75) / 2),
    ],
)
def test_the_number_of_a_cell(name: str, value: float) -> None:
    assert OBJECTIVES[name].value(ROWS, SPEC) == value


def test_a_cell_whose_networks_broke_is_the_worst() -> None:
    rows = {**ROWS, "final_loss": np.full(4, np.nan)}
    assert OBJECTIVES["final_loss"].value(rows, SPEC) == math.inf


def rows_of(solved: int, at: int, loss: float) -> dict[str, np.ndarray]:
    done = np.arange(4) < solved
    return {"solved": done, "solved_at": np.where(done, at, -1), "final_loss": np.full(4, loss)}


def test_the_best_cell_and_the_front() -> None:
    outcomes = {
        0: rows_of(2, 10, 0.2),
        1: rows_of(4, 50, 0.2),
        2: rows_of(4, 90, 0.1),
        3: rows_of(1, 4, 0.9),
        4: rows_of(3, 30, 0.2),
        5: rows_of(4, 1, 0.01),
    }
    one = found(["solve_rate"], [SPEC] * 6, outcomes, frozenset({5}), "tpe")
    assert one.ranked == [2, 1, 4, 0, 3]  # of equally many solved the lower loss; a pruned one is none of them
    assert one.so_far.tolist() == [0.5, 1, 1, 1, 1]
    both = found(["solve_rate", "updates_to_solve"], [SPEC] * 6, outcomes, frozenset({5}), "tpe")
    assert both.best == 1
    assert both.values[4] == (0.75, (3 * 30 + 100) / 4)
    assert both.front == [1, 4]
    falling = found(["final_loss"], [SPEC] * 6, outcomes, frozenset(), "tpe")
    assert falling.so_far.tolist() == [0.2, 0.2, 0.1, 0.1, 0.1, 0.01]
