"""The run above the trials of a search: begun, gone on with, completed; its study is an artifact of it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile

from nnspec.compose.stating import words
from nnspec.errors import Fault, TrackingError
from nnspec.journal.earlier import LAST, experiment_name
from nnspec.journal.parent import Parent, shared_params
from nnspec.parts.loading import loaded
from nnspec.report.searched import search_description, search_metrics, search_report
from nnspec.results.outcome import Outcome
from nnspec.search.objectives import Found
from nnspec.search.space import Space
from nnspec.settings import Settings, Tracking
from nnspec.specs import fresh_seed
from nnspec.sweep import Cell
from nnspec.terminal import complain
from nnspec.tracking import RunEnd, RunStart, Store, open_store
from nnspec.tracking.artifacts import spec_yaml
from nnspec.tracking.provenance import process_tags
from nnspec.tracking.records import AXES_TAG, COMMAND_TAG, NOTE_TAG, SEARCH_TAG, SWEEP_TAG
from nnspec.tracking.store import RunFacts, RunQuery, now_ms

STUDY, BEST = "search/study.journal", "search/best.yaml"  # artifacts of a search's run
BEST_TAG = "nnspec.best_cell"
DIMENSION = "axis."  # params of what is searched begin so


@dataclass(frozen=True)
class EarlierSearch:
    """A search that is there already: its run, and its study's journal; None where it has none yet."""

    run_id: str
    journal: bytes | None


def earlier_search(space: Space, tracking: Tracking, resume: str) -> EarlierSearch | None:
    """The search to go on with: the youngest of this space where ``resume`` is 'last', else that run. None if 'last' is
    meant and there is none at all.

    Raises:
        TrackingError: it is a search of another space, or no search.
    """
    store = open_store(tracking)
    try:
        experiment = store.experiment(tracking.experiment or experiment_name(space.specs))
        run_id = store.latest_sweep(experiment, {SWEEP_TAG: space.digest}) if resume == LAST else resume
        if run_id is None:
            others = store.search(RunQuery(experiment, with_tags=(SEARCH_TAG,)), newest_first=True, limit=1)
            if not others:
                return None
            run_id = others[0].run_id
        facts = store.get(run_id)
        if facts.tags.get(SWEEP_TAG) != space.digest:
            raise _another(facts, space)
        return EarlierSearch(run_id, _journal(store, run_id))
    finally:
        store.close()


def _another(facts: RunFacts, space: Space) -> TrackingError:
    """The error of a run that is no search of this space."""
    if SEARCH_TAG not in facts.tags:
        rule, remedy = "must be 'last' or the id of a search", "look its id up in the MLflow UI, or leave resume out"
        return TrackingError(Fault("resume", rule, facts.run_id, remedy))
    before = {key.removeprefix(DIMENSION): v for key, v in facts.params.items() if key.startswith(DIMENSION)}
    mine = space.listed
    changed = [
        f"{key}: {before.get(key, 'not searched')}" for key in {**before, **mine} if before.get(key) != mine.get(key)
    ]
    what = ", ".join(changed) or "the same axes, with other settings of what all cells share"
    rule = "must be a search of the same space"
    return TrackingError(
        Fault(
            "resume", rule, f"run {facts.run_id} ({what})", "say the same again, or leave resume out for a new search"
        )
    )


def _journal(store: Store, run_id: str) -> bytes | None:
    try:
        return store.artifact(run_id, STUDY)
    except TrackingError:
        if store.find_children(run_id):
            raise
        return None  # it was broken off before the first trial


@dataclass
class SearchParent(Parent):
    """The run of a search, completed by what it has ``found``."""

    space: Space | None = None
    found: Callable[[], Found] | None = None
    command: str = ""
    draw_report: bool = True

    @classmethod
    def of(
        cls,
        space: Space,
        cells: Sequence[Cell],
        tags: Mapping[int, Mapping[str, str]],
        found: Callable[[], Found],
        settings: Settings,
        command: str,
        resume: str | None,
    ) -> SearchParent:
        """Reach the store, find which of the ``cells`` of the search's run ``resume`` are finished, and file the run as
        RUNNING."""
        store = open_store(settings.tracking)
        experiment = settings.tracking.experiment or experiment_name(space.specs)
        start = search_start(space, settings, command)
        self = cls(
            store,
            experiment,
            store.experiment(experiment),
            cells,
            start,
            require=settings.require,
            runs=settings.tracking.runs_of(settings.sweep.trials or 1),
            tags=tags,
            space=space,
            found=found,
            command=command,
            draw_report=settings.sweep.report,
        )
        self.begin(start, resume, settings.sweep)
        return self

    def keep(self, journal: bytes) -> None:
        """File the study as it is."""
        assert self.run_id is not None
        self.store.add_artifacts(self.run_id, {STUDY: journal})

    def end_of(
        self, outcome: Outcome, start: RunStart, run_id: str, status: str, report: Mapping[str, bytes]
    ) -> RunEnd:
        """What is filed at the end: the best spec, the best so far as a picture, and how to train the best, too."""
        assert self.found is not None
        found = self.found()
        drawn = self._drawn(outcome, found) if found.best is not None else {}
        end = super().end_of(outcome, start, run_id, status, drawn)
        tags = {SEARCH_TAG: found.sampler, COMMAND_TAG: self.command}
        best: dict[str, bytes] = {}
        if found.best is not None:
            tags |= {BEST_TAG: str(found.best)}
            best = {BEST: spec_yaml(outcome.specs[found.best])}
        return replace(
            end,
            metrics={**end.metrics, **search_metrics(found)},
            tags={**end.tags, **tags},
            artifacts={**end.artifacts, **best},
            last_step=found.trials,  # a search that went on has its metrics anew
        )

    def _note(self, outcome: Outcome, start: RunStart, run_id: str, report: Collection[str]) -> str:
        assert self.found is not None
        assert self.space is not None
        found, links = self.found(), self._links(outcome, run_id, report)
        alone = best_command(self.command, outcome, found)
        return search_description(outcome, found, self.space, self.command, alone, links)

    def _drawn(self, outcome: Outcome, found: Found) -> dict[str, bytes]:
        if not self.draw_report or self.space is None or outcome.interrupted:
            return {}
        try:
            return search_report(outcome, found, self.space, self.command, best_command(self.command, outcome, found))
        except Exception as error:  # a picture of the results is not worth losing them
            complain(f"the search has no report: {' '.join(str(error).split()) or type(error).__name__}")
            return {}


def best_command(command: str, outcome: Outcome, found: Found) -> str:
    """The command that trains the best cell alone, on seeds that no trial had, with the user's own parts."""
    if found.best is None:
        return ""
    program = list(takewhile(lambda word: not word.startswith("-") and "=" not in word, shlex.split(command)))
    if len(program) < 2:  # python with flags of its own, or nothing
        program = ["nnspec", "run"]
    parts = [word for path in loaded() for word in ("--parts", str(path))]
    best = outcome.specs[found.best]
    most = max(spec.replicates for spec in outcome.specs)  # all trials begin with the same seed
    fresh = replace(best, seed=fresh_seed(replace(best, replicates=most), best.replicates))
    return shlex.join([*program, *parts, *words(fresh)])


def search_start(space: Space, settings: Settings, command: str) -> RunStart:
    """The start record of a search: what is searched, and what all cells share."""
    listed = space.listed
    name = "search-" + "-x-".join(axis.split(".")[-1] for axis in space.axes[:4])
    tags = {
        **process_tags(),
        SWEEP_TAG: space.digest,
        SEARCH_TAG: settings.sweep.sampler,
        COMMAND_TAG: command,
        AXES_TAG: json.dumps(list(space.axes)),
        NOTE_TAG: f"a search over {', '.join(space.axes)}",
    }
    params = {f"{DIMENSION}{key}": said for key, said in listed.items()} | shared_params(space.specs)
    return RunStart(f"{name}-{space.digest[:4]}", params, tags, start_time=now_ms())
