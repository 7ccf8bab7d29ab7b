"""The probes of networks whose layers nobody knows: those that need none."""

from __future__ import annotations

import numpy as np
import torch

from nnspec.diagnostics.modules.network import ModuleNetwork, evaluated
from nnspec.diagnostics.probes import Probes
from nnspec.diagnostics.rows import Rows

ASKED = ("gradient_norm", "relative_gradient")


def probe(rows: Rows, flat: torch.Tensor) -> Probes:
    """The probes of networks with weights [m, T], from a pass over the rows that are looked at."""
    module, found = evaluated(rows.problem, rows.kind), []
    pieces = list(rows.pieces())
    for one in flat.to(rows.kind):
        slope, loss = torch.zeros(rows.problem.shape.parameters, dtype=torch.float64), 0.0
        for piece, share in pieces:
            of_piece, slope_of_piece, _ = ModuleNetwork(piece, module, one).gradient()
            loss, slope = loss + share * float(of_piece), slope + share * slope_of_piece.to(torch.float64)
        size = float(torch.linalg.vector_norm(slope))
        weights = float(torch.linalg.vector_norm(one[: len(slope)].to(torch.float64)))
        with np.errstate(divide="ignore", invalid="ignore"):
            found.append((size, float(np.float64(size * weights) / abs(loss))))
    numbers = dict(zip(ASKED, np.array(found).T.reshape(len(ASKED), -1), strict=True))
    no = np.zeros(len(flat), bool)
    return Probes(numbers, no, no)
