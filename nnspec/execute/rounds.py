"""What trainings in rounds share: cells get more networks until a rule says that they have enough. The first n networks
of a cell are those of ``replicates=n``.
"""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from nnspec.catalog import INITS
from nnspec.errors import Fault, SpecError
from nnspec.execute.engine import Carry, Trainer, Training, numbered
from nnspec.results.arrays import Results, concatenate
from nnspec.results.events import Advance, Failed, Notice, Stopped, TrainedCell, TrainingEvent
from nnspec.settings import Runtime
from nnspec.specs import RunSpec


@dataclass
class Rounds(Trainer):
    """Trains cells in rounds. A cell comes out once, whole; its spec in ``by_cell`` then has the replicates that it
    took. Who inherits calls ``begin``, and trains by ``round``."""

    specs: Sequence[RunSpec]
    runtime: Runtime
    files: bool = False
    carry: Carry | None = None
    keep: bool = False
    cells: Sequence[int] | None = None
    packed: bool = False
    seconds: dict[str, float] = field(default_factory=lambda: {"train": 0.0, "diagnose": 0.0})
    updaters: Counter[str] = field(default_factory=Counter)

    def begin(self, first: int, together: Sequence[int]) -> None:
        """Plan the first round: ``first`` networks of each of these cells, which are named by their places.

        Raises:
            SpecError: it does not fit into ``train.memory``.
        """
        self.specs = [replace(spec, replicates=first) for spec in self.specs]
        self.by_cell = numbered(self.specs, self.cells)
        specs = [self.specs[place] for place in together]
        self.training = Training(specs, self.runtime, self.files, self.carry)  # what trains at present
        self.plan, self.workers, self.shared = self.training.plan, self.training.workers, self.training.shared
        self.so_far: dict[int, Results] = {}  # the networks of the rounds that a cell has behind it
        self.most_networks = self.plan.networks

    @abstractmethod
    def interval(self, solved: int, networks: int) -> tuple[float, float]:
        """Limits of the solve rate of a cell that has come out, which allow for the looks on the way."""

    def stopped(self) -> list[Stopped]:
        known = {cell: [so_far.history()] for cell, so_far in self.so_far.items()}
        for part in self.training.stopped():
            known.setdefault(part.index, []).extend(part.histories)
        return [Stopped(cell, tuple(histories)) for cell, histories in known.items()]

    def round(self, sizes: Mapping[int, int]) -> Iterator[TrainingEvent]:
        """Train cells on until they have so many networks. A cell comes with all that it has, which ``so_far`` keeps
        until it is taken out."""
        more = [self._more(cell, size) for cell, size in sizes.items()]
        self.training = training = Training(more, self.runtime, carry=self.carry, keep=True, cells=list(sizes))
        for event in training:
            if isinstance(event, TrainedCell):
                whole = self.so_far[event.index] = joined(self.so_far.get(event.index), event.result)
                self.by_cell[event.index] = whole.spec
                yield TrainedCell(event.index, whole)
            elif isinstance(event, Advance):
                yield Advance(min(event.networks, self.most_networks), event.right)
            elif isinstance(event, (Failed, Notice)):
                yield event
        self.seconds = {part: self.seconds[part] + training.seconds[part] for part in self.seconds}
        self.updaters.update(training.updaters)

    def _more(self, cell: int, size: int) -> RunSpec:
        """The networks that the cell has not yet of so many."""
        spec = self.by_cell[cell]
        have = spec.replicates if cell in self.so_far else 0
        return replace(spec, seed=spec.seed + have, replicates=size - have)


def refuse_stored(specs: Sequence[RunSpec], key: str, rule: str, value: str, remedy: str) -> None:
    """Refuse cells whose initial weights are stored: there are no more networks than the file has.

    Raises:
        SpecError: there is one.
    """
    stored = [spec.init.name for spec in specs if INITS[spec.init.name].stored]
    if stored:
        raise SpecError([Fault(key, f"{rule} with init={stored[0]}", value, remedy)])


def joined(before: Results | None, more: Results) -> Results:
    """One cell of both parts' networks, in the order of their seeds."""
    if before is None:
        return more
    spec = replace(before.spec, replicates=before.spec.replicates + more.spec.replicates)
    return replace(concatenate([before, more]), spec=spec)
