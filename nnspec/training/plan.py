"""Which networks train together: cells -> stacks -> chunks. Pure; no torch.

A stack holds cells whose networks do the same arithmetic on arrays of the same shape. Activations, initialisations,
seeds and hyperparameters may differ: they are one value a network. A chunk is the piece of a stack that trains at once,
small enough for the processor's cache and for the room that a process has. No result depends on how stacks are cut.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from nnspec.architecture import architecture
from nnspec.catalog import LR_PER_LAYER, OPTIMIZERS
from nnspec.catalog.origins import SOURCE
from nnspec.params import Value
from nnspec.specs import RunSpec, by_combination
from nnspec.training.layout import LANE, in_lanes, is_module, is_separate, on_card, padded
from nnspec.training.memory import Room, card_bytes, held_bytes, hot_bytes, most_networks, multiplications

CACHE = 3_000_000  # bytes that a chunk's hot arrays should stay below; see benchmarks/README.md
MOST = 256  # networks of a chunk that is not in lanes, at most: a history so far comes for all at once
MODULES = 50_000_000  # bytes that the hot arrays of a chunk of modules should stay below: a wider pass is no quicker
WORTH = 2e9  # multiplications that are worth a process of their own: some tenths of a second
SMALLEST = 256  # networks below which a chunk is not worth splitting between workers


@dataclass(frozen=True)
class Share:
    """``count`` replicates of one cell, from replicate ``first`` on; ``cell`` is its place in the plan's cells."""

    cell: int
    first: int
    count: int


@dataclass(frozen=True)
class Chunk:
    """Networks that train at once: shares in the order in which their networks are stacked. ``compiled`` says whether
    there is room for the compiler."""

    shares: tuple[Share, ...]
    compiled: bool = True

    @property
    def networks(self) -> int:
        return sum(share.count for share in self.shares)


@dataclass(frozen=True)
class Stack:
    """Cells that can train as one set of arrays, and the chunks that they are cut into."""

    cells: tuple[int, ...]
    chunks: tuple[Chunk, ...]

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


def plan(specs: Sequence[RunSpec], room: Room = Room()) -> Plan:  # noqa: B008  it is frozen
    """The stacks of these checked specs, cut for the room that there is."""
    stacks = []
    for cells in alike(specs):
        # networks of one activation side by side, so that a chunk evaluates each formula on few slices
        cells.sort(key=lambda i: (segment_key(specs[i]), i))
        smallest = min((specs[i] for i in cells), key=lambda spec: spec.replicates)
        width = chunk_width(smallest, _columns(specs, cells), room)
        stacks.append(Stack(tuple(sorted(cells)), tuple(_cut(specs, cells, width, room.compiled))))
    return Plan(tuple(specs), tuple(stacks))


def threads_each(chunks: int, workers: int) -> int:
    """Threads that train a large network, where as many may work as there are ``workers`` for all chunks."""
    return max(1, workers // max(1, chunks))


def alike(specs: Sequence[RunSpec]) -> list[list[int]]:
    """The places of the specs in groups that can train as one stack each."""
    groups: dict[tuple[object, ...], list[int]] = {}
    for places in by_combination(specs):
        groups.setdefault(stack_key(specs[places[0]]), []).extend(places)
    return [sorted(places) for places in groups.values()]


def stack_key(spec: RunSpec) -> tuple[object, ...]:
    """What the cells of a stack must agree on."""
    shape = architecture(spec)
    optimizer = OPTIMIZERS[spec.optimizer.name]
    return (
        (tuple(shape.tensors().items()), _module(spec) if shape.opaque else None),
        shape.output,
        spec.data,
        spec.loss,
        spec.optimizer.name,
        optimizer.static(dict(spec.optimizer.params)),
        spec.schedule,
        spec.train,
        (is_separate(spec), spec.solved.measure),
        spec.dtype,
        spec.device,
        # an error of a user's formula loses no cell that does without it
        tuple(member for member in (spec.activation, spec.init) if SOURCE.name in member),
    )


def _module(spec: RunSpec) -> tuple[object, ...]:
    """What decides on a module and on how its layers are updated; rates by layer differ from network to network."""
    return spec.model, spec.activation, LR_PER_LAYER in spec.optimizer


KEY_PARTS = (
    "model shape",
    "output activation",
    "data",
    "loss",
    "optimizer",
    "optimizer's switches",
    "schedule",
    "train",
    "solved",
    "dtype",
    "device",
    "parts of your own",
)


def differences(plan_: Plan) -> list[str]:
    """Which parts of the key differ between the stacks of a plan: why not everything is one stack."""
    keys = [stack_key(plan_.specs[stack.cells[0]]) for stack in plan_.stacks]
    return [name for name, *parts in zip(KEY_PARTS, *keys, strict=True) if len(set(parts)) > 1]


def segment_key(spec: RunSpec) -> tuple[str, tuple[tuple[str, Value], ...]]:
    """What the networks of one slice of a stack agree on: the formula of their hidden activation."""
    words = tuple((k, v) for k, v in spec.activation.params if isinstance(v, str))
    return spec.activation.name, words


def formulas(specs: Sequence[RunSpec], chunk: Chunk) -> int:
    """Different formulas of hidden activations among the networks of a chunk."""
    return len({segment_key(specs[share.cell]) for share in chunk.shares})


def _columns(specs: Sequence[RunSpec], cells: Sequence[int]) -> int:
    """Columns that the networks of sorted cells fill in the trainer's arrays: each formula whole lanes, if they lie in
    lanes."""
    sizes = [
        sum(specs[i].replicates for i in some)
        for _, some in itertools.groupby(cells, key=lambda i: segment_key(specs[i]))
    ]
    return sum(map(padded, sizes)) if in_lanes(specs[cells[0]]) else sum(sizes)


def chunk_width(spec: RunSpec, networks: int, room: Room) -> int:
    """Networks a chunk: within the cache and the room, evenly over the workers where there are enough; whole lanes
    where a network is a column, and at least one network, whether it fits or not."""
    if on_card(spec):
        return _card_width(spec, networks, room)
    lanes = in_lanes(spec)
    unit, workers = LANE if lanes else 1, room.workers
    width = MOST if not lanes else max(unit, CACHE // (hot_bytes(spec) * unit) * unit)
    if is_module(spec):
        width = max(1, min(MOST, MODULES // hot_bytes(spec)))
    width = most_networks(spec, networks, room, min(width, networks))
    pieces = -(-networks // width)
    if networks >= 2 * SMALLEST if lanes else networks * multiplications(spec) >= workers * WORTH:
        pieces = -(-max(pieces, workers) // workers) * workers
    even = -(-networks // pieces)
    width = min(-(-even // unit) * unit, -(-width // unit) * unit if width >= unit else width)
    # narrower chunks may keep one more process busy, which takes room too
    while width > unit and room.bytes is not None and held_bytes(spec, width, networks, room) > room.bytes:
        width -= unit
    return width


def _card_width(spec: RunSpec, networks: int, room: Room) -> int:
    """Networks a chunk on a graphics card: as many as there is room for on the card, which the workers share, and
    beside it; at least one. Whole lanes where a network is a column, but for the last few."""
    unit = LANE if in_lanes(spec) else 1
    even = -(-networks // (room.workers * unit)) * unit
    if room.card is not None:
        most = int(room.card / (room.workers * card_bytes(spec)))
        even = max(1, min(even, most if most < unit else most // unit * unit))
    return most_networks(spec, networks, room, min(even, networks))


def _cut(specs: Sequence[RunSpec], cells: Sequence[int], width: int, compiled: bool) -> Iterator[Chunk]:
    """The cells cut into chunks of at most ``width`` networks. Where networks are columns, each formula begins a new
    lane."""
    unit = LANE if in_lanes(specs[cells[0]]) else 1
    current: list[Share] = []
    networks, columns, segment = 0, 0, None
    most = -(-width // unit) * unit
    for cell in cells:
        first, left, key = 0, specs[cell].replicates, segment_key(specs[cell])
        while left:
            begin = columns if key == segment else -(-columns // unit) * unit
            take = min(left, width - networks, most - begin)
            if take <= 0:
                yield Chunk(tuple(current), compiled)
                current, networks, columns, segment = [], 0, 0, None
                continue
            current.append(Share(cell, first, take))
            first, left = first + take, left - take
            networks, columns, segment = networks + take, begin + take, key
    if current:
        yield Chunk(tuple(current), compiled)
