from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from nnspec.analysis.levels import group_by
from nnspec.analysis.solving import median_updates, survival, survival_table, updates_made

# Freireich et al., Blood 21 (1963) 699: weeks in remission with 6-mercaptopurine (censored: False) and with placebo.
DRUG = [6, 6, 6, 6, 7, 9, 10, 10, 11, 13, 16, 17, 19, 20, 22, 23, 25, 32, 32, 34, 35]
RELAPSED = [1, 1, 1, 0, 1, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0]
PLACEBO = [1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23]


def test_the_textbook_curve():
    """Kleinbaum and Klein, Survival Analysis (2012), chapter 2: the drug's curve and medians of 23 and 8 weeks."""
    curve = survival(DRUG, np.array(RELAPSED, bool), DRUG)
    at = dict(zip(curve.times.tolist(), curve.unsolved.tolist(), strict=True))
    published = {6: 0.8571, 7: 0.8067, 10: 0.7529, 13: 0.6902, 16: 0.6275, 22: 0.5378, 23: 0.4482}
    assert {week: round(at[week], 4) for week in published} == published
    assert curve.median == 23
    assert (curve.networks, curve.solved) == (21, 9)
    assert survival(PLACEBO, np.ones(21, bool), PLACEBO).median == 8


@pytest.mark.parametrize("share", [0.3, 0.7, 0.95])
@pytest.mark.parametrize("ties", [True, False])
def test_curve_and_median_are_statsmodels(share, ties):
    """Its interval of the median is Brookmeyer and Crowley's on the same scale, log(-log)."""
    from statsmodels.duration.survfunc import SurvfuncRight

    rng = np.random.default_rng(round(100 * share))
    times = rng.integers(1, 60, 80).astype(float) if ties else rng.exponential(100, 80)
    done = rng.random(80) < share
    ours, theirs = survival(times, done, times), SurvfuncRight(times, done.astype(int))
    # theirs has the times at which something was solved only
    place = np.searchsorted(theirs.surv_times, ours.times, side="right")
    np.testing.assert_allclose(ours.unsolved, np.append(1.0, theirs.surv_prob)[place], rtol=1e-13)
    with np.errstate(divide="ignore", invalid="ignore"):  # where nobody is left
        medians = theirs.quantile(0.5), *theirs.quantile_ci(0.5, method="cloglog")
    assert (ours.median, ours.median_low, ours.median_high) == pytest.approx(medians)


def test_limits_are_log_log_greenwood():
    """At week 10: Greenwood's variance by hand, 3/(21*18) + 1/(17*16) + 1/(15*14), on the scale of log(-log)."""
    curve = survival(DRUG, np.array(RELAPSED, bool), DRUG)
    k = curve.times.tolist().index(10)
    share = curve.unsolved[k]
    error = 1.959964 * math.sqrt(3 / (21 * 18) + 1 / (17 * 16) + 1 / (15 * 14)) / abs(math.log(share))
    expected = [share ** math.exp(error), share ** math.exp(-error)]
    assert [curve.low[k], curve.high[k]] == pytest.approx(expected, abs=1e-6)


def test_the_interval_of_the_median_is_where_the_limits_hold_one_half():
    curve = survival(PLACEBO, np.ones(21, bool), PLACEBO)
    inside = curve.times[(curve.low <= 0.5) & (curve.high > 0.5)]
    assert (curve.median_low, curve.median_high) == (inside[0], curve.times[curve.high <= 0.5][0])
    assert curve.median_low < curve.median < curve.median_high


def test_unsolved_networks_are_censored_not_dropped():
    """Half solve at 10: the median is 10. Without the unsolved it would be too, so a third is asked as well."""
    half = survival([10, 10, pd.NA, pd.NA], [True, True, False, False], 100)
    assert (half.median, half.unsolved.tolist()) == (10, [0.5, 0.5])
    third = survival([10, -1, -1], [True, False, False], 100)
    assert third.median == math.inf
    assert third.unsolved[0] == pytest.approx(2 / 3)


@pytest.mark.parametrize(("solved", "share"), [(False, 1.0), (True, 0.0)])
def test_curves_without_spread_have_limits(solved, share):
    curve = survival([5, 5, 5], [solved] * 3, 100)
    assert curve.unsolved[-1] == share
    assert np.isfinite(curve.low).all()
    assert np.isfinite(curve.high).all()
    assert curve.median == (5 if solved else math.inf)


def test_refusals():
    with pytest.raises(ValueError, match="must have at least one network, but got none"):
        survival([], [], [])
    with pytest.raises(ValueError, match="must be a number for each solved network"):
        survival([pd.NA, 3], [True, True], 10)


def test_median_intervals_cover():
    """Exponential times with median 100, censored at 250: 400 curves of 60 networks; a share of 400 has an error of
    1.1%."""
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(400):
        times = rng.exponential(100 / math.log(2), 60)
        curve = survival(np.minimum(times, 250), times < 250, 250)
        hits += curve.median_low <= 100 < curve.median_high
    assert 0.915 < hits / 400 < 0.985


def test_a_table_of_medians(small):
    table = survival_table(small, "optimizer.lr")
    assert table["optimizer.lr"].tolist() == [0.01, 0.1, 1.0, 10.0]
    assert table["networks"].tolist() == [150] * 4
    assert table["median"].iloc[-1] == math.inf
    assert 0 < table["median_low"].iloc[0] <= table["median"].iloc[0] <= table["median_high"].iloc[0]


def test_networks_of_mini_batches_are_censored_after_their_last_update(outcomes):
    """The table counts passes: 20 of 15 updates. Half solve, after more updates than there are passes; the others
    were there all the time, so that half are unsolved in the end and not none."""
    solved = [True, True, False, False]
    table = outcomes(
        **{"activation.name": "relu"}, seed=range(4), solved=solved, solved_at=[100, 240, None, None], epochs=20
    )
    table["solved_at"] = table["solved_at"].astype("Int64")
    assert updates_made(table).tolist() == [240] * 4
    (row,) = survival_table(table, "activation.name").to_dict("records")
    assert row["median"] == 240
    groups = group_by(table, ["activation.name"])
    assert median_updates(table, groups).tolist() == [240]
    assert survival_table(table[1:], "activation.name")["median"].tolist() == [math.inf]


def test_trainings_of_other_lengths_are_told_apart(outcomes):
    lengths = {"epochs": [20, 20, 500, 500], "train.batch_size": [4, 4, 4, 8]}
    table = outcomes(seed=range(4), solved=[True, False, True, False], solved_at=[100, None, 700, None], **lengths)
    table["solved_at"] = table["solved_at"].astype("Int64")
    assert updates_made(table).tolist() == [100, 100, 700, 500]


@pytest.mark.parametrize(
    ("end", "confidence", "line"),
    [
        (math.inf, 0.95, "must have finite times"),
        (math.nan, 0.95, "must have finite times"),
        (9, 95, "got 95; try 0.95"),
    ],
)
def test_a_curve_refuses_what_it_cannot_be_drawn_of(end, confidence, line):
    with pytest.raises(ValueError, match=line):
        survival([3, 0], [True, False], end, confidence)
