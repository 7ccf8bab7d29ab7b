"""How a spec's networks train: many of them side by side in lanes, one after another, or as stacked torch modules.
Decided by the spec alone, for it decides the last bits. Pure; no torch."""

from __future__ import annotations

from nnspec.architecture import architecture, rows, test_rows
from nnspec.catalog import OPTIMIZERS
from nnspec.duration import batch_size, updates_a_pass
from nnspec.specs import CPU, RunSpec

LANE = 64  # networks: vector loops of torch's CPU kernels have no scalar tail on multiples of this
LARGEST = 2500  # weights times rows of data beyond which making a lane's unrolled code takes longer than it gives

# weights times rows of a batch from which an update is made in parts: some tenths of a millisecond, beside which it is
# nothing that threads meet twice
PARTED = 8_000_000
# values that a pass of a module keeps, and multiplications that take the time of one, from which networks together
# are less than three times faster than one by one, whose operations take a millisecond (see benchmarks/modules.py)
TOGETHER, PRODUCTS = 60_000, 64
PARTS = 2  # more would make narrow products of a batch of 128 rows, and take more memory for gradients
UNCARRIED = "torch.vmap does not carry"  # how begins why networks go through their module one by one after all


def padded(count: int) -> int:
    """``count`` rounded up to whole lanes."""
    return -(-count // LANE) * LANE


def why_separate(spec: RunSpec) -> str:
    """Why the networks of a spec train one after another (see ``separate``); empty if they train in lanes."""
    if updates_a_pass(spec) > 1:
        return "each has its own order of batches"
    if test_rows(spec.data):
        return "they are tried on a test part too"
    if OPTIMIZERS[spec.optimizer.name].by_rows:
        return "its rule goes row by row"
    if spec.train.stop != "never":
        return "each ends by itself"
    if spec.solved.measure != "accuracy" or spec.solved.at_least < 1:
        return "a share of the rows is enough"
    if spec.train.clip_norm:
        return "gradients are clipped"
    if rows(spec.data) * architecture(spec).parameters > LARGEST:
        return "too many weights times rows for lanes"
    return ""


def on_card(spec: RunSpec) -> bool:
    """Whether the networks of a spec train on a graphics card."""
    return spec.device != CPU


def is_module(spec: RunSpec) -> bool:
    """Whether the networks of a spec are torch modules of their own, which torch differentiates (see ``modules``)."""
    return architecture(spec).opaque


def why_single(spec: RunSpec) -> str:
    """Why the networks of a module go through it one by one; empty if they go together, as far as ``vmap`` can."""
    shape = architecture(spec)
    work = batch_size(spec) * (shape.values + shape.multiplications / PRODUCTS)
    return "its passes are too large to gain by being made together" if work > TOGETHER else ""


def is_separate(spec: RunSpec) -> bool:
    """Whether the networks of a spec train one after another, each by a kernel of its own."""
    return not is_module(spec) and bool(why_separate(spec))


def layout(spec: RunSpec) -> str:
    """How the networks of a spec train, in a word."""
    if on_card(spec):
        return spec.device
    if is_module(spec):
        return "modules"
    return "separate" if is_separate(spec) else "lanes"


def in_lanes(spec: RunSpec) -> bool:
    """Whether the networks of a spec train side by side in lanes."""
    return not is_module(spec) and not why_separate(spec)


def parts(spec: RunSpec) -> int:
    """The parts that every batch of a network by itself is cut into: large ones, so that as many cores can share an
    update. They are added up in their order, whoever made them."""
    return PARTS if batch_size(spec) * architecture(spec).parameters >= PARTED else 1
