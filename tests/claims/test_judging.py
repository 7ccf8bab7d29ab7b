"""Claims judged by outcomes that are made up, cell by cell."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from scipy import stats

from nnspec.claims.estimates import Values, difference, estimate
from nnspec.claims.judging import ClaimError, Judged, answerable, judge
from nnspec.claims.writing import detail
from nnspec.errors import Fault
from nnspec.specs import RunSpec
from nnspec.study import HOLDS, REFUTED, UNDECIDED, Study, examine

SpecOf = Callable[..., RunSpec]


def study_of(*claims: dict[str, Any]) -> Study:
    faults: list[Fault] = []
    stated = [{"says": f"claim {number}", **claim} for number, claim in enumerate(claims)]
    study = examine({"question": "Why?", "source": "made up", "claims": stated}, faults)
    assert study is not None, faults
    return study


def rows(n: int, solved: Sequence[float] | np.ndarray, **columns: Any) -> dict[str, np.ndarray]:
    named = {name: np.asarray(values) for name, values in columns.items()}
    return {"seed": np.arange(n), "solved": np.asarray(solved, bool), "verdict": np.full(n, "solved", "U20"), **named}


def share(n: int, rate: float) -> np.ndarray:
    return np.arange(n) < round(n * rate)


@pytest.fixture
def specs(spec_of: SpecOf) -> list[RunSpec]:
    return [spec_of(activation=name, init=init) for init in ("zeros", "orthogonal") for name in ("relu", "tanh")]


def verdicts(study: Study, specs: Sequence[RunSpec], outcomes: dict[int, Any]) -> list[str]:
    return [each.verdict for each in judge(study, specs, outcomes)[0]]


def one(claim: dict[str, Any], specs: Sequence[RunSpec], outcomes: dict[int, Any]) -> Judged:
    (judged,), faults = judge(study_of(claim), specs, outcomes)
    assert not faults
    return judged


def why_not(claim: dict[str, Any], specs: Sequence[RunSpec], outcomes: dict[int, Any]) -> str:
    """Why a claim cannot be judged; another of its study is."""
    judged, (fault,) = judge(study_of(claim, {"above": 0}), specs, outcomes)
    assert [each.claim.says for each in judged] == ["claim 1"]
    return str(fault)


@pytest.mark.parametrize(
    ("claim", "expected"),
    [
        ({"above": 0.5}, HOLDS),
        ({"below": 0.5}, REFUTED),
        ({"above": 0.62}, UNDECIDED),
        ({"inside": [0.5, 0.7]}, HOLDS),
        ({"inside": [0.7, 0.9]}, REFUTED),
        ({"equals": 0.6, "within": 0.1}, HOLDS),
        ({"equals": 0.6, "within": 0.01}, UNDECIDED),
        ({"formula": "lr * 6", "within": 0.1}, HOLDS),
        ({"formula": "lr * 9", "within": 0.1}, REFUTED),
    ],
    ids=str,
)
def test_a_share_against_bounds(claim: dict[str, Any], expected: str, specs: list[RunSpec]) -> None:
    assert one(claim, specs[:1], {0: rows(400, share(400, 0.6))}).verdict == expected


@pytest.mark.parametrize(
    ("claim", "expected"),
    [
        ({"where": {"init": "orthogonal"}, "larger_than": {"init": "zeros"}}, HOLDS),
        ({"where": {"init": "orthogonal"}, "smaller_than": {"init": "zeros"}}, REFUTED),
        ({"where": {"activation": "relu"}, "larger_than": {"activation": "tanh"}}, UNDECIDED),
        ({"where": {"activation": "relu"}, "rising_along": "init"}, HOLDS),
        ({"where": {"activation": "relu"}, "falling_along": "init"}, REFUTED),
        ({"where": {"init": ["zeros", "orthogonal"]}, "rising_along": "activation"}, UNDECIDED),
    ],
    ids=str,
)
@pytest.mark.parametrize("measure", ["solved", "final_loss"])
def test_cells_against_cells(claim: dict[str, Any], expected: str, measure: str, specs: list[RunSpec]) -> None:
    rng = np.random.default_rng(0)
    made = {}
    for index in range(4):
        good = index >= 2  # those of orthogonal
        made[index] = rows(
            200, rng.random(200) < (0.9 if good else 0.3), final_loss=rng.lognormal(1.0 if good else 0.0, 0.3, 200)
        )
    assert one({"measure": measure, **claim}, specs, made).verdict == expected


def test_no_difference_is_no_larger_one(specs: list[RunSpec]) -> None:
    made = {index: rows(100, np.zeros(100), final_loss=np.ones(100)) for index in range(4)}
    for measure in ("solved", "final_loss"):
        claim = {"measure": measure, "where": {"init": "zeros"}, "larger_than": {"init": "orthogonal"}}
        assert one(claim, specs, made).verdict == UNDECIDED


def test_counts_make_a_share_of_a_number(specs: list[RunSpec]) -> None:
    made = {0: rows(200, share(200, 1), gradient_ratio=np.linspace(0, 1, 200))}
    found = one({"measure": "gradient_ratio", "counts": {"below": 0.25}, "inside": [0.2, 0.4]}, specs, made)
    assert found.parts[0].found.value == 0.25
    assert found.parts[0].share


def test_a_verdict_is_a_share(specs: list[RunSpec]) -> None:
    outcome = rows(100, share(100, 0))
    outcome["verdict"][:80] = "dead_units"
    assert one({"measure": "verdict.dead_units", "above": 0.6}, specs, {0: outcome}).verdict == HOLDS


def test_what_broke_counts_as_worst_and_what_is_not_measured_not_at_all(specs: list[RunSpec]) -> None:
    loss, margin = np.full(100, 0.1), np.full(100, np.nan)
    loss[:60], margin[:40] = np.nan, 2.0
    made = {0: rows(100, share(100, 0), final_loss=loss, margin=margin)}
    assert one({"measure": "final_loss", "above": 1.0}, specs, made).parts[0].found.value == math.inf
    assert one({"measure": "margin", "above": 1.0}, specs, made).parts[0].found[3] == 40


def test_all_claims_share_the_error(specs: list[RunSpec]) -> None:
    made = {0: rows(100, share(100, 0.6))}
    alone = judge(study_of({"above": 0.1}), specs, made)[0][0].parts[0].found
    among = judge(study_of(*[{"above": 0.1}] * 5), specs, made)[0][0].parts[0].found
    assert alone[1:3] == pytest.approx(stats.binomtest(60, 100).proportion_ci(0.95, "exact"))
    assert among[1:3] == pytest.approx(stats.binomtest(60, 100).proportion_ci(0.99, "exact"))


def test_a_median_has_the_limits_of_a_quantile_test() -> None:
    values = np.random.default_rng(1).lognormal(size=57)
    found = estimate(Values(values, np.arange(57), False), 0.95)
    assert found.value == np.median(values)
    assert found[1:3] == tuple(stats.quantile_test(values, p=0.5).confidence_interval(0.95))
    assert estimate(Values(values[:4], np.arange(4), False), 0.95)[1:3] == (-math.inf, math.inf)


def test_a_seed_counts_once_however_many_cells_share_it() -> None:
    values = np.random.default_rng(2).normal(size=30)
    alone, thrice = (Values(np.tile(values, k), np.tile(np.arange(30), k), False) for k in (1, 3))
    assert estimate(thrice, 0.95)[:3] == estimate(alone, 0.95)[:3]
    solved = (values > 0).astype(float)
    alone, thrice = (Values(np.tile(solved, k), np.tile(np.arange(30), k), True) for k in (1, 3))
    assert estimate(thrice, 0.95)[1:3] == pytest.approx(
        estimate(alone, 0.95)[1:3], abs=0.02
    )  # effective size, n / (n - 1)


def test_no_cell_weighs_more_for_having_more_networks(specs: list[RunSpec]) -> None:
    made = {0: rows(1000, share(1000, 0)), 1: rows(50, share(50, 1))}
    found = one({"above": 0.1}, specs, made).parts[0].found
    assert (found.value, found.networks, found.seeds) == (0.5, 100, 50)


def test_differences_pair_the_seeds() -> None:
    noise = 10 * np.random.default_rng(3).normal(size=50)
    one, other = Values(noise + 1, np.arange(50), False), Values(noise, np.arange(50), False)
    found = difference(one, other, 0.99)
    assert found[:3] == pytest.approx((1.0, 1.0, 1.0))


def test_an_undecided_claim_says_how_many_seeds_decide_it(specs: list[RunSpec]) -> None:
    claim = {"above": 0.5}
    found = one(claim, specs, {0: rows(100, share(100, 0.55))})
    assert found.verdict == UNDECIDED
    assert found.needed is not None
    n = found.needed
    assert one(claim, specs, {0: rows(n, share(n, 0.55))}).verdict == HOLDS
    few = n // 2
    assert one(claim, specs, {0: rows(few, share(few, 0.55))}).verdict == UNDECIDED


def test_among_few_solved_networks_it_takes_so_many_more(specs: list[RunSpec]) -> None:
    """Five of 40 are solved, and a median needs six at this confidence: 48 networks have as many."""
    solved = share(40, 0.125)
    found = one(
        {"measure": "final_loss", "among": "solved", "below": 1}, specs, {0: rows(40, solved, final_loss=solved * 0.1)}
    )
    assert (found.verdict, found.needed) == (UNDECIDED, 80)  # twice as many, where there are no limits yet


def test_a_claim_on_the_edge_says_so(specs: list[RunSpec]) -> None:
    found = one({"above": 0.5}, specs, {0: rows(100, share(100, 0.5))})
    assert (found.verdict, found.needed) == (UNDECIDED, None)


@pytest.mark.parametrize(
    ("claim", "words"),
    [
        ({"where": {"inti": "zeros"}, "above": 0}, "did you mean 'init'?"),
        ({"measure": "verdict.dead", "above": 0}, "must name a verdict, but got dead"),
        ({"measure": "weight_ratio.0.1", "above": 0}, "weight_ratio.LAYER.I/J"),
        ({"formula": "gian", "within": 1}, "has 'gian', of which a cell has no number"),
    ],
    ids=str,
)
def test_what_no_outcome_could_answer_is_refused(claim: dict[str, Any], words: str, specs: list[RunSpec]) -> None:
    with pytest.raises(ClaimError) as refused:
        answerable(study_of(claim), specs)
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("claim", "words"),
    [
        ({"where": {"init": "normal"}, "above": 0}, "must match a cell of the sweep, but got init=normal"),
        ({"larger_than": {"init": "normal"}}, "claims[0].larger_than must match a cell"),
        ({"rising_along": "optimizer"}, "must have two levels or more"),
        (
            {"where": {"init": "zeros"}, "equal_to": {"init": ["zeros"]}, "within": 1},
            "must name other cells than where",
        ),
    ],
    ids=str,
)
def test_a_claim_of_other_cells_is_left_out_and_told(claim: dict[str, Any], words: str, specs: list[RunSpec]) -> None:
    study, missing = answerable(study_of(claim, {"above": 0.5}), specs)
    assert [each.says for each in study.claims] == ["claim 1"]
    assert words in str(missing[0])


def test_a_claim_that_cannot_be_judged_is_told_and_the_others_are_judged(specs: list[RunSpec]) -> None:
    made = {0: rows(9, share(9, 1), final_loss=np.ones(9)), 2: rows(9, share(9, 1)) | {"seed": np.arange(100, 109)}}
    assert "did you mean 'final_loss'" in why_not({"measure": "final_los", "above": 0}, specs, made)
    pair = {"where": {"init": "zeros"}, "larger_than": {"init": "orthogonal"}}
    assert "must compare cells that share seeds" in why_not(pair, specs, made)
    assert "must have an outcome" in why_not({"where": {"activation": "tanh"}, "above": 0.5}, specs, made)


@pytest.mark.parametrize(
    "claim",
    [
        {"where": {"activation": "tanh"}, "formula": "lr * 6", "within": 0.1},
        {"where": {"activation": "tanh"}, "rising_along": "init"},
        {"where": {"init": "zeros"}, "rising_along": "activation"},
    ],
    ids=str,
)
def test_a_claim_of_parts_whose_cells_did_not_train_is_told(claim: dict[str, Any], specs: list[RunSpec]) -> None:
    made = {0: rows(9, share(9, 1)), 2: rows(9, share(9, 1))}
    assert "must have outcomes of its cells" in why_not(claim, specs, made)


@pytest.mark.parametrize("measure", ["solved", "final_loss"])
@pytest.mark.parametrize(("within", "expected"), [(0.2, HOLDS), (0.06, UNDECIDED)])
def test_cells_that_are_equal_within_something(
    measure: str, within: float, expected: str, specs: list[RunSpec]
) -> None:
    """Half of the seeds solve under both, 5% more under one: a difference of 0.05."""
    rng = np.random.default_rng(0)
    one_loss, other_loss = rng.normal(0.05, 0.2, 200), rng.normal(0.0, 0.2, 200)
    made = {0: rows(200, share(200, 0.55), final_loss=one_loss), 1: rows(200, share(200, 0.5), final_loss=other_loss)}
    claim = {"measure": measure, "where": {"activation": "relu"}, "equal_to": {"activation": "tanh"}, "within": within}
    assert one(claim, specs[:2], made).verdict == expected


@pytest.mark.parametrize("measure", ["solved", "final_loss"])
def test_cells_that_are_claimed_equal_and_are_not(measure: str, specs: list[RunSpec]) -> None:
    losses = np.linspace(1, 2, 200)
    made = {0: rows(200, share(200, 0.9), final_loss=losses), 1: rows(200, share(200, 0.5), final_loss=losses + 0.4)}
    claim = {"measure": measure, "where": {"activation": "relu"}, "equal_to": {"activation": "tanh"}, "within": 0.1}
    assert one(claim, specs[:2], made).verdict == REFUTED


def test_among_solved_networks_the_others_say_nothing(specs: list[RunSpec]) -> None:
    solved, loss = share(200, 0.5), np.where(share(200, 0.5), 0.01, 0.7)
    made = {0: rows(200, solved, final_loss=loss)}
    claim = {"measure": "final_loss", "below": 0.1}
    assert one(claim, specs, made).verdict == UNDECIDED
    found = one({**claim, "among": "solved"}, specs, made)
    assert (found.verdict, found.parts[0].found[:4]) == (HOLDS, (0.01, 0.01, 0.01, 100))
    assert one({"measure": "final_loss", "above": 0.1, "among": "solved"}, specs, made).verdict == REFUTED


def test_among_solved_networks_of_several_cells_each_seed_counts_once(specs: list[RunSpec]) -> None:
    one_seed = np.arange(100) < 1
    losses = {0: np.where(one_seed, 9.0, 1.0), 1: np.full(100, 3.0)}
    made = {0: rows(100, np.ones(100), final_loss=losses[0]), 1: rows(100, one_seed, final_loss=losses[1])}
    claim = {"measure": "final_loss", "among": "solved", "counts": {"above": 2}, "above": 0}
    found = one(claim, specs, made).parts[0].found
    assert (found.value, found.networks, found.seeds) == (0.01, 101, 100)
    against = {"measure": "final_loss", "among": "solved", "where": {"activation": "relu"}}
    both = one({**against, "larger_than": {"activation": "tanh"}}, specs[:2], made).parts[0].found
    assert (both.value, both.networks, both.seeds) == (6.0, 2, 1)  # the seed that is solved under both


def test_where_no_network_is_solved_a_claim_among_them_is_undecided(specs: list[RunSpec]) -> None:
    made = {index: rows(50, np.zeros(50), final_loss=np.ones(50)) for index in range(2)}
    claim = {"measure": "final_loss", "among": "solved"}
    alone = one({**claim, "above": 0}, specs[:2], made)
    pair = one({**claim, "where": {"activation": "relu"}, "larger_than": {"activation": "tanh"}}, specs[:2], made)
    for found in (alone, pair, one({**claim, "counts": {"below": 1}, "above": 0}, specs[:2], made)):
        assert (found.verdict, found.needed) == (UNDECIDED, None)
        assert "no network" in detail(found)
        assert "more replicates may have some" in detail(found)


def test_depth_and_width_are_axes(spec_of: SpecOf) -> None:
    specs = [spec_of(model={"name": "mlp", "hidden": [width] * depth}) for depth in (1, 2) for width in (2, 8)]
    made = {index: rows(100, share(100, (0.2, 0.8, 0.3, 0.9)[index])) for index in range(4)}
    assert one({"rising_along": "model.width"}, specs, made).verdict == HOLDS
    assert (
        one({"where": {"model.width": 2}, "formula": "0.1 + depth / 10", "within": 0.2}, specs, made).verdict == HOLDS
    )
    assert one({"where": {"model.hidden": [8]}, "above": 0.5}, specs, made).parts[0].found.networks == 100


def test_interruption_leaves_claims_of_the_cells_that_are_there(specs: list[RunSpec]) -> None:
    made = {1: rows(50, share(50, 1))}
    assert verdicts(study_of({"above": 0.5}), specs, made) == [HOLDS]
    assert judge(study_of({"where": {"init": "orthogonal"}, "above": 0.5}), specs, made)[0] == []
