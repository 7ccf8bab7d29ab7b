from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from nnspec.analysis.levels import AnalysisError
from nnspec.analysis.pairs import compare
from nnspec.analysis.stats import solve_rates
from nnspec.analysis.tables import (
    MOST_ROWS,
    best_and_worst,
    failures,
    percent,
    pivot,
    render,
    render_frame,
    with_interval,
    write_csv,
)
from nnspec.errors import PathError

AXES = ["optimizer.lr", "activation.name"]


def test_pivot_holds_the_rates_of_the_two_widest_axes(small):
    info = pivot(small, AXES)
    assert (info.rows, info.columns) == ("activation.name", "optimizer.lr")
    rates = solve_rates(small, ["activation.name", "optimizer.lr"])
    assert info.rate.ravel().tolist() == rates["rate"].tolist()
    assert info.low.ravel().tolist() == rates["low"].tolist()
    assert info.networks.sum() == len(small)


def test_pivot_over_named_axes_and_over_one(small):
    assert pivot(small, AXES, ["optimizer.lr", "activation.name"]).rows == "optimizer.lr"
    one = pivot(small, AXES, ["optimizer.lr"])
    assert one.rate.shape == (4, 1)
    assert one.columns is None


def test_combinations_without_networks_are_dashes(small):
    part = small[~((small["activation.name"] == "relu") & (small["optimizer.lr"] == 0.1))]
    info = pivot(part, AXES)
    assert np.isnan(info.rate[0, 1])
    for values in (info.rate, info.low, info.high):
        assert np.isnan(values).sum() == 1
    assert render(info, 200).splitlines()[2].split()[3] == "-"


@pytest.mark.parametrize("by", [[], ["optimizer.lr", "activation.name", "cell"]])
def test_pivot_refuses_other_numbers_of_axes(small, by):
    with pytest.raises(AnalysisError, match=f"must be over 1 or 2 axes, but got {len(by)}"):
        pivot(small, AXES, by)


@pytest.mark.parametrize(
    ("rate", "text"), [(0, "0%"), (0.004, "<1%"), (0.62, "62%"), (0.996, ">99%"), (1, "100%"), (float("nan"), "-")]
)
def test_percent_never_rounds_to_all_or_nothing(rate, text):
    assert percent(rate) == text


def test_with_interval():
    assert with_interval(0.62, 0.522, 0.709) == "62% [52-71]"


def test_rendered_table(outcomes):
    table = outcomes(
        **{"activation.name": ["relu"] * 100 + ["tanh"] * 100},
        seed=[*range(100)] * 2,
        solved=[i < 62 for i in range(200)],
    )
    assert render(pivot(table, ["activation.name"]), 80).splitlines() == [
        "activation       solved",
        "-----------------------",
        "relu        62% [52-71]",
        "tanh           0% [0-4]",
    ]


def test_wide_tables_go_on_below(sweep):
    info = pivot(sweep({"a": [1, 2], "b": list(range(30))}, 2, lambda a, b: 0.5), ["b", "a"], ["a", "b"])
    text = render(info, 60)
    assert max(map(len, text.splitlines())) <= 60
    assert len(text.split("\n\n")) > 4
    assert sum(line.count("[") for line in text.splitlines()) == 60


def test_long_tables_count_what_they_leave_out(sweep):
    text = render(pivot(sweep({"a": list(range(100))}, 1, lambda a: 0.5), ["a"]), 80)
    assert text.endswith(f"... and {100 - MOST_ROWS} more rows of a (sweep.csv=FILE writes them all)")


def test_best_and_worst_cells(small):
    best, worst = best_and_worst(small, ["activation.name", "optimizer.lr"])
    assert set(best["activation.name"]) & {"tanh"}
    assert best["rate"].is_monotonic_decreasing
    assert worst["rate"].tolist() == [0] * 5
    assert worst["optimizer.lr"].tolist() == [10.0] * 5


def test_equal_rates_rank_by_loss(outcomes):
    table = outcomes(a=[1, 2, 3, 4], cell=[0, 1, 2, 3], seed=0, solved=True, final_loss=[0.3, 0.1, np.nan, 0.2])
    best, worst = best_and_worst(table, ["a"])
    assert best["a"].tolist() == [2, 4]
    assert worst["a"].tolist() == [3, 1]


def test_failures_are_counted(outcomes):
    table = outcomes(
        a=[1, 1, 2, 2], seed=0, solved=[True, False, False, False], verdict=["solved", "stuck", "stuck", None]
    )
    assert failures(table) == "3 of 4 networks not solved: 2 stuck, 1 unknown"
    assert failures(table[:1]) == "0 of 1 networks not solved"


def test_frames_read_well(small):
    text = render_frame(compare(small, "optimizer.lr").tail(1))
    heads, _, row = text.splitlines()
    assert heads.split() == [
        "a",
        "b",
        "networks_a",
        "networks_b",
        "rate_a",
        "rate_b",
        "difference",
        "low",
        "high",
        "p",
        "p_holm",
        "paired",
    ]
    assert row.split()[-3:] == ["<0.0001", "<0.0001", "yes"]
    assert row.split()[6].startswith("+")


def test_csv_round_trip(small, tmp_path):
    frame = solve_rates(small, AXES)
    path = write_csv(frame, tmp_path / "new" / "table.csv", "--csv")
    pd.testing.assert_frame_equal(pd.read_csv(path), frame, check_exact=True, check_dtype=False)


def test_a_csv_that_cannot_be_written_says_so(small, tmp_path):
    with pytest.raises(
        PathError,
        match=r"^sweep.csv must be a file that can be written, but got '.*' \(Is a directory\); name another$",
    ):
        write_csv(small, tmp_path, "sweep.csv")


def test_a_pivot_says_what_it_pools_over(sweep):
    axes = ["activation.name", "init.name", "optimizer.lr"]
    levels = {"activation.name": ["relu", "tanh"], "init.name": ["zeros", "normal"], "optimizer.lr": [0.1, 0.2, 0.3]}
    table = sweep(levels, 4, lambda *_: 0.5)
    assert pivot(table, axes, axes[:2]).pooled == "pooled over optimizer.lr (3 values)"
    assert render(pivot(table, axes, axes[:2]), 100).splitlines()[-1] == "pooled over optimizer.lr (3 values)"
    one = table[table["optimizer.lr"] == 0.1]
    assert pivot(one, axes, axes[:2]).pooled == ""  # one value is not pooled
    assert "pooled" not in render(pivot(one, axes, axes[:2]), 100)
