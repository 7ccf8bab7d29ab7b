"""Chunks carried by a Hydra launcher: one job a shard, arrays back. The driver alone files them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnspec.errors import TrainingError
from nnspec.execute.pool import Event, Extra, Finished, Lost, chunk_events
from nnspec.parts.loading import load, load_installed, loaded
from nnspec.specs import RunSpec
from nnspec.training.plan import Chunk

# starts so many jobs of the task; their Hydra JobReturns, in order
Launch = Callable[["ShardTask", int], Sequence[Any]]


@dataclass(frozen=True)
class ShardTask:
    """What a job does: train every K-th chunk. It is called with the job's config, whose ``shard`` says which:
    'i/K'. ``parts`` are the files of the user's own parts, which a job's process loads for itself."""

    specs: Sequence[RunSpec]
    chunks: Sequence[Chunk]
    extra: Extra
    parts: tuple[Path, ...] = ()

    def __call__(self, config: Any) -> list[Event]:
        load_installed()
        load(self.parts)
        index, count = (int(part) for part in str(config.shard).split("/"))
        found: list[Event] = []
        for number in range(index, len(self.chunks), count):
            found += [
                event
                for event in chunk_events(self.specs, self.chunks, number, self.extra)
                if isinstance(event, (Finished, Lost))
            ]
        return found


@dataclass(frozen=True)
class Shards:
    """Trains chunks with ``launch``; called as ``execute.pool.train_chunks`` is."""

    launch: Launch

    def __call__(
        self, specs: Sequence[RunSpec], chunks: Sequence[Chunk], workers: int, extra: Extra
    ) -> Iterator[Event]:
        jobs = self.launch(ShardTask(specs, chunks, extra, loaded()), min(workers, len(chunks)))
        return (event for job in jobs for event in _events(job))


def _events(job: Any) -> list[Event]:
    found = job.return_value  # a job that failed raises what it failed with
    if not isinstance(found, list):
        raise TrainingError(
            f"a launcher must give back what its jobs return, but gave {type(found).__name__}; use another "
            "hydra/launcher"
        )
    return found
