"""Means of a measure and their differences, against SciPy's t-tests and by simulation."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from nnspec.analysis import AnalysisError, compare, measure_means
from nnspec.analysis.means import independent_mean_difference, mean_limits, mean_of, paired_mean_difference

EXACT = 1e-12  # relative: the same formulas in another order of sums


def frame(rng, seeds=8, levels=("a", "b"), **columns):
    """A table of one axis: every level has every seed."""
    rows = [(level, seed) for level in levels for seed in range(seeds)]
    table = pd.DataFrame(rows, columns=["activation.name", "seed"])
    table = table.assign(solved=False, final_loss=rng.random(len(table)), final_accuracy=rng.random(len(table)))
    return table.assign(**columns)


def test_the_paired_difference_is_scipys():
    x, y = np.random.default_rng(0).normal((0.6, 0.5), 0.2, (15, 2)).T
    oracle = stats.ttest_rel(x, y)
    for confidence in (0.9, 0.95, 0.999):
        found = paired_mean_difference(x, y, confidence=confidence)
        assert found.p == pytest.approx(oracle.pvalue, rel=EXACT)
        assert (found.low, found.high) == pytest.approx(tuple(oracle.confidence_interval(confidence)), rel=EXACT)


def test_the_independent_difference_is_welchs():
    rng = np.random.default_rng(1)
    x, y = rng.normal(0.6, 0.1, 9), rng.normal(0.4, 0.3, 14)
    oracle = stats.ttest_ind(x, y, equal_var=False)
    found = independent_mean_difference(x, y)
    assert found.p == pytest.approx(oracle.pvalue, rel=EXACT)
    assert (found.low, found.high) == pytest.approx(tuple(oracle.confidence_interval(0.95)), rel=EXACT)


def test_seeds_and_not_networks_are_independent():
    """Each seed four times is as good as its mean once."""
    x, y = np.random.default_rng(2).random((2, 10, 4))
    oracle = stats.ttest_rel(x.mean(1), y.mean(1))
    found = paired_mean_difference(x.sum(1), y.sum(1), 4)
    assert found.p == pytest.approx(oracle.pvalue, rel=EXACT)
    assert (found.low, found.high) == pytest.approx(tuple(oracle.confidence_interval(0.95)), rel=EXACT)


def test_seeds_of_several_sizes_have_the_variance_of_a_ratio():
    """A jackknife over seeds, which knows nothing of the formula, is as wide within a hundredth."""
    rng = np.random.default_rng(3)
    sizes = rng.integers(1, 6, 400)
    sums = np.array([rng.normal(rng.normal(), 1, m).sum() for m in sizes])
    without = (sums.sum() - sums) / (sizes.sum() - sizes)
    jackknife = math.sqrt((len(sums) - 1) * without.var())
    assert mean_of(sums, sizes).error == pytest.approx(jackknife, rel=0.01)


def test_the_interval_never_contradicts_the_p_value():
    rng = np.random.default_rng(4)
    for _ in range(500):
        seeds = int(rng.integers(1, 12))
        x, y = rng.choice([0.0, 0.25, 0.5, 0.75, 1.0], (2, seeds), p=rng.dirichlet(np.ones(5)))
        for found in (paired_mean_difference(x, y, most=1), independent_mean_difference(x, y, most=1)):
            assert (found.low > 0 or found.high < 0) == (found.p < 0.05), (x, y, found)
            assert -1 <= found.low <= found.high <= 1


def test_seeds_that_all_agree_are_no_certainty():
    assert paired_mean_difference([1.0] * 4, [0.5] * 4, most=1).p == 2**-3
    few = paired_mean_difference([1.0] * 4, [0.5] * 4, most=1)
    many = paired_mean_difference([1.0] * 20, [0.5] * 20, most=1)
    assert few.low < 0 < many.low
    missed = 1 - 0.025 ** (1 / 20)  # Clopper and Pearson's limit for 0 of 20
    assert many.high == pytest.approx(0.5 + missed * 0.5, rel=EXACT)
    assert mean_limits(mean_of([1.0] * 20), 0, 1) == pytest.approx((1 - missed, 1), rel=EXACT)


def test_one_seed_says_nothing_of_a_spread():
    assert paired_mean_difference([0.9], [0.1], most=1) == (-1, 1, 1)
    assert mean_limits(mean_of([0.9]), 0, 1) == (0, 1)


def test_losses_near_the_largest_float():
    big = 1e200
    x, y = np.random.default_rng(5).random((2, 10))
    small, large = paired_mean_difference(x, y), paired_mean_difference(big * x, big * y)
    assert large.p == pytest.approx(small.p, rel=EXACT)
    assert large.low == pytest.approx(big * small.low, rel=EXACT)


def test_intervals_cover_as_often_as_they_say():
    """Accuracies that bunch near 1: 2000 sweeps of 20 seeds. Four binomial standard errors are 0.0195."""
    rng = np.random.default_rng(6)
    x, y = rng.beta(8, 1.5, (2, 2000, 20))
    found = [paired_mean_difference(one, other, most=1) for one, other in zip(x, y, strict=True)]
    assert np.mean([each.low <= 0 <= each.high for each in found]) == pytest.approx(0.95, abs=0.0195)


@pytest.mark.parametrize("measure", ["final_loss", "final_accuracy"])
def test_compare_takes_a_measure(measure):
    table = frame(np.random.default_rng(7), levels=("a", "b", "c"))
    found = compare(table, "activation", measure=measure)
    sides = dict(tuple(table.groupby("activation.name")[measure]))
    for row in found.itertuples():
        oracle = stats.ttest_rel(sides[row.a].to_numpy(), sides[row.b].to_numpy())
        assert row.p == pytest.approx(oracle.pvalue, rel=EXACT)
        assert row.difference == pytest.approx(sides[row.a].mean() - sides[row.b].mean(), rel=EXACT)
        assert row.paired
    assert found["p_holm"].min() == pytest.approx(min(1, 3 * found["p"].min()), rel=EXACT)  # Holm: the least of three


def test_compare_of_other_seeds_is_welchs():
    table = frame(np.random.default_rng(8))
    table["seed"] += 100 * (table["activation.name"] == "b")
    (row,) = compare(table, "activation", measure="final_loss").itertuples()
    sides = [part.to_numpy() for _, part in table.groupby("activation.name")["final_loss"]]
    assert row.p == pytest.approx(stats.ttest_ind(*sides, equal_var=False).pvalue, rel=EXACT)
    assert not row.paired


def test_networks_that_broke_count_as_the_worst():
    rng = np.random.default_rng(9)
    table = frame(rng)
    table.loc[[0, 9], "final_loss"] = np.nan, np.inf
    mended = table.copy()
    mended.loc[[0, 9], "final_loss"] = table["final_loss"][np.isfinite(table["final_loss"])].max()
    found, wanted = (compare(each, "activation", measure="final_loss").iloc[0] for each in (table, mended))
    assert (found["broken_a"], found["broken_b"]) == (1, 1)
    assert found.drop(["broken_a", "broken_b"]).equals(wanted.drop(["broken_a", "broken_b"]))
    assert measure_means(table, "activation", "final_loss")["broken"].tolist() == [1, 1]


def test_means_of_levels_are_scipys():
    table = frame(np.random.default_rng(10))
    found = measure_means(table, "activation", "final_loss")
    for row, (_, values) in zip(found.itertuples(), table.groupby("activation.name")["final_loss"], strict=True):
        limits = stats.t.interval(0.95, len(values) - 1, values.mean(), stats.sem(values))
        assert (row.mean, row.low, row.high) == pytest.approx((values.mean(), *limits), rel=EXACT)


def test_a_measure_that_there_is_not_is_refused():
    table = frame(np.random.default_rng(11))
    with pytest.raises(AnalysisError, match=r"final_los.*final_loss"):
        compare(table, "activation", measure="final_los")
    with pytest.raises(AnalysisError, match=r"16 of 16 have none; set data\.test_fraction"):
        compare(table, "activation", measure="final_test_loss")
    some = table.assign(final_test_accuracy=[0.5] * 15 + [np.nan], final_test_loss=0.1)
    with pytest.raises(AnalysisError, match="1 of 16 have none"):
        compare(some, "activation", measure="final_test_loss")
    with pytest.raises(AnalysisError, match="all 16 broke; compare solved"):
        compare(table.assign(final_loss=np.nan), "activation", measure="final_loss")
