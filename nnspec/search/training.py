"""Training of a search: ask for a batch of trials, train it as one sweep, tell what came out, and so on."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from nnspec.errors import Fault, SpecError
from nnspec.execute.budget import Use, shared_out
from nnspec.execute.engine import Carry, Trainer, Training
from nnspec.execute.rounds import joined
from nnspec.results.arrays import Results
from nnspec.results.events import Advance, Failed, Notice, Proposed, Stopped, TrainedCell, TrainingEvent
from nnspec.results.table import outcome_rows
from nnspec.search.objectives import OBJECTIVES, Found, found
from nnspec.search.space import Space
from nnspec.search.study import Asked, Study
from nnspec.settings import NEVER, Settings
from nnspec.specs import RunSpec, text
from nnspec.sweep.cells import Cell

TRIAL_TAG = "nnspec.trial"  # of a cell's run: the number of its trial in Optuna
AT_RANDOM, NOTHING_NEW = 10, 300  # proposals in a row that are no new cell: to draw at random then, and to stop
ROUNDS = (8, 4, 2, 1)  # with a pruner: parts of the replicates after which it looks


def rungs(replicates: int) -> list[int]:
    """The numbers of replicates after which a pruner looks at a trial, the last one all of them."""
    return sorted({-(-replicates // part) for part in ROUNDS})


def refuse_unfit(space: Space, settings: Settings) -> None:
    """Refuse what a search cannot do with these settings and this space.

    Raises:
        SpecError: with every fault, or for what does not fit into ``train.memory``.
    """
    sweep, faults = settings.sweep, []
    trials, combinations = sweep.trials, space.count
    if trials is None:
        faults.append(Fault("sweep.trials", "must be said with a search", "null", "try sweep.trials=100"))
    elif trials > combinations:
        rule = f"must be at most the {combinations:.0f} combinations that the space has"
        remedy = "lower it, or train all of them: leave hydra/sweeper out"
        faults.append(Fault("sweep.trials", rule, str(trials), remedy))
    if len(set(sweep.objectives)) < len(sweep.objectives):
        rule = "must name each objective once"
        faults.append(Fault("sweep.objectives", rule, text(list(sweep.objectives)), "remove the second mention"))
    if sweep.pruner != NEVER and len(sweep.objectives) > 1:
        rule = f"must be {NEVER} with several objectives, by which no trial is worse than another"
        faults.append(Fault("sweep.pruner", rule, sweep.pruner, "keep one of sweep.objectives, or leave it out"))
    if sweep.pruner != NEVER and all(spec.replicates == 1 for spec in space.specs):
        rule = f"must be {NEVER} with replicates=1, of which no part can be trained"
        faults.append(Fault("sweep.pruner", rule, sweep.pruner, "say replicates=100, or leave it out"))
    if settings.study is not None:
        remedy = "leave hydra/sweeper out, or the study"
        faults.append(Fault("study", "cannot be judged by a search, which has other cells", remedy=remedy))
    if faults:
        raise SpecError(faults)
    shared_out(space.specs, 1, settings.runtime.memory, Use(settings.tracking.enabled))


def study_of(space: Space, settings: Settings, journal: bytes | None = None) -> Study:
    """The study of a search with these settings; that of a ``journal`` to go on with.

    Raises:
        SpecError: it has more trials already than are asked for, or makes something else good.
        TrackingError: the journal is none, or that of another space.
    """
    sweep, first = settings.sweep, space.specs[0]
    most = max(spec.replicates for spec in space.specs)
    study = Study(space, sweep.objectives, sweep.sampler, sweep.pruner, first.seed, rungs(most), journal)
    there = sum(trial.cell is not None for trial in study.trials)
    if there > (sweep.trials or 0):
        rule = f"must be at least the {there} trials that the search has already: it counts them too"
        raise SpecError([Fault("sweep.trials", rule, str(sweep.trials), f"try sweep.trials={there + sweep.batch}")])
    return study


@dataclass
class SearchTraining(Trainer):
    """Trains the trials of a search, a batch at a time. Call ``begin`` first.

    ``cells`` are those of all trials so far, by number; with a pruner, some have fewer replicates in ``by_cell`` in the
    end. ``keep`` is given the study's journal whenever it must be filed: before anything that it says is.
    """

    part = "the first batch of the search"
    study: Study
    settings: Settings
    carry: Carry | None = None
    packed: bool = False
    keep: Callable[[bytes], object] = lambda journal: None
    seconds: dict[str, float] = field(default_factory=lambda: {"train": 0.0, "diagnose": 0.0, "ask and tell": 0.0})
    updaters: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.cells: list[Cell] = []
        self.tags: dict[int, dict[str, str]] = {}
        self.by_cell = {}
        self.pruned: set[int] = set()
        self._trials: dict[int, Asked] = {}
        self._known: set[RunSpec] = set()
        self._trained = 0
        self._refused: Fault | None = None
        for trial in [trial for trial in self.study.trials if trial.cell is not None]:
            self._take_earlier(trial)
        self._batch: list[int] = []

    @property
    def total(self) -> int:
        """Trials of the search in all."""
        assert self.settings.sweep.trials is not None
        return self.settings.sweep.trials

    def found(self, outcomes: Mapping[int, Mapping[str, np.ndarray]]) -> Found:
        """What the search has found, by what became of its cells."""
        specs = [self.by_cell.get(number, cell.spec) for number, cell in enumerate(self.cells)]
        objectives, sampler = self.study.objectives, self.study.sampler
        return found(objectives, specs, outcomes, frozenset(self.pruned), sampler)

    def begin(self, outcomes: Mapping[int, Mapping[str, np.ndarray]]) -> bool:
        """Tell the study what is filed already, and ask for the first trials; whether there are any to train.
        ``outcomes`` are those of the cells that need no training."""
        for number, trial in self._trials.items():
            if number in outcomes:
                self._tell(trial, self.cells[number].spec, outcomes[number])
        missing = [number for number in self._trials if number not in outcomes]
        self._batch = missing or self._asked()
        if not self._batch:
            return False
        self._training = self._training_of(self._batch, [self.cells[number].spec for number in self._batch])
        self.plan, self.workers, self.shared = self._training.plan, self._training.workers, self._training.shared
        self._proposed = len(self.cells) - (0 if missing else len(self._batch))
        a_trial = sum(spec.replicates for spec in self._training.specs) / len(self._batch)
        self.most_networks = round(a_trial * (self.total - len(self.cells) + len(self._batch)))
        return True

    def stopped(self) -> list[Stopped]:
        return self._training.stopped()

    def __iter__(self) -> Iterator[TrainingEvent]:
        while self._batch:
            self.keep(self.study.journal())
            for number in range(self._proposed, len(self.cells)):
                yield Proposed(number, self.cells[number].spec)
            self._proposed = len(self.cells)
            self.by_cell |= {number: self.cells[number].spec for number in self._batch}
            yield from self._whole() if self.settings.sweep.pruner == NEVER else self._in_rounds()
            self._batch = self._asked()
            if self._batch:
                self._training = self._training_of(self._batch, [self.cells[number].spec for number in self._batch])
            elif len(self.cells) < self.total:
                yield Notice(self._nothing_new())
        self.keep(self.study.journal())

    def _nothing_new(self) -> str:
        why = f"; the last combination that was refused: {self._refused}" if self._refused else ""
        return (
            f"{NOTHING_NEW} proposals in a row were no cell that is not there already: the search ends with "
            f"{len(self.cells)} trials{why}"
        )

    def _take_earlier(self, trial: Asked) -> None:
        """Take up a trial of the study that the search goes on with."""
        cell, faults = self.study.space.cell(trial.block, trial.values)
        if cell is None or trial.cell != len(self.cells):
            rule = "must have the trials of this space"
            raise SpecError([Fault("the study", rule, f"trial {trial.number}"), *faults])
        self._known.add(cell.spec)
        if trial.pruned_at is not None:
            cell = replace(cell, spec=replace(cell.spec, replicates=trial.pruned_at))
            self.pruned.add(len(self.cells))
        self._enter(trial, cell)

    def _enter(self, trial: Asked, cell: Cell) -> None:
        number = len(self.cells)
        self.cells.append(cell)
        self._trials[number] = trial
        self.tags[number] = {TRIAL_TAG: str(trial.number)}

    def _asked(self) -> list[int]:
        """The next batch of trials, each of a cell that is not there yet; fewer, or none, where nothing new comes."""
        started, before, in_a_row = time.perf_counter(), len(self.cells), 0
        most = min(self.settings.sweep.batch, self.total - before)
        while len(self.cells) - before < most and in_a_row < NOTHING_NEW:
            trial = self.study.ask(at_random=in_a_row >= AT_RANDOM)
            cell, faults = self.study.space.cell(trial.block, trial.values)
            if cell is None or cell.spec in self._known:
                self._refused = faults[0] if faults else self._refused
                self.study.refuse(trial)
                in_a_row += 1
                continue
            in_a_row = 0
            self._known.add(cell.spec)
            self.study.take(trial, len(self.cells))
            self._enter(trial, cell)
        self.seconds["ask and tell"] += time.perf_counter() - started
        return list(range(before, len(self.cells)))

    def _tell(self, trial: Asked, spec: RunSpec, rows: Mapping[str, np.ndarray]) -> None:
        if trial.done:
            return
        started = time.perf_counter()
        self.study.tell(trial, [OBJECTIVES[name].value(rows, spec) for name in self.study.objectives])
        self.seconds["ask and tell"] += time.perf_counter() - started

    def _refuse(self, number: int) -> None:
        if not self._trials[number].done:
            self.study.refuse(self._trials[number])

    def _training_of(self, cells: Sequence[int], specs: Sequence[RunSpec]) -> Training:
        """What trains them. Artifacts are not made there: what is forked while runs are filed must not need the
        libraries that do it, whose locks may be held just then."""
        rounds = self.settings.sweep.pruner != NEVER
        return Training(specs, self.settings.runtime, carry=self.carry, keep=rounds, cells=cells, packed=self.packed)

    def _whole(self) -> Iterator[TrainingEvent]:
        """Train the batch once through."""
        for event in self._followed():
            if isinstance(event, TrainedCell):
                self._tell(self._trials[event.index], event.spec, outcome_rows(event.result))
            yield event

    def _followed(self) -> Iterator[TrainingEvent]:
        """The events of what trains at present, as those of the whole search; what it took is added up."""
        for event in self._training:
            if isinstance(event, Failed):
                self._refuse(event.index)
            yield Advance(self._trained + event.networks, event.right) if isinstance(event, Advance) else event
        self._trained += self._training.plan.networks
        for part, seconds in self._training.seconds.items():
            self.seconds[part] += seconds
        self.updaters.update(self._training.updaters)

    def _in_rounds(self) -> Iterator[TrainingEvent]:
        """Train the batch by parts of its replicates, after each of which the pruner ends trials."""
        so_far: dict[int, Results] = {}
        going = list(self._batch)
        while going:
            wanted = {cell: self._next_rung(cell, so_far.get(cell)) for cell in going}
            more = [self._more(cell, so_far.get(cell), wanted[cell]) for cell in going]
            self._training = self._training_of(going, more)
            trained: list[int] = []
            for event in self._followed():
                if isinstance(event, TrainedCell):
                    trained.append(event.index)
                    so_far[event.index] = joined(so_far.get(event.index), event.result)
                else:
                    yield event
            ended = [cell for cell in sorted(trained) if self._ends(cell, so_far[cell])]
            self.keep(self.study.journal())
            for cell in ended:
                self.by_cell[cell] = so_far[cell].spec
                yield TrainedCell(cell, so_far.pop(cell))
            going = [cell for cell in sorted(trained) if cell in so_far]

    def _next_rung(self, cell: int, so_far: Results | None) -> int:
        have = 0 if so_far is None else so_far.spec.replicates
        whole = self.cells[cell].spec.replicates
        return whole if cell in self.pruned else next(rung for rung in rungs(whole) if rung > have)

    def _more(self, cell: int, so_far: Results | None, wanted: int) -> RunSpec:
        spec, have = self.cells[cell].spec, 0 if so_far is None else so_far.spec.replicates
        return replace(spec, seed=spec.seed + have, replicates=wanted - have)

    def _ends(self, cell: int, so_far: Results) -> bool:
        """Whether a trial is whole, or the pruner ends it; either is told to the study."""
        trial, spec, rows = self._trials[cell], self.cells[cell].spec, outcome_rows(so_far)
        if so_far.spec.replicates == spec.replicates:
            self._tell(trial, spec, rows)
            return True
        started = time.perf_counter()
        values = OBJECTIVES[self.study.objectives[0]].of_networks(rows, spec)
        ends = self.study.prunes(trial, values, so_far.spec.replicates)
        self.seconds["ask and tell"] += time.perf_counter() - started
        if ends:
            self.pruned.add(cell)
            self.cells[cell] = replace(self.cells[cell], spec=so_far.spec)
        return ends
