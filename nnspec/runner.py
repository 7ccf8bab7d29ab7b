"""One command from cells to filed results: the room where plan, train, diagnose and tracking meet."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from nnspec.analysis.tables import write_csv
from nnspec.claims.judging import answerable, judge
from nnspec.claims.measures import rows_of
from nnspec.claims.writing import lines as claim_lines
from nnspec.documents import document
from nnspec.errors import NnspecError, TrackingError
from nnspec.execute.budget import planned_bytes
from nnspec.execute.engine import Carry, Training
from nnspec.execute.engines import chosen
from nnspec.execute.interrupts import Interrupts
from nnspec.execute.pool import cores
from nnspec.execute.racing import RaceTraining
from nnspec.execute.rounds import Rounds
from nnspec.execute.trainers import Trainer, trainer
from nnspec.journal.earlier import in_filed_order
from nnspec.journal.filer import Filer
from nnspec.journal.parent import Parent
from nnspec.journal.searching import SearchParent, best_command, earlier_search
from nnspec.processes import collect_garbage
from nnspec.report import as_json, console
from nnspec.report.drawing import Drawer
from nnspec.report.filing import filing_text, replicates_hint
from nnspec.report.searched import search_info, search_table, search_text
from nnspec.report.sweep_result import refuse_unwritable
from nnspec.report.voice import SILENT, Say, Voice, voice
from nnspec.results.events import Failed, Proposed, TrainedCell
from nnspec.results.outcome import Outcome
from nnspec.results.requirements import Check, checks, unmet_lines
from nnspec.search.objectives import Found
from nnspec.search.space import Space
from nnspec.search.study import require_optuna
from nnspec.search.training import SearchTraining, refuse_unfit, study_of
from nnspec.settings import ALL, BEST, Require, Settings
from nnspec.study import Study
from nnspec.sweep import Cell
from nnspec.terminal import complain
from nnspec.tracking.spool import kept_message


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
    started = time.perf_counter()
    collect_garbage()
    if settings.resume and settings.tracking.enabled and not settings.sweep.plan_only:
        cells = in_filed_order(cells, settings.tracking, settings.resume)
    outcome = Outcome([cell.spec for cell in cells], axes, seconds={"expand and check": expand_seconds})
    speak = SILENT if quiet else voice(settings)
    keep = keep or not sweep

    runs = settings.tracking.runs_of(len(cells)) if sweep else ALL  # which cells get one
    carry, runtime = chosen(settings.runtime, carry, settings.sweep.plan_only)

    def training_of(missing: Sequence[int]) -> Trainer:
        specs = [outcome.specs[index] for index in missing]
        return trainer(specs, replace(settings, runtime=runtime), carry, keep, missing, runs != ALL, claims)

    claims = _claims(settings, outcome, speak.note)
    training = training_of(range(len(cells)))  # what does not fit into memory is refused before anything is filed
    files = settings.tracking.enabled
    if settings.sweep.plan_only:
        filing = _filing(cells, sweep, command, runs) if files else []
        _show_plan(training, settings, duplicates, filing, speak)
        return outcome
    refuse_unwritable(settings.sweep.csv)
    with Interrupts() as interrupts:
        parent = Parent.open(cells, settings, axes, sweep, command, drawer) if settings.tracking.enabled else None
        try:
            if parent is not None:
                parent.take_earlier(outcome, speak.note)
            missing = [index for index in range(len(cells)) if index not in outcome.outcomes]
            if missing:
                training = training if len(missing) == len(cells) else training_of(missing)
                line = console.plan_line(training.plan, training.workers)
                filing = _filing([cells[index] for index in missing], sweep, command, runs) if files else []
                speak.note("; ".join([line, *filing[:1]]))
                for hint in filing[1:]:
                    speak.note(hint)
                _say_duplicates(speak.note, duplicates)
                _train(training, outcome, parent, interrupts, keep, speak.bar)
            outcome.checks = _judged(outcome, settings.require)
            if claims is not None and not outcome.interrupted:
                outcome.judged, outcome.unjudged = judge(claims, outcome.specs, outcome.outcomes, training.looked)
            if parent is not None:
                _close(parent, outcome, settings, speak.error)
        except BaseException:
            if parent is not None:
                parent.abandon(outcome)
            raise
    outcome.seconds["all"] = time.perf_counter() - started + expand_seconds
    _show(outcome, cells, settings, sweep, parent, speak)
    _tell_failures(outcome, cells, sweep, command, parent is not None, speak.error)
    return outcome


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
        _show_plan(training, settings, 0, ["(the first batch of the search)"], speak)
        return outcome
    refuse_unwritable(settings.sweep.csv)
    with Interrupts() as interrupts:
        parent = None
        try:
            if files:
                resume = earlier.run_id if earlier else None
                summary = partial(_found, training, outcome)
                parent = SearchParent.of(space, cells, training.tags, summary, settings, command, resume)
                training.keep = parent.keep
                parent.take_earlier(outcome, speak.note)
            if training.begin(outcome.outcomes):
                speak.note(console.plan_line(training.plan, training.workers) + f", of {training.total} trials")
                _train(training, outcome, parent, interrupts, False, speak.bar)
            best = training.found(outcome.outcomes).best  # of whose cell alone something is required
            outcome.checks = [check for check in _judged(outcome, settings.require) if check.cell == best]
            if parent is not None:
                _close(parent, outcome, settings, speak.error)
        except BaseException:
            if parent is not None:
                parent.abandon(outcome)
            raise
    outcome.seconds["all"] = time.perf_counter() - started + expand_seconds
    _show_search(outcome, training, settings, command, parent, speak)
    _tell_failures(outcome, cells, True, command, parent is not None, speak.error)
    return outcome


def _found(training: SearchTraining, outcome: Outcome) -> Found:
    return training.found(outcome.outcomes)


def _train(
    training: Trainer | SearchTraining,
    outcome: Outcome,
    parent: Parent | None,
    interrupts: Interrupts,
    keep: bool,
    shown: bool,
) -> None:
    if isinstance(training, Rounds):
        outcome.interval = training.interval
    filer = parent.filer(training.by_cell, training.shared.backlog, outcome.interval) if parent is not None else None
    try:
        most = training.plan.networks if isinstance(training, Training) else training.most_networks
        with closing(console.shown_on_bar(interrupts.each(training), most, shown)) as events:
            for event in events:
                if filer is not None:
                    filer.put(event)
                if isinstance(event, Proposed):
                    outcome.specs.append(event.spec)
                elif isinstance(event, TrainedCell):
                    _take(event, outcome, keep)
                    if parent is not None:
                        parent.take(event)
                elif isinstance(event, Failed):
                    outcome.failed[event.index] = event.reason
        if isinstance(training, RaceTraining):
            outcome.race = training.race
        if parent is not None:
            with interrupts.training():
                parent.draw(outcome)
    except KeyboardInterrupt:
        outcome.interrupted = True
        if isinstance(training, RaceTraining):
            outcome.race = replace(training.race, best=None, known=False)
        if filer is not None:
            for stopped in training.stopped():
                filer.put(stopped)
    finally:
        outcome.seconds |= training.seconds
        outcome.updaters.update(training.updaters)
        if filer is not None:
            _finish(filer, outcome)


def _take(cell: TrainedCell, outcome: Outcome, keep: bool) -> None:
    outcome.specs[cell.index] = cell.spec
    outcome.outcomes[cell.index] = rows_of(cell.result, outcome.study)
    if cell.failure:
        outcome.failed[cell.index] = cell.failure
    if keep:
        outcome.cells[cell.index] = cell


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


def _judged(outcome: Outcome, require: Require) -> list[Check]:
    """What is required of every cell that has an outcome, whoever trained it."""
    cells = sorted(outcome.outcomes.items())
    return [check for index, rows in cells for check in checks(require, index, rows, outcome.interval)]


def _close(parent: Parent, outcome: Outcome, settings: Settings, say: Say) -> None:
    """Complete the command's run, and log the model that is asked for."""
    parent.close(outcome)
    if settings.tracking.model == BEST and outcome.outcomes and not outcome.interrupted:
        _log_model(parent, outcome, say)


def _log_model(parent: Parent, outcome: Outcome, say: Say) -> None:
    """Log the best network of the best cell; a store that does not take it is told."""
    from nnspec.exporting.logged import best_cell, log_best

    started, best = time.perf_counter(), outcome.race.best if outcome.race is not None else None
    cell = best_cell(outcome.outcomes) if best is None else best
    try:
        if cell not in outcome.run_ids:
            raise TrackingError(
                "no model is logged: the run of the best cell is not filed; file it, then nnspec export it"
            )
        outcome.model = log_best(parent.store, outcome.run_ids[cell], outcome.outcomes[cell])
    except NnspecError as error:
        outcome.unfiled = True
        say(str(error))
    outcome.seconds["log the model"] = time.perf_counter() - started


def _finish(filer: Filer, outcome: Outcome) -> None:
    try:
        filer.finish()
    finally:
        outcome.run_ids |= filer.ids
        outcome.unended = filer.unended()
    outcome.seconds["file"] = filer.seconds
    outcome.unfiled = bool(filer.unfiled)
    if filer.unfiled:
        what = f"{filer.spooled} of {console.count(len(filer.done), 'trained run')}"
        complain(kept_message(what, [spool.parent for spool in filer.unfiled], filer.broken))


def _say_duplicates(say: Say, duplicates: int) -> None:
    if duplicates:
        say(f"{console.count(duplicates, 'cell')} stated twice: trained once")


def _filing(cells: Sequence[Cell], sweep: bool, command: str, runs: str) -> list[str]:
    """What is going to be filed, and how it could be less."""
    hint = replicates_hint(cells, command) if runs == ALL else ""
    return [filing_text([cell.spec for cell in cells], sweep, runs), *([hint] if hint else [])]


@dataclass(frozen=True)
class Planned:
    """What would train, in words and as the document of ``--json``. It prints as the words."""

    text: str
    info: dict[str, Any]

    def __repr__(self) -> str:
        return self.text


def planned(training: Trainer | SearchTraining, duplicates: int = 0, filing: Sequence[str] = ()) -> Planned:
    """What would train together, how much memory and about how long it takes; ``duplicates`` are cells stated twice,
    ``filing`` is what would be filed, in words."""
    from nnspec.execute.cost import plan_seconds
    from nnspec.training.loop import probe

    plan, workers = training.plan, training.workers
    memory = planned_bytes(plan, training.shared)
    seconds = plan_seconds(plan, min(workers, cores()), probe)
    rounds = isinstance(training, Rounds)
    lines = [console.plan_report(plan, workers, memory, seconds)]
    if isinstance(training, RaceTraining):
        lines.append(f"(the first look of the race, which trains at most {training.most_networks:,} networks)")
    elif rounds:
        lines.append("(the first round of replicates=auto)")
    lines += filing
    _say_duplicates(lines.append, duplicates)
    return Planned("\n".join(lines), as_json.plan_info(plan, workers, memory, seconds, rounds, duplicates))


def _show_plan(
    training: Trainer | SearchTraining, settings: Settings, duplicates: int, filing: Sequence[str], speak: Voice
) -> None:
    found = planned(training, duplicates, filing)
    if settings.json:
        print(document(found.info))
    speak.asked(found.text)


def _show(
    outcome: Outcome, cells: Sequence[Cell], settings: Settings, sweep: bool, parent: Parent | None, speak: Voice
) -> None:
    """What came out: as a document of JSON, or in words."""
    if settings.json and speak is not SILENT:
        place = parent.place(outcome) if parent is not None else None
        print(document(as_json.run_info(outcome, cells, sweep, place, settings.timings)))
    if speak is SILENT:
        return  # what is said takes a while to make
    if sweep and outcome.outcomes:
        from nnspec.report.sweep_result import show_sweep

        show_sweep(outcome, settings, speak.result)
    elif outcome.cells:
        speak.result(console.single_result(outcome.cells[0], outcome.interval))
    if outcome.study is not None and outcome.judged:
        speak.result("\n".join(["", *claim_lines(outcome.study, outcome.judged)]))
    if parent is not None:
        parent.show(outcome, speak.result)
    if settings.timings:
        speak.asked(console.timings_text(outcome.seconds, outcome.updaters))


def _show_search(
    outcome: Outcome,
    training: SearchTraining,
    settings: Settings,
    command: str,
    parent: Parent | None,
    speak: Voice,
) -> None:
    """What a search found: as a document of JSON, or in words."""
    found, space = training.found(outcome.outcomes), training.study.space
    alone = best_command(command, outcome, found)
    if settings.json:
        place = parent.place(outcome) if parent is not None else None
        info = as_json.run_info(outcome, training.cells, True, place, settings.timings)
        print(document(info | {"search": search_info(found, alone)}))
    if settings.sweep.csv and outcome.outcomes:
        write_csv(search_table(outcome, found, space), settings.sweep.csv, "sweep.csv")
        speak.result(f"table       {settings.sweep.csv}")
    if outcome.outcomes:
        speak.result(search_text(outcome, found, space, alone))
    if parent is not None:
        parent.show(outcome, speak.result)
    if settings.timings:
        speak.asked(console.timings_text(outcome.seconds, outcome.updaters))


def _tell_failures(outcome: Outcome, cells: Sequence[Cell], sweep: bool, command: str, filed: bool, say: Say) -> None:
    """What went wrong: why the exit status is not 0."""
    if outcome.failed or outcome.unmet:
        names = [console.cell_name(cell) for cell in cells]
        if outcome.failed:
            say(console.failures_text(outcome.failed, names))
        if outcome.unmet:
            say("\n".join(unmet_lines(outcome.unmet, names if sweep else None)))
    if outcome.unjudged:
        say("\n".join(map(str, outcome.unjudged)))
    if outcome.interrupted:
        done = len(outcome.outcomes)
        resumes = sweep and filed and outcome.interval is None  # replicates=auto cannot
        go_on = f"; go on with: {command} resume=last" if resumes else ""
        kept = ", and what is known of the others is filed" if filed and done < len(outcome.specs) else ""
        say(f"interrupted: {done} of {len(outcome.specs)} cells done{kept}{go_on}")
