from __future__ import annotations

import runpy
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from scipy.optimize import brentq, minimize_scalar

from nnspec.analysis import Difference, independent_difference, paired_difference
from nnspec.analysis.differences import sign_tail

COUNTS = [(56, 70, 48, 80), (7, 34, 1, 34), (5, 5, 0, 5), (0, 12, 3, 40), (1, 3, 2, 3)]  # solved, networks, of each
CONFIDENCES = (0.3, 0.5, 0.8, 0.9, 0.9375, 0.95, 0.99, 0.999)


def sign_flip_p(differences) -> float:
    """The p-value where each seed has this difference of networks solved."""
    d = np.asarray(differences)
    return paired_difference(np.maximum(d, 0), np.maximum(-d, 0), np.maximum(np.abs(d), 1)).p


def agrees(found: Difference, confidence: float) -> bool:
    """0 is left out exactly where p < 1 - confidence."""
    return (found.p < 1 - confidence) == (found.low > 0 or found.high < 0)


@pytest.mark.parametrize(("only_a", "only_b"), [(0, 0), (1, 0), (5, 5), (6, 16), (300, 361)])
def test_one_pair_a_seed_is_the_exact_mcnemar_test(only_a, only_b):
    expected = stats.binomtest(only_a, only_a + only_b).pvalue if only_a + only_b else 1.0
    assert sign_flip_p(np.repeat([1, -1, 0], [only_a, only_b, 7])) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize(("both", "only_a", "only_b", "none"), [(59, 6, 16, 80), (3, 0, 5, 1), (10, 4, 4, 2)])
def test_one_pair_a_seed_is_statsmodels_mcnemar(both, only_a, only_b, none):
    from statsmodels.stats.contingency_tables import mcnemar

    counts = [both, only_a, only_b, none]
    found = paired_difference(np.repeat([1, 1, 0, 0], counts), np.repeat([1, 0, 1, 0], counts))
    assert found.p == pytest.approx(mcnemar([[both, only_a], [only_b, none]], exact=True).pvalue, rel=1e-10)


@pytest.mark.parametrize("counts", COUNTS)
def test_the_score_test_of_no_difference_is_statsmodels(counts):
    """Of no difference only: its likeliest rates that differ by something solve another cubic than the published."""
    from statsmodels.stats.proportion import test_proportions_2indep as two_proportions

    x1, n1, x2, n2 = counts
    with np.errstate(divide="ignore"):  # it reports an infinite ratio besides
        expected = two_proportions(*counts, method="score", compare="diff", correction=True)
    found = independent_difference(np.arange(n1) < x1, np.arange(n2) < x2)
    assert found.p == pytest.approx(expected.pvalue, rel=1e-10)


@pytest.mark.parametrize(
    "differences", [[3, 1, -1, 2], [5, 0, 0], [4, 4, -2, 1, 1, 3, -1, 6], [1, -1], [2, -3, 5, 5, 1, 1, -1, 4, 3]]
)
def test_sign_flips_equal_all_signs_tried(differences):
    size = np.abs(np.array(differences))
    sums = [abs(int(np.dot(signs, size))) for signs in product([-1, 1], repeat=len(size))]
    assert sign_flip_p(differences) == pytest.approx(np.mean(np.array(sums) >= abs(sum(differences))), rel=1e-12)


def test_sign_flips_are_scipy_s_permutation_test():
    d = np.random.default_rng(3).integers(-4, 6, 12)
    expected = stats.permutation_test((d,), np.sum, permutation_type="samples", n_resamples=2**12).pvalue
    assert sign_flip_p(d) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("tilt", [-0.4, 0.0, 0.1, 0.7])
def test_a_tilted_tail_is_that_of_all_signs_weighted(tilt):
    d = np.array([2, -3, 1, 1, 4, -1, 0])
    size = np.abs(d[d != 0])
    signs = np.array(list(product([-1, 1], repeat=len(size))))
    weights = np.exp(tilt * signs @ size)
    assert sign_tail(d)(tilt) == pytest.approx(weights[signs @ size >= d.sum()].sum() / weights.sum(), rel=1e-12)


def test_the_normal_limit_meets_the_exact_value():
    d = np.random.default_rng(0).integers(-4, 5, 900) + (np.arange(900) % 9 == 0)
    for tilt in (-0.005, 0.0, 0.01):
        exact, limit = sign_tail(d)(tilt), sign_tail(d, exact_seeds=0)(tilt)
        # The limit leaves out half a step of the sum, about 1 in 160 standard errors here.
        assert limit == pytest.approx(exact, rel=0.05)
        assert limit != exact


@pytest.mark.parametrize(("solved", "seeds"), [(1, 20), (7, 20), (19, 20), (3, 500)])
def test_differences_of_one_sign_end_at_clopper_and_pearson(solved, seeds):
    a = np.arange(seeds) < solved
    assert paired_difference(a, np.zeros(seeds)).high == pytest.approx(
        stats.binomtest(solved, seeds).proportion_ci().high, rel=1e-9
    )


def test_nothing_that_differs_is_no_certainty():
    """None of 20 pairs differ: at most a share differs that Clopper and Pearson allow, either way."""
    most = stats.binomtest(0, 20).proportion_ci().high
    assert paired_difference(np.ones(20), np.ones(20)) == pytest.approx((-most, most, 1.0))


def test_intervals_turn_with_their_arguments():
    rng = np.random.default_rng(1)
    a, b = rng.binomial(4, 0.7, 30), rng.binomial(4, 0.4, 30)
    for interval in (lambda x, y: paired_difference(x, y, 4), lambda x, y: independent_difference(x, y, 4, 4)):
        (low, high, p), turned = interval(a, b), interval(b, a)
        assert turned == pytest.approx((-high, -low, p))
        assert -1 <= low < high <= 1


def test_large_samples_approach_the_normal_interval():
    rng = np.random.default_rng(2)
    strength = rng.normal(size=(20_000, 1))
    a, b = ((strength + rng.normal(size=(20_000, 5)) > cut).sum(axis=1) for cut in (0.1, 0.2))
    d = (a - b) / 5
    error = 1.959964 * d.std() / np.sqrt(len(d))
    assert paired_difference(a, b, 5)[:2] == pytest.approx((d.mean() - error, d.mean() + error), abs=0.02 * error)


@pytest.mark.parametrize("seeds", range(1, 13))
def test_every_table_of_pairs_agrees_with_its_p_value_at_every_confidence(seeds):
    for only_a in range(seeds + 1):
        for only_b in range(seeds + 1 - only_a):
            d = np.repeat([1, -1, 0], [only_a, only_b, seeds - only_a - only_b])
            for confidence in CONFIDENCES:
                assert agrees(paired_difference(d > 0, d < 0, 1, confidence), confidence), (only_a, only_b, confidence)


def test_every_pair_of_counts_agrees_with_its_p_value_at_every_confidence():
    for n1, n2 in ((1, 1), (2, 3), (4, 4), (7, 5), (9, 9), (20, 11)):
        for x1 in range(n1 + 1):
            for x2 in range(n2 + 1):
                for confidence in CONFIDENCES:
                    found = independent_difference(np.arange(n1) < x1, np.arange(n2) < x2, 1, 1, confidence)
                    assert agrees(found, confidence), (x1, n1, x2, n2, confidence)
                    assert found.low <= x1 / n1 - x2 / n2 <= found.high


def test_clusters_of_any_size_agree_with_their_p_value():
    rng = np.random.default_rng(4)
    for _ in range(300):
        seeds, most = rng.integers(1, 40), rng.integers(1, 9)
        sizes = rng.integers(1, most + 1, seeds)
        a, b = rng.binomial(sizes, rng.choice([0, 0.1, 0.6, 1])), rng.binomial(sizes, rng.choice([0, 0.2, 0.5, 1]))
        confidence = float(rng.choice(CONFIDENCES))
        for found in (
            paired_difference(a, b, sizes, confidence),
            independent_difference(a, b, sizes, sizes, confidence),
        ):
            assert agrees(found, confidence)
            assert -1 <= found.low <= (a - b).sum() / sizes.sum() <= found.high <= 1


# Newcombe, Statistics in Medicine 17 (1998) 873, table II (a), method 6
def test_independent_rates_have_miettinen_and_nurminen_s_interval():
    found = independent_difference(np.arange(70) < 56, np.arange(80) < 48)
    assert found[:2] == pytest.approx((0.0528, 0.3382), abs=5e-5)


@pytest.mark.parametrize("counts", COUNTS)
def test_the_score_interval_is_that_of_a_likelihood_maximised_by_search(counts):
    x1, n1, x2, n2 = counts

    def score(difference):
        def surprise(second):
            first = second + difference
            return -sum(
                k * np.log(max(p, 1e-300))
                for k, p in ((x1, first), (n1 - x1, 1 - first), (x2, second), (n2 - x2, 1 - second))
            )

        bounds = max(0.0, -difference), min(1.0, 1 - difference)
        second = minimize_scalar(surprise, bounds=bounds, method="bounded", options={"xatol": 1e-12}).x
        first = second + difference
        variance = (first * (1 - first) / n1 + second * (1 - second) / n2) * (n1 + n2) / (n1 + n2 - 1)
        return (x1 / n1 - x2 / n2 - difference) / np.sqrt(variance)

    estimate, z = x1 / n1 - x2 / n2, stats.norm.ppf(0.975)
    low = brentq(lambda at: score(at) - z, -1 + 1e-6, estimate - 1e-9) if estimate > -1 else -1
    high = brentq(lambda at: score(at) + z, estimate + 1e-9, 1 - 1e-6) if estimate < 1 else 1
    found = independent_difference(np.arange(n1) < x1, np.arange(n2) < x2)
    assert found[:2] == pytest.approx((low, high), abs=1e-5)  # the search finds a flat maximum to about 1e-7
    assert found.p == pytest.approx(2 * stats.norm.sf(abs(score(0))), rel=1e-5)


COVERAGE = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "coverage.py"))
DESIGNS = COVERAGE["DESIGNS"]


def check_coverage(sample: str, design, seeds: int, alike: float, samples: int, least: float, missing: float = 0.0):
    found = COVERAGE["score"](COVERAGE[sample], design, seeds, alike, samples, missing)
    assert found.coverage >= least - 3 * np.sqrt(0.05 * 0.95 / samples), (
        found
    )  # three standard errors of the simulation
    assert found.contradictions == 0


@pytest.mark.parametrize("design", DESIGNS, ids=lambda design: design.name)
def test_paired_intervals_hold_the_difference_and_agree(design):
    check_coverage("paired", design, 20, 0.6, 200, 0.95)


@pytest.mark.slow
@pytest.mark.parametrize("alike", COVERAGE["ALIKE"])
@pytest.mark.parametrize("seeds", [10, 50, 1000])  # more, and more samples: python benchmarks/coverage.py
@pytest.mark.parametrize("design", DESIGNS, ids=lambda design: design.name)
def test_intervals_hold_the_difference_and_agree(design, seeds, alike):
    samples = 200 if seeds == 1000 else 300
    check_coverage("paired", design, seeds, alike, samples, 0.95)
    check_coverage("paired", design, seeds, alike, samples, 0.95, missing=0.3)
    # Miettinen and Nurminen's interval holds its level on average over rates, not at each: from 0.93 up
    check_coverage("independent", design, seeds, alike, samples, 0.93)
