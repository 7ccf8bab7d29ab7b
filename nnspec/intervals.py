"""Confidence intervals of shares, for the record of a run and for the tables of many."""

from __future__ import annotations

from functools import lru_cache
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike


def wilson_interval(successes: ArrayLike, trials: ArrayLike, confidence: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """Wilson's score interval of a share: (low, high) as float64 arrays of the broadcast shape, within [0, 1].

    With z the normal quantile of ``confidence`` and p = k / n, the interval is
    ``(p + z^2/2n +- z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n)`` (Wilson, 1927). Unlike p +- z se it holds its level
    for few trials and stays inside [0, 1]; zero trials give (0, 1): nothing is known.

    Raises:
        ValueError: for a confidence outside (0, 1), negative trials or successes outside 0..trials.
    """
    k, n = np.broadcast_arrays(np.asarray(successes, np.float64), np.asarray(trials, np.float64))
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie strictly between 0 and 1, but got {confidence}")
    if not bool(np.all((k >= 0) & (k <= n))):
        raise ValueError(f"0 <= successes <= trials must hold, but got {successes=}, {trials=}")
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    some = np.where(n > 0, n, 1.0)
    share = np.where(n > 0, k / some, 0.5)
    spread = z * np.sqrt(share * (1 - share) / some + z**2 / (4 * some**2))
    middle = share + z**2 / (2 * some)
    scale = 1 + z**2 / some
    # At k = 0 and k = n the bound is 0 or 1 exactly; rounding would leave 1e-17 there.
    low = np.where((n == 0) | (k == 0), 0.0, (middle - spread) / scale)
    high = np.where((n == 0) | (k == n), 1.0, (middle + spread) / scale)
    return low, high


@lru_cache(4096)
def wilson_limits(successes: int, trials: int) -> tuple[float, float]:
    """``wilson_interval`` of one share, in numbers. Cells by the thousand have few different ones."""
    low, high = wilson_interval(successes, trials)
    return float(low), float(high)
