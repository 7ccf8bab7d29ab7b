"""Is one level better than another? Every pair of levels: difference of solve rates, interval and corrected p-value.

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

from nnspec.analysis.differences import Difference, independent_difference, paired_difference
from nnspec.analysis.levels import AnalysisError, axes_of, column_of, follows, group_by, levels_of

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class _Side:
    """The networks of one level by rising key: outcome, seed and key (seed and other axes), [m] each."""

    solved: np.ndarray
    seeds: np.ndarray
    keys: np.ndarray

    def of(self, rows: np.ndarray) -> _Side:
        return _Side(self.solved[rows], self.seeds[rows], self.keys[rows])

    def by_seed(self) -> tuple[np.ndarray, np.ndarray]:
        """Networks that solved and networks in all, [s] each by rising seed."""
        sizes = np.bincount(self.seeds)
        solved = np.bincount(self.seeds, weights=self.solved)
        return solved[sizes > 0].astype(np.int64), sizes[sizes > 0]

    def distinct(self) -> bool:
        return bool((np.diff(self.keys) > 0).all())


def compare(table: pd.DataFrame, by: str, axes: Sequence[str] | None = None, confidence: float = 0.95) -> pd.DataFrame:
    """One row a pair of levels of ``by``: ``a``, ``b``, ``networks_a``, ``networks_b``, ``rate_a``, ``rate_b``,
    ``difference`` (a - b), ``low``, ``high``, ``p``, ``p_holm`` and ``paired``.

    Paired where each network of the smaller level has a partner of the same seed under the same other axes (networks
    without a partner are then left out): see ``paired_difference``, else ``independent_difference``. ``low`` and
    ``high`` exclude 0 exactly where ``p`` < 1 - confidence, one pair at a time; ``p_holm`` holds for all pairs at once
    (Holm, 1979).

    Args:
        axes: columns that part networks besides the varied fields of the spec, which ``axes_of`` finds.

    Raises:
        AnalysisError: if ``by`` is no axis, is the seed, or has fewer than two levels.
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
    side = _sides(table, [axis for axis in others if axis not in (by, "seed")])
    order = np.argsort(side.keys, kind="stable")
    sides = [side.of(order[levels.codes[order] == i]) for i in range(len(levels))]
    names = levels.values
    rows = [
        {"a": names[i], "b": names[j], **_pair(sides[i], sides[j], confidence)}
        for i, j in combinations(range(len(levels)), 2)
    ]
    frame = pd.DataFrame(rows)
    frame.insert(frame.columns.get_loc("paired"), "p_holm", holm(frame["p"].to_numpy()))
    return frame


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
    difference = (_paired if paired else _independent)(a, b, confidence)
    rates = float(a.solved.mean()), float(b.solved.mean())
    counts = {"networks_a": len(a.solved), "networks_b": len(b.solved), "rate_a": rates[0], "rate_b": rates[1]}
    return {**counts, "difference": rates[0] - rates[1], **difference._asdict(), "paired": paired}


def _paired(a: _Side, b: _Side, confidence: float) -> Difference:
    (x, sizes), (y, _) = a.by_seed(), b.by_seed()
    return paired_difference(x, y, sizes, confidence)


def _independent(a: _Side, b: _Side, confidence: float) -> Difference:
    (x, sizes_a), (y, sizes_b) = a.by_seed(), b.by_seed()
    return independent_difference(x, y, sizes_a, sizes_b, confidence)
