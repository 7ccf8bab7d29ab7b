"""What training changes of a chunk, and the steps that change it: a look at the networks, and an update."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from nnspec.architecture import architecture
from nnspec.catalog import OPTIMIZERS
from nnspec.duration import pace, rate_factor, tolerance
from nnspec.initial import Weights
from nnspec.problem import Problem
from nnspec.results.arrays import Results
from nnspec.specs import RunSpec
from nnspec.training.frozen import Freezer
from nnspec.training.history import LATE, FirstRight, History, unwritten
from nnspec.training.network_last import NetworkLast
from nnspec.training.optimizer import StackedOptimizer
from nnspec.training.plan import Chunk
from nnspec.training.spans import row_of
from nnspec.training.stacking import columns, from_rows, hyperparameters, segments, stacked

Tensor = torch.Tensor


class ChunkState:
    """Weights, optimizer, history and frozen networks of one chunk.

    ``network.weights`` [P, M], ``optimizer.state`` (as the weights) and ``first.at`` [M] are changed in place, by
    whatever updater: eagerly by ``look`` and ``update``, or by compiled code.
    """

    def __init__(self, specs: Sequence[RunSpec], chunk: Chunk):
        self.layout = columns(specs, chunk)
        self.spec = self.layout.specs[0]  # of whatever a stack agrees on
        self.shape = architecture(self.spec)
        kind: torch.dtype = getattr(torch, self.spec.dtype)
        self.initial = stacked(self.layout)
        self.segments = segments(self.layout, kind)
        problem = Problem.of(self.spec).stacked(lambda array: torch.from_numpy(array).to(kind))
        self.network = NetworkLast(problem, self.initial.clone(), self.segments)
        self.optimizer = StackedOptimizer(
            OPTIMIZERS[self.spec.optimizer.name],
            hyperparameters(self.layout),
            self.network,
            self.layout.width,
            rate_factor(self.spec),
        )
        near = torch.tensor([tolerance(self.layout.specs[j]) for j in self.layout.source], dtype=kind)
        self.first = FirstRight(near)
        room = unwritten(self.spec, self.layout.seeds)
        self.history = History(room, self.layout.places, self.layout.width, kind)
        self.freezer = Freezer(self.layout.width)
        self.snapshots: dict[int, Tensor] = {}

    def look(self, step: int) -> None:
        """The forward pass after ``step`` updates, and what is noted of it."""
        network = self.network
        network.forward()
        distances = network.output.distances()
        worst = distances.amax((0, 1))
        self.first.see(worst, step)
        row = row_of(pace(self.spec), step)
        if row is not None:
            loss = network.output.losses()
            self.history.block.write(self.history.place(row), loss, distances, self.first.tolerance, network.norms())
            if step == 0:  # a start whose very loss overflows is none; later the outputs tell
                worst = worst + 0 * loss
        if not math.isfinite(float(worst.sum())):
            bad = ~torch.isfinite(worst)
            self.freezer.keep(bad, step, network, distances, self.first.tolerance)
            self._empty(bad)
            network.forward()  # the gradients of their next update are those of zeros, too
        self.snapshot(step)

    def update(self, number: int) -> None:
        """Update ``number``, from 1, by the gradients at the last ``look``."""
        self.network.backward()
        self.optimizer.step(number)

    def snapshot(self, step: int) -> None:
        """Keep the weights after ``step`` updates, if they are asked for."""
        every = self.spec.train.snapshot_every
        if every and step % every == 0:
            self.snapshots[step] = self.network.rows().clone()

    def freeze(self, at: Tensor) -> None:
        """Freeze networks that have the weights with which they became non-finite, after ``at`` [M] updates (``LATE``:
        they did not)."""
        self.network.forward()
        distances = self.network.output.distances()
        for step in at[at < LATE].unique().tolist():
            self.freezer.keep(at == step, step, self.network, distances, self.first.tolerance)
        self._empty(at < LATE)

    def _empty(self, bad: Tensor) -> None:
        # their columns go on with zeros, whose arithmetic is as good as any and stops nobody else
        self.network.fill(self.network.weights, bad, 0.0)
        self.optimizer.reset(bad)

    def rows(self) -> Results:
        """The history so far."""
        rows = self.history.flush()
        self.freezer.correct(rows, self.layout.places)
        return rows

    def weights_of(self, flat: Tensor) -> Weights:
        """The tensors of the real networks from rows of weights [P, M]."""
        return from_rows(self.shape, flat.numpy(), self.layout.real_places)
