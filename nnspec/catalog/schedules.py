"""Schedules of the learning rate: its factor at each update of a run, t = 1, 2, ..., updates.

A warm-up of u updates comes first, in which the factor is t / (u + 1): it rises evenly (Goyal et al. 2017), no update
is made at a rate of 0, and the first one behind it has the whole lr. The schedule itself begins there, with
k = t - u - 1 updates behind it and n = updates - u to make. This is torch's ``SequentialLR`` of
``LinearLR(1 / (u + 1), 1, u)`` and the schedule, with the milestone u.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnspec.catalog.maths import Array, NumpyMaths
from nnspec.params import Integer, Optional, Param, Real, Rule, Value
from nnspec.registry import Registry

Curve = Callable[[Any, Array, Any, Mapping[str, Any]], Array]


@dataclass(frozen=True)
class Schedule:
    """One schedule. ``curve(xp, k, n, params)``: the factor of the learning rate with ``k`` float64 updates behind it,
    of ``n`` that there are."""

    name: str
    summary: str
    curve: Curve
    params: tuple[Param, ...] = ()
    rules: tuple[Rule, ...] = ()
    aliases: tuple[str, ...] = ()  # names that people type for it

    def factor(self, t: np.ndarray, updates: int, params: Mapping[str, Value]) -> np.ndarray:
        """What lr is multiplied by at the updates ``t``, counted from 1 and of any shape, of a run of so many."""
        return np.asarray(self.formula(NumpyMaths(), np.asarray(t, dtype=np.float64), updates, params))

    def formula(self, xp: Any, t: Array, updates: Any, params: Mapping[str, Any]) -> Array:
        """The same on whatever ``xp`` works on."""
        warmup = params["warmup"]
        behind = xp.clip(t - warmup - 1, 0, None)
        return xp.where(t > warmup, self.curve(xp, behind, updates - warmup, params), t / (warmup + 1))

    def moves(self, params: Mapping[str, Value]) -> bool:
        """Whether the factor is ever another than 1."""
        return self.name != "constant" or params["warmup"] != 0


def _step(xp: Any, k: Array, n: Any, p: Mapping[str, Any]) -> Array:
    return p["gamma"] ** (k // p["step_size"])


def _share(xp: Any, k: Array, n: Any, p: Mapping[str, Any]) -> Array:
    """What is left of the way down, 1 to 0."""
    length = n if p["updates"] is None else p["updates"]
    return xp.clip(length - k, 0, None) / length


def _cosine(xp: Any, k: Array, n: Any, p: Mapping[str, Any]) -> Array:
    # (1 + cos(pi k / length)) / 2 would cancel to 0 before the end of a long run
    return p["floor"] + (1 - p["floor"]) * xp.sin(math.pi / 2 * _share(xp, k, n, p)) ** 2


def _linear(xp: Any, k: Array, n: Any, p: Mapping[str, Any]) -> Array:
    return p["floor"] + (1 - p["floor"]) * _share(xp, k, n, p)


MOST = 1_000_000_000_000  # updates: more than any training makes
WARMUP = Param("warmup", 0, Integer(0, MOST), "updates in which the learning rate rises to lr first")
WHOLE = Optional(Integer(1, MOST))
LENGTH = Param("updates", None, WHOLE, "updates from lr to the floor; null: all after the warm-up")
FLOOR = Param("floor", 0.0, Real(0, 1, open_high=True), "share of lr at which it ends")
GAMMA = Real(0, 1, open_low=True, open_high=True)

SCHEDULES: Registry[Schedule] = Registry(
    "schedule",
    (
        Schedule(
            "constant",
            "lr at every update",
            lambda xp, k, n, p: 0 * k + 1,
            (WARMUP,),
        ),
        Schedule(
            "step",
            "lr gamma^floor(k / step_size): torch's StepLR (He et al. 2016 divide by 10 in this way)",
            _step,
            (
                Param("step_size", 300, Integer(1, MOST), "updates between two steps down"),
                Param("gamma", 0.1, GAMMA, "factor of each step"),
                WARMUP,
            ),
            aliases=("step_decay",),
        ),
        Schedule(
            "exponential",
            "lr gamma^k: torch's ExponentialLR",
            lambda xp, k, n, p: p["gamma"] ** k,
            (Param("gamma", 0.999, GAMMA, "factor of each update"), WARMUP),
            aliases=("exponential_decay",),
        ),
        Schedule(
            "cosine",
            "half a cosine from lr to floor lr, held there: torch's CosineAnnealingLR (Loshchilov and Hutter 2017)",
            _cosine,
            (LENGTH, FLOOR, WARMUP),
            aliases=("cosine_annealing", "cosine_decay"),
        ),
        Schedule(
            "linear",
            "a line from lr to floor lr: torch's LinearLR",
            _linear,
            (LENGTH, FLOOR, WARMUP),
            aliases=("linear_decay",),
        ),
    ),
)
