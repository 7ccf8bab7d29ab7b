"""Networks that train one after another, each by a kernel's machine code: what is too large for lanes of networks, and
whatever needs its own order of rows, its own split or its own end.

All networks of a chunk go through the same spans of updates, so that their history so far is one array; nothing of one
network touches another.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from nnspec.architecture import architecture
from nnspec.catalog import OPTIMIZERS, SCHEDULES
from nnspec.duration import batch_size, pace, tolerance, updates, updates_a_pass
from nnspec.initial import Weights
from nnspec.problem import Problem
from nnspec.results.arrays import NEVER, UNKNOWN, Results
from nnspec.specs import Member, RunSpec, Train
from nnspec.training.history import LATE, unwritten
from nnspec.training.kernel import LINE, STATISTICS, Kernel, Shape, build_kernel
from nnspec.training.memory import WHOLE, block_rows
from nnspec.training.plan import Chunk, segment_key, stack_key
from nnspec.training.spans import MOST, Span, logged_steps, row_of
from nnspec.training.stacking import from_rows, initial_rows, members
from nnspec.training.tracing import trace_update

AHEAD = 256  # updates for which coefficients are computed at a time, from a multiple of it on
SPAN = 3e9  # multiplications of a network in one call: some tenths of a second, for nothing interrupts it
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


@dataclass
class Network:
    """One network in training."""

    spec: RunSpec
    seed: int
    kernel: Kernel
    rows: Rows
    table: np.ndarray  # the addresses that the kernel is given, by ``kernel.arguments``
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


class Separate:
    """The networks of a chunk, which share a stack's key."""

    why_eager = ""

    def __init__(self, specs: Sequence[RunSpec], chunk: Chunk):
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
        width = next(iter(kernels.values())).parameters
        starts = [_starts(spec) for spec in owners]
        self.weights = aligned((len(owners), width), self.kind)
        self.weights[:, : self.shape.parameters] = self.initial.T
        self.state = [aligned(self.weights.shape, self.kind) for _ in starts[0]]
        for slot, state in enumerate(self.state):
            state[:] = np.array([start[slot] for start in starts])[:, None]
        self.common = {
            "gradients": aligned((width,), self.kind),
            "statistics": np.zeros(STATISTICS, self.kind),
            "looked": np.zeros((MOST, STATISTICS), self.kind),
            "norms": np.zeros((MOST, len(self.shape.dense)), self.kind),
        }
        works = {key: _working_memory(kernel, self.kind) for key, kernel in kernels.items()}
        self.networks = []
        for number, spec in enumerate(owners):
            key, rows = segment_key(spec), shared
            if dict(spec.data.params).get("split") == "per_network":
                rows = Rows.of(Problem.of(spec, int(self.seeds[number])), self.kind)
            self.networks.append(self._network(number, spec, kernels[key], rows, works[key]))
        layers = [dense.name for dense in self.shape.dense]
        self.history = unwritten(self.spec, self.seeds, logged_steps(self.pace), layers)
        if self.test_count:
            room = [np.empty_like(self.history.loss) for _ in range(2)]
            self.history = replace(self.history, test_loss=room[0], test_accuracy=room[1])
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
            "numbers": np.array([_number(spec, key) for key in kernel.numbers] or [0], self.kind),
            "tolerance": np.array([tolerance(spec)], self.kind),
            "need": np.array([_need(spec, self.rows_count) if watches else math.inf], self.kind),
            "leave": np.array([spec.train.stop == "solved"], np.int64),
            "solved": np.array([LATE], np.int64),
            "stopped": np.array([LATE], np.int64),
        }
        table = np.array([address(arrays[name]) if name in arrays else 0 for name in kernel.arguments], np.int64)
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
            batches, scales = _batches(self.rows_count, batch_size(self.spec), self.scale, part)
            scales = scales.astype(self.kind)
            for number, network in enumerate(self.networks):
                if looks:
                    self._look(number, part.step)
                if network.ended:
                    continue
                self._point(network, part, batches, scales)
                network.kernel.train(network.at, part.looks, part.count, part.step)
                if row is not None and not looks:
                    self._note(number, row, part)
                if network.ended:
                    self._end(number, bool(np.isnan(self.common["statistics"][2])))
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
                network.kernel.train(network.at, 1, count, 0)
                self.errors[number, passed] = wrong = count - int(statistics[1])
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
        moving = _moving(spec.optimizer, spec.schedule, self.pace.updates, names, span, spec.dtype)
        order = self._order(network, span)
        network.held[-4:] = [batches, scales, moving, order]
        for name, array in zip(("batches", "scales", "moving", "order"), network.held[-4:], strict=True):
            network.point(name, array)

    def _order(self, network: Network, span: Span) -> np.ndarray:
        """The training rows in the order of the passes that a span's updates belong to."""
        if self.passes == 1:
            return network.rows.training
        first, last = span.step // self.passes, (span.step + span.updates - 1) // self.passes
        for number in [number for number in network.orders if number < first]:
            del network.orders[number]
        for number in range(first, last + 1):
            if number not in network.orders:
                network.orders[number] = order_of_rows(network.seed, number, self.rows_count)
        return np.concatenate([network.orders[number] for number in range(first, last + 1)])

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
            history.right[number, here] = statistics[:, 1] >= _need(self.networks[number].spec, self.rows_count)
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
        network, history, statistics = self.networks[number], self.history, self.common["statistics"]
        table, rows = network.at, network.rows
        network.kernel.norms(table, address(self.common["norms"]))
        network.kernel.evaluate(
            table, address(rows.training), self.rows_count, None if outputs is None else address(outputs)
        )
        self._write(number, here, statistics[None], self.common["norms"][:1])
        finite = not np.isnan(statistics[2])
        if self.test_count:
            network.kernel.evaluate(table, address(rows.test), self.test_count, None)
            history.test_loss[number, here] = statistics[0] * (self.scale / self.test_count)
            history.test_accuracy[number, here] = statistics[1] / self.test_count
            if self.spec.solved.measure == "test_accuracy":
                history.right[number, here] = statistics[1] >= _need(network.spec, self.test_count)
        return finite

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
                table, rows = network.at, address(network.rows.training)
                network.kernel.evaluate(table, rows, self.rows_count, address(outputs[number]))
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
            why_eager=self.why_eager,
        )

    def _tensors(self, weights: np.ndarray) -> Weights:
        """The tensors of all networks from their weights [m, P]."""
        return from_rows(self.shape, weights[:, : self.shape.parameters].T)


def order_of_rows(seed: int, number: int, rows: int) -> np.ndarray:
    """The order in which the network of a seed sees its rows in pass ``number``, from 0: int32, [rows]."""
    # of a seed torch's generator reads 32 bits: a checksum mixes both numbers, and no two seeds share a pass's order
    drawn = torch.Generator().manual_seed(zlib.crc32(struct.pack("<QQ", seed, number), ORDER))
    return torch.randperm(rows, generator=drawn, dtype=torch.int32).numpy()


def address(array: np.ndarray) -> int:
    """Where an array's numbers begin; they must lie one after the other."""
    assert array.flags.c_contiguous
    return int(array.__array_interface__["data"][0])


def aligned(shape: tuple[int, ...], kind: np.dtype) -> np.ndarray:
    """Zeros that begin where a line of the cache does."""
    room = np.zeros(math.prod(shape) + LINE // kind.itemsize, kind)
    first = -address(room) % LINE // kind.itemsize
    return room[first : first + math.prod(shape)].reshape(shape)


def _working_memory(kernel: Kernel, kind: np.dtype) -> np.ndarray:
    room = aligned((kernel.work,), kind)
    for here in kernel.ones:
        room[here] = 1
    return room


def _need(spec: RunSpec, rows: int) -> int:
    """Of so many rows those that must be right for a network to be solved."""
    return math.ceil(spec.solved.at_least * rows - 1e-9)  # 0.95 of 100 rows is a little more than 95


@lru_cache(maxsize=64)
def _batches(rows: int, size: int, scale: float, span: Span) -> tuple[np.ndarray, np.ndarray]:
    """Where the batches of a span's updates begin in the order of rows from its first pass on, and how many rows they
    have, int64 [updates, 2]; and what sums over their rows are multiplied by, float64 [updates]."""
    passes = -(-rows // size)
    update = np.arange(span.updates) + span.step % passes
    place = update % passes * size
    counts = np.minimum(size, rows - place)
    return np.stack([update // passes * rows * (passes > 1) + place, counts], 1), scale / counts


def _starts(spec: RunSpec) -> list[float]:
    """What each slot of the optimizer's state starts from."""
    entry, h = OPTIMIZERS[spec.optimizer.name], _hyper(spec.optimizer)
    starts = [float(start) for start in entry.start(h)]
    return starts + [0.0] * (entry.slots(h) - len(starts))


def _hyper(optimizer: Member) -> dict[str, Any]:
    """The hyperparameters of a member, with which of its switches are on."""
    h = dict(optimizer.params)
    return h | {f"{name}_on": h[name] != 0 for name in OPTIMIZERS[optimizer.name].switches}


@lru_cache(maxsize=256)
def _coefficients(optimizer: Member, schedule: Member, total: int, first: int) -> dict[str, torch.Tensor]:
    """The optimizer's coefficients of ``AHEAD`` updates from number ``first`` on, counted from 1, of ``total``:
    float64 [updates, 1], or [1] where they do not change."""
    h = {
        name: value if isinstance(value, (bool, str)) else torch.tensor(value, dtype=torch.float64)[..., None]
        for name, value in _hyper(optimizer).items()
    }
    t = torch.arange(first, first + AHEAD, dtype=torch.float64)[:, None]
    entry, params = SCHEDULES[schedule.name], dict(schedule.params)
    if entry.moves(params) and "lr" in h:
        h["lr"] = h["lr"] * torch.from_numpy(entry.factor(t.numpy(), total, params))
    return OPTIMIZERS[optimizer.name].coefficients(h, t)


@lru_cache(maxsize=256)
def _moving(
    optimizer: Member, schedule: Member, total: int, names: tuple[str, ...], span: Span, dtype: str
) -> np.ndarray:
    """The coefficients that change from update to update, of a span's updates: [updates, names]."""
    blocks = range(span.step // AHEAD, (span.step + span.updates - 1) // AHEAD + 1)
    found = [_coefficients(optimizer, schedule, total, number * AHEAD + 1) for number in blocks]
    lines = [torch.cat([block[name] for block in found])[:, 0] for name in names]
    skip = span.step - blocks[0] * AHEAD
    if not lines:
        return np.zeros(1, dtype)
    return torch.stack(lines, 1)[skip : skip + span.updates].numpy().astype(dtype)


def _number(spec: RunSpec, key: tuple[Any, ...]) -> float:
    """A number of a network's own, by the key under which formulas read it."""
    kind, name, *place = key
    if kind == "param":
        return spec.activation.number(name)
    if kind == "coefficient":
        return float(_coefficients(spec.optimizer, spec.schedule, updates(spec), 1)[name])
    value: Any = spec.optimizer[name]
    return float(value if place == [None] else value[place[0]])


KERNELS: dict[object, Kernel] = {}  # of this process


def kernel_of(spec: RunSpec, problem: Problem) -> Kernel:
    """The kernel of a spec's networks.

    Raises:
        Untraceable: one of its formulas has no form for it.
    """
    own = replace(spec, train=Train(batch_size=spec.train.batch_size, clip_norm=spec.train.clip_norm))
    key = (stack_key(own), segment_key(own))  # however many updates there are
    if key not in KERNELS:
        h = _hyper(spec.optimizer)
        flags = {name: value for name, value in h.items() if isinstance(value, (bool, str))}
        pairs = [name for name, value in h.items() if isinstance(value, tuple)]
        first = _coefficients(spec.optimizer, spec.schedule, updates(spec), 1)
        moving = [name for name, value in first.items() if value.dim() == 2]
        update = trace_update(spec, OPTIMIZERS[spec.optimizer.name].slots(h), flags, pairs, moving)
        size = batch_size(spec)
        by_rows = OPTIMIZERS[spec.optimizer.name].by_rows
        watched = size == len(problem.inputs) and not by_rows
        rows = WHOLE if by_rows else block_rows(size)
        shape = Shape(rows, block_rows(len(problem.inputs)), size, watched, spec.train.clip_norm, by_rows)
        own_problem = replace(problem, shape=architecture(spec))  # cells of a stack may differ in their activation
        KERNELS[key] = build_kernel(spec, own_problem, shape, update)
    return KERNELS[key]
