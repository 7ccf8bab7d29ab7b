"""What networks left, as one number with its interval: a share, a median, or the difference of two.

Seeds are what is independent, and a seed that several cells share counts once. A share of networks has the exact
interval of Clopper and Pearson of as many networks as there are seeds: of all values within 0 and 1 of one mean, 0 and
1 alone spread most (Hoeffding, Annals of Mathematical Statistics 27 (1956) 713), so it holds also for the shares of
seeds. (A design effect that is estimated from the spread between seeds does not: in tests/claims/test_simulated.py it
missed rates of 0.01 in one study of five, for the few seeds that matter are then rarely seen.) The difference of two
shares is ``paired_difference``.
Any other number is spoken of by its median over seeds, with the interval of its order statistics, which holds whatever
the distribution (David and Nagaraja, Order Statistics, 2003, section 7.1); the difference of two by the median of the
differences of each seed, a seed's value being the median over its cells.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from nnspec.analysis.differences import paired_difference
from nnspec.analysis.means import paired_mean_difference
from nnspec.analysis.sequential import exact_interval


class Values(NamedTuple):
    """Of each network [m] its value and seed. ``share``: the values are 0 or 1."""

    values: np.ndarray
    seeds: np.ndarray
    share: bool


class Estimate(NamedTuple):
    """A number, its limits, and from how many networks and seeds."""

    value: float
    low: float
    high: float
    networks: int
    seeds: int


def estimate(of: Values, confidence: float) -> Estimate:
    """The share, or the median; each seed weighs as much as any other."""
    if not len(of.values):
        return Estimate(math.nan, *((0.0, 1.0) if of.share else (-math.inf, math.inf)), 0, 0)
    seeds, codes = np.unique(of.seeds, return_inverse=True)
    sizes = len(of.values), len(seeds)
    if not of.share:
        return Estimate(*_median(_by_seed(of.values, codes), confidence), *sizes)
    rate = float((np.bincount(codes, weights=of.values) / np.bincount(codes)).mean())
    low, high = exact_interval(rate * len(seeds), len(seeds), confidence)
    return Estimate(rate, float(low), float(high), *sizes)


def difference(of: Values, than: Values, confidence: float) -> Estimate:
    """The difference of the shares, or the median difference; of the seeds that both have."""
    seeds = np.intersect1d(of.seeds, than.seeds)
    one, other = (_at(values, seeds) for values in (of, than))
    if not len(seeds):
        return Estimate(math.nan, *((-1.0, 1.0) if of.share else (-math.inf, math.inf)), 0, 0)
    sizes = len(one.values) + len(other.values), len(seeds)
    codes = [np.searchsorted(seeds, side.seeds) for side in (one, other)]
    if not of.share:
        with np.errstate(invalid="ignore"):  # two that broke are no different
            apart = _by_seed(one.values, codes[0]) - _by_seed(other.values, codes[1])
        return Estimate(*_median(apart, confidence), *sizes)
    sums = [np.bincount(code, weights=side.values) for code, side in zip(codes, (one, other), strict=True)]
    counts = [np.bincount(code) for code in codes]
    shares = sums[0] / counts[0], sums[1] / counts[1]
    if len(np.unique(counts)) == 1:
        found = paired_difference(sums[0], sums[1], counts[0], confidence)
    else:
        found = paired_mean_difference(*shares, 1, 1.0, confidence)
    return Estimate(float((shares[0] - shares[1]).mean()), found.low, found.high, *sizes)


def least_seeds(confidence: float) -> int:
    """Seeds without which a median has no limits."""
    return math.ceil(math.log2(2 / (1 - confidence)))


def _at(of: Values, seeds: np.ndarray) -> Values:
    rows = np.isin(of.seeds, seeds)
    return Values(of.values[rows], of.seeds[rows], of.share)


def _by_seed(values: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """The median of each seed's values, [s]."""
    counts = np.bincount(codes)
    if (counts == 1).all():
        found = np.empty(len(counts))
        found[codes] = values
        return found
    order = np.argsort(codes, kind="stable")
    return np.array([np.median(part) for part in np.split(values[order], np.cumsum(counts)[:-1])])


def _median(values: np.ndarray, confidence: float) -> tuple[float, float, float]:
    """The median and its limits. Values that have none (infinity less infinity) count as no difference."""
    from scipy.stats import quantile_test

    ordered = np.sort(np.nan_to_num(values, nan=0.0, posinf=np.inf, neginf=-np.inf))
    n = len(ordered)
    middle = ordered[[(n - 1) // 2, n // 2]]
    value = float(middle[0] if middle[0] == middle[1] else middle.mean())
    low, high = map(float, quantile_test(ordered, p=0.5).confidence_interval(confidence))
    return value, -math.inf if math.isnan(low) else low, math.inf if math.isnan(high) else high
