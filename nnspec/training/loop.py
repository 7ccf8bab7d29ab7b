"""The trainer: one chunk of networks from initial to final weights. There is no other, not even for one network.

Large chunks are trained by compiled code (see ``compiled``), whose results are the same to the last bit.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from nnspec.architecture import architecture
from nnspec.catalog import DATA, LOSSES, OPTIMIZERS
from nnspec.initial import Weights
from nnspec.results.cell import NEVER, Results
from nnspec.specs import RunSpec
from nnspec.training.history import LATE, FirstRight, History, unwritten
from nnspec.training.network_first import NetworkFirst
from nnspec.training.network_last import NetworkLast, Problem
from nnspec.training.optimizer import Network, StackedOptimizer
from nnspec.training.plan import Chunk
from nnspec.training.spans import MOST, Stretch, logged_steps, pays, row_of, stretches
from nnspec.training.stacking import columns, from_rows, hyperparameters, segments, stacked

if TYPE_CHECKING:
    from nnspec.training.compiled import Compiled

Tensor = torch.Tensor
PULSE = 0.2  # seconds between two reports of progress, at least
RESTRAINT = 20  # times as long as a report takes, which has the whole history so far, passes until the next


@dataclass(frozen=True)
class Progress:
    """How far a chunk is: its history so far."""

    history: Results

    @property
    def step(self) -> int:
        """Updates made."""
        return int(self.history.steps[-1])

    @property
    def right(self) -> int:
        """Networks that are right at the last row."""
        return int(self.history.solved.sum())


@contextmanager
def one_thread() -> Iterator[None]:
    """Torch on one thread: on these sizes threads inside an operation cost more than they give."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def train_chunk(specs: Sequence[RunSpec], chunk: Chunk) -> Iterator[Progress | Results]:
    """Train the networks of ``chunk``, whose shares point into ``specs``; yields progress now and then, the results
    last, in the order of the shares."""
    with one_thread(), torch.inference_mode():
        run = _Run(specs, chunk)
        yield from run.epochs()
        trained = run.result()
        del run  # what trained is not held while the result is looked at
        yield trained


def probe(specs: Sequence[RunSpec], chunk: Chunk, patience: float, rows: int | None = None) -> tuple[float, float]:
    """Seconds that it takes to set up this chunk, and one eager update of it on the data's first ``rows``; ``patience``
    is about how long it may try."""
    begun = time.perf_counter()
    with one_thread(), torch.inference_mode():
        run = _Run(specs, replace(chunk, compiled=False), rows)
        run.look_and_update(0)
        started, made = time.perf_counter(), 0
        while not made or time.perf_counter() - begun < patience:
            made += 1
            run.look_and_update(made)
        return started - begun, (time.perf_counter() - started) / made


class _Run:
    """The state of one chunk in training."""

    def __init__(self, specs: Sequence[RunSpec], chunk: Chunk, rows: int | None = None):
        self.layout = columns(specs, chunk)
        self.spec = self.layout.specs[0]  # of whatever a stack agrees on
        self.shape = architecture(self.spec)
        self.kind: torch.dtype = getattr(torch, self.spec.dtype)
        self.initial = stacked(self.layout)
        tolerance = torch.tensor([self.layout.specs[j].solved.tolerance for j in self.layout.source], dtype=self.kind)
        network = NetworkFirst if self.layout.wide else NetworkLast
        slices, data = segments(self.layout, self.kind), problem(self.spec, rows)
        self.network: Network = network(self.shape, self.initial.clone(), slices, data)
        self.steps = logged_steps(self.spec.train)
        layers = [dense.name for dense in self.shape.dense]
        room = unwritten(self.spec, self.layout.seeds, self.steps, layers)
        self.history = History(room, self.layout.places, self.layout.width, self.kind)
        self.first = FirstRight(tolerance)
        self.optimizer = StackedOptimizer(
            OPTIMIZERS[self.spec.optimizer.name], hyperparameters(self.layout), self.network, self.layout.width
        )
        self.compiled: Compiled | None = None
        if (
            chunk.compiled
            and not self.layout.wide
            and pays(self.spec, len(data.inputs) * self.shape.parameters, self.layout.width / len(slices))
        ):
            from nnspec.training.compiled import Compiled

            self.compiled = Compiled(
                self.layout, slices, self.network.weights, self.optimizer, self.first, self.history
            )
        self.stretches = stretches(self.spec.train, MOST if self.compiled else 0)
        self.freezer = _Freezer(self.layout.width)
        self.snapshots: dict[int, Tensor] = {}

    def epochs(self) -> Iterator[Progress]:
        """All updates, stretch by stretch."""
        pulse = time.perf_counter() + PULSE
        for stretch in self.stretches:
            self._go_on(stretch)
            row = row_of(self.spec.train, stretch.step)
            if row is not None and time.perf_counter() > pulse:
                begun = time.perf_counter()
                yield self._progress(row + stretch.looks)
                now = time.perf_counter()
                pulse = now + max(PULSE, RESTRAINT * (now - begun))
        if self.compiled:
            self.compiled.settle()
        self._look(self.spec.train.epochs)

    def _progress(self, count: int) -> Progress:
        rows = self._rows()
        assert len(rows.steps) == count
        return Progress(rows)

    def _go_on(self, stretch: Stretch) -> None:
        """The updates of a stretch: by compiled code once that has proved itself, else one by one."""
        compiled, row = self.compiled, row_of(self.spec.train, stretch.step)
        if compiled and compiled.proved:
            self._snapshot(stretch.step, lambda: compiled.weights)
            if not compiled.advance(row, stretch):
                compiled.settle()
                self._freeze_lost(compiled.lost)
            return
        if compiled:
            compiled.remember()
        for made in range(stretch.step, stretch.step + stretch.updates):
            self.look_and_update(made)
        if compiled:
            compiled.prove(row, stretch)

    def look_and_update(self, made: int) -> None:
        """One eager pass and update after ``made`` of them."""
        self._look(made)
        self.network.backward()
        self.optimizer.step(made + 1)

    def _look(self, step: int) -> None:
        """The forward pass after ``step`` updates, and what is noted of it."""
        network = self.network
        network.forward()
        distances = network.output.distances()
        worst = distances.amax((0, 1))
        self.first.see(worst, step)
        row = row_of(self.spec.train, step)
        if row is not None:
            loss = network.output.losses()
            self.history.block.write(self.history.place(row), loss, distances, self.first.tolerance, network.norms())
            if step == 0:  # a start whose very loss overflows is none; later the outputs tell
                worst = worst + 0 * loss
        if not math.isfinite(float(worst.sum())):
            self._freeze(worst, distances, step)
        self._snapshot(step, network.rows)

    def _snapshot(self, step: int, weights: Callable[[], Tensor]) -> None:
        every = self.spec.train.snapshot_every
        if every and step % every == 0:
            self.snapshots[step] = weights().clone()

    def _freeze(self, worst: Tensor, distances: Tensor, step: int) -> None:
        bad = ~torch.isfinite(worst)
        self.freezer.keep(bad, step, self.network, distances, self.first.tolerance)
        self._empty(bad)

    def _freeze_lost(self, lost: Tensor) -> None:
        """Freeze the networks that compiled code left as they were when they became non-finite, after ``lost`` [M]
        updates."""
        self.network.forward()
        distances = self.network.output.distances()
        for step in lost[lost < LATE].unique().tolist():
            self.freezer.keep(lost == step, step, self.network, distances, self.first.tolerance)
        self._empty(lost < LATE)

    def _empty(self, bad: Tensor) -> None:
        # their columns go on with zeros, whose arithmetic is as good as any and stops nobody else
        self.network.fill(self.network.weights, bad, 0.0)
        self.optimizer.reset(bad)

    def _rows(self) -> Results:
        """The history so far."""
        rows = self.history.settle()
        self.freezer.correct(rows, self.layout.places)
        return rows

    def result(self) -> Results:
        """The arrays of the real networks; what trained is let go on the way."""
        self.freezer.restore(self.network, self.snapshots)
        rows, places = self._rows(), self.layout.places
        outputs = self.freezer.outputs(self.network.output.p)[:, :, places].permute(2, 0, 1).contiguous().numpy()
        final = self.network.rows()
        del self.network, self.optimizer, self.compiled
        return replace(
            rows,
            outputs=outputs,
            solved_at=np.where(rows.solved, self.first.result()[places], NEVER),
            nonfinite_at=self.freezer.at[places],
            initial=self._weights(self.initial),
            final=self._weights(final),
            snapshots={step: self._weights(self.snapshots.pop(step)) for step in sorted(self.snapshots)},
        )

    def _weights(self, flat: Tensor) -> Weights:
        return from_rows(self.shape, flat.numpy(), self.layout.weight_places)


def problem(spec: RunSpec, rows: int | None = None) -> Problem:
    """The data, targets and loss of a spec as tensors of its precision; the first ``rows`` of them."""
    kind = getattr(torch, spec.dtype)
    data = DATA[spec.data.name].make(dict(spec.data.params))
    loss = LOSSES[spec.loss.name]
    targets = loss.targets(data.labels, data.classes)
    return Problem(
        torch.from_numpy(data.inputs[:rows]).to(kind),
        torch.from_numpy(targets[:rows]).to(kind),
        loss,
        dict(spec.loss.params),
    )


class _Freezer:
    """Networks whose outputs became non-finite, as they stood at that moment."""

    def __init__(self, width: int):
        self.at = np.full(width, NEVER)
        self.kept: list[tuple[np.ndarray, Tensor, Tensor, Tensor, list[Tensor], Tensor]] = []

    def keep(self, bad: Tensor, step: int, network: Network, distances: Tensor, tolerance: Tensor) -> None:
        """Keep the networks that are ``bad`` [M] for the first time after ``step`` updates."""
        new = np.flatnonzero(bad.numpy() & (self.at == NEVER))
        if not len(new):
            return
        self.at[new] = step
        accuracy = (distances.amax(1) < tolerance).to(distances.dtype).mean(0)
        parts = (network.rows(), network.output.losses(), accuracy, network.output.p)
        weights, loss, accuracy, outputs = (part[..., new].clone() for part in parts)
        self.kept.append((new, weights, loss, accuracy, [norm[new] for norm in network.norms()], outputs))

    def restore(self, network: Network, snapshots: dict[int, Tensor]) -> None:
        """Put the kept networks back into the weights, and into the snapshots from then on."""
        for new, weights, *_ in self.kept:
            network.put(_marked(new, len(self.at)), weights)
            for step, snapshot in snapshots.items():
                if step >= self.at[new[0]]:
                    snapshot[:, new] = weights

    def correct(self, rows: Results, places: np.ndarray) -> None:
        """Put what the kept networks were into the rows from then on; ``places`` [j] are the columns of the rows'
        networks."""
        for new, _, loss, accuracy, norms, _ in self.kept:
            real = np.flatnonzero(np.isin(places, new))
            which = np.searchsorted(new, places[real])
            since = np.searchsorted(rows.steps, self.at[new[0]])
            lines = [(rows.loss, loss), (rows.accuracy, accuracy), *zip(rows.weight_norm.values(), norms, strict=True)]
            for line, kept in lines:
                line[real, since:] = kept.numpy()[which, None]
            rows.right[real, since:] = False

    def outputs(self, outputs: Tensor) -> Tensor:
        """The outputs [n, k, M] with those of the kept networks as they were."""
        for new, *_, kept in self.kept:
            outputs = outputs.clone()
            outputs[..., new] = kept
        return outputs


def _marked(numbers: np.ndarray, width: int) -> Tensor:
    marks = torch.zeros(width, dtype=torch.bool)
    marks[torch.from_numpy(numbers)] = True
    return marks
