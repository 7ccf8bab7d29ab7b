"""The rows that stacked modules see, those of a part that all share, or a part and an order of each network's own; and
what a pass over rows says of the networks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from nnspec.problem import Problem
from nnspec.torch_maths import XP
from nnspec.training.separate.batches import order_of_rows

Tensor = torch.Tensor


@dataclass(frozen=True)
class Rows:
    """Rows of some networks: ``inputs`` [n, i] that they share or [m, n, i] of each, ``targets`` [n, k, 1 or m]."""

    inputs: Tensor
    targets: Tensor

    @property
    def shared(self) -> bool:
        """Whether all networks see the same rows."""
        return self.inputs.dim() == 2

    def some(self, places: slice) -> Rows:
        """The rows of some of the networks."""
        return self if self.shared else Rows(self.inputs[places], self.targets[:, :, places])


@dataclass(frozen=True)
class Part:
    """A part of the data: ``inputs`` [n, i] and ``targets`` [n, k] of all networks, or [m, n, i] and [m, n, k]."""

    inputs: Tensor
    targets: Tensor

    @classmethod
    def of(cls, inputs: Sequence[np.ndarray], targets: Sequence[np.ndarray], kind: torch.dtype) -> Part:
        """The part of these arrays: one of all networks, or one a network."""
        found = [torch.from_numpy(np.stack(arrays)).to(kind) for arrays in (inputs, targets)]
        return cls(*(tensor[0] if len(inputs) == 1 else tensor for tensor in found))

    @property
    def count(self) -> int:
        """Rows that a network has."""
        return self.inputs.shape[-2]

    def rows(self, which: Tensor) -> Rows:
        """All rows, of the networks of these numbers."""
        if self.inputs.dim() == 2:
            return Rows(self.inputs, self.targets[:, :, None])
        return Rows(self.inputs[which], self.targets[which].permute(1, 2, 0))

    def picked(self, which: Tensor, numbers: Tensor) -> Rows:
        """Rows of these numbers [m, b], of the networks ``which`` [m]."""
        if self.inputs.dim() == 2:
            return Rows(self.inputs[numbers], self.targets[numbers].permute(1, 2, 0))
        own = which[:, None]
        return Rows(self.inputs[own, numbers], self.targets[own, numbers].permute(1, 2, 0))


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


class Data:
    """The training part and the test part of a chunk's networks, and each network's batches of ``size`` rows."""

    def __init__(self, problems: Sequence[Problem], seeds: np.ndarray, size: int, kind: torch.dtype):
        self.training = Part.of([p.inputs for p in problems], [p.targets for p in problems], kind)
        self.test = Part.of([p.test_inputs for p in problems], [p.test_targets for p in problems], kind)
        self.seeds, self.size = seeds, size
        self.passes = -(-self.training.count // size)  # updates of a pass
        self.orders: dict[int, Tensor] = {}  # of the rows in the present pass, by network
        self.number = -1  # of the pass

    def batch(self, which: Tensor, step: int) -> Rows:
        """The rows of the update after ``step`` of them, of these networks."""
        if self.passes == 1:
            return self.training.rows(which)
        number, place = step // self.passes, step % self.passes * self.size
        if number != self.number:
            self.number, self.orders = number, {}
        numbers = torch.stack([self._order(network)[place : place + self.size] for network in which.tolist()])
        return self.training.picked(which, numbers)

    def _order(self, network: int) -> Tensor:
        if network not in self.orders:
            drawn = order_of_rows(int(self.seeds[network]), self.number, self.training.count)
            self.orders[network] = torch.from_numpy(drawn.astype(np.int64))
        return self.orders[network]
