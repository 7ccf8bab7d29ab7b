"""Filing from a thread of its own, so that training never waits for the store, and no result is lost if the store
fails."""

from __future__ import annotations

import math
import statistics
import tempfile
import threading
import time
import uuid
from collections import ChainMap, Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache
from pathlib import Path

import numpy as np

from nnspec.catalog import DATA, LOSSES
from nnspec.diagnostics import VERDICTS
from nnspec.errors import TrackingError
from nnspec.execute.gather import TrainedCell, arrays
from nnspec.report.stepping import IMAGES_TAG, snapshot_images
from nnspec.results.cell import CellResult
from nnspec.specs import Member, RunSpec
from nnspec.tracking import DatasetInfo, RunEnd, RunStart, Store, Unfiled, spool
from nnspec.tracking.artifacts import HISTORY, SPEC, history_columns, spec_yaml
from nnspec.tracking.parquet import parquet_file
from nnspec.tracking.provenance import process_tags, run_tags
from nnspec.tracking.records import Series, cell_artifacts, dataset_info, final_metrics, history_series, run_name

UNFILED = Path("nnspec-unfiled")  # where runs go that the store refused
BATCH = 250  # cells a transaction
ROOM = 500e6  # bytes of results that may wait to be filed before training waits for the store
POINTS, POINTS_AT_LEAST = 100_000, 5_000  # points of a history that are filed at a time
POINT = 400  # bytes of a point on its way into the store
OBJECTS = 16_000  # bytes of a cell's Python objects
FAILURE_TAG, VERDICT_TAG = "nnspec.failure", "nnspec.verdict"


@dataclass(frozen=True)
class Failed:
    """A cell that could not train, and why."""

    index: int
    reason: str


@dataclass(frozen=True)
class Begun:
    """Cells whose chunk has begun to train."""

    cells: tuple[int, ...]


@dataclass(frozen=True)
class Live:
    """Histories so far of cells that still train."""

    histories: tuple[tuple[int, CellResult], ...]


@dataclass(frozen=True)
class Stopped:
    """A cell that was broken off: ``histories`` of those of its networks that are known, each as far as it came."""

    index: int
    histories: tuple[CellResult, ...]


Ended = TrainedCell | Failed | Stopped
Item = Begun | Live | Ended
Interval = Callable[[int, int], tuple[float, float]]  # (solved, networks) -> limits of the solve rate


@dataclass
class Filer:
    """Files cells as they come: ``put`` hands one over, ``finish`` waits until all are filed or spooled.

    ``ids`` are the run ids by cell; a cell that is not yet begun has none. ``unfiled`` lists folders of spooled runs,
    which are ``spooled`` in all.
    """

    store: Store
    experiment: str
    experiment_id: str
    specs: Sequence[RunSpec]
    parent: str | None = None
    interval: Interval | None = None
    room: float = ROOM
    ids: dict[int, str] = field(default_factory=dict)
    done: set[int] = field(default_factory=set)
    unfiled: list[Path] = field(default_factory=list)
    spooled: int = 0
    broken: Exception | None = None
    seconds: float = 0.0

    def __post_init__(self) -> None:
        process_tags()  # asks git, while there is one process: a fork of several looks as large as all of them
        self._waiting: deque[tuple[Item | None, int]] = deque()
        self._held = 0  # bytes of what waits and of what is filed at present
        self._changed = threading.Condition()
        self._crash: BaseException | None = None
        self._starts: dict[
            int, RunStart
        ] = {}  # as they were sent: a run whose beginning went unanswered is known by them
        self._thread = threading.Thread(target=self._work, name="nnspec-filer", daemon=True)
        self._thread.start()

    def put(self, item: Item) -> None:
        """Hand over one item; waits while too much is waiting. One item always finds room."""
        size = held_bytes(item)
        with self._changed:
            while self._held and self._held + size > self.room:
                self._raise_crash()
                self._changed.wait(1)
            self._raise_crash()
            self._enter(item, size)

    def finish(self) -> None:
        """Wait until everything handed over is filed, or spooled where the store failed."""
        with self._changed:
            self._enter(None, 0)
        self._thread.join()
        self._raise_crash()

    def _enter(self, item: Item | None, size: int) -> None:
        self._waiting.append((item, size))
        self._held += size
        self._changed.notify_all()

    def _batch(self) -> tuple[list[Item | None], int]:
        """The next items to file together, and their bytes; a None is the last of all."""
        batch: list[Item | None] = []
        held = points = 0
        with self._changed:
            self._changed.wait_for(lambda: self._waiting)
            while self._waiting and len(batch) < BATCH and (not batch or held + POINT * points <= self.room / 2):
                item, size = self._waiting.popleft()
                batch.append(item)
                held += size
                points += metric_points(item)
        return batch, held

    def start_of(self, index: int) -> RunStart:
        """The start record of a cell."""
        spec = self.specs[index]
        return RunStart(
            run_name(spec), spec.flat(), run_tags(spec), self.parent, data_record(spec.data, spec.loss.name), now()
        )

    def unended(self) -> list[str]:
        """The ids of the runs that have begun and not ended."""
        return [run_id for cell, run_id in self.ids.items() if cell not in self.done]

    def end_of(self, item: Ended) -> RunEnd:
        """The end record of a cell."""
        run_id = self.ids.get(item.index) or uuid.uuid4().hex
        if not isinstance(item, TrainedCell):
            spec = {
                SPEC: spec_yaml(self.specs[item.index])
            }  # what it would have trained; a spool refuses a cell without
            if isinstance(item, Failed):
                return RunEnd(run_id, "FAILED", tags={FAILURE_TAG: item.reason}, artifacts=spec, end_time=now())
            known = spec | {HISTORY: joined_histories(item.histories)}
            return RunEnd(run_id, "KILLED", history_series(longest(item.histories)), artifacts=known, end_time=now())
        reason = failure(item)
        metrics = final_metrics(item.result) | verdict_metrics(item)
        if self.interval is not None:
            solved = int(item.result.solved.sum())
            metrics["solve_rate_low"], metrics["solve_rate_high"] = self.interval(solved, item.spec.replicates)
        tags = {VERDICT_TAG: most_common(item.verdict)} | ({FAILURE_TAG: reason} if reason else {})
        last = item.spec.train.epochs
        files: Mapping[str, bytes] = (
            item.files if item.files is not None else cell_artifacts(item.result, item.columns())
        )
        images = snapshot_images(item, now())
        if images:
            files, tags = ChainMap(images, files), tags | {IMAGES_TAG: "True"}  # type: ignore[arg-type]  # only read
        return RunEnd(
            run_id, "FAILED" if reason else "FINISHED", history_series(item.result), metrics, tags, files, now(), last
        )

    def _raise_crash(self) -> None:
        if self._crash is not None:
            raise self._crash

    def _work(self) -> None:
        try:
            last = False
            while not last:
                batch, held = self._batch()
                last = batch[-1] is None
                started = time.perf_counter()
                self._file([item for item in batch if item is not None])
                self.seconds += time.perf_counter() - started
                del batch
                with self._changed:
                    self._held -= held
                    self._changed.notify_all()
        except BaseException as error:  # a programming error: the main thread raises it, so that it is seen
            self._crash = error

    def _file(self, batch: Sequence[Item]) -> None:
        ends = [item for item in batch if isinstance(item, Ended)]
        begun = dict.fromkeys(cell for item in batch if isinstance(item, Begun) for cell in item.cells)
        begun.update(dict.fromkeys(item.index for item in ends))
        try:
            if self.broken is not None:
                raise self.broken
            self._begin([cell for cell in begun if cell not in self.ids])
            live = [pair for item in batch if isinstance(item, Live) for pair in item.histories]
            if live:
                self._progress(
                    [(self.ids[cell], history_series(history)) for cell, history in live if cell not in self.done]
                )
            if ends:
                self._finish([self.end_of(item) for item in ends])
        except (TrackingError, OSError) as error:  # an OSError is this machine's: no room for a temporary file, say
            self.broken = error
            self._spool(ends)
        for item in ends:
            self.done.add(item.index)
            self._starts.pop(item.index, None)

    def _finish(self, ends: Sequence[RunEnd]) -> None:
        self._progress([(end.run_id, end.history) for end in ends], last=False)
        self.store.finish(ends)

    def _progress(self, histories: Sequence[tuple[str, Mapping[str, Series]]], last: bool = True) -> None:
        """File histories so far. A long one goes in pieces, for the store makes several times its size of it; ``last``
        says whether the last pieces go too."""
        for run_id, history in histories:
            rows = max((len(series.steps) for series in history.values()), default=0)
            together = int(max(POINTS_AT_LEAST, min(POINTS, self.room / POINT)) // max(1, len(history)))
            for stop in range(together, rows, together):
                piece = {key: Series(series.steps[:stop], series.values[:stop]) for key, series in history.items()}
                self.store.progress([(run_id, piece)])
        if last:
            self.store.progress(histories)

    def _begin(self, cells: Sequence[int]) -> None:
        if cells:
            starts = {cell: self.start_of(cell) for cell in cells}
            self._starts |= starts
            self.ids.update(zip(cells, self.store.start(list(starts.values()), self.experiment_id), strict=True))

    def _spool(self, ends: Sequence[Ended]) -> None:
        if ends:
            starts = [self._starts.get(item.index) or self.start_of(item.index) for item in ends]
            ended = [
                (start, self.end_of(item), item.index in self.ids) for start, item in zip(starts, ends, strict=True)
            ]
            self.unfiled.append(keep(self.experiment, [Unfiled(*parts) for parts in ended]))
            self.spooled += len(ends)


def held_bytes(item: Item) -> int:
    """About how many bytes are held until an item is filed: its arrays, its files, its metrics over steps."""
    if isinstance(item, Live):
        return sum(result.loss.nbytes * 4 for _, result in item.histories)
    if not isinstance(item, TrainedCell):
        return 0
    own = sum(array.nbytes for array in arrays(item))
    files = own if item.files is None else sum(map(len, item.files.values()))
    return OBJECTS + own + files + 8 * metric_points(item)


def metric_points(item: Item | None) -> int:
    """At most so many points of metrics are filed of an item."""
    return len(item.result.steps) * (6 + len(item.result.weight_norm)) if isinstance(item, TrainedCell) else 0


def keep(experiment: str, runs: Sequence[Unfiled]) -> Path:
    """Spool the runs in the first of the ``places`` that takes them, and return the folder.

    Raises:
        TrackingError: none of them does: these runs are lost.
    """
    refused: dict[str, str] = {}
    for place in places():
        try:
            return spool(place, experiment, runs)
        except TrackingError as error:
            refused[str(place)] = str(error)
    count, them = (f"{len(runs)} trained runs are", "them") if len(runs) != 1 else ("1 trained run is", "it")
    why = f"neither the store nor any folder ({', '.join(refused)}) took {them}: {next(reversed(refused.values()))}"
    raise TrackingError(f"{count} lost, for {why}, and train {them} again")


def places() -> Iterator[Path]:
    """Where runs are spooled: in the working folder, else at home, else where temporary files are: one disk may be
    full."""
    yield UNFILED
    with suppress(RuntimeError):  # a user without a home
        yield Path.home() / UNFILED
    with suppress(OSError):  # no folder for temporary files takes any
        yield _temporary()


@cache
def _temporary() -> Path:
    """A folder of this process's own: others can write where temporary files are, and must not foresee its name."""
    return Path(tempfile.gettempdir(), f"{UNFILED}-{uuid.uuid4().hex}")


def joined_histories(histories: Sequence[CellResult]) -> bytes:
    """The file of the history of all these networks, however far each came."""
    columns = [history_columns(history) for history in sorted(histories, key=lambda history: int(history.seeds[0]))]
    return parquet_file({name: np.concatenate([part[name] for part in columns]) for name in columns[0]})


def longest(histories: Sequence[CellResult]) -> CellResult:
    """The history of those networks that came furthest."""
    most = max(len(history.steps) for history in histories)
    furthest = [history for history in histories if len(history.steps) == most]
    return replace(
        furthest[0],
        seeds=np.concatenate([history.seeds for history in furthest]),
        loss=np.concatenate([history.loss for history in furthest]),
        accuracy=np.concatenate([history.accuracy for history in furthest]),
        right=np.concatenate([history.right for history in furthest]),
        weight_norm={
            name: np.concatenate([history.weight_norm[name] for history in furthest])
            for name in furthest[0].weight_norm
        },
    )


def failure(cell: TrainedCell) -> str | None:
    """Why a trained cell counts as failed: its networks were non-finite before the first update."""
    at = cell.result.nonfinite_at
    if len(at) and (at == 0).all():
        return "non-finite from the start; lower the scale of init or data"
    return None


def verdict_metrics(cell: TrainedCell) -> dict[str, float]:
    """The share of each verdict, and the median over replicates of each number of the diagnosis."""
    counts = Counter(cell.verdict.tolist())
    metrics = {f"verdict.{name}": counts[name] / len(cell.verdict) for name in VERDICTS}
    for name, values in cell.numbers.items():
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
    rows = DATA[data.name].make(dict(data.params))
    return dataset_info(data.name, rows.inputs, LOSSES[loss].targets(rows.labels, rows.classes))


def now() -> int:
    """Milliseconds since 1970."""
    return int(time.time() * 1000)
