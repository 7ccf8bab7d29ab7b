"""How much memory a diagnosis takes, and how many networks are therefore judged at a time. Pure; no torch."""

from __future__ import annotations

import math

from nnspec.architecture import architecture, rows
from nnspec.specs import RunSpec

ROOM = 250_000  # numbers that an intermediate array may hold, where it can hold fewer: two megabytes stay in the cache
ARRAYS = 12  # of that size that live at once
MANY = 4096  # weights from which networks are let off: see ``lanes``
# numbers at a time for each weight, with a Hessian and without; for each row of each unit
WEIGHTS, PROBED, UNITS = (16, 6, 12)


def lanes(count: int, parameters: int) -> int:
    """Networks with ``count`` rows of data whose arrays fill whole vector registers, so that none is computed by the
    scalar end of a vector loop, which rounds differently: a network's numbers must not depend on how many others there
    are. Networks of many weights are let off: copies of them would fill the memory for the sake of a last digit."""
    return 64 // math.gcd(64, count) if parameters <= MANY else 1


def network_bytes(spec: RunSpec) -> int:
    """What one network takes while it is judged."""
    shape = architecture(spec)
    units = sum(dense.fan_out for dense in shape.dense)
    return 8 * (WEIGHTS * shape.parameters + UNITS * rows(spec.data) * units)


def at_a_time(spec: RunSpec) -> int:
    """Networks that are judged together: whole lanes."""
    return max(1, 8 * ARRAYS * ROOM // network_bytes(spec) // _lane(spec)) * _lane(spec)


def diagnosis_bytes(spec: RunSpec, networks: int) -> int:
    """What the diagnosis of ``networks`` takes besides them: of some at a time all of it, and the Hessians of as many
    as fit."""
    whole = -(-networks // _lane(spec)) * _lane(spec)
    size = architecture(spec).parameters
    hessian = size * max(size, rows(spec.data) * max(dense.fan_out for dense in architecture(spec).dense))
    return max(8 * ARRAYS * min(ROOM, whole * hessian), min(whole, at_a_time(spec)) * network_bytes(spec))


def probe_bytes(spec: RunSpec, networks: int) -> int:
    """What it takes of that if no Hessian is wanted."""
    shape, together = architecture(spec), min(-(-networks // _lane(spec)) * _lane(spec), at_a_time(spec))
    units = sum(dense.fan_out for dense in shape.dense)
    return 8 * together * (PROBED * shape.parameters + UNITS * rows(spec.data) * units)


def _lane(spec: RunSpec) -> int:
    return lanes(rows(spec.data), architecture(spec).parameters)
