"""Chunks on all cores: one process a core, each training one chunk at a time.

Processes rather than threads: a training step is some forty short operations, and Python's lock between two threads
costs more than the operations do. The parent receives plain arrays; nothing passes through a file.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

from nnspec.fused.plan import Chunk
from nnspec.fused.train import Progress, Trained, train_chunk
from nnspec.spec import RunSpec

Extra = Callable[[Sequence[RunSpec], Chunk, Trained], Any]  # what else to compute of a trained chunk, in its worker


@dataclass(frozen=True)
class Advanced:
    """Chunk number ``chunk`` has come so far."""

    chunk: int
    progress: Progress


@dataclass(frozen=True)
class Finished:
    """Chunk number ``chunk`` is trained; ``extra`` is what the caller asked to have computed of it."""

    chunk: int
    trained: Trained
    extra: Any


@dataclass(frozen=True)
class Lost:
    """Chunk number ``chunk`` could not be trained."""

    chunk: int
    reason: str


Event = Advanced | Finished | Lost


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def train_chunks(specs: Sequence[RunSpec], chunks: Sequence[Chunk], workers: int, extra: Extra) -> Iterator[Event]:
    """Train all chunks, on up to ``workers`` processes; events in the order in which they happen.

    Closing the iterator stops the workers. A chunk that fails is ``Lost`` and stops no other. The workers start with the
    call, not with the first event: a caller that has threads starts them afterwards, so that nothing is forked half-way.
    """
    if min(workers, len(chunks)) <= 1:
        return (event for number in range(len(chunks)) for event in _chunk_events(specs, chunks, number, extra))
    return _Pool(specs, chunks, workers, extra).events()


def _chunk_events(specs: Sequence[RunSpec], chunks: Sequence[Chunk], number: int, extra: Extra) -> Iterator[Event]:
    try:
        for event in train_chunk(specs, chunks[number]):
            if isinstance(event, Trained):
                yield Finished(number, event, extra(specs, chunks[number], event))
            else:
                yield Advanced(number, event)
    except MemoryError:
        yield Lost(number, "out of memory; lower train.memory or replicates")
    except RuntimeError as error:
        if "allocate" not in str(error):  # torch's word for out of memory on the processor
            raise
        yield Lost(number, f"out of memory ({str(error).splitlines()[0]}); lower train.memory or replicates")


class _Pool:
    """Worker processes, the pipe to each, and the chunk that each has in hand."""

    def __init__(self, specs: Sequence[RunSpec], chunks: Sequence[Chunk], workers: int, extra: Extra):
        # a forked worker has torch imported already; elsewhere it must import it for itself
        self.context: Any = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
        self.work = (specs, chunks, extra)
        self.waiting = list(reversed(range(len(chunks))))
        self.busy: dict[Connection, tuple[Any, int]] = {}
        for _ in range(min(workers, len(chunks))):
            self._start()

    def events(self) -> Iterator[Event]:
        """What the workers report until all chunks are done; the workers end with the iterator."""
        try:
            while self.busy:
                for ready in wait(list(self.busy)):
                    assert isinstance(ready, Connection)
                    yield from self._receive(ready)
        finally:
            for connection, (process, _) in self.busy.items():
                process.terminate()
                connection.close()
            for process, _ in self.busy.values():
                process.join()

    def _start(self) -> None:
        here, there = self.context.Pipe()
        inherited = [here, *self.busy]  # a worker that kept these open would never see its parent's end
        process = self.context.Process(target=_serve, args=(there, inherited if sys.platform == "linux" else [], *self.work), daemon=True)
        process.start()
        there.close()
        number = self.waiting.pop()
        here.send(number)
        self.busy[here] = (process, number)

    def _receive(self, connection: Connection) -> Iterator[Event]:
        process, number = self.busy[connection]
        try:
            event = connection.recv()
        except (EOFError, ConnectionResetError):
            process.join()
            del self.busy[connection]
            if self.waiting:
                self._start()
            yield Lost(number, f"its worker process died (status {process.exitcode}), most likely out of memory; lower train.memory")
            return
        if isinstance(event, BaseException):
            raise event
        if not isinstance(event, Advanced):
            self._next(connection)
        yield event

    def _next(self, connection: Connection) -> None:
        process, _ = self.busy[connection]
        if self.waiting:
            number = self.waiting.pop()
            connection.send(number)
            self.busy[connection] = (process, number)
        else:
            connection.send(None)
            connection.close()
            del self.busy[connection]
            process.join()


def _serve(
    connection: Connection, inherited: Sequence[Connection], specs: Sequence[RunSpec], chunks: Sequence[Chunk], extra: Extra
) -> None:
    """A worker: chunk numbers in, events out, until told None or the parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    for other in inherited:
        other.close()
    try:
        while (number := connection.recv()) is not None:
            for event in _chunk_events(specs, chunks, number, extra):
                connection.send(event)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return
    except Exception as error:  # a programming error: the parent raises it, so that it is seen
        connection.send(error)
