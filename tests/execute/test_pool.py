"""Chunks in worker processes: what becomes of one that dies, runs out of memory or meets a programming error."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from nnspec.execute import pool
from nnspec.execute.pool import Event, Extra, Finished, Lost, Stuck, train_chunks, train_on_card
from nnspec.results.arrays import Results
from nnspec.specs import RunSpec
from nnspec.training.plan import Chunk, Share

SpecOf = Callable[..., RunSpec]
BAD = 2  # the number of the chunk that meets its fate
BOTH = pytest.mark.parametrize("workers", [1, 2])


@pytest.fixture
def work(spec_of: SpecOf) -> tuple[list[RunSpec], list[Chunk]]:
    """Six cells in a chunk each."""
    specs = [spec_of(seed=10 * cell, replicates=2, train={"epochs": 5}) for cell in range(6)]
    return specs, [Chunk((Share(cell, 0, 2),)) for cell in range(6)]


@pytest.fixture(autouse=True)
def no_child_is_left() -> Iterator[None]:
    yield
    assert multiprocessing.active_children() == []


def fails(how: Callable[[], object], chunks: tuple[int, ...] = (BAD,)) -> Extra:
    """What a caller may compute of a chunk: here its process id, but for some chunks it does ``how``."""

    def extra(specs: Sequence[RunSpec], chunk: Chunk, trained: Results) -> int:
        if chunk.shares[0].cell in chunks:
            how()
        return os.getpid()

    return extra


def ends(events: Iterator[Event]) -> tuple[dict[int, Finished], dict[int, str]]:
    finished: dict[int, Finished] = {}
    lost: dict[int, str] = {}
    for event in events:
        if isinstance(event, Finished):
            assert event.chunk not in finished
            finished[event.chunk] = event
        if isinstance(event, Lost):
            assert event.chunk not in lost
            lost[event.chunk] = event.reason
    return finished, lost


def no_memory() -> None:
    raise MemoryError


def no_memory_says_torch() -> None:
    raise RuntimeError(
        "[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes."
    )


def mistake() -> None:
    raise ZeroDivisionError("a programming error")


@BOTH
def test_every_chunk_comes_back_with_what_was_asked_of_it(work: Any, workers: int) -> None:
    finished, lost = ends(train_chunks(*work, workers, fails(lambda: None, ())))
    assert sorted(finished) == list(range(6))
    assert lost == {}
    for number, event in finished.items():
        assert event.trained.seeds.tolist() == [10 * number, 10 * number + 1]
    assert (os.getpid() in {event.extra for event in finished.values()}) == (workers == 1)
    assert len({event.extra for event in finished.values()}) <= workers


@pytest.mark.parametrize(
    ("how", "status"), [(lambda: os._exit(7), "status 7"), (lambda: os.kill(os.getpid(), signal.SIGKILL), "status -9")]
)
def test_a_worker_that_dies_loses_its_chunk_only(work: Any, how: Callable[[], object], status: str) -> None:
    finished, lost = ends(train_chunks(*work, 2, fails(how)))
    assert sorted(finished) == [0, 1, 3, 4, 5]
    assert list(lost) == [BAD]
    assert "its worker process died" in lost[BAD]
    assert status in lost[BAD]
    assert "lower train.memory" in lost[BAD]


def test_workers_that_all_die_are_replaced_until_nothing_waits(work: Any) -> None:
    finished, lost = ends(train_chunks(*work, 2, fails(lambda: os._exit(1), (0, 1, 2, 4, 5))))
    assert sorted(finished) == [3]
    assert sorted(lost) == [0, 1, 2, 4, 5]


@BOTH
@pytest.mark.parametrize("how", [no_memory, no_memory_says_torch])
def test_running_out_of_memory_loses_that_chunk_only(work: Any, workers: int, how: Callable[[], object]) -> None:
    finished, lost = ends(train_chunks(*work, workers, fails(how)))
    assert sorted(finished) == [0, 1, 3, 4, 5]
    assert list(lost) == [BAD]
    assert lost[BAD].startswith("out of memory")
    assert "lower train.memory" in lost[BAD]


@BOTH
def test_a_programming_error_is_raised_here(work: Any, workers: int) -> None:
    with pytest.raises(ZeroDivisionError, match="a programming error"):
        ends(train_chunks(*work, workers, fails(mistake)))


@BOTH
def test_another_runtime_error_is_no_lack_of_memory(work: Any, workers: int) -> None:
    def broken() -> None:
        raise RuntimeError("a shape does not fit")

    with pytest.raises(RuntimeError, match="a shape does not fit"):
        ends(train_chunks(*work, workers, fails(broken)))


@pytest.mark.parametrize("taken", [0, 1, 3])
def test_closing_early_leaves_no_process(work: Any, taken: int) -> None:
    events = train_chunks(*work, 2, fails(lambda: None, ()))
    for _ in range(taken):  # 0: closed before it was asked for anything
        next(events)
    assert multiprocessing.active_children() or not taken
    events.close()  # type: ignore[attr-defined]
    assert multiprocessing.active_children() == []


def test_closing_early_is_quiet_whatever_handler_the_parent_has(work: Any, capfd: pytest.CaptureFixture[str]) -> None:
    def interrupt(number: int, frame: object) -> None:  # as the runner's, which turns a request to end into Ctrl-C
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        events = train_chunks(*work, 2, fails(lambda: signal.pause(), (2, 3)))
        begun = {0, 1}  # one of each worker
        while begun:
            event = next(events)
            begun -= {event.chunk} if isinstance(event, Finished) else set()
        events.close()  # type: ignore[attr-defined]
    finally:
        signal.signal(signal.SIGTERM, before)
    assert capfd.readouterr().err == ""


def test_there_are_no_more_workers_than_chunks_or_asked_for(work: Any) -> None:
    specs, chunks = work
    most = 0
    for _ in train_chunks(specs, chunks[:3], 8, fails(lambda: None, ())):
        most = max(most, len(multiprocessing.active_children()))
    assert 1 <= most <= 3


def test_nothing_to_train_is_no_event(work: Any) -> None:
    assert list(train_chunks(work[0], [], 2, fails(lambda: None, ()))) == []


def stop_oneself() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def test_a_stopped_worker_is_told_of_once_and_waited_for(work: Any) -> None:
    told, finished = [], {}
    for event in train_chunks(*work, 2, fails(stop_oneself), silence=0.1):
        if isinstance(event, Stuck):
            told.append((event.chunk, event.process))
            os.kill(event.process, signal.SIGCONT)
        if isinstance(event, Finished):
            finished[event.chunk] = event.extra
    assert told == [(BAD, finished[BAD])]
    assert sorted(finished) == list(range(6))


def test_closing_ends_a_stopped_worker_too(work: Any) -> None:
    events = train_chunks(*work, 2, fails(stop_oneself), silence=0.1)
    assert any(isinstance(event, Stuck) for event in events)  # which stops there
    events.close()  # type: ignore[attr-defined]
    assert multiprocessing.active_children() == []


def what_a_worker_has(specs: Sequence[RunSpec], chunk: Chunk, trained: Results) -> str:
    return pool.first_line.__name__


@pytest.mark.slow  # each worker loads torch for itself
def test_workers_that_share_a_card_are_not_forked(work: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    alone, _ = ends(train_chunks(*work, 1, what_a_worker_has))
    monkeypatch.setattr(pool, "first_line", lambda error: "")  # here, and in what is forked from here
    shared, lost = ends(train_on_card(*work, 2, what_a_worker_has))
    assert not lost
    assert {event.extra for event in shared.values()} == {"first_line"}
    for number, event in alone.items():
        for name, tensor in event.trained.final.items():
            assert tensor.tobytes() == shared[number].trained.final[name].tobytes()
