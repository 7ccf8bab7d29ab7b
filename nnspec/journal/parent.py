"""The run above the cells: a sweep's parent run, or nothing for a single cell. Knows the store and the experiment."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from nnspec.claims.measures import figures, of_weights
from nnspec.claims.writing import PAGE, STUDY_TAG, page, tally
from nnspec.errors import TrackingError
from nnspec.journal.choosing import worth_opening
from nnspec.journal.earlier import RACE_PARAM, Earlier, experiment_name, outcome_of, resumed, reused, sweep_digest
from nnspec.journal.filer import Filer, file_cells, keep
from nnspec.journal.recording import Recorder
from nnspec.readback import read_cell
from nnspec.report.as_json import Place
from nnspec.report.describing import link, running_description, sweep_description
from nnspec.report.drawing import Drawer
from nnspec.report.reporting import SweepReport, play_command, spec_text
from nnspec.report.sweep_result import race_tag, sweep_artifacts, sweep_metrics, sweep_why
from nnspec.report.voice import Say
from nnspec.results.arrays import Interval
from nnspec.results.events import TrainedCell
from nnspec.results.outcome import Outcome
from nnspec.results.requirements import required_tag
from nnspec.results.table import axis_columns
from nnspec.settings import ALL, CHOSEN, Require, Settings, Sweep
from nnspec.specs import RunSpec, combinations
from nnspec.study import Study
from nnspec.sweep import Cell
from nnspec.terminal import complain
from nnspec.tracking import CellStore, RunEnd, RunStart, Unfiled, open_store
from nnspec.tracking.cell_records import points_of, run_name
from nnspec.tracking.locate import cells_in_ui, in_ui, uri_flag
from nnspec.tracking.packs.store import is_packed
from nnspec.tracking.provenance import process_tags
from nnspec.tracking.records import AXES_TAG, COMMAND_TAG, NOTE_TAG, REUSED, SWEEP_TAG
from nnspec.tracking.spool import kept_message
from nnspec.tracking.store import now_ms

NAME_AXES = 4  # axes named in a sweep's name
PARAM_VALUES = 60  # values of an axis that are listed in its param


@dataclass
class Parent:
    """Where the runs of one command go."""

    store: CellStore
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
    runs: str = ALL  # which cells get a run of their own
    by: Sequence[str] | None = None  # axes of its tables, where some are asked for
    tags: Mapping[int, Mapping[str, str]] = field(default_factory=dict)  # of cells by number, besides those of a spec
    filed: Filer | None = None  # by whom

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
            sweep_start(cells, axes, command, settings.sweep) if sweep else None,
            require=settings.require,
            runs=settings.tracking.runs_of(len(cells)) if sweep else ALL,
        )
        if self.start is None:
            return self
        self.begin(self.start, settings.resume, settings.sweep, settings.reuse)
        if settings.sweep.table:
            self.by = axis_columns(settings.sweep.table, {spec.model.name for spec in specs})
        if settings.sweep.report and len(self.earlier.finished) < len(cells):
            play = "" if self.run_id is None else play_command(self.run_id, store.location)
            said = (command, spec_text(self.start.params), self.start.name, play)
            self.report = SweepReport(specs, axes, self.by, *said, drawer)
        return self

    def begin(self, start: RunStart, resume: str | None, sweep: Sweep, reuse: bool = False) -> None:
        """Find the cells that are finished already, and file the sweep's own run as RUNNING: that of ``resume``, or a
        new one."""
        specs = [cell.spec for cell in self.cells]
        if resume:
            self.earlier = resumed(self.store, self.experiment_id, specs, resume, sweep)
        elif reuse:
            self.earlier = reused(self.store, self.experiment_id, specs)
        for index, run_id in self.earlier.finished.items():  # before anything is begun: one of them may be unreadable
            self.taken[index] = outcome_of(self.store, run_id, specs[index].train.epochs)
        if self.earlier.parent is None:
            (self.run_id,) = self.store.start([start], self.experiment_id)
            if self.earlier.finished:
                self.store.add_artifacts(self.run_id, {REUSED: json.dumps(self.earlier.finished).encode()})
        else:
            self.run_id = self.earlier.parent
            self.store.set_tags(self.run_id, process_tags())
            self.store.set_status([self.run_id], "RUNNING")

    def take_earlier(self, outcome: Outcome, say: Say) -> None:
        """Put the outcomes of cells that are filed already into ``outcome``."""
        if self.earlier.message:
            say(self.earlier.message)
        for index, run_id in self.earlier.finished.items():
            outcome.outcomes[index] = self.taken[index] | self._figures(run_id, outcome.study)
            outcome.specs[index] = replace(outcome.specs[index], replicates=len(self.taken[index]["seed"]))
            outcome.run_ids[index] = run_id

    def _figures(self, run_id: str, study: Study | None) -> dict[str, np.ndarray]:
        """The figures of a filed cell's weights that the claims of a study measure."""
        measures = of_weights(study)
        return figures(read_cell(self.store, run_id).result, measures) if measures else {}

    def take(self, cell: TrainedCell) -> None:
        """Take in a trained cell for the report; its index is that among all cells."""
        if self.report is not None:
            self.report.add(cell)

    def draw(self, outcome: Outcome) -> None:
        """Begin to draw the report, while the last cells are filed."""
        if self.report is not None and not outcome.interrupted:
            self.report.begin(outcome)

    def filer(self, specs: Mapping[int, RunSpec], room: float, interval: Interval | None = None) -> Filer:
        """A filer of these cells below this run, in which ``room`` bytes may wait; ``interval`` gives the solve rate's
        limits where Wilson's would not be honest."""
        points = None if self.run_id is None else points_of(len(self.cells))
        pack, numbered = self.runs != ALL and not self.earlier.part, not self.earlier.part
        recorder = Recorder(specs, self.run_id, interval, self.require, pack, points, numbered, tags=self.tags)
        self.filed = Filer(self.store, self.experiment, self.experiment_id, recorder, room)
        return self.filed

    def close(self, outcome: Outcome) -> None:
        """Complete the sweep's run: totals, the per-network table, status; close what an interruption left RUNNING."""
        outcome.parent = self.run_id
        if outcome.interrupted:
            self._kill(self._unended())
        report = self._report(outcome)
        if self.run_id is None or self.start is None:
            return
        if self.runs == CHOSEN and not outcome.interrupted:
            self._file_chosen(outcome)
        status = "KILLED" if outcome.interrupted else "FAILED" if outcome.failed else "FINISHED"
        end = self.end_of(outcome, self.start, self.run_id, status, report)
        try:
            self.store.finish([end])
        except (TrackingError, OSError) as error:
            outcome.unfiled = True
            folder = keep(self.experiment, [Unfiled(self.start, end, begun=True)])
            complain(kept_message("the sweep's own run", [folder.parent], error))

    def end_of(
        self, outcome: Outcome, start: RunStart, run_id: str, status: str, report: Mapping[str, bytes]
    ) -> RunEnd:
        """What is filed at the end of the sweep's run, the files of its report among it."""
        note = self._note(outcome, start, run_id, report)
        claims = {STUDY_TAG: tally(outcome.judged)} if outcome.judged else {}
        return RunEnd(
            run_id,
            status,
            metrics=sweep_metrics(outcome),
            tags=required_tag(outcome.checks) | claims | race_tag(outcome) | {NOTE_TAG: note},
            artifacts={**sweep_artifacts(outcome), **report, **self._study_page(outcome)},
            end_time=now_ms(),
        )

    def _file_chosen(self, outcome: Outcome) -> None:
        """Give the packed cells that are worth opening runs of their own."""
        chosen = [cell for cell in worth_opening(outcome.outcomes) if is_packed(outcome.run_ids.get(cell, ""))]
        specs = {cell: outcome.specs[cell] for cell in chosen}
        recorder = Recorder(specs, self.run_id, outcome.interval, self.require, points=points_of(len(chosen)))
        try:
            cells = [TrainedCell(cell, self.store.packed_cell(outcome.run_ids[cell])) for cell in chosen]
            ids = file_cells(self.store, self.experiment_id, recorder, cells)
        except (TrackingError, OSError) as error:
            complain(f"{error}; the cells worth opening have no runs of their own, try nnspec promote")
            return
        outcome.run_ids |= dict(zip(chosen, ids, strict=True))

    def _note(self, outcome: Outcome, start: RunStart, run_id: str, report: Collection[str]) -> str:
        """The description of the sweep's run."""
        links = self._links(outcome, run_id, report)
        return sweep_description(outcome, sweep_why(outcome), start.tags[COMMAND_TAG], links, self.by)

    def _links(self, outcome: Outcome, run_id: str, report: Collection[str]) -> list[str]:
        """The links to the sweep's report and to its cells."""
        pages = [path for path in report if path.endswith(".html")]
        links = [link("report", in_ui(self.experiment_id, run_id, "artifacts", page)) for page in pages]
        if not all(map(is_packed, outcome.run_ids.values())):
            links.append(link("runs of the cells", cells_in_ui(self.experiment_id, run_id)))
        return links

    def _study_page(self, outcome: Outcome) -> dict[str, bytes]:
        """What became of the claims; none of a sweep that is no study."""
        if outcome.study is None or self.start is None or not outcome.judged:
            return {}
        command = self.start.tags[COMMAND_TAG]
        return {PAGE: page(self.start.name, outcome.study, outcome.judged, command).encode()}

    def _report(self, outcome: Outcome) -> dict[str, bytes]:
        """The files of the report; none where it was interrupted, switched off or could not be drawn."""
        if self.report is None:
            return {}
        files = {} if outcome.interrupted else self.report.files()
        self.report.stop()
        if self.report.seconds is not None:
            outcome.seconds["report"] = self.report.seconds
        return files

    def abandon(self) -> None:
        """Close what is open when the command ends by an error, as far as the store lets us: nothing of it runs any
        more."""
        if self.report is not None:
            self.report.stop()
        self._kill([*self._unended(), *([self.run_id] if self.run_id is not None else [])])

    def _unended(self) -> list[str]:
        """The runs of cells that have begun in the store and whose end is neither filed nor kept."""
        return self.filed.unended() if self.filed is not None else []

    def _kill(self, run_ids: Sequence[str]) -> None:
        try:
            self.store.set_status(run_ids, "KILLED", now_ms())
        except (TrackingError, OSError) as error:
            complain(f"{error}; {len(run_ids)} runs stay RUNNING until the sweep is resumed")

    def place(self, outcome: Outcome) -> Place | None:
        """Where the run of this command is; None where none was filed."""
        run_id = self.run_id or outcome.run_ids.get(0)
        if run_id is None:
            return None
        name = self.start.name if self.start is not None else run_name(outcome.specs[0])
        return Place.of(self.store, self.experiment, self.experiment_id, run_id, name)

    def show(self, outcome: Outcome, say: Say) -> None:
        """The name of the run, the commands that say more, and where to look at it."""
        place = self.place(outcome)
        if place is None:
            return
        more = [f"model       {outcome.model}"] if outcome.model is not None else []
        if self.run_id is None and not outcome.failed:  # a sweep has its report already
            more.append(f"report      nnspec report last{uri_flag(self.store.location)}")
            if 0 in outcome.outcomes and not outcome.outcomes[0]["solved"].all():
                more.append(f"what helps  nnspec remedy last{uri_flag(self.store.location)}")
        for line in place.lines(*more):
            say(line)


def sweep_start(cells: Sequence[Cell], axes: Sequence[str], command: str, sweep: Sweep) -> RunStart:
    """The start record of a sweep: its axes with their values, and what all cells share; of a race what it is about."""
    values: dict[str, dict[str, None]] = {axis: {} for axis in axes}
    for cell in cells:
        for axis, value in cell.choices:
            values.setdefault(axis, {})[value] = None
    digest = sweep_digest([cell.spec for cell in cells], sweep)
    axes_named = "-x-".join(f"{axis.split('.')[-1]}{len(found)}" for axis, found in list(values.items())[:NAME_AXES])
    params = {f"axis.{axis}": _listed(list(found)) for axis, found in values.items()}
    params |= shared_params([cell.spec for cell in cells])
    params |= {"cells": str(len(cells)), "networks": str(sum(cell.spec.replicates for cell in cells))}
    if sweep.race:
        del params["replicates"]
        params |= {"networks": f"at most {sweep.budget}", RACE_PARAM: "true", "sweep.within": str(sweep.within)}
    tags: Mapping[str, str] = {
        **process_tags(),
        SWEEP_TAG: digest,
        COMMAND_TAG: command,
        AXES_TAG: json.dumps(list(axes)),
        NOTE_TAG: running_description(len(cells), axes, command),
    }
    return RunStart("-".join(filter(None, ["sweep", axes_named, digest[:4]])), params, tags, start_time=now_ms())


def shared_params(specs: Sequence[RunSpec]) -> dict[str, str]:
    """The fields in which all cells agree."""
    first = specs[0].flat()
    common = set(first.items())
    for spec in combinations(specs):
        common &= {*spec.flat().items(), ("seed", first["seed"])}
    if any(spec.seed != specs[0].seed for spec in specs):
        common.discard(("seed", first["seed"]))
    return {key: value for key, value in first.items() if (key, value) in common}


def _listed(values: Sequence[str]) -> str:
    more = len(values) - PARAM_VALUES
    return ", ".join(values[:PARAM_VALUES]) + (f", ... and {more} more" if more > 0 else "")
