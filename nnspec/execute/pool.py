"""Chunks on all cores: one process a core, each training one chunk at a time.

Processes rather than threads: a training step is some forty short operations, and Python's lock between two threads
costs more than the operations do. The parent receives plain arrays; nothing passes through a file.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import pickle
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing.connection import Connection, wait
from multiprocessing.util import Finalize
from pathlib import Path
from typing import Any, Protocol, cast

from nnspec.errors import first_line
from nnspec.parts.guard import blamed
from nnspec.parts.loading import load, load_installed, loaded
from nnspec.parts.used import printing_aside
from nnspec.processes import held_back, leave_signals_to_the_parent
from nnspec.results.arrays import Results
from nnspec.specs import RunSpec
from nnspec.training.loop import Progress, train_chunk
from nnspec.training.plan import Chunk, threads_each

Extra = Callable[[Sequence[RunSpec], Chunk, Results], Any]  # what else to compute of a trained chunk, in its worker


class Only:
    """An ``Extra`` that is all its caller wants of a chunk: no network's arrays are handed over beside it."""


@dataclass(frozen=True)
class Advanced:
    """Chunk number ``chunk`` has come so far."""

    chunk: int
    progress: Progress


@dataclass(frozen=True)
class Finished:
    """Chunk number ``chunk`` is trained, in so many ``seconds``; ``extra`` is what the caller asked to have computed
    of it."""

    chunk: int
    trained: Results
    extra: Any
    seconds: float = 0.0


@dataclass(frozen=True)
class Lost:
    """Chunk number ``chunk`` could not be trained."""

    chunk: int
    reason: str


@dataclass(frozen=True)
class Stuck:
    """Chunk number ``chunk`` waits for its worker process, which somebody has stopped."""

    chunk: int
    process: int

    def __str__(self) -> str:
        go_on = f"kill -CONT {self.process}"
        return f"worker process {self.process} is stopped and training waits for it; go on: {go_on}"


Event = Advanced | Finished | Lost | Stuck
SILENCE = 5.0  # seconds without a report after which a worker is looked at


class Events(Protocol):
    """An iterator over events that can be closed."""

    def __iter__(self) -> Iterator[Event]: ...
    def __next__(self) -> Event: ...
    def close(self) -> None: ...


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def processes(said: int | None, on_card: bool) -> int:
    """Processes that train on this machine unless it is ``said``: one a core, or the one that keeps a card busy."""
    return said or (1 if on_card else cores())


def train_chunks(
    specs: Sequence[RunSpec],
    chunks: Sequence[Chunk],
    workers: int,
    extra: Extra,
    silence: float = SILENCE,
    forks: bool = True,
) -> Events:
    """Train all chunks, on up to ``workers`` processes; events in the order in which they happen.

    ``close`` stops the workers. A chunk that fails is ``Lost`` and stops no other. The workers start with the
    call, not with the first event: a caller that has threads wakes them afterwards, so that nothing is forked half-way.
    Without ``forks`` workers load everything for themselves.
    """
    threads = threads_each(len(chunks), min(workers, cores()))
    if min(workers, len(chunks)) <= 1:
        return (
            event for number, chunk in enumerate(chunks) for event in chunk_events(specs, chunk, number, extra, threads)
        )
    return _Pool(specs, chunks, workers, extra, silence, threads, forks)


def train_on_card(specs: Sequence[RunSpec], chunks: Sequence[Chunk], workers: int, extra: Extra) -> Events:
    """The same by processes that may use a graphics card: one that this process has begun to use is lost to those that
    are forked from it."""
    return train_chunks(specs, chunks, workers, extra, forks=False)


def chunk_events(
    specs: Sequence[RunSpec], chunk: Chunk, number: int, extra: Extra, threads: int = 1
) -> Iterator[Event]:
    """Train a chunk, which is number ``number``, in this process, in so many threads where they can share an update."""
    started = time.perf_counter()
    try:
        own = [specs[share.cell] for share in chunk.shares]
        for event in printing_aside(iter(train_chunk(specs, chunk, threads=threads)), own):
            if isinstance(event, Progress):
                yield Advanced(number, event)
            else:
                seconds = time.perf_counter() - started
                made = extra(specs, chunk, event)
                if isinstance(extra, Only):
                    event = event.select(network=slice(0))
                yield Finished(number, event, made, seconds)
        del event
        give_back()
    except MemoryError:
        yield Lost(number, "out of memory; lower train.memory or replicates")
    except Exception as error:
        reason = _why_lost(error)
        if not reason:
            raise
        yield Lost(number, reason)


def _why_lost(error: Exception) -> str:
    """Why an error loses a chunk and no other; empty of a programming error of nnspec's."""
    if isinstance(error, RuntimeError) and "allocate" in str(error):  # torch's word for out of memory on the processor
        return f"out of memory ({first_line(error)}); lower train.memory or replicates"
    part = blamed(error)
    return "" if part is None else str(part)


class _Pool(Iterator[Event]):
    """Worker processes, the pipe to each, and the chunk that each has in hand; an iterator over what they report."""

    def __init__(
        self,
        specs: Sequence[RunSpec],
        chunks: Sequence[Chunk],
        workers: int,
        extra: Extra,
        silence: float,
        threads: int,
        forks: bool,
    ):
        # a forked worker has torch imported already; elsewhere it must import it for itself
        self.forks = forks and sys.platform == "linux"
        self.context: Any = multiprocessing.get_context("fork" if self.forks else "spawn")
        self.work = (specs, chunks, extra, threads, loaded())
        self.waiting = list(reversed(range(len(chunks))))
        self.busy: dict[Connection, tuple[Any, int]] = {}
        self.leaving: list[Any] = []  # processes that have nothing more to do
        Finalize(self, _end, (self.busy,), exitpriority=0)  # Python would wait for them, and they for work
        self.silence = silence
        self.heard: dict[int, float] = {}  # by process, when it last reported; none once it is known to be stopped
        for _ in range(min(workers, len(chunks))):
            self._start()

    def __next__(self) -> Event:
        if not self.busy:
            self._wait_for_leavers()
            raise StopIteration
        try:
            while True:
                stuck = self._stuck()
                if stuck is not None:
                    return stuck
                for ready in wait(list(self.busy), self.silence if self.heard else None):
                    return self._receive(cast(Connection, ready))
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the workers, whatever they have in hand; also one that is stopped, which no request to end would
        reach."""
        _end(self.busy)
        self._wait_for_leavers()

    def _wait_for_leavers(self) -> None:
        while self.leaving:
            self.leaving.pop().join()

    def _stuck(self) -> Stuck | None:
        """Of the workers that have been silent for a while one that is stopped; each once."""
        now = time.monotonic()
        for process, number in self.busy.values():
            if now - self.heard.get(process.pid, now) > self.silence and is_stopped(process.pid):
                del self.heard[process.pid]
                return Stuck(number, process.pid)
        return None

    def _start(self) -> None:
        here, there = self.context.Pipe()
        inherited = (
            [here, *self.busy] if self.forks else []
        )  # a worker that kept these open would never see its parent's end
        process = self.context.Process(target=_serve, args=(there, inherited, *self.work), daemon=True)
        with held_back():
            process.start()
        there.close()
        number = self.waiting.pop()
        self.busy[here] = (process, number)
        self.heard[process.pid] = time.monotonic()
        here.send(number)

    def _receive(self, connection: Connection) -> Event:
        process, number = self.busy[connection]
        self.heard[process.pid] = time.monotonic()
        try:
            event = received(connection)
        except (EOFError, ConnectionResetError):
            process.join()
            del self.busy[connection]
            if self.waiting:
                self._start()
            return Lost(
                number,
                f"its worker process died (status {process.exitcode}), most likely out of memory; lower train.memory",
            )
        if isinstance(event, BaseException):
            raise event
        if not isinstance(event, Advanced):
            self._next(connection)
        return cast(Event, event)

    def _next(self, connection: Connection) -> None:
        process, _ = self.busy.pop(connection)
        try:
            connection.send(self.waiting[-1] if self.waiting else None)
        except (BrokenPipeError, ConnectionResetError):  # it died after its last report: another takes its place
            process.join()
            if self.waiting:
                self._start()
            return
        if self.waiting:
            self.busy[connection] = (process, self.waiting.pop())
        else:  # the others train on while it ends
            connection.close()
            self.leaving.append(process)


def _end(busy: dict[Connection, tuple[Any, int]]) -> None:
    for connection, (process, _) in busy.items():
        process.kill()
        connection.close()
    for process, _ in busy.values():
        process.join()
    busy.clear()


def is_stopped(process: int) -> bool:
    """Whether a process has been stopped, as by SIGSTOP or a debugger; False where the system does not say."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] in ("T", "t")
    except (OSError, IndexError):
        return False


@lru_cache
def _trim() -> Callable[[int], int] | None:
    return getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None


def give_back() -> None:
    """Give memory that is free within this process back to the system, where the C library keeps it for later."""
    trim = _trim()
    if trim is not None:
        trim(0)


def send(connection: Connection, event: Event | Exception) -> None:
    """Send an event. Its arrays go as they lie in memory, one after the other, so that neither end holds a second copy
    of all."""
    buffers: list[pickle.PickleBuffer] = []
    text = pickle.dumps(event, protocol=5, buffer_callback=buffers.append)
    parts = [buffer.raw() for buffer in buffers]
    connection.send([part.nbytes for part in parts])
    connection.send_bytes(text)
    for part in parts:
        if part.nbytes:
            connection.send_bytes(part)


def received(connection: Connection) -> Any:
    """The event that ``send`` sent."""
    sizes = connection.recv()
    text = connection.recv_bytes()
    parts = [bytearray(size) for size in sizes]
    for part in parts:
        if part:
            connection.recv_bytes_into(part)
    return pickle.loads(text, buffers=parts)


def _serve(
    connection: Connection,
    inherited: Sequence[Connection],
    specs: Sequence[RunSpec],
    chunks: Sequence[Chunk],
    extra: Extra,
    threads: int,
    parts: Sequence[Path],
) -> None:
    """A worker: chunk numbers in, events out, until told None or the parent is gone."""
    leave_signals_to_the_parent()
    for other in inherited:
        other.close()
    try:
        load_installed()
        load(parts)  # that of a forked worker are there
        while (number := connection.recv()) is not None:
            for event in chunk_events(specs, chunks[number], number, extra, threads):
                send(connection, event)
                del event
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return
    except Exception as error:  # a programming error: the parent raises it, so that it is seen
        try:
            send(connection, error)
        except (TypeError, AttributeError, pickle.PicklingError):  # it holds what cannot travel
            send(connection, RuntimeError(f"{type(error).__name__}: {error}"))
