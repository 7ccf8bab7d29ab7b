"""The way of every command that trains: begun in the store, trained, filed, completed, shown. A map goes it too."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any, Protocol, TypeVar

from nnspec.claims.measures import rows_of
from nnspec.documents import document
from nnspec.errors import NnspecError, TrackingError
from nnspec.execute.engine import Trainer
from nnspec.execute.interrupts import Interrupts
from nnspec.journal.filer import Filer
from nnspec.journal.parent import Parent
from nnspec.report import console
from nnspec.report.voice import SILENT, Say, Voice
from nnspec.results.events import Failed, Proposed, TrainedCell
from nnspec.results.outcome import Outcome
from nnspec.results.requirements import Check, checks, unmet_lines
from nnspec.settings import BEST, Require, Settings
from nnspec.sweep import Cell
from nnspec.terminal import complain
from nnspec.tracking.spool import kept_message


class Abandoned(Protocol):
    """A run in a store that can be given up."""

    def abandon(self) -> None: ...


R = TypeVar("R", bound=Abandoned)


@contextmanager
def begun(begin: Callable[[], R], files: bool) -> Iterator[tuple[R | None, Interrupts]]:
    """The run of a command, None where nothing is filed, and what interrupts training. An error abandons the run."""
    with Interrupts() as interrupts:
        run = begin() if files else None
        try:
            yield run, interrupts
        except BaseException:
            if run is not None:
                run.abandon()
            raise


def train(
    training: Trainer, outcome: Outcome, parent: Parent | None, interrupts: Interrupts, keep: bool, bar: bool
) -> None:
    """Train cells, and file them as they come. Interruption is told by the outcome."""
    outcome.interval = training.interval
    filer = parent.filer(training.by_cell, training.shared.backlog, outcome.interval) if parent is not None else None
    shown = console.shown_on_bar(interrupts.each(training), training.most_networks, bar)
    try:
        with closing(shown) as events:
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
        outcome.race = training.race
        if parent is not None:
            with interrupts.training():
                parent.draw(outcome)
    except KeyboardInterrupt:
        outcome.interrupted = True
        for stopped in training.stopped():
            if filer is not None:
                filer.put(stopped)
        outcome.race = training.race
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


def _finish(filer: Filer, outcome: Outcome) -> None:
    try:
        filer.finish()
    finally:
        outcome.run_ids |= filer.ids
    outcome.seconds["file"] = filer.seconds
    outcome.unfiled = bool(filer.unfiled)
    if filer.unfiled:
        what = f"{filer.spooled} of {console.count(len(filer.done), 'trained run')}"
        complain(kept_message(what, [spool.parent for spool in filer.unfiled], filer.broken))


def required(outcome: Outcome, require: Require) -> list[Check]:
    """What is required of every cell that has an outcome, whoever trained it."""
    cells = sorted(outcome.outcomes.items())
    return [check for index, rows in cells for check in checks(require, index, rows, outcome.interval)]


def close(parent: Parent, outcome: Outcome, settings: Settings, say: Say) -> None:
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


def show(
    settings: Settings, speak: Voice, outcome: Any, info: Callable[[], dict[str, Any]], told: Callable[[Say], None]
) -> None:
    """What came out: ``info`` as a document of JSON, or as it is ``told`` in words; and where the time went."""
    if speak is SILENT:
        return  # what is said takes a while to make
    if settings.json:
        print(document(info()))
    told(speak.result)
    if settings.timings:
        speak.asked(console.timings_text(outcome.seconds, outcome.updaters))


def tell_failures(
    outcome: Outcome, cells: Sequence[Cell], sweep: bool, command: str, settings: Settings, say: Say
) -> None:
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
        done, filed = len(outcome.outcomes), settings.tracking.enabled
        again = command if settings.resume or settings.reuse else f"{command} resume=last"  # once is enough
        resumes = sweep and filed and (outcome.interval is None or outcome.race)  # replicates=auto cannot
        go_on = f"; go on with: {again}" if resumes else ""
        kept = ", and what is known of the others is filed" if filed and done < len(outcome.specs) else ""
        say(f"interrupted: {done} of {len(outcome.specs)} cells done{kept}{go_on}")
