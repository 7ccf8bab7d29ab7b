"""What is written down while networks train: one row every few updates, and when each network first had it right."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from nnspec.result import NEVER

Tensor = torch.Tensor
LATE = 2**31 - 1  # the update at which what never happened happens


@dataclass(frozen=True)
class History:
    """Logged rows of M networks: ``loss``, ``accuracy``, ``right`` [t, M], ``norms`` [t, layers, M]."""

    loss: Tensor
    accuracy: Tensor
    right: Tensor
    norms: Tensor

    @classmethod
    def empty(cls, rows: int, layers: int, networks: int, kind: torch.dtype) -> History:
        """Room for ``rows`` rows."""
        return cls(
            torch.zeros(rows, networks, dtype=kind),
            torch.zeros(rows, networks, dtype=kind),
            torch.zeros(rows, networks, dtype=torch.bool),
            torch.zeros(rows, layers, networks, dtype=kind),
        )

    def write(self, row: int, loss: Tensor, distances: Tensor, tolerance: Tensor, norms: list[Tensor]) -> None:
        """Row ``row``: losses [M], distances [n, k, M] of the outputs from their targets, the layers' weight norms."""
        worst = distances.amax(1)
        self.loss[row] = loss
        self.accuracy[row] = (worst < tolerance).to(loss.dtype).mean(0)
        self.right[row] = (worst < tolerance).all(0)
        for layer, norm in enumerate(norms):
            self.norms[row, layer] = norm


class FirstRight:
    """The number of updates after which each network first had every row right."""

    def __init__(self, tolerance: Tensor):
        self.tolerance = tolerance
        self.late = torch.tensor(LATE, dtype=torch.int32)
        self.now = torch.zeros((), dtype=torch.int32)
        self.at = torch.full(tolerance.shape, LATE, dtype=torch.int32)

    def see(self, worst: Tensor, step: int) -> None:
        """Note the networks whose worst distance [M] is within the tolerance after ``step`` updates."""
        self.now.fill_(step)
        torch.minimum(self.at, torch.where(worst < self.tolerance, self.now, self.late), out=self.at)

    def result(self) -> np.ndarray:
        """[M] int64, ``NEVER`` where no update got there."""
        at = self.at.numpy().astype(np.int64)
        return np.where(at == LATE, NEVER, at)
