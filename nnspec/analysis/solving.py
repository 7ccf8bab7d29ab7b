"""How long solving takes: Kaplan-Meier curves in which networks that never solved are censored, not dropped."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from nnspec.analysis.levels import Groups, group_by
from nnspec.analysis.stats import level_columns, split

if TYPE_CHECKING:
    import pandas as pd

LENGTHS = ("epochs", "train.epochs", "train.batch_size")  # columns that decide how many updates a network makes


@dataclass(frozen=True)
class Survival:
    """The share of networks still unsolved after each number of updates; a step function, right-continuous.

    ``median`` is the first time at which at most half are unsolved; it and its limits are ``inf`` where that never
    came.
    """

    times: np.ndarray  # [e] updates made, rising: every time at which a network solved or was censored
    unsolved: np.ndarray  # [e] share still unsolved
    low: np.ndarray  # [e] pointwise limits of the share
    high: np.ndarray  # [e]
    median: float
    median_low: float
    median_high: float
    networks: int
    solved: int


def survival(solved_at: ArrayLike, solved: ArrayLike, epochs: ArrayLike, confidence: float = 0.95) -> Survival:
    """The Kaplan-Meier curve of the updates a network needs to solve.

    Limits are by the exponential Greenwood formula (log-log), which stays within 0 and 1. The interval of the median
    holds every time at which the limits of the curve contain one half (Brookmeyer and Crowley, Biometrics 38, 1982).

    Args:
        solved_at: [m] updates made when the network solved; not read where it did not.
        solved: [m] bool.
        epochs: [m] or one number: updates made in all, where unsolved networks are censored.

    Raises:
        ValueError: if there is no network, a time that is not finite, or no such confidence.
    """
    done = np.asarray(solved, dtype=bool)
    if not done.size:
        raise ValueError("a survival curve must have at least one network, but got none; leave out empty groups")
    times = _times(solved_at, done, epochs)
    if not np.isfinite(times).all():
        raise ValueError("a survival curve must have finite times, but got one that is not; leave its network out")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, but got {confidence}; try 0.95")
    at, place = np.unique(times, return_inverse=True)
    ended = np.bincount(place)
    left = np.cumsum(ended[::-1])[::-1]  # networks that were still there
    lost = np.bincount(place, done)
    share = np.cumprod((left - lost) / left)
    low, high = _limits(share, left, lost, confidence)
    return Survival(
        at, share, low, high, _first(at, share), _first(at, low), _first(at, high), done.size, int(done.sum())
    )


def survival_table(table: pd.DataFrame, by: str | Sequence[str], confidence: float = 0.95) -> pd.DataFrame:
    """One row a combination of levels: the levels, ``networks``, ``solved``, ``median``, ``median_low``,
    ``median_high``."""
    import pandas as pd

    groups, ends = group_by(table, [by] if isinstance(by, str) else list(by)), updates_made(table)
    curves = [survival_of(table, groups.codes == g, ends, confidence) for g in range(len(groups))]
    names = ("networks", "solved", "median", "median_low", "median_high")
    return pd.DataFrame(
        {**level_columns(groups), **{name: [getattr(curve, name) for curve in curves] for name in names}}
    )


def survival_of(table: pd.DataFrame, rows: np.ndarray, ends: np.ndarray, confidence: float = 0.95) -> Survival:
    """The curve of the networks in ``rows`` [m] bool; ``ends`` [m] are the ``updates_made``."""
    return survival(table["solved_at"][rows], table["solved"][rows], ends[rows], confidence)


def updates_made(table: pd.DataFrame) -> np.ndarray:
    """[m] updates that each network made in all, as far as the table tells.

    It counts passes, of which each is one update at full batch. With mini-batches it is several: then networks of the
    same passes, batches and data made as many as each other, and at least as many as the last of them needed to solve.
    What comes after that changes no curve.
    """
    keys = [str(name) for name in table.columns if name in LENGTHS or str(name).startswith("data.")]
    codes = group_by(table, keys).codes
    done = table["solved"].to_numpy(dtype=bool)
    latest = np.zeros(len(table))
    np.maximum.at(latest, codes[done], _numbers(table["solved_at"], done)[done])
    return np.maximum(table["epochs"].to_numpy(dtype=float), latest[codes])


def median_updates(table: pd.DataFrame, groups: Groups) -> np.ndarray:
    """The median of each group's ``survival`` curve, [g]: infinite where that never came. Without limits, so that
    thousands of cells take no time."""
    done = table["solved"].to_numpy(dtype=bool)
    times = _times(table["solved_at"], done, updates_made(table))
    if len(groups) == len(table):  # a network each
        order = np.argsort(groups.codes)
        return np.where(done, times, np.inf)[order]
    return np.array([_median(*group) for group in zip(split(times, groups), split(done, groups), strict=True)])


def _median(times: np.ndarray, solved: np.ndarray) -> float:
    """The first time at which Kaplan and Meier's product is at most one half."""
    order = np.lexsort((~solved, times))  # a network that is censored as another solves was still there to solve
    left = np.arange(len(times), 0, -1)
    return _first(times[order], np.cumprod(1 - solved[order] / left))


def _times(solved_at: ArrayLike, solved: np.ndarray, epochs: ArrayLike) -> np.ndarray:
    """[m] when each network solved, or where it was censored."""
    end = np.broadcast_to(np.asarray(epochs, dtype=float), solved.shape)
    return np.where(solved, _numbers(solved_at, solved), end)


def _numbers(solved_at: ArrayLike, solved: np.ndarray) -> np.ndarray:
    """[m] float; a missing value (as pandas' NA) only where nothing was solved."""
    import pandas as pd

    numbers: np.ndarray = pd.Series(solved_at).astype("Float64").to_numpy(dtype=float, na_value=np.nan)
    if np.isnan(numbers[solved]).any():
        raise ValueError("solved_at must be a number for each solved network, but some are missing; check the table")
    return numbers


def _limits(share: np.ndarray, left: np.ndarray, lost: np.ndarray, confidence: float) -> tuple[np.ndarray, np.ndarray]:
    """[e] each, of the share unsolved [e] at times at which so many networks were ``left``, of which were ``lost``.

    Where the formula has no value: before the first solved network nothing is known to be lost, so the share is 1;
    where the curve reaches 0 the limits stay where they were, 0 below.
    """
    from scipy.special import ndtri

    with np.errstate(divide="ignore", invalid="ignore"):
        variance = np.cumsum(lost / (left * (left - lost))) / np.log(share) ** 2
        error = float(ndtri((1 + confidence) / 2)) * np.sqrt(variance)
        low, high = share ** np.exp(error), share ** np.exp(-error)
    low = np.where(share >= 1, 1.0, np.where(share <= 0, 0.0, low))
    high = np.where(share >= 1, 1.0, np.where(share <= 0, np.nan, high))
    last = high[share > 0][-1] if (share > 0).any() else 1.0
    return low, np.where(np.isnan(high), last, high)


def _first(times: np.ndarray, share: np.ndarray) -> float:
    # A curve of 8 steps of 1/16 must be seen to reach one half, whatever the rounding of its product.
    reached = np.flatnonzero(share <= 0.5 + 1e-12)
    return float(times[reached[0]]) if reached.size else math.inf
