"""About how long a plan takes to train: a short trial of its largest stacks, and arithmetic.

Trials are eager, of few updates, and bounded in time and memory. Compiled code takes a known share of an eager update's
time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from nnspec.architecture import architecture, rows, test_rows
from nnspec.catalog import INITS
from nnspec.duration import Pace, pace, updates, updates_a_pass
from nnspec.specs import RunSpec
from nnspec.training.layout import LANE, in_lanes, is_separate, on_card
from nnspec.training.memory import Room, chunk_bytes, compiles, hot_bytes, own_bytes
from nnspec.training.plan import Chunk, Plan, Share, Stack, formulas, threads_each
from nnspec.training.spans import MOST, logged_rows, spans

PATIENCE = 0.4  # seconds of all trials together
STACKS = 4  # that are tried; the others are as the largest, by their size
ROOM = 48e6  # bytes that a trial may take
FASTER = 3.7  # times that a compiled update is faster than an eager one, but
QUICKEST = 20e-9  # no network's takes less than this where the eager one takes more
COMPILING_KERNEL = 0.3  # seconds to make the kernel of networks that train one after another
FORWARD = 0.35  # of an update, a pass forward over as many rows
COMPILING, COMPILING_ROW = 0.1, 1.5e-3  # seconds to compile a step, and for each weight and row of data
SHARED = 1.4  # times as long as alone an update takes beside another process: they share caches and memory
ENDLESS = 10**9  # updates of a trial: it is broken off
LOOK = 0.4  # of an update, what a row of the history costs


@dataclass(frozen=True)
class Trial:
    """Seconds a network to set up, and to update once by the eager trainer."""

    setup: float
    update: float


Probe = Callable[[Sequence[RunSpec], Chunk, float, int], tuple[float, float]]  # see ``training.loop.probe``


def plan_seconds(plan: Plan, workers: int, probe: Probe, patience: float = PATIENCE) -> float | None:
    """Seconds until all networks are trained, or None where no trial is small enough to tell or would need a graphics
    card. Diagnosis and filing not counted."""
    if any(map(on_card, plan.specs)):
        return None
    largest = sorted(plan.stacks, key=lambda stack: -work(plan.specs, stack))[:STACKS]
    trials, threads = {}, threads_each(sum(1 for _ in plan.chunks()), workers)
    for stack in largest:
        trial = tried(plan.specs, stack, probe, patience / len(largest), threads)
        if trial is None:
            return None
        trials[stack] = trial
    known = sum(stack_seconds(plan.specs, stack, workers, trial) for stack, trial in trials.items())
    share = sum(work(plan.specs, stack) for stack in largest) / sum(work(plan.specs, stack) for stack in plan.stacks)
    return known / share


def work(specs: Sequence[RunSpec], stack: Stack) -> float:
    """Bytes that all updates of a stack touch: what the time of stacks goes by."""
    spec = specs[stack.cells[0]]
    return stack.networks * (updates(spec) + 10) * hot_bytes(spec)


def stack_seconds(specs: Sequence[RunSpec], stack: Stack, workers: int, trial: Trial) -> float:
    """Seconds of a stack of which a trial is known, on so many processes."""
    first = specs[stack.cells[0]]
    processes = min(workers, len(stack.chunks))
    if not in_lanes(first):
        each = trial.setup + separate_seconds(first, trial.update)
        kernel = COMPILING_KERNEL if is_separate(first) else 0.0
        return kernel + stack.networks * each / processes * (SHARED if processes > 1 else 1.0)
    seconds, compiled = 0.0, 0
    for chunk in stack.chunks:
        different = formulas(specs, chunk)
        it_pays = chunk.compiled and compiles(first, chunk.networks // different)
        seconds += chunk.networks * (
            trial.setup + (compiled_seconds if it_pays else eager_seconds)(pace(first), trial.update)
        )
        compiled = max(compiled, different if it_pays else 0)
    return seconds / processes * (SHARED if processes > 1 else 1.0) + compiled * (
        COMPILING + COMPILING_ROW * _size(first)
    )


def _size(spec: RunSpec) -> int:
    return rows(spec.data) * architecture(spec).parameters


def eager_seconds(steps: Pace, update: float) -> float:
    """Seconds of a network's training, update by update."""
    return update * (steps.updates + LOOK * logged_rows(steps))


def separate_seconds(spec: RunSpec, update: float) -> float:
    """Seconds of the training of a network by itself, whose looks are passes over all rows unless they are updates."""
    steps, passes = pace(spec), updates_a_pass(spec)
    looks = logged_rows(steps) * passes * FORWARD if passes > 1 or test_rows(spec.data) else 0
    return update * (steps.updates + looks)


def compiled_seconds(steps: Pace, update: float) -> float:
    """Seconds of a network's training by compiled code, whose first updates are made both ways."""
    fast = max(update / FASTER, min(update, QUICKEST))
    both = next(spans(steps, MOST))
    return update * both.updates + fast * (steps.updates + LOOK * logged_rows(steps))


def _separate_trial(spec: RunSpec, probe: Probe, patience: float, threads: int) -> Trial | None:
    """A trial of one network that trains by itself, of a narrower one where its weights take more than there is room;
    its rows stay all, for they decide how it trains."""
    smaller: RunSpec | None = spec
    while smaller is not None and own_bytes(smaller) > ROOM:
        smaller = narrower(smaller)
    if smaller is None:
        return None
    setup, update = probe([_endless(smaller)], Chunk((Share(0, 0, 1),)), patience, threads)
    share = architecture(smaller).parameters / architecture(spec).parameters
    return Trial(setup / share, update / share)


def tried(specs: Sequence[RunSpec], stack: Stack, probe: Probe, patience: float, threads: int = 1) -> Trial | None:
    """A trial of the networks of a stack's largest chunk, as many as there is room for. None where not even one
    that trains by itself fits."""
    chunk = max(stack.chunks, key=lambda chunk: chunk.networks)
    spec = specs[chunk.shares[0].cell]
    if is_separate(spec):
        return _separate_trial(spec, probe, patience, threads)
    count, least = chunk.networks, min(LANE, chunk.networks)
    while count > least and _bytes(spec, count) > ROOM:
        count = max(least, count // 2)
    picked, shares = _first(specs, chunk, count)
    setup, update = probe([_endless(one) for one in picked], Chunk(shares), patience, threads)
    return Trial(setup / count, update / count)


def _bytes(spec: RunSpec, count: int) -> float:
    return chunk_bytes(_endless(spec), count, Room(compiled=False))


def _endless(spec: RunSpec) -> RunSpec:
    """The same without an end, and with next to no history."""
    return replace(spec, train=replace(spec.train, epochs=ENDLESS, log_every=ENDLESS, snapshot_every=0))


def _first(specs: Sequence[RunSpec], chunk: Chunk, count: int) -> tuple[list[RunSpec], tuple[Share, ...]]:
    """The specs of a chunk's first networks, and their shares."""
    picked: list[RunSpec] = []
    shares: list[Share] = []
    for share in chunk.shares:
        if count > 0:
            shares.append(Share(len(picked), share.first, min(share.count, count)))
            picked.append(specs[share.cell])
            count -= share.count
    return picked, tuple(shares)


def narrower(spec: RunSpec) -> RunSpec | None:
    """The same model with hidden layers of three quarters the width; None where it has none, they are narrow, or
    weights are stored."""
    hidden = dict(spec.model.params).get("hidden")
    if INITS[spec.init.name].stored or not isinstance(hidden, tuple):
        return None
    widths = tuple(max(1, int(str(width)) * 3 // 4) for width in hidden)
    if widths == hidden:
        return None
    params = tuple((name, widths if name == "hidden" else value) for name, value in spec.model.params)
    return replace(spec, model=replace(spec.model, params=params))
