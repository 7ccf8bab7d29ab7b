"""Means of a continuous measure and their differences: an interval and a p-value from one t-test, so that the two
cannot contradict each other.

Seeds are what is independent; each may have several networks (the cells that share it). A mean over all networks is
then the ratio of two sums over seeds, of values and of networks, with the variance of a ratio (Cochran, Sampling
Techniques, 1977, section 6.4); where each seed has as many networks as the others this is the mean of the seeds' means,
and the tests are Student's for pairs (Biometrika 6 (1908) 1) and Welch's (Biometrika 34 (1947) 28) on these.

The t-test was chosen before sign flips and the bootstrap for three reasons: its p-values have no least size, as Holm's
correction over a hundred pairs needs; it gives the same result twice; and means of bounded values over the ten seeds
and more that a sweep has are close to normal. Where all seeds agree to the last bit there is no spread to go by: then p
is that of the signs alone, and the limits allow for as large a share of unlike seeds as may have stayed unseen
(Clopper and Pearson, Biometrika 26 (1934) 404), each as far away as the measure's limits let it be.
"""

from __future__ import annotations

import math
import sys
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from nnspec.analysis.differences import Difference

NO_SPREAD = 1e-12  # of the size of the values: what rounding alone leaves


class Mean(NamedTuple):
    """A mean, its standard error, and from how many seeds."""

    mean: float
    error: float
    seeds: int


def mean_of(sums: ArrayLike, sizes: ArrayLike = 1) -> Mean:
    """The mean of the networks of ``sizes`` [s] a seed whose values add up to ``sums`` [s]. The error of one seed is
    infinite, that of seeds that all agree 0."""
    y = np.asarray(sums, dtype=float)
    m = np.broadcast_to(np.asarray(sizes, dtype=float), y.shape)
    largest = float(np.abs(y).max())
    if largest == 0 or len(y) == 1:
        return Mean(float(y.sum() / m.sum()), 0.0 if len(y) > 1 else math.inf, len(y))
    scaled = y / largest  # squares of losses near the largest float would overflow
    mean = float(scaled.sum() / m.sum())
    apart = scaled - mean * m
    seeds = len(y)
    error = math.sqrt(float((apart**2).sum()) * seeds / (seeds - 1)) / float(m.sum())
    return Mean(mean * largest, error * largest if np.abs(apart).max() > NO_SPREAD else 0.0, seeds)


def mean_limits(mean: Mean, low: float, high: float, confidence: float = 0.95) -> tuple[float, float]:
    """The interval of a mean of values within ``low`` and ``high``."""
    if mean.error == 0:
        return _unseen(mean.mean, mean.seeds, low, high, confidence)
    reach = _quantile(confidence, mean.seeds - 1) * mean.error if mean.seeds > 1 else math.inf
    return max(low, mean.mean - reach), min(high, mean.mean + reach)


def paired_mean_difference(
    a: ArrayLike, b: ArrayLike, sizes: ArrayLike = 1, most: float = math.inf, confidence: float = 0.95
) -> Difference:
    """The difference of means where each seed has ``sizes`` [s] pairs of networks, whose values add up to ``a`` and
    ``b`` [s]; ``most`` is the largest that a difference can be."""
    difference = mean_of(np.asarray(a, dtype=float) - np.asarray(b, dtype=float), sizes)
    return _tested(difference, difference.seeds - 1, 2.0 ** (1 - difference.seeds), most, confidence)


def independent_mean_difference(
    a: ArrayLike,
    b: ArrayLike,
    sizes_a: ArrayLike = 1,
    sizes_b: ArrayLike = 1,
    most: float = math.inf,
    confidence: float = 0.95,
) -> Difference:
    """The difference of means where the seeds of a and of b differ: values that add up to ``a`` [s] over ``sizes_a``
    [s] networks a seed, b likewise."""
    from scipy.special import binom

    one, other = mean_of(a, sizes_a), mean_of(b, sizes_b)
    error = math.hypot(one.error, other.error)
    both = Mean(one.mean - other.mean, error, min(one.seeds, other.seeds))
    freedom = float(both.seeds)
    if 0 < error < math.inf:
        parts = ((each.error / error) ** 4 / (each.seeds - 1) for each in (one, other))
        freedom = 1 / sum(parts)  # Welch's
    signs = 2 / float(binom(one.seeds + other.seeds, one.seeds))
    return _tested(both, freedom, min(1.0, signs), most, confidence)


def _tested(difference: Mean, freedom: float, signs: float, most: float, confidence: float) -> Difference:
    """The interval and p-value of a difference; ``signs`` is the p-value where nothing but signs is known."""
    from scipy.stats import t

    d, error, seeds = difference
    if math.isinf(error):
        return Difference(-most, most, 1.0)
    if error == 0:
        p = signs if d else 1.0
        low, high = _unseen(d, seeds, -most, most, confidence)
    else:
        p = float(2 * t.sf(abs(d) / error, freedom))
        reach = _quantile(confidence, freedom) * error
        low, high = max(-most, d - reach), min(most, d + reach)
    return Difference(*_decided(d, low, high, p < 1 - confidence), p)


def _decided(d: float, low: float, high: float, decided: bool) -> tuple[float, float]:
    """The limits, on the side of 0 on which the test decides: rounding, or unseen seeds, may have put one beyond."""
    if not decided:
        return min(low, 0.0), max(high, 0.0)
    return (max(low, sys.float_info.min), high) if d > 0 else (low, min(high, -sys.float_info.min))


def _unseen(mean: float, seeds: int, low: float, high: float, confidence: float) -> tuple[float, float]:
    """Limits of the mean of seeds that all agree: the largest share of others that so many seeds may have missed."""
    share = 1 - ((1 - confidence) / 2) ** (1 / seeds)
    return mean - share * (mean - low), mean + share * (high - mean)


def _quantile(confidence: float, freedom: float) -> float:
    from scipy.stats import t

    return float(t.isf((1 - confidence) / 2, freedom))
