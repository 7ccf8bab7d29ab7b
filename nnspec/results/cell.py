"""What training leaves behind, as plain NumPy arrays: the one value that diagnosis, tracking and analysis read."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from nnspec.intervals import wilson_interval
from nnspec.specs import RunSpec

NEVER = -1  # an update count that never came
WILSON = "95% Wilson"
Limits = tuple[float, float]  # of a solve rate


@dataclass(frozen=True)
class CellResult:
    """One trained cell. Axes: r replicates, t logged steps, n data rows, k outputs; replicates come first.

    ``steps`` counts updates made when a row of the history was written: 0 is the untrained network.
    A replicate whose outputs became non-finite is frozen there: ``nonfinite_at`` has the update count, else ``NEVER``.
    """

    spec: RunSpec
    seeds: np.ndarray  # [r] int64
    steps: np.ndarray  # [t] int64
    loss: np.ndarray  # [r, t]
    accuracy: np.ndarray  # [r, t], the share of rows within the tolerance
    weight_norm: dict[str, np.ndarray]  # layer name -> [r, t], the L2 norm of the layer's weight matrix
    right: np.ndarray  # [r, t] bool, every row within the tolerance
    outputs: np.ndarray  # [r, n, k] at the end
    solved_at: (
        np.ndarray
    )  # [r] int64: updates made when every row was first right, NEVER if the replicate is not solved
    nonfinite_at: np.ndarray  # [r] int64
    initial: dict[str, np.ndarray]  # state_dict name -> [r, ...]
    final: dict[str, np.ndarray]
    snapshots: dict[int, dict[str, np.ndarray]] = field(default_factory=dict)  # updates made -> weights

    @property
    def final_loss(self) -> np.ndarray:
        """[r] the loss after the last update."""
        return self.loss[:, -1]

    @property
    def final_accuracy(self) -> np.ndarray:
        """[r] the share of rows that are right after the last update."""
        return self.accuracy[:, -1]

    @property
    def solved(self) -> np.ndarray:
        """[r] bool: every row is right after the last update."""
        return self.right[:, -1]

    def __repr__(self) -> str:
        networks, rows = len(self.seeds), len(self.steps)
        head = (
            f"{networks} network{'s' * (networks != 1)} of seed {self.seeds[0]} on, {rows} rows of history up to "
            f"epoch {self.steps[-1]}"
        )
        return "\n".join([head, *result_lines(self.final_loss, self.solved, self.solved_at)])


def result_lines(
    final_loss: np.ndarray, solved: np.ndarray, solved_at: np.ndarray, limits: Limits | None = None, how: str = WILSON
) -> list[str]:
    """What became of networks, in two lines; arrays [m]. The limits of the solve rate are Wilson's unless others are
    given."""
    return [f"final loss  {quantity(final_loss)}", f"solved      {solved_text(solved, solved_at, limits, how)}"]


def quantity(values: np.ndarray) -> str:
    """One number, or the median and the middle four fifths of many."""
    if len(values) == 1:
        return f"{values[0]:.4g}"
    low, middle, high = np.quantile(np.nan_to_num(values, nan=np.inf), (0.1, 0.5, 0.9), method="nearest")
    return f"{middle:.4g} (median; 10% to 90%: {low:.4g} to {high:.4g})"


def solved_text(solved: np.ndarray, solved_at: np.ndarray, limits: Limits | None = None, how: str = WILSON) -> str:
    """How many networks are solved, with the interval, and after how many updates."""
    if len(solved) == 1:
        return f"yes, from epoch {solved_at[0]:g}" if solved[0] else "no"
    low, high = limits or wilson_interval(int(solved.sum()), len(solved))
    text = f"{int(solved.sum())} of {len(solved)} = {solved.mean():.1%} [{float(low):.1%}, {float(high):.1%}] ({how})"
    return f"{text}, from epoch {np.median(solved_at[solved]):g} (median)" if solved.any() else text


def verdict_text(verdict: np.ndarray) -> str:
    """The verdicts by share, the most common first."""
    if len(verdict) == 1:
        return str(verdict[0])
    names, counts = np.unique(verdict.astype(str), return_counts=True)
    order = np.argsort(-counts, kind="stable")
    return ", ".join(f"{names[i]} {counts[i] / len(verdict):.1%}" for i in order)
