"""How long the networks of a spec train and when they are solved, where that depends on the data. Pure; no torch.

An epoch is one pass over the training rows, in batches of ``train.batch_size``; the last batch of a pass may be shorter
and is trained too. Its loss is the mean over its own rows, as in a PyTorch loop, so that each of them weighs more.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from nnspec.architecture import learns_numbers, rows
from nnspec.catalog import DATA, SCHEDULES
from nnspec.specs import Member, RunSpec

Factor = Callable[[np.ndarray], np.ndarray]
LOG_EVERY = 10  # updates between two rows of the history at full batch
NEAR = 0.4  # how near an output must be to a number, or to a truth value, so that it can be told from the other
LARGEST = 0.5  # the distance at which a class and the likeliest other one have the same output


@dataclass(frozen=True)
class Pace:
    """The updates of a run: how many there are, and after how many a row of the history and a snapshot are taken."""

    updates: int
    log_every: int
    snapshot_every: int = 0


def pace(spec: RunSpec) -> Pace:
    """The updates of a spec's networks."""
    return Pace(updates(spec), log_every(spec), spec.train.snapshot_every)


def batch_size(spec: RunSpec) -> int:
    """Rows of a batch: at most all."""
    every = rows(spec.data)
    return every if spec.train.batch_size is None else min(spec.train.batch_size, every)


def updates_a_pass(spec: RunSpec) -> int:
    """Batches that the training rows are cut into, the shorter last one included."""
    return -(-rows(spec.data) // batch_size(spec))


def updates(spec: RunSpec) -> int:
    """Updates that a network makes, if nothing stops it before."""
    return spec.train.epochs * updates_a_pass(spec)


def log_every(spec: RunSpec) -> int:
    """Updates between two rows of the history; unless it is said, a pass with mini-batches."""
    if spec.train.log_every is not None:
        return spec.train.log_every
    passes = updates_a_pass(spec)
    return passes if passes > 1 else LOG_EVERY


def rate_factor(spec: RunSpec) -> Factor | None:
    """What lr is multiplied by at update t, as a function of an array of them; None if it stays as it is."""
    return schedule_factor(spec.schedule, updates(spec))


def schedule_factor(schedule: Member, last: int) -> Factor | None:
    """The same by a schedule, in a training of ``last`` updates."""
    entry, params = SCHEDULES[schedule.name], dict(schedule.params)
    return (lambda t: entry.factor(t, last, params)) if entry.moves(params) else None


def tolerance(spec: RunSpec) -> float:
    """How near an output must be to its target for a row to be right; unless it is said, of classes so near that the
    right one has the largest output, of numbers and truth values nearer."""
    if spec.solved.tolerance is not None:
        return spec.solved.tolerance
    return NEAR if DATA[spec.data.name].boolean or learns_numbers(spec) else LARGEST


def rows_needed(spec: RunSpec, rows: int) -> int:
    """Of so many rows those that must be right for a network to be solved."""
    return math.ceil(spec.solved.at_least * rows - 1e-9)  # 0.95 of 100 rows is a little more than 95
