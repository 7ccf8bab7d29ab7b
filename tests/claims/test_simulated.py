"""How often the intervals hold and true claims are refuted, by simulation over designs like those of real studies."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from nnspec.analysis.differences import paired_difference
from nnspec.claims.estimates import Values, difference, estimate
from nnspec.claims.judging import judge
from nnspec.execute.stopping import Decided
from nnspec.results.arrays import Results
from nnspec.settings import Runtime
from nnspec.specs import RunSpec
from nnspec.study import REFUTED, Bounds, Claim, Study, Than

SpecOf = Callable[..., RunSpec]

pytestmark = pytest.mark.slow

TRIALS = 1000
# Three standard errors of the share of misses: so far above the true one it lies in one test of a thousand.
SLACK = 3 * (0.05 * 0.95 / TRIALS) ** 0.5


def seeded(rng: np.random.Generator, cells: int, seeds: int, rate: float, alike: float) -> Values:
    """Networks of cells that share their seeds: with chance ``alike`` a network does what its seed does."""
    common = rng.random(seeds) < rate
    own = rng.random((cells, seeds)) < rate
    solved = np.where(rng.random((cells, seeds)) < alike, common, own)
    return Values(solved.ravel().astype(float), np.tile(np.arange(seeds), cells), True)


@pytest.mark.parametrize("rate", [0.0, 0.01, 0.3, 0.62, 0.99, 1.0])
@pytest.mark.parametrize(("cells", "alike"), [(1, 0.0), (3, 0.0), (3, 0.5), (12, 0.8)])
def test_the_interval_of_a_share_holds_the_rate(rate: float, cells: int, alike: float) -> None:
    rng = np.random.default_rng(0)
    missed = 0
    for _ in range(TRIALS):
        found = estimate(seeded(rng, cells, 50, rate, alike), 0.95)
        missed += not found.low <= rate <= found.high
    assert missed / TRIALS <= 0.05 + SLACK


@pytest.mark.parametrize("draw", ["lognormal", "cauchy", "tied"])
@pytest.mark.parametrize(("cells", "seeds"), [(1, 20), (1, 101), (4, 40)])
def test_the_interval_of_a_median_holds_it(draw: str, cells: int, seeds: int) -> None:
    rng = np.random.default_rng(1)
    sample = {
        "lognormal": lambda size: rng.lognormal(0.0, 2.0, size),
        "cauchy": lambda size: 1.0 + rng.standard_cauchy(size),
        "tied": lambda size: rng.integers(0, 3, size).astype(float),  # losses on a few plateaus
    }[draw]
    missed = 0
    for _ in range(TRIALS):
        values = np.repeat(sample(seeds), cells)  # the cells of a seed alike: the worst case
        found = estimate(Values(values, np.repeat(np.arange(seeds), cells), False), 0.95)
        missed += not found.low <= 1.0 <= found.high
    assert missed / TRIALS <= 0.05 + SLACK


@pytest.mark.parametrize(("one", "other"), [(0.5, 0.5), (0.62, 0.6), (0.99, 0.97), (1.0, 1.0), (0.2, 0.9)])
@pytest.mark.parametrize(("cells", "alike"), [(1, 0.7), (4, 0.7)])
def test_the_interval_of_a_difference_holds_it(one: float, other: float, cells: int, alike: float) -> None:
    rng = np.random.default_rng(2)
    missed, trials = 0, TRIALS // 4
    for _ in range(trials):
        common, followed = rng.random(60), rng.random((2, cells, 60)) < alike
        drawn = np.where(followed, common, rng.random((2, cells, 60)))
        solved = [(drawn[side] < rate).ravel().astype(float) for side, rate in enumerate((one, other))]
        seeds = np.tile(np.arange(60), cells)
        found = difference(Values(solved[0], seeds, True), Values(solved[1], seeds, True), 0.95)
        missed += not found.low <= one - other <= found.high
    assert missed / trials <= 0.05 + 2 * SLACK  # a quarter of the trials


def test_interval_and_p_value_of_a_difference_never_contradict() -> None:
    rng = np.random.default_rng(3)
    for _ in range(TRIALS):
        seeds, sizes = int(rng.integers(5, 80)), int(rng.integers(1, 5))
        a, b = rng.binomial(sizes, rng.random(), seeds), rng.binomial(sizes, rng.random(), seeds)
        confidence = float(rng.choice([0.9, 0.95, 0.99, 0.999]))
        found = paired_difference(a, b, sizes, confidence)
        assert (found.low > 0 or found.high < 0) == (found.p < 1 - confidence)


@pytest.mark.parametrize("alike", [0.0, 0.6])
def test_a_study_of_true_claims_is_rarely_refuted(alike: float, spec_of: SpecOf) -> None:
    """Every claim is just true: its number lies on the bound. Any that is refuted counts."""
    specs = [spec_of(activation=name) for name in ("relu", "tanh", "gelu")]
    rates = (0.3, 0.62, 0.97)
    names = ("relu", "tanh", "gelu")
    claims = [Claim("at most", Bounds(high=r), where={"activation": n}) for n, r in zip(names, rates, strict=True)]
    claims += [Claim("at least", Bounds(low=r), where={"activation": n}) for n, r in zip(names, rates, strict=True)]
    claims += [Claim("larger", Than("larger_than", {"activation": "tanh"}), where={"activation": "gelu"})]
    study, rng = Study("Why?", "made up", tuple(claims)), np.random.default_rng(4)
    refuted, trials = 0, TRIALS // 4
    for _ in range(trials):
        made = {}
        common = rng.random(100)
        for cell, rate in enumerate(rates):
            drawn = np.where(rng.random(100) < alike, common, rng.random(100))
            made[cell] = {"seed": np.arange(100), "solved": drawn < rate, "verdict": np.full(100, "solved")}
        refuted += any(each.verdict == REFUTED for each in judge(study, specs, made)[0])
    assert refuted / trials <= 0.05 + 2 * SLACK


@pytest.mark.parametrize("alike", [0.0, 0.6])
def test_looking_on_the_way_does_not_refute_true_claims_oftener(alike: float, spec_of: SpecOf) -> None:
    """``replicates=auto``: networks are added until claims are decided, which picks the moments that look decided. A
    claim that states the rate exactly is true and never holds, so that every look may refute it; with the intervals
    of a single look one study in five was."""
    names, rates, most = ("relu", "tanh"), (0.3, 0.62), 1280
    claims = [Claim("is", Bounds(r, r), where={"activation": n}) for n, r in zip(names, rates, strict=True)]
    study, rng = Study("Why?", "made up", tuple(claims)), np.random.default_rng(5)
    refuted, trials = 0, TRIALS // 4
    for _ in range(trials):
        common = rng.random(most)
        drawn = [np.where(rng.random(most) < alike, common, rng.random(most)) < rate for rate in rates]
        rule = Decided(study, Runtime(most_replicates=most))
        made: dict[int, Results] = {}
        going = {0, 1}
        for size in rule.looks.sizes:
            made |= {cell: outcome(spec_of(activation=names[cell]), drawn[cell][:size]) for cell in going}
            going = rule.unfinished({cell: made[cell] for cell in going})
        rows = {cell: {"seed": one.seeds, "solved": one.solved} for cell, one in made.items()}
        judged, _ = judge(study, [one.spec for one in made.values()], rows, len(rule.looks.sizes))
        refuted += any(each.verdict == REFUTED for each in judged)
    assert refuted / trials <= 0.05 + 2 * SLACK


def outcome(spec: RunSpec, solved: np.ndarray) -> Results:
    """A cell of networks of which nothing is known but which are solved."""
    numbers, column = np.arange(len(solved)), np.zeros((len(solved), 1))
    return Results(spec, numbers, numbers[:1], column, column, {}, solved[:, None], verdict=numbers.astype(str))
