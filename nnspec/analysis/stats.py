"""Rates, their intervals and losses of groups of networks.

Networks that share a seed share their first weights, so a group that holds each seed several times (because it pools
other axes) knows less than its size says. Its interval counts only as many networks as the spread between seeds
supports: size / design effect (Kish, Survey Sampling, 1965). Within a cell every seed occurs once and nothing changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from nnspec.analysis.levels import Groups, group_by, levels_of
from nnspec.analysis.means import mean_limits, mean_of
from nnspec.analysis.measures import SOLVED, measured
from nnspec.intervals import wilson_interval

if TYPE_CHECKING:
    import pandas as pd

QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)


def solve_rates(table: pd.DataFrame, by: str | Sequence[str], confidence: float = 0.95) -> pd.DataFrame:
    """One row a combination of levels that occurs: the levels, ``networks``, ``solved``, ``rate``, ``low`` and
    ``high``.

    The interval is Wilson's; see the module for groups in which seeds repeat.

    Raises:
        AnalysisError: if an axis is not a column of the table.
    """
    import pandas as pd

    groups = group_by(table, _names(by))
    networks, solved, effective = group_counts(table, groups)
    rate = solved / networks
    low, high = wilson_interval(rate * effective, effective, confidence)
    frame = level_columns(groups)
    return pd.DataFrame({**frame, "networks": networks, "solved": solved, "rate": rate, "low": low, "high": high})


def measure_means(table: pd.DataFrame, by: str | Sequence[str], measure: str, confidence: float = 0.95) -> pd.DataFrame:
    """One row a combination of levels that occurs: the levels, ``networks``, ``broken``, ``mean``, ``low`` and
    ``high`` of one of ``measures.MEASURES``, with seeds as what is independent; see ``means`` and ``measures``.

    Raises:
        AnalysisError: if an axis is not a column of the table, or networks do not have the measure.
    """
    import pandas as pd

    found = measured(table, measure)
    groups = group_by(table, _names(by))
    seeds = levels_of(table, "seed").codes if "seed" in table.columns else np.arange(len(table))
    rows = []
    for values, broken, of_seed in zip(*(split(v, groups) for v in (found.values, found.broken, seeds)), strict=True):
        _, place = np.unique(of_seed, return_inverse=True)
        mean = mean_of(np.bincount(place, weights=values), np.bincount(place))
        low, high = mean_limits(mean, 0.0, found.measure.most, confidence)
        rows.append((len(values), int(broken.sum()), float(values.mean()), low, high))
    numbers = pd.DataFrame(rows, columns=["networks", "broken", "mean", "low", "high"])
    return pd.concat([pd.DataFrame(level_columns(groups), index=numbers.index), numbers], axis=1)


def summary(
    table: pd.DataFrame, by: str | Sequence[str], confidence: float = 0.95, measure: str = SOLVED
) -> pd.DataFrame:
    """``solve_rates``, or the ``measure_means`` of another measure."""
    return solve_rates(table, by, confidence) if measure == SOLVED else measure_means(table, by, measure, confidence)


def loss_quantiles(
    table: pd.DataFrame, by: str | Sequence[str], quantiles: Sequence[float] = QUANTILES
) -> pd.DataFrame:
    """One row a combination of levels: the levels, ``networks``, and quantiles of the final loss as ``q10``, ``q25``,
    ...

    A non-finite loss counts as infinite, so that diverged networks stand at the bad end and are not dropped.
    """
    import pandas as pd

    groups = group_by(table, _names(by))
    loss = table["final_loss"].to_numpy(dtype=float)
    loss = np.where(np.isfinite(loss), loss, np.inf)
    parts = [loss[groups.codes == g] for g in range(len(groups))] if len(groups) < 50 else split(loss, groups)
    # Linear interpolation between a number and infinity has no value, so the quantile is an observed loss.
    values = np.array([np.quantile(part, quantiles, method="inverted_cdf") for part in parts]).reshape(
        len(parts), len(quantiles)
    )
    names = {f"q{100 * q:g}": values[:, i] for i, q in enumerate(quantiles)}
    return pd.DataFrame({**level_columns(groups), "networks": [len(part) for part in parts], **names})


def group_counts(table: pd.DataFrame, groups: Groups) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Networks, solved networks and effective networks of each group, [g] each."""
    outcome = table["solved"].to_numpy(dtype=bool)
    networks = np.bincount(groups.codes, minlength=len(groups))
    solved = np.bincount(groups.codes, weights=outcome, minlength=len(groups)).astype(np.int64)
    if "seed" not in table.columns:
        return networks, solved, networks.astype(float)
    seeds = levels_of(table, "seed").codes
    return networks, solved, networks / design_effects(groups.codes, seeds, outcome, len(groups))


def design_effects(codes: np.ndarray, seeds: np.ndarray, outcome: np.ndarray, groups: int) -> np.ndarray:
    """By how much repeated seeds inflate the variance of each group's rate, [g], from 1 to networks a seed.

    The variance between seeds is that of a ratio estimate, S/(S-1) sum (y_s - p m_s)^2 / n^2 with y_s solved of m_s
    networks at seed s. At rates of 0 and 1 it has no estimate and takes the mean correlation within seeds of the other
    groups. Where there is none to take, or a single seed, each seed counts as one network.
    """
    size = int(seeds.max(initial=0)) + 1
    found, cluster = np.unique(codes * size + seeds, return_inverse=True)
    owner = found // size  # the group of each cluster
    m = np.bincount(cluster, minlength=len(found)).astype(float)
    y = np.bincount(cluster, weights=outcome, minlength=len(found))
    n = np.bincount(owner, weights=m, minlength=groups)
    count = np.bincount(owner, minlength=groups).astype(float)
    rate = np.bincount(owner, weights=y, minlength=groups) / n
    spread = np.bincount(owner, weights=(y - rate[owner] * m) ** 2, minlength=groups)
    with np.errstate(divide="ignore", invalid="ignore"):
        effect = count / (count - 1) * spread / (n * rate * (1 - rate))
    most = n / count
    known = np.isfinite(effect) & (most > 1)
    correlation = float(np.clip((effect[known] - 1) / (most[known] - 1), 0, 1).mean()) if known.any() else 1.0
    borrowed = np.where(count > 1, 1 + correlation * (most - 1), most)
    return np.clip(np.where(np.isfinite(effect), effect, borrowed), 1.0, most)


def level_columns(groups: Groups) -> dict[str, list[object]]:
    """The levels of each group as columns."""
    return {level.axis: [level.values[i] for i in groups.combos[:, a]] for a, level in enumerate(groups.levels)}


def _names(by: str | Sequence[str]) -> list[str]:
    return [by] if isinstance(by, str) else list(by)


def split(values: np.ndarray, groups: Groups) -> list[np.ndarray]:
    """The ``values`` [m] of each group, in their order."""
    order = np.argsort(groups.codes, kind="stable")
    return np.split(values[order], np.cumsum(np.bincount(groups.codes, minlength=len(groups)))[:-1])
