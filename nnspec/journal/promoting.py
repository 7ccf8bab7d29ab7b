"""Runs for cells that were packed: filed whole, from what training left of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from nnspec.journal.recording import Recorder
from nnspec.results.events import TrainedCell
from nnspec.tracking import CellStore
from nnspec.tracking.records import PROMOTED_TAG


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
