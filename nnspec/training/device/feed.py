"""The rows that networks on a device see: all of a part, or each network's own batches."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from nnspec.problem import Problem
from nnspec.training.modules.data import Part, Rows
from nnspec.training.separate.batches import order_of_rows

Tensor = torch.Tensor


class Feed:
    """The training part and the test part on a ``device``, and batches of ``size`` rows in the order of each of the
    networks ``seeds`` [M]."""

    def __init__(
        self, problems: Sequence[Problem], seeds: np.ndarray, size: int, kind: torch.dtype, device: torch.device
    ):
        self.training = _part([p.inputs for p in problems], [p.targets for p in problems], kind, device)
        self.test = _part([p.test_inputs for p in problems], [p.test_targets for p in problems], kind, device)
        self.seeds, self.size, self.device = seeds, size, device
        self.passes = -(-self.training.count // size)  # updates of a pass
        self.everyone = torch.arange(len(seeds), device=device)
        self.number = -1  # of the present pass
        self.order = torch.empty(0, dtype=torch.int64, device=device)  # of the rows in it, [M, n]
        self.numbers: dict[int, Tensor] = {}  # of the rows of the present batch, [M, b], by b

    def point(self, step: int) -> int:
        """Make the batch of the update after ``step`` of them the present one; how many rows it has."""
        if self.passes == 1:
            return self.size
        number, place = step // self.passes, step % self.passes * self.size
        if number != self.number:
            drawn = [order_of_rows(seed, number, self.training.count) for seed in self.seeds.tolist()]
            self.order = torch.from_numpy(np.stack(drawn).astype(np.int64)).to(self.device)
            self.number = number
        batch = self.order[:, place : place + self.size]
        held = self.numbers.setdefault(batch.shape[1], torch.empty_like(batch, memory_format=torch.contiguous_format))
        held.copy_(batch)
        return batch.shape[1]

    def batch(self, count: int) -> Rows:
        """The rows of the present batch, which has ``count`` of them; always in the same memory."""
        if self.passes == 1:
            return self.whole
        return self.training.picked(self.everyone, self.numbers[count])

    @property
    def whole(self) -> Rows:
        """All training rows."""
        return self.training.rows(self.everyone)

    @property
    def tested(self) -> Rows:
        """All rows of the test part."""
        return self.test.rows(self.everyone)


def _part(inputs: Sequence[np.ndarray], targets: Sequence[np.ndarray], kind: torch.dtype, device: torch.device) -> Part:
    found = Part.of(inputs, targets, kind)
    return Part(found.inputs.to(device), found.targets.to(device))
