"""``replicates=auto``: networks are added to a cell until its solve rate is known as precisely as asked.

The looks at the rate are fixed beforehand, and the interval is wide enough to stay honest under all of them: see
``analysis.sequential``. The first n networks are those of ``replicates=n``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from nnspec.analysis.sequential import Looks, looks
from nnspec.catalog import INITS
from nnspec.errors import Fault, SpecError
from nnspec.execute.budget import Budget, Use, allowance, budget, kinds, shared_out
from nnspec.execute.engine import Carry, Training, numbered
from nnspec.results.arrays import Results, concatenate
from nnspec.results.events import Advance, Failed, Notice, Stopped, TrainedCell, TrainingEvent
from nnspec.settings import Runtime
from nnspec.specs import RunSpec


@dataclass
class AdaptiveTraining:
    """Trains cells in rounds; the interface is that of ``Training``. A cell comes out once, whole, when it is precise
    enough; its spec in ``by_cell`` then has the replicates that it took. So many cells are in the making at a time as
    ``train.memory`` holds if all of them take the most replicates.

    Raises:
        SpecError: it does not fit into ``train.memory``, or initial weights are stored.
    """

    specs: Sequence[RunSpec]
    runtime: Runtime
    files: bool = False
    carry: Carry | None = None
    keep: bool = False
    cells: Sequence[int] | None = None
    seconds: dict[str, float] = field(default_factory=lambda: {"train": 0.0, "diagnose": 0.0})
    updaters: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        stored = [spec.init.name for spec in self.specs if INITS[spec.init.name].stored]
        if stored:
            raise SpecError(
                [
                    Fault(
                        "replicates",
                        f"must be a number with init={stored[0]}",
                        "auto",
                        "say how many sets the file has",
                    )
                ]
            )
        self.looks: Looks = looks(self.runtime.precision)
        self.together = self._together([replace(spec, replicates=self.looks.sizes[-1]) for spec in self.specs])
        self.specs = [replace(spec, replicates=self.looks.sizes[0]) for spec in self.specs]
        self.by_cell = numbered(self.specs, self.cells)
        first = Training(self.specs[: self.together], self.runtime, self.files, self.carry)
        self.plan, self.workers, self.shared = first.plan, first.workers, first.shared
        self._so_far: dict[int, Results] = {}  # the networks of the rounds that a cell has behind it
        self._training = first  # what trains at present

    def _together(self, largest: list[RunSpec]) -> int:
        """How many of these cells fit at a time: all, a half, a quarter ..., at least one.

        Raises:
            SpecError: not even one does.
        """
        found, memory, count = kinds(largest), allowance(self.runtime.memory), len(largest)
        while count > 1:
            some = [replace(kind, cells=count, networks=count * kind.largest) for kind in found]
            if isinstance(budget(some, 1, memory, Use(self.files, keep=True)), Budget):
                return count
            count = -(-count // 2)
        shared_out(largest[:1], 1, self.runtime.memory, Use(self.files, keep=True))
        return 1

    def interval(self, solved: int, networks: int) -> tuple[float, float]:
        """Limits of the solve rate of a cell that has come out."""
        low, high = self.looks.interval(solved, networks)
        return float(low), float(high)

    def stopped(self) -> list[Stopped]:
        """What is known of the cells that were not precise enough when training was broken off."""
        known = {cell: [so_far.history()] for cell, so_far in self._so_far.items()}
        for part in self._training.stopped():
            known.setdefault(part.index, []).extend(part.histories)
        return [Stopped(cell, tuple(histories)) for cell, histories in known.items()]

    def __iter__(self) -> Iterator[TrainingEvent]:
        cells = list(self.by_cell)
        for start in range(0, len(cells), self.together):
            yield from self._rounds(cells[start : start + self.together])

    def _rounds(self, going: list[int]) -> Iterator[TrainingEvent]:
        so_far = self._so_far
        while going:
            more = [self._more(self.by_cell[cell], so_far.get(cell)) for cell in going]
            self._training = training = Training(more, self.runtime, carry=self.carry, keep=True, cells=going)
            again = []
            for event in training:
                if isinstance(event, TrainedCell):
                    cell = event.index
                    whole = so_far[cell] = _joined(so_far.get(cell), event.result)
                    self.by_cell[cell] = whole.spec
                    if self._enough(whole):
                        yield TrainedCell(cell, so_far.pop(cell))
                    else:
                        again.append(cell)
                elif isinstance(event, (Failed, Notice)):
                    yield event
                elif isinstance(event, Advance):
                    yield Advance(min(event.networks, self.plan.networks), event.right)
            self.seconds = {part: self.seconds[part] + training.seconds[part] for part in self.seconds}
            self.updaters.update(training.updaters)
            going = sorted(again)

    def _more(self, spec: RunSpec, so_far: Results | None) -> RunSpec:
        """The networks to add: those that the next look has and this one has not."""
        have = 0 if so_far is None else spec.replicates
        size = self.looks.after(have)
        assert size is not None
        return replace(spec, seed=spec.seed + have, replicates=size - have)

    def _enough(self, cell: Results) -> bool:
        networks = cell.spec.replicates
        return self.looks.after(networks) is None or bool(self.looks.enough(int(cell.solved.sum()), networks))


def _joined(before: Results | None, more: Results) -> Results:
    """One cell of both parts' networks, in the order of their seeds."""
    if before is None:
        return more
    spec = replace(before.spec, replicates=before.spec.replicates + more.spec.replicates)
    return replace(concatenate([before, more]), spec=spec)


def trainer(
    specs: Sequence[RunSpec],
    runtime: Runtime,
    auto: bool,
    files: bool = False,
    carry: Carry | None = None,
    keep: bool = False,
    cells: Sequence[int] | None = None,
) -> Training | AdaptiveTraining:
    """What trains the specs: once through, or in rounds until they are precise enough. ``files`` says that their
    artifacts are filed, ``keep`` that the caller keeps their arrays; ``cells`` are their numbers in events (their
    places unless said)."""
    return (
        AdaptiveTraining(specs, runtime, files, carry, keep, cells)
        if auto
        else Training(specs, runtime, files, carry, keep, cells)
    )
