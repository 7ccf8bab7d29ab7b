"""The numbers of its own that a network's kernel reads: parameters, hyperparameters, coefficients of the optimizer."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import torch

from nnspec.catalog import OPTIMIZERS
from nnspec.duration import schedule_factor, updates
from nnspec.specs import Member, RunSpec
from nnspec.training.codegen.graph import Key
from nnspec.training.optimizer import AHEAD, coefficients
from nnspec.training.spans import Span


def starts_of(spec: RunSpec) -> list[float]:
    """What each slot of the optimizer's state starts from."""
    entry, h = OPTIMIZERS[spec.optimizer.name], hyperparameters(spec.optimizer)
    starts = [float(start) for start in entry.start(h)]
    return starts + [0.0] * (entry.slots(h) - len(starts))


def hyperparameters(optimizer: Member) -> dict[str, Any]:
    """See ``catalog.Optimizer.hyperparameters``."""
    return OPTIMIZERS[optimizer.name].hyperparameters(dict(optimizer.params))


@lru_cache(maxsize=256)
def coefficients_ahead(optimizer: Member, schedule: Member, total: int, first: int) -> dict[str, torch.Tensor]:
    """The optimizer's coefficients of ``AHEAD`` updates from number ``first`` on, counted from 1, of ``total``:
    float64 [updates, 1], or [1] where they do not change."""
    h = {
        name: value if isinstance(value, (bool, str)) else torch.tensor(value, dtype=torch.float64)[..., None]
        for name, value in hyperparameters(optimizer).items()
    }
    return coefficients(OPTIMIZERS[optimizer.name], h, schedule_factor(schedule, total), first, AHEAD)


@lru_cache(maxsize=256)
def moving_numbers(
    optimizer: Member, schedule: Member, total: int, names: tuple[str, ...], span: Span, dtype: str
) -> np.ndarray:
    """The coefficients that change from update to update, of a span's updates: [updates, names]."""
    blocks = range(span.step // AHEAD, (span.step + span.updates - 1) // AHEAD + 1)
    found = [coefficients_ahead(optimizer, schedule, total, number * AHEAD + 1) for number in blocks]
    lines = [torch.cat([block[name] for block in found])[:, 0] for name in names]
    skip = span.step - blocks[0] * AHEAD
    if not lines:
        return np.zeros(1, dtype)
    return torch.stack(lines, 1)[skip : skip + span.updates].numpy().astype(dtype)


def number_of(spec: RunSpec, key: Key) -> float:
    """A number of a network's own, by the key under which formulas read it."""
    kind, name, *place = key
    if kind == "param":
        return spec.activation.number(name)
    if kind == "coefficient":
        return float(coefficients_ahead(spec.optimizer, spec.schedule, updates(spec), 1)[name])
    value: Any = spec.optimizer[name]
    return float(value if place == [None] else value[place[0]])
