"""The trainer: one chunk of networks from initial to final weights. There is no other, not even for one network."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import torch

from nnspec.architecture import architecture
from nnspec.catalog import DATA, LOSSES, OPTIMIZERS, Optimizer
from nnspec.fused.history import FirstRight, History
from nnspec.fused.network import NetworkLast, Problem
from nnspec.fused.params import columns, from_rows, hyperparameters, segments, stacked
from nnspec.fused.plan import Chunk, logged_steps, padded
from nnspec.fused.wide import NetworkFirst
from nnspec.initial import Weights
from nnspec.result import NEVER
from nnspec.spec import RunSpec

Tensor = torch.Tensor
Network = NetworkLast | NetworkFirst
COEFFICIENTS = 16  # updates for which an optimizer's coefficients are computed at a time: more would leave the cache
PULSE = 0.2  # seconds between two reports of progress


@dataclass(frozen=True)
class Progress:
    """How far a chunk is: updates made, networks right at the last row, and the history so far."""

    step: int
    right: int
    history: Rows


@dataclass(frozen=True)
class Rows:
    """Logged rows of the real networks of a chunk, networks first: ``loss``, ``accuracy``, ``right`` [j, t],
    ``norms`` [layer, j, t]; ``steps`` [t] updates made."""

    steps: np.ndarray
    loss: np.ndarray
    accuracy: np.ndarray
    right: np.ndarray
    norms: np.ndarray


@dataclass(frozen=True)
class Trained:
    """What a chunk leaves, networks first, in the order of its shares."""

    seeds: np.ndarray  # [j]
    rows: Rows
    outputs: np.ndarray  # [j, n, k]
    solved_at: np.ndarray  # [j] int64
    nonfinite_at: np.ndarray  # [j] int64
    initial: Weights
    final: Weights
    snapshots: dict[int, Weights] = field(default_factory=dict)
    seconds: float = 0.0


@contextmanager
def one_thread() -> Iterator[None]:
    """Torch on one thread: on these sizes threads inside an operation cost more than they give."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def train_chunk(specs: Sequence[RunSpec], chunk: Chunk) -> Iterator[Progress | Trained]:
    """Train the networks of ``chunk``, whose shares point into ``specs``; yields progress now and then, the result last."""
    start = time.perf_counter()
    with one_thread(), torch.inference_mode():
        run = _Run(specs, chunk)
        yield from run.epochs()
        yield run.result(time.perf_counter() - start)


class _Run:
    """The state of one chunk in training."""

    def __init__(self, specs: Sequence[RunSpec], chunk: Chunk):
        self.layout = columns(specs, chunk)
        self.spec = self.layout.specs[0]  # of whatever a stack agrees on
        self.shape = architecture(self.spec)
        self.kind: torch.dtype = getattr(torch, self.spec.dtype)
        self.initial = stacked(self.layout)
        tolerance = torch.tensor([self.layout.specs[j].solved.tolerance for j in self.layout.source], dtype=self.kind)
        network = NetworkFirst if self.layout.wide else NetworkLast
        self.network: Network = network(self.shape, self.initial.clone(), segments(self.layout, self.kind), problem(self.spec))
        self.steps = logged_steps(self.spec.train.epochs, self.spec.train.log_every)
        self.history = History.empty(len(self.steps), len(self.shape.dense), self.layout.width, self.kind)
        self.first = FirstRight(tolerance)
        self.optimizer = _Optimizer(OPTIMIZERS[self.spec.optimizer.name], hyperparameters(self.layout), self.network, self.layout.width)
        self.freezer = _Freezer(self.layout.width)
        self.snapshots: dict[int, Tensor] = {}

    def epochs(self) -> Iterator[Progress]:
        """All updates. ``step`` counts those made before the forward pass at hand."""
        network, last = self.network, self.spec.train.epochs
        rows = {step: row for row, step in enumerate(self.steps)}
        every = self.spec.train.snapshot_every
        pulse = time.perf_counter()
        for step in range(last + 1):
            network.forward()
            distances = network.output.distances()
            worst = distances.amax((0, 1))
            self.first.see(worst, step)
            if step in rows:
                loss = network.output.losses()
                self.history.write(rows[step], loss, distances, self.first.tolerance, network.norms())
                if step == 0:  # a start whose very loss overflows is none; later the outputs tell
                    worst = worst + 0 * loss
            if not math.isfinite(float(worst.sum())):
                self._freeze(worst, distances, step)
            if every and step % every == 0:
                self.snapshots[step] = network.rows().clone()
            if step == last:
                return
            network.backward()
            self.optimizer.step(step + 1)
            if step in rows and time.perf_counter() - pulse > PULSE:
                pulse = time.perf_counter()
                yield Progress(step, int(self.history.right[rows[step]].sum()), self._rows(rows[step] + 1))

    def _freeze(self, worst: Tensor, distances: Tensor, step: int) -> None:
        bad = ~torch.isfinite(worst)
        network = self.network
        self.freezer.keep(bad, step, network, distances, self.first.tolerance)
        # their columns go on with zeros, whose arithmetic is as good as any and stops nobody else
        network.fill(network.weights, bad, 0.0)
        self.optimizer.reset(bad)

    def _rows(self, count: int) -> Rows:
        self.freezer.correct(self.history, self.steps)
        places = torch.from_numpy(self.layout.places)
        history = self.history
        loss, accuracy, right = (
            t[:count].index_select(1, places).t().contiguous().numpy() for t in (history.loss, history.accuracy, history.right)
        )
        norms = history.norms[:count].index_select(2, places).permute(1, 2, 0).contiguous().numpy()
        return Rows(np.array(self.steps[:count]), loss, accuracy, right, norms)

    def result(self, seconds: float) -> Trained:
        """The arrays of the real networks."""
        self.freezer.restore(self.network, self.snapshots)
        rows = self._rows(len(self.steps))
        places = self.layout.places
        solved_at = np.where(rows.right[:, -1], self.first.result()[places], NEVER)
        return Trained(
            self.layout.seeds,
            rows,
            self.freezer.outputs(self.network.output.p)[:, :, places].permute(2, 0, 1).contiguous().numpy(),
            solved_at,
            self.freezer.at[places],
            self._weights(self.initial),
            self._weights(self.network.rows()),
            {step: self._weights(weights) for step, weights in self.snapshots.items()},
            seconds,
        )

    def _weights(self, flat: Tensor) -> Weights:
        return from_rows(self.shape, flat.numpy()[:, self.layout.places])


def problem(spec: RunSpec) -> Problem:
    """The data, targets and loss of a spec as tensors of its precision."""
    kind = getattr(torch, spec.dtype)
    data = DATA[spec.data.name].make(dict(spec.data.params))
    loss = LOSSES[spec.loss.name]
    targets = loss.targets(data.labels, data.classes)
    return Problem(torch.from_numpy(data.inputs).to(kind), torch.from_numpy(targets).to(kind), loss, dict(spec.loss.params))


class _Optimizer:
    """One optimizer over all networks: hyperparameters in double precision, coefficients computed ahead in blocks."""

    def __init__(self, entry: Optimizer, h: dict[str, object], network: Network, width: int):
        self.entry, self.network, self.width = entry, network, width
        kind = network.weights.dtype
        self.h = {k: network.spread(v.to(kind)) if isinstance(v, Tensor) else v for k, v in h.items()}
        starts = entry.start(h)
        self.starts = [starts[i] if i < len(starts) else 0.0 for i in range(entry.slots(h))]
        self.state = tuple(torch.zeros_like(network.weights) for _ in self.starts)
        self.reset(torch.ones(width, dtype=torch.bool))
        self.spare = torch.empty_like(network.weights)
        self.distinct, self.which = _distinct(h)
        self.block: list[dict[str, Tensor]] = []
        self.lasting: dict[str, Tensor] = {}

    def step(self, number: int) -> None:
        """Update ``number``, from 1."""
        place = (number - 1) % COEFFICIENTS
        if place == 0:
            self.block = self._coefficients(number)
        self.entry.update(self.network.weights, self.network.grads, self.state, self.spare, self.h, self.block[place])

    def _coefficients(self, number: int) -> list[dict[str, Tensor]]:
        """The coefficients of the next updates, one mapping an update: computed once for each distinct set of hyperparameters."""
        counts = torch.arange(number, number + COEFFICIENTS, dtype=torch.float64)[:, None]
        found = self.entry.coefficients(self.distinct, counts)
        if number == 1:
            self.lasting = {name: self._spread(c)[0] for name, c in found.items() if c.dim() == 1}
        rows = {name: self._spread(c).unbind(0) for name, c in found.items() if c.dim() == 2}
        return [self.lasting | {name: row[place] for name, row in rows.items()} for place in range(COEFFICIENTS)]

    def _spread(self, coefficient: Tensor) -> Tensor:
        """A coefficient of each distinct set, [c, d] or [d], as one of each network, [c, M], in the networks' precision."""
        rows = coefficient.to(self.network.weights.dtype).reshape(-1, coefficient.shape[-1])
        every = rows[:, :1].expand(-1, self.width).contiguous() if self.which is None else rows.index_select(1, self.which)
        return self.network.spread(every)

    def reset(self, which: Tensor) -> None:
        """The state of these networks as at the start."""
        for slot, start in zip(self.state, self.starts, strict=True):
            self.network.fill(slot, which, start.to(slot.dtype) if isinstance(start, Tensor) else start)
        self.network.fill(self.network.grads, which, 0.0)


def _distinct(h: dict[str, object]) -> tuple[dict[str, object], Tensor | None]:
    """Each distinct set of hyperparameters once, filled up to whole lanes, and which of them each column has (None: the only one)."""
    numbers = {name: value for name, value in h.items() if isinstance(value, Tensor)}
    rows = torch.cat([value.reshape(-1, value.shape[-1]) for value in numbers.values()])
    which = None
    if bool((rows == rows[:, :1]).all()):
        unique = rows[:, :1]
    else:
        unique, which = torch.unique(rows, dim=1, return_inverse=True)
    unique = torch.cat([unique, unique[:, :1].expand(-1, padded(unique.shape[1]) - unique.shape[1])], 1)
    first, distinct = 0, dict(h)
    for name, value in numbers.items():
        count = value.numel() // value.shape[-1]
        distinct[name] = unique[first : first + count].reshape(*value.shape[:-1], -1)
        first += count
    return distinct, which


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

    def correct(self, history: History, steps: list[int]) -> None:
        """Put what the kept networks were into the history from then on."""
        for new, _, loss, accuracy, norms, _ in self.kept:
            since = [row for row, step in enumerate(steps) if step >= self.at[new[0]]]
            for row in since:
                history.loss[row, new], history.accuracy[row, new], history.right[row, new] = loss, accuracy, False
                for layer, norm in enumerate(norms):
                    history.norms[row, layer, new] = norm

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
