"""What is written down while networks train: one row every few updates, and when each network first had it right.

Rows are written with the network axis last, as the trainer has it, into a block of few rows; full blocks go into the
arrays that training leaves, networks first. So a history is held once, for real networks only, and its block does not
grow with its length.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from nnspec.architecture import architecture, test_rows
from nnspec.duration import pace
from nnspec.results.arrays import NEVER, Results
from nnspec.specs import RunSpec
from nnspec.training.memory import BLOCK
from nnspec.training.spans import logged_steps

Tensor = torch.Tensor
LATE = 2**31 - 1  # the update at which what never happened happens


def unwritten(spec: RunSpec, seeds: np.ndarray) -> Results:
    """Room for the history of networks, of a test part too where there is one; it takes memory only as it is filled."""
    steps, kind = logged_steps(pace(spec)), np.dtype(spec.dtype)
    shape = (len(seeds), len(steps))
    norms = {name: np.empty(shape, kind) for name in architecture(spec).layers}
    rows = Results(spec, seeds, steps, np.empty(shape, kind), np.empty(shape, kind), norms, np.empty(shape, bool))
    if not test_rows(spec.data):
        return rows
    return replace(rows, test_loss=np.empty(shape, kind), test_accuracy=np.empty(shape, kind))


@dataclass(frozen=True)
class Block:
    """Logged rows of M networks: ``loss``, ``accuracy``, ``right`` [t, M], ``norms`` [t, layers, M]."""

    loss: Tensor
    accuracy: Tensor
    right: Tensor
    norms: Tensor

    @classmethod
    def empty(cls, rows: int, layers: int, networks: int, kind: torch.dtype) -> Block:
        """Room for ``rows`` rows."""
        return cls(
            torch.zeros(rows, networks, dtype=kind),
            torch.zeros(rows, networks, dtype=kind),
            torch.zeros(rows, networks, dtype=torch.bool),
            torch.zeros(rows, layers, networks, dtype=kind),
        )

    def row(self, number: int) -> list[Tensor]:
        """What a look takes down, in the order in which compiled code writes it."""
        return [self.right[number], self.loss[number], self.accuracy[number], *self.norms[number].unbind(0)]

    def write(self, row: int, loss: Tensor, distances: Tensor, tolerance: Tensor, norms: list[Tensor]) -> None:
        """Row ``row``: losses [M], distances [n, k, M] of the outputs from their targets, the layers' weight norms."""
        worst = distances.amax(1)
        self.loss[row] = loss
        self.accuracy[row] = (worst < tolerance).to(loss.dtype).mean(0)
        self.right[row] = (worst < tolerance).all(0)
        for layer, norm in enumerate(norms):
            self.norms[row, layer] = norm


class History:
    """The history of a chunk: ``rows`` of the real networks, which lie in the columns ``places`` [j] of ``width``, and
    the block that is written at present, whose first row is number ``first``."""

    def __init__(self, rows: Results, places: np.ndarray, width: int, kind: torch.dtype):
        self.block = Block.empty(min(len(rows.steps), BLOCK), len(rows.weight_norm), width, kind)
        self.rows = rows
        self.places = None if len(places) == width else torch.from_numpy(places)
        self.first = self.filled = 0

    def place(self, row: int, count: int = 1) -> int:
        """Where in the block ``count`` rows from number ``row`` on are to be written; at most ``BLOCK`` rows, in their
        order."""
        if row + count > self.first + len(self.block.loss):
            self.flush()
            self.first = row
        self.filled = max(self.filled, row + count)
        return row - self.first

    def flush(self) -> Results:
        """All rows written so far."""
        count, block, rows = self.filled - self.first, self.block, self.rows
        here = slice(self.first, self.filled)
        rows.loss[:, here] = self._real(block.loss[:count])
        rows.accuracy[:, here] = self._real(block.accuracy[:count])
        rows.right[:, here] = self._real(block.right[:count])
        for layer, norms in enumerate(rows.weight_norm.values()):
            norms[:, here] = self._real(block.norms[:count, layer])
        return rows.select(step=slice(self.filled))

    def _real(self, lines: Tensor) -> np.ndarray:
        """Those of the real networks of [t, M], networks first."""
        return (lines if self.places is None else lines.index_select(1, self.places)).t().contiguous().numpy()


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
