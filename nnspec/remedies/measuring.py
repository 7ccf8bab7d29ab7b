"""Trains a spec and each change to it on the same seeds."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field

import numpy as np

from nnspec.catalog import INITS
from nnspec.diagnostics import verdict_entry
from nnspec.diagnostics.verdicts import REMEDIES
from nnspec.errors import Fault, NnspecError, SpecError, TrainingError
from nnspec.execute.engine import Training
from nnspec.execute.engines import chosen
from nnspec.execute.interrupts import Interrupts
from nnspec.remedies.changes import Change, changes
from nnspec.remedies.found import ANOTHER_SEED, Measured, Remedies
from nnspec.remedies.seeds import MOST_SEEDS, SEED_COUNTS, affordable, over
from nnspec.remedies.worth import as_it_is, worth
from nnspec.report.console import shown_on_bar
from nnspec.results.events import Failed, TrainedCell
from nnspec.settings import Runtime
from nnspec.specs import RunSpec, fresh_seed


@dataclass
class _Trained:
    """Which networks solved, by cell, [seeds] bool each; why the others have none."""

    solved: dict[int, np.ndarray] = field(default_factory=dict)
    failed: dict[int, str] = field(default_factory=dict)
    interrupted: bool = False


def remedies(
    spec: RunSpec,
    verdict: str | None = None,
    seeds: int | None = None,
    *,
    runtime: Runtime | None = None,
    progress: bool = False,
) -> Remedies:
    """Train a checked spec, and each change that could help against a verdict, on the same seeds: what is each worth?

    The seeds are none of the spec's own: a run that was picked because it failed would make any change look good.

    Args:
        verdict: whose ``remedies`` are tried; None, or one that has none, tries all kinds of changes.
        seeds: how many, for all changes; None takes as many seeds, and changes, as train in about half a minute.
        runtime: how training uses the machine.
        progress: show a bar, where stderr is a terminal.

    Raises:
        SpecError: there is no such verdict, no weight is drawn, there are too few or too many seeds, or training does
            not fit into memory.
        NnspecError: no change makes sense, or it would take too long.
        TrainingError: the spec itself could not be trained.
    """
    _refuse(spec, seeds)
    tried = changes(spec, (verdict_entry(verdict).remedies if verdict else ()) or REMEDIES)
    if not tried:
        raise NnspecError(
            "a remedy must be a change to the spec, but none makes sense here; try others with nnspec run"
        )
    known = len(tried)
    carry, runtime = chosen(runtime or Runtime())
    if seeds is None:
        number, seeds = affordable([spec, *(change.spec for change in tried)], runtime)
        tried = tried[:number]
    first = fresh_seed(spec, seeds)
    specs = [over(one, first, seeds) for one in (spec, *(change.spec for change in tried))]
    trained = _train(Training(specs, runtime, carry=carry), progress)
    return Remedies(
        spec,
        verdict,
        range(first, first + seeds),
        _measured(spec, tried, trained),
        tuple(change.words for change in tried),
        known,
        {tried[place - 1].words: reason for place, reason in trained.failed.items()},
        trained.interrupted,
    )


def _refuse(spec: RunSpec, seeds: int | None) -> None:
    if INITS[spec.init.name].stored:
        rule = "must draw weights, for a change is measured over seeds"
        raise SpecError([Fault("init", rule, f"'{spec.init.name}'", "choose an init that draws them")])
    if seeds is not None and not 2 <= seeds <= MOST_SEEDS:
        raise SpecError([Fault("seeds", f"must be 2 to {MOST_SEEDS:,}", str(seeds), f"try {SEED_COUNTS[0]}")])


def _train(training: Training, progress: bool) -> _Trained:
    found = _Trained()
    networks = training.plan.networks
    try:
        with Interrupts() as interrupts, closing(shown_on_bar(interrupts.each(training), networks, progress)) as events:
            for event in events:
                if isinstance(event, TrainedCell):
                    found.solved[event.index] = event.result.solved
                elif isinstance(event, Failed):
                    found.failed[event.index] = event.reason
    except KeyboardInterrupt:
        found.interrupted = True
    return found


def _measured(spec: RunSpec, tried: Sequence[Change], trained: _Trained) -> tuple[Measured, ...]:
    """The changes that were trained and the spec as it is, by falling gain."""
    if 0 not in trained.solved:
        if trained.interrupted:
            raise KeyboardInterrupt
        raise TrainingError(f"the spec itself could not be trained: {trained.failed.get(0, 'nobody knows why')}")
    plain = trained.solved[0]
    measured = [
        Measured(change.words, change.spec, worth(plain, trained.solved[place], len(tried)))
        for place, change in enumerate(tried, start=1)
        if place in trained.solved
    ]
    measured.append(Measured(ANOTHER_SEED, spec, as_it_is(plain)))
    return tuple(sorted(measured, key=lambda one: -one.worth.difference))
