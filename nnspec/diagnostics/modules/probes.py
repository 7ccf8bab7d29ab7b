"""The probes of networks whose layers nobody knows: those that need none."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch

from nnspec.diagnostics.modules.network import ModuleNetwork, evaluated
from nnspec.diagnostics.probes import Probes, mean_square
from nnspec.diagnostics.rows import Rows
from nnspec.problem import Problem

ASKED = ("gradient_norm", "relative_gradient", "gradient_ratio")


def probe(rows: Rows, final: torch.Tensor, initial: torch.Tensor) -> tuple[Probes, Probes]:
    """The probes of networks with weights [m, T] at the end of training, from a pass over the rows that are looked at,
    and at its start, from the sample."""
    module, sample = evaluated(rows.problem, rows.kind), rows.sample()
    ends = [_measured(rows.pieces(), module, last.to(rows.kind)) for last in final]
    starts = [_measured([(sample, 1.0)], module, first.to(rows.kind)) for first in initial]
    return _together(ends), _together(starts)


def _measured(pieces: Iterable[tuple[Problem, float]], module: torch.nn.Module, flat: torch.Tensor) -> list[float]:
    """The numbers ``ASKED`` of the network with weights ``flat`` [T], over pieces of the rows with their shares."""
    loss, slope, weights = 0.0, torch.zeros((), dtype=torch.float64), flat
    squares = np.zeros(2)  # of the first and the last layer's gradients
    for piece, share in pieces:
        network = ModuleNetwork(piece, module, flat)
        of_piece, slope_of_piece, weights = network.gradient()
        loss, slope = loss + share * float(of_piece), slope + share * slope_of_piece.to(torch.float64)
        ends = network.layer_gradients()
        squares += [np.nan] * 2 if ends is None else [share * mean_square(one, share) for one in ends]
    size = float(torch.linalg.vector_norm(slope))
    length = float(torch.linalg.vector_norm(weights.detach().to(torch.float64)))
    with np.errstate(divide="ignore", invalid="ignore"):  # a loss, or the last layer's gradient, of exactly 0
        return [size, float(np.float64(size * length) / abs(loss)), float(np.sqrt(squares[0] / squares[1]))]


def _together(found: list[list[float]]) -> Probes:
    numbers = dict(zip(ASKED, np.array(found).T.reshape(len(ASKED), -1), strict=True))
    no = np.zeros(len(found), bool)
    return Probes(numbers, no, no)
