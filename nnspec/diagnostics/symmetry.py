"""Hidden units that are copies of one another: same weights in, same weights out, hence the same gradient for ever."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from nnspec.architecture import Architecture
from nnspec.diagnostics.activations import is_odd
from nnspec.diagnostics.gradients import Layer

Tensor = torch.Tensor


@dataclass(frozen=True)
class Distinct:
    """``units`` [m] float64: distinct units of the hidden layer with the smallest share of them, NaN without hidden
    layers; ``copies`` [m] bool: whether any hidden layer has copies."""

    units: Tensor
    copies: Tensor


def distinct(shape: Architecture, layers: list[Layer], tolerance: float) -> Distinct:
    """The distinct hidden units of each network; ``tolerance`` is relative to a layer's largest unit."""
    networks = len(layers[0].bias)
    units = torch.full((networks,), torch.nan, dtype=torch.float64)
    share = torch.full((networks,), torch.inf, dtype=torch.float64)
    for after, layer, above in zip(shape.hidden, layers, layers[1:], strict=False):
        count = count_distinct(_features(layer, above, is_odd(after.member)), tolerance)
        fewer = count / layer.bias.shape[1] < share
        units = torch.where(fewer, count, units)
        share = torch.where(fewer, count / layer.bias.shape[1], share)
    return Distinct(units, share < 1)


def count_distinct(features: Tensor, tolerance: float) -> Tensor:
    """How many of the rows of ``features`` [m, u, f] are distinct: [m] float64.

    Rows are sorted along one fixed direction, so that copies become neighbours: u log u comparisons instead of u^2.
    """
    direction = torch.from_numpy(np.random.default_rng(0).standard_normal(features.shape[2]))
    order = (features * direction).sum(2).argsort(dim=1, stable=True)
    ordered = features.gather(1, order.unsqueeze(2).expand_as(features))
    steps = torch.linalg.vector_norm(ordered[:, 1:] - ordered[:, :-1], dim=2)
    largest = torch.linalg.vector_norm(features, dim=2).amax(1, keepdim=True)
    return 1 + (steps > tolerance * largest).sum(1).to(torch.float64)


def _features(layer: Layer, above: Layer, odd: bool) -> Tensor:
    """What makes each unit: weights in, bias, weights out, [m, u, i + 1 + o]. With an odd activation a unit and its
    negative are the same, so each is turned to the same side."""
    features = torch.cat([layer.matrix, layer.bias.unsqueeze(2), above.matrix.mT], dim=2)
    if not odd:
        return features
    direction = torch.from_numpy(np.random.default_rng(1).standard_normal(features.shape[2]))
    side = (features * direction).sum(2, keepdim=True)
    return torch.where(side < 0, -features, features)
