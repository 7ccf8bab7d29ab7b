"""From trained chunks back to cells: a cell is whole when all its replicates have come in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from nnspec.execute.judge import Judged
from nnspec.results.arrays import Results
from nnspec.results.events import TrainedCell
from nnspec.specs import RunSpec
from nnspec.training.plan import Chunk


@dataclass
class _Gathering:
    """A cell whose networks come from several chunks: ``whole`` has room for all of them, ``missing`` are still to
    come."""

    whole: Results
    missing: int
    taken: list[slice] = field(default_factory=list)  # replicates that have come


@dataclass
class Gatherer:
    """Collects the parts of cells and gives each cell back once, when it is whole. What it holds of a cell it holds
    once."""

    specs: Sequence[RunSpec]
    parts: dict[int, _Gathering] = field(default_factory=dict)

    def add(self, chunk: Chunk, trained: Results, judged: Judged) -> Iterator[TrainedCell]:
        """Take in a trained chunk; yields the cells that are whole now."""
        diagnosed = replace(trained, verdict=judged.verdict, numbers=judged.numbers)
        for cell, first, part in by_cell(self.specs, chunk, diagnosed):
            networks = len(part.seeds)
            if networks == part.spec.replicates:
                yield TrainedCell(cell, part, judged.files.get(cell))
            elif networks:
                yield from self._put(cell, first, part)

    def waiting(self) -> Iterator[tuple[int, Results]]:
        """The histories of trained networks whose cells are not whole, with the index of their cell."""
        for cell, gathering in self.parts.items():
            for here in gathering.taken:
                yield cell, gathering.whole.history().select(network=here)

    def _put(self, cell: int, first: int, part: Results) -> Iterator[TrainedCell]:
        networks, replicates = len(part.seeds), part.spec.replicates
        if cell not in self.parts:
            self.parts[cell] = _Gathering(part.room(replicates), replicates)
        gathering = self.parts[cell]
        gathering.whole.put(first, part)
        gathering.taken.append(slice(first, first + networks))
        gathering.missing -= networks
        if not gathering.missing:
            yield TrainedCell(cell, self.parts.pop(cell).whole)


def by_cell(specs: Sequence[RunSpec], chunk: Chunk, results: Results) -> Iterator[tuple[int, int, Results]]:
    """The results of a chunk by cell: its index, which replicate is the first, and its part, whose arrays are the
    chunk's."""
    start = 0
    for share in chunk.shares:
        part = results.select(network=slice(start, start + share.count))
        yield share.cell, share.first, replace(part, spec=specs[share.cell])
        start += share.count
