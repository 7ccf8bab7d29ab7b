"""From what happens while cells train to the records that are filed of it: values in, values out, no store.

Large files and pictures are made when a record's artifacts are read.
"""

from __future__ import annotations

import math
import statistics
from collections import ChainMap, Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from nnspec.analysis.writing import markdown
from nnspec.diagnostics import VERDICTS, metric_names
from nnspec.duration import pace
from nnspec.explaining import explained_result
from nnspec.problem import rows_of
from nnspec.report.stepping import IMAGES_TAG, snapshot_images
from nnspec.results.arrays import Interval, Results, concatenate
from nnspec.results.events import Begun, Ended, Failed, Live, Stopped, TrainedCell, TrainingEvent
from nnspec.results.race import RACE_TAG
from nnspec.results.requirements import checks, required_tag
from nnspec.results.table import outcome_columns
from nnspec.settings import Require
from nnspec.specs import Member, RunSpec
from nnspec.tracking import DatasetInfo, PackedCell, RunEnd, RunStart
from nnspec.tracking.artifacts import HISTORY, SPEC, Files, cell_artifacts, history_columns, source_files, spec_yaml
from nnspec.tracking.cell_records import dataset_info, describe, final_metrics, history_series, run_name
from nnspec.tracking.parquet import parquet_file
from nnspec.tracking.provenance import process_tags, run_tags
from nnspec.tracking.records import CELL_TAG, NOTE_TAG, Series
from nnspec.tracking.store import now_ms
from nnspec.training.spans import logged_rows

FAILURE_TAG, VERDICT_TAG = "nnspec.failure", "nnspec.verdict"
OBJECTS = 16_000  # bytes of a cell's Python objects


@dataclass(frozen=True)
class CellStarts:
    """The start records of cells."""

    starts: Mapping[int, RunStart]


@dataclass(frozen=True)
class CellProgress:
    """Metrics over steps so far of a cell that still trains."""

    cell: int
    history: Mapping[str, Series]


@dataclass(frozen=True)
class CellEnd:
    """The end record of a cell, whose run id is the store's to say."""

    cell: int
    end: RunEnd


@dataclass(frozen=True)
class Packed:
    """A cell that is to be packed, and the event by which it ended."""

    cell: PackedCell
    event: TrainedCell | Failed


Record = CellStarts | CellProgress | CellEnd | Packed
Item = TrainingEvent | Stopped  # what records are made of


@dataclass
class Recorder:
    """Makes records of events. ``specs`` are the cells' by number, as they are when a cell ends; ``parent`` is the
    sweep's run, in which the cells are packed if ``pack`` says so; ``interval`` gives the solve rate's limits where
    Wilson's would not be honest; ``require`` is what the cells must keep, which a tag then says; a series has at most
    ``points``, all of them where it is None; ``numbered`` says that the cells' numbers are those in their sweep;
    ``tags`` are more tags of cells."""

    specs: Mapping[int, RunSpec]
    parent: str | None = None
    interval: Interval | None = None
    require: Require = field(default_factory=Require)
    pack: bool = False
    points: int | None = None
    numbered: bool = True
    clock: Callable[[], int] = now_ms
    tags: Mapping[int, Mapping[str, str]] = field(default_factory=dict)
    _begun: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        process_tags()  # asks git, while there is one process: a fork of several looks as large as all of them

    def records(self, event: Item) -> Iterator[Record]:
        """The records of an event, in the order in which they are to be filed: of each cell its start first."""
        if self.pack:
            if isinstance(event, (TrainedCell, Failed)):
                yield Packed(self.packed(event), event)
        elif isinstance(event, Begun):
            yield from self._starts(event.cells)
        elif isinstance(event, Live):
            for cell, history in event.histories:
                rows = logged_rows(pace(self.specs[cell]))
                yield CellProgress(cell, history_series(history, self.points, rows))
        elif isinstance(event, Ended):
            yield from self._starts((event.index,))
            yield CellEnd(event.index, self.end_of(event))

    def _starts(self, cells: Sequence[int]) -> Iterator[CellStarts]:
        new = [cell for cell in cells if cell not in self._begun]
        self._begun.update(new)
        if new:
            yield CellStarts({cell: self.start_of(cell) for cell in new})

    def start_of(self, cell: int) -> RunStart:
        """The start record of a cell."""
        spec = self.specs[cell]
        data = data_record(spec.data, spec.loss.name)
        tags = {**run_tags(spec), NOTE_TAG: markdown(describe(spec))}
        tags |= {CELL_TAG: str(cell)} if self.parent is not None and self.numbered else {}
        tags |= self.tags.get(cell, {})
        return RunStart(run_name(spec), spec.flat(), tags, self.parent, data, self.clock())

    def packed(self, event: TrainedCell | Failed) -> PackedCell:
        """A cell that ended, as what is packed of it."""
        spec, at = self.specs[event.index], self.clock()
        reason = event.reason if isinstance(event, Failed) else event.failure
        tags = process_tags() | dict(self.tags.get(event.index, {})) | ({FAILURE_TAG: reason} if reason else {})
        metrics: dict[str, float] = {}
        result = None
        if isinstance(event, TrainedCell):
            result = event.result
            tags |= {VERDICT_TAG: most_common(result.verdict)} | self._required(event) | _race_tag(event)
            metrics = self._limits(result)
        status = "FAILED" if reason else "FINISHED"
        return PackedCell(event.index, spec, run_name(spec), status, tags, at, at, result, metrics)

    def _limits(self, result: Results) -> dict[str, float]:
        """The limits of the solve rate where Wilson's would not be honest."""
        if self.interval is None:
            return {}
        low, high = self.interval(int(result.solved.sum()), len(result.seeds))
        return {"solve_rate_low": low, "solve_rate_high": high}

    def _required(self, cell: TrainedCell) -> dict[str, str]:
        """The tag that says what was required of the cell."""
        return required_tag([*checks(self.require, cell.index, outcome_columns(cell.result), self.interval)])

    def end_of(self, event: Ended) -> RunEnd:
        """The end record of a cell, without the id of its run."""
        if isinstance(event, TrainedCell):
            return self._trained(event)
        spec = self.specs[event.index]  # what it would have trained; a spool refuses a cell without
        files = {SPEC: lambda: spec_yaml(spec), **source_files(spec)}
        if isinstance(event, Failed):
            tags = {FAILURE_TAG: event.reason}
            return RunEnd("", "FAILED", tags=tags, artifacts=Files(files), end_time=self.clock())
        known = Files(files | {HISTORY: lambda: joined_histories(event.histories)})
        series = history_series(longest(event.histories), self.points)
        return RunEnd("", "KILLED", series, artifacts=known, end_time=self.clock())

    def _trained(self, cell: TrainedCell) -> RunEnd:
        result, reason = cell.result, cell.failure
        metrics = final_metrics(result) | verdict_metrics(result) | self._limits(result)
        tags = {VERDICT_TAG: most_common(result.verdict)} | ({FAILURE_TAG: reason} if reason else {})
        tags |= self._required(cell) | _race_tag(cell)
        if why := explained_result(result):
            tags[NOTE_TAG] = "\n\n".join(map(markdown, [describe(cell.spec), *map(str, why)]))
        files = cell.files if cell.files is not None else cell_artifacts(result, result.diagnosis)
        ended = self.clock()
        images = snapshot_images(cell, ended)
        if images:
            files, tags = ChainMap(images, files), tags | {IMAGES_TAG: "True"}  # type: ignore[arg-type]  # only read
        status = "FAILED" if reason else "FINISHED"
        # figures of the end keep step 0: of any other MLflow would draw a line, which is a dot, instead of a bar
        return RunEnd("", status, history_series(result, self.points), metrics, tags, files, ended)


def _race_tag(cell: TrainedCell) -> dict[str, str]:
    return {RACE_TAG: cell.ended} if cell.ended else {}


def held_bytes(event: Item, points: int | None = None) -> int:
    """About how many bytes are held until an event is filed: its arrays, its files, its metrics over steps, ``points``
    of each at most."""
    if isinstance(event, Live):
        return sum(history.loss.nbytes * 4 for _, history in event.histories)
    if not isinstance(event, TrainedCell):
        return 0
    own = event.result.nbytes
    files = own if event.files is None else sum(map(len, event.files.values()))
    return OBJECTS + own + files + 8 * metric_points(event, points)


def metric_points(event: Item | None, points: int | None = None) -> int:
    """At most so many points of metrics are filed of an event, ``points`` of each series at most."""
    if not isinstance(event, TrainedCell):
        return 0
    of_test = 0 if event.result.test_loss is None else 6
    rows = len(event.result.steps)
    return min(rows, points or rows) * (6 + of_test + len(event.result.weight_norm))


def joined_histories(histories: Sequence[Results]) -> bytes:
    """The file of the history of all these networks, however far each came."""
    columns = [history_columns(history) for history in sorted(histories, key=lambda history: int(history.seeds[0]))]
    return parquet_file({name: np.concatenate([part[name] for part in columns]) for name in columns[0]})


def longest(histories: Sequence[Results]) -> Results:
    """The history of those networks that came furthest."""
    most = max(len(history.steps) for history in histories)
    return concatenate([history for history in histories if len(history.steps) == most])


def verdict_metrics(result: Results) -> dict[str, float]:
    """The share of each verdict that occurs, and the median over replicates of each number of the diagnosis that is
    filed as a metric."""
    counts = Counter(result.verdict.tolist())
    metrics = {f"verdict/{name}": counts[name] / len(result.verdict) for name in VERDICTS if counts[name]}
    for name, metric in metric_names().items():
        known = [value for value in result.numbers.get(name, np.empty(0)).tolist() if not math.isnan(value)]
        if known:
            metrics[metric] = statistics.median(known)
    return metrics


def most_common(verdict: np.ndarray) -> str:
    """The most common verdict; of equally common ones the one that comes first in ``VERDICTS``."""
    return max(VERDICTS, key=Counter(verdict.tolist()).__getitem__)


@lru_cache(maxsize=256)
def data_record(data: Member, loss: str) -> DatasetInfo:
    """The data set as the tracker shows it, with the targets that the loss makes of its labels."""
    return dataset_info(data.name, *rows_of(data, loss))
