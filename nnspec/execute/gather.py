"""From trained chunks back to cells: a cell is whole when all its replicates have come in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from nnspec.architecture import architecture
from nnspec.execute.judge import Judged
from nnspec.results.cell import CellResult
from nnspec.specs import RunSpec
from nnspec.training.loop import Rows, Trained
from nnspec.training.plan import Chunk


@dataclass(frozen=True)
class TrainedCell:
    """A whole cell: its arrays, and what diagnosis says of each replicate: ``verdict`` [r] and ``numbers`` [r] by
    name."""

    index: int
    result: CellResult
    verdict: np.ndarray
    numbers: Mapping[str, np.ndarray]
    files: Mapping[str, bytes] | None = None  # its artifacts, where its worker has made them already

    @property
    def spec(self) -> RunSpec:
        return self.result.spec

    def columns(self) -> dict[str, np.ndarray]:
        """The verdict and every number, one value a replicate: the extra columns of results.parquet."""
        return {"verdict": self.verdict, **self.numbers}


@dataclass
class _Gathering:
    """A cell whose networks come from several chunks: ``cell`` has room for all of them, ``missing`` are still to
    come."""

    cell: TrainedCell
    missing: int
    taken: list[slice] = field(default_factory=list)  # replicates that have come


@dataclass
class Gatherer:
    """Collects the parts of cells and gives each cell back once, when it is whole. What it holds of a cell it holds
    once."""

    specs: Sequence[RunSpec]
    parts: dict[int, _Gathering] = field(default_factory=dict)

    def add(self, chunk: Chunk, trained: Trained, judged: Judged) -> Iterator[TrainedCell]:
        """Take in a trained chunk; yields the cells that are whole now."""
        start = 0
        for share in chunk.shares:
            stop = start + share.count
            part = _part(share.cell, self.specs[share.cell], trained, judged, start, stop)
            if share.count == self.specs[share.cell].replicates:
                yield part
            elif share.count:
                yield from self._put(part, share.first)
            start = stop

    def waiting(self) -> Iterator[tuple[int, CellResult]]:
        """The histories of trained networks whose cells are not whole, with the index of their cell."""
        for index, gathering in self.parts.items():
            for here in gathering.taken:
                yield index, _history_of(gathering.cell.result, here)

    def _put(self, part: TrainedCell, first: int) -> Iterator[TrainedCell]:
        replicates, count = part.spec.replicates, len(part.verdict)
        if part.index not in self.parts:
            whole = mapped(part, lambda array: np.empty((replicates, *array.shape[1:]), array.dtype))
            self.parts[part.index] = _Gathering(whole, replicates)
        gathering = self.parts[part.index]
        for room, values in zip(arrays(gathering.cell), arrays(part), strict=True):
            room[first : first + count] = values
        gathering.taken.append(slice(first, first + count))
        gathering.missing -= count
        if not gathering.missing:
            yield self.parts.pop(part.index).cell


def _part(index: int, spec: RunSpec, trained: Trained, judged: Judged, start: int, stop: int) -> TrainedCell:
    """Networks start..stop of a chunk, replicates of one cell; the arrays are the chunk's."""
    here = slice(start, stop)
    names = [dense.name for dense in architecture(spec).dense]

    def some(weights: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {name: tensor[here] for name, tensor in weights.items()}

    result = CellResult(
        spec=spec,
        seeds=trained.seeds[here],
        steps=trained.rows.steps,
        loss=trained.rows.loss[here],
        accuracy=trained.rows.accuracy[here],
        weight_norm={name: trained.rows.norms[i][here] for i, name in enumerate(names)},
        right=trained.rows.right[here],
        outputs=trained.outputs[here],
        solved_at=trained.solved_at[here],
        nonfinite_at=trained.nonfinite_at[here],
        initial=some(trained.initial),
        final=some(trained.final),
        snapshots={step: some(weights) for step, weights in trained.snapshots.items()},
    )
    return TrainedCell(index, result, judged.verdict[here], some(judged.numbers), judged.files.get(index))


PER_NETWORK = ("seeds", "loss", "accuracy", "right", "outputs", "solved_at", "nonfinite_at")


def mapped(cell: TrainedCell, change: Callable[[np.ndarray], np.ndarray]) -> TrainedCell:
    """The cell with each array that has one row a network changed."""

    def each(weights: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {name: change(array) for name, array in weights.items()}

    result = cell.result
    plain: dict[str, Any] = {name: change(getattr(result, name)) for name in PER_NETWORK}
    sets: dict[str, Any] = {name: each(getattr(result, name)) for name in ("weight_norm", "initial", "final")}
    snapshots = {step: each(weights) for step, weights in result.snapshots.items()}
    result = replace(result, **plain, **sets, snapshots=snapshots)
    return replace(cell, result=result, verdict=change(cell.verdict), numbers=each(cell.numbers))


def arrays(cell: TrainedCell) -> list[np.ndarray]:
    """The arrays that have one row a network, in the order of ``mapped``."""
    found: list[np.ndarray] = []

    def note(array: np.ndarray) -> np.ndarray:
        found.append(array)
        return array

    mapped(cell, note)
    return found


def _history_of(result: CellResult, here: slice) -> CellResult:
    """The history of some replicates of a cell, without their weights."""
    nothing = np.empty(0)
    return CellResult(
        spec=result.spec,
        seeds=result.seeds[here],
        steps=result.steps,
        loss=result.loss[here],
        accuracy=result.accuracy[here],
        weight_norm={name: norm[here] for name, norm in result.weight_norm.items()},
        right=result.right[here],
        outputs=nothing,
        solved_at=nothing,
        nonfinite_at=nothing,
        initial={},
        final={},
    )


def partial_history(spec: RunSpec, first: int, rows: Rows, start: int, stop: int) -> CellResult:
    """The history so far of a cell's replicates from ``first`` on, networks start..stop of a chunk; it has no weights
    yet."""
    names = [dense.name for dense in architecture(spec).dense]
    nothing = np.empty(0)
    return CellResult(
        spec=spec,
        seeds=np.arange(stop - start) + spec.seed + first,
        steps=rows.steps,
        loss=rows.loss[start:stop],
        accuracy=rows.accuracy[start:stop],
        weight_norm={name: rows.norms[i, start:stop] for i, name in enumerate(names)},
        right=rows.right[start:stop],
        outputs=nothing,
        solved_at=nothing,
        nonfinite_at=nothing,
        initial={},
        final={},
    )
