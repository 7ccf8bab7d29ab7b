"""Is one level better than another? Every pair of levels: difference of solve rates or of means, interval and corrected
p-value.

Where two levels have the same seeds under the same other axes, networks are paired: what differs within a pair is the
level alone. Pairs that share a seed (under several other axes) share first weights too, so the seed is the unit that is
independent, and both the test and the interval work on seeds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from nnspec.analysis.differences import independent_difference, paired_difference
from nnspec.analysis.levels import AnalysisError, axes_of, column_of, follows, group_by, levels_of, widest
from nnspec.analysis.means import independent_mean_difference, paired_mean_difference
from nnspec.analysis.measures import MEASURES, SOLVED, measured

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class _Side:
    """The networks of one level by rising key: what is compared, seed and key (seed and other axes), [m] each."""

    values: np.ndarray  # 0 or 1 where it is solved, else a measure
    broken: np.ndarray
    seeds: np.ndarray
    keys: np.ndarray

    def of(self, rows: np.ndarray) -> _Side:
        return _Side(self.values[rows], self.broken[rows], self.seeds[rows], self.keys[rows])

    def by_seed(self) -> tuple[np.ndarray, np.ndarray]:
        """The sum over its networks and their number, [s] each by rising seed."""
        sizes = np.bincount(self.seeds)
        sums = np.bincount(self.seeds, weights=self.values)
        return sums[sizes > 0], sizes[sizes > 0]

    def distinct(self) -> bool:
        return bool((np.diff(self.keys) > 0).all())


def compare(
    table: pd.DataFrame,
    by: str,
    axes: Sequence[str] | None = None,
    confidence: float = 0.95,
    measure: str = SOLVED,
) -> pd.DataFrame:
    """One row a pair of levels of ``by``: ``a``, ``b``, ``networks_a``, ``networks_b``, ``rate_a``, ``rate_b``,
    ``difference`` (a - b), ``low``, ``high``, ``p``, ``p_holm`` and ``paired``. For a measure that has a mean the rates
    are ``mean_a`` and ``mean_b``, and ``broken_a`` and ``broken_b`` count networks without a finite value: they take
    the worst one, see ``measures``.

    Paired where each network of the smaller level has a partner of the same seed under the same other axes (networks
    without a partner are then left out): see ``paired_difference`` and ``paired_mean_difference``, else
    ``independent_difference`` and ``independent_mean_difference``. ``low`` and ``high`` exclude 0 exactly where ``p`` <
    1 - confidence, one pair at a time; ``p_holm`` holds for all pairs at once (Holm, 1979).

    Args:
        axes: columns that part networks besides the varied fields of the spec, which ``axes_of`` finds.
        measure: 'solved', or one of ``measures.MEASURES``, as 'final_test_accuracy'.

    Raises:
        AnalysisError: if ``by`` is no axis, is the seed, or has fewer than two levels; if there is no such measure, or
            networks do not have it.
    """
    import pandas as pd

    by = column_of(table, by)
    if by == "seed":
        raise AnalysisError(
            "compare needs an axis other than 'seed', because seeds are what pairs networks; name a varied field"
        )
    levels = levels_of(table, by)
    if len(levels) < 2:
        raise AnalysisError(
            f"compare needs an axis of at least 2 levels, but '{by}' has {len(levels)}; vary it in the sweep"
        )
    given = [axis for axis in (column_of(table, axis) for axis in axes or ()) if not follows(table, axis, [by])]
    others = dict.fromkeys([*axes_of(table, by), *given])
    side = _sides(table, [axis for axis in others if axis not in (by, "seed")], measure)
    order = np.argsort(side.keys, kind="stable")
    sides = [side.of(order[levels.codes[order] == i]) for i in range(len(levels))]
    names = levels.values
    rows = [
        {"a": names[i], "b": names[j], **_pair(sides[i], sides[j], confidence, measure)}
        for i, j in combinations(range(len(levels)), 2)
    ]
    frame = pd.DataFrame(rows)
    frame.insert(frame.columns.get_loc("paired"), "p_holm", holm(frame["p"].to_numpy()))
    return frame


def axes_to_compare(table: pd.DataFrame, by: str | Sequence[str] | None, axes: Sequence[str]) -> list[str]:
    """The columns of the axes that ``by`` names, each once; without any, the widest of ``axes`` that the table has.

    Raises:
        AnalysisError: none is named, and nothing varies but seeds.
    """
    names = [by] if isinstance(by, str) else list(by or ())
    if names:
        return list(dict.fromkeys(column_of(table, name) for name in names))
    there = [axis for axis in axes if axis in table]
    if not there:
        raise AnalysisError("compare needs a sweep that varies more than seeds, but this one does not; name another")
    return widest(table, there, 1)


def holm(p: ArrayLike) -> np.ndarray:
    """p-values corrected for their number, so that all hold at once. Source: Holm, Scand. J. Statistics 6 (1979) 65."""
    values = np.asarray(p, dtype=float)
    order = np.argsort(values, kind="stable")
    corrected = np.minimum(1.0, np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1)))
    out = np.empty_like(values)
    out[order] = corrected
    return out


def _sides(table: pd.DataFrame, others: Sequence[str], measure: str) -> _Side:
    if measure == SOLVED:
        values, broken = table["solved"].to_numpy(dtype=bool), np.zeros(len(table), dtype=bool)
    else:
        found = measured(table, measure)
        values, broken = found.values, found.broken
    seeds = levels_of(table, "seed").codes
    return _Side(values, broken, seeds, group_by(table, [*others, "seed"]).codes)


def _matches(one: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Positions in each of the keys that both hold; rising and distinct keys."""
    if np.array_equal(one, other):  # a complete sweep, the common case: no need to sort a million keys for each pair
        return np.arange(len(one)), np.arange(len(one))
    _, in_one, in_other = np.intersect1d(one, other, assume_unique=True, return_indices=True)
    return in_one, in_other


def _pair(a: _Side, b: _Side, confidence: float, measure: str) -> dict[str, object]:
    paired = False
    if a.distinct() and b.distinct():
        in_a, in_b = _matches(a.keys, b.keys)
        paired = len(in_a) == min(len(a.keys), len(b.keys))
    if paired:
        a, b = a.of(in_a), b.of(in_b)
    (x, sizes_a), (y, sizes_b) = a.by_seed(), b.by_seed()
    means = float(a.values.mean()), float(b.values.mean())
    counts = {"networks_a": len(a.values), "networks_b": len(b.values)}
    if measure == SOLVED:
        found = {"rate_a": means[0], "rate_b": means[1]}
        test = (
            paired_difference(x, y, sizes_a, confidence)
            if paired
            else independent_difference(x, y, sizes_a, sizes_b, confidence)
        )
    else:
        broken = {"broken_a": int(a.broken.sum()), "broken_b": int(b.broken.sum())}
        found = broken | {"mean_a": means[0], "mean_b": means[1]}
        most = MEASURES[measure].most
        test = (
            paired_mean_difference(x, y, sizes_a, most, confidence)
            if paired
            else independent_mean_difference(x, y, sizes_a, sizes_b, most, confidence)
        )
    return {**counts, **found, "difference": means[0] - means[1], **test._asdict(), "paired": paired}
