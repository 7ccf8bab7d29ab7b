"""``sweep.race``: cells get more networks as long as they may be the best; see ``analysis.racing``."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from nnspec.analysis.racing import FIRST, GROWTH, Look, Rule, anytime_interval, next_size
from nnspec.errors import Fault, SpecError
from nnspec.execute.budget import Budget, Kind, Use, allowance, budget, kinds
from nnspec.execute.rounds import Rounds, refuse_stored
from nnspec.results.events import Advance, Failed, Notice, Stopped, TrainedCell, TrainingEvent
from nnspec.results.race import Race
from nnspec.specs import RunSpec
from nnspec.training.memory import result_bytes


@dataclass
class RaceTraining(Rounds):
    """Trains cells in rounds of the same seeds. After each come out those that cannot be the best any more, and all
    others when the best is known to within ``within``, or no more than ``most`` networks are left for a round.
    ``race`` is what is known so far.

    A race that was broken off is gone through again from its first look: what came out of it, ``done``, is taken as it
    is, and all others train anew. Networks are what their seeds make of them, so it goes as it would have gone.

    Raises:
        SpecError: the cells cannot race, or the first look at all of them does not fit into ``train.memory``.
    """

    done: Mapping[int, Mapping[str, np.ndarray]] = field(default_factory=dict)  # rows of ``outcome_rows`` by cell
    most: int = 200_000
    within: float = 0.02

    def __post_init__(self) -> None:
        refuse_stored(self.specs, "sweep.race", "must be false", "true", "choose an init that draws weights")
        _refuse_unfit(self.specs, self.most)
        self.rule = Rule(len(self.specs), self.within)
        self.done = dict(self.done)  # whose it is may go on filling it
        self.begin(FIRST, [cell for cell in range(len(self.specs)) if cell not in self.done] or range(len(self.specs)))
        self.most_networks = min(self.most, self._held())
        self.looked = 2 + math.ceil(math.log(self.most_networks / FIRST, GROWTH))  # at most; the last one may be short
        self.race: Race = Race(self.within, self.rule.confidence, self.most_networks)
        self.part = f"the first look of the race, which trains at most {self.most_networks:,} networks"

    def interval(self, solved: int, networks: int) -> tuple[float, float]:
        """Limits of the solve rate of a cell, whenever it came out."""
        low, high = anytime_interval(solved, networks, self.rule.confidence)
        return float(low), float(high)

    def stopped(self) -> list[Stopped]:
        self.race = replace(self.race, best=None, known=False)
        return super().stopped()

    def __iter__(self) -> Iterator[TrainingEvent]:
        if self.most_networks < self.most:
            yield Notice(
                f"train.memory holds the results of {self.most_networks:,} networks, which the race takes as its "
                "budget; raise it, or lower sweep.budget"
            )
        racing, size = list(self.by_cell), FIRST
        while racing:
            yield from (event for event in self._train(racing, size) if not isinstance(event, TrainedCell))
            racing = [cell for cell in racing if cell in self.so_far or cell in self.done]  # without those that failed
            if not racing:
                return
            look = self.rule.look(np.stack([self._solved(cell)[:size] for cell in racing]))
            self._judge(racing, look, size)
            left = self.most_networks - self.race.networks
            larger = next_size(size, len(racing) - int(look.beaten.sum()), left)
            goes_on = larger > size and not look.known
            for cell, beaten in zip(racing, look.beaten.tolist(), strict=True):
                if cell in self.so_far and (beaten or not goes_on):
                    yield self._come_out(cell)
            racing, size = [cell for cell in racing if goes_on and self._races_on(cell, larger)], larger

    def _train(self, racing: Sequence[int], size: int) -> Iterator[TrainingEvent]:
        """Train these cells on to ``size`` networks each, apart from those that are done."""
        missing = [cell for cell in racing if cell not in self.done]
        for event in self.round(dict.fromkeys(missing, size)) if missing else ():
            if isinstance(event, Failed):
                self.so_far.pop(event.index, None)
            if isinstance(event, Advance):
                event = replace(event, networks=self.race.networks + event.networks)
            yield event
        before = self.race.looks[-1] if self.race.looks else 0
        networks = self.race.networks + len(racing) * (size - before)
        self.race = replace(self.race, networks=networks, looks=(*self.race.looks, size))

    def _judge(self, racing: Sequence[int], look: Look, size: int) -> None:
        """Write down what a look says. Of cells that solve equally often the best is the one that solves soonest; where
        none solves, none is."""
        out = {cell: size for cell, beaten in zip(racing, look.beaten.tolist(), strict=True) if beaten}
        first = [racing[place] for place in look.first if self._solved(racing[place])[:size].any()]
        best = min(first, key=lambda cell: (self._updates_to_solve(cell, size), cell), default=None)
        self.race = replace(self.race, out={**self.race.out, **out}, best=best, known=look.known, unsolved=best is None)

    def _races_on(self, cell: int, size: int) -> bool:
        """Whether the cell is in the race until it has so many networks."""
        return cell in self.so_far or (cell in self.done and len(self._solved(cell)) >= size)

    def _solved(self, cell: int) -> np.ndarray:
        """Which of its networks solve."""
        return self.done[cell]["solved"].astype(bool) if cell in self.done else self.so_far[cell].solved

    def _updates_to_solve(self, cell: int, size: int) -> float:
        """The median over its first networks, so many."""
        solved_at = self.done[cell]["solved_at"] if cell in self.done else self.so_far[cell].solved_at
        return float(np.median(np.where(self._solved(cell), solved_at, math.inf)[:size]))

    def _come_out(self, cell: int) -> TrainedCell:
        return TrainedCell(cell, self.so_far.pop(cell), ended=self.race.ended(cell))

    def _held(self) -> int:
        """How many networks' results fit into the memory, up to ``most``, whichever cells they are of."""
        found, memory, use = kinds(self.specs), allowance(self.runtime.memory), Use(self.files, keep=True)
        largest = max(found, key=lambda kind: result_bytes(kind.spec))
        first = FIRST * len(self.specs)

        def too_many(more: int) -> bool:
            grown = replace(largest, networks=largest.networks + more, largest=largest.largest + more)
            some: list[Kind] = [grown if kind is largest else kind for kind in found]
            return not isinstance(budget(some, 1, memory, use), Budget)

        return first + bisect_left(range(1, self.most + 1 - first), True, key=too_many)


def _refuse_unfit(specs: Sequence[RunSpec], most: int) -> None:
    """Refuse cells that cannot race.

    Raises:
        SpecError: they are one cell, not on the same seeds or equal but for replicates; or the budget is below a look.
    """
    least = FIRST * len(specs)
    seeds = sorted({spec.seed for spec in specs})
    alike = len(specs) - len({replace(spec, replicates=FIRST) for spec in specs})
    faults = []
    if len(specs) < 2:
        faults.append(Fault("sweep.race", "must have at least 2 cells", f"{len(specs)}", "vary an axis"))
    if len(seeds) > 1:
        remedy = "leave the axis seed out: a race adds seeds by itself"
        faults.append(Fault("sweep.race", "must have cells of one first seed", f"{len(seeds)} of them", remedy))
    elif alike:
        remedy = "leave the axis replicates out: a race adds them by itself"
        faults.append(Fault("sweep.race", "must have cells that differ", f"{alike} twice", remedy))
    if most < least:
        rule = f"must be at least {least}, {FIRST} networks of each of the {len(specs)} cells"
        faults.append(Fault("sweep.budget", rule, f"{most}", "raise it, or race fewer cells"))
    if faults:
        raise SpecError(faults)
