"""What training leaves behind, as plain NumPy arrays: the one value that diagnosis, tracking and analysis read."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from nnspec.spec import RunSpec

NEVER = -1  # an update count that never came


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
    solved_at: np.ndarray  # [r] int64: updates made when every row was first right, NEVER if the replicate is not solved
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
