"""Where the loss is going at the end of training."""

from __future__ import annotations

import math

import numpy as np

from nnspec.diagnostics.group import Group
from nnspec.diagnostics.thresholds import TAIL
from nnspec.duration import log_every, updates
from nnspec.results.arrays import NEVER
from nnspec.specs import RunSpec


def trends(group: Group) -> tuple[np.ndarray, np.ndarray]:
    """The ``trend`` of each network [m] while it trained: once train.stop has ended it, its history only repeats its
    last loss."""
    if group.stopped_at is None:
        return trend(group.steps, group.loss)
    slope, jitter = (np.full(len(group.loss), np.nan) for _ in range(2))
    for at in np.unique(group.stopped_at):
        which = np.flatnonzero(group.stopped_at == at)
        last = len(group.steps) - 1 if at == NEVER else int(np.searchsorted(group.steps, at))
        slope[which], jitter[which] = trend(group.steps[: last + 1], group.loss[which, : last + 1])
    return slope, jitter


def tail_updates(spec: RunSpec) -> int:
    """Updates over which the ``trend`` of a network that trains to its end is read: from the first logged row of the
    last fifth on, or from the one before the last row."""
    last = updates(spec)
    every = min(log_every(spec), last)
    rows_before_tail = -(-math.ceil((1 - TAIL) * last) // every)
    row_before_last = (last - 1) // every
    return last - every * min(rows_before_tail, row_before_last)


def trend(steps: np.ndarray, loss: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """By how much of itself the loss [m, t] changed over the last fifth of training, and how much it jittered: [m]
    each.

    The change is that of a straight line fitted to it, negative where it falls, for an optimizer's steps make the loss
    jump about; the jitter is the root mean square of what is left. NaN with a single row.
    """
    if len(steps) < 2:
        return np.full(len(loss), np.nan), np.full(len(loss), np.nan)
    count = max(2, int((steps >= (1 - TAIL) * steps[-1]).sum()))
    at, values = steps[-count:].astype(np.float64), loss[:, -count:].astype(np.float64)
    at = (at - at.mean()) / (at[-1] - at[0])
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):  # losses that overflowed, or are exactly 0
        middle = values.mean(1, keepdims=True)
        change = ((values - middle) * at).sum(1) / (at * at).sum()
        left = values - middle - change[:, None] * at
        return change / np.abs(middle[:, 0]), np.sqrt((left * left).mean(1)) / np.abs(middle[:, 0])
