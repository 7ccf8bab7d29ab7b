"""The rows of data that a network by itself trains on: where they lie, their order in each pass, the batches."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch

from nnspec.problem import Problem
from nnspec.training.spans import Span

ORDER = 0x0DE5  # keeps the seeds of orders of rows apart from those of weights


@dataclass(frozen=True)
class Rows:
    """The data of a network as its kernel reads them: training rows first, then those of the test part."""

    data: np.ndarray  # [n + t, i + 1], the last input is 1
    targets: np.ndarray  # [n + t, k]
    training: np.ndarray  # int32, the numbers of the training rows, [n]
    test: np.ndarray  # of those of the test part, [t]

    @classmethod
    def of(cls, problem: Problem, kind: np.dtype) -> Rows:
        """The rows of a problem in a precision."""
        inputs = np.concatenate([problem.inputs, problem.test_inputs])
        data = np.concatenate([inputs, np.ones((len(inputs), 1))], 1).astype(kind)
        targets = np.concatenate([problem.targets, problem.test_targets]).astype(kind)
        numbers, count = np.arange(len(data), dtype=np.int32), len(problem.inputs)
        return cls(data, targets, numbers[:count], numbers[count:])


def order_of_rows(seed: int, number: int, rows: int) -> np.ndarray:
    """The order in which the network of a seed sees its rows in pass ``number``, from 0: int32, [rows]."""
    # of a seed torch's generator reads 32 bits: a checksum mixes both numbers, and no two seeds share a pass's order
    drawn = torch.Generator().manual_seed(zlib.crc32(struct.pack("<QQ", seed, number), ORDER))
    return torch.randperm(rows, generator=drawn, dtype=torch.int32).numpy()


@lru_cache(maxsize=64)
def batches_of(rows: int, size: int, scale: float, span: Span) -> tuple[np.ndarray, np.ndarray]:
    """Where the batches of a span's updates begin in the order of rows from its first pass on, and how many rows they
    have, int64 [updates, 2]; and what sums over their rows are multiplied by, float64 [updates]."""
    passes = -(-rows // size)
    update = np.arange(span.updates) + span.step % passes
    place = update % passes * size
    counts = np.minimum(size, rows - place)
    return np.stack([update // passes * rows * (passes > 1) + place, counts], 1), scale / counts
