"""Every optimizer under every schedule: the stacked trainer against torch.optim with torch's own schedulers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch.optim import lr_scheduler

from nnspec import reference
from nnspec.builder import build
from nnspec.catalog import OPTIMIZERS, SCHEDULES
from nnspec.results.arrays import Results
from nnspec.specs import RunSpec
from nnspec.training.loop import train_chunk
from nnspec.training.plan import plan

SpecOf = Callable[..., RunSpec]
UPDATES = 50
# roundings of 1e-16 on numbers around 1, and what fifty updates make of them
TIGHT = 1e-10
Scheduler = Callable[[torch.optim.Optimizer, dict[str, Any]], lr_scheduler.LRScheduler]

THEIRS: dict[str, Scheduler] = {
    "constant": lambda o, p: lr_scheduler.ConstantLR(o, 1.0),
    "step": lambda o, p: lr_scheduler.StepLR(o, p["step_size"], p["gamma"]),
    "exponential": lambda o, p: lr_scheduler.ExponentialLR(o, p["gamma"]),
    "cosine": lambda o, p: lr_scheduler.CosineAnnealingLR(o, p["updates"], o.param_groups[0]["lr"] * p["floor"]),
    "linear": lambda o, p: lr_scheduler.LinearLR(o, 1.0, p["floor"], p["updates"]),
}
OURS: list[dict[str, Any]] = [
    {"name": "constant", "warmup": 7},
    {"name": "step", "step_size": 9, "gamma": 0.5},
    {"name": "step", "step_size": 9, "gamma": 0.5, "warmup": 4},
    {"name": "exponential", "gamma": 0.9},
    {"name": "exponential", "gamma": 0.9, "warmup": 1},
    {"name": "cosine", "floor": 0.1},
    {"name": "cosine", "warmup": 6},
    {"name": "linear"},
    {"name": "linear", "floor": 0.25, "updates": 20, "warmup": 6},
]
OPTIMIZER: list[dict[str, Any]] = [
    {"name": "sgd", "lr": 0.3, "momentum": 0.8, "weight_decay": 0.01},
    {"name": "adam", "lr": 0.05},
    {"name": "adamw", "lr": 0.05, "weight_decay": 0.1},
    {"name": "rmsprop", "lr": 0.01, "momentum": 0.5},
    {"name": "adagrad", "lr": 0.1, "lr_decay": 0.05},
]


def scheduler(optimizer: torch.optim.Optimizer, schedule: dict[str, Any], updates: int) -> lr_scheduler.LRScheduler:
    """torch's scheduler of a checked schedule, its warm-up in front."""
    warmup = schedule["warmup"]
    params = {**schedule, "updates": schedule.get("updates") or updates - warmup}
    if not warmup:
        return THEIRS[schedule["name"]](optimizer, params)
    first = lr_scheduler.LinearLR(optimizer, 1 / (warmup + 1), 1.0, warmup)
    return lr_scheduler.SequentialLR(optimizer, [first, THEIRS[schedule["name"]](optimizer, params)], [warmup])


def textbook_loop(spec: RunSpec) -> dict[str, np.ndarray]:
    """The weights after all updates of the one network."""
    net = build(spec, spec.seed)
    x = torch.tensor([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=torch.float64)
    y = torch.tensor([[0], [1], [1], [0]], dtype=torch.float64)
    optimizer = getattr(torch.optim, OPTIMIZERS[spec.optimizer.name].module)(
        net.parameters(), **dict(spec.optimizer.params), foreach=False
    )
    rates = scheduler(optimizer, {"name": spec.schedule.name, **dict(spec.schedule.params)}, UPDATES)
    for _ in range(UPDATES):
        optimizer.zero_grad()
        torch.nn.functional.binary_cross_entropy(net(x), y).backward()
        optimizer.step()
        rates.step()
    return {name: tensor.numpy() for name, tensor in net.state_dict().items()}


@pytest.mark.filterwarnings("ignore:.*lr_scheduler.step.*:UserWarning")  # of SequentialLR's own constructor
@pytest.mark.parametrize("schedule", OURS, ids=lambda s: "-".join(map(str, s.values())))
def test_every_optimizer_under_every_schedule(schedule: dict[str, Any], spec_of: SpecOf) -> None:
    for optimizer in OPTIMIZER:
        spec = spec_of(
            optimizer=optimizer,
            schedule=schedule,
            activation="tanh",
            dtype="float64",
            init={"name": "normal", "bias": "same"},
            train={"epochs": UPDATES},
        )
        expected = textbook_loop(spec)
        (chunk,) = plan([spec]).chunks()
        *_, trained = train_chunk([spec], chunk)
        assert isinstance(trained, Results)
        by_hand = reference.train(spec).weights
        for name, weights in expected.items():
            np.testing.assert_allclose(trained.final[name][0], weights, rtol=TIGHT, atol=TIGHT)
            np.testing.assert_allclose(by_hand[name], weights, rtol=TIGHT, atol=TIGHT)


def test_every_member_is_tried() -> None:
    assert {schedule["name"] for schedule in OURS} == set(THEIRS) == set(SCHEDULES.names())
    assert {h["name"] for h in OPTIMIZER} == {entry.name for entry in OPTIMIZERS if entry.scheduled}
