"""Which networks train together: cells -> stacks -> chunks. Pure; no torch.

A stack holds cells whose networks do the same arithmetic on arrays of the same shape. Activations, initialisations,
seeds and hyperparameters may differ: they are one value a network. A chunk is the piece of a stack that trains at once,
small enough for the processor's cache and for the memory allowed. No result depends on how stacks are cut.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from nnspec.architecture import architecture
from nnspec.catalog import DATA, OPTIMIZERS
from nnspec.fused.stretch import logged_rows
from nnspec.params import Value
from nnspec.spec import RunSpec

LANE = 64  # networks: vector loops of torch's CPU kernels have no scalar tail on multiples of this
CACHE = 3_000_000  # bytes that a chunk's hot arrays should stay below; see benchmarks/README.md
SMALLEST = 256  # networks below which a chunk is not worth splitting between workers
WIDE = 24  # networks with a layer of this shorter side train as batched matrix products; see benchmarks/README.md


@dataclass(frozen=True)
class Share:
    """``count`` replicates of one cell, from replicate ``first`` on; ``cell`` is its place in the plan's cells."""

    cell: int
    first: int
    count: int


@dataclass(frozen=True)
class Chunk:
    """Networks that train at once: shares in the order in which their networks are stacked."""

    shares: tuple[Share, ...]

    @property
    def networks(self) -> int:
        return sum(share.count for share in self.shares)


@dataclass(frozen=True)
class Stack:
    """Cells that can train as one set of arrays, and the chunks that they are cut into."""

    cells: tuple[int, ...]
    chunks: tuple[Chunk, ...]
    network_bytes: int  # that one network needs while it trains, its history included

    @property
    def networks(self) -> int:
        return sum(chunk.networks for chunk in self.chunks)


@dataclass(frozen=True)
class Plan:
    """Every cell is in exactly one stack, every replicate in exactly one chunk."""

    specs: tuple[RunSpec, ...]
    stacks: tuple[Stack, ...]

    @property
    def networks(self) -> int:
        return sum(spec.replicates for spec in self.specs)

    def chunks(self) -> Iterator[Chunk]:
        """All chunks, stack by stack."""
        for stack in self.stacks:
            yield from stack.chunks


def plan(specs: Sequence[RunSpec], workers: int = 1, memory: float | None = None) -> Plan:
    """The stacks of these checked specs; ``memory`` is the bytes that training may hold at a time, all workers together."""
    groups: dict[tuple[object, ...], list[int]] = {}
    for index, spec in enumerate(specs):
        groups.setdefault(stack_key(spec), []).append(index)
    stacks = []
    for cells in groups.values():
        # networks of one activation side by side, so that a chunk evaluates each formula on few slices
        cells.sort(key=lambda i: (segment_key(specs[i]), i))
        shares = [Share(i, 0, specs[i].replicates) for i in cells]
        size = network_bytes(specs[cells[0]])
        width = chunk_width(specs[cells[0]], sum(s.count for s in shares), workers, memory)
        stacks.append(Stack(tuple(sorted(cells)), tuple(_cut(shares, width)), size))
    return Plan(tuple(specs), tuple(stacks))


def stack_key(spec: RunSpec) -> tuple[object, ...]:
    """What the cells of a stack must agree on."""
    shape = architecture(spec)
    optimizer = OPTIMIZERS[spec.optimizer.name]
    return (
        tuple(shape.tensors().items()),
        shape.output,
        spec.data,
        spec.loss,
        spec.optimizer.name,
        optimizer.static(dict(spec.optimizer.params)),
        spec.train,
        spec.dtype,
        spec.device,
    )


KEY_PARTS = ("model shape", "output activation", "data", "loss", "optimizer", "optimizer's switches", "train", "dtype", "device")


def differences(plan_: Plan) -> list[str]:
    """Which parts of the key differ between the stacks of a plan: why not everything is one stack."""
    keys = [stack_key(plan_.specs[stack.cells[0]]) for stack in plan_.stacks]
    return [name for name, *parts in zip(KEY_PARTS, *keys, strict=True) if len(set(parts)) > 1]


def segment_key(spec: RunSpec) -> tuple[str, tuple[tuple[str, Value], ...]]:
    """What the networks of one slice of a stack agree on: the formula of their hidden activation."""
    words = tuple((k, v) for k, v in spec.activation.params if isinstance(v, str))
    return spec.activation.name, words


def padded(count: int) -> int:
    """``count`` rounded up to whole lanes."""
    return -(-count // LANE) * LANE


def network_bytes(spec: RunSpec) -> int:
    """Memory of one network in training: weights, gradients, state and buffers, and the history that it leaves."""
    shape = architecture(spec)
    item = 4 if spec.dtype == "float32" else 8
    rows = logged_rows(spec.train)
    # initial and final weights, and the second set of weights and state that compiled code writes to
    kept = 5 + (spec.train.epochs // spec.train.snapshot_every if spec.train.snapshot_every else 0)
    return _hot_bytes(spec) + item * (kept * shape.parameters + rows * (2 + len(shape.dense))) + rows


def _hot_bytes(spec: RunSpec) -> int:
    shape = architecture(spec)
    item = 4 if spec.dtype == "float32" else 8
    rows = int(DATA[spec.data.name].make(dict(spec.data.params)).inputs.shape[0])
    units = sum(dense.fan_out for dense in shape.dense)
    return item * (5 * shape.parameters + 4 * rows * units)


def is_wide(spec: RunSpec) -> bool:
    """Whether the networks train as batched matrix products rather than elementwise with the network axis last."""
    shape = architecture(spec)
    between = [min(dense.fan_in, dense.fan_out) for dense in shape.dense[1:]]
    return max(between, default=0) >= WIDE


def chunk_width(spec: RunSpec, networks: int, workers: int, memory: float | None) -> int:
    """Networks a chunk: whole lanes within the cache and the memory, evenly over the workers where there are enough."""
    width = max(LANE, CACHE // _hot_bytes(spec) // LANE * LANE)
    if memory is not None:
        width = min(width, max(LANE, int(memory / workers / network_bytes(spec)) // LANE * LANE))
    pieces = -(-networks // width)
    if networks >= 2 * SMALLEST:
        pieces = -(-max(pieces, workers) // workers) * workers
    return min(width, padded(-(-networks // pieces)))


def _cut(shares: Sequence[Share], width: int) -> Iterator[Chunk]:
    """Shares cut into chunks of at most ``width`` networks."""
    current: list[Share] = []
    room = width
    for share in shares:
        first, left = share.first, share.count
        while left:
            take = min(left, room)
            current.append(Share(share.cell, first, take))
            first, left, room = first + take, left - take, room - take
            if not room:
                yield Chunk(tuple(current))
                current, room = [], width
    if current:
        yield Chunk(tuple(current))
