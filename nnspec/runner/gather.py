"""From trained chunks back to cells: a cell is whole when all its replicates have come in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from nnspec.architecture import architecture
from nnspec.fused.plan import Chunk
from nnspec.fused.train import Rows, Trained
from nnspec.result import CellResult
from nnspec.runner.judge import Judged
from nnspec.spec import RunSpec


@dataclass(frozen=True)
class TrainedCell:
    """A whole cell: its arrays, and what diagnosis says of each replicate: ``verdict`` [r] and ``numbers`` [r] by name."""

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


@dataclass(frozen=True)
class _Part:
    """Networks start..stop of a chunk: replicates of one cell from ``first`` on."""

    first: int
    start: int
    stop: int
    trained: Trained
    judged: Judged


@dataclass
class Gatherer:
    """Collects the parts of cells and gives each cell back once, when it is whole."""

    specs: Sequence[RunSpec]
    parts: dict[int, list[_Part]] = field(default_factory=dict)

    def add(self, chunk: Chunk, trained: Trained, judged: Judged) -> Iterator[TrainedCell]:
        """Take in a trained chunk; yields the cells that are whole now."""
        start = 0
        for share in chunk.shares:
            stop = start + share.count
            parts = self.parts.setdefault(share.cell, [])
            parts.append(_Part(share.first, start, stop, trained, judged))
            if sum(part.stop - part.start for part in parts) == self.specs[share.cell].replicates:
                yield _whole(share.cell, self.specs[share.cell], sorted(self.parts.pop(share.cell), key=lambda part: part.first))
            start = stop

    def waiting(self) -> Iterator[tuple[int, CellResult]]:
        """The histories of trained networks whose cells are not whole, with the index of their cell."""
        for index, parts in self.parts.items():
            for part in parts:
                yield index, partial_history(self.specs[index], part.first, part.trained.rows, part.start, part.stop)


def _whole(index: int, spec: RunSpec, parts: list[_Part]) -> TrainedCell:
    def joined(pick: Callable[..., np.ndarray]) -> np.ndarray:
        pieces = [pick(part)[part.start : part.stop] for part in parts]
        return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)

    names = [dense.name for dense in architecture(spec).dense]
    trained = parts[0].trained
    result = CellResult(
        spec=spec,
        seeds=joined(lambda p: p.trained.seeds),
        steps=trained.rows.steps,
        loss=joined(lambda p: p.trained.rows.loss),
        accuracy=joined(lambda p: p.trained.rows.accuracy),
        weight_norm={name: joined(lambda p, i=i: p.trained.rows.norms[i]) for i, name in enumerate(names)},
        right=joined(lambda p: p.trained.rows.right),
        outputs=joined(lambda p: p.trained.outputs),
        solved_at=joined(lambda p: p.trained.solved_at),
        nonfinite_at=joined(lambda p: p.trained.nonfinite_at),
        initial={name: joined(lambda p, n=name: p.trained.initial[n]) for name in trained.initial},
        final={name: joined(lambda p, n=name: p.trained.final[n]) for name in trained.final},
        snapshots={
            step: {name: joined(lambda p, s=step, n=name: p.trained.snapshots[s][n]) for name in weights}
            for step, weights in trained.snapshots.items()
        },
    )
    numbers = {name: joined(lambda p, n=name: p.judged.numbers[n]) for name in parts[0].judged.numbers}
    return TrainedCell(index, result, joined(lambda p: p.judged.verdict), numbers, parts[0].judged.files.get(index))


def partial_history(spec: RunSpec, first: int, rows: Rows, start: int, stop: int) -> CellResult:
    """The history so far of a cell's replicates from ``first`` on, networks start..stop of a chunk; it has no weights yet."""
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
