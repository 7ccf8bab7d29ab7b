"""Chunks carried by a Hydra launcher: one job a shard, arrays back. The driver alone files them.

A job leaves each chunk that it has trained as a file in a folder that the driver has made for the purpose. So a job
that dies costs no more than the chunk that it had in hand, whatever becomes of the launcher's own list of results:
submitit stops at the first job that failed (facebookincubator/submitit#1628), joblib ends all workers when one dies.
"""

from __future__ import annotations

import os
import pickle
import tempfile
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnspec.errors import TrainingError, first_line
from nnspec.execute.elsewhere import Surroundings, ended
from nnspec.execute.pool import Event, Extra, Finished, Lost
from nnspec.specs import RunSpec
from nnspec.training.plan import Chunk

ATTEMPTS = 2  # times that a chunk is launched before it is given up
# starts so many jobs of the task, the first of them with this number; what they gave back, in order
Launch = Callable[["ShardTask", int, int], Sequence[Any]]


@dataclass(frozen=True)
class Died:
    """What a launcher gives in place of a result of a job that did not come to its end."""

    reason: str


@dataclass(frozen=True)
class ShardTask:
    """What a job does: train every K-th of the chunks ``numbers`` and leave them in ``folder``. It is called with the
    job's config, whose ``shard`` says which: 'i/K'."""

    specs: Sequence[RunSpec]
    chunks: Sequence[Chunk]
    extra: Extra
    numbers: Sequence[int]
    folder: Path
    surroundings: Surroundings

    def __call__(self, config: Any) -> str:
        """The shard, once all its chunks are in the folder."""
        self.surroundings.enter()
        index, count = (int(part) for part in str(config.shard).split("/"))
        for number in self.numbers[index::count]:
            if not self.folder.is_dir():  # nobody waits for it any more
                break
            if not (self.folder / str(number)).exists():  # a job that is requeued goes on where it was
                leave(self.folder, ended(self.specs, self.chunks[number], number, self.extra))
        return str(config.shard)


@dataclass(frozen=True)
class Shards:
    """Trains chunks with ``launch``; called as ``execute.pool.train_chunks`` is. Jobs hand over by way of ``folder``,
    which they must share with the driver."""

    launch: Launch
    folder: Path

    def __call__(
        self, specs: Sequence[RunSpec], chunks: Sequence[Chunk], workers: int, extra: Extra
    ) -> Generator[Event, None, None]:
        """Events of the chunks, all at the end of the jobs. What a dead job left undone is launched once more.

        Raises:
            TrainingError: no job came to anything, or the launcher does not give back what its jobs return.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        left, first, reason = list(range(len(chunks))), 0, ""
        done: set[int] = set()
        with tempfile.TemporaryDirectory(prefix="shards-", dir=self.folder.resolve(), ignore_cleanup_errors=True) as at:
            for _ in range(ATTEMPTS):
                if not left:
                    break
                count = min(workers, len(left))
                task = ShardTask(specs, chunks, extra, tuple(left), Path(at), Surroundings.here())
                reason, error = self._launched(task, count, first)
                first += count
                for number in left:
                    event = taken(Path(at), number)
                    if event is not None:
                        yield event
                        done.add(number)
                left = [number for number in left if number not in done]
                if error is not None:
                    raise error
        if left and len(left) == len(chunks):
            raise TrainingError(f"no job of the launcher came to its end: {reason}")
        yield from (Lost(number, f"its job died twice: {reason}") for number in left)

    def _launched(self, task: ShardTask, count: int, first: int) -> tuple[str, BaseException | None]:
        """Wait for the jobs. Why some of them did not come to their end, and what must be raised as soon as the events
        of the others are taken."""
        try:
            jobs = self.launch(task, count, first)
        except KeyboardInterrupt as error:
            return "", error
        except Exception as error:  # of joblib, whose workers end all when one of them dies; of SLURM that is not there
            return first_line(error), None
        reason = f"nothing came to {task.folder}, which jobs and driver must share"
        for job in jobs:
            if isinstance(job, Died):
                reason = job.reason
            else:
                try:
                    refuse_other(job.return_value)  # a job that failed raises what it failed with
                except Exception as error:
                    return reason, error
        return reason, None


def refuse_other(found: object) -> None:
    """Refuse what is not the answer of a ``ShardTask``.

    Raises:
        TrainingError: the launcher does not give back what its jobs return.
    """
    if not isinstance(found, str):
        raise TrainingError(
            f"a launcher must give back what its jobs return, but gave {type(found).__name__}; use another "
            "hydra/launcher"
        )


def leave(folder: Path, event: Event) -> None:
    """Put the end of a chunk into the folder; it is there whole or not at all."""
    part = folder / f"{event.chunk}.{os.getpid()}"
    with part.open("wb") as file:
        pickle.dump(event, file, protocol=5)
    part.replace(folder / str(event.chunk))


def taken(folder: Path, number: int) -> Finished | Lost | None:
    """The end of a chunk, which is taken out of the folder; None if it is not there."""
    path = folder / str(number)
    if not path.exists():
        return None
    with path.open("rb") as file:  # a folder of our own, which nobody else may write to
        event: Finished | Lost = pickle.load(file)
    path.unlink()
    return event
