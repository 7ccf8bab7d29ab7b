"""What changes are worth, from networks that solved or did not: the statistics, and nothing else.

All changes of a command are judged at once. Of k changes each is tested at a k-th of 5% (Bonferroni), and its
difference has the interval of that confidence: so in at most 5% of commands is any change without an effect called a
remedy, all intervals of a command hold together, and none contradicts its p-value, as under Holm's correction it could.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from nnspec.analysis import paired_difference
from nnspec.intervals import wilson_interval

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Worth:
    """How often networks solve with a change, and what is sure of its difference from the spec as it is.

    ``low`` and ``high`` are Wilson's limits of the solve rate. ``difference_low``, ``difference_high`` and ``p`` hold
    for all changes at once: 0 lies outside the limits exactly where p is below 5%.
    """

    solve_rate: float
    low: float
    high: float
    difference: float
    difference_low: float
    difference_high: float
    p: float

    @property
    def remedy(self) -> bool:
        """Whether it is sure that more networks solve."""
        return self.difference_low > 0

    @property
    def harm(self) -> bool:
        """Whether it is sure that fewer networks solve."""
        return self.difference_high < 0


def worth(plain: ArrayLike, changed: ArrayLike, count: int, confidence: float = CONFIDENCE) -> Worth:
    """What one of ``count`` changes is worth.

    Args:
        plain: [n] bool, which networks solved as the spec is.
        changed: [n] bool, which of the same seeds solved with the change.

    The test is McNemar's, exact; see ``analysis.paired_difference``.
    """
    before, after = np.asarray(plain, dtype=bool), np.asarray(changed, dtype=bool)
    rate = float(after.mean())
    low, high = wilson_interval(after.sum(), after.size, confidence)
    found = paired_difference(after, before, confidence=1 - (1 - confidence) / count)
    p = min(1.0, count * found.p)
    return Worth(rate, float(low), float(high), rate - float(before.mean()), found.low, found.high, p)


def as_it_is(plain: ArrayLike, confidence: float = CONFIDENCE) -> Worth:
    """The spec itself among its changes: no difference, and none to be sure of."""
    solved = np.asarray(plain, dtype=bool)
    low, high = wilson_interval(solved.sum(), solved.size, confidence)
    return Worth(float(solved.mean()), float(low), float(high), 0.0, 0.0, 0.0, 1.0)
