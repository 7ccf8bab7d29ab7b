"""Every update rule against torch.optim: every combination of hyperparameters and flags, many networks in one stack."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest
import torch

from nnspec.catalog import OPTIMIZERS, Optimizer
from nnspec.params import Boolean, Many, Param, Real

GRADIENT = [entry for entry in OPTIMIZERS if not entry.by_rows]
STEPS, SIZE = 20, 6  # updates, and weights of one network
TIGHT = 1e-12  # float64: each of the 20 updates adds a few roundings (1e-16) to weights of up to ten or so
REALS, PAIRS = (0.0, 0.05, 0.7), ((0.0, 0.3), (0.6, 0.99), (0.3, 1.5), (0.02, 0.1))


def values_of(param: Param) -> list[Any]:
    """The default and the tried values that the parameter's kind allows."""
    tried: dict[type, tuple[Any, ...]] = {Real: REALS, Boolean: (False, True), Many: PAIRS}
    allowed = [param.default]
    for value in tried[type(param.kind)]:
        try:
            allowed.append(param.kind.parse(value))
        except ValueError:
            continue
    return list(dict.fromkeys(allowed))


def combinations(entry: Optimizer) -> Iterator[dict[str, Any]]:
    for values in itertools.product(*(values_of(param) for param in entry.params)):
        h = dict(zip((param.name for param in entry.params), values, strict=True))
        # centred with a short memory the variance is nearly g^2 - g^2: nothing but rounding, NaN in torch where below 0
        if all(rule.holds(h) for rule in entry.rules) and not (h.get("centered") and h["alpha"] < 0.5):
            yield h


def stacks(entry: Optimizer) -> list[list[dict[str, Any]]]:
    """All combinations, those together that may share a stack."""
    groups: dict[object, list[dict[str, Any]]] = {}
    for h in combinations(entry):
        groups.setdefault(entry.static(h), []).append(h)
    return list(groups.values())


def column(networks: list[dict[str, Any]], name: str) -> Any:
    """One hyperparameter of all networks, as an update rule reads it: [m], a pair [2, m], or a flag."""
    first = networks[0][name]
    return (
        first
        if isinstance(first, bool)
        else torch.tensor([h[name] for h in networks], dtype=torch.float64).t().contiguous()
    )


def drive(
    entry: Optimizer, networks: list[dict[str, Any]], start: torch.Tensor, gradients: torch.Tensor
) -> list[torch.Tensor]:
    """Weights [P, m] after each update; gradients are [t, P, m]."""
    h: Mapping[str, Any] = {param.name: column(networks, param.name) for param in entry.params}
    h = {**h, **{f"{name}_on": networks[0][name] != 0 for name in entry.switches}}
    state = tuple(torch.zeros_like(start) for _ in range(entry.slots(h)))
    for slot, value in zip(state, entry.start(h), strict=False):
        slot += value
    block = entry.coefficients(h, torch.arange(1, len(gradients) + 1, dtype=torch.float64)[:, None])
    w, spare, path = start.clone(), torch.empty_like(start), []
    for step, g in enumerate(gradients):
        now = {name: c if c.dim() == 1 else c[step] for name, c in block.items()}  # [m] where the step does not matter
        entry.update(w, g.clone(), state, spare, h, now)
        path.append(w.clone())
    return path


def torch_path(entry: Optimizer, h: dict[str, Any], start: torch.Tensor, gradients: torch.Tensor) -> list[torch.Tensor]:
    w = torch.nn.Parameter(start.clone())
    optimizer = getattr(torch.optim, entry.module)([w], **h, foreach=False)
    path = []
    for g in gradients:
        w.grad = g.clone()
        optimizer.step()
        path.append(w.detach().clone())
    return path


def random_gradients(networks: int) -> torch.Tensor:
    """[t, P, m]: random signs and sizes; the last two weights have a constant and often a zero gradient."""
    g = np.random.default_rng(11).normal(size=(STEPS, SIZE, networks))
    g[:, -1] = 0.5
    g[::3, -2] = 0
    return torch.tensor(g)


CASES = [
    pytest.param(entry, group, id=f"{entry.name}-{entry.static(group[0])}")
    for entry in GRADIENT
    for group in stacks(entry)
]


@pytest.mark.parametrize(("entry", "networks"), CASES)
def test_update_is_torch_s_at_every_step(entry: Optimizer, networks: list[dict[str, Any]]) -> None:
    start = torch.tensor(np.random.default_rng(12).normal(size=(SIZE, len(networks))))
    gradients = random_gradients(len(networks))
    ours = torch.stack(drive(entry, networks, start, gradients))
    theirs = torch.stack(
        [torch.stack(torch_path(entry, h, start[:, j], gradients[:, :, j])) for j, h in enumerate(networks)], -1
    )
    assert torch.isfinite(theirs).all()
    np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=TIGHT, atol=TIGHT)


def test_every_parameter_is_tried_at_two_values_or_more() -> None:
    for entry in GRADIENT:
        tried = list(combinations(entry))
        for param in entry.params:
            assert len({h[param.name] for h in tried}) >= 2, (entry.name, param.name)


@pytest.mark.parametrize("entry", GRADIENT, ids=lambda entry: entry.name)
def test_a_gradient_of_zero_moves_nothing_and_gives_no_nan(entry: Optimizer) -> None:
    h = {param.name: param.default for param in entry.params} | ({"weight_decay": 0.0} if entry.name == "adamw" else {})
    start = torch.ones(SIZE, 1, dtype=torch.float64)
    torch.testing.assert_close(
        drive(entry, [h], start, torch.zeros(STEPS, SIZE, 1, dtype=torch.float64))[-1], start, rtol=0, atol=0
    )


def test_centred_rmsprop_stays_finite_where_the_variance_cancels() -> None:
    entry = OPTIMIZERS["rmsprop"]
    h = {param.name: param.default for param in entry.params} | {"centered": True, "alpha": 0.3}
    start = torch.zeros(SIZE, 1, dtype=torch.float64)
    gradients = torch.tensor(np.random.default_rng(2).normal(size=(1, SIZE, 1))).expand(500, -1, -1)
    assert torch.isfinite(drive(entry, [h], start, gradients)[-1]).all()
