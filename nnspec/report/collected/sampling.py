"""Picks the networks of a sweep's cells whose loss and surface its page can show, while the cells go by.

Which they are depends on their place in the sweep alone, and what is kept of them is bounded, whatever the number of
cells and the size of their networks.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np

from nnspec.problem import own_rows
from nnspec.report.collected.samples import CELLS, NO_ANSWER, NOWHERE, Plane, Samples
from nnspec.report.places import evenly
from nnspec.report.showing import Weights, classes_of, on_the_plane, over_plane, plane_data, plane_of
from nnspec.results.events import TrainedCell
from nnspec.specs import Member, RunSpec
from nnspec.tracking.cell_records import kept_rows

NETWORKS = 8  # of a cell
POINTS, POINT_BYTES = (40, 120), 400_000  # of a curve, and what those of all networks may take
SIDES, SURFACE_BYTES = (11, 31), 1_250_000  # of a raster, and the same
PLANES, ROWS = 8, 200  # planes whose rows of data are shown, and how many of each
WAITING = 16e6  # bytes of weights that wait to be evaluated together
Key = TypeVar("Key", bound=Hashable)


@dataclass
class _Sample:
    """One network while samples are taken."""

    cell: int
    seed: int
    solved: bool
    verdict: str
    clock: bytes
    loss: np.ndarray
    plane: tuple[Member, Member] | None  # data and loss, where the inputs are two numbers
    raster: np.ndarray | None = None


@dataclass
class Sampler:
    """Takes in trained cells and keeps ``Samples`` of at most ``most`` of them."""

    specs: Sequence[RunSpec]
    most: int = CELLS
    _samples: list[_Sample] = field(default_factory=list)
    _clocks: dict[bytes, np.ndarray] = field(default_factory=dict)
    _planes: dict[tuple[Member, Member], Plane] = field(default_factory=dict)
    _waiting: dict[Hashable, list[tuple[_Sample, Weights]]] = field(default_factory=dict)
    _kinds: dict[tuple[int, ...], Hashable | None] = field(default_factory=dict)
    _bytes: float = 0

    def __post_init__(self) -> None:
        chosen = evenly(len(self.specs), self.most)
        self._cells = set(chosen)
        self._each = int(np.clip(self.most // max(1, len(chosen)), 1, NETWORKS))
        networks = max(1, sum(min(self._each, self.specs[index].replicates) for index in chosen))
        self._points = int(np.clip(POINT_BYTES // networks, *POINTS))
        self._side = int(np.clip((SURFACE_BYTES / networks) ** 0.5, *SIDES))

    def add(self, cell: TrainedCell) -> None:
        """Take in one cell; its index is that of its spec."""
        if cell.index not in self._cells:
            return
        result, spec = cell.result, self.specs[cell.index]
        at = kept_rows(len(result.steps), self._points)
        steps = result.steps[at]
        clock = steps.tobytes()
        self._clocks.setdefault(clock, steps)
        kind = self._kind(spec)
        plane = None if kind is None else (spec.data, spec.loss)
        for row in evenly(len(result.seeds), self._each):
            with np.errstate(over="ignore"):  # a loss too large for a picture is drawn as an infinite one
                loss = result.loss[row, at].astype(np.float32)
            verdict = "" if result.verdict is None else str(result.verdict[row])
            seed, solved = int(result.seeds[row]), bool(result.solved[row])
            sample = _Sample(cell.index, seed, solved, verdict, clock, loss, plane)
            self._samples.append(sample)
            if kind is not None:
                weights = {name: tensor[row].copy() for name, tensor in result.final.items()}
                self._waiting.setdefault(kind, []).append((sample, weights))
                self._bytes += sum(tensor.nbytes for tensor in weights.values())
        if self._bytes > WAITING:
            self._evaluate()

    def samples(self) -> Samples:
        """What was kept so far."""
        self._evaluate()
        kept = sorted(self._samples, key=lambda sample: (sample.cell, sample.seed))
        clocks = _numbered(one.clock for one in kept)
        planes = _numbered(one.plane for one in kept if one.plane is not None)
        loss = np.full((len(kept), max(map(len, self._clocks.values()), default=0)), np.nan, np.float32)
        raster = np.full((len(kept), self._side, self._side), NO_ANSWER, np.uint8)
        for number, one in enumerate(kept):
            loss[number, : len(one.loss)] = one.loss
            if one.raster is not None:
                raster[number] = one.raster
        return Samples(
            cell=np.array([one.cell for one in kept], int),
            seed=np.array([one.seed for one in kept], int),
            solved=np.array([one.solved for one in kept], bool),
            verdict=np.array([one.verdict for one in kept], str),
            clock=np.array([clocks[one.clock] for one in kept], int),
            loss=loss,
            plane=np.array([NOWHERE if one.plane is None else planes[one.plane] for one in kept], int),
            raster=raster,
            clocks=[self._clocks[key] for key in clocks],
            planes=[self._planes[key].cut(ROWS if number < PLANES else 0) for key, number in planes.items()],
            cells=sorted(self._cells) if len(self._cells) < len(self.specs) else None,
        )

    def _kind(self, spec: RunSpec) -> Hashable | None:
        """What networks have in common that are evaluated together; None where their inputs are not two numbers."""
        parts = spec.model, spec.activation, spec.loss, spec.data, spec.dtype
        seen = tuple(map(id, parts))  # cells of a sweep share them, and hashes of them take a while
        if seen not in self._kinds:
            self._kinds[seen] = parts if on_the_plane(spec) else None
        return self._kinds[seen]

    def _evaluate(self) -> None:
        for waiting in self._waiting.values():
            first, spec = waiting[0][0], self.specs[waiting[0][0].cell]
            assert first.plane is not None
            if first.plane not in self._planes:
                self._planes[first.plane] = plane_info(spec)
            plane = self._planes[first.plane]
            outputs = over_plane(spec, [weights for _, weights in waiting], *plane.grid(self._side))
            for (sample, _), raster in zip(waiting, plane.bytes_of(outputs), strict=True):
                sample.raster = raster
        self._waiting, self._bytes = {}, 0


def _numbered(keys: Iterable[Key]) -> dict[Key, int]:
    """Each key once, with its number by first appearance."""
    return {key: number for number, key in enumerate(dict.fromkeys(keys))}


def plane_info(spec: RunSpec) -> Plane:
    """The plane of a spec's networks; without rows where each network has its own."""
    first = replace(spec, seed=0)
    (xs, ys), (points, targets) = plane_of(first, 2), plane_data(first)
    classes = classes_of(spec)
    low, high = (0.0, 1.0) if classes else (float(targets.min()), float(targets.max()))
    room = 0.0 if classes else (high - low or 1.0) / 4
    box = float(xs[0]), float(xs[1]), float(ys[0]), float(ys[1])
    found = Plane(box, classes, low - room, high + room, points, targets)
    return found.cut(0) if own_rows(spec) else found
