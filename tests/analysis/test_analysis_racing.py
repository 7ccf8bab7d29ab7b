"""Races: the wealth that decides is a supermartingale, intervals hold at all times at once, and a race names a wrong
best no more often than it says."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import integrate, stats

from nnspec.analysis.racing import BETS, Rule, anytime_interval, log_wealth, next_size, replayed


def paired(rates: list[float], seeds: int, alike: float, rng: np.random.Generator) -> np.ndarray:
    """[c, n] bool: cells with these solve rates, whose networks of one seed go ``alike`` (0 to 1)."""
    own, shared = rng.standard_normal((len(rates), seeds)), rng.standard_normal(seeds)
    return np.sqrt(alike) * shared + np.sqrt(1 - alike) * own < stats.norm.ppf(rates)[:, None]


@pytest.mark.parametrize(("better", "worse", "margin"), [(0.1, 0.1, 0.0), (0.32, 0.3, 0.02), (0.5, 0.2, 0.1)])
def test_wealth_is_on_average_1_at_the_edge_of_what_it_bets_against(better: float, worse: float, margin: float) -> None:
    """Over every outcome of 12 seeds, by their exact chances; where the first is worse than claimed it grows."""
    outcomes = [(a, b) for a in range(13) for b in range(13 - a)]
    wealth = [math.exp(float(log_wealth(a, b, 12 - a - b, margin))) for a, b in outcomes]

    def mean(better: float, worse: float) -> float:
        chances = [
            stats.multinomial.pmf([a, b, 12 - a - b], 12, [better, worse, 1 - better - worse]) for a, b in outcomes
        ]
        return float(np.dot(chances, wealth))

    assert better - worse <= margin + 1e-12 or mean(better, worse) < 1
    assert mean(worse + margin, worse) == pytest.approx(1, abs=1e-9)  # rounding of 91 products
    assert mean(worse + margin + 0.05, worse) < 1
    assert mean(0.0, worse) > 1


def test_wealth_is_that_of_betting_seed_by_seed() -> None:
    differences, margin = [1, -1, 0, -1, -1, 0], 0.1
    by_hand = np.mean([np.prod([1 - bet * (each - margin) for each in differences]) for bet in BETS])
    assert float(log_wealth(1, 3, 2, margin)) == pytest.approx(math.log(by_hand), rel=1e-12)


@pytest.mark.parametrize(("solved", "networks"), [(3, 20), (17, 20), (250, 1000)])
def test_limits_are_where_the_mixture_outweighs_the_rate(solved: int, networks: int) -> None:
    def mixed(rate: float) -> float:
        """How much likelier a rate drawn from Beta(1/2, 1/2) makes what was seen than this one, by quadrature."""
        best = solved / networks
        at_best = solved * math.log(best) + (networks - solved) * math.log(1 - best)

        def seen(other: float) -> float:
            return math.exp(solved * math.log(other) + (networks - solved) * math.log(1 - other) - at_best)

        edges = [max(0, best - 0.3), best, min(1, best + 0.3)]
        inside = integrate.quad(lambda p: seen(p) * stats.beta.pdf(p, 0.5, 0.5), 0, 1, points=edges, limit=200)[0]
        return inside / seen(rate)

    low, high = map(float, anytime_interval(solved, networks))
    assert low < solved / networks < high
    for limit in (low, high):
        assert mixed(limit) == pytest.approx(20, rel=1e-4)  # the error of the quadrature


def test_limits_at_the_ends() -> None:
    low, high = anytime_interval([0, 50], [50, 50])
    assert (low[0], high[1]) == (0.0, 1.0)
    assert high[0] == pytest.approx(1 - low[1], abs=1e-12)
    assert 0.05 < high[0] < 0.15  # Clopper and Pearson's, of one look, ends at 0.071
    wide = anytime_interval(25, 50, 0.99)
    narrow = anytime_interval(25, 50, 0.9)
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


@pytest.mark.parametrize("rate", [0.02, 0.3, 0.5, 0.9])
def test_limits_hold_at_all_times_at_once(rate: float) -> None:
    """The chance that the interval ever misses the rate within 300 networks, looking after each, computed exactly."""
    held = {0: 1.0}  # the chance of each count with no miss so far
    for networks in range(1, 301):
        more: dict[int, float] = {}
        for solved, chance in held.items():
            more[solved] = more.get(solved, 0.0) + chance * (1 - rate)
            more[solved + 1] = more.get(solved + 1, 0.0) + chance * rate
        low, high = anytime_interval(list(more), networks)
        kept = (low <= rate) & (rate <= high)
        held = {solved: chance for (solved, chance), keep in zip(more.items(), kept, strict=True) if keep}
    missed = 1 - sum(held.values())
    assert 0.001 < missed < 0.05


def test_equal_cells_are_not_beaten_and_are_known_to_be_as_good() -> None:
    rule = Rule(3, within=0.1)
    alike = np.ones((3, 100), bool)
    few, many = rule.look(alike[:, :20]), rule.look(alike)
    assert not few.known
    assert many.known
    assert not (few.beaten | many.beaten).any()
    assert many.first.tolist() == [0, 1, 2]


def test_who_never_solves_is_out_at_the_first_look() -> None:
    solved = np.array([[False] * 20, [True] * 20, [True] * 20])
    look = Rule(3, within=0.02).look(solved)
    assert look.beaten.tolist() == [True, False, False]
    assert look.first.tolist() == [1, 2]
    only = Rule(3, within=0.02).look(solved[:2])
    assert only.known, "who is left alone is the best"
    assert only.first.tolist() == [1]


def test_pairs_are_told_apart_that_rates_would_not() -> None:
    """The same two rates: known from few seeds where one solves whatever the other does, from many where they are
    strangers."""
    strong = np.arange(200) % 2 == 0
    weak = strong & (np.arange(200) % 10 != 0)
    look = Rule(2, within=0.02).look(np.array([weak, strong]))
    assert look.beaten.tolist() == [True, False]
    stranger = np.roll(weak, 1)
    assert not Rule(2, within=0.02).look(np.array([stranger, strong])).beaten.any()


def test_many_cells_are_weighed_against_the_best_ones() -> None:
    rng = np.random.default_rng(0)
    rates = [0.95, *rng.uniform(0.1, 0.5, 999)]
    look = Rule(1000, within=0.02).look(paired(rates, 150, 0.3, rng))
    assert look.beaten[1:].mean() > 0.95
    assert not look.beaten[0]
    assert look.first.tolist() == [0]


def test_sizes_grow_until_the_budget_is_spent() -> None:
    assert next_size(20, 10, 1000) == 30
    assert next_size(20, 10, 99) == 29
    assert next_size(20, 10, 9) == 20


def test_a_race_never_takes_more_networks_than_it_may() -> None:
    rng = np.random.default_rng(1)
    solved = paired([0.6, 0.6, 0.6, 0.2], 5000, 0.5, rng)
    for most in (80, 81, 100, 333, 3000):
        found = replayed(solved, 0.01, most)
        assert most - 4 < found.networks <= most
        assert not found.known


@pytest.mark.slow
@pytest.mark.parametrize("alike", [0.0, 0.8])
@pytest.mark.parametrize(
    "rates", [[0.5] * 5 + [0.45] * 5 + [0.53], [0.9] + [0.87] * 8, [0.99, 0.96, 0.5], [0.03, *[0.0] * 9, 0.005]]
)
def test_a_wrong_best_is_named_in_at_most_the_stated_share_of_races(rates: list[float], alike: float) -> None:
    """At 80%, so that there is something to count: of 300 races so many may go wrong as 20% gives, but in one of
    10,000."""
    rng = np.random.default_rng(2)
    rule, wrong = Rule(len(rates), 0.02, confidence=0.8), 0
    for _ in range(300):
        found = replayed(paired(np.clip(rates, 1e-9, 1).tolist(), 20_000, alike, rng), 0.02, 10**9, rule=rule)
        assert found.known
        wrong += max(rates) - rates[found.best] > 0.02
    assert wrong <= stats.binom.isf(1e-4, 300, 0.2)
