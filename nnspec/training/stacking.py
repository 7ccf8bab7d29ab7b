"""Stacked weights: every network's tensors as one array, one column a network.

A linear layer is a block of rows [fan_in + 1, fan_out, M]: the bias is the weight of an input that is always 1, so
that one product gives both. Learned activation parameters follow their layer. M is padded: each segment of
networks with one activation fills whole lanes, its spare columns being copies of its first network.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from nnspec.architecture import Architecture, architecture, at_defaults
from nnspec.catalog import ACTIVATIONS, INITS, OPTIMIZERS, Activation, Bound
from nnspec.initial import Weights, initial_weights
from nnspec.specs import Member, RunSpec
from nnspec.training.layout import padded
from nnspec.training.plan import Chunk, segment_key

NOTHING = at_defaults("identity")


@dataclass(frozen=True)
class Segment:
    """Columns start..stop of a chunk share one hidden activation; ``params`` are its parameters, [stop - start]
    each."""

    entry: Activation
    start: int
    stop: int
    params: dict[str, object]

    @property
    def here(self) -> slice:
        return slice(self.start, self.stop)

    def bind(self, learned: torch.Tensor | None) -> Bound:
        """The activation of these columns, given what those of the whole chunk learn."""
        return self.entry.bind(self.params, None if learned is None else learned[self.here])


@dataclass(frozen=True)
class Columns:
    """Where the networks of a chunk lie: real network j is column ``places[j]``; ``source`` is the real network that
    each of the M columns holds (spare columns hold a copy)."""

    specs: tuple[RunSpec, ...]  # [j] the spec of each real network
    seeds: np.ndarray  # [j] int64
    places: np.ndarray  # [j] int64
    source: np.ndarray  # [M] int64

    @property
    def width(self) -> int:
        return len(self.source)

    @property
    def real_places(self) -> np.ndarray | None:
        """The columns of the real networks; None if there are no others."""
        return None if len(self.places) == self.width else self.places


def members(specs: Sequence[RunSpec], chunk: Chunk) -> tuple[list[RunSpec], np.ndarray]:
    """The spec of each network of a chunk, and their seeds, int64 [j]."""
    owners = [specs[share.cell] for share in chunk.shares for _ in range(share.count)]
    return owners, np.concatenate([np.arange(s.count) + specs[s.cell].seed + s.first for s in chunk.shares])


def columns(specs: Sequence[RunSpec], chunk: Chunk) -> Columns:
    """The layout of a chunk's networks in lanes."""
    owners, seeds = members(specs, chunk)
    bounds = bounds_of([segment_key(spec) for spec in owners])
    places, source, column = [], [], 0
    for start, stop in itertools.pairwise(bounds):
        places.append(np.arange(stop - start) + column)
        spare = padded(stop - start) - (stop - start)
        source.append(np.concatenate([np.arange(start, stop), np.full(spare, start)]))
        column += padded(stop - start)
    return Columns(tuple(owners), seeds, np.concatenate(places), np.concatenate(source))


def bounds_of(keys: Sequence[object]) -> list[int]:
    """Where runs of equal keys begin, and the end of the last."""
    return [i for i in range(len(keys)) if i == 0 or keys[i] != keys[i - 1]] + [len(keys)]


def segments(layout: Columns, kind: torch.dtype) -> list[Segment]:
    """The slices of one hidden activation each, with its parameters one value a network. Without hidden
    layers it is one slice, whose formula nobody asks for."""
    source = layout.source
    hidden = bool(architecture(layout.specs[0]).hidden)
    members = [layout.specs[j].activation if hidden else NOTHING for j in source]
    found = []
    for start, stop in itertools.pairwise(bounds_of([segment_key(layout.specs[j]) for j in source])):
        entry = ACTIVATIONS[members[start].name]
        params = {p.name: _column(members[start:stop], p.name, kind) for p in entry.params}
        found.append(Segment(entry, start, stop, params))
    return found


def hyperparameters(layout: Columns) -> dict[str, object]:
    """The optimizer's hyperparameters as float64 tensors of one value a column; flags and ``<switch>_on`` as they
    are."""
    members = [layout.specs[j].optimizer for j in layout.source]
    entry = OPTIMIZERS[members[0].name]
    values = {p.name: _column(members, p.name, torch.float64) for p in entry.params}
    return entry.hyperparameters(dict(members[0].params)) | values


def _column(members: Sequence[Member], name: str, kind: torch.dtype) -> object:
    """One parameter of many members: a tensor [m] or, for pairs, [2, m]; words and flags stay what they are."""
    first = members[0][name]
    if isinstance(first, (str, bool)) or first is None:
        return first
    return torch.tensor([member[name] for member in members], dtype=torch.float64).t().contiguous().to(kind)


def initial_rows(specs: Sequence[RunSpec], seeds: np.ndarray) -> np.ndarray:
    """Initial weights [P, j] of networks."""
    shape = architecture(specs[0])
    flat = np.empty((shape.parameters, len(specs)), specs[0].dtype)
    for members_ in _alike(specs):
        flat[:, members_] = to_rows(shape, initial_weights(specs[members_[0]], seeds[members_]))
    return flat


def started(specs: Sequence[RunSpec], seeds: np.ndarray) -> Weights:
    """Initial weights [j, ...] of networks, by name."""
    groups = _alike(specs)
    drawn = [initial_weights(specs[members_[0]], seeds[members_]) for members_ in groups]
    places = np.argsort(np.concatenate(groups))
    return {name: np.concatenate([each[name] for each in drawn])[places] for name in drawn[0]}


def _alike(specs: Sequence[RunSpec]) -> list[list[int]]:
    """The places of networks whose initial weights are drawn together, for they are drawn from the same."""
    groups: dict[object, list[int]] = {}
    for j, spec in enumerate(specs):
        own = (spec.seed,) if INITS[spec.init.name].stored else ()
        groups.setdefault((spec.init, spec.activation, *own), []).append(j)
    return list(groups.values())


def stacked(layout: Columns) -> torch.Tensor:
    """Initial weights [P, M] of a chunk in lanes."""
    flat = initial_rows(layout.specs, layout.seeds)
    whole = layout.width == len(layout.specs)
    return torch.from_numpy(flat if whole else np.ascontiguousarray(flat[:, layout.source]))


def to_rows(shape: Architecture, weights: Weights) -> np.ndarray:
    """Tensors [m, ...] by state-dict name as rows [P, m]."""
    rows = []
    for dense, after in zip(shape.dense, shape.after, strict=True):
        matrix = weights[f"{dense.name}.weight"]
        rows.append(matrix.transpose(2, 1, 0).reshape(-1, len(matrix)))
        rows.append(weights[f"{dense.name}.bias"].T)
        rows.extend(weights[name].T for name in after.tensors)
    return np.concatenate(rows)


def from_rows(shape: Architecture, rows: np.ndarray, places: np.ndarray | None = None) -> Weights:
    """The inverse of ``to_rows``, of these columns or of all: tensors [m, ...] by state-dict name, which share no
    memory with it."""

    def part(start: int, stop: int, *sizes: int) -> np.ndarray:
        some = rows[start:stop] if places is None else rows[start:stop, places]
        return np.array(some.reshape(*sizes, -1).transpose(), order="C")

    weights: Weights = {}
    for block in blocks(shape):
        weights[f"{block.name}.weight"] = part(block.start, block.bias, block.fan_in, block.fan_out)
        weights[f"{block.name}.bias"] = part(block.bias, block.stop, block.fan_out)
        for offset, name in enumerate(block.learned):
            weights[name] = part(block.stop + offset, block.stop + offset + 1, 1)
    return {name: weights[name] for name in shape.tensors()}


@dataclass(frozen=True)
class Block:
    """Rows of one linear layer: weights from ``start``, biases from ``bias`` to ``stop``, then what is learned behind
    it."""

    name: str
    fan_in: int
    fan_out: int
    start: int
    bias: int
    stop: int
    learned: tuple[str, ...]


def blocks(shape: Architecture) -> list[Block]:
    """The rows of every layer."""
    found, row = [], 0
    for dense, after in zip(shape.dense, shape.after, strict=True):
        bias = row + dense.fan_in * dense.fan_out
        stop = bias + dense.fan_out
        found.append(Block(dense.name, dense.fan_in, dense.fan_out, row, bias, stop, after.tensors))
        row = stop + len(after.tensors)
    assert row == shape.parameters == sum(math.prod(s) for s in shape.tensors().values())
    return found
