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

from nnspec.params import Integer, Optional, Param, Real, Rule, Value
from nnspec.registry import Registry

Curve = Callable[[np.ndarray, int, Mapping[str, Any]], np.ndarray]


@dataclass(frozen=True)
class Schedule:
    """One schedule. ``curve(k, n, params)``: the factor of the learning rate with ``k`` float64 updates behind it, of
    ``n`` that there are."""

    name: str
    summary: str
    curve: Curve
    params: tuple[Param, ...] = ()
    rules: tuple[Rule, ...] = ()
    aliases: tuple[str, ...] = ()  # names that people type for it

    def factor(self, t: np.ndarray, updates: int, params: Mapping[str, Value]) -> np.ndarray:
        """What lr is multiplied by at the updates ``t``, counted from 1 and of any shape, of a run of so many."""
        warmup = int(str(params["warmup"]))
        t = np.asarray(t, dtype=np.float64)
        behind = np.maximum(t - warmup - 1, 0)
        return np.where(t > warmup, self.curve(behind, updates - warmup, params), t / (warmup + 1))

    def moves(self, params: Mapping[str, Value]) -> bool:
        """Whether the factor is ever another than 1."""
        return self.name != "constant" or params["warmup"] != 0


def _step(k: np.ndarray, n: int, p: Mapping[str, Any]) -> np.ndarray:
    return np.asarray(p["gamma"] ** (k // p["step_size"]))


def _share(k: np.ndarray, n: int, p: Mapping[str, Any]) -> np.ndarray:
    """What is left of the way down, 1 to 0."""
    length = p["updates"] or n
    return np.maximum(length - k, 0) / length


def _cosine(k: np.ndarray, n: int, p: Mapping[str, Any]) -> np.ndarray:
    # (1 + cos(pi k / length)) / 2 would cancel to 0 before the end of a long run
    return np.asarray(p["floor"] + (1 - p["floor"]) * np.sin(math.pi / 2 * _share(k, n, p)) ** 2)


def _linear(k: np.ndarray, n: int, p: Mapping[str, Any]) -> np.ndarray:
    return np.asarray(p["floor"] + (1 - p["floor"]) * _share(k, n, p))


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
            lambda k, n, p: np.ones_like(k),
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
            lambda k, n, p: np.asarray(p["gamma"] ** k),
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
