"""Which of the two memory layouts a spec's networks train in: decided by the spec alone, for it decides the last bits.
Pure; no torch."""

from __future__ import annotations

import numpy as np

from nnspec.architecture import architecture, rows
from nnspec.specs import RunSpec

LANE = 64  # networks: vector loops of torch's CPU kernels have no scalar tail on multiples of this
LARGE = 200e6  # bytes that the values of a lane of networks may take: with more, a single network would fill the memory
WIDE = 24  # networks with a layer of this shorter side train as batched matrix products; see benchmarks/README.md


def padded(count: int) -> int:
    """``count`` rounded up to whole lanes."""
    return -(-count // LANE) * LANE


def is_wide(spec: RunSpec) -> bool:
    """Whether the networks train as batched matrix products rather than elementwise with the network axis last: those
    with a layer that is broad on both sides, and those that have too many rows for a whole lane of them."""
    shape = architecture(spec)
    between = [min(dense.fan_in, dense.fan_out) for dense in shape.dense[1:]]
    values = 4 * rows(spec.data) * sum(dense.fan_out for dense in shape.dense)
    return max(between, default=0) >= WIDE or LANE * values * np.dtype(spec.dtype).itemsize > LARGE
