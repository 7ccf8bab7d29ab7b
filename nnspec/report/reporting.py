"""Reports of sweeps and runs: gathers what they show, from cells that have just trained or from filed runs, and draws
it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from nnspec.analysis.measures import SOLVED
from nnspec.diagnostics import estimate_notes
from nnspec.duration import tolerance
from nnspec.report.activations import activation_curves
from nnspec.report.collected.collecting import BANDS, Collector
from nnspec.report.drawing import Drawer, drawer_of, pictures_ahead
from nnspec.report.material import Material
from nnspec.report.showing import modules_of, surfaces, unit_lines
from nnspec.report.sweep_result import sweep_why
from nnspec.results.outcome import Outcome
from nnspec.results.race import Race
from nnspec.results.table import choices
from nnspec.specs import RunSpec, combinations
from nnspec.terminal import complain

if TYPE_CHECKING:
    import pandas as pd

FOLDER = "report"
MOST_LINES = 3  # networks whose hidden units are drawn: one row of the dearest figure


def spec_text(params: Mapping[str, str]) -> str:
    """The params of a sweep, which are what its cells share and the values of its axes, a line each."""
    return "".join(f"{key}: {value}\n" for key, value in params.items())


def filed_at(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """The files of a report by their artifact paths."""
    return {f"{FOLDER}/{name}": content for name, content in files.items()}


@dataclass
class SweepReport:
    """The report of a sweep that trains: fed with cells, asked for at the end. A failure is told in a line and is none
    of the sweep's."""

    specs: Sequence[RunSpec]
    axes: Sequence[str]  # as typed
    by: Sequence[str] | None = None
    command: str = ""
    spec: str = ""
    title: str = ""
    drawer: Drawer | None = None  # where one has been started already
    seconds: float | None = None
    _failed: bool = False

    def __post_init__(self) -> None:
        columns = choices(self.axes, (spec.model.name for spec in self.specs))
        self.collector = Collector(self.specs, columns)
        self._guarded(self._start)

    def _start(self) -> None:
        if self.drawer is None:
            self.drawer = drawer_of(self.specs)

    def add(self, cell: Any) -> None:
        """Take in a trained cell."""
        self._guarded(lambda: self.collector.add(cell))

    def begin(self, outcome: Outcome) -> None:
        """Begin to draw the report."""
        self._guarded(lambda: self._begin(outcome))

    def files(self) -> dict[str, bytes]:
        """The report by artifact path; empty if it failed or was never begun."""
        found: dict[str, bytes] = {}
        if self.drawer is not None and self.drawer.asked:
            self._guarded(lambda: found.update(self._files()))
        return found

    def stop(self) -> None:
        """End the process that draws; may be called twice."""
        if self.drawer is not None:
            self.drawer.stop()
            self.drawer = None

    def _begin(self, outcome: Outcome) -> None:
        if self.drawer is not None and outcome.outcomes:
            said = {"command": self.command, "spec": self.spec, "title": self.title}
            material = pictured(self.collector, outcome.table(), by=self.by, race=outcome.race, **said)
            self.drawer.draw_ahead(partial(pictures_ahead, material))
            why = [str(one) for one in sweep_why(outcome)]
            self.drawer.draw(replace(material, why=why, samples=self.collector.sampler.samples()))

    def _files(self) -> dict[str, bytes]:
        assert self.drawer is not None
        drawer, self.drawer = self.drawer, None
        files, self.seconds = drawer.result()
        return filed_at(files)

    def _guarded(self, work: Any) -> None:
        if self._failed:
            return
        try:
            work()
        except Exception as error:  # a picture of the results is not worth losing them
            self._failed = True
            reason = " ".join(str(error).split()) or type(error).__name__
            complain(f"the sweep has no report: {reason}; make it later with: nnspec report last")
            self.stop()


def material_of(collector: Collector, table: pd.DataFrame, *, why: Sequence[str] = (), **said: Any) -> Material:
    """What to draw of the cells that were collected and the table of all; ``said`` is what ``pictured`` takes."""
    return replace(pictured(collector, table, **said), why=why, samples=collector.sampler.samples())


def pictured(
    collector: Collector,
    table: pd.DataFrame,
    *,
    command: str = "",
    spec: str = "",
    title: str = "Sweep",
    by: Sequence[str] | None = None,
    measure: str = SOLVED,
    race: Race | None = None,
) -> Material:
    """All of it but why networks did not learn and the samples of single ones, which no picture shows."""
    from nnspec.analysis.levels import MEASURED

    specs = combinations(collector.specs)
    axes = [axis for axis in collector.axes if axis in table.columns]
    shown = collector.shown()
    return Material(
        table[[*axes, *(name for name in MEASURED if name in table.columns)]],
        axes,
        curves=collector.curves(),
        test_curves={name: curves for name in BANDS[1:] if (curves := collector.curves(name))},
        surfaces=[drawn for one in shown for drawn in surfaces(one.spec, one.moments[-1:], [one.label])],
        lines=[line for one in shown[:MOST_LINES] if (line := unit_lines(one)) is not None],
        confusions=collector.confusions(),
        activations=activation_curves(specs),
        tolerance=tolerance(specs[0]),
        by=by,
        race=race,
        command=command,
        spec_yaml=spec,
        title=title,
        measure=measure,
        notes=estimate_notes(specs),
        modules=modules_of(specs),
    )
