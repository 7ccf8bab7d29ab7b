"""What is diagnosed and what comes of it: plain arrays, networks first."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nnspec.specs import RunSpec


@dataclass(frozen=True)
class Group:
    """Trained networks of one kind. Axes: m networks, t logged steps.

    ``spec`` is checked and stands for all of them: they agree on model, activation, loss, data, tolerance, precision
    and training; seeds, initialisation and the optimizer's hyperparameters may differ.
    """

    spec: RunSpec
    initial: dict[str, np.ndarray]  # state_dict name -> [m, ...]
    final: dict[str, np.ndarray]
    steps: np.ndarray  # [t] updates made at each logged row
    loss: np.ndarray  # [m, t]
    right: np.ndarray  # [m] bool, every row right at the end
    nonfinite_at: np.ndarray  # [m] int64, -1 where finite


@dataclass(frozen=True)
class Diagnosis:
    """Why each network ended as it did: ``verdict`` [m] names, ``numbers`` name -> [m] float64, NaN where not
    measured."""

    verdict: np.ndarray
    numbers: dict[str, np.ndarray]
