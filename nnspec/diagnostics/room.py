"""How much a diagnosis looks at, how much memory it takes, and how many networks are therefore judged at a time. Pure;
no torch."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from nnspec.architecture import Architecture, architecture, rows
from nnspec.specs import RunSpec

# Up to so many rows, and so many rows times weights, everything is measured on all rows in float64, many networks at a
# time; beyond, one network after another, with what ``Extent`` says.
EXACT_ROWS, EXACT_WORK = 4096, 2**18
SAMPLE = 128  # rows from which is estimated what is only told, and the curvature
# The one pass over all rows may cost some tenth of the training. A row costs it two or three times what it costs the
# trainer (see benchmarks/README.md), so it looks at a fortieth of the rows trained on.
SHARE = 40
# steps of Lanczos on the sample: half of those at exact sizes, for they only propose directions; and, with many
# weights, as many as keep the basis within so many numbers, but not fewer than eight
STEPS, BASIS, FEWEST = 30, 2**23, 8
PIECE = 2**17  # numbers that an array over rows and units may hold where rows are taken in pieces: half a megabyte

ROOM = 250_000  # numbers that an intermediate array may hold, where it can hold fewer: two megabytes stay in the cache
ARRAYS = 12  # of that size that live at once
MANY = 4096  # weights from which networks are let off: see ``lanes``
# numbers at a time for each weight, with a Hessian and without; for each row of each unit
WEIGHTS, PROBED, UNITS = (16, 6, 12)
TOGETHER = 2**20  # weights of the networks that are handed over at a time to be diagnosed one after another
LAYERED = (  # what is told of known layers only, the verdicts among it
    "dead_units",
    "dead_rows",
    "passage",
    "saturated",
    "saturation",
    "effective_rank",
    "activation_std",
    "gradient_std",
)
PIECES = 20  # numbers at a time for each row of each unit in a piece, two directions of the curvature among them


@dataclass(frozen=True)
class Extent:
    """How much of the ``rows`` of the training part a diagnosis looks at; the same for all networks of a spec.

    ``exact``: all of it, for everything, and the Hessian with 60 steps of Lanczos or whole. Otherwise ``looked`` rows
    give the loss, the gradient, what is off, what passes and, of two directions, the curvature: all rows where training
    made forty passes or more. The other numbers are estimated from ``sample`` rows, and the two directions come from
    ``steps`` steps of Lanczos on these. Of an ``opaque`` module nothing is told that needs layers.
    """

    rows: int
    exact: bool
    looked: int
    sample: int
    steps: int
    opaque: bool = False

    @classmethod
    def of(cls, shape: Architecture, rows: int, passes: int) -> Extent:
        """The extent for networks of a shape that made so many ``passes`` over ``rows`` rows."""
        if rows <= EXACT_ROWS and rows * shape.parameters <= EXACT_WORK:
            return cls(rows, True, rows, rows, 0, shape.opaque)
        looked = min(rows, max(SAMPLE, passes * rows // SHARE))
        steps = max(FEWEST, min(STEPS, BASIS // shape.parameters))
        return cls(rows, False, looked, min(rows, SAMPLE), steps, shape.opaque)

    def estimates(self) -> dict[str, str]:
        """What is estimated, and by what: verdicts and numbers -> words. Empty where all is exact."""
        if self.exact:
            return {}
        drawn = f"estimated from {self.sample:,} of {self.rows:,} rows"
        found: dict[str, str] = {}
        if self.looked < self.rows:
            words = f"estimated from {self.looked:,} of {self.rows:,} rows"
            found |= dict.fromkeys(("dead_units", "dead_rows", "passage", "gradient", "saturated"), words)
        if self.sample < self.rows:
            found |= dict.fromkeys(("init", "saturation", "effective_rank", "activation_std", "gradient_std"), drawn)
        on = f"{self.sample:,} of {self.rows:,} rows"
        found["eigenvalues"] = f"estimated by {self.steps} Lanczos steps on {on}, then measured on {self.looked:,}"
        found["local_minimum"] = f"no negative curvature was found by {self.steps} Lanczos steps on {on}"
        return {name: how for name, how in found.items() if not (self.opaque and name in LAYERED)}


def extent(spec: RunSpec) -> Extent:
    """How much a diagnosis of the spec's networks looks at."""
    return Extent.of(architecture(spec), rows(spec.data), spec.train.epochs)


def estimates(spec: RunSpec) -> dict[str, str]:
    """What is estimated of the spec's networks, and by what: verdicts and numbers -> words; see ``Extent``."""
    return extent(spec).estimates()


def estimate_notes(specs: Iterable[RunSpec]) -> list[str]:
    """What is estimated of networks of any of the specs, a line for each way of doing so; none where all is exact."""
    found = dict.fromkeys((words, name) for spec in specs for name, words in estimates(spec).items())
    by_words: dict[str, list[str]] = {}
    for words, name in found:
        by_words.setdefault(words, []).append(name)
    return [f"{', '.join(names)}: {words}" for words, names in by_words.items()]


def piece_rows(shape: Architecture) -> int:
    """Rows that are taken at a time where rows are taken in pieces."""
    return max(1, PIECE // max(shape.inputs, widest(shape)))


def widest(shape: Architecture) -> int:
    """Units of the widest layer; of an opaque module the values of all."""
    return max((dense.fan_out for dense in shape.dense), default=shape.values)


def lanes(count: int, parameters: int) -> int:
    """Networks with ``count`` rows of data whose arrays fill whole vector registers, so that none is computed by the
    scalar end of a vector loop, which rounds differently: a network's numbers must not depend on how many others there
    are. At least eight of them, as torch sums and multiplies one network alone in another order than a stack. Networks
    of many weights are let off: copies of them would fill the memory for the sake of a last digit."""
    return max(8, 64 // math.gcd(64, count)) if parameters <= MANY else 1


def network_bytes(spec: RunSpec) -> int:
    """What one network takes while it is judged."""
    shape = architecture(spec)
    return 8 * (WEIGHTS * shape.parameters + UNITS * rows(spec.data) * shape.values)


def at_a_time(spec: RunSpec) -> int:
    """Networks that are judged together: whole lanes, or where each is judged by itself as many as have few weights."""
    if not extent(spec).exact:
        return max(1, TOGETHER // architecture(spec).parameters)
    return max(1, 8 * ARRAYS * ROOM // network_bytes(spec) // _lane(spec)) * _lane(spec)


def diagnosis_bytes(spec: RunSpec, networks: int) -> int:
    """What the diagnosis of ``networks`` takes besides them: of some at a time all of it, and the Hessians of as many
    as fit."""
    if not extent(spec).exact:
        return _pieces_bytes(spec, networks, extent(spec).steps + WEIGHTS)
    whole = -(-networks // _lane(spec)) * _lane(spec)
    size = architecture(spec).parameters
    hessian = size * max(size, rows(spec.data) * widest(architecture(spec)))
    return max(8 * ARRAYS * min(ROOM, whole * hessian), min(whole, at_a_time(spec)) * network_bytes(spec))


def probe_bytes(spec: RunSpec, networks: int) -> int:
    """What it takes of that if no Hessian is wanted."""
    if not extent(spec).exact:
        return _pieces_bytes(spec, networks, PROBED)
    shape, together = architecture(spec), min(-(-networks // _lane(spec)) * _lane(spec), at_a_time(spec))
    return 8 * together * (PROBED * shape.parameters + UNITS * rows(spec.data) * shape.values)


def _pieces_bytes(spec: RunSpec, networks: int, each: int) -> int:
    """Where rows are taken in pieces: the first and last weights of the networks at hand, ``each`` numbers a weight of
    the one that is judged, and its pieces; however many rows there are."""
    shape = architecture(spec)
    units = shape.inputs + shape.values
    at_once = max(min(piece_rows(shape), rows(spec.data)), extent(spec).sample)
    held = 2 * min(networks, at_a_time(spec)) * shape.parameters
    return 8 * (held + each * shape.parameters + PIECES * at_once * units)


def _lane(spec: RunSpec) -> int:
    return lanes(rows(spec.data), architecture(spec).parameters)
