"""``replicates=auto``: networks are added to a cell until its solve rate is known as precisely as asked.

The looks at the rate are fixed beforehand, and the interval is wide enough to stay honest under all of them: see
``analysis.sequential``. The first n networks are those of ``replicates=n``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from nnspec.analysis.sequential import Looks, looks
from nnspec.catalog import INITS
from nnspec.errors import Fault, SpecError
from nnspec.execute.budget import Budget, Use, allowance, budget, kinds, shared_out
from nnspec.execute.engine import Advance, Carry, Notice, Training, TrainingEvent
from nnspec.execute.gather import TrainedCell, arrays, mapped
from nnspec.journal.filer import Failed, Stopped
from nnspec.settings import Runtime
from nnspec.specs import RunSpec


@dataclass
class AdaptiveTraining:
    """Trains cells in rounds; the interface is that of ``Training``. A cell comes out once, whole, when it is precise
    enough; ``specs`` then has the replicates that it took. So many cells are in the making at a time as
    ``train.memory`` holds if all of them take the most replicates.

    Raises:
        SpecError: it does not fit into ``train.memory``, or initial weights are stored.
    """

    specs: list[RunSpec]
    runtime: Runtime
    files: bool = False
    carry: Carry | None = None
    keep: bool = False
    seconds: dict[str, float] = field(default_factory=lambda: {"train": 0.0, "diagnose": 0.0})

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
        first = Training(self.specs[: self.together], self.runtime, self.files, self.carry)
        self.plan, self.workers, self.shared = first.plan, first.workers, first.shared
        self._so_far: dict[int, TrainedCell] = {}  # the networks of the rounds that a cell has behind it
        self._round: tuple[list[int], Training] = [], first  # the cells in training, and what trains them

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
        cells, training = self._round
        known = {cell: [so_far.result] for cell, so_far in self._so_far.items()}
        for part in training.stopped():
            known.setdefault(cells[part.index], []).extend(part.histories)
        return [Stopped(cell, tuple(histories)) for cell, histories in known.items()]

    def __iter__(self) -> Iterator[TrainingEvent]:
        for start in range(0, len(self.specs), self.together):
            yield from self._rounds(list(range(len(self.specs)))[start : start + self.together])

    def _rounds(self, going: list[int]) -> Iterator[TrainingEvent]:
        so_far = self._so_far
        while going:
            more = [self._more(self.specs[cell], so_far.get(cell)) for cell in going]
            training = Training(more, self.runtime, carry=self.carry, keep=True)
            self._round = going, training
            again = []
            for event in training:
                if isinstance(event, TrainedCell):
                    cell = going[event.index]
                    whole = so_far[cell] = _joined(cell, so_far.get(cell), event)
                    self.specs[cell] = whole.spec
                    if self._enough(whole):
                        yield so_far.pop(cell)
                    else:
                        again.append(cell)
                elif isinstance(event, Failed):
                    yield Failed(going[event.index], event.reason)
                elif isinstance(event, Notice):
                    yield event
                elif isinstance(event, Advance):
                    yield Advance(min(event.networks, self.plan.networks), event.right)
            self.seconds = {part: self.seconds[part] + training.seconds[part] for part in self.seconds}
            going = sorted(again)

    def _more(self, spec: RunSpec, so_far: TrainedCell | None) -> RunSpec:
        """The networks to add: those that the next look has and this one has not."""
        have = 0 if so_far is None else spec.replicates
        size = self.looks.after(have)
        assert size is not None
        return replace(spec, seed=spec.seed + have, replicates=size - have)

    def _enough(self, cell: TrainedCell) -> bool:
        networks = cell.spec.replicates
        return self.looks.after(networks) is None or bool(self.looks.enough(int(cell.result.solved.sum()), networks))


def _joined(index: int, before: TrainedCell | None, more: TrainedCell) -> TrainedCell:
    """One cell of both parts' networks, in the order of their seeds."""
    if before is None:
        return replace(more, index=index)
    spec = replace(before.spec, replicates=before.spec.replicates + more.spec.replicates)
    others = iter(arrays(more))
    whole = mapped(before, lambda array: np.concatenate([array, next(others)]))
    return replace(whole, result=replace(whole.result, spec=spec), files=None)


def trainer(
    specs: Sequence[RunSpec],
    runtime: Runtime,
    auto: bool,
    files: bool = False,
    carry: Carry | None = None,
    keep: bool = False,
) -> Training | AdaptiveTraining:
    """What trains the specs: once through, or in rounds until they are precise enough. ``files`` says that their
    artifacts are filed, ``keep`` that the caller keeps their arrays."""
    return (
        AdaptiveTraining(list(specs), runtime, files, carry, keep)
        if auto
        else Training(specs, runtime, files, carry, keep)
    )
