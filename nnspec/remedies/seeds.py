"""On which seeds changes are measured, and on how many: as many as train in a bounded time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from nnspec.errors import Fault, NnspecError
from nnspec.execute.cost import plan_seconds
from nnspec.execute.engine import Training
from nnspec.execute.pool import cores
from nnspec.report import console
from nnspec.settings import Runtime
from nnspec.specs import RunSpec
from nnspec.training.loop import probe
from nnspec.training.memory import multiplications

MOST_SEEDS = 100_000
SEED_COUNTS = (200, 100, 50, 20)  # with fewer, no difference would be sure: an exact test of 18 changes needs 10 pairs
BUDGET = 30.0  # seconds
UNTRIED = 2e9  # multiplications that take seconds at most on any machine: no trial is needed to know
TRIAL = 0.1  # seconds of all trials


def affordable(specs: Sequence[RunSpec], runtime: Runtime, budget: float = BUDGET) -> tuple[int, int]:
    """How many changes, and seeds of each, train in about ``budget`` seconds; ``specs`` are the spec and its changes.

    Raises:
        NnspecError: not a single change can.
    """
    most, least = SEED_COUNTS[0], SEED_COUNTS[-1]
    if most * sum(map(multiplications, specs)) <= UNTRIED:
        return len(specs) - 1, most
    training = Training([over(spec, 0, least) for spec in specs], runtime)
    seconds = plan_seconds(training.plan, min(training.workers, cores()), probe, TRIAL)
    found = fitting(math.inf if seconds is None else seconds, len(specs), budget)
    if found is None:
        how_long = "an unknown time" if seconds is None else f"about {console.duration(2 * seconds / len(specs))}"
        value = f"{how_long} for one change on {least} seeds"
        remedy = f"say how many seeds all the same: nnspec remedy RUN --seeds {least}"
        raise NnspecError(Fault("remedies", f"must be measured within about {budget:g} s", value, remedy))
    return found


def fitting(seconds: float, specs: int, budget: float) -> tuple[int, int] | None:
    """How many changes, and seeds of each, train in ``budget`` seconds where all ``specs`` on the fewest of
    ``SEED_COUNTS`` take ``seconds``: all changes on as many as can be, else some on the fewest; None: not one."""
    least = SEED_COUNTS[-1]
    counts = [count for count in SEED_COUNTS if seconds * count <= least * budget]
    if counts:
        return specs - 1, counts[0]
    changes = int(specs * budget / seconds) - 1
    return (changes, least) if changes > 0 else None


def over(spec: RunSpec, first: int, count: int) -> RunSpec:
    """The spec over other seeds, without the snapshots that nobody would see."""
    return replace(spec, seed=first, replicates=count, train=replace(spec.train, snapshot_every=0))
