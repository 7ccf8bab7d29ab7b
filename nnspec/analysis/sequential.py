"""``replicates=auto``: how many networks to add, and an interval that stays honest though it was looked at on the way.

Stopping when an ordinary 95% interval is narrow enough picks moments at which it is narrow by luck. Measured: Wilson's
then holds in 85% of cells at rates near 0, the exact interval of Clopper and Pearson in 94% at middling ones. So the
looks are fixed beforehand from the precision alone, and each uses the exact interval at a confidence above the one
promised. How far above is computed, not guessed. At rate p, the last interval misses p only if at some look k

    the count is one that stops (interval narrow enough, or the last look)  and  its interval misses p,

so the chance of a miss is at most the sum over looks of the probability of those counts, and at look k no more than the
probability that an earlier look did not stop: binomial tails, all of them. ``looks`` takes the largest error per look
for which that sum stays within 1 - confidence at every rate of a fine grid. An even split over the looks, or the usual
alpha * 6 / (pi k)^2, would charge every look to every rate, though a cell of a given rate stops at one of two or three.

No look comes before the first size at which any cell could stop (no network solved, or all).

Where something else than the width of one interval decides when to stop, as the claims of a study do, the error is
split evenly over the looks (``even_looks``): that holds whatever the rule, for at each look it is kept.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from nnspec.errors import Fault, SpecError

GROWTH = 2  # measured over all rates: 1.1 to 1.5 train 4 to 30% more networks, 3 and 4 about as many
LEAST = 20
MOST = 100_000
MOST_CLAIMS = 10_000  # of a study, whose cells are all in memory until its claims are decided
BISECTIONS = 9  # of the error per look: to 1 part in 500 of the error promised
# Rates at which the promise is checked, up to 1/2 by symmetry; denser near 0, where coverage moves fastest.
RATES = np.concatenate([np.geomspace(1e-6, 0.02, 400), np.linspace(0.02, 0.5, 400)])


@dataclass(frozen=True)
class Looks:
    """When to look at the solve rate of a cell, and what may be said at each look."""

    precision: float  # width of the interval to reach; 0 where something else decides
    confidence: float  # that the interval training stops with holds the rate
    sizes: tuple[int, ...]  # replicates at each look, rising
    each: float  # confidence of the exact interval of one look

    def interval(self, solved: ArrayLike, networks: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        """Limits of the rate at a look, [...] each."""
        return exact_interval(solved, networks, self.each)

    def enough(self, solved: ArrayLike, networks: ArrayLike) -> np.ndarray:
        """[...] bool: the interval is no wider than the precision."""
        low, high = self.interval(solved, networks)
        return np.asarray(high - low <= self.precision)

    def after(self, networks: int) -> int | None:
        """The next size to train to, or None after the last look."""
        return next((size for size in self.sizes if size > networks), None)


def looks(precision: float, confidence: float = 0.95, least: int = LEAST, most: int = MOST) -> Looks:
    """The looks for a precision: at least ``least`` and at most ``most`` replicates.

    With a bound ``most`` below what rate 1/2 needs, cells of middling rates end at the bound with a wider interval.

    Raises:
        SpecError: if the precision or the confidence is not between 0 and 1, or not 1 <= least <= most.
    """
    _refuse(precision, confidence, least, most)
    promised = 1 - confidence

    def plan(error: float) -> Looks:
        return Looks(precision, confidence, _sizes(precision, 1 - error, least, most), 1 - error)

    best = plan(promised)
    if error_bound(best) <= promised:
        return best
    good = promised / len(best.sizes) / 2
    bad, best = promised, plan(good)
    for _ in range(BISECTIONS):
        middle = (good + bad) / 2
        candidate = plan(middle)
        if error_bound(candidate) <= promised:
            good, best = middle, candidate
        else:
            bad = middle
    return best


def even_looks(most: int = MOST_CLAIMS, confidence: float = 0.95) -> Looks:
    """Looks at twice as many replicates each, from ``LEAST`` up to ``most``, whoever decides at which of them to stop.

    Raises:
        SpecError: if the confidence is not between 0 and 1, or there are fewer than ``LEAST``.
    """
    _refuse(0.5, confidence, LEAST, most)
    sizes = _doubled(LEAST, most)
    return Looks(0.0, confidence, sizes, 1 - (1 - confidence) / len(sizes))


def error_bound(plan: Looks, rates: np.ndarray = RATES) -> float:
    """The largest chance over ``rates`` that training stops with an interval that misses the rate, bounded from
    above."""
    # going: a bound of the chance that no look has stopped yet
    total, going = (np.zeros_like(rates), np.ones_like(rates))
    for size in plan.sizes:
        stop = size if size == plan.sizes[-1] else _stopping(plan, size)
        total += np.minimum(_miss(plan, size, stop, rates) + _miss(plan, size, stop, 1 - rates), going)
        going = np.minimum(going, _between(stop, size - stop, size, rates))
    return float(total.max())


def needed_replicates(rate: float, precision: float, confidence: float = 0.95) -> int:
    """The smallest number of networks whose exact interval at ``rate`` is no wider than ``precision``, at a single
    look.

    Counts between whole successes are interpolated.
    """
    low, high = 0, 1
    while _width(rate * high, high, confidence) > precision:
        low, high = high, 2 * high
    between = range(low + 1, high)
    return low + 1 + bisect_left(between, True, key=lambda n: _width(rate * n, n, confidence) <= precision)


def exact_interval(solved: ArrayLike, networks: ArrayLike, confidence: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """Limits that hold with at least ``confidence`` at every rate. Source: Clopper and Pearson, Biometrika 26 (1934)
    404."""
    from scipy import stats

    x, n = np.broadcast_arrays(np.asarray(solved, dtype=float), np.asarray(networks, dtype=float))
    tail = (1 - confidence) / 2
    low = np.where(x <= 0, 0.0, stats.beta.ppf(tail, np.maximum(x, 1e-9), n - x + 1))
    high = np.where(x >= n, 1.0, stats.beta.isf(tail, x + 1, np.maximum(n - x, 1e-9)))
    return low, high


def _refuse(precision: float, confidence: float, least: int, most: int) -> None:
    given = (("precision", precision, 0.02), ("confidence", confidence, 0.95))
    faults = [
        Fault(name, "must be above 0 and below 1", f"{value}", f"try {name}={good}")
        for name, value, good in given
        if not 0 < value < 1
    ]
    if not 1 <= least <= most:
        faults.append(
            Fault("least", "must be at least 1 and at most 'most'", f"{least} and {most}", f"try least={LEAST}")
        )
    if faults:
        raise SpecError(faults)


def _miss(plan: Looks, size: int, stop: int, rates: np.ndarray) -> np.ndarray:
    """The chance, [p], of a count that stops here (0 to ``stop``, or as near to ``size``) with an upper limit below the
    rate."""
    from scipy import stats

    # The upper limit of x is below p exactly if P(count <= x) is below the tail: counts 0 to a.
    a = stats.binom.ppf((1 - plan.each) / 2, size, rates) - 1
    return np.asarray(stats.binom.cdf(a, size, rates) - _between(stop, np.minimum(size - stop, a + 1), size, rates))


def _between(low: ArrayLike, high: ArrayLike, size: int, rates: np.ndarray) -> np.ndarray:
    """The chance, [p], of a count above ``low`` and below ``high``; 0 where there is none."""
    from scipy import stats

    return np.asarray(
        np.clip(stats.binom.cdf(np.asarray(high) - 1, size, rates) - stats.binom.cdf(low, size, rates), 0.0, 1.0)
    )


def _stopping(plan: Looks, size: int) -> int:
    """The largest count up to half of ``size`` whose interval is narrow enough, or -1; the width grows towards the
    middle."""
    wide = bisect_left(range(size // 2 + 1), True, key=lambda count: _width(count, size, plan.each) > plan.precision)
    return min(wide - 1, (size - 1) // 2)


def _sizes(precision: float, confidence: float, least: int, most: int) -> tuple[int, ...]:
    last = min(most, max(least, needed_replicates(0.5, precision, confidence)))
    return _doubled(min(last, max(least, needed_replicates(0.0, precision, confidence))), last)


def _doubled(first: int, last: int) -> tuple[int, ...]:
    """Sizes that grow by ``GROWTH`` each."""
    size, sizes = float(first), [first]
    while sizes[-1] < last:
        size *= GROWTH
        sizes.append(min(last, math.ceil(size)))
    return tuple(sizes)


def _width(solved: float, networks: int, confidence: float) -> float:
    low, high = exact_interval(solved, networks, confidence)
    return float(high - low)
