from __future__ import annotations

from itertools import product

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from nnspec.analysis.levels import AnalysisError
from nnspec.analysis.pairs import compare, holm, mcnemar_p, newcombe_interval, paired_interval, sign_flip_p


# Newcombe, Statistics in Medicine 17 (1998) 873, table II (a), and Perondi et al. 2004 as in Fagerland et al., Statistical Analysis
# of Contingency Tables (2017), chapter 4.
@pytest.mark.parametrize(("counts", "limits"), [((56, 70, 48, 80), (0.0524, 0.3339)), ((7, 34, 1, 34), (0.0189, 0.3404))])
def test_newcombe_independent(counts, limits):
    assert newcombe_interval(*counts) == pytest.approx(limits, abs=5e-5)


def pairs(both, only_a, only_b, neither):
    counts = [both, only_a, only_b, neither]
    return np.repeat([1, 1, 0, 0], counts), np.repeat([1, 0, 1, 0], counts)


# Cavo et al. 2012 and a 2x2 identity, as in the R package contingencytables of Fagerland et al. (2017), chapter 8.
@pytest.mark.parametrize(("counts", "limits"), [((59, 6, 16, 80), (-0.1186, -0.0046)), ((1, 0, 0, 1), (-0.5734, 0.5734))])
def test_newcombe_paired(counts, limits):
    assert paired_interval(*pairs(*counts)) == pytest.approx(limits, abs=5e-5)


def test_paired_interval_turns_with_its_arguments():
    a, b = pairs(10, 9, 2, 12)
    low, high = paired_interval(a, b)
    assert paired_interval(b, a) == pytest.approx((-high, -low))


@pytest.mark.parametrize(("only_a", "only_b"), [(0, 0), (1, 0), (5, 5), (6, 16), (300, 361)])
def test_mcnemar_is_the_exact_binomial(only_a, only_b):
    expected = stats.binomtest(only_a, only_a + only_b).pvalue if only_a + only_b else 1.0
    assert mcnemar_p(only_a, only_b) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("differences", [[3, 1, -1, 2], [5, 0, 0], [4, 4, -2, 1, 1, 3, -1, 6], [1, -1], [2, -3, 5, 5, 1, 1, -1, 4, 3]])
def test_sign_flips_equal_all_signs_tried(differences):
    size = np.abs(np.array(differences))
    sums = [abs(int(np.dot(signs, size))) for signs in product([-1, 1], repeat=len(size))]
    assert sign_flip_p(differences) == pytest.approx(np.mean(np.array(sums) >= abs(sum(differences))), rel=1e-12)


def test_the_normal_limit_meets_the_exact_value(monkeypatch):
    d = np.random.default_rng(0).integers(-4, 6, 1500)
    exact = sign_flip_p(d)
    monkeypatch.setattr("nnspec.analysis.pairs.EXACT_LIMIT", 0)
    # The limit leaves out half a step of the sum, about 1 in 120 standard errors here.
    assert sign_flip_p(d) == pytest.approx(exact, rel=0.2)
    assert sign_flip_p(d) != exact


def test_holm():
    """R: p.adjust(c(0.01, 0.04, 0.03, 0.005), 'holm')."""
    assert holm([0.01, 0.04, 0.03, 0.005]).tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]).tolist() == [1.0, 1.0]


def test_pairs_of_a_sweep(outcomes):
    a, b = pairs(59, 6, 16, 80)
    table = outcomes(activation=["relu"] * 161 + ["tanh"] * 161, seed=[*range(161)] * 2, solved=np.concatenate([a, b]).astype(bool))
    frame = compare(table, "activation", ["activation"])
    row = frame.iloc[0]
    assert (row["a"], row["b"], row["networks_a"], bool(row["paired"])) == ("relu", "tanh", 161, True)
    assert row["difference"] == pytest.approx(-10 / 161)
    assert (row["low"], row["high"]) == pytest.approx((-0.1186, -0.0046), abs=5e-5)
    assert row["p"] == row["p_holm"] == pytest.approx(stats.binomtest(6, 22).pvalue)


def test_pairs_do_not_depend_on_the_order_of_rows(small):
    shuffled = small.sample(frac=1, random_state=0)
    one, other = compare(small, "optimizer.lr"), compare(shuffled, "optimizer.lr")
    pd.testing.assert_frame_equal(one, other)


def test_pairs_that_share_a_seed_are_tested_by_seed(small):
    frame = compare(small, "optimizer.lr").set_index(["a", "b"])
    sums = small.pivot_table(index="seed", columns="optimizer.lr", values="solved", aggfunc="sum")
    row = frame.loc[(0.01, 1.0)]
    assert row["p"] == pytest.approx(sign_flip_p(sums[0.01] - sums[1.0]))
    assert (row["low"], row["high"]) == pytest.approx(paired_interval(sums[0.01], sums[1.0], 5))


def test_three_levels_give_three_pairs_corrected_for_three(small):
    part = small[small["optimizer.lr"] < 10]
    frame = compare(part, "optimizer.lr")
    assert list(zip(frame["a"], frame["b"], strict=True)) == [(0.01, 0.1), (0.01, 1.0), (0.1, 1.0)]
    assert frame["p_holm"].tolist() == holm(frame["p"]).tolist()
    assert frame["paired"].all()


def test_without_shared_seeds_samples_are_independent(outcomes):
    solved = np.concatenate([np.arange(70) < 56, np.arange(80) < 48])
    table = outcomes(loss=["a"] * 70 + ["b"] * 80, seed=range(150), solved=solved)
    row = compare(table, "loss", ["loss"]).iloc[0]
    assert not row["paired"]
    assert (row["low"], row["high"]) == pytest.approx((0.0524, 0.3339), abs=5e-5)
    assert row["p"] == pytest.approx(stats.fisher_exact([[56, 14], [48, 32]]).pvalue)


def test_a_level_with_cells_left_out_is_paired_on_what_is_shared(small):
    part = small[~((small["activation.name"] == "tanh") & (small["optimizer.lr"] == 10))]
    frame = compare(part, "activation.name").set_index(["a", "b"])
    assert frame.loc[("relu", "tanh"), "networks_a"] == 90
    assert frame.loc[("relu", "gelu"), "networks_a"] == 120
    assert frame["paired"].all()


def clustered(rng, seeds, size, noise):
    """Solved of ``size`` networks a seed under two levels that do not differ: the seed matters much."""
    strength = rng.normal(size=(seeds, 1))
    return [(strength + noise * rng.normal(size=(seeds, size)) > 0.3).sum(axis=1) for _ in range(2)]


def test_clustered_pairs_keep_their_level_and_coverage():
    """Levels that do not differ, 40 seeds under 6 other levels: p below 0.05 in at most 5%, the interval holds 0 in about 95%.

    A share of 800 has a standard error of 0.8%.
    """
    rng = np.random.default_rng(5)
    p, held = [], []
    for _ in range(800):
        x, y = clustered(rng, 40, 6, 0.8)
        p.append(sign_flip_p(x - y))
        low, high = paired_interval(x, y, 6)
        held.append(low <= 0 <= high)
    assert np.mean(np.array(p) < 0.05) < 0.066
    assert 0.925 < np.mean(held) < 0.985


def test_seeds_within_an_interaction_are_not_independent_pairs():
    """The level's effect differs from seed to seed but is 0 on average: pairs taken one by one would be far too sure."""
    rng = np.random.default_rng(6)
    naive, ours = [], []
    for _ in range(500):
        x, y = (0.7 * rng.normal(size=(30, 1)) + 0.7 * rng.normal(size=(30, 10)) > 0 for _ in range(2))
        ours.append(sign_flip_p(x.sum(axis=1) - y.sum(axis=1)) < 0.05)
        naive.append(mcnemar_p(int((x & ~y).sum()), int((~x & y).sum())) < 0.05)
    assert np.mean(ours) < 0.075
    assert np.mean(naive) > 0.2


def test_paired_intervals_cover_a_difference():
    """Rates 0.7 and 0.5, correlated within a seed: 60 seeds, 1000 samples; a share of 1000 has a standard error of 0.7%."""
    rng = np.random.default_rng(7)
    z = rng.normal(size=(1000, 60, 1)) + rng.normal(size=(1000, 60, 2))
    a, b = z[..., 0] < np.sqrt(2) * stats.norm.ppf(0.7), z[..., 1] < np.sqrt(2) * stats.norm.ppf(0.5)
    limits = np.array([paired_interval(x, y) for x, y in zip(a, b, strict=True)])
    assert 0.935 < ((limits[:, 0] <= 0.2) & (limits[:, 1] >= 0.2)).mean() < 0.985


@pytest.mark.parametrize(
    ("by", "text"),
    [
        ("seed", "needs an axis other than 'seed'"),
        ("loss.name", "at least 2 levels, but 'loss.name' has 1; vary it"),
        ("optimizer", "did you mean 'optimizer.lr'"),
    ],
)
def test_refusals(small, by, text):
    with pytest.raises(AnalysisError, match=text):
        compare(small.assign(**{"loss.name": "bce"}), by)
