"""One command from cells to filed results: the room where plan, train, diagnose and tracking meet."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nnspec.documents import document
from nnspec.errors import NnspecError, TrackingError
from nnspec.execute.adaptive import AdaptiveTraining, trainer
from nnspec.execute.budget import planned_bytes
from nnspec.execute.engine import Carry, Training
from nnspec.execute.interrupts import Interrupts
from nnspec.execute.pool import cores
from nnspec.journal.filer import Filer
from nnspec.journal.parent import Parent
from nnspec.report import as_json, console
from nnspec.report.drawing import Drawer
from nnspec.report.filing import filing_text, replicates_hint
from nnspec.report.sweep_result import refuse_unwritable
from nnspec.report.voice import SILENT, Say, Voice, voice
from nnspec.results.events import Advance, Failed, Notice, TrainedCell
from nnspec.results.outcome import Outcome
from nnspec.results.requirements import Check, checks, unmet_lines
from nnspec.results.table import outcome_rows
from nnspec.settings import BEST, Require, Settings
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
    outcome = Outcome([cell.spec for cell in cells], axes, seconds={"expand and check": expand_seconds})
    speak = SILENT if quiet else voice(settings)
    keep = keep or not sweep

    def training_of(missing: Sequence[int]) -> Training | AdaptiveTraining:
        specs = [outcome.specs[index] for index in missing]
        return trainer(specs, settings.runtime, settings.auto, settings.tracking.enabled, carry, keep, missing)

    training = training_of(range(len(cells)))  # what does not fit into memory is refused before anything is filed
    files = settings.tracking.enabled
    if settings.sweep.plan_only:
        filing = _filing(cells, sweep, command) if files else []
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
                filing = _filing([cells[index] for index in missing], sweep, command) if files else []
                speak.note("; ".join([line, *filing[:1]]))
                for hint in filing[1:]:
                    speak.note(hint)
                _say_duplicates(speak.note, duplicates)
                _train(training, outcome, parent, interrupts, keep, speak.bar)
            outcome.checks = _judged(outcome, settings.require)
            if parent is not None:
                parent.close(outcome)
                if settings.tracking.model == BEST and outcome.outcomes and not outcome.interrupted:
                    _log_model(parent, outcome, speak.error)
        except BaseException:
            if parent is not None:
                parent.abandon(outcome)
            raise
    outcome.seconds["all"] = time.perf_counter() - started + expand_seconds
    _show(outcome, cells, settings, sweep, parent, speak)
    _tell_failures(outcome, cells, sweep, command, parent is not None, speak.error)
    return outcome


def _train(
    training: Training | AdaptiveTraining,
    outcome: Outcome,
    parent: Parent | None,
    interrupts: Interrupts,
    keep: bool,
    shown: bool,
) -> None:
    bar = console.ProgressBar(training.plan.networks) if shown else None
    if isinstance(training, AdaptiveTraining):
        outcome.interval = training.interval
    filer = parent.filer(training.by_cell, training.shared.backlog, outcome.interval) if parent is not None else None
    try:
        for event in interrupts.each(training):
            if isinstance(event, Advance):
                if bar is not None:
                    bar.update(event.networks, event.right)
                continue
            if isinstance(event, Notice):
                complain(event.text)
                continue
            if filer is not None:
                filer.put(event)
            if isinstance(event, TrainedCell):
                _take(event, outcome, keep)
                if parent is not None:
                    parent.take(event)
            elif isinstance(event, Failed):
                outcome.failed[event.index] = event.reason
        if parent is not None:
            with interrupts.training():
                parent.draw(outcome)
    except KeyboardInterrupt:
        outcome.interrupted = True
        if filer is not None:
            for stopped in training.stopped():
                filer.put(stopped)
    finally:
        if bar is not None:
            bar.close()
        outcome.seconds |= training.seconds
        outcome.updaters.update(training.updaters)
        if filer is not None:
            _finish(filer, outcome)


def _take(cell: TrainedCell, outcome: Outcome, keep: bool) -> None:
    outcome.specs[cell.index] = cell.spec
    outcome.outcomes[cell.index] = outcome_rows(cell.result)
    if cell.failure:
        outcome.failed[cell.index] = cell.failure
    if keep:
        outcome.cells[cell.index] = cell


def _judged(outcome: Outcome, require: Require) -> list[Check]:
    """What is required of every cell that has an outcome, whoever trained it."""
    cells = sorted(outcome.outcomes.items())
    return [check for index, rows in cells for check in checks(require, index, rows, outcome.interval)]


def _log_model(parent: Parent, outcome: Outcome, say: Say) -> None:
    """Log the best network of the best cell; a store that does not take it is told."""
    from nnspec.exporting.logged import best_cell, log_best

    started, cell = time.perf_counter(), best_cell(outcome.outcomes)
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


def _filing(cells: Sequence[Cell], sweep: bool, command: str) -> list[str]:
    """What is going to be filed, and how it could be less."""
    hint = replicates_hint(cells, command)
    return [filing_text([cell.spec for cell in cells], sweep), *([hint] if hint else [])]


@dataclass(frozen=True)
class Planned:
    """What would train, in words and as the document of ``--json``. It prints as the words."""

    text: str
    info: dict[str, Any]

    def __repr__(self) -> str:
        return self.text


def planned(training: Training | AdaptiveTraining, duplicates: int = 0, filing: Sequence[str] = ()) -> Planned:
    """What would train together, how much memory and about how long it takes; ``duplicates`` are cells stated twice,
    ``filing`` is what would be filed, in words."""
    from nnspec.execute.cost import plan_seconds
    from nnspec.training.loop import probe

    plan, workers = training.plan, training.workers
    memory = planned_bytes(plan, training.shared)
    seconds = plan_seconds(plan, min(workers, cores()), probe)
    rounds = isinstance(training, AdaptiveTraining)
    lines = [console.plan_report(plan, workers, memory, seconds)]
    lines += ["(the first round of replicates=auto)"] if rounds else []
    lines += filing
    _say_duplicates(lines.append, duplicates)
    return Planned("\n".join(lines), as_json.plan_info(plan, workers, memory, seconds, rounds, duplicates))


def _show_plan(
    training: Training | AdaptiveTraining, settings: Settings, duplicates: int, filing: Sequence[str], speak: Voice
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
    if outcome.interrupted:
        done = len(outcome.outcomes)
        resumes = sweep and filed and outcome.interval is None  # replicates=auto cannot
        go_on = f"; go on with: {command} resume=last" if resumes else ""
        kept = ", and what is known of the others is filed" if filed and done < len(outcome.specs) else ""
        say(f"interrupted: {done} of {len(outcome.specs)} cells done{kept}{go_on}")
