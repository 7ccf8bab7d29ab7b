"""From what happens while cells train to the records that are filed of it: values in, values out, no store.

Large files and pictures are made when a record's artifacts are read.
"""

from __future__ import annotations

import math
import statistics
import time
from collections import ChainMap, Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from nnspec.diagnostics import VERDICTS
from nnspec.duration import updates
from nnspec.explaining import explained_result
from nnspec.problem import rows_of
from nnspec.report.stepping import IMAGES_TAG, snapshot_images
from nnspec.results.arrays import Interval, Results, concatenate
from nnspec.results.events import Begun, Ended, Failed, Live, Stopped, TrainedCell, TrainingEvent
from nnspec.results.requirements import checks, required_tag
from nnspec.results.table import outcome_rows
from nnspec.settings import Require
from nnspec.specs import Member, RunSpec
from nnspec.tracking import DatasetInfo, RunEnd, RunStart
from nnspec.tracking.artifacts import HISTORY, SPEC, Files, cell_artifacts, history_columns, source_files, spec_yaml
from nnspec.tracking.cell_records import dataset_info, describe, final_metrics, history_series, run_name
from nnspec.tracking.parquet import parquet_file
from nnspec.tracking.provenance import process_tags, run_tags
from nnspec.tracking.records import NOTE_TAG, Series

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


Record = CellStarts | CellProgress | CellEnd
Item = TrainingEvent | Stopped  # what records are made of


def now() -> int:
    """Milliseconds since 1970."""
    return int(time.time() * 1000)


@dataclass
class Recorder:
    """Makes records of events. ``specs`` are the cells' by number, as they are when a cell ends; ``parent`` is the
    sweep's run; ``interval`` gives the solve rate's limits where Wilson's would not be honest; ``require`` is what the
    cells must keep, which a tag then says."""

    specs: Mapping[int, RunSpec]
    parent: str | None = None
    interval: Interval | None = None
    require: Require = field(default_factory=Require)
    clock: Callable[[], int] = now
    _begun: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        process_tags()  # asks git, while there is one process: a fork of several looks as large as all of them

    def records(self, event: Item) -> Iterator[Record]:
        """The records of an event, in the order in which they are to be filed: of each cell its start first."""
        if isinstance(event, Begun):
            yield from self._starts(event.cells)
        elif isinstance(event, Live):
            yield from (CellProgress(cell, history_series(history)) for cell, history in event.histories)
        elif isinstance(event, Ended):
            yield from self._starts((event.index,))
            yield CellEnd(event.index, self.end_of(event))

    def _starts(self, cells: Sequence[int]) -> Iterator[CellStarts]:
        new = [cell for cell in cells if cell not in self._begun]
        self._begun.update(new)
        if new:
            yield CellStarts({cell: self.start_of(self.specs[cell]) for cell in new})

    def start_of(self, spec: RunSpec) -> RunStart:
        """The start record of a cell."""
        data = data_record(spec.data, spec.loss.name)
        return RunStart(run_name(spec), spec.flat(), run_tags(spec), self.parent, data, self.clock())

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
        return RunEnd("", "KILLED", history_series(longest(event.histories)), artifacts=known, end_time=self.clock())

    def _trained(self, cell: TrainedCell) -> RunEnd:
        result, reason = cell.result, cell.failure
        metrics = final_metrics(result) | verdict_metrics(result)
        if self.interval is not None:
            solved = int(result.solved.sum())
            metrics["solve_rate_low"], metrics["solve_rate_high"] = self.interval(solved, cell.spec.replicates)
        tags = {VERDICT_TAG: most_common(result.verdict)} | ({FAILURE_TAG: reason} if reason else {})
        tags |= required_tag([*checks(self.require, cell.index, outcome_rows(result), self.interval)])
        if why := explained_result(result):
            tags[NOTE_TAG] = "\n\n".join([describe(cell.spec), *map(str, why)])
        files = cell.files if cell.files is not None else cell_artifacts(result, result.diagnosis)
        ended = self.clock()
        images = snapshot_images(cell, ended)
        if images:
            files, tags = ChainMap(images, files), tags | {IMAGES_TAG: "True"}  # type: ignore[arg-type]  # only read
        status, last = "FAILED" if reason else "FINISHED", updates(cell.spec)
        return RunEnd("", status, history_series(result), metrics, tags, files, ended, last)


def held_bytes(event: Item) -> int:
    """About how many bytes are held until an event is filed: its arrays, its files, its metrics over steps."""
    if isinstance(event, Live):
        return sum(history.loss.nbytes * 4 for _, history in event.histories)
    if not isinstance(event, TrainedCell):
        return 0
    own = event.result.nbytes
    files = own if event.files is None else sum(map(len, event.files.values()))
    return OBJECTS + own + files + 8 * metric_points(event)


def metric_points(event: Item | None) -> int:
    """At most so many points of metrics are filed of an event."""
    if not isinstance(event, TrainedCell):
        return 0
    of_test = 0 if event.result.test_loss is None else 6
    return len(event.result.steps) * (6 + of_test + len(event.result.weight_norm))


def joined_histories(histories: Sequence[Results]) -> bytes:
    """The file of the history of all these networks, however far each came."""
    columns = [history_columns(history) for history in sorted(histories, key=lambda history: int(history.seeds[0]))]
    return parquet_file({name: np.concatenate([part[name] for part in columns]) for name in columns[0]})


def longest(histories: Sequence[Results]) -> Results:
    """The history of those networks that came furthest."""
    most = max(len(history.steps) for history in histories)
    return concatenate([history for history in histories if len(history.steps) == most])


def verdict_metrics(result: Results) -> dict[str, float]:
    """The share of each verdict, and the median over replicates of each number of the diagnosis."""
    counts = Counter(result.verdict.tolist())
    metrics = {f"verdict.{name}": counts[name] / len(result.verdict) for name in VERDICTS}
    for name, values in result.numbers.items():
        known = [value for value in values.tolist() if not math.isnan(value)]
        if known:
            metrics[name] = statistics.median(known)
    return metrics


def most_common(verdict: np.ndarray) -> str:
    """The most common verdict; of equally common ones the one that comes first in ``VERDICTS``."""
    return max(VERDICTS, key=Counter(verdict.tolist()).__getitem__)


@lru_cache(maxsize=256)
def data_record(data: Member, loss: str) -> DatasetInfo:
    """The data set as the tracker shows it, with the targets that the loss makes of its labels."""
    return dataset_info(data.name, *rows_of(data, loss))
