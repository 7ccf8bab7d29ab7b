"""Networks of a ``torch.nn.Module``: the third way to train, for models whose layers nobody knows.

It knows all that networks one after another know (see ``separate.chunk``), with the same meaning. Torch makes the
gradients of the pre-activations' part of the network; loss and output activation are those of every other network.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from nnspec.architecture import architecture
from nnspec.catalog import MODELS
from nnspec.catalog.origins import origin_of
from nnspec.duration import batch_size, pace, rows_needed, tolerance
from nnspec.initial import Weights, drawn_module
from nnspec.modules.layered import has_modes
from nnspec.problem import Problem, own_rows
from nnspec.results.arrays import NEVER, UNKNOWN, Results
from nnspec.specs import RunSpec
from nnspec.torch_maths import XP
from nnspec.training.history import unwritten
from nnspec.training.layout import why_single
from nnspec.training.modules.by_layer import optimizers
from nnspec.training.modules.data import Data, Measured, Rows
from nnspec.training.modules.stack import ModuleStack
from nnspec.training.plan import Chunk
from nnspec.training.spans import Span, row_of
from nnspec.training.stacking import Columns, members, started

Tensor = torch.Tensor
MODULE = "its model is a torch module"  # why there is no compiled code


class Modules:
    """The networks of a chunk, which share a stack's key."""

    most = 0  # nothing but a row of the history interrupts their updates

    def __init__(self, specs: Sequence[RunSpec], chunk: Chunk):
        owners, self.seeds = members(specs, chunk)
        self.spec = owners[0]  # of whatever a stack agrees on
        self.shape, self.pace = architecture(self.spec), pace(self.spec)
        self.count, kind = len(owners), getattr(torch, self.spec.dtype)
        seeds = self.seeds.tolist() if own_rows(self.spec) else [self.spec.seed]
        problems = [Problem.of(self.spec, seed) for seed in seeds]
        self.problem = problems[0]
        self.data = Data(problems, self.seeds, batch_size(self.spec), kind)
        self.initial = started(owners, self.seeds)
        module = drawn_module(self.spec, int(self.seeds[0]))
        self.stack = ModuleStack(module, self.shape.outputs, self.initial, self.seeds, _named(self.spec))
        self.stack.why_single = why_single(self.spec)
        self.stack.tried(self.data.batch(torch.zeros(1, dtype=torch.int64), 0))
        everyone = np.arange(self.count)
        self.optimizers = optimizers(Columns(tuple(owners), self.seeds, everyone, everyone), self.stack)
        tests = self.spec.solved.measure == "test_accuracy"
        judged = self.data.test if tests else self.data.training
        self.tolerance = torch.tensor([tolerance(spec) for spec in owners], dtype=kind)
        self.need = torch.tensor([rows_needed(spec, judged.count) for spec in owners])
        # whether updates see what decides on solved
        self.watches = self.data.passes == 1 and not tests and not has_modes(module)
        self.history = unwritten(self.spec, self.seeds)
        self.written = 0  # rows of the history
        self.active = torch.ones(self.count, dtype=torch.bool)  # that still train
        self.solved_at, self.nonfinite_at, self.stopped_at = (np.full(self.count, NEVER) for _ in range(3))
        self.best, self.best_at = np.full(self.count, math.inf), np.zeros(self.count, np.int64)  # the lowest loss
        self.snapshots: dict[int, Weights] = {}

    def advance(self, span: Span) -> None:
        """The looks and updates of a span, of every network that still trains."""
        row = row_of(self.pace, span.step)
        self._keep(span.step)
        if row is not None:
            self._look(row, span.step)
            self.written = max(self.written, row + 1)
        for step in range(span.step, span.step + span.updates):
            if not self.active.any():
                return
            self._update(step)

    def _keep(self, step: int) -> None:
        """A snapshot after ``step`` updates, if it is asked for."""
        every = self.spec.train.snapshot_every
        if every and step % every == 0:
            self.snapshots[step] = self._weights()

    def _update(self, step: int) -> None:
        """The update after ``step`` of them."""
        which, stack = self._active(), self.stack
        rows = self.data.batch(which, step)
        for some, places in stack.groups(which):
            own = rows.some(places)
            passed = stack.forward(some, own, step)
            z, problem = passed.outputs.detach(), replace(self.problem, targets=own.targets)
            seen = Measured.of(problem, own, z, self.tolerance[some])
            self._judge(some, step, seen)
            stack.backward(passed, problem.gradient(XP, z, seen.outputs), self.active[some])
        ended = ~self.active
        before = stack.lines[ended]
        if self.spec.train.clip_norm:
            self._clip()
        for optimizer in self.optimizers:
            optimizer.step(step + 1)
        stack.lines[ended] = before

    def _judge(self, which: Tensor, step: int, seen: Measured) -> None:
        """What an update's forward pass says of networks before it changes them: they may end."""
        if self.watches:
            right = seen.right >= self.need[which]
            self._solve(which[right], step)
            if self.spec.train.stop == "solved":
                self._end(which[seen.finite & right], step, self.stopped_at)
        self._end(which[~seen.finite], step, self.nonfinite_at)

    def _clip(self) -> None:
        """Gradients whose norm is at most ``clip_norm``, as ``torch.nn.utils.clip_grad_norm_`` makes them."""
        norms = torch.linalg.vector_norm(self.stack.grads, dim=0)
        self.stack.grads.mul_((self.spec.train.clip_norm / (norms + 1e-6)).clamp_(max=1.0))

    def _active(self) -> Tensor:
        """The numbers of the networks that still train."""
        return torch.nonzero(self.active)[:, 0]

    def _look(self, row: int, step: int) -> None:
        """A look at the networks after ``step`` updates, by passes over all rows; it may end their training."""
        which = self._active()
        if not len(which):
            return
        finite = self._evaluate(which, slice(row, row + 1))
        numbers, history, train = which.numpy(), self.history, self.spec.train
        loss, right = history.loss[numbers, row], history.right[numbers, row]
        self._solve(which[right], step)
        better = loss < self.best[numbers]
        self.best[numbers[better]], self.best_at[numbers[better]] = loss[better], step
        done = right if train.stop == "solved" else np.zeros_like(right)
        if train.stop == "plateau":
            done = step - self.best_at[numbers] >= train.patience
        self._end(which[finite & torch.from_numpy(done)], step, self.stopped_at)
        self._end(which[~finite], step, self.nonfinite_at)

    def _evaluate(self, which: Tensor, here: slice, outputs: np.ndarray | None = None) -> Tensor:
        """Write rows of the history of these networks by passes over all rows, and their ``outputs`` [M, n, k] where
        they are wanted; whether all of these are finite [m]."""
        finite = torch.ones(len(which), dtype=torch.bool)
        for some, places in self.stack.groups(which):
            numbers, history = some.numpy(), self.history
            found = decides = self._passed(some, self.data.training.rows(some))
            history.loss[numbers, here] = found.loss[:, None]
            history.accuracy[numbers, here] = found.accuracy[:, None]
            finite[places] = found.finite
            if outputs is not None:
                outputs[numbers] = found.outputs.permute(2, 0, 1).numpy()
            if self.data.test.count:
                tried = self._passed(some, self.data.test.rows(some))
                history.test_loss[numbers, here] = tried.loss[:, None]
                history.test_accuracy[numbers, here] = tried.accuracy[:, None]
                decides = tried if self.spec.solved.measure == "test_accuracy" else found
            history.right[numbers, here] = (decides.right >= self.need[some])[:, None]
            tensors = self.stack.tensors(some)
            for layer, matrix in self.shape.matrices.items():
                norms = torch.linalg.vector_norm(tensors[matrix].flatten(1), dim=1)
                history.weight_norm[layer][numbers, here] = norms[:, None]
        return finite

    def _passed(self, which: Tensor, rows: Rows) -> Measured:
        """A pass of a group of networks over rows, in evaluation."""
        return Measured.of(self.problem, rows, self.stack.evaluate(which, rows), self.tolerance[which])

    def _solve(self, which: Tensor, step: int) -> None:
        """These networks are solved after ``step`` updates; the first time counts."""
        new = which[torch.from_numpy(self.solved_at[which.numpy()] == NEVER)]
        self.solved_at[new.numpy()] = step

    def _end(self, which: Tensor, step: int, at: np.ndarray) -> None:
        """These networks train no more after ``step`` updates, which ``at`` notes: their history goes on as it
        stands."""
        if not len(which):
            return
        since = slice(int(np.searchsorted(self.history.steps, step)), None)
        self._evaluate(which, since)
        at[which.numpy()] = step
        self.active[which] = False
        if at is self.nonfinite_at:
            self.history.right[which.numpy(), since] = False

    def rows(self) -> Results:
        """The history so far."""
        return self.history.select(step=slice(self.written))

    def result(self) -> Results:
        """The arrays of all networks; what trained is let go on the way."""
        history, updates, everyone = self.history, self.pace.updates, torch.arange(self.count)
        self._keep(updates)
        last, active = slice(len(history.steps) - 1, None), self._active()
        outputs = np.empty((self.count, self.data.training.count, self.shape.outputs), np.dtype(self.spec.dtype))
        before = history.right[:, -1].copy()
        finite = self._evaluate(everyone, last, outputs)
        lost = (~finite & self.active).numpy()
        self.nonfinite_at[lost] = updates
        ended = ~self.active.numpy()
        history.right[ended, -1] = before[ended]
        history.right[lost, -1] = False
        self._solve(active[torch.from_numpy(history.right[active.numpy(), -1])], updates)
        final, why = self._weights(), self.stack.why_single or MODULE
        del self.stack, self.optimizers
        return replace(
            history,
            outputs=outputs,
            solved_at=np.where(history.right[:, -1], self.solved_at, NEVER),
            stopped_at=UNKNOWN if self.spec.train.stop == "never" else self.stopped_at,
            nonfinite_at=self.nonfinite_at,
            initial=self.initial,
            final=final,
            snapshots=self.snapshots,
            why_eager=why,
        )

    def _weights(self) -> Weights:
        """The present tensors of all networks, by name."""
        everyone, kind = torch.arange(self.count), np.dtype(self.spec.dtype)
        return {name: tensor.numpy().astype(kind) for name, tensor in self.stack.tensors(everyone).items()}


def _named(spec: RunSpec) -> str:
    """How messages call the model of a spec: by its name and by where its class stands."""
    entry = MODELS[spec.model.name]
    origin = origin_of(entry)
    return f"model={entry.name}" if origin is None else f"the model '{entry.name}' ({origin.name}, line {origin.line})"
