"""About how many bytes runs take on a disk once they are filed: rows of MLflow's database, and files. Pure; no torch.

A run files a point of each metric for each row of its history; that is most of it. The sizes were measured on stores
of SQLite (``tests/execute/test_disk.py`` measures again): a row has its text, its numbers and its part of MLflow's
indexes.
"""

from __future__ import annotations

from collections.abc import Sequence

from nnspec.architecture import architecture, test_rows
from nnspec.duration import pace
from nnspec.specs import RunSpec
from nnspec.training.memory import diagnosis_numbers, item_bytes, snapshots
from nnspec.training.spans import logged_rows

POINT = 260  # bytes of a metric's point at a step, with its index
ROW, ROWS = 190, 95  # bytes of a param, a tag or a last value of a metric; about so many of them a run has
FINALS = 40  # metrics without steps
FILES = 41_000  # bytes of a run's files and folders in whole blocks of 4 KiB, their numbers aside
HISTORY_ROW = 12  # bytes of a row of a network's history, compressed
SWEEP = 600_000  # bytes of a sweep's own run: table and report
PICTURES, CELLS = 1_400_000, 4  # bytes of a run's pictures of its snapshots, which the first cells have


def run_bytes(spec: RunSpec) -> int:
    """What the run of one spec takes."""
    tested, several, steps = bool(test_rows(spec.data)), spec.replicates > 1, logged_rows(pace(spec))
    lines = 2 + 2 * tested + len(architecture(spec).layers)
    if several:
        lines += 3 + 4 * tested  # quantiles of losses, the share solved
    database = POINT * (steps * lines + FINALS) + ROW * ROWS
    weights = item_bytes(spec) * (2 + snapshots(spec)) * architecture(spec).parameters
    network = weights + HISTORY_ROW * steps + 8 * diagnosis_numbers(spec)
    return database + FILES + spec.replicates * network


def filed_bytes(specs: Sequence[RunSpec], sweep: bool) -> int:
    """What the runs of these specs take, and the run of a sweep above them."""
    pictured = [spec for spec in specs[:CELLS] if snapshots(spec) and architecture(spec).inputs == 2]
    return sum(map(run_bytes, specs)) + PICTURES * len(pictured) + SWEEP * sweep
