"""Since when a verdict holds, as far as what is logged can tell: updates made, a number a network."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch

from nnspec.diagnostics.conditions import Case
from nnspec.diagnostics.gradients import flatten
from nnspec.diagnostics.group import Snapshots
from nnspec.diagnostics.probes import Probes, probe
from nnspec.diagnostics.room import ROOM
from nnspec.diagnostics.thresholds import Thresholds
from nnspec.results.arrays import NEVER

# Whether what a verdict rests on holds, by probes alone: asked of the initial weights and of snapshots.
HOLDS: Mapping[str, Callable[[Probes, Thresholds], np.ndarray]] = {
    "dead_units": lambda found, limits: found.blocked,
    "symmetric": lambda found, limits: found.copies,
    "saturated": lambda found, limits: (
        (found.numbers["passage"] < limits.passage) & (found.numbers["gradient_ratio"] < limits.vanishing)
    ),
}
LEVEL = ("local_minimum", "saddle", "stuck", *HOLDS)  # verdicts on networks whose loss does not move any more
JITTERS = 3  # a loss this many times its jitter away from its last value has moved


def since(case: Case, verdict: np.ndarray) -> np.ndarray:
    """The updates made since which each verdict [m] holds, [m]; NaN where nothing tells.

    Of a diverged network the update that broke it, else the first logged one since which its loss is out of bounds. Of
    dead, copied and flat units 0 if the initial weights had them already, else the first of the snapshots since which
    all have them. Of all networks whose loss stands still the first logged update since which it does. Nothing tells of
    a network that was as it is only once train.stop had ended it.
    """
    found = np.full(len(verdict), np.nan)
    lost = np.flatnonzero(verdict == "diverged")
    found[lost] = _diverged_since(case, lost)
    level = np.flatnonzero(np.isin(verdict, LEVEL))
    found[level] = _level_since(case, level)
    for name, holds in HOLDS.items():
        which = np.flatnonzero(verdict == name)
        if len(which):
            found[which] = _held_since(case, which, holds, found[which])
    stopped_at = case.group.stopped_at
    if stopped_at is not None:
        ended = (stopped_at != NEVER) & (verdict != "diverged")
        found[ended & (found >= stopped_at)] = np.nan
    return found


def _diverged_since(case: Case, which: np.ndarray) -> np.ndarray:
    """[w] exact where the trainer saw the outputs break; it logs no later losses as they were."""
    bound = case.limits.diverged_factor
    late = _settled(case, which, lambda loss, _: ~(loss <= bound * loss[:, :1]))
    at = case.group.nonfinite_at[which]
    return np.where(at >= 0, at, late)


def _level_since(case: Case, which: np.ndarray) -> np.ndarray:
    """[w] since when the loss has not moved; NaN where only its last value is like its last value."""
    jitter = np.nan_to_num(case.numbers["loss_jitter"])

    def near(loss: np.ndarray, some: np.ndarray) -> np.ndarray:
        share = np.maximum(case.limits.moved, JITTERS * jitter[some])
        return np.abs(loss - loss[:, -1:]) <= (share * np.abs(loss[:, -1]))[:, None]

    found = _settled(case, which, near)
    return np.where(found == case.group.steps[-1], np.nan, found)


def _settled(case: Case, which: np.ndarray, inside: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> np.ndarray:
    """[w] the first logged update since which ``inside`` (losses [k, t] of networks [k] -> bool [k, t]) always holds;
    NaN where it does not hold at the last. Few networks at a time: histories may be long."""
    steps, found = case.group.steps, np.full(len(which), np.nan)
    together = max(1, ROOM // len(steps))
    for first in range(0, len(which), together):
        some = which[first : first + together]
        with np.errstate(invalid="ignore", over="ignore"):  # losses that are not finite are inside nothing
            held = inside(case.group.loss[some].astype(np.float64), some)
        back = held[:, ::-1]
        count = np.where(back.all(1), len(steps), np.argmin(back, axis=1))  # logged rows at the end that hold
        found[first : first + together] = np.where(count > 0, steps[len(steps) - np.maximum(count, 1)], np.nan)
    return found


def _held_since(
    case: Case, which: np.ndarray, holds: Callable[[Probes, Thresholds], np.ndarray], level: np.ndarray
) -> np.ndarray:
    """[w] since when the units are as they are; ``level`` [w] is since when the loss stands still."""
    at_start = holds(case.starts, case.limits)[which]
    if case.group.snapshots is not None and case.rows.extent.exact:
        return _by_snapshots(case, case.group.snapshots, which, holds, at_start)
    after = case.group.steps[1] if len(case.group.steps) > 1 else np.nan  # it came between two logged updates
    return np.where(at_start, 0.0, np.maximum(level, after))


def _by_snapshots(
    case: Case,
    snapshots: Snapshots,
    which: np.ndarray,
    holds: Callable[[Probes, Thresholds], np.ndarray],
    at_start: np.ndarray,
) -> np.ndarray:
    """[w] the first snapshot since which all have it, looking back from the last; NaN where the last has not."""
    function = case.rows.problem.stacked(torch.from_numpy)
    found, left = np.full(len(which), np.nan), np.arange(len(which))  # those that had it in all snapshots so far
    for step in sorted(snapshots.weights, reverse=True):
        if len(left):
            flat = flatten(function.shape, snapshots.at(step, which[left]))
            left = left[holds(probe(function, flat, case.limits), case.limits)]
            found[left] = step
    found[left[at_start[left]]] = 0
    return found
