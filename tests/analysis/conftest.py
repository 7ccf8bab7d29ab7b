"""Tables of sweeps that never trained: the arrays that analysis reads, made by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import product

import numpy as np
import pandas as pd
import pytest


def make_sweep(
    axes: Mapping[str, list[object]], seeds: int, rate: Callable[..., float], seed: int = 0, epochs: int = 1000
) -> pd.DataFrame:
    """One row a network of the full product of ``axes``, solved with probability ``rate(*levels)``, independently."""
    rng = np.random.default_rng(seed)
    rows = []
    for cell, levels in enumerate(product(*axes.values())):
        for number in range(seeds):
            solved = bool(rng.random() < rate(*levels))
            loss = 10.0 ** rng.normal(-3 if solved else -0.7, 0.3)
            at = int(rng.integers(1, epochs)) if solved else pd.NA
            verdict = "solved" if solved else str(rng.choice(["dead_units", "local_minimum"]))
            rows.append((*levels, cell, number, loss, 1.0 if solved else 0.75, solved, at, verdict, epochs))
    names = ["cell", "seed", "final_loss", "final_accuracy", "solved", "solved_at", "verdict", "epochs"]
    table = pd.DataFrame(rows, columns=[*axes, *names])
    table["solved_at"] = table["solved_at"].astype("Int64")
    return table


@pytest.fixture(scope="session")
def sweep() -> Callable[..., pd.DataFrame]:
    return make_sweep


@pytest.fixture
def small(sweep: Callable[..., pd.DataFrame]) -> pd.DataFrame:
    """5 activations by 4 learning rates by 30 seeds; tanh the better, 10.0 never solving."""
    rates = {"relu": 0.5, "gelu": 0.6, "tanh": 0.95, "sigmoid": 0.2, "<script>alert(1)</script>": 0.4}
    axes = {"activation.name": list(rates), "optimizer.lr": [10.0, 0.01, 0.1, 1.0]}
    return sweep(axes, 30, lambda name, lr: 0.0 if lr == 10 else rates[name])


def table_of_outcomes(**columns: object) -> pd.DataFrame:
    """A table with the given axes, seeds and outcomes; the rest filled in."""
    table = pd.DataFrame(columns)
    rest = {"cell": 0, "final_loss": 0.1, "final_accuracy": 1.0, "solved_at": 10, "verdict": "solved", "epochs": 100}
    return table.assign(**{name: value for name, value in rest.items() if name not in table})


@pytest.fixture
def outcomes() -> Callable[..., pd.DataFrame]:
    return table_of_outcomes
