"""The rows that a diagnosis looks at: drawn by their number alone, so that all networks of a spec are measured on the
same."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch

from nnspec.diagnostics.room import Extent, piece_rows
from nnspec.problem import Problem

Tensor = torch.Tensor


def drawn(rows: int, count: int) -> np.ndarray:
    """``count`` of so many rows, [count] indices in order; the same for the same two numbers."""
    if count >= rows:
        return np.arange(rows)
    return np.sort(np.random.default_rng(0).choice(rows, count, replace=False, shuffle=False))


@dataclass(frozen=True)
class Rows:
    """The rows of a problem of NumPy arrays, as much of them as ``extent`` says, in tensors of a precision."""

    problem: Problem
    extent: Extent
    kind: torch.dtype

    def network(self, flat: Tensor) -> Tensor:
        """The weights [P] of a network as a stack of one, [1, P], in memory of their own: what a product rounds to may
        depend on where in memory its factors begin."""
        return flat.to(self.kind, copy=True).unsqueeze(0)

    def sampled(self) -> Problem:
        """The problem on the sample, in NumPy arrays."""
        return on_rows(self.problem, self.extent.sample)

    def sample(self) -> Problem:
        """The problem on the sample, in tensors."""
        return self.sampled().stacked(self._tensor)

    def pieces(self) -> Iterator[tuple[Problem, float]]:
        """The problem of one piece of the rows after another, and the piece's share of all that are looked at."""
        looked, together = self.extent.looked, piece_rows(self.problem.shape)
        which = drawn(self.extent.rows, looked) if looked < self.extent.rows else None
        for start in range(0, looked, together):
            here = slice(start, min(start + together, looked))
            yield self._some(here if which is None else which[here]), (here.stop - start) / looked

    def _some(self, which: np.ndarray | slice) -> Problem:
        inputs, targets = self.problem.inputs[which], self.problem.targets[which]
        return replace(self.problem, inputs=inputs, targets=targets).stacked(self._tensor)

    def _tensor(self, values: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(values)).to(self.kind)


def on_rows(problem: Problem, count: int) -> Problem:
    """A problem of NumPy arrays on at most ``count`` of its rows."""
    if count >= len(problem.inputs):
        return problem
    which = drawn(len(problem.inputs), count)
    return replace(problem, inputs=problem.inputs[which], targets=problem.targets[which])
