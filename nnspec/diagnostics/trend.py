"""Where the loss is going at the end of training."""

from __future__ import annotations

import numpy as np

from nnspec.diagnostics.thresholds import TAIL


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
