"""``replicates=auto``: networks are added to a cell until its solve rate is known as precisely as asked.

The looks at the rate are fixed beforehand, and the interval is wide enough to stay honest under all of them: see
``analysis.sequential``. The first n networks are those of ``replicates=n``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from nnspec.analysis.sequential import Looks, looks
from nnspec.catalog import INITS
from nnspec.errors import Fault, SpecError
from nnspec.result import CellResult
from nnspec.runner.filing import Failed, Stopped
from nnspec.runner.gather import TrainedCell
from nnspec.runner.training import Advance, Carry, Notice, Training, TrainingEvent
from nnspec.settings import Runtime
from nnspec.spec import RunSpec


@dataclass
class AdaptiveTraining:
    """Trains cells in rounds; the interface is that of ``Training``. A cell comes out once, whole, when it is precise
    enough; ``specs`` then has the replicates that it took."""

    specs: list[RunSpec]
    runtime: Runtime
    carry: Carry | None = None
    seconds: dict[str, float] = field(default_factory=lambda: {"train": 0.0, "diagnose": 0.0})

    def __post_init__(self) -> None:
        stored = [spec.init.name for spec in self.specs if INITS[spec.init.name].stored]
        if stored:
            raise SpecError([Fault("replicates", f"must be a number with init={stored[0]}", "auto", "say how many sets the file has")])
        self.looks: Looks = looks(self.runtime.precision)
        self.specs = [replace(spec, replicates=self.looks.sizes[0]) for spec in self.specs]
        first = Training(self.specs, self.runtime)
        self.plan, self.workers = first.plan, first.workers
        self._so_far: dict[int, TrainedCell] = {}  # the networks of the rounds that a cell has behind it
        self._round: tuple[list[int], Training] = [], first  # the cells in training, and what trains them

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
        so_far = self._so_far
        going = list(range(len(self.specs)))
        while going:
            more = [self._more(self.specs[cell], so_far.get(cell)) for cell in going]
            training = Training(more, self.runtime, carry=self.carry)
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
    a, b = before.result, more.result
    spec = replace(a.spec, replicates=a.spec.replicates + b.spec.replicates)
    result = CellResult(
        spec=spec,
        steps=a.steps,
        weight_norm=_each(a.weight_norm, b.weight_norm),
        initial=_each(a.initial, b.initial),
        final=_each(a.final, b.final),
        snapshots={step: _each(weights, b.snapshots[step]) for step, weights in a.snapshots.items()},
        **{name: np.concatenate([getattr(a, name), getattr(b, name)]) for name in PER_NETWORK},
    )
    return TrainedCell(index, result, np.concatenate([before.verdict, more.verdict]), _each(before.numbers, more.numbers))


PER_NETWORK = ("seeds", "loss", "accuracy", "right", "outputs", "solved_at", "nonfinite_at")


def _each(a: Mapping[str, np.ndarray], b: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: np.concatenate([a[name], b[name]]) for name in a}


def trainer(
    specs: Sequence[RunSpec], runtime: Runtime, auto: bool, files: bool = False, carry: Carry | None = None
) -> Training | AdaptiveTraining:
    """What trains the specs: once through, or in rounds until they are precise enough. ``files`` makes their artifacts on the way."""
    return AdaptiveTraining(list(specs), runtime, carry) if auto else Training(specs, runtime, files, carry)
