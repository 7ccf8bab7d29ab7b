"""Every schedule against torch's own over whole runs, with and without a warm-up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch.optim import lr_scheduler

from nnspec.catalog import SCHEDULES

UPDATES = 200
TIGHT = 1e-12  # torch multiplies a factor into the last rate: a rounding of 1e-16 at each of 200 updates
Make = Callable[[torch.optim.Optimizer], lr_scheduler.LRScheduler]
LR = 0.3

CASES: list[tuple[str, dict[str, Any], Make]] = [
    ("constant", {}, lambda o: lr_scheduler.ConstantLR(o, 1.0)),
    ("step", {"step_size": 30, "gamma": 0.5}, lambda o: lr_scheduler.StepLR(o, 30, 0.5)),
    ("exponential", {"gamma": 0.97}, lambda o: lr_scheduler.ExponentialLR(o, 0.97)),
    ("cosine", {"updates": None, "floor": 0.0}, lambda o: lr_scheduler.CosineAnnealingLR(o, UPDATES)),
    ("cosine", {"updates": None, "floor": 0.1}, lambda o: lr_scheduler.CosineAnnealingLR(o, UPDATES, 0.1 * LR)),
    ("linear", {"updates": None, "floor": 0.0}, lambda o: lr_scheduler.LinearLR(o, 1.0, 0.0, UPDATES)),
    ("linear", {"updates": 50, "floor": 0.2}, lambda o: lr_scheduler.LinearLR(o, 1.0, 0.2, 50)),
]


def rates_of_torch(make: Make, warmup: int, updates: int) -> np.ndarray:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=LR)
    rates = make(optimizer)
    if warmup:
        rise = lr_scheduler.LinearLR(optimizer, 1 / (warmup + 1), 1.0, warmup)
        rates = lr_scheduler.SequentialLR(optimizer, [rise, rates], [warmup])
    found = []
    for _ in range(updates):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        rates.step()
    return np.array(found)


@pytest.mark.filterwarnings("ignore:.*lr_scheduler.step.*:UserWarning")  # of SequentialLR's own constructor
@pytest.mark.parametrize("warmup", [0, 1, 17])
@pytest.mark.parametrize(("name", "params", "make"), CASES, ids=lambda v: str(v) if isinstance(v, (str, dict)) else "")
def test_the_rate_is_torch_s_at_every_update(name: str, params: dict[str, Any], make: Make, warmup: int) -> None:
    updates = UPDATES + warmup
    factor = SCHEDULES[name].factor(np.arange(1, updates + 1), updates, {**params, "warmup": warmup})
    np.testing.assert_allclose(LR * factor, rates_of_torch(make, warmup, updates), rtol=TIGHT, atol=TIGHT)


def test_a_cosine_stays_at_its_floor() -> None:
    factor = SCHEDULES["cosine"].factor(np.arange(1, 31), 30, {"updates": 10, "floor": 0.2, "warmup": 0})
    assert factor[9] > 0.2
    assert (factor[10:] == 0.2).all()


@pytest.mark.parametrize("entry", SCHEDULES, ids=lambda entry: entry.name)
def test_at_its_defaults_a_long_run_is_never_at_a_rate_of_0(entry: Any) -> None:
    params = {param.name: param.default for param in entry.params} | {"gamma": 1 - 1e-7}
    last = 10**9
    factor = entry.factor(np.array([1, 2, last // 2, last - 1, last]), last, params)
    assert (factor[0], factor.max()) == (1, 1)
    assert entry.name == "step" or factor.min() > 0


def test_every_schedule_is_tried() -> None:
    assert {name for name, *_ in CASES} == set(SCHEDULES.names())
