"""What is diagnosed and what comes of it: plain arrays, networks first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from nnspec.problem import Problem
from nnspec.specs import RunSpec


@dataclass(frozen=True)
class Snapshots:
    """Weights on the way: ``weights`` has updates made -> name -> [all, ...], of which networks [m] of a group are
    those at ``where`` [m]. Copies are made of what is asked for only, for all of it may be a lot."""

    weights: Mapping[int, Mapping[str, np.ndarray]]
    where: np.ndarray

    def at(self, step: int, which: np.ndarray) -> dict[str, np.ndarray]:
        """The tensors [w, ...] of networks ``which`` [w] of the group after so many updates."""
        return {name: tensor[self.where[which]] for name, tensor in self.weights[step].items()}


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
    right: np.ndarray  # [m] bool, solved at the end, by what the spec calls solved
    nonfinite_at: np.ndarray  # [m] int64, -1 where finite
    problem: Problem | None = None  # what they learned: their training part, in NumPy arrays; None: that of the spec
    snapshots: Snapshots | None = None  # their weights on the way, if any were kept
    stopped_at: np.ndarray | None = None  # [m] int64, where train.stop may end networks; NEVER: it trained to its end


@dataclass(frozen=True)
class Diagnosis:
    """Why each network ended as it did: ``verdict`` [m] names, ``numbers`` name -> [m] float64, NaN where not
    measured.

    ``estimated``: which verdicts and numbers are estimates at this size, and by what, see ``room.Extent``; empty where
    all is exact.
    """

    verdict: np.ndarray
    numbers: dict[str, np.ndarray]
    estimated: Mapping[str, str] = field(default_factory=dict)
