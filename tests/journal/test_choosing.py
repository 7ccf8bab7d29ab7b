"""Which packed cells get a run of their own."""

from __future__ import annotations

import numpy as np

from nnspec.journal.choosing import worth_opening


def outcome(solved: list[bool], loss: list[float], verdict: str) -> dict[str, np.ndarray]:
    return {
        "solved": np.array(solved),
        "final_loss": np.array(loss, np.float32),
        "verdict": np.array([verdict] * len(loss), object),
    }


def test_the_best_the_worst_and_one_typical_of_each_verdict() -> None:
    outcomes = {cell: outcome([True], [cell / 1000], "solved") for cell in range(50)}
    outcomes |= {cell: outcome([False], [cell / 100], "dead_units") for cell in range(50, 97)}
    outcomes |= {97: outcome([False], [0.6], "saddle"), 98: outcome([False], [np.nan], "diverged")}
    chosen = worth_opening(outcomes, ends=3)
    assert chosen == [0, 1, 2, 24, 73, 95, 96, 97, 98]  # 24 and 73 have the median loss of their verdicts
    assert worth_opening(outcomes, ends=3, most=4) == [0, 1, 2, 24]
    assert worth_opening({}) == []


def test_cells_of_several_networks_by_their_shares_and_medians() -> None:
    outcomes = {
        0: outcome([True, False], [0.1, 0.9], "solved"),
        1: outcome([True, True], [0.2, 0.4], "solved"),
        2: outcome([True, True], [0.2, 0.2], "solved"),
        3: outcome([False, False], [np.nan, np.inf], "diverged"),
    }
    assert worth_opening(outcomes, ends=1) == [1, 2, 3]  # 1 is the typical solved one
