"""Reports of sweeps and runs: gathers what they show, from cells that have just trained or from filed runs, and draws it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from nnspec.runner.collecting import Collector
from nnspec.runner.drawing import Drawer
from nnspec.runner.showing import Shown, activation_curves, surface, unit_lines
from nnspec.runner.table import axis_column
from nnspec.spec import RunSpec
from nnspec.terminal import complain

if TYPE_CHECKING:
    import pandas as pd

FOLDER = "report"
PAGE = "report.html"
MOST_LINES = 3  # networks whose hidden units are drawn: one row of the dearest figure
MOST_ACTIVATIONS = 8


@dataclass(frozen=True)
class Material:
    """All that the report of a sweep is drawn from; plain values, so that another process can draw it."""

    table: pd.DataFrame
    axes: Sequence[str]
    curves: Mapping[str, tuple[np.ndarray, np.ndarray]]
    shown: Sequence[Shown]
    specs: Sequence[RunSpec]  # one a different activation
    command: str = ""
    spec: str = ""
    title: str = "Sweep"
    by: Sequence[str] | None = None


def prepare() -> None:
    """Load what drawing needs."""
    import scipy.stats  # noqa: F401

    import nnspec.analysis.report_sweep  # noqa: F401


def draw(material: Material) -> dict[str, bytes]:
    """The report of a sweep: its page and its pictures by file name."""
    from nnspec.analysis.report_sweep import sweep_report

    lines = [line for shown in material.shown[:MOST_LINES] if (line := unit_lines(shown)) is not None]
    page, pictures = sweep_report(
        material.table,
        material.axes,
        material.curves,
        [surface(shown) for shown in material.shown],
        lines,
        activation_curves(material.specs, MOST_ACTIVATIONS),
        by=material.by,
        tolerance=material.specs[0].solved.tolerance if material.specs else 0.4,
        command=material.command,
        spec_yaml=material.spec,
        title=material.title,
    )
    return {PAGE: page.encode(), **pictures}


def spec_text(params: Mapping[str, str]) -> str:
    """The params of a sweep, which are what its cells share and the values of its axes, a line each."""
    return "".join(f"{key}: {value}\n" for key, value in params.items())


def filed_at(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """The files of a report by their artifact paths."""
    return {f"{FOLDER}/{name}": content for name, content in files.items()}


@dataclass
class SweepReport:
    """The report of a sweep that trains: fed with cells, asked for at the end. A failure is told in a line and is none of the sweep's."""

    specs: Sequence[RunSpec]
    axes: Sequence[str]  # as typed
    by: Sequence[str] | None = None
    command: str = ""
    spec: str = ""
    title: str = ""
    seconds: float | None = None
    _drawer: Drawer | None = field(default=None, repr=False)
    _failed: bool = False

    def __post_init__(self) -> None:
        columns = [axis_column(axis) for axis in self.axes if axis != "seed"]
        self.collector = Collector(self.specs, columns)
        self._guarded(self._start)

    def _start(self) -> None:
        self._drawer = Drawer(draw, prepare)

    def add(self, cell: Any) -> None:
        """Take in a trained cell."""
        self._guarded(lambda: self.collector.add(cell))

    def begin(self, table: pd.DataFrame) -> None:
        """Begin to draw the report of the cells of ``table``."""
        self._guarded(lambda: self._begin(table))

    def files(self) -> dict[str, bytes]:
        """The report by artifact path; empty if it failed or was never begun."""
        found: dict[str, bytes] = {}
        if self._drawer is not None and self._drawer.asked:
            self._guarded(lambda: found.update(self._files()))
        return found

    def stop(self) -> None:
        """End the process that draws; may be called twice."""
        if self._drawer is not None:
            self._drawer.stop()
            self._drawer = None

    def _begin(self, table: pd.DataFrame) -> None:
        if self._drawer is not None and len(table):
            self._drawer.draw(material_of(self.collector, table, command=self.command, spec=self.spec, title=self.title, by=self.by))

    def _files(self) -> dict[str, bytes]:
        assert self._drawer is not None
        drawer, self._drawer = self._drawer, None
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


def material_of(
    collector: Collector, table: pd.DataFrame, *, command: str = "", spec: str = "", title: str = "Sweep", by: Sequence[str] | None = None
) -> Material:
    """What to draw of the cells that were collected and the table of all."""
    one_each = list({s.activation: s for s in reversed(collector.specs)}.values())[::-1]
    axes = [axis for axis in collector.axes if axis in table.columns]
    return Material(table, axes, collector.curves(), collector.shown(), one_each, command, spec, title, by)
