"""One network that trains by itself: what its kernel is given, and how it stands."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from nnspec.specs import RunSpec
from nnspec.training.history import LATE
from nnspec.training.memory import part_rows
from nnspec.training.separate.arrays import address
from nnspec.training.separate.batches import Rows, order_of_rows
from nnspec.training.separate.kernel import Kernel
from nnspec.training.separate.meeting import FREE, together
from nnspec.training.spans import Span


@dataclass
class Network:
    """One network in training."""

    spec: RunSpec
    seed: int
    kernel: Kernel
    rows: Rows
    table: np.ndarray  # the addresses that the kernel is given, by ``kernel.places``
    solved: np.ndarray  # [1] updates made when it was first solved, or ``LATE``
    stopped: np.ndarray  # [1] updates made when it ended before its time, or ``LATE``
    held: list[np.ndarray]  # what the table points at
    at: int = 0  # where the table is
    best: float = math.inf  # the lowest loss at a look, and the updates made then
    best_at: int = 0
    orders: dict[int, np.ndarray] = field(default_factory=dict)  # of rows, by the number of the pass

    def __post_init__(self) -> None:
        self.at = address(self.table)

    def point(self, name: str, array: np.ndarray) -> None:
        """Have the kernel find an array."""
        self.table[self.kernel.places[name]] = address(array)

    @property
    def ended(self) -> bool:
        """Whether it trains no more."""
        return bool(self.stopped[0] < LATE)

    def train(self, span: Span, meeting: np.ndarray, threads: int) -> None:
        """The updates of a span, shared by so many threads."""
        meeting[:] = 0

        def share(thread: int) -> None:
            self.kernel.train(self.at, span.looks, span.count, span.step, thread, threads)

        together([partial(share, thread) for thread in range(threads)], lambda: meeting.fill(FREE))

    def evaluate(self, numbers: np.ndarray, threads: int, outputs: np.ndarray | None = None) -> None:
        """A pass over the rows of these numbers, a part after the other or in so many threads; it adds to the
        statistics, and writes ``outputs`` [n, k] where they are given."""
        shape, count = self.kernel.shape, len(numbers)
        size = part_rows(count, shape.parts, shape.looked)
        ranges = [(part, slice(first, first + size)) for part, first in enumerate(range(0, count, size))]

        def share(thread: int) -> None:
            for part, here in ranges[thread::threads]:
                some = numbers[here]
                into = None if outputs is None else address(outputs[here])
                self.kernel.evaluate(self.at, part, address(some), len(some), into)

        together([partial(share, thread) for thread in range(min(threads, len(ranges)))])

    def order(self, span: Span, passes: int) -> np.ndarray:
        """The training rows in the order of the passes that a span's updates belong to, of ``passes`` updates each."""
        if passes == 1:
            return self.rows.training
        first, last = span.step // passes, (span.step + span.updates - 1) // passes
        for number in [number for number in self.orders if number < first]:
            del self.orders[number]
        for number in range(first, last + 1):
            if number not in self.orders:
                self.orders[number] = order_of_rows(self.seed, number, len(self.rows.training))
        return np.concatenate([self.orders[number] for number in range(first, last + 1)])
