"""The difference of two solve rates: a p-value and an interval from one test, so that the two cannot contradict each
other.

0 lies in the interval of confidence c if and only if p >= 1 - c, whatever c: a limit is searched on the side of 0 on
which the test puts it. Seeds are what is independent; each may have several networks (the cells that share it).
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

EXACT_LIMIT = 30_000_000  # additions that an exact sign-flip distribution may cost (about 0.1 s)
EXACT_SEEDS = 1000  # of which the rarest pattern of signs, 2^-1000, is still a float
MOST_TILT = 2.0**40  # beyond, no sign is in doubt

Tail = Callable[[float], float]  # tilt -> P(sum of signed sizes >= the observed sum)


class Difference(NamedTuple):
    """Limits of a difference of rates a - b, within -1..1, and the two-sided p-value of no difference."""

    low: float
    high: float
    p: float


def paired_difference(a: ArrayLike, b: ArrayLike, sizes: ArrayLike = 1, confidence: float = 0.95) -> Difference:
    """The difference where each seed has ``sizes`` [s] pairs of networks, of which ``a`` and ``b`` [s] solved under a
    and b.

    The test flips signs: if levels do not matter, d = a - b of a seed is as likely to be -d, so that sum d has an exact
    distribution given the sizes |d|; with one pair a seed this is the exact McNemar test. The normal limit stands in
    for thousands of seeds.

    The interval tilts the signs: d is positive with odds exp(2 t |d|), which is the test at t = 0. A tilt t states the
    difference mean(|d| tanh(t |d|)); its limits are the tilts that put sum d at an end of its distribution. How
    uncertain that mean is, the sizes being random too, is added as squares (Zou and Donner, Statistics in Medicine 27
    (2008) 1693). At the true difference the two variances, E d^2 - E (d tanh)^2 and E (d tanh)^2 - (E d)^2, sum to the
    variance of d whatever its distribution. Where all d have one sign and size the limits are those of Clopper and
    Pearson.
    """
    x, y = np.asarray(a, dtype=np.int64), np.asarray(b, dtype=np.int64)
    d, m = x - y, np.broadcast_to(np.asarray(sizes, dtype=np.int64), x.shape)
    more, less = sign_tail(d), sign_tail(-d)
    error = (1 - confidence) / 2
    return Difference(_paired_low(d, m, more, error), -_paired_low(-d, m, less, error), _two_sided(more(0), less(0)))


def independent_difference(
    a: ArrayLike, b: ArrayLike, sizes_a: ArrayLike = 1, sizes_b: ArrayLike = 1, confidence: float = 0.95
) -> Difference:
    """The difference where the seeds of a and of b differ: ``a`` [s] solved of ``sizes_a`` [s] networks a seed, b
    likewise.

    Test and interval are the score test's (Miettinen and Nurminen, Statistics in Medicine 4 (1985) 213), on as many
    networks as the spread between seeds supports (``effective``), which is all of them where each seed has one.
    """
    one, other = effective(a, sizes_a), effective(b, sizes_b)
    more, less = _score_tail(*one, *other), _score_tail(*other, *one)
    error, difference = (1 - confidence) / 2, one[0] - other[0]
    return Difference(
        _score_low(difference, more, error), -_score_low(-difference, less, error), _two_sided(more(0), less(0))
    )


def effective(solved: ArrayLike, sizes: ArrayLike) -> tuple[float, float]:
    """The rate of ``solved`` [s] of ``sizes`` [s] networks a seed, and of how many independent networks it is worth
    that.

    The variance is that between seeds, with half a seed that solved all and half a one that solved none added, lest
    seeds that happen to agree be taken for certainty. One seed alone says nothing of a spread and counts as one
    network.
    """
    y = np.asarray(solved, dtype=float)
    m = np.broadcast_to(np.asarray(sizes, dtype=float), y.shape)
    rate = float(y.sum() / m.sum())
    _, weight = _weighted(y, m, 0.5, 0.5)
    return rate, max(1.0, weight - 1) if len(y) > 1 else 1.0


def sign_tail(differences: np.ndarray, exact_limit: int = EXACT_LIMIT, exact_seeds: int = EXACT_SEEDS) -> Tail:
    """P(sum of signed sizes >= sum of ``differences`` [s]) as a function of the tilt of the signs.

    Exact for sizes of one value, and for up to ``exact_seeds`` seeds and ``exact_limit`` additions; else the normal
    limit.
    """
    sizes, counts = np.unique(np.abs(differences), return_counts=True)
    sizes, counts = sizes[sizes > 0], counts[sizes > 0]
    observed, total, seeds = int(differences.sum()), int(sizes @ counts), int(counts.sum())
    if observed == -total:
        return lambda tilt: 1.0
    if len(sizes) == 1:
        return _binomial_tail((observed + total) // (2 * int(sizes[0])), seeds, int(sizes[0]))
    if seeds <= exact_seeds and total * seeds <= exact_limit:
        return _exact_tail(sizes, counts, observed)
    return _normal_tail(sizes, counts, observed)


def _binomial_tail(positive: int, seeds: int, size: int) -> Tail:
    from scipy.special import betainc, expit

    return lambda tilt: float(betainc(positive, seeds - positive + 1, expit(2 * tilt * size)))


def _exact_tail(sizes: np.ndarray, counts: np.ndarray, observed: int) -> Tail:
    """The distribution without tilt, grown size by size; a tilt t weighs the sum S by exp(t S)."""
    from scipy.special import comb

    plus = np.ones(1)  # by the sum of the sizes that drew a plus
    for size, count in zip(sizes.tolist(), counts.tolist(), strict=True):
        grown = np.zeros(len(plus) + size * count)
        for k, weight in enumerate(comb(count, np.arange(count + 1)) * 0.5**count):
            grown[k * size : k * size + len(plus)] += weight * plus
        plus = grown
    possible = np.flatnonzero(plus)
    sums, logs = 2 * possible - int(sizes @ counts), np.log(plus[possible])
    reached = sums >= observed

    def tail(tilt: float) -> float:
        tilted = logs + tilt * sums
        weights = np.exp(tilted - tilted.max())
        return float(weights[reached].sum() / weights.sum())

    return tail


def _normal_tail(sizes: np.ndarray, counts: np.ndarray, observed: int) -> Tail:
    def tail(tilt: float) -> float:
        signed = np.tanh(tilt * sizes)
        mean = float(counts @ (sizes * signed))
        spread = math.sqrt(2 * float(counts @ (sizes**2 * (1 - signed**2))))
        return 0.5 * math.erfc((observed - mean) / spread) if spread else float(mean >= observed)

    return tail


def _two_sided(more: float, less: float) -> float:
    return min(1.0, 2 * min(more, less))


def _decided(low: float, tail: Tail, error: float) -> float:
    """A lower limit on the side of 0 on which the test decides: rounding may have put it on 0."""
    return max(low, sys.float_info.min) if tail(0) < error else min(low, 0.0)


def _paired_low(d: np.ndarray, m: np.ndarray, tail: Tail, error: float) -> float:
    """The lower limit of sum d / sum m; see ``paired_difference``."""
    tilt = _tilt(tail, error)
    if tilt == 0:
        return _decided(0.0, tail, error)
    difference = float(d.sum() / m.sum())
    size = np.abs(d)
    # Seeds may hold a larger difference than any yet seen: one network more, all of them if none has differed.
    most = np.minimum(m, size.max() + 1) if size.any() else m
    parts, caps = (part * np.tanh(abs(tilt) * part) for part in (size, most))
    scale = float(caps.sum() / m.sum())
    stated = min(difference, math.copysign(parts.sum() / m.sum(), tilt))
    furthest = math.copysign(scale * _mean_limit(parts, caps, error, upper=tilt < 0), tilt)
    return _decided(max(-1.0, difference - math.hypot(difference - stated, min(0.0, furthest - stated))), tail, error)


def _tilt(tail: Tail, error: float) -> float:
    """The tilt at which ``tail`` is ``error``, of the sign on which the test at 0 decides; at most ``MOST_TILT``."""
    from scipy.optimize import brentq

    side = 1.0 if tail(0) < error else -1.0
    near, far = 0.0, side / 64
    while (tail(far) < error) == (side > 0):
        near, far = far, 2 * far
        if abs(far) > MOST_TILT:
            return side * MOST_TILT
    return float(brentq(lambda tilt: tail(tilt) - error, near, far, xtol=1e-14, rtol=1e-12))


def _mean_limit(parts: np.ndarray, caps: np.ndarray, error: float, upper: bool) -> float:
    """A one-sided limit of sum parts / sum caps, where 0 <= parts <= caps [s]; the limit of Clopper and Pearson for 0
    or cap.

    A seed at the bound is added and the beta distribution of the same mean and variance taken.
    """
    from scipy.special import betaincinv

    share, weight = _weighted(parts, caps, float(not upper), float(upper))
    if share in (0.0, 1.0):
        return share
    return float(betaincinv(share * weight, (1 - share) * weight, 1 - error if upper else error))


def _weighted(parts: np.ndarray, caps: np.ndarray, none: float, full: float) -> tuple[float, float]:
    """The share sum parts / sum caps, with ``none`` seeds of 0 and ``full`` of mean cap added, and the number of seeds
    that a share of 0 or 1 a seed would need for its variance: the weight of a beta distribution of this mean and
    variance."""
    cap = float(caps.mean())
    seeds = len(parts) + none + full
    share = (float(parts.sum()) / cap + full) / seeds
    squares = float((((parts - share * caps) / cap) ** 2).sum()) + none * share**2 + full * (1 - share) ** 2
    return share, (share * (1 - share) * seeds * (seeds + 1) / squares - 1 if squares else math.inf)


def _score_tail(p1: float, n1: float, p2: float, n2: float) -> Tail:
    """P(score statistic >= the observed one) as a function of the difference p1 - p2 that is tested."""
    return lambda difference: 0.5 * math.erfc(_score(p1, n1, p2, n2, difference) / math.sqrt(2))


def _score_low(difference: float, tail: Tail, error: float) -> float:
    """The difference at which ``tail`` is ``error``, on the side of 0 on which the test of 0 decides."""
    from scipy.optimize import brentq

    if difference == -1:
        return -1.0
    near, far = (0.0, difference) if tail(0) < error else (-1.0, min(0.0, difference))
    return _decided(float(brentq(lambda tested: tail(tested) - error, near, far, xtol=1e-14)), tail, error)


def _score(p1: float, n1: float, p2: float, n2: float, difference: float) -> float:
    """The score statistic of p1 - p2 = ``difference``, with the variance at the likeliest rates that differ by it."""
    n, x1, x2 = n1 + n2, p1 * n1, p2 * n2
    # the middle root of a cubic, by its angle: Miettinen and Nurminen, appendix 1
    c2 = ((n1 + 2 * n2) * difference - n - x1 - x2) / n
    c1 = ((n2 * difference - n - 2 * x2) * difference + x1 + x2) / n
    c0 = x2 * difference * (1 - difference) / n
    v = c2**3 / 27 - c1 * c2 / 6 + c0 / 2
    u = math.copysign(math.sqrt(max(0.0, c2**2 / 9 - c1 / 3)), v)
    angle = (math.pi + math.acos(max(-1.0, min(1.0, v / u**3 if abs(u) > 1e-100 else 0.0)))) / 3
    second = min(1.0, max(0.0, 2 * u * math.cos(angle) - c2 / 3))
    first = min(1.0, max(0.0, second + difference))
    variance = (first * (1 - first) / n1 + second * (1 - second) / n2) * n / (n - 1)
    gap = p1 - p2 - difference
    return gap / math.sqrt(variance) if variance > 0 else math.copysign(math.inf, gap) if gap else 0.0
