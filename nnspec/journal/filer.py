"""Filing from a thread of its own, so that training never waits for the store, and no result is lost if the store
fails."""

from __future__ import annotations

import tempfile
import threading
import time
import uuid
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

from nnspec.errors import TrackingError
from nnspec.journal.recording import (
    CellEnd,
    CellProgress,
    CellStarts,
    Item,
    Packed,
    Record,
    Recorder,
    held_bytes,
    metric_points,
)
from nnspec.results.events import TrainedCell
from nnspec.tracking import CellStore, RunEnd, RunStart, Unfiled, spool
from nnspec.tracking.packs.store import packed_id
from nnspec.tracking.records import PROMOTED_TAG, Series

UNFILED = Path("nnspec-unfiled")  # where runs go that the store refused
BATCH = 250  # events a transaction
PACK = 2000  # events that are packed together, or as many as came in PACK_SECONDS: a kill costs no more
PACK_SECONDS = 20.0
SOON = 0.05  # seconds in which events come together that are filed together, while this process has better to do
ROOM = 500e6  # bytes of results that may wait to be filed before training waits for the store
POINTS, POINTS_AT_LEAST = 100_000, 5_000  # points of a history that are filed at a time
POINT = 400  # bytes of a point on its way into the store


@dataclass
class Filer:
    """A queue of events, whose records are filed as they come: ``put`` hands one over, ``finish`` waits until all
    are filed or spooled. Records are made as they are filed, so that what comes quickly is filed together.

    ``ids`` are the run ids by cell, a packed one's as ``packs.store.packed_id`` has it; a cell that is not yet begun
    has none. ``unfiled`` lists folders of spooled runs, which are ``spooled`` in all.
    """

    store: CellStore
    experiment: str
    experiment_id: str
    recorder: Recorder
    room: float = ROOM
    batch: int = BATCH  # events that are filed at a time, at most
    pack: int = PACK  # events that are packed together, at most
    ids: dict[int, str] = field(default_factory=dict)
    done: set[int] = field(default_factory=set)
    unfiled: list[Path] = field(default_factory=list)
    spooled: int = 0
    broken: Exception | None = None
    seconds: float = 0.0

    def __post_init__(self) -> None:
        self._waiting: deque[tuple[Item | None, int]] = deque()
        self._held = 0
        self._changed = threading.Condition()
        self._crash: BaseException | None = None
        self._starts: dict[
            int, RunStart
        ] = {}  # as they were sent: a run whose beginning went unanswered is known by them
        self._thread = threading.Thread(target=self._work, name="nnspec-filer", daemon=True)
        self._thread.start()

    def put(self, item: Item) -> None:
        """Hand over one event; waits while too much is waiting. One always finds room."""
        size = held_bytes(item, self.recorder.points)
        with self._changed:
            while self._held and self._held + size > self.room:
                self._raise_crash()
                self._changed.wait(1)
            self._raise_crash()
            self._enter(item, size)

    @property
    def held(self) -> int:
        """Bytes of what waits and of what is filed at present."""
        with self._changed:
            return self._held

    def finish(self) -> None:
        """Wait until everything handed over is filed, or spooled where the store failed."""
        with self._changed:
            self._enter(None, 0)
        self._thread.join()
        self._raise_crash()

    def unended(self) -> list[str]:
        """The ids of the runs that have begun and not ended."""
        return [run_id for cell, run_id in self.ids.items() if cell not in self.done]

    def _enter(self, item: Item | None, size: int) -> None:
        self._waiting.append((item, size))
        self._held += size
        self._changed.notify_all()

    def _batch(self) -> tuple[list[Item | None], int]:
        """The next events to file together, and their bytes; a None is the last of all."""
        batch: list[Item | None] = []
        held = points = 0
        packs = self.recorder.pack
        most = self.pack if packs else self.batch
        with self._changed:
            self._changed.wait_for(lambda: self._waiting)
            # few packs are worth the wait, but for a store that lags behind
            self._changed.wait_for(lambda: self._worth_filing(most), PACK_SECONDS if packs else SOON)
            while self._waiting and len(batch) < most and (not batch or held + POINT * points <= self.room / 2):
                item, size = self._waiting.popleft()
                batch.append(item)
                held += size
                points += 0 if packs else metric_points(item, self.recorder.points)
        return batch, held

    def _worth_filing(self, most: int) -> bool:
        """Whether ``most`` events wait, the last of all, or as much as takes half of the room."""
        full = len(self._waiting) >= most or self._held > self.room / 2
        return full or self._waiting[-1][0] is None

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
                self._file([record for item in batch if item is not None for record in self.recorder.records(item)])
                self.seconds += time.perf_counter() - started
                del batch
                with self._changed:
                    self._held -= held
                    self._changed.notify_all()
        except BaseException as error:  # a programming error: the main thread raises it, so that it is seen
            self._crash = error

    def _file(self, batch: Sequence[Record]) -> None:
        starts = {
            cell: start for record in batch if isinstance(record, CellStarts) for cell, start in record.starts.items()
        }
        self._starts |= starts
        live = [record for record in batch if isinstance(record, CellProgress) and record.cell not in self.done]
        ends = [record for record in batch if isinstance(record, CellEnd)]
        packed = [record for record in batch if isinstance(record, Packed)]
        try:
            if self.broken is not None:
                raise self.broken
            if starts:
                run_ids = self.store.start(list(starts.values()), self.experiment_id)
                self.ids.update(zip(starts, run_ids, strict=True))
            if live:
                self._progress([(self.ids[record.cell], record.history) for record in live])
            if ends:
                self._finish([replace(record.end, run_id=self.ids[record.cell]) for record in ends])
            if packed:
                self._pack(packed)
        except (TrackingError, OSError) as error:  # an OSError is this machine's: no room for a temporary file, say
            self.broken = error
            self._starts |= {record.cell.cell: self.recorder.start_of(record.cell.cell) for record in packed}
            ends += [CellEnd(record.cell.cell, self.recorder.end_of(record.event)) for record in packed]
            self._spool(ends)
        for record in ends:
            self.done.add(record.cell)
            self._starts.pop(record.cell, None)

    def _pack(self, packed: Sequence[Packed]) -> None:
        sweep = self.recorder.parent
        assert sweep is not None
        self.store.pack(sweep, [record.cell for record in packed])
        cells = [record.cell.cell for record in packed]
        self.ids |= {cell: packed_id(sweep, cell) for cell in cells}
        self.done.update(cells)

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

    def _spool(self, ends: Sequence[CellEnd]) -> None:
        if ends:
            ids = {record.cell: self.ids.get(record.cell) for record in ends}
            runs = [
                Unfiled(
                    self._starts[record.cell],
                    replace(record.end, run_id=ids[record.cell] or uuid.uuid4().hex),
                    ids[record.cell] is not None,
                )
                for record in ends
            ]
            self.unfiled.append(keep(self.experiment, runs))
            self.spooled += len(ends)


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
        yield temporary_place()


@cache
def temporary_place() -> Path:
    """A folder of this process's own: others can write where temporary files are, and must not foresee its name."""
    return Path(tempfile.gettempdir(), f"{UNFILED}-{uuid.uuid4().hex}")


def file_cells(
    store: CellStore, experiment_id: str, recorder: Recorder, cells: Sequence[TrainedCell], besides: bool = False
) -> list[str]:
    """File cells as runs below their sweep; the ids of the runs. ``besides`` says that the cells are filed already,
    and these are other runs of them.

    Raises:
        TrackingError: the store does not take them.
    """
    more = {PROMOTED_TAG: "true"} if besides else {}
    starts = [recorder.start_of(cell.index) for cell in cells]
    starts = [replace(start, tags={**start.tags, **more}) for start in starts]
    runs = [(start, recorder.end_of(cell)) for start, cell in zip(starts, cells, strict=True)]
    return store.file(runs, experiment_id) if runs else []
