"""About how many bytes runs take on a disk once they are filed: rows of MLflow's database, and files. Pure; no torch.

A run files a point of each metric for rows of its history, a single one for each row; that is most of it. The sizes
were measured on stores of SQLite (``tests/execute/test_disk.py`` measures again): a row has its text, its numbers and
its part of MLflow's indexes.
"""

from __future__ import annotations

from collections.abc import Sequence

from nnspec.architecture import architecture, test_rows
from nnspec.duration import pace
from nnspec.specs import RunSpec, by_combination
from nnspec.tracking.cell_records import points_of
from nnspec.training.memory import diagnosis_numbers, item_bytes, snapshots
from nnspec.training.spans import logged_rows

POINT = 260  # bytes of a metric's point at a step, with its index
ROW, ROWS = 190, 65  # bytes of a param, a tag or a last value of a metric; about so many of them a run has
FINALS = 18  # metrics without steps
FILES = 41_000  # bytes of a run's files and folders in whole blocks of 4 KiB, their numbers aside
HISTORY_ROW = 12  # bytes of a row of a network's history, compressed
SWEEP = 600_000  # bytes of a sweep's own run: table and report
PACKED = 700  # bytes of a packed cell, its networks aside, and of their rows in the tables of results
PICTURES, CELLS = 1_400_000, 4  # bytes of a run's pictures of its snapshots, which the first cells have


def run_bytes(spec: RunSpec, points: int | None = None) -> int:
    """What the run of one spec takes, with at most so many points of a metric."""
    tested, several, steps = bool(test_rows(spec.data)), spec.replicates > 1, logged_rows(pace(spec))
    lines = 2 + 2 * tested + len(architecture(spec).layers)
    if several:
        lines += 3 + 4 * tested  # quantiles of losses, the share solved
    database = POINT * (min(steps, points or steps) * lines + FINALS) + ROW * ROWS
    return database + FILES + spec.replicates * network_bytes(spec)


def network_bytes(spec: RunSpec) -> int:
    """What the files of one network take: its weights, its history, its row of results."""
    weights = item_bytes(spec) * (2 + snapshots(spec)) * architecture(spec).parameters
    return weights + HISTORY_ROW * logged_rows(pace(spec)) + 8 * diagnosis_numbers(spec)


def packed_bytes(specs: Sequence[RunSpec]) -> int:
    """What a sweep takes whose cells are packed in its own run."""
    cells = [(len(places), specs[places[0]]) for places in by_combination(specs)]
    return SWEEP + sum(count * (PACKED + spec.replicates * network_bytes(spec)) for count, spec in cells)


def filed_bytes(specs: Sequence[RunSpec], sweep: bool) -> int:
    """What the runs of these specs take, and the run of a sweep above them."""
    pictured = [spec for spec in specs[:CELLS] if snapshots(spec) and architecture(spec).inputs == 2]
    points = points_of(len(specs)) if sweep else None
    runs = sum(len(places) * run_bytes(specs[places[0]], points) for places in by_combination(specs))
    return runs + PICTURES * len(pictured) + SWEEP * sweep
