"""What is filed of a run, as pure values: they know neither what trained nor where they go. Every writer files these
and nothing else; ``cell_records`` makes them of a cell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

STATUSES = ("FINISHED", "FAILED", "KILLED")
PARENT_TAG = "mlflow.parentRunId"
FINGERPRINT_TAG = "nnspec.fingerprint"
SWEEP_TAG = "nnspec.sweep"  # the digest of a sweep's cells
AXES_TAG = "nnspec.axes"
CELL_TAG = "nnspec.cell"  # the number of a cell in its sweep
PROMOTED_TAG = "nnspec.promoted"  # of a run that a cell has besides: the cell again, with more written down
PACKS_TAG = "nnspec.packs"  # of a sweep's run: how many packs of cells it holds
MAP_TAG = "nnspec.map"  # of a map's run: its axes, as sweep.map states them
COMMAND_TAG = "nnspec.command"  # of a sweep's, a search's or a map's run: what trains it again
SEARCH_TAG = "nnspec.search"  # of a search's run: its sampler
REUSED = "cells/reused.json"  # artifact of a sweep's run: by number, the ids of cells that earlier sweeps trained
VERSION_TAG, COMMIT_TAG, DIRTY_TAG = "nnspec.version", "nnspec.git_commit", "nnspec.git_dirty"
PROCESS_TAG = "nnspec.process"
NOTE_TAG = "mlflow.note.content"  # the description that MLflow shows above a run
SPOOL_TAG, ITEM_TAG = "nnspec.spool_id", "nnspec.spool_item"  # the spooled folder that a run came from, its place there
# With name and start time these tags tell a run from every other: how one is found whose creation went unanswered.
IDENTITY_TAGS = (PARENT_TAG, CELL_TAG, PROMOTED_TAG, FINGERPRINT_TAG, SWEEP_TAG, PROCESS_TAG, SPOOL_TAG, ITEM_TAG)
# Tags that an experiment gets where it has none of their name: the kind whose runs the UI shows, not its traces, and a
# note above them.
EXPERIMENT_TAGS = {
    "mlflow.experimentKind": "custom_model_development",
    NOTE_TAG: "Networks trained by nnspec. A sweep is a run above its cells; its description has the result.\n\n"
    "Metrics without a section (`loss`, `accuracy`, `solve_rate` ...) are in *Model metrics*. The sections:\n\n"
    "- `weight_norm/`: the norm of each layer's weights\n"
    "- `units/`, `gradient/`: what was measured on trained networks; `at_start/`: before their first update\n"
    "- `verdict/`: the share of networks that ended so, since when; `nnspec explain NAME` says what it means\n\n"
    "Artifacts: `report/report.html` of a sweep; `results.parquet`, a row a network with all that was measured; "
    "`history.parquet`, every logged step; `weights/`; `spec.yaml`, which trains the run again.",
}
NAME_LIMIT = 250  # MLflow's column for a run's name


@dataclass(frozen=True)
class DatasetInfo:
    """A data set as MLflow's dataset input shows it: the same JSON as ``mlflow.data.from_numpy`` writes."""

    name: str
    digest: str
    schema: str
    profile: str
    source_type: str = "code"
    source: str = "{}"


@dataclass(frozen=True)
class RunStart:
    """A run as it begins. ``parent`` is the run id of the sweep; ``start_time`` is in milliseconds since 1970."""

    name: str
    params: Mapping[str, str]
    tags: Mapping[str, str]
    parent: str | None = None
    dataset: DatasetInfo | None = None
    start_time: int = 0

    def all_tags(self) -> dict[str, str]:
        """The tags to file, with the parent's."""
        return {**self.tags, **({PARENT_TAG: self.parent} if self.parent else {})}


@dataclass(frozen=True)
class Series:
    """The history of one metric: steps [t] int64, rising, and values [t] float64."""

    steps: np.ndarray
    values: np.ndarray

    def __post_init__(self) -> None:
        if self.steps.shape != self.values.shape or self.steps.ndim != 1:
            raise ValueError(
                f"steps and values must be vectors of one length, but got {self.steps.shape} and {self.values.shape}"
            )


@dataclass(frozen=True)
class RunEnd:
    """A run as it ends. ``metrics`` are filed at step ``last_step``; ``artifacts`` maps a path to its content."""

    run_id: str
    status: str = "FINISHED"
    history: Mapping[str, Series] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    artifacts: Mapping[str, bytes] = field(default_factory=dict)
    end_time: int = 0
    last_step: int = 0

    def __post_init__(self) -> None:
        if self.status not in STATUSES:
            raise ValueError(f"status must be one of {', '.join(STATUSES)}, but got '{self.status}'")

    def all_history(self) -> dict[str, Series]:
        """The history with each final metric as a series of one point."""
        step = np.array([self.last_step], np.int64)
        return {
            **self.history,
            **{key: Series(step, np.array([value], np.float64)) for key, value in self.metrics.items()},
        }
