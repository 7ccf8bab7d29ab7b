"""A run of one cell, a sweep, a race: commands whose cells are known before."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from nnspec.claims.judging import answerable, judge
from nnspec.claims.writing import lines as claim_lines
from nnspec.execute.engine import Carry
from nnspec.execute.engines import chosen
from nnspec.execute.trainers import trainer
from nnspec.journal.earlier import in_filed_order
from nnspec.journal.parent import Parent
from nnspec.processes import collect_garbage
from nnspec.report import as_json, console
from nnspec.report.drawing import Drawer
from nnspec.report.filing import filing_text, replicates_hint
from nnspec.report.sweep_result import refuse_unwritable
from nnspec.report.voice import SILENT, Say, voice
from nnspec.results.outcome import Outcome
from nnspec.runner.command import begun, close, required, show, tell_failures, train
from nnspec.runner.plans import planned, show_plan, stated_twice
from nnspec.settings import ALL, Settings
from nnspec.study import Study
from nnspec.sweep import Cell
from nnspec.tracking.opening import load


def run(
    cells: Sequence[Cell],
    settings: Settings,
    axes: Sequence[str] = (),
    sweep: bool = False,
    command: str = "",
    duplicates: int = 0,
    expand_seconds: float = 0.0,
    quiet: bool = False,
    keep: bool = False,
    carry: Carry | None = None,
    drawer: Drawer | None = None,
) -> Outcome:
    """Train, diagnose and file checked cells, and show how it goes.

    A sweep files a parent run with the cells as its children, else the one cell is a run of its own. ``keep`` keeps the
    arrays of every cell in the outcome; ``carry`` trains the chunks elsewhere; ``drawer`` draws the report, if the
    caller has started one already and stops it. Interruption files what is done and is told by the exit status.
    ``quiet`` says nothing at all, for callers from Python; the settings say how the command line speaks.

    Raises:
        TrackingError: the store cannot be reached; nothing has trained then.
    """
    if settings.tracking.enabled and not settings.sweep.plan_only:
        load(settings.tracking)  # imports are none of what the clock tells
    started = time.perf_counter()
    collect_garbage()
    if settings.resume and settings.tracking.enabled and not settings.sweep.plan_only:
        cells = in_filed_order(cells, settings, settings.resume)
    outcome = Outcome([cell.spec for cell in cells], axes, seconds={"expand and check": expand_seconds})
    speak = SILENT if quiet else voice(settings)
    keep = keep or not sweep

    runs = settings.tracking.runs_of(len(cells)) if sweep else ALL  # which cells get one
    carry, runtime = chosen(settings.runtime, carry, settings.sweep.plan_only)

    claims = _claims(settings, outcome, speak.note)
    training_of = partial(
        trainer, [cell.spec for cell in cells], replace(settings, runtime=runtime), carry, keep, runs != ALL, claims
    )
    training = training_of()  # what does not fit into memory is refused before anything is filed
    files = settings.tracking.enabled
    if settings.sweep.plan_only:
        filing = _filing(cells, sweep, command, runs) if files else []
        show_plan(planned(training, duplicates, filing), settings, speak)
        return outcome
    refuse_unwritable(settings.sweep.csv)
    with begun(partial(Parent.open, cells, settings, axes, sweep, command, drawer), files) as (parent, interrupts):
        if parent is not None:
            parent.take_earlier(outcome, speak.note)
        missing = [index for index in range(len(cells)) if index not in outcome.outcomes]
        if outcome.outcomes and (missing or settings.sweep.race):
            training = training_of(outcome.outcomes)
        if missing:
            line = console.plan_line(training.plan, training.workers)
            filing = _filing([cells[index] for index in missing], sweep, command, runs) if files else []
            for said in ["; ".join([line, *filing[:1]]), *filing[1:], *stated_twice(duplicates)]:
                speak.note(said)
        if missing or settings.sweep.race:  # one that is all filed has to be told all the same
            train(training, outcome, parent, interrupts, keep, speak.bar)
        outcome.checks = required(outcome, settings.require)
        if claims is not None and not outcome.interrupted:
            outcome.judged, outcome.unjudged = judge(claims, outcome.specs, outcome.outcomes, training.looked)
        if parent is not None:
            close(parent, outcome, settings, speak.error)
    outcome.seconds["all"] = time.perf_counter() - started + expand_seconds
    place = parent.place(outcome) if parent is not None else None
    info = partial(as_json.run_info, outcome, cells, sweep, place, settings.timings)
    show(settings, speak, outcome, info, partial(_tell, outcome, settings, sweep, parent))
    tell_failures(outcome, cells, sweep, command, settings, speak.error)
    return outcome


def _claims(settings: Settings, outcome: Outcome, say: Say) -> Study | None:
    """The study of the command, with the claims that its cells can answer alone; a shard has not all of them."""
    if settings.study is None or settings.shard is not None:
        return None
    if settings.sweep.race:
        say("no claim of the study is judged: a race gives cells networks by what they do; leave sweep.race out for it")
        return None
    outcome.study = settings.study
    study, missing = answerable(settings.study, outcome.specs)
    for fault in missing:
        say(str(fault))
    return study if study.claims else None


def _filing(cells: Sequence[Cell], sweep: bool, command: str, runs: str) -> list[str]:
    """What is going to be filed, and how it could be less."""
    hint = replicates_hint(cells, command) if runs == ALL else ""
    return [filing_text([cell.spec for cell in cells], sweep, runs), *([hint] if hint else [])]


def _tell(outcome: Outcome, settings: Settings, sweep: bool, parent: Parent | None, say: Say) -> None:
    """What came out, in words."""
    if sweep and outcome.outcomes:
        from nnspec.report.sweep_result import show_sweep

        show_sweep(outcome, settings, say)
    elif outcome.cells:
        say(console.single_result(outcome.cells[0], outcome.interval))
    if outcome.study is not None and outcome.judged:
        say("\n".join(["", *claim_lines(outcome.study, outcome.judged)]))
    if parent is not None:
        parent.show(outcome, say)
