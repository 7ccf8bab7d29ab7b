"""A search's book in Optuna: which trials were asked for, and what became of them.

Its storage is Optuna's journal, held in memory and handed out as the file that Optuna would have written (a line of
JSON each): it is filed with the search's run, before the cells are, and read back to go on. Each trial is proposed by a
sampler of its own seed, so that a search that was broken off goes on as if it had not been.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nnspec.errors import Fault, NnspecError, SpecError, TrackingError
from nnspec.search.objectives import OBJECTIVES
from nnspec.search.space import Dimension, Names, Space, Value
from nnspec.settings import NEVER
from nnspec.specs import text
from nnspec.sweep.where import WHERE

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler
    from optuna.trial import FrozenTrial, Trial

NAME = "nnspec"  # of the study: each has a journal of its own
CELL, REPLICATES = "cell", "replicates"  # what is noted of a trial: its cell, and how far it came if it was pruned
AWAY = 2**31  # seeds of samplers are below


def require_optuna() -> None:
    """Refuse a search where Optuna is not installed.

    Raises:
        NnspecError: it is not.
    """
    try:
        import optuna  # noqa: F401
    except ImportError:
        raise NnspecError(
            "hydra/sweeper=nnspec_search needs Optuna, which is not installed; pip install 'nnspec[search]'"
        ) from None


@dataclass(frozen=True)
class Asked:
    """A trial by its ``number`` in Optuna: its block of the space and the values of that block's dimensions. ``cell``
    is the number of its cell, None where it has none; ``done`` says that its outcome is known, ``pruned_at`` after how
    many replicates it was ended."""

    number: int
    block: int
    values: Mapping[str, Value]
    cell: int | None = None
    done: bool = False
    pruned_at: int | None = None


class Study:
    """The trials of a search. ``seed`` decides what is proposed; ``rungs`` are the numbers of replicates after which a
    pruner looks at a trial; ``journal`` is that of a study to go on with.

    Raises:
        SpecError: the journal is that of other objectives.
        TrackingError: the journal is none, or that of another space.
    """

    def __init__(
        self,
        space: Space,
        objectives: Sequence[str],
        sampler: str,
        pruner: str = NEVER,
        seed: int = 0,
        rungs: Sequence[int] = (1,),
        journal: bytes | None = None,
    ):
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.space, self.sampler, self.seed = space, sampler, seed
        self.objectives = tuple(objectives)
        self.pruner = _pruner(pruner, rungs)
        directions: list[Any] = ["maximize" if OBJECTIVES[name].rising else "minimize" for name in objectives]
        try:
            self._log: list[dict[str, Any]] = [json.loads(line) for line in (journal or b"").splitlines()]
            with _quiet():
                self._storage = _storage(self._log)
                self._study = optuna.create_study(
                    storage=self._storage,
                    study_name=NAME,
                    directions=directions,
                    pruner=self.pruner,
                    load_if_exists=True,
                )
                if not journal:
                    self._study.set_metric_names(list(self.objectives))
                named = self._study.metric_names
                self._id = self._storage.get_study_id_from_name(NAME)
                self.trials = [self._asked(trial) for trial in self._study.get_trials(deepcopy=False)]
        except Exception as error:  # whatever a stranger's file makes of Optuna
            what = " ".join(str(error).split())[:100] or type(error).__name__
            raise TrackingError(
                f"the study of the search must be a journal of Optuna's with the trials of this space, but reading it "
                f"gives: {what}; start the search anew, without resume"
            ) from None
        if named != list(self.objectives):
            rule = f"must be {text(named)}, for which the trials of the search that goes on were proposed"
            remedy = "say the same again, or leave resume out for a new search"
            raise SpecError([Fault("sweep.objectives", rule, text(list(self.objectives)), remedy)])

    def journal(self) -> bytes:
        """The journal's file."""
        return b"".join(json.dumps(line, separators=(",", ":")).encode() + b"\n" for line in self._log)

    def ask(self, at_random: bool = False) -> Asked:
        """One more trial, proposed from all that is known; without regard to it if ``at_random``."""
        number = len(self.trials)
        seed = int(np.random.default_rng([self.seed, number]).integers(AWAY))
        with _quiet():
            self._study.sampler = _sampler("random" if at_random else self.sampler, seed, self.seed, self.space)
            trial = self._study.ask()
            block = 0
            if self.space.conditional:
                labels = self.space.labels
                block = labels.index(str(trial.suggest_categorical(WHERE, labels)))
            values = {dimension.name: _suggested(trial, dimension) for dimension in self.space.blocks[block]}
        self.trials.append(Asked(number, block, values))
        return self.trials[-1]

    def take(self, trial: Asked, cell: int) -> None:
        """Note the cell of a trial."""
        with _quiet():
            self._storage.set_trial_user_attr(self._trial_id(trial), CELL, cell)

    def refuse(self, trial: Asked) -> None:
        """Note that nothing is known of a trial: its cell could not be trained, or another one has it already."""
        from optuna.trial import TrialState

        with _quiet():
            self._study.tell(trial.number, state=TrialState.FAIL)

    def tell(self, trial: Asked, values: Sequence[float]) -> None:
        """Note what the objectives are of a trial."""
        with _quiet():
            self._study.tell(trial.number, values=list(values))

    def prunes(self, trial: Asked, networks: np.ndarray, replicates: int) -> bool:
        """Note the number of each of a trial's networks so far, [n], and ask whether it is to be ended after so many
        ``replicates``, which is then noted, too. A trial that has been looked at there before goes on."""
        from optuna.pruners import WilcoxonPruner
        from optuna.trial import TrialState

        number = self._trial_id(trial)
        with _quiet():
            known = self._storage.get_trial(number).intermediate_values
            if isinstance(self.pruner, WilcoxonPruner):  # it pairs trials by seed
                reported = dict(enumerate(networks.tolist(), start=1))
            else:
                reported = {len(networks): float(OBJECTIVES[self.objectives[0]].pooled(networks))}
            if len(networks) in known:
                return False
            for step, value in reported.items():
                if step not in known:
                    self._storage.set_trial_intermediate_value(number, step, value)
            if not self.pruner.prune(self._study, self._storage.get_trial(number)):
                return False
            self._storage.set_trial_user_attr(number, REPLICATES, replicates)
            self._study.tell(trial.number, state=TrialState.PRUNED)
        return True

    def _trial_id(self, trial: Asked) -> int:
        return self._storage.get_trial_id_from_study_id_trial_number(self._id, trial.number)

    def _asked(self, trial: FrozenTrial) -> Asked:
        """A trial that was read from a journal."""
        labels = self.space.labels
        block = labels.index(str(trial.params[WHERE])) if self.space.conditional and WHERE in trial.params else 0
        cell = trial.user_attrs.get(CELL)
        done = trial.state.is_finished()
        if cell is None:
            return Asked(trial.number, block, {}, done=True)
        values = {dimension.name: trial.params[dimension.name] for dimension in self.space.blocks[block]}
        return Asked(trial.number, block, values, int(cell), done, trial.user_attrs.get(REPLICATES))


def _suggested(trial: Trial, dimension: Dimension) -> Value:
    domain = dimension.domain
    if isinstance(domain, Names):
        return str(trial.suggest_categorical(dimension.name, domain.values))
    low, high = domain.low, domain.high
    if isinstance(low, int) and isinstance(high, int):
        return trial.suggest_int(dimension.name, low, high, step=int(domain.step or 1), log=domain.log)
    return trial.suggest_float(dimension.name, low, high, step=domain.step, log=domain.log)


def _storage(log: list[dict[str, Any]]) -> Any:
    """Optuna's journal storage over a list of its lines."""
    from optuna.storages import JournalStorage
    from optuna.storages.journal import BaseJournalBackend

    class Lines(BaseJournalBackend):
        def read_logs(self, log_number_from: int) -> list[dict[str, Any]]:
            return log[log_number_from:]

        def append_logs(self, logs: list[dict[str, Any]]) -> None:
            log.extend(logs)

    return JournalStorage(Lines())


def _sampler(name: str, seed: int, study_seed: int, space: Space) -> BaseSampler:
    """A sampler by its name in ``sweep.sampler``."""
    from optuna import samplers

    if name == "tpe":
        return samplers.TPESampler(seed=seed, multivariate=True, group=space.conditional, constant_liar=True)
    if name == "gp":
        return samplers.GPSampler(seed=seed)
    if name == "nsga2":
        return samplers.NSGAIISampler(seed=seed)
    if name == "qmc":  # one sequence, of which each trial is a point
        alone = samplers.RandomSampler(seed=seed)
        return samplers.QMCSampler(seed=study_seed % AWAY, scramble=True, independent_sampler=alone)
    return samplers.RandomSampler(seed=seed)


def _pruner(name: str, rungs: Sequence[int]) -> Any:
    """A pruner by its name in ``sweep.pruner``, whose resource is replicates."""
    from optuna import pruners

    if name == "median":
        return pruners.MedianPruner(n_startup_trials=5)
    if name == "halving":
        return pruners.SuccessiveHalvingPruner(min_resource=rungs[0], reduction_factor=2)
    if name == "hyperband":
        return pruners.HyperbandPruner(min_resource=rungs[0], max_resource=rungs[-1], reduction_factor=2)
    if name == "wilcoxon":
        with _quiet():
            return pruners.WilcoxonPruner()
    return pruners.NopPruner()


@contextmanager
def _quiet() -> Iterator[None]:
    """Without Optuna's warnings: of what is experimental, of samplers that draw what depends on other values at
    random."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
