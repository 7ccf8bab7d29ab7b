"""A study of maps: each cell's seeds have a map each, which is zoomed in on; claims speak of figures of these maps."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from nnspec.analysis.figures.draw import png
from nnspec.analysis.figures.maps import MapAxis, convergence_info, plot_windows
from nnspec.claims.cells import ZOOM, Window, stated
from nnspec.claims.judging import ClaimError, Judged, answerable, judge
from nnspec.claims.measures import OF_MAPS
from nnspec.claims.writing import PAGE, STUDY_TAG, content, lines, page, tally
from nnspec.documents import document
from nnspec.errors import Fault
from nnspec.execute.engine import Carry
from nnspec.execute.engines import chosen
from nnspec.maps.axes import Axis, axes_of
from nnspec.maps.filing import MapRun
from nnspec.maps.result import Map
from nnspec.maps.training import MapTraining, lost_lines, trained
from nnspec.maps.zooming import deeper, refuse_too_deep
from nnspec.processes import INTERRUPTED
from nnspec.report import console
from nnspec.report.as_json import placed
from nnspec.report.voice import SILENT, Voice, voice
from nnspec.results.events import Advance, Notice
from nnspec.runner.command import begun
from nnspec.runner.plans import Planned, show_plan
from nnspec.settings import Settings
from nnspec.specs import RunSpec, text
from nnspec.study import Study

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

SHOWN = 4  # zooms of a cell that are drawn, at most
PICTURE = "maps.png"


@dataclass
class MapStudy:
    """What a study of maps gave: ``claims`` with their verdicts, ``unjudged`` why others have none. ``rows`` has by
    cell the seeds of its maps and their figures, [r] each; ``first`` by cell the map of its first seed.

    It prints as the command line does; a notebook shows the maps.
    """

    study: Study
    cells: list[Window]
    rows: dict[int, dict[str, np.ndarray]] = field(default_factory=dict)
    first: dict[int, Map] = field(default_factory=dict)
    claims: tuple[Judged, ...] = ()
    unjudged: tuple[Fault, ...] = ()
    run_id: str = ""
    interrupted: bool = False
    lost: list[str] = field(default_factory=list)  # why pixels could not train
    unfiled: bool = False

    @property
    def exit_status(self) -> int:
        """0 done; 1 pixels could not train, something is not filed, a claim is refuted or cannot be judged; 130
        interrupted."""
        if self.interrupted:
            return INTERRUPTED
        unexpected = any(not each.as_expected for each in self.claims)
        return int(bool(self.lost or self.unjudged) or self.unfiled or unexpected)

    @property
    def table(self) -> pd.DataFrame:
        """One row a map: its cell's fields that vary, its zoom, seed and figures."""
        import pandas as pd

        found = sorted(self.rows.items())
        frames = [pd.DataFrame({**self._varied(index), ZOOM: self.cells[index].zoom, **rows}) for index, rows in found]
        return pd.concat(frames, ignore_index=True)

    def figure(self) -> Figure:
        """The maps of the first seed: a row for each cell, zoomed in from left to right."""
        deepest = self.cells[-1].zoom
        drawn = {round(deepest * place / (SHOWN - 1)) for place in range(SHOWN)}
        rows: list[tuple[str, list]] = []
        for index, found in sorted(self.first.items()):
            zoom = self.cells[index].zoom
            if zoom == 0:
                rows.append((", ".join(f"{key}={text(value)}" for key, value in self._varied(index).items()), []))
            if zoom in drawn:
                x, y = (MapAxis(axis.key, axis.values, axis.log) for axis in (found.x_axis, found.y_axis))
                rows[-1][1].append((f"zoom {zoom}", convergence_info(x, y, found.convergence)))
        return plot_windows(rows)

    def _varied(self, index: int) -> dict[str, object]:
        """What a cell states that differs between cells, but for the zoom; a member by its key alone."""
        said = [stated(cell) for cell in self.cells]
        keys = [key for key in said[0] if key != ZOOM and not key.endswith(".name")]
        return {key: said[index].get(key) for key in keys if any(other.get(key) != said[0][key] for other in said)}

    def picture(self) -> bytes:
        """The figure as a PNG file."""
        return png(self.figure())

    def __repr__(self) -> str:
        return "\n".join(lines(self.study, self.claims))

    def _repr_png_(self) -> bytes:
        return self.picture()


@dataclass
class MapsTraining:
    """Trains the maps of the cells of a study, one after the other; iterating it fills ``found``.

    Raises:
        SpecError: an axis does not go with a spec, its precision not with the zooms, or a map not into memory.
    """

    specs: Sequence[RunSpec]
    settings: Settings
    carry: Carry | None
    found: MapStudy

    def __post_init__(self) -> None:
        self.zooms = self.settings.sweep.zooms
        self.axes = [axes_of(spec, self.settings.sweep) for spec in self.specs]
        for spec, axes in zip(self.specs, self.axes, strict=True):
            refuse_too_deep(spec, axes, self.zooms)
        carry, runtime = chosen(self.settings.runtime, self.carry, self.settings.sweep.plan_only)
        self.carry, self.runtime = carry, runtime
        each = [spec.replicates * self._map(spec, at).networks for spec, at in zip(self.specs, self.axes, strict=True)]
        self.networks = sum(each) * (self.zooms + 1)
        self.updaters: Counter[str] = Counter()

    @property
    def maps(self) -> int:
        """How many maps there are to train."""
        return sum(spec.replicates for spec in self.specs) * (self.zooms + 1)

    def __iter__(self) -> Iterator[Advance | Notice]:
        done, solved = 0, 0
        for place, (spec, axes) in enumerate(zip(self.specs, self.axes, strict=True)):
            for seed in range(spec.seed, spec.seed + spec.replicates):
                window: tuple[Axis, Axis] | None = axes
                for zoom in range(self.zooms + 1):
                    figures = dict.fromkeys(OF_MAPS, np.nan)
                    if window is not None:
                        training = self._map(replace(spec, seed=seed), window)
                        for event in training:
                            if isinstance(event, Advance):
                                event = Advance(event.networks + done, event.right + solved)
                            yield event
                        done += training.networks
                        solved += int(training.arrays["solved"].sum(dtype=np.int64))
                        self.found.lost += training.lost
                        mapped = Map(training.spec, *window, training.arrays)
                        if mapped.trained.all():
                            figures = mapped.figures
                        window = deeper(mapped)
                        if seed == spec.seed:
                            self.found.first[place * (self.zooms + 1) + zoom] = mapped
                    self._take(place * (self.zooms + 1) + zoom, seed, figures)

    def _map(self, spec: RunSpec, axes: tuple[Axis, Axis]) -> MapTraining:
        return MapTraining(replace(spec, replicates=1), *axes, self.runtime, self.carry)

    def _take(self, index: int, seed: int, figures: dict[str, float]) -> None:
        none = {"seed": np.empty(0, np.int64), **{name: np.empty(0) for name in OF_MAPS}}
        rows = self.found.rows.setdefault(index, none)
        for name, value in {"seed": seed, **figures}.items():
            rows[name] = np.append(rows[name], value)


def run_map_study(
    specs: Sequence[RunSpec],
    settings: Settings,
    command: str = "",
    quiet: bool = False,
    carry: Carry | None = None,
) -> MapStudy:
    """Train the maps of a study of checked specs, judge its claims, file the first map with them, and show it.
    ``carry`` trains pieces elsewhere. Interruption is told by the exit status. ``quiet`` says nothing at all.

    Raises:
        ClaimError: no claim can be answered by such maps.
        SpecError: as ``MapsTraining`` does.
        TrackingError: the store cannot be reached; nothing has trained then.
    """
    started = time.perf_counter()
    assert settings.study is not None
    assert settings.sweep.map is not None
    x, y = (axis[0] for axis in settings.sweep.map)
    cells = [Window(spec, zoom, (x, y)) for spec in specs for zoom in range(settings.sweep.zooms + 1)]
    speak, found = SILENT if quiet else voice(settings), MapStudy(settings.study, cells)
    study, missing = answerable(settings.study, cells)
    if not study.claims:
        raise ClaimError(missing)
    for fault in missing:
        speak.note(str(fault))
    training = MapsTraining(specs, settings, carry, found)
    line = f"{console.count(training.maps, 'map')} of {x} by {y}: {console.count(training.networks, 'network')}"
    if settings.sweep.plan_only:
        info = {"kind": "maps", "maps": training.maps, "networks": training.networks}
        show_plan(Planned(line, info), settings, speak)
        return found
    speak.note(line)
    first = partial(MapRun.begin, replace(specs[0], replicates=1), training.axes[0], settings.tracking, command)
    with begun(first, settings.tracking.enabled) as (run, interrupts):
        found.interrupted = not trained(interrupts.each(training), training.networks, speak.bar)
        if not found.interrupted:
            judged, unjudged = judge(study, cells, found.rows)
            found.claims, found.unjudged = tuple(judged), tuple(unjudged)
        if run is not None:
            _file(run, found, command, time.perf_counter() - started)
    _show(found, settings, run, speak)
    return found


def _file(run: MapRun, found: MapStudy, command: str, seconds: float) -> None:
    """The first map as one of its own, with the page of the study and the picture of all."""
    found.run_id = run.run_id
    if 0 not in found.first:
        run.abandon()
        return
    status = "KILLED" if found.interrupted else "FAILED" if found.lost else "FINISHED"
    files, tags = {PICTURE: found.picture()}, {}
    if found.claims:
        files[PAGE] = page(run.start.name, found.study, found.claims, command, maps=PICTURE).encode()
        tags[STUDY_TAG] = tally(found.claims)
    run.end(found.first[0], status, {"seconds": seconds}, tags, files)
    found.unfiled = run.unfiled


def _show(found: MapStudy, settings: Settings, run: MapRun | None, speak: Voice) -> None:
    place = run.place if run is not None else None
    if settings.json and speak is not SILENT:
        info = {"kind": "maps", "exit_status": found.exit_status, "interrupted": found.interrupted}
        info |= {"all_filed": run is not None and not found.unfiled, **placed(place)}
        info |= {"study": content(found.study, found.claims) if found.claims else None}
        info |= {"maps": found.table.to_dict("records") if found.rows else [], "failures": found.lost}
        print(document(info))
    if found.claims:
        speak.result(repr(found))
    if place is not None:
        speak.result(f"run         {place.name} in experiment {place.experiment}")
    for line in (*lost_lines(found.lost, "the maps"), *map(str, found.unjudged)):
        speak.error(line)
    if found.interrupted:
        speak.error("interrupted: no claim is judged")
