"""The run above the cells: a sweep's parent run, or nothing for a single cell. Knows the store and the experiment."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from nnspec.errors import TrackingError
from nnspec.journal.earlier import Earlier, outcome_of, resumed, reused, sweep_digest
from nnspec.journal.filer import Filer, keep
from nnspec.journal.recording import Recorder, now
from nnspec.report.as_json import Place
from nnspec.report.drawing import Drawer
from nnspec.report.reporting import SweepReport, spec_text
from nnspec.report.sweep_result import sweep_artifacts, sweep_metrics, sweep_why
from nnspec.report.voice import Say
from nnspec.results.arrays import Interval
from nnspec.results.events import TrainedCell
from nnspec.results.outcome import Outcome
from nnspec.results.requirements import required_tag
from nnspec.results.table import axis_columns
from nnspec.settings import Require, Settings
from nnspec.specs import RunSpec
from nnspec.sweep import Cell
from nnspec.terminal import complain
from nnspec.tracking import RunEnd, RunStart, Store, Unfiled, open_store
from nnspec.tracking.cell_records import run_name
from nnspec.tracking.locate import run_page, ui_command, uri_flag
from nnspec.tracking.provenance import process_tags
from nnspec.tracking.records import AXES_TAG, NOTE_TAG, SWEEP_TAG
from nnspec.tracking.spool import kept_message

NAME_AXES = 4  # axes named in a sweep's name
PARAM_VALUES = 60  # values of an axis that are listed in its param


@dataclass
class Parent:
    """Where the runs of one command go."""

    store: Store
    experiment: str
    experiment_id: str
    cells: Sequence[Cell]
    start: RunStart | None  # of the sweep; None for a single cell
    run_id: str | None = None
    earlier: Earlier = field(default_factory=Earlier)
    # outcomes of the cells that are finished already
    taken: dict[int, dict[str, np.ndarray]] = field(default_factory=dict)
    report: SweepReport | None = None
    require: Require = field(default_factory=Require)

    @classmethod
    def open(
        cls,
        cells: Sequence[Cell],
        settings: Settings,
        axes: Sequence[str],
        sweep: bool,
        command: str,
        drawer: Drawer | None = None,
    ) -> Parent:
        """Reach the store, find what is there already, and file the sweep's own run as RUNNING."""
        store = open_store(settings.tracking)
        specs = [cell.spec for cell in cells]
        experiment = settings.tracking.experiment or experiment_name(specs)
        self = cls(
            store,
            experiment,
            store.experiment(experiment),
            cells,
            sweep_start(cells, axes, command) if sweep else None,
            require=settings.require,
        )
        if self.start is None:
            return self
        if settings.resume:
            self.earlier = resumed(store, self.experiment_id, specs, settings.resume)
        elif settings.reuse:
            self.earlier = reused(store, self.experiment_id, specs)
        for index, run_id in self.earlier.finished.items():  # before anything is begun: one of them may be unreadable
            self.taken[index] = outcome_of(store, run_id, specs[index].train.epochs)
        if self.earlier.parent is None:
            (self.run_id,) = store.start([self.start], self.experiment_id)
        else:
            self.run_id = self.earlier.parent
            store.set_tags(self.run_id, process_tags())
            store.set_status([self.run_id], "RUNNING")
        if settings.sweep.report and len(self.earlier.finished) < len(cells):
            models = {spec.model.name for spec in specs}
            by = axis_columns(settings.sweep.table, models) if settings.sweep.table else None
            self.report = SweepReport(specs, axes, by, command, spec_text(self.start.params), self.start.name, drawer)
        return self

    def take_earlier(self, outcome: Outcome, say: Say) -> None:
        """Put the outcomes of cells that are filed already into ``outcome``."""
        if self.earlier.message:
            say(self.earlier.message)
        for index, run_id in self.earlier.finished.items():
            outcome.outcomes[index] = self.taken[index]
            outcome.run_ids[index] = run_id

    def take(self, cell: TrainedCell) -> None:
        """Take in a trained cell for the report; its index is that among all cells."""
        if self.report is not None:
            self.report.add(cell)

    def draw(self, outcome: Outcome) -> None:
        """Begin to draw the report, while the last cells are filed."""
        if self.report is not None and not outcome.interrupted:
            self.report.begin(outcome.table())

    def filer(self, specs: Mapping[int, RunSpec], room: float, interval: Interval | None = None) -> Filer:
        """A filer of these cells below this run, in which ``room`` bytes may wait; ``interval`` gives the solve rate's
        limits where Wilson's would not be honest."""
        recorder = Recorder(specs, self.run_id, interval, self.require)
        return Filer(self.store, self.experiment, self.experiment_id, recorder.records, room)

    def close(self, outcome: Outcome) -> None:
        """Complete the sweep's run: totals, the per-network table, status; close what an interruption left RUNNING."""
        outcome.parent = self.run_id
        if outcome.interrupted:
            self._kill(outcome.unended)
        report = self._report(outcome)
        if self.run_id is None or self.start is None:
            return
        status = "KILLED" if outcome.interrupted else "FAILED" if outcome.failed else "FINISHED"
        end = RunEnd(
            self.run_id,
            status,
            metrics=sweep_metrics(outcome),
            tags=required_tag(outcome.checks) | self._note(self.start, outcome),
            artifacts=sweep_artifacts(outcome) | report,
            end_time=now(),
        )
        try:
            self.store.finish([end])
        except (TrackingError, OSError) as error:
            outcome.unfiled = True
            folder = keep(self.experiment, [Unfiled(self.start, end, begun=True)])
            complain(kept_message("the sweep's own run", [folder.parent], error))

    def _note(self, start: RunStart, outcome: Outcome) -> dict[str, str]:
        """The description of the sweep's run, with why networks did not learn."""
        why = sweep_why(outcome)
        return {NOTE_TAG: "\n\n".join([start.tags[NOTE_TAG], *map(str, why)])} if why else {}

    def _report(self, outcome: Outcome) -> dict[str, bytes]:
        """The files of the report; none where it was interrupted, switched off or could not be drawn."""
        if self.report is None:
            return {}
        files = {} if outcome.interrupted else self.report.files()
        self.report.stop()
        if self.report.seconds is not None:
            outcome.seconds["report"] = self.report.seconds
        return files

    def abandon(self, outcome: Outcome) -> None:
        """Close what is open when the command ends by an error, as far as the store lets us: nothing of it runs any
        more."""
        if self.report is not None:
            self.report.stop()
        self._kill([*outcome.unended, *([self.run_id] if self.run_id is not None else [])])

    def _kill(self, run_ids: Sequence[str]) -> None:
        try:
            self.store.set_status(run_ids, "KILLED", now())
        except (TrackingError, OSError) as error:
            complain(f"{error}; {len(run_ids)} runs stay RUNNING until the sweep is resumed")

    def place(self, outcome: Outcome) -> Place | None:
        """Where the run of this command is; None where none was filed."""
        run_id = self.run_id or outcome.run_ids.get(0)
        if run_id is None:
            return None
        name = self.start.name if self.start is not None else run_name(outcome.specs[0])
        location = self.store.location
        command = None if location.kind == "http" else ui_command(location)
        return Place(run_id, name, self.experiment, command, run_page(location, self.experiment_id, run_id))

    def show(self, outcome: Outcome, say: Say) -> None:
        """The name of the run, the commands that say more, and in a last line the address of its page, after the
        command that opens it; a server has it without one."""
        place = self.place(outcome)
        if place is not None:
            say(f"run         {place.name} in experiment {place.experiment}")
            if outcome.model is not None:
                say(f"model       {outcome.model}")
            if self.run_id is None and not outcome.failed:  # a sweep has its report already
                say(f"report      nnspec report last{uri_flag(self.store.location)}")
                if 0 in outcome.outcomes and not outcome.outcomes[0]["solved"].all():
                    say(f"what helps  nnspec remedy last{uri_flag(self.store.location)}")
            say(place.url if place.command is None else f"look at it  {place.command}\n            {place.url}")


def experiment_name(specs: Sequence[RunSpec]) -> str:
    """nnspec-<data name>; a sweep over data sets has all their names, for MLflow nests runs within one experiment
    only."""
    return "nnspec-" + "-".join(dict.fromkeys(spec.data.name for spec in specs))


def sweep_start(cells: Sequence[Cell], axes: Sequence[str], command: str) -> RunStart:
    """The start record of a sweep: its axes with their values, and what all cells share."""
    values: dict[str, dict[str, None]] = {axis: {} for axis in axes}
    for cell in cells:
        for axis, value in cell.choices:
            values.setdefault(axis, {})[value] = None
    digest = sweep_digest(cell.spec for cell in cells)
    name = "sweep-" + "-x-".join(
        f"{axis.split('.')[-1]}{len(found)}" for axis, found in list(values.items())[:NAME_AXES]
    )
    params = {f"axis.{axis}": _listed(list(found)) for axis, found in values.items()}
    params |= shared_params([cell.spec for cell in cells])
    params |= {"cells": str(len(cells)), "networks": str(sum(cell.spec.replicates for cell in cells))}
    tags: Mapping[str, str] = {
        **process_tags(),
        SWEEP_TAG: digest,
        "nnspec.command": command,
        AXES_TAG: json.dumps(list(axes)),
        NOTE_TAG: f"{len(cells)} cells over {', '.join(axes) or 'no axis'}: `{command}`",
    }
    return RunStart(f"{name}-{digest[:4]}", params, tags, start_time=now())


def shared_params(specs: Sequence[RunSpec]) -> dict[str, str]:
    """The fields in which all cells agree."""
    first = specs[0].flat()
    common = set(first.items())
    for spec in specs[1:]:
        common &= set(spec.flat().items())
    return {key: value for key, value in first.items() if (key, value) in common}


def _listed(values: Sequence[str]) -> str:
    more = len(values) - PARAM_VALUES
    return ", ".join(values[:PARAM_VALUES]) + (f", ... and {more} more" if more > 0 else "")
