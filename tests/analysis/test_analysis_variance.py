from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from nnspec.analysis.levels import AnalysisError, group_by
from nnspec.analysis.variance import by_least_squares, by_means, effects


def by_rates(outcomes, rates, replicates=20):
    """A table over axes a, b, ... whose combinations solve exactly at ``rates`` (an array with one axis an axis)."""
    rows = [
        (*index, s, s < round(rate * replicates)) for index, rate in np.ndenumerate(rates) for s in range(replicates)
    ]
    names = [*"abcd"[: rates.ndim], "seed", "solved"]
    return outcomes(**dict(zip(names, (list(column) for column in zip(*rows, strict=True)), strict=True)))


def shares(frame, column="explained"):
    return dict(zip(frame["term"], frame[column], strict=True))


def test_an_additive_table_has_no_interaction(outcomes):
    """Rates 0.2 + {0, 0.2} + {0, 0.4}: squares of 0.1 and 0.2 about the mean, so shares of 1/5 and 4/5."""
    frame = effects(by_rates(outcomes, np.array([[0.2, 0.6], [0.4, 0.8]])), ["a", "b"])
    assert shares(frame) == pytest.approx({"a": 0.2, "b": 0.8, "a x b": 0, "higher orders": 0}, abs=1e-12)
    # Total: four squares of rates (0.05 * 4) over them plus the mean of p(1 - p) within.
    within = 0.16 + 0.24 + 0.24 + 0.16
    assert shares(frame, "total")["b"] == pytest.approx(0.16 / (0.2 + within))


def test_xor_of_axes_is_all_interaction(outcomes):
    frame = effects(by_rates(outcomes, np.array([[0.0, 1.0], [1.0, 0.0]])), ["a", "b"])
    assert shares(frame) == pytest.approx({"a": 0, "b": 0, "a x b": 1, "higher orders": 0}, abs=1e-12)
    assert shares(frame, "total")["a x b"] == pytest.approx(1)


def test_shares_and_freedom_add_up(outcomes):
    rates = np.random.default_rng(0).integers(0, 21, (3, 4, 5)) / 20
    frame = effects(by_rates(outcomes, rates), ["a", "b", "c"])
    assert frame["explained"].sum() == pytest.approx(1)
    assert frame["df"].sum() == 59
    assert shares(frame, "df") == {"a": 2, "b": 3, "c": 4, "a x b": 6, "a x c": 8, "b x c": 12, "higher orders": 24}


@pytest.mark.parametrize("missing", [0, 3])
def test_squares_are_statsmodels_anova(outcomes, missing):
    """Of type II, on the rate of each combination, some of them missing or none."""
    from statsmodels.formula.api import ols
    from statsmodels.stats.anova import anova_lm

    rates = np.random.default_rng(missing).integers(0, 21, (3, 4, 3)) / 20
    table = by_rates(outcomes, rates)
    gone = {(0, 1, 2), (2, 3, 0), (1, 0, 1)} if missing else set()
    table = table[[key not in gone for key in zip(table["a"], table["b"], table["c"], strict=True)]]
    by_cell = table.groupby(["a", "b", "c"], as_index=False)["solved"].mean()
    fitted = ols("solved ~ (C(a) + C(b) + C(c)) ** 2", by_cell.astype({"solved": float})).fit()
    expected = anova_lm(fitted, typ=2).rename(lambda term: term.replace("C(", "").replace(")", "").replace(":", " x "))
    between = float(((by_cell["solved"] - by_cell["solved"].mean()) ** 2).sum())
    frame = effects(table, ["a", "b", "c"]).set_index("term")
    for term in ("a", "b", "c", "a x b", "a x c", "b x c"):
        assert frame.loc[term, "explained"] * between == pytest.approx(expected.loc[term, "sum_sq"], abs=1e-10)
        assert frame.loc[term, "df"] == expected.loc[term, "df"]
    assert frame.loc["higher orders", "df"] == expected.loc["Residual", "df"]


def test_a_full_grid_needs_no_least_squares(outcomes):
    """The fast path (means over the grid) and its slow twin (least squares) on the same balanced table."""
    rates = np.random.default_rng(1).integers(0, 21, (3, 4, 2)) / 20
    groups = group_by(by_rates(outcomes, rates), ["a", "b", "c"])
    terms = [(0,), (1,), (2,), (0, 1), (0, 2), (1, 2)]
    fast, slow = (form(groups, terms, rates.ravel()) for form in (by_means, by_least_squares))
    for term in terms:
        assert fast[term] == pytest.approx(slow[term], abs=1e-10)


def test_unequal_numbers_leave_balanced_rates_alone(outcomes):
    table = by_rates(outcomes, np.array([[0.2, 0.6], [0.4, 0.8]]))
    again = table[(table["a"] == 0) & (table["b"] == 1)]
    frame = effects(pd.concat([table, again.assign(seed=again["seed"] + 20)]), ["a", "b"])
    assert shares(frame)["b"] == pytest.approx(0.8)


def test_missing_combinations_do_not_blame_the_wrong_axis(outcomes):
    """Only b matters; leaving out one corner correlates a with b, which marginal means would credit to a."""
    rates = np.tile([0.1, 0.5, 0.9], (3, 1))
    table = by_rates(outcomes, rates)
    frame = effects(table[~((table["a"] == 2) & (table["b"] == 2))], ["a", "b"])
    assert shares(frame)["a"] == pytest.approx(0, abs=1e-12)
    assert shares(frame)["a x b"] == pytest.approx(0, abs=1e-12)


def test_noise_alone_takes_what_by_chance_says(sweep):
    """No axis matters: the mean share of a term over 200 tables is what by_chance announces."""
    found = [
        effects(sweep({"a": [1, 2, 3], "b": [1, 2]}, 10, lambda a, b: 0.4, seed), ["a", "b"]) for seed in range(200)
    ]
    share = np.mean([shares(frame, "total")["a"] for frame in found])
    chance = np.mean([shares(frame, "by_chance")["a"] for frame in found])
    # A mean of 200 shares, each about as large as its spread, has a standard error of 7%.
    assert share == pytest.approx(chance, rel=0.25)


@pytest.mark.parametrize("rate", [1.0, 0.3])
def test_nothing_to_explain_is_zero_not_an_error(outcomes, rate):
    frame = effects(by_rates(outcomes, np.full((2, 5), rate), 10), ["a", "b"])
    assert not frame[["explained", "total"]].to_numpy().any()
    assert (frame["by_chance"].sum() > 0) == (rate < 1)


@pytest.mark.parametrize(("axes", "text"), [(["a", "seed"], "other than 'seed'"), (["c"], "none varies; vary one")])
def test_refusals(outcomes, axes, text):
    with pytest.raises(AnalysisError, match=text):
        effects(by_rates(outcomes, np.ones((2, 2))).assign(c=1), axes)
