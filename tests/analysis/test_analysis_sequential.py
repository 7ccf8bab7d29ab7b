from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from nnspec.analysis.sequential import RATES, Looks, error_bound, exact_interval, looks, needed_replicates
from nnspec.errors import SpecError
from nnspec.intervals import wilson_interval


def stop(plan: Looks, rates: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Cells of ``rates`` [m] trained until the plan says stop: networks, low and high, [m] each."""
    solved, networks = np.zeros(len(rates), int), np.zeros(len(rates), int)
    going = np.ones(len(rates), bool)
    for size in plan.sizes:
        solved[going] += rng.binomial(size - networks[going], rates[going])
        networks[going] = size
        going &= ~plan.enough(solved, networks)
    return networks, *plan.interval(solved, networks)


@pytest.mark.parametrize(("solved", "networks"), [(0, 10), (3, 10), (10, 10), (62, 100)])
def test_exact_interval_is_scipys(solved, networks):
    expected = stats.binomtest(solved, networks).proportion_ci(0.95, "exact")
    assert [float(limit) for limit in exact_interval(solved, networks)] == pytest.approx(list(expected))


@pytest.mark.parametrize("confidence", [0.5, 0.95, 0.999])
def test_exact_intervals_of_arrays_are_statsmodels(confidence):
    from statsmodels.stats.proportion import proportion_confint

    solved, networks = np.meshgrid(np.arange(21), np.arange(20, 400, 37))
    expected = proportion_confint(solved, networks, 1 - confidence, method="beta")
    np.testing.assert_allclose(exact_interval(solved, networks, confidence), expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("rate", [0.001, 0.01, 0.05, 0.1, 0.5, 0.97])
def test_the_interval_stays_honest_under_repeated_looks(rate):
    """20,000 cells a rate; a share of 20,000 has a standard error of 0.15%."""
    plan = looks(0.1)
    _, low, high = stop(plan, np.full(20_000, rate), np.random.default_rng(0))
    assert ((low <= rate) & (rate <= high)).mean() > 0.9455


@pytest.mark.parametrize(
    ("interval", "rate", "precision", "most"),
    [(wilson_interval, 0.0005, 0.02, 0.9), (exact_interval, 0.15, 0.1, 0.9465)],
)
def test_an_ordinary_interval_does_not(interval, rate, precision, most):
    """The same stopping with ordinary 95% intervals: Wilson's holds in 85%, the exact one in 94% (which without looks
    is above 95%)."""
    rng = np.random.default_rng(0)
    solved, networks, going = np.zeros(20_000, int), np.zeros(20_000, int), np.ones(20_000, bool)
    for size in 20 * 2 ** np.arange(11):
        solved[going] += rng.binomial(size - networks[going], rate)
        networks[going] = size
        low, high = interval(solved, networks)
        going &= high - low > precision
    assert ((low <= rate) & (rate <= high)).mean() < most


def test_the_bound_is_above_the_simulated_error_and_within_the_promise():
    plan = looks(0.1)
    assert 0.045 < error_bound(plan) <= 0.05
    rng = np.random.default_rng(1)
    for rate in RATES[100::150]:
        _, low, high = stop(plan, np.full(20_000, rate), rng)
        missed = 1 - ((low <= rate) & (rate <= high)).mean()
        assert missed <= error_bound(plan, np.array([rate])) + 0.005


def test_a_finer_grid_of_rates_finds_nothing_worse():
    """The promise was checked on 800 rates; between them the bound moves by less than a tenth of it."""
    assert error_bound(looks(0.1), np.linspace(1e-5, 0.5, 20_001)) < 0.055


def test_every_cell_reaches_the_precision_and_extreme_ones_sooner():
    plan = looks(0.1)
    rates = np.repeat([0.0, 0.02, 0.5, 1.0], 200)
    networks, low, high = stop(plan, rates, np.random.default_rng(2))
    assert (high - low <= 0.1).all()
    assert (networks[rates == 0] == plan.sizes[0]).all()
    assert (networks[rates == 1] == plan.sizes[0]).all()
    assert networks[rates == 0.02].mean() < networks[rates == 0.5].mean() / 2


def test_sizes_are_within_the_bounds():
    plan = looks(0.05, least=200, most=700)
    assert plan.sizes[0] == 200
    assert plan.sizes[-1] == 700
    assert list(plan.sizes) == sorted(set(plan.sizes))
    assert plan.after(0) == 200
    assert plan.after(200) == plan.sizes[1]
    assert plan.after(700) is None
    assert error_bound(plan) <= 0.05


def test_a_look_that_ends_too_wide_can_miss_too():
    """One exact 95% interval of 100 networks misses in up to 5% (less by its steps), though it never reaches 0.001."""
    assert 0.035 < error_bound(Looks(0.001, 0.95, (100,), 0.95)) <= 0.05


def test_one_look_needs_no_price():
    assert looks(0.05, least=100, most=100) == Looks(0.05, 0.95, (100,), 0.95)


@pytest.mark.parametrize(("rate", "precision"), [(0.5, 0.1), (0.1, 0.05), (0.0, 0.02)])
def test_needed_replicates_is_the_first_that_suffices(rate, precision):
    needed = needed_replicates(rate, precision)
    low, high = exact_interval(np.array([needed, needed - 1]) * rate, [needed, needed - 1])
    assert (high - low)[0] <= precision < (high - low)[1]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"precision": 0}, "precision must be above 0 and below 1, but got 0; try precision=0.02"),
        ({"precision": 0.1, "confidence": 1}, "confidence must be above 0 and below 1"),
        ({"precision": 0.1, "least": 9, "most": 5}, "least must be at least 1 and at most 'most', but got 9 and 5"),
    ],
)
def test_refusals(arguments, text):
    with pytest.raises(SpecError, match=text):
        looks(**arguments)
