"""What must hold of how long a spec's networks train: batches, schedule, stopping and the test part. Pure; no torch."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nnspec.architecture import rows, test_rows
from nnspec.check.layers import norms_batches
from nnspec.duration import batch_size, rate_factor, updates
from nnspec.errors import Fault
from nnspec.params import SIZES
from nnspec.specs import RunSpec, text


def duration_faults(spec: RunSpec) -> Iterator[Fault]:
    """Every fault of a spec whose members have none of their own."""
    train, known = spec.train, rows(spec.data)
    if train.batch_size is not None and train.batch_size > known:
        rule = f"must be at most {known}, the rows that the networks learn"
        yield Fault("train.batch_size", rule, text(train.batch_size), "lower it, or try train.batch_size=null")
        return  # how many updates there are hangs on it
    if norms_batches(spec.model) and (known - 1) % batch_size(spec) == 0:
        rule = f"must leave no batch of one row, of {known}, with batch normalisation, which needs several"
        yield Fault("train.batch_size", rule, text(train.batch_size), "change it by one, or try model.norm=layer")
    if train.stop == "plateau" and train.patience >= updates(spec):
        rule = f"must be below the {updates(spec)} updates of the training with train.stop=plateau"
        yield Fault("train.patience", rule, text(train.patience), "lower it, or raise train.epochs")
    if spec.solved.measure == "test_accuracy" and not test_rows(spec.data):
        remedy = "try data.test_fraction=0.3, or solved.measure=accuracy"
        yield Fault("solved.measure", "must be accuracy where the data have no test part", "test_accuracy", remedy)
    faults = list(_schedule_faults(spec))
    yield from faults or _rate_faults(spec)


def _schedule_faults(spec: RunSpec) -> Iterator[Fault]:
    """Of a schedule that is longer than the training, or that ends at a rate of 0 before it."""
    schedule, made = spec.schedule, updates(spec)
    warmup = int(schedule.number("warmup"))
    left = made - warmup
    if left < 1:
        rule = f"must be below the {made} updates of the training"
        yield Fault("schedule.warmup", rule, text(warmup), "lower it, or raise train.epochs")
        return
    behind = f"the {left} updates{' behind the warm-up' if warmup else ' of the training'}"
    if "step_size" in schedule and schedule.number("step_size") >= left:
        remedy = "lower it, or raise train.epochs"
        yield Fault("schedule.step_size", f"must be below {behind}", text(schedule["step_size"]), remedy)
    if "updates" not in schedule or schedule["updates"] is None:
        return
    if schedule.number("updates") > left:
        remedy = "lower it, or try schedule.updates=null"
        yield Fault("schedule.updates", f"must be at most {behind}", text(schedule["updates"]), remedy)
    elif schedule.number("updates") < left and schedule["floor"] == 0:
        rule = "must be above 0 where schedule.updates ends before the training: at a rate of 0 nothing trains"
        yield Fault("schedule.floor", rule, text(schedule["floor"]), "try schedule.updates=null or schedule.floor=0.01")


def _rate_faults(spec: RunSpec) -> Iterator[Fault]:
    """Of a learning rate that becomes smaller than the numbers of the run's dtype can be."""
    factor, made, (least, _) = rate_factor(spec), updates(spec), SIZES[spec.dtype]
    if factor is None:
        return
    lowest = spec.optimizer.number("lr") * float(factor(np.array([1, made])).min())  # it rises first and falls then
    if lowest < least:
        rule = f"must keep the learning rate at a size that dtype={spec.dtype} holds, at least {least:.2g}"
        where = next(f"schedule.{name}" for name in ("gamma", "floor", "warmup") if name in spec.schedule)
        yield Fault(where, rule, f"{lowest:.2g} at its lowest", "raise it, or lower train.epochs")
