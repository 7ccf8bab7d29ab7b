"""Is one level better than another? Every pair of levels: difference of solve rates, interval and corrected p-value.

Where two levels have the same seeds under the same other axes, networks are paired: what differs within a pair is the
level alone. Pairs that share a seed (under several other axes) share first weights too, so the seed is the unit that is
independent, and both the test and the interval work on seeds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from nnspec.analysis.levels import AnalysisError, axes_of, group_by, levels_of
from nnspec.analysis.stats import design_effects
from nnspec.intervals import wilson_interval

if TYPE_CHECKING:
    import pandas as pd

EXACT_LIMIT = 30_000_000  # additions that an exact sign-flip distribution may cost (about 0.1 s)


@dataclass(frozen=True)
class _Side:
    """The networks of one level by rising key: outcome, seed and key (seed and other axes), [m] each."""

    solved: np.ndarray
    seeds: np.ndarray
    keys: np.ndarray

    def of(self, rows: np.ndarray) -> _Side:
        return _Side(self.solved[rows], self.seeds[rows], self.keys[rows])

    def distinct(self) -> bool:
        return bool((np.diff(self.keys) > 0).all())


def compare(table: pd.DataFrame, by: str, axes: Sequence[str] | None = None, confidence: float = 0.95) -> pd.DataFrame:
    """One row a pair of levels of ``by``: ``a``, ``b``, ``networks_a``, ``networks_b``, ``rate_a``, ``rate_b``,
    ``difference`` (a - b), ``low``, ``high``, ``p``, ``p_holm`` and ``paired``.

    Paired where each network of the smaller level has a partner of the same seed under the same other axes (networks
    without a partner are then left out): Newcombe's interval for paired rates and the exact McNemar test; where
    seeds repeat under other axes, their extensions to clusters (``paired_interval``, ``sign_flip_p``). Otherwise Newcombe's
    interval for independent rates and Fisher's exact test, on counts divided by the design effect where seeds repeat.
    ``p_holm`` holds for all pairs at once (Holm, 1979); the intervals are one pair at a time.

    Args:
        axes: the varied axes; None takes ``axes_of(table)``.

    Raises:
        AnalysisError: if ``by`` is no axis, is the seed, or has fewer than two levels.
    """
    import pandas as pd

    if by == "seed":
        raise AnalysisError("compare needs an axis other than 'seed', because seeds are what pairs networks; name a varied field")
    levels = levels_of(table, by)
    if len(levels) < 2:
        raise AnalysisError(f"compare needs an axis of at least 2 levels, but '{by}' has {len(levels)}; vary it in the sweep")
    others = [axis for axis in (axes_of(table) if axes is None else axes) if axis not in (by, "seed")]
    side = _sides(table, others)
    order = np.argsort(side.keys, kind="stable")
    sides = [side.of(order[levels.codes[order] == i]) for i in range(len(levels))]
    names = levels.values
    rows = [{"a": names[i], "b": names[j], **_pair(sides[i], sides[j], confidence)} for i, j in combinations(range(len(levels)), 2)]
    frame = pd.DataFrame(rows)
    frame.insert(frame.columns.get_loc("paired"), "p_holm", holm(frame["p"].to_numpy()))
    return frame


def newcombe_interval(x1: float, n1: float, x2: float, n2: float, confidence: float = 0.95) -> tuple[float, float]:
    """Limits of x1/n1 - x2/n2, independent samples. Source: Newcombe, Statistics in Medicine 17 (1998) 873, method 10."""
    return _square_and_add(x1 / n1, n1, x2 / n2, n2, 0.0, confidence)


def paired_interval(a: ArrayLike, b: ArrayLike, size: int = 1, confidence: float = 0.95) -> tuple[float, float]:
    """Limits of the difference of two paired rates; ``a`` and ``b`` [s] count what solved of ``size`` networks a seed.

    One network a seed: Newcombe, Statistics in Medicine 17 (1998) 2635, method 10, with its correction of phi towards 0.
    More: the same squares added, with each Wilson interval on networks / design effect and, for phi, the correlation of
    a and b over seeds.
    """
    x, y = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    seeds = len(x)
    phi = _phi(x, y) if size == 1 else _correlation(x, y)
    n1, n2 = (seeds * size / _effect(counts, size) for counts in (x, y))
    return _square_and_add(x.mean() / size, n1, y.mean() / size, n2, phi, confidence)


def sign_flip_p(differences: ArrayLike) -> float:
    """Two-sided p-value of the sum of whole ``differences`` [s], one a seed, each sign equally likely if levels do not matter.

    Exact: the distribution of the sum over all 2^s signs. With differences of -1, 0 and 1 it is the exact McNemar test.
    Beyond ``EXACT_LIMIT`` additions the normal limit stands in (thousands of seeds, where it is as good).
    """
    d = np.asarray(differences, dtype=np.int64)
    d = d[d != 0]
    if not d.size:
        return 1.0
    observed = abs(int(d.sum()))
    sizes, counts = np.unique(np.abs(d), return_counts=True)
    total = int(sizes @ counts)
    if len(sizes) > 1 and total * d.size > EXACT_LIMIT:
        return math.erfc(observed / math.sqrt(2 * float(d @ d)))
    return min(1.0, _tail(sizes, counts, total, observed))


def mcnemar_p(only_a: int, only_b: int) -> float:
    """Exact McNemar test of the two counts of pairs that differ: two-sided binomial at one half."""
    return sign_flip_p(np.repeat([1, -1], [only_a, only_b]))


def holm(p: ArrayLike) -> np.ndarray:
    """p-values corrected for their number, so that all hold at once. Source: Holm, Scand. J. Statistics 6 (1979) 65."""
    values = np.asarray(p, dtype=float)
    order = np.argsort(values, kind="stable")
    corrected = np.minimum(1.0, np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1)))
    out = np.empty_like(values)
    out[order] = corrected
    return out


def _sides(table: pd.DataFrame, others: Sequence[str]) -> _Side:
    solved = table["solved"].to_numpy(dtype=bool)
    seeds = levels_of(table, "seed").codes
    return _Side(solved, seeds, group_by(table, [*others, "seed"]).codes)


def _matches(one: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Positions in each of the keys that both hold; rising and distinct keys."""
    if np.array_equal(one, other):  # a complete sweep, the common case: no need to sort a million keys for each pair
        return np.arange(len(one)), np.arange(len(one))
    _, in_one, in_other = np.intersect1d(one, other, assume_unique=True, return_indices=True)
    return in_one, in_other


def _pair(a: _Side, b: _Side, confidence: float) -> dict[str, object]:
    paired = False
    if a.distinct() and b.distinct():
        in_a, in_b = _matches(a.keys, b.keys)
        paired = len(in_a) == min(len(a.keys), len(b.keys))
    if paired:
        a, b = a.of(in_a), b.of(in_b)
    low, high, p = (_paired if paired else _independent)(a, b, confidence)
    rates = float(a.solved.mean()), float(b.solved.mean())
    counts = {"networks_a": len(a.solved), "networks_b": len(b.solved), "rate_a": rates[0], "rate_b": rates[1]}
    return {**counts, "difference": rates[0] - rates[1], "low": low, "high": high, "p": p, "paired": paired}


def _paired(a: _Side, b: _Side, confidence: float) -> tuple[float, float, float]:
    seeds, codes, sizes = np.unique(a.seeds, return_inverse=True, return_counts=True)
    x, y = (np.bincount(codes, weights=side.solved, minlength=len(seeds)) for side in (a, b))
    p = sign_flip_p(x - y)
    if sizes.min() == sizes.max():
        return *paired_interval(x, y, int(sizes[0]), confidence), p
    # Seeds with different numbers of partners (an incomplete sweep): shares, each seed as if it had the mean number.
    size = float(sizes.mean())
    phi = _correlation(x / sizes, y / sizes)
    n1, n2 = (len(a.keys) / _effect(counts / sizes * size, size) for counts in (x, y))
    return *_square_and_add(a.solved.mean(), n1, b.solved.mean(), n2, phi, confidence), p


def _independent(a: _Side, b: _Side, confidence: float) -> tuple[float, float, float]:
    from scipy import stats

    n1, n2 = (len(s.solved) / design_effects(np.zeros_like(s.seeds), s.seeds, s.solved, 1)[0] for s in (a, b))
    x1, x2 = a.solved.mean() * n1, b.solved.mean() * n2
    counts = [[round(x1), round(n1) - round(x1)], [round(x2), round(n2) - round(x2)]]
    return *newcombe_interval(x1, n1, x2, n2, confidence), float(stats.fisher_exact(counts).pvalue)


def _square_and_add(p1: float, n1: float, p2: float, n2: float, phi: float, confidence: float) -> tuple[float, float]:
    (l1, l2), (u1, u2) = wilson_interval(np.array([p1 * n1, p2 * n2]), np.array([n1, n2]), confidence)
    down = (p1 - l1) ** 2 - 2 * phi * (p1 - l1) * (u2 - p2) + (u2 - p2) ** 2
    up = (u1 - p1) ** 2 - 2 * phi * (u1 - p1) * (p2 - l2) + (p2 - l2) ** 2
    # Rounding can leave -1e-18 where phi is 1 and both arms are equal.
    return max(-1.0, p1 - p2 - math.sqrt(max(0.0, down))), min(1.0, p1 - p2 + math.sqrt(max(0.0, up)))


def _phi(x: np.ndarray, y: np.ndarray) -> float:
    """Phi of a table of pairs, its numerator moved by n/2 towards 0 where positive (Newcombe's continuity correction)."""
    n, both = len(x), float(x @ y)
    one, two = float(x.sum()), float(y.sum())
    margins = one * (n - one) * two * (n - two)
    if margins == 0:
        return 0.0
    numerator = both * (n - one - two + both) - (one - both) * (two - both)
    return (max(0.0, numerator - n / 2) if numerator > 0 else numerator) / math.sqrt(margins)


def _correlation(x: np.ndarray, y: np.ndarray) -> float:
    scale = math.sqrt(float(x.var() * y.var()))
    return float(((x - x.mean()) * (y - y.mean())).mean()) / scale if scale > 0 else 0.0


def _effect(counts: np.ndarray, size: float) -> float:
    """The design effect of seeds with ``counts`` [s] solved of ``size``; see ``stats.design_effects``."""
    seeds, rate = len(counts), float(counts.mean() / size)
    if size <= 1 or seeds < 2 or rate in (0.0, 1.0):
        return float(size)
    spread = float(((counts - rate * size) ** 2).sum())
    return float(np.clip(seeds / (seeds - 1) * spread / (seeds * size * rate * (1 - rate)), 1.0, size))


def _tail(sizes: np.ndarray, counts: np.ndarray, total: int, observed: int) -> float:
    """P(|sum| >= observed). The sum is -total + 2 * (what drew a plus sign), whose distribution grows size by size."""
    from scipy import stats

    plus = np.ones(1)
    for size, count in zip(sizes.tolist(), counts.tolist(), strict=True):
        grown = np.zeros(len(plus) + size * count)
        for k, weight in enumerate(stats.binom.pmf(np.arange(count + 1), count, 0.5)):
            grown[k * size : k * size + len(plus)] += weight * plus
        plus = grown
    sums = 2 * np.arange(len(plus)) - total
    return float(plus[np.abs(sums) >= observed].sum())
