from __future__ import annotations

import numpy as np
import pytest

from nnspec.analysis.stats import design_effects, loss_quantiles, solve_rates
from nnspec.intervals import wilson_interval


# Newcombe, Statistics in Medicine 17 (1998) 857, table I, method 3.
@pytest.mark.parametrize(
    ("solved", "networks", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_rates_have_the_published_intervals(outcomes, solved, networks, low, high):
    table = outcomes(seed=np.arange(networks), solved=np.arange(networks) < solved)
    row = solve_rates(table, ()).iloc[0]
    assert (row["networks"], row["solved"]) == (networks, solved)
    assert row["low"] == pytest.approx(low, abs=5e-5)
    assert row["high"] == pytest.approx(high, abs=5e-5)


def test_mean_coverage_is_near_its_name_over_all_rates():
    """10,000 simulated cells; the mean of 10,000 such coverages has a standard error of 0.2%."""
    rng = np.random.default_rng(1)
    rates = rng.random(10_000)
    networks = rng.choice([10, 20, 50, 100, 1000], 10_000)
    low, high = wilson_interval(rng.binomial(networks, rates), networks)
    assert 0.94 < ((low <= rates) & (rates <= high)).mean() < 0.965


def test_rates_of_a_cell_are_plain_counts(small):
    rates = solve_rates(small, ["activation.name", "optimizer.lr"])
    expected = small.groupby(["activation.name", "optimizer.lr"])["solved"].agg(["size", "sum"])
    for row in rates.itertuples(index=False):
        size, solved = expected.loc[(row[0], row[1])]
        assert (row.networks, row.solved) == (size, solved)
        assert (row.low, row.high) == pytest.approx([float(limit) for limit in wilson_interval(solved, size)])


def test_copies_of_a_seed_add_no_knowledge(outcomes):
    """Eight cells in which every seed ends the same are one cell, so the interval is that of 40 networks, not of
    320."""
    solved = np.arange(40) % 4 == 0
    table = outcomes(seed=np.tile(np.arange(40), 8), solved=np.tile(solved, 8), cell=np.repeat(np.arange(8), 40))
    row = solve_rates(table, ()).iloc[0]
    low, high = wilson_interval(10, 40)
    assert (row["networks"], row["solved"]) == (320, 80)
    # The spread between seeds is estimated with S - 1, so the effective number is 40 * 39 / 40, but never below one a
    # seed.
    assert (row["low"], row["high"]) == pytest.approx((float(low), float(high)), abs=1e-12)


def test_design_effect_by_hand():
    """Four seeds with 2, 1, 1 and 0 of 2 solved: squares of 2 about the mean, times 4/3, over 8 * 1/2 * 1/2."""
    solved = np.array([1, 1, 1, 0, 0, 1, 0, 0], bool)
    assert design_effects(np.zeros(8, int), np.repeat(np.arange(4), 2), solved, 1)[0] == pytest.approx(4 / 3)


def test_design_effect_is_statsmodels_variance_with_clusters():
    """Of a mean, over seeds of unequal numbers of networks, relative to that of as many independent networks."""
    from statsmodels.api import OLS

    rng = np.random.default_rng(5)
    seeds = np.repeat(np.arange(30), rng.integers(1, 9, 30))
    solved = rng.normal(size=30)[seeds] + rng.normal(size=len(seeds)) > 0
    fitted = OLS(solved.astype(float), np.ones(len(seeds))).fit(cov_type="cluster", cov_kwds={"groups": seeds})
    independent = solved.mean() * (1 - solved.mean()) / len(seeds)
    found = design_effects(np.zeros(len(seeds), int), seeds, solved, 1)
    assert found[0] == pytest.approx(fitted.cov_params()[0, 0] / independent)
    assert 1 < found[0] < len(seeds) / 30  # cut at neither bound


def test_design_effect_without_correlation_is_near_one():
    rng = np.random.default_rng(0)
    effect = design_effects(np.zeros(4000, int), np.tile(np.arange(500), 8), rng.random(4000) < 0.3, 1)
    assert 1 <= effect[0] < 1.2


def test_a_rate_of_zero_borrows_the_correlation_of_other_groups():
    seeds = np.tile(np.arange(100), 8)
    alike = np.tile(np.arange(100) % 2 == 0, 4)
    alone = design_effects(np.zeros(400, int), seeds[:400], np.zeros(400, bool), 1)
    beside = design_effects(np.repeat([0, 1], 400), seeds, np.concatenate([np.zeros(400, bool), alike]), 2)
    independent = np.random.default_rng(0).random(400) < 0.5
    free = design_effects(np.repeat([0, 1], 400), seeds, np.concatenate([np.zeros(400, bool), independent]), 2)
    assert alone[0] == 4
    assert beside[0] == pytest.approx(4)
    assert free[0] < 1.5


def test_pooled_intervals_cover_where_seeds_repeat():
    """40 seeds under 6 other levels, correlated within a seed: plain Wilson would cover about 70%."""
    rng = np.random.default_rng(3)
    hits, plain = [], []
    for _ in range(600):
        level = rng.normal(size=40)
        solved = (level[:, None] + 0.7 * rng.normal(size=(40, 6)) > 0).ravel()
        effect = design_effects(np.zeros(240, int), np.repeat(np.arange(40), 6), solved, 1)[0]
        for store, size in ((hits, 240 / effect), (plain, 240)):
            low, high = wilson_interval(solved.mean() * size, size)
            store.append(low <= 0.5 <= high)
    # A share of 600 has a standard error of 1%.
    assert 0.92 < np.mean(hits) < 0.98
    assert np.mean(plain) < 0.85


def test_losses_keep_diverged_networks_at_the_bad_end(outcomes):
    loss = [0.1, 0.2, 0.3, 0.4, np.nan, np.inf, 0.5, 0.6, 0.7, 0.8]
    row = loss_quantiles(outcomes(seed=range(10), solved=False, final_loss=loss), ()).iloc[0]
    assert row["networks"] == 10
    assert (row["q10"], row["q50"]) == (0.1, 0.5)
    assert np.isinf(row["q90"])


def test_loss_quantiles_do_not_depend_on_the_number_of_groups(sweep):
    table = sweep({"optimizer.lr": [float(i) for i in range(60)]}, 5, lambda lr: 0.5)
    many = loss_quantiles(table, "optimizer.lr")
    one = loss_quantiles(table[table["optimizer.lr"] == 7], "optimizer.lr")
    assert many.iloc[7].tolist() == one.iloc[0].tolist()
