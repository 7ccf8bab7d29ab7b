"""A search: a command whose cells a sampler proposes."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from nnspec.analysis.tables import write_csv
from nnspec.execute.engine import Carry
from nnspec.execute.engines import chosen
from nnspec.journal.searching import SearchParent, best_command, earlier_search
from nnspec.processes import collect_garbage
from nnspec.report import as_json, console
from nnspec.report.searched import search_info, search_table, search_text
from nnspec.report.sweep_result import refuse_unwritable
from nnspec.report.voice import Say, voice
from nnspec.results.outcome import Outcome
from nnspec.runner.command import begun, close, required, show, tell_failures, train
from nnspec.runner.plans import planned, show_plan
from nnspec.search.objectives import Found
from nnspec.search.space import Space
from nnspec.search.study import require_optuna
from nnspec.search.training import SearchTraining, refuse_unfit, study_of
from nnspec.settings import ALL, Settings


def search(
    space: Space,
    settings: Settings,
    command: str = "",
    expand_seconds: float = 0.0,
    carry: Carry | None = None,
) -> Outcome:
    """Search a space: train, diagnose and file the cells that the sampler proposes, as ``run`` does those of a sweep.

    Raises:
        SpecError: the settings do not fit the space, or what it has does not fit into memory; nothing has trained then.
        NnspecError: Optuna is not installed.
        TrackingError: the store cannot be reached, or what is to be resumed is no search of this space.
    """
    # a worker is forked with each batch, while another thread files: what that one would import must be there
    import pandas  # noqa: F401
    import pyarrow.parquet  # noqa: F401

    started = time.perf_counter()
    collect_garbage()
    require_optuna()
    refuse_unfit(space, settings)
    speak, files = voice(settings), settings.tracking.enabled
    earlier = earlier_search(space, settings.tracking, settings.resume) if settings.resume and files else None
    if settings.resume and earlier is None and files:
        speak.note("no search of this space to resume yet: starting it")
    packed = settings.tracking.runs_of(settings.sweep.trials or 1) != ALL
    carry, runtime = chosen(settings.runtime, carry, settings.sweep.plan_only)
    study = study_of(space, settings, earlier.journal if earlier else None)
    training = SearchTraining(study, replace(settings, runtime=runtime), carry, packed)
    cells = training.cells  # which grow
    outcome = Outcome([cell.spec for cell in cells], space.axes, seconds={"expand and check": expand_seconds})
    if settings.sweep.plan_only:
        training.begin({})
        show_plan(planned(training), settings, speak)
        return outcome
    refuse_unwritable(settings.sweep.csv)

    def found() -> Found:
        return training.found(outcome.outcomes)

    def begin() -> SearchParent:
        parent = SearchParent.of(
            space, cells, training.tags, found, settings, command, earlier.run_id if earlier else None
        )
        training.keep = parent.keep
        return parent

    with begun(begin, files) as (parent, interrupts):
        if parent is not None:
            parent.take_earlier(outcome, speak.note)
        if training.begin(outcome.outcomes):
            trials = console.count(training.total, "trial")
            speak.note(f"{console.plan_line(training.plan, training.workers)}, of {trials}")
            train(training, outcome, parent, interrupts, False, speak.bar)
        best = found().best  # of whose cell alone something is required
        outcome.checks = [check for check in required(outcome, settings.require) if check.cell == best]
        if parent is not None:
            close(parent, outcome, settings, speak.error)
    outcome.seconds["all"] = time.perf_counter() - started + expand_seconds
    alone = best_command(command, outcome, found())

    def info() -> dict[str, Any]:
        place = parent.place(outcome) if parent is not None else None
        said = as_json.run_info(outcome, cells, True, place, settings.timings)
        return said | {"search": search_info(found(), alone)}

    def told(say: Say) -> None:
        if settings.sweep.csv and outcome.outcomes:
            write_csv(search_table(outcome, found(), space), settings.sweep.csv, "sweep.csv")
            say(f"table       {settings.sweep.csv}")
        if outcome.outcomes:
            say(search_text(outcome, found(), space, alone))
        if parent is not None:
            parent.show(outcome, say)

    show(settings, speak, outcome, info, told)
    tell_failures(outcome, cells, True, command, settings, speak.error)
    return outcome
