"""Medians, the largest group, and what is said where something is missing."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from nnspec.explaining import explained_table, lines
from nnspec.explaining.examples import EXAMPLES
from nnspec.explaining.networks import explained, median

SPEC = EXAMPLES["dead_units"].spec


def test_a_median_is_that_of_what_is_a_finite_number():
    assert median(np.array([3.0, np.nan, 1.0, np.inf, 5.0])) == 3
    assert median(np.array([1, 4])) == 2.5
    assert np.isnan(median(np.array([np.nan])))
    assert np.isnan(median(np.array(["relu", "tanh"])))


def test_networks_of_one_spec_are_explained_by_medians_the_most_common_first():
    verdict = np.array(["dead_units", "symmetric", "dead_units", "solved", "dead_units", "of another program"])
    columns = {
        "dead_units": np.array([1.0, 0, 2, 0, 4, 0]),
        "dead_rows": np.array([3.0, 0, 3, 0, 4, 0]),
        "since": np.array([50.0, 0, np.nan, np.nan, 70, 0]),
        "verdict": verdict,
    }
    dead, copies = explained(verdict, columns, SPEC)
    assert (dead.verdict, dead.networks, dead.total, dead.measured, dead.since_update) == ("dead_units", 3, 6, 3, 60)
    assert dead.sentence.startswith("2 of 4 hidden units are off for every row")
    assert dead.since == "the loss has not moved since epoch 60 (median)"
    assert str(dead).startswith("dead_units 50.0%: 2 of 4 hidden units")
    assert copies.sentence == "hidden units are copies of one another"  # the number was not measured
    assert copies.networks == 1


def test_the_networks_of_a_sweep_are_explained_by_the_choices_that_have_most_of_them():
    table = pd.DataFrame(
        {
            "cell": [0, 1, 2, 3, 4],
            "activation.name": ["relu", "tanh", "relu", "relu", "tanh"],
            "seed": [0, 0, 1, 2, 1],
            "verdict": ["dead_units"] * 4 + ["solved"],
            "dead_units": [3.0, 4, 1, 3, 0],
            "dead_rows": [3.0, 4, 3, 3, 0],
            "solved_at": pd.array([None, None, None, None, 30], dtype="Int64"),
        }
    )
    asked = []
    (one,) = explained_table(table, ["activation.name", "seed"], lambda row: asked.append(row) or SPEC)
    assert asked == [0]
    assert (one.where, one.networks, one.total, one.measured) == ("activation=relu", 4, 5, 3)
    assert str(one).startswith("dead_units 80.0%: as in activation=relu: 3 of 4 hidden units are off")
    (unknown,) = explained_table(table, ["activation.name"], lambda row: None)
    assert unknown.sentence == "units are off, and no gradient gets past them"
    (whole,) = explained_table(table, [], lambda row: SPEC)
    assert (whole.where, whole.measured) == ("", 4)


@pytest.mark.parametrize(
    ("column", "where"),
    [
        ([False, True, True], "optimizer.nesterov=true train.batch_size=16"),
        ([0.5, 1.0, 1.0], "optimizer.nesterov=1 train.batch_size=16"),
        (["v1.0", "v2.0", "v2.0"], "optimizer.nesterov=v2.0 train.batch_size=16"),
        ([[4], [8, 4], [8, 4]], "optimizer.nesterov=[8,4] train.batch_size=16"),
        ([1, None, None], "optimizer.nesterov=null train.batch_size=16"),
        ([1, 2, 3], "optimizer.nesterov=1 train.batch_size=null"),  # of choices as common the first
    ],
)
def test_choices_are_said_as_they_are_typed(column, where):
    """The other column of whole numbers is one of fractions, for a cell has none."""
    table = pd.DataFrame({"optimizer.nesterov": column, "train.batch_size": [None, 16, 16], "verdict": ["stuck"] * 3})
    (one,) = explained_table(table, ["optimizer.nesterov", "train.batch_size"], lambda row: SPEC)
    assert one.where == where


def test_lines_stand_beside_their_label():
    verdict = np.array(["dead_units", "symmetric"])
    said = lines(explained(verdict, {}, SPEC)).splitlines()
    assert [line[:12] for line in said] == ["why         ", "            "]
    assert lines([]) == ""
