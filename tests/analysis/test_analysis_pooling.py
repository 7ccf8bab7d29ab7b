"""Tables that pool: rates and means of combinations of levels, and what they say they pool over."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from nnspec.analysis.levels import AnalysisError, group_by
from nnspec.analysis.pooling import Pool, all_axes, pool_of, pooled, pooled_axes, pooled_table
from nnspec.analysis.solving import median_updates, survival
from nnspec.analysis.stats import solve_rates

AXES = ["activation.name", "optimizer.lr"]


def test_rows_are_the_combinations_with_their_rates(small):
    found = pooled(small, ["activation", "optimizer.lr"])
    assert len(found) == 20
    part = small[(small["activation.name"] == "tanh") & (small["optimizer.lr"] == 0.1)]
    (row,) = found[(found["activation.name"] == "tanh") & (found["optimizer.lr"] == 0.1)].to_dict("records")
    assert (row["networks"], row["solved"], row["rate"]) == (30, part["solved"].sum(), part["solved"].mean())
    expected = survival(part["solved_at"], part["solved"], part["epochs"]).median
    assert row["median_updates"] == expected


def test_intervals_count_shared_seeds_once(outcomes):
    """Four cells that agree seed by seed are worth one: the interval must be that of 30 networks, not of 120."""
    done = np.arange(30) < 18
    table = outcomes(
        **{"activation.name": "relu", "optimizer.lr": np.repeat([0.1, 0.2, 0.3, 0.4], 30)},
        seed=[*range(30)] * 4,
        solved=[*done] * 4,
    )
    (row,) = pooled(table, "activation").to_dict("records")
    (alone,) = solve_rates(table[:30], "activation.name").to_dict("records")
    assert row["networks"] == 120
    # the spread between 30 seeds is estimated from these: S / (S - 1)
    assert (row["low"], row["high"]) == pytest.approx((alone["low"], alone["high"]), abs=0.005)


def test_a_mean_takes_the_place_of_the_rate(small):
    found = pooled(small, "activation", "final_accuracy")
    assert list(found) == ["activation.name", "networks", "broken", "mean", "low", "high", "median_updates"]
    by_hand = small.groupby("activation.name")["final_accuracy"].mean()
    assert dict(zip(found["activation.name"], found["mean"], strict=True)) == pytest.approx(by_hand.to_dict())


@pytest.mark.parametrize("share", [0.2, 0.6, 1.0])
def test_medians_of_many_groups_are_those_of_their_curves(share):
    """SciPy's product-limit estimate group by group, with ties and networks that are censored before the end."""
    rng = np.random.default_rng(round(10 * share))
    table = pd.DataFrame({"a": rng.integers(0, 40, 600), "solved": rng.random(600) < share})
    table["epochs"] = rng.integers(1, 30, 600)
    table["solved_at"] = pd.array(rng.integers(1, table["epochs"] + 1), dtype="Int64")
    groups = group_by(table, ["a"])
    parts = [table[groups.codes == g] for g in range(len(groups))]
    expected = [survival(part["solved_at"], part["solved"], part["epochs"]).median for part in parts]
    assert median_updates(table, groups).tolist() == expected


def test_what_is_pooled_over_is_said(small):
    assert pool_of(small, ["activation"], AXES).text() == "pooled over optimizer.lr (4 values) and 30 seeds"
    assert pool_of(small, AXES, AXES).text() == "pooled over 30 seeds"
    assert pool_of(small, [], AXES).text() == "pooled over activation (5 values), optimizer.lr (4 values) and 30 seeds"
    assert pool_of(small[::7], AXES, AXES).text() == "pooled over 4 to 5 seeds"
    assert Pool((("a", 2),), (1, 1)).text() == "pooled over a (2 values) and 1 seed"
    assert Pool((), (1, 1)).text() == ""


def test_axes_that_go_together_are_not_pooled_over(outcomes):
    """As by sweep.zip: each activation has one initialisation, and one row of it nothing to pool."""
    names = {"activation.name": ["relu", "tanh"] * 3, "init.name": ["he", "xavier"] * 3}
    table = outcomes(**names, seed=[0, 0, 1, 1, 2, 2], solved=True)
    assert pooled_axes(table, ["activation"], list(names)) == []
    assert pooled_axes(table, [], list(names)) == [("activation.name", 2), ("init.name", 2)]


def test_without_fields_there_is_a_row_a_cell(small):
    found = pooled_table(small, axes=["activation.name"])
    assert all_axes(small, ["activation.name"]) == AXES  # what varies is found, whatever the sweep states
    assert found.by == tuple(AXES)
    assert len(found.frame) == small["cell"].nunique()
    assert found.title() == "solved by activation and optimizer.lr, 95% intervals\npooled over 30 seeds"
    assert pooled_table(small, [], AXES).title().startswith("solved, 95% intervals\npooled over activation (5 values)")


@pytest.mark.parametrize("name", ["nosuch", "verdict", "final_loss"])
def test_what_is_no_field_is_refused(small, name):
    with pytest.raises(AnalysisError, match=f"by must be a known field of the table, but got '{name}'; .*optimizer.lr"):
        pooled(small, name)


def test_the_median_of_a_single_network_is_when_it_solved(outcomes):
    """The same as of its group of copies, which are counted one by one."""
    solved = [True, False, True, False]
    table = outcomes(seed=[3, 1, 2, 0], cell=[2, 0, 1, 3], solved=solved, solved_at=[40, 7, 20, 9])
    twice = pd.concat([table, table], ignore_index=True)
    found, expected = (median_updates(each, group_by(each, ["cell"])).tolist() for each in (table, twice))
    assert found == expected == [np.inf, 20, 40, np.inf]
