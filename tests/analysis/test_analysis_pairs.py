from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from nnspec.analysis.differences import paired_difference
from nnspec.analysis.levels import AnalysisError
from nnspec.analysis.pairs import axes_to_compare, compare, holm


def test_the_axes_to_compare_are_those_named_or_the_widest():
    table = pd.DataFrame(
        {"activation.name": ["a", "a", "b", "b"], "model.hidden": ["[1]", "[2]", "[3]", "[3]"], "seed": [0, 1, 0, 1]}
    )
    axes = ["optimizer.lr", "activation.name", "model.hidden"]  # of which the table has no rates
    assert axes_to_compare(table, None, axes) == axes_to_compare(table, [], axes) == ["model.hidden"]
    assert axes_to_compare(table, "activation", axes) == ["activation.name"]
    assert axes_to_compare(table, ["activation", "model.depth", "activation.name"], axes) == [
        "activation.name",
        "model.hidden",
    ]
    with pytest.raises(AnalysisError, match="compare needs a sweep that varies more than seeds"):
        axes_to_compare(table, None, ["optimizer.lr"])


def test_holm():
    """R: p.adjust(c(0.01, 0.04, 0.03, 0.005), 'holm')."""
    assert holm([0.01, 0.04, 0.03, 0.005]).tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]).tolist() == [1.0, 1.0]


@pytest.mark.parametrize("count", [1, 7, *[pytest.param(count, marks=pytest.mark.slow) for count in (2, 100)]])
def test_holm_is_statsmodels(count):
    from statsmodels.stats.multitest import multipletests

    p = np.random.default_rng(count).random(count) ** 3
    p[::3] = p[0]  # ties too
    np.testing.assert_allclose(holm(p), multipletests(p, method="holm")[1], rtol=1e-15)


def test_pairs_of_a_sweep(outcomes):
    counts = [59, 6, 16, 80]  # of pairs in which both solved, a alone, b alone, none (Cavo et al. 2012)
    a, b = np.repeat([1, 1, 0, 0], counts), np.repeat([1, 0, 1, 0], counts)
    table = outcomes(
        activation=["relu"] * 161 + ["tanh"] * 161, seed=[*range(161)] * 2, solved=np.concatenate([a, b]).astype(bool)
    )
    frame = compare(table, "activation", ["activation"])
    row = frame.iloc[0]
    assert (row["a"], row["b"], row["networks_a"], bool(row["paired"])) == ("relu", "tanh", 161, True)
    assert row["difference"] == pytest.approx(-10 / 161)
    assert (row["low"], row["high"]) == paired_difference(a, b)[:2]
    assert row["high"] > 0
    assert row["p"] == row["p_holm"] == pytest.approx(stats.binomtest(6, 22).pvalue)


def test_pairs_do_not_depend_on_the_order_of_rows(small):
    shuffled = small.sample(frac=1, random_state=0)
    one, other = compare(small, "optimizer.lr"), compare(shuffled, "optimizer.lr")
    pd.testing.assert_frame_equal(one, other)


def test_pairs_that_share_a_seed_are_tested_by_seed(small):
    frame = compare(small, "optimizer.lr").set_index(["a", "b"])
    sums = small.pivot_table(index="seed", columns="optimizer.lr", values="solved", aggfunc="sum")
    row = frame.loc[(0.01, 1.0)]
    assert (row["low"], row["high"], row["p"]) == pytest.approx(paired_difference(sums[0.01], sums[1.0], 5))


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
    # Newcombe, Statistics in Medicine 17 (1998) 873, table II (a), method 6
    assert (row["low"], row["high"]) == pytest.approx((0.0528, 0.3382), abs=5e-5)
    # the score test of no difference is Pearson's, less 1 in N
    pearson = stats.chi2_contingency([[56, 14], [48, 32]], correction=False).statistic
    assert row["p"] == pytest.approx(stats.chi2.sf(pearson * 149 / 150, 1))


def test_a_level_with_cells_left_out_is_paired_on_what_is_shared(small):
    part = small[~((small["activation.name"] == "tanh") & (small["optimizer.lr"] == 10))]
    frame = compare(part, "activation.name").set_index(["a", "b"])
    assert frame.loc[("relu", "tanh"), "networks_a"] == 90
    assert frame.loc[("relu", "gelu"), "networks_a"] == 120
    assert frame["paired"].all()


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
