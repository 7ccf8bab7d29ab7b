"""``replicates=auto``: networks are added to a cell until they are enough, which ``stopping`` says: its solve rate is
known as precisely as asked, or in a study the claims are decided.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from nnspec.errors import Fault, SpecError
from nnspec.execute.budget import Budget, Use, allowance, budget, kinds, shared_out
from nnspec.execute.rounds import Rounds, refuse_stored
from nnspec.execute.stopping import Decided, Precise, Stopping
from nnspec.results.events import TrainedCell, TrainingEvent
from nnspec.specs import RunSpec
from nnspec.study import Study


@dataclass
class AdaptiveTraining(Rounds):
    """Trains cells in rounds, each until it has networks enough. So many cells are in the making at a time as
    ``train.memory`` holds if all of them take the most replicates; those of a study all at once.

    Raises:
        SpecError: it does not fit into ``train.memory``, or initial weights are stored.
    """

    part = "the first round of replicates=auto"
    study: Study | None = None  # its claims say when networks are enough, else ``runtime.precision``

    def __post_init__(self) -> None:
        refuse_stored(self.specs, "replicates", "must be a number", "auto", "say how many sets the file has")
        self.stopping: Stopping = Decided(self.study, self.runtime) if self.study else Precise(self.runtime)
        self.looks = self.stopping.looks
        self.looked = len(self.looks.sizes)
        self.together = self._together([replace(spec, replicates=self.looks.sizes[-1]) for spec in self.specs])
        self.begin(self.looks.sizes[0], range(min(self.together, len(self.specs))))

    def _together(self, largest: list[RunSpec]) -> int:
        """How many of these cells fit at a time: all, a half, a quarter ..., at least one.

        Raises:
            SpecError: not even one does.
        """
        found, memory, count = kinds(largest), allowance(self.runtime.memory), len(largest)
        use = Use(self.files, keep=True)
        if self.stopping.together and count > 1:
            if isinstance(budget(found, 1, memory, use), Budget):
                return count
            rule = f"must be so few that {count} cells, whose claims are judged together, fit into train.memory"
            most = self.looks.sizes[-1]
            raise SpecError([Fault("train.most_replicates", rule, f"{most}", f"try train.most_replicates={most // 4}")])
        while count > 1:
            some = [replace(kind, cells=count, networks=count * kind.largest) for kind in found]
            if isinstance(budget(some, 1, memory, use), Budget):
                return count
            count = -(-count // 2)
        shared_out(largest[:1], 1, self.runtime.memory, Use(self.files, keep=True))
        return 1

    def interval(self, solved: int, networks: int) -> tuple[float, float]:
        """Limits of the solve rate of a cell that has come out."""
        low, high = self.looks.interval(solved, networks)
        return float(low), float(high)

    def __iter__(self) -> Iterator[TrainingEvent]:
        cells = list(self.by_cell)
        for start in range(0, len(cells), self.together):
            yield from self._rounds(cells[start : start + self.together])

    def _rounds(self, going: list[int]) -> Iterator[TrainingEvent]:
        while going:
            again: set[int] = set()
            trained: list[int] = []  # what is not judged yet
            for event in self.round({cell: self._next(cell) for cell in going}):
                if not isinstance(event, TrainedCell):
                    yield event
                    continue
                trained.append(event.index)
                if not self.stopping.together:
                    again |= self._unfinished(trained)
                    yield from self._come_out(trained, again)
                    trained.clear()
            again |= self._unfinished(trained)
            yield from self._come_out(trained, again)
            going = sorted(again)

    def _next(self, cell: int) -> int:
        """The networks of a cell at its next look."""
        size = self.looks.after(self.by_cell[cell].replicates if cell in self.so_far else 0)
        assert size is not None
        return size

    def _unfinished(self, cells: Sequence[int]) -> set[int]:
        """Which of these cells are to get more networks."""
        going = {cell: self.so_far[cell] for cell in cells}
        last = {cell for cell, whole in going.items() if self.looks.after(len(whole.seeds)) is None}
        return self.stopping.unfinished(going) - last if going else set()

    def _come_out(self, cells: Sequence[int], again: set[int]) -> Iterator[TrainedCell]:
        for cell in cells:
            if cell not in again:
                yield TrainedCell(cell, self.so_far.pop(cell))
