"""Everything cheap that is measured on a network, at the start of training and at its end alike."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from nnspec.diagnostics.gradients import (
    Backward,
    Forward,
    backward,
    distances,
    flat_of,
    forward,
    losses,
    padded,
    product,
)
from nnspec.diagnostics.symmetry import distinct
from nnspec.diagnostics.thresholds import Thresholds
from nnspec.diagnostics.units import off, passage, saturation
from nnspec.problem import Problem

Tensor = torch.Tensor


@dataclass(frozen=True)
class Probes:
    """``numbers`` name -> [m] float64 are for the record. ``blocked`` and ``copies`` [m] bool: see ``units`` and
    ``symmetry``.

    Of the numbers, ``relative_gradient`` is by how much of itself the loss would change, to first order, along a step
    against the gradient that is as long as the weights: |gradient| |weights| / loss, whatever the scale of either.
    ``gradient_ratio`` is the gradient of the first layer's pre-activations relative to the last's, root mean square
    over rows and units: gradients of weights would cancel between rows where the last layer has converged.
    """

    numbers: dict[str, np.ndarray]
    blocked: np.ndarray
    copies: np.ndarray


def probe(problem: Problem, flat: Tensor, bounds: Thresholds) -> Probes:
    """The probes of networks with weights [m, P]; memory is bounded by ``room.at_a_time`` of them."""
    found = {
        name: values[: len(flat)].numpy() for name, values in measured(problem, padded(problem, flat), bounds).items()
    }
    blocked, copies = found.pop("blocked"), found.pop("copies")
    return Probes(found, blocked, copies)


def measured(problem: Problem, flat: Tensor, bounds: Thresholds) -> dict[str, Tensor]:
    """Every number of ``Probes`` by name, ``blocked`` and ``copies`` too: [m] each."""
    run = forward(problem, flat)
    back = backward(problem, run)
    unsolved = unsolved_rows(problem, run)
    closed = off(problem, run, unsolved)
    units = distinct(problem.shape, run.layers, bounds.copies)
    size = torch.linalg.vector_norm(flat_of(back.layers), dim=1)
    return {
        "dead_units": closed.dead_units,
        "dead_rows": closed.dead_rows,
        "distinct_units": units.units,
        "saturation": saturation(problem, run, bounds.flat),
        "passage": passage(problem, run, unsolved),
        "effective_rank": _smallest_rank(problem, run),
        "gradient_norm": size,
        "relative_gradient": size * torch.linalg.vector_norm(flat, dim=1) / losses(problem, run).abs(),
        "gradient_ratio": _root_mean_square(back.dz[0]) / _root_mean_square(back.dz[-1]),
        **dict(_spreads(problem, run, back)),
        "blocked": closed.blocked,
        "copies": units.copies,
    }


def unsolved_rows(problem: Problem, run: Forward) -> Tensor:
    """The rows [m, n] bool that are not within the tolerance, and always the worst one: rounding may have it so that a
    network which the trainer found unsolved has none."""
    distance = distances(problem, run)
    return (distance >= problem.tolerance) | (distance == distance.amax(1, keepdim=True))


def _root_mean_square(values: Tensor) -> Tensor:
    """Over rows and units of [m, n, o]: [m]."""
    return (values * values).mean((1, 2)).sqrt()


def mean_square(dz: Tensor, share: float) -> float:
    """Of gradients of a piece's mean loss, as they are of the mean over all rows."""
    size = float(torch.linalg.vector_norm(dz)) * share
    return size * size / dz.numel()


def _standard_deviation(values: Tensor) -> Tensor:
    """Over rows and units of [m, n, o]: [m]. Not ``torch.std``, which gives one network alone (m = 1) another sum than
    it gives the same network among others."""
    return _root_mean_square(values - values.mean((1, 2), keepdim=True))


def _spreads(problem: Problem, run: Forward, back: Backward) -> Iterator[tuple[str, Tensor]]:
    """Standard deviation over rows and units of each hidden layer's activations and of each layer's gradients."""
    for number, dense in enumerate(problem.shape.dense):
        if number < len(problem.shape.hidden):
            yield f"activation_std.{dense.name}", _standard_deviation(run.h[number])
        yield f"gradient_std.{dense.name}", _standard_deviation(back.dz[number])


def _smallest_rank(problem: Problem, run: Forward) -> Tensor:
    """The smallest effective rank over the hidden layers, [m]; NaN without any."""
    ranks = [effective_rank(h) for h in run.h[: len(problem.shape.hidden)]]
    return torch.stack(ranks).amin(0) if ranks else torch.full((len(run.z[0]),), torch.nan, dtype=torch.float64)


def effective_rank(h: Tensor) -> Tensor:
    """tr(C)^2 / tr(C^2) of the covariance C over the rows of activations [m, n, u]: how many directions they fill, [m].

    Also called participation ratio: k equal eigenvalues give k, one dominant gives 1. 0 where nothing varies.
    """
    centred = h - h.mean(1, keepdim=True)
    small = product(centred, centred.mT) if h.shape[1] < h.shape[2] else product(centred.mT, centred)
    trace = small.diagonal(dim1=1, dim2=2).sum(1)
    squares = (small * small).sum((1, 2))
    return torch.where(squares > 0, trace * trace / squares.clamp(min=1e-300), 0.0)
