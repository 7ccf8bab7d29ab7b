"""The networks of a chunk on a device: weights, gradients, optimizer and history lie there and come back at the end.

What ends a network, on its own or because its outputs are no longer finite, is decided on the device: its column stays
as it is from then on, while the others go on, so that no update waits for the processor. The arithmetic is that of the
eager trainers (see ``network_last``, ``optimizer``); the meaning of every number that comes out is theirs too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch

from nnspec.architecture import architecture
from nnspec.catalog import OPTIMIZERS
from nnspec.duration import batch_size, pace, rate_factor, rows_needed, tolerance
from nnspec.initial import Weights
from nnspec.problem import Problem, own_rows
from nnspec.results.arrays import NEVER, UNKNOWN, Results
from nnspec.specs import CUDA, RunSpec
from nnspec.training.device.feed import Feed
from nnspec.training.device.history import DeviceHistory
from nnspec.training.device.network_first import NetworkFirst
from nnspec.training.device.replay import Repeated, Work, aside, at_once, recorded
from nnspec.training.history import LATE, unwritten
from nnspec.training.layout import in_lanes
from nnspec.training.network_last import NetworkLast
from nnspec.training.optimizer import StackedOptimizer
from nnspec.training.plan import Chunk
from nnspec.training.spans import Span, row_of
from nnspec.training.stacking import Columns, Segment, columns, from_rows, hyperparameters, members, segments, stacked

Tensor = torch.Tensor
Record = Callable[[Work], Work]


class OnDevice:
    """The networks of a chunk, which share a stack's key, on a torch device. ``record`` takes down an update so that it
    can be repeated; None: every update is made operation by operation."""

    most = 0  # nothing but a row of the history interrupts their updates

    def __init__(self, specs: Sequence[RunSpec], chunk: Chunk, device: torch.device, record: Record | None = None):
        self.layout = _columns(specs, chunk)
        self.spec, self.device = self.layout.specs[0], device  # the spec: of whatever a stack agrees on
        self.shape, self.pace, self.lanes = architecture(self.spec), pace(self.spec), in_lanes(self.spec)
        kind: torch.dtype = getattr(torch, self.spec.dtype)
        width = self.layout.width
        there = partial(torch.as_tensor, device=device)
        self.initial = stacked(self.layout)
        self.places = None if self.layout.real_places is None else there(self.layout.places)
        seeds = self.layout.seeds[self.layout.source]
        problems = [Problem.of(self.spec, seed) for seed in (seeds.tolist() if own_rows(self.spec) else [None])]
        self.feed = Feed(problems, seeds, batch_size(self.spec), kind, device)
        self.network = self._network(problems[0], kind)
        self.optimizer = StackedOptimizer(
            OPTIMIZERS[self.spec.optimizer.name],
            hyperparameters(self.layout),
            self.network,
            width,
            rate_factor(self.spec),
        )
        first = self.optimizer.at(1)
        self.present = {name: first[name].clone() for name in self.optimizer.moving}  # coefficients of an update
        self.before = torch.empty_like(self.network.weights)
        tests = self.spec.solved.measure == "test_accuracy"
        judged = (self.feed.test if tests else self.feed.training).count
        owners = [self.layout.specs[j] for j in self.layout.source]
        self.tolerance = torch.tensor([tolerance(spec) for spec in owners], dtype=kind, device=device)
        self.need = torch.tensor([rows_needed(spec, judged) for spec in owners], device=device)
        self.watches = self.feed.passes == 1 and not tests  # whether updates see what decides on solved
        self.active = torch.ones(width, dtype=torch.bool, device=device)  # that still train
        self.now, self.late = (torch.tensor(count, dtype=torch.int32, device=device) for count in (0, LATE))
        self.solved_at, self.nonfinite_at, self.stopped_at = (
            torch.full((width,), LATE, dtype=torch.int32, device=device) for _ in range(3)
        )
        self.best = torch.full((width,), torch.inf, dtype=kind, device=device)  # the lowest loss
        self.best_at = torch.zeros(width, dtype=torch.int32, device=device)
        rows = unwritten(self.spec, self.layout.seeds)
        self.history = DeviceHistory(rows, self.places, width, self.network.weights)
        self.snapshots: dict[int, Tensor] = {}
        self.record, self.updates = record, dict[int, Repeated]()  # by the rows of a batch

    @classmethod
    def on(cls, specs: Sequence[RunSpec], chunk: Chunk, device: torch.device) -> OnDevice:
        """On a card, whose updates are recorded; on another device without that."""
        return cls(specs, chunk, device, recorded if device.type == CUDA else None)

    def _network(self, problem: Problem, kind: torch.dtype) -> NetworkLast | NetworkFirst:
        """The passes: of networks in lanes with the network axis last in memory, else first."""

        def convert(array: np.ndarray) -> Tensor:
            return torch.from_numpy(array).to(self.device, kind)

        slices = [_moved(segment, self.device) for segment in segments(self.layout, kind)]
        if self.lanes:
            return NetworkLast(problem.stacked(convert), self.initial.to(self.device, copy=True), slices)
        lines = self.initial.t().to(self.device, copy=True, memory_format=torch.contiguous_format)
        return NetworkFirst(problem.stacked(convert), lines.t(), slices)

    def advance(self, span: Span) -> None:
        """The looks and updates of a span."""
        self._keep(span.step)
        row = row_of(self.pace, span.step)
        if row is not None:
            self.look(row, span.step)
            if not bool(self.active.any()):  # once a row: the processor waits for it
                return
        for step in range(span.step, span.step + span.updates):
            self._update(step)

    def _keep(self, step: int) -> None:
        """A snapshot after ``step`` updates, if it is asked for."""
        every = self.spec.train.snapshot_every
        if every and step % every == 0:
            self.snapshots[step] = self._weights()

    def _weights(self) -> Tensor:
        """The present weights [P, M], on the processor."""
        return self.network.weights.to("cpu", copy=True)

    def _update(self, step: int) -> None:
        """The update after ``step`` of them: what differs from one to the next is put where the repeated part finds
        it."""
        self.now.fill_(step)
        count = self.feed.point(step)
        coefficients = self.optimizer.at(step + 1)
        for name, present in self.present.items():
            present.copy_(coefficients[name])
        if count not in self.updates:
            first = aside if self.device.type == CUDA else at_once
            self.updates[count] = Repeated(partial(self.update, count), self.record, first)
        self.updates[count]()

    def update(self, count: int) -> None:
        """An update by a batch of ``count`` rows; every one of them has the same operations on the same memory."""
        network = self.network
        self._pass(lambda: self.feed.batch(count))
        right, finite = self._judged()
        if self.watches:
            self._solve(right >= self.need)
            if self.spec.train.stop == "solved":
                self._end(finite & (right >= self.need), self.stopped_at)
        self._end(~finite, self.nonfinite_at)
        network.backward()
        if self.spec.train.clip_norm:
            norms = torch.linalg.vector_norm(network.grads, dim=0)
            network.grads.mul_((self.spec.train.clip_norm / (norms + 1e-6)).clamp_(max=1.0))
        self.before.copy_(network.weights)
        self.optimizer.move(self.optimizer.lasting | self.present)
        network.weights.copy_(torch.where(self.active, network.weights, self.before))

    def _pass(self, rows: Callable[[], Any]) -> None:
        """A forward pass over rows. In lanes these are always all."""
        if isinstance(self.network, NetworkFirst):
            self.network.see(rows())
        self.network.forward()

    def _judged(self) -> tuple[Tensor, Tensor]:
        """Of the last pass how many rows are right, and whether all outputs are finite, [M] each."""
        worst = self.network.output.distances().amax(1)
        return (worst < self.tolerance).sum(0), torch.isfinite(worst).all(0)

    def _measured(self) -> tuple[list[Tensor], Tensor, Tensor]:
        """Of the last pass loss and accuracy; how many rows are right; whether all outputs are finite, [M] each."""
        right, finite = self._judged()
        loss, rows = self.network.output.losses(), self.network.output.p.shape[0]
        return [loss, right.to(loss.dtype) / rows], right, finite

    def _tested(self) -> tuple[list[Tensor], Tensor]:
        """Loss and accuracy on the test part, if there is one, and how many of its rows are right [M]."""
        if not self.feed.test.count:
            return [], torch.zeros_like(self.need)
        self._pass(lambda: self.feed.tested)
        measured, right, _ = self._measured()
        return measured, right

    def look(self, row: int, step: int) -> None:
        """A look at the networks after ``step`` updates, by passes over all rows; it may end their training."""
        self.now.fill_(step)
        tested, right_tested = self._tested()
        self._pass(lambda: self.feed.whole)
        lines, right, finite = self._measured()
        if self.spec.solved.measure == "test_accuracy":
            right = right_tested
        if self.lanes and step == 0:  # a start whose very loss overflows is none; later the outputs tell
            finite = finite & torch.isfinite(lines[0])
        solved, loss = right >= self.need, lines[0]
        self._solve(solved)
        better = loss < self.best
        self.best.copy_(torch.where(better, loss, self.best))
        self.best_at.copy_(torch.where(better, self.now, self.best_at))
        if self.spec.train.stop == "solved":
            self._end(finite & solved, self.stopped_at)
        if self.spec.train.stop == "plateau":
            self._end(finite & (self.now - self.best_at >= self.spec.train.patience), self.stopped_at)
        self._end(~finite, self.nonfinite_at)
        self.history.write(row, [*lines, *tested, *self.network.norms()], solved & (self.nonfinite_at == LATE))

    def _solve(self, right: Tensor) -> None:
        """Note the networks that are ``right`` [M] now and still train; the first time counts."""
        torch.minimum(self.solved_at, torch.where(self.active & right, self.now, self.late), out=self.solved_at)

    def _end(self, which: Tensor, at: Tensor) -> None:
        """Those of these networks [M] that still train do so no more from now on, which ``at`` notes."""
        at.copy_(torch.where(self.active & which, self.now, at))
        self.active.logical_and_(~which)

    def rows(self) -> Results:
        """The history so far."""
        return self.history.flush()

    def result(self) -> Results:
        """The arrays of the real networks."""
        updates, spec = self.pace.updates, self.spec
        self._keep(updates)
        stopped = self.stopped_at.clone()
        self.look(len(self.history.rows.steps) - 1, updates)
        self.stopped_at.copy_(stopped)  # who came to the end was not stopped
        rows = self.history.flush()
        outputs = self._real(self.network.output.p).permute(2, 0, 1).contiguous().cpu().numpy()
        why = next((f", not as one graph: {update.why}" for update in self.updates.values() if update.why), "")
        return replace(
            rows,
            outputs=outputs,
            solved_at=np.where(rows.solved, self._when(self.solved_at), NEVER),
            stopped_at=UNKNOWN if spec.train.stop == "never" else self._when(self.stopped_at),
            nonfinite_at=self._when(self.nonfinite_at),
            initial=self._tensors(self.initial),
            final=self._tensors(self._weights()),
            snapshots={step: self._tensors(self.snapshots.pop(step)) for step in sorted(self.snapshots)},
            why_eager=f"they train on {self.device.type}{why}",
        )

    def _real(self, tensor: Tensor) -> Tensor:
        """Those of the real networks, of a tensor whose last axis they are."""
        return tensor if self.places is None else tensor.index_select(-1, self.places)

    def _when(self, at: Tensor) -> np.ndarray:
        """The updates after which something came, [j] int64, or ``NEVER``."""
        found = self._real(at).cpu().numpy().astype(np.int64)
        return np.where(found == LATE, NEVER, found)

    def _tensors(self, flat: Tensor) -> Weights:
        """The tensors of the real networks from weights [P, M] on the processor."""
        return from_rows(self.shape, flat.numpy(), self.layout.real_places)


def _columns(specs: Sequence[RunSpec], chunk: Chunk) -> Columns:
    """Where the networks lie: whole lanes, as on the processor, or one after the other."""
    if in_lanes(specs[chunk.shares[0].cell]):
        return columns(specs, chunk)
    owners, seeds = members(specs, chunk)
    everyone = np.arange(len(owners))
    return Columns(tuple(owners), seeds, everyone, everyone)


def _moved(segment: Segment, device: torch.device) -> Segment:
    """A segment whose parameters lie on a device."""
    params = {name: value.to(device) if isinstance(value, Tensor) else value for name, value in segment.params.items()}
    return replace(segment, params=params)
