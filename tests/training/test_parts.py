"""Large updates are made in parts: by one thread or by several, alone or in a crowd, to the same last bit.

That they are right is tried in ``test_separate``, against a textbook loop."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest

from nnspec.execute.pool import cores, train_chunks
from nnspec.results.arrays import NEVER, Results
from nnspec.specs import RunSpec
from nnspec.training.codegen.lanes import I64, Lanes
from nnspec.training.codegen.library import machine_code
from nnspec.training.codegen.writer import Writer
from nnspec.training.layout import PARTED, PARTS, parts
from nnspec.training.memory import part_rows
from nnspec.training.plan import plan, threads_each
from nnspec.training.separate.arrays import address, aligned
from nnspec.training.separate.meeting import FREE, meet, together

SpecOf = Callable[..., RunSpec]
Train = Callable[[RunSpec], Results]
Crowd = Callable[..., dict[tuple[int, int], dict[str, bytes]]]
Differing = Callable[..., dict[Any, list[str]]]

DIGITS: dict[str, Any] = {
    "data": {"name": "digits", "standardize": True, "test_fraction": 0.2},  # 1438 rows
    "loss": "cross_entropy",
    "model": {"name": "mlp", "hidden": [90]},  # 6,760 weights
    "replicates": 2,
}
CASES: dict[str, dict[str, Any]] = {
    "full batch": {
        "data": {"name": "digits", "standardize": True},
        "activation": "prelu",
        "train": {"epochs": 5, "log_every": 2, "snapshot_every": 3, "clip_norm": 0.5},
    },
    # the last batch has 138 rows, all of them in the first part
    "mini-batches": {
        "activation": "tanh",
        "optimizer": {"name": "rmsprop", "lr": 0.001, "momentum": 0.5},
        "schedule": {"name": "cosine", "warmup": 2},
        "train": {"epochs": 3, "batch_size": 1300, "log_every": 1},
    },
    "double precision": {"dtype": "float64", "train": {"epochs": 4, "log_every": 3}},
    "until solved": {
        "solved": {"at_least": 0.6},
        "optimizer": {"name": "adam", "lr": 0.01},
        "train": {"epochs": 12, "log_every": 1, "stop": "solved"},
    },
    "until it does not get better": {
        "optimizer": {"name": "sgd", "lr": 30.0},
        "train": {"epochs": 8, "batch_size": 1300, "log_every": 1, "stop": "plateau", "patience": 2},
    },
    "until it overflows": {
        "activation": "relu",
        "optimizer": {"name": "sgd", "lr": 1e15},
        "train": {"epochs": 8, "log_every": 5},
    },
}


@pytest.mark.parametrize(
    "name",
    [
        name if name in ("mini-batches", "until it overflows") else pytest.param(name, marks=pytest.mark.slow)
        for name in CASES
    ],
)
def test_threads_and_crowds_change_no_bit(name: str, spec_of: SpecOf, crowd: Crowd, differing: Differing) -> None:
    spec = spec_of(**{**DIGITS, **CASES[name]})
    assert parts(spec) == PARTS == 2
    whole = crowd([spec])
    assert differing(crowd([spec], threads=2), whole) == {}
    alone = crowd([replace(spec, seed=spec.seed + 1, replicates=1)], threads=2)
    assert differing({(0, 1): alone[0, 0]}, whole) == {}


def test_the_cases_end_as_they_say(spec_of: SpecOf, train: Train) -> None:
    solved, plateau, overflown = (train(spec_of(**{**DIGITS, **CASES[name]})) for name in list(CASES)[3:])
    assert (solved.solved_at > NEVER).all()
    assert (plateau.loss[:, -1] == plateau.loss[:, -2]).all()
    assert (overflown.nonfinite_at > 0).any()


def test_small_updates_stay_whole(spec_of: SpecOf) -> None:
    assert PARTED == 8_000_000
    spec = spec_of(**DIGITS, train={"batch_size": 1183})  # times 6,760 weights: 7,997,080
    assert parts(spec) == 1
    assert parts(replace(spec, train=replace(spec.train, batch_size=1184))) == 2


@pytest.mark.parametrize(("count", "each"), [(1, 64), (64, 64), (128, 64), (129, 128), (300, 192), (1000, 512)])
def test_parts_have_whole_blocks(count: int, each: int) -> None:
    assert part_rows(count, 2, 64) == each


def test_threads_are_shared_out_by_chunks() -> None:
    assert [threads_each(chunks, 4) for chunks in (1, 2, 3, 4, 9)] == [4, 2, 1, 1, 1]
    assert threads_each(1, 1) == 1


@pytest.mark.skipif(cores() < 2, reason="one core has one thread")
@pytest.mark.parametrize(("workers", "threads"), [(1, 0), (2, 1)])
def test_one_worker_is_one_core(workers: int, threads: int, spec_of: SpecOf) -> None:
    spec = spec_of(**{**DIGITS, "replicates": 1, "train": {"epochs": 1}})
    started: set[int] = set()
    threading.setprofile(lambda *_: started.add(threading.get_ident()))
    try:
        list(train_chunks([spec], list(plan([spec]).chunks()), workers, lambda *_: None))
    finally:
        threading.setprofile(None)
    # threads that end make room for others of the same name
    assert bool(started) == bool(threads)


# -- meetings ---------------------------------------------------------------------------------------------------------


def rounds() -> tuple[Callable[..., None], object]:
    """``call(table, thread, threads, rounds)`` of machine code: each round every thread writes the round's number to
    its place, meets the others, and counts those places behind its own that have another one; then they meet again."""
    writer = Writer(Lanes("float32", 16), ["meeting", "written", "wrong"])
    with writer.body(writer.function("rounds", [I64] * 3, "external")) as (thread, threads, count):
        make, given = writer.make, writer.given
        with writer.loop(0, count) as number:
            writer.write(number, given["written"], thread)
            meet(make, given["meeting"], threads)
            with writer.loop(0, threads) as other:
                off = make.icmp_signed("!=", writer.read(given["written"], other, I64), number)
                wrong = make.add(writer.read(given["wrong"], thread, I64), make.zext(off, I64))
                writer.write(wrong, given["wrong"], thread)
            meet(make, given["meeting"], threads)
    engine = machine_code(writer.module, 2)
    function = ctypes.CFUNCTYPE(None, ctypes.c_void_p, *[ctypes.c_int64] * 3)
    return function(engine.get_function_address("rounds")), engine


def test_threads_wait_for_each_other() -> None:
    call, _engine = rounds()
    arrays = [aligned((8,), np.dtype(np.int64)) for _ in range(3)]
    table = np.array([address(array) for array in arrays])
    together([partial(call, address(table), thread, 3, 500) for thread in range(3)])
    meeting, written, wrong = arrays
    assert meeting[0] == 2 * 3 * 500
    assert written[:3].tolist() == [499] * 3
    assert wrong[:3].tolist() == [0] * 3
    meeting[0] = FREE
    call(address(table), 0, 3, 500)  # nobody else comes, and nobody is waited for
    assert wrong[0] > 0


def test_what_is_broken_off_keeps_nobody() -> None:
    released, others = threading.Event(), []

    def broken() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        together([broken, lambda: others.append(released.wait(60))], released.set)
    assert others == [True]
