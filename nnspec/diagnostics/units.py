"""Units that let no gradient through: off, where the derivative is exactly 0, and saturated, where it is nearly 0."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from nnspec.diagnostics.activations import slopes
from nnspec.diagnostics.gradients import Forward
from nnspec.problem import Problem

Tensor = torch.Tensor


@dataclass(frozen=True)
class Off:
    """Counts over all hidden layers, [m] float64, and what they amount to.

    ``dead_units``: units that are off for every row. ``dead_rows``: rows for which every unit of some layer is off.
    ``blocked`` (bool): every row that is not right yet is such a row, so that the layers below cannot learn what it
        needs.
    """

    dead_units: Tensor
    dead_rows: Tensor
    blocked: Tensor


def off(problem: Problem, run: Forward, unsolved: Tensor) -> Off:
    """What is off in each network, given the rows [m, n] bool that are not right yet.

    The output counts as a layer of its own where its activation can be off and the loss goes through its derivative.
    """
    networks, rows = unsolved.shape
    units = torch.zeros(networks, dtype=torch.float64)
    dark = torch.zeros(networks, rows, dtype=torch.bool)
    for slope, after in zip(run.slopes, problem.shape.after, strict=False):
        if not slopes(after.member).dies:
            continue
        closed = slope == 0
        units += closed.all(1).sum(1)
        dark |= closed.all(2)
    return Off(units, dark.sum(1).to(torch.float64), (dark | ~unsolved).all(1))


def saturation(problem: Problem, run: Forward, flat: float) -> Tensor:
    """The share of (unit, row) pairs whose derivative is below ``flat`` of the activation's largest, in the most
    saturated hidden layer: [m], NaN without hidden layers. A unit that is off is counted as off, not here."""
    shares = []
    for slope, after in zip(run.slopes, problem.shape.hidden, strict=False):
        facts = slopes(after.member)
        closed = slope.abs() < flat * facts.largest
        shares.append((closed & (slope != 0) if facts.dies else closed).to(torch.float64).mean((1, 2)))
    return torch.stack(shares).amax(0) if shares else torch.full((len(run.z[0]),), torch.nan, dtype=torch.float64)


def passage(problem: Problem, run: Forward, unsolved: Tensor) -> Tensor:
    """How much of a gradient the hidden activations let through to the first layer, at most, for any row that is not
    right yet: the product over the layers of their units' largest derivative. [m], 1 without hidden layers."""
    product = torch.ones(unsolved.shape, dtype=torch.float64)
    for slope in run.slopes[: len(problem.shape.hidden)]:
        product = product * slope.abs().amax(2)
    return torch.where(unsolved, product, 0.0).amax(1)
