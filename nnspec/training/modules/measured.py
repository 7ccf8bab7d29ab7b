"""What a pass over rows says of stacked networks."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from nnspec.problem import Problem
from nnspec.torch_maths import XP
from nnspec.training.modules.data import Rows

Tensor = torch.Tensor


@dataclass(frozen=True)
class Measured:
    """Of a pass of m networks over n rows: their ``outputs`` [n, k, m], ``loss`` and number of ``right`` rows [m], and
    whether all outputs are ``finite`` [m]."""

    outputs: Tensor
    loss: Tensor
    right: Tensor
    finite: Tensor

    @classmethod
    def of(cls, problem: Problem, rows: Rows, z: Tensor, tolerance: Tensor) -> Measured:
        """What pre-activations ``z`` [n, k, m] say, where outputs are right within a ``tolerance`` [m]."""
        own = replace(problem, targets=rows.targets)
        p = own.output.value(XP, z)
        worst = own.distances(XP, p).amax(1)
        return cls(p, own.losses(XP, z, p), (worst < tolerance).sum(0), torch.isfinite(worst).all(0))

    @property
    def accuracy(self) -> np.ndarray:
        """[m], the share of the rows that are right."""
        return np.asarray(self.right.numpy() / len(self.outputs))
