"""Wilson's interval against published values and against its own defining equation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnspec.intervals import wilson_interval


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    # Newcombe (1998), Statistics in Medicine 17, table I: method 3, the score interval; four digits are printed.
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0000, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_published_values(successes: int, trials: int, low: float, high: float) -> None:
    found = wilson_interval(successes, trials)
    assert np.round(found[0], 4) == low
    assert np.round(found[1], 4) == high


@given(st.integers(1, 10_000), st.floats(0, 1), st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_bounds_solve_the_score_equation(trials: int, share: float, confidence: float) -> None:
    from statistics import NormalDist

    successes = round(share * trials)
    p = successes / trials
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    for bound in wilson_interval(successes, trials, confidence):
        # (p - b)^2 = z^2 b (1 - b) / n; both sides are at most 1, so rounding leaves a few ulps of 1.
        assert (p - bound) ** 2 == pytest.approx(z**2 * bound * (1 - bound) / trials, abs=1e-14)


@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.95, 0.99])
def test_bounds_are_statsmodels(confidence: float) -> None:
    from statsmodels.stats.proportion import proportion_confint

    successes, trials = np.meshgrid(np.arange(60), np.arange(60, 400, 37))
    expected = proportion_confint(successes, trials, 1 - confidence, method="wilson")
    np.testing.assert_allclose(wilson_interval(successes, trials, confidence), expected, rtol=0, atol=1e-15)


def test_arrays_and_edges() -> None:
    low, high = wilson_interval(np.array([0, 5, 10]), 10)
    assert low.shape == high.shape == (3,)
    assert low[0] == 0
    assert high[2] == 1
    assert low[2] == pytest.approx(1 - high[0], abs=1e-15)  # mirror images, up to one rounding
    assert [float(bound) for bound in wilson_interval(0, 0)] == [0, 1]


def test_refusals() -> None:
    with pytest.raises(ValueError, match="0 <= successes <= trials must hold, but got successes=3, trials=2"):
        wilson_interval(3, 2)
    with pytest.raises(ValueError, match="confidence must lie strictly between 0 and 1, but got 1"):
        wilson_interval(1, 2, 1)
