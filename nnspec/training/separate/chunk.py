"""Networks that train one after another, each by a kernel's machine code: what is too large for lanes of networks, and
whatever needs its own order of rows, its own split or its own end.

All networks of a chunk go through the same spans of updates, so that their history so far is one array; nothing of one
network touches another.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from nnspec.architecture import architecture
from nnspec.catalog import OPTIMIZERS
from nnspec.duration import batch_size, pace, rows_needed, tolerance, updates_a_pass
from nnspec.initial import Weights
from nnspec.problem import Problem
from nnspec.results.arrays import NEVER, UNKNOWN, Results
from nnspec.specs import RunSpec
from nnspec.training.history import LATE, unwritten
from nnspec.training.plan import Chunk, segment_key
from nnspec.training.separate.arrays import address, aligned
from nnspec.training.separate.batches import Rows, batches_of
from nnspec.training.separate.kernel import LANES, Kernel
from nnspec.training.separate.kernels import kernel_of, working_memory
from nnspec.training.separate.network import Network
from nnspec.training.separate.numbers import moving_numbers, number_of, starts_of
from nnspec.training.separate.passes import STATISTICS
from nnspec.training.spans import MOST, Span, row_of
from nnspec.training.stacking import from_rows, initial_rows, members

SPAN = 3e9  # multiplications of a network in one call: some tenths of a second, for nothing interrupts it


class Separate:
    """The networks of a chunk, which share a stack's key; ``threads`` may train each of them, where it is large."""

    def __init__(self, specs: Sequence[RunSpec], chunk: Chunk, threads: int = 1):
        owners, self.seeds = members(specs, chunk)
        self.spec = owners[0]  # of whatever a stack agrees on
        self.shape, self.kind = architecture(self.spec), np.dtype(self.spec.dtype)
        self.pace, self.passes = pace(self.spec), updates_a_pass(self.spec)
        self.by_rows = OPTIMIZERS[self.spec.optimizer.name].by_rows
        self.most = max(1, min(MOST, int(SPAN / (3 * self.shape.parameters * batch_size(self.spec)))))
        problem = Problem.of(self.spec)
        self.scale = problem.loss.scale(1, problem.targets.shape[1])
        shared = Rows.of(problem, self.kind)
        self.rows_count, self.test_count = len(shared.training), len(shared.test)
        self.initial = initial_rows(owners, self.seeds)
        kernels = {segment_key(spec): kernel_of(spec, problem) for spec in owners}
        kernel = next(iter(kernels.values()))  # the sizes are those of all
        width, count = kernel.parameters, kernel.shape.parts
        self.threads = min(threads, count)
        starts = [starts_of(spec) for spec in owners]
        self.weights = aligned((len(owners), width), self.kind)
        self.weights[:, : self.shape.parameters] = self.initial.T
        self.state = [aligned(self.weights.shape, self.kind) for _ in starts[0]]
        for slot, state in enumerate(self.state):
            state[:] = np.array([start[slot] for start in starts])[:, None]
        self.common = {
            "gradients": aligned((count, width), self.kind),
            "statistics": aligned((count, LANES[self.spec.dtype]), self.kind),
            "looked": np.zeros((MOST, STATISTICS), self.kind),
            "norms": np.zeros((MOST, len(self.shape.dense)), self.kind),
            "meeting": aligned((1,), np.dtype(np.int64)),
        }
        works = {key: working_memory(kernel, self.kind) for key, kernel in kernels.items()}
        self.networks = []
        for number, spec in enumerate(owners):
            key, rows = segment_key(spec), shared
            if dict(spec.data.params).get("split") == "per_network":
                rows = Rows.of(Problem.of(spec, int(self.seeds[number])), self.kind)
            self.networks.append(self._network(number, spec, kernels[key], rows, works[key]))
        self.history = unwritten(self.spec, self.seeds)
        self.errors = np.zeros((len(owners), self.pace.updates if self.by_rows else 0), np.int64)
        self.written = 0  # rows of the history
        self.nonfinite_at, self.stopped_at = (np.full(len(owners), NEVER) for _ in range(2))
        self.snapshots: dict[int, np.ndarray] = {}

    def _network(self, number: int, spec: RunSpec, kernel: Kernel, rows: Rows, work: np.ndarray) -> Network:
        watches = self.passes == 1 and not self.by_rows and spec.solved.measure == "accuracy"
        arrays = {
            **self.common,
            "data": rows.data,
            "targets": rows.targets,
            "order": rows.training,
            "weights": self.weights[number],
            **{f"state{slot}": state[number] for slot, state in enumerate(self.state)},
            "work": work,
            "numbers": np.array([number_of(spec, key) for key in kernel.numbers] or [0], self.kind),
            "tolerance": np.array([tolerance(spec)], self.kind),
            "need": np.array([rows_needed(spec, self.rows_count) if watches else math.inf], self.kind),
            "leave": np.array([spec.train.stop == "solved"], np.int64),
            "solved": np.array([LATE], np.int64),
            "stopped": np.array([LATE], np.int64),
        }
        table = np.array([address(arrays[name]) if name in arrays else 0 for name in kernel.places], np.int64)
        held = [*arrays.values(), *[table] * 4]
        return Network(spec, int(self.seeds[number]), kernel, rows, table, arrays["solved"], arrays["stopped"], held)

    def advance(self, span: Span) -> None:
        """The looks and updates of a span, of every network that still trains."""
        every, row = self.spec.train.snapshot_every, row_of(self.pace, span.step)
        if every and span.step % every == 0:
            self.snapshots[span.step] = self.weights.copy()
        looks = row is not None and self._looks_by_itself
        for part in span.looks_apart() if looks else [span]:
            if self.by_rows:
                self._go_by_rows(part, looks)
                continue
            batches, scales = batches_of(self.rows_count, batch_size(self.spec), self.scale, part)
            scales = scales.astype(self.kind)
            for number, network in enumerate(self.networks):
                if looks:
                    self._look(number, part.step)
                if network.ended:
                    continue
                self._point(network, part, batches, scales)
                network.train(part, self.common["meeting"], self.threads)
                if row is not None and not looks:
                    self._note(number, row, part)
                if network.ended:
                    self._end(number, bool(np.isnan(self._statistics()[2])))
        if row is not None:
            self.written = max(self.written, row + span.looks)

    def _go_by_rows(self, span: Span, looks: bool) -> None:
        """Passes by a rule that updates after each row, in the order of the rows."""
        count = self.rows_count
        batches = np.stack([np.arange(count), np.ones(count, np.int64)], 1)
        ones, nothing, statistics = np.ones(count, self.kind), np.zeros(1, self.kind), self.common["statistics"]
        for number, network in enumerate(self.networks):
            if looks:
                self._look(number, span.step)
            for passed in range(span.step, span.step + span.updates):
                if network.ended:
                    self.errors[number, passed] = self.errors[number, passed - 1] if passed else 0
                    continue
                for name, array in {"batches": batches, "scales": ones, "moving": nothing}.items():
                    network.point(name, array)
                statistics[:] = 0
                network.train(Span(0, 1, count), self.common["meeting"], 1)
                self.errors[number, passed] = wrong = count - int(self._statistics()[1])
                if not wrong:  # nothing has changed in it
                    network.solved[0] = min(network.solved[0], passed)
                if network.stopped[0] < LATE:  # somewhere in this pass
                    network.stopped[0] = passed + 1
                    self._end(number, nonfinite=True)

    @property
    def _looks_by_itself(self) -> bool:
        """Whether looks need passes of their own: over all rows where updates see some, over the test part, or because
        they decide whether training goes on."""
        apart = self.passes > 1 or self.test_count > 0 or self.by_rows
        return apart or self.spec.train.stop == "plateau"

    def _point(self, network: Network, span: Span, batches: np.ndarray, scales: np.ndarray) -> None:
        """What a span's updates read."""
        spec, names = network.spec, tuple(name for _, name in network.kernel.moving)
        moving = moving_numbers(spec.optimizer, spec.schedule, self.pace.updates, names, span, spec.dtype)
        order = network.order(span, self.passes)
        network.held[-4:] = [batches, scales, moving, order]
        for name, array in zip(("batches", "scales", "moving", "order"), network.held[-4:], strict=True):
            network.point(name, array)

    def _note(self, number: int, row: int, span: Span) -> None:
        """What the looks of a span saw, up to where the network ended."""
        network, common = self.networks[number], self.common
        looks = min(span.looks, (int(network.stopped[0]) - span.step) // span.count + 1)
        here = slice(row, row + looks)
        self._write(number, here, common["looked"][:looks], common["norms"][:looks])

    def _write(self, number: int, here: slice, statistics: np.ndarray, norms: np.ndarray) -> None:
        """Rows of the history from statistics [t, .] over the training rows and norms [t, layers]."""
        history = self.history
        history.loss[number, here] = statistics[:, 0] * (self.scale / self.rows_count)
        history.accuracy[number, here] = statistics[:, 1] / self.rows_count
        if self.spec.solved.measure == "accuracy":
            history.right[number, here] = statistics[:, 1] >= rows_needed(self.networks[number].spec, self.rows_count)
        for layer, line in enumerate(history.weight_norm.values()):
            line[number, here] = norms[:, layer]

    def _look(self, number: int, step: int) -> None:
        """A look at a network after ``step`` updates, by passes over all rows; it may end its training."""
        network = self.networks[number]
        if network.ended:
            return
        row = row_of(self.pace, step)
        assert row is not None
        finite = self._evaluate(number, slice(row, row + 1))
        history = self.history
        loss, right = float(history.loss[number, row]), bool(history.right[number, row])
        if right:
            network.solved[0] = min(network.solved[0], step)
        if loss < network.best:
            network.best, network.best_at = loss, step
        train = network.spec.train
        waited = train.stop == "plateau" and step - network.best_at >= train.patience
        if not finite or waited or (train.stop == "solved" and right):
            network.stopped[0] = step
            self._end(number, not finite)

    def _evaluate(self, number: int, here: slice, outputs: np.ndarray | None = None) -> bool:
        """Write rows of the history by passes over all rows; whether all outputs are finite."""
        network, history, rows = self.networks[number], self.history, self.networks[number].rows
        network.kernel.norms(network.at, address(self.common["norms"]))
        statistics = self._passed(network, rows.training, outputs)
        self._write(number, here, statistics[None], self.common["norms"][:1])
        finite = not np.isnan(statistics[2])
        if self.test_count:
            statistics = self._passed(network, rows.test)
            history.test_loss[number, here] = statistics[0] * (self.scale / self.test_count)
            history.test_accuracy[number, here] = statistics[1] / self.test_count
            if self.spec.solved.measure == "test_accuracy":
                history.right[number, here] = statistics[1] >= rows_needed(network.spec, self.test_count)
        return finite

    def _passed(self, network: Network, numbers: np.ndarray, outputs: np.ndarray | None = None) -> np.ndarray:
        """The statistics of a pass over the rows of these numbers."""
        self.common["statistics"][:] = 0
        network.evaluate(numbers, self.threads, outputs)
        return self._statistics()

    def _statistics(self) -> np.ndarray:
        """Those of all parts."""
        return np.asarray(self.common["statistics"][:, :STATISTICS].sum(0))

    def _end(self, number: int, nonfinite: bool) -> None:
        """A network trains no more: its history goes on as it stands."""
        network = self.networks[number]
        since = slice(int(np.searchsorted(self.history.steps, network.stopped[0])), None)
        self._evaluate(number, since)
        if nonfinite:
            self.nonfinite_at[number] = network.stopped[0]
            self.history.right[number, since] = False
        else:
            self.stopped_at[number] = network.stopped[0]

    def rows(self) -> Results:
        """The history so far."""
        return self.history.select(step=slice(self.written))

    def result(self) -> Results:
        """The arrays of all networks; what trained is let go on the way."""
        last, history = slice(len(self.history.steps) - 1, None), self.history
        outputs = np.empty((len(self.networks), self.rows_count, self.shape.outputs), self.kind)
        for number, network in enumerate(self.networks):
            if network.ended:
                network.evaluate(network.rows.training, self.threads, outputs[number])
                continue
            if not self._evaluate(number, last, outputs[number]):
                self.nonfinite_at[number], history.right[number, last] = self.pace.updates, False
            if history.right[number, -1]:
                network.solved[0] = min(network.solved[0], self.pace.updates)
        solved_at = np.array([network.solved[0] for network in self.networks])
        final = self._tensors(self.weights)
        del self.weights, self.state, self.networks
        return replace(
            history,
            outputs=outputs,
            solved_at=np.where(history.right[:, -1], solved_at, NEVER),
            stopped_at=UNKNOWN if self.spec.train.stop == "never" else self.stopped_at,
            nonfinite_at=self.nonfinite_at,
            initial=from_rows(self.shape, self.initial),
            final=final,
            snapshots={step: self._tensors(self.snapshots.pop(step)) for step in sorted(self.snapshots)},
            errors=self.errors if self.by_rows else UNKNOWN,
        )

    def _tensors(self, weights: np.ndarray) -> Weights:
        """The tensors of all networks from their weights [m, P]."""
        return from_rows(self.shape, weights[:, : self.shape.parameters].T)
