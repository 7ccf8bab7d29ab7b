"""The history of networks on a device: rows are written there, and come over in blocks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from nnspec.results.arrays import Results
from nnspec.training.memory import BLOCK

Tensor = torch.Tensor


class DeviceHistory:
    """``rows`` of the real networks, which lie in the columns ``places`` (None: in all), and the block that is written
    at present, whose first row is number ``first``."""

    def __init__(self, rows: Results, places: Tensor | None, width: int, like: Tensor):
        tests = [rows.test_loss, rows.test_accuracy] if rows.test_loss is not None else []
        self.rows, self.places = rows, places
        self.arrays: list[np.ndarray] = [rows.loss, rows.accuracy, *tests, *rows.weight_norm.values()]
        room = min(len(rows.steps), BLOCK)
        self.lines = like.new_zeros(room, len(self.arrays), width)
        self.right = like.new_zeros(room, width, dtype=torch.bool)
        self.first = self.filled = 0

    def write(self, row: int, lines: Sequence[Tensor], right: Tensor) -> None:
        """Row ``row``, from 0 in their order: of [M] each the loss, the accuracy, both of the test part where there is
        one, the layers' norms; whether a network is ``right`` [M]."""
        if row >= self.first + len(self.lines):
            self.flush()
            self.first = row
        for number, line in enumerate(lines):
            self.lines[row - self.first, number] = line
        self.right[row - self.first] = right
        self.filled = row + 1

    def flush(self) -> Results:
        """All rows written so far."""
        count, here = self.filled - self.first, slice(self.first, self.filled)
        for number, array in enumerate(self.arrays):
            array[:, here] = self._real(self.lines[:count, number])
        self.rows.right[:, here] = self._real(self.right[:count])
        return self.rows.select(step=slice(self.filled))

    def _real(self, lines: Tensor) -> np.ndarray:
        """Those of the real networks of [t, M], networks first."""
        some = lines if self.places is None else lines.index_select(1, self.places)
        return some.t().contiguous().cpu().numpy()
