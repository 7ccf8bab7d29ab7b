"""Threads that share a call of machine code: how they begin, and how they wait for each other inside it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import torch
from llvmlite import ir

from nnspec.training.codegen.lanes import I32, I64
from nnspec.training.codegen.library import yield_function

PATIENCE = 2000  # times that a thread looks for the others before it lets another have its core
FREE = 2**62  # arrivals from which on nobody is waited for


def meet(make: ir.IRBuilder, meeting: ir.Value, threads: ir.Value) -> None:
    """Instructions that wait until all ``threads`` have been here as often as this one. ``meeting`` is the address of
    the number of arrivals so far."""
    before = make.atomic_rmw("add", meeting, I64(1), "seq_cst")
    goal = make.mul(make.add(make.sdiv(before, threads), I64(1)), threads)
    goal = make.select(make.icmp_signed("<", goal, I64(FREE)), goal, I64(FREE))
    start = make.block
    looks, absent, yields, again, after = (make.append_basic_block() for _ in range(5))
    make.branch(looks)
    make.position_at_end(looks)
    tries = make.phi(I64)
    tries.add_incoming(I64(0), start)
    arrived = make.load_atomic(meeting, "seq_cst", 8, typ=I64)
    make.cbranch(make.icmp_signed(">=", arrived, goal), after, absent)
    make.position_at_end(absent)
    make.cbranch(make.icmp_signed("<", tries, I64(PATIENCE)), again, yields)
    make.position_at_end(yields)
    function = yield_function()
    if function is not None:
        make.call(make.inttoptr(function, ir.FunctionType(I32, []).as_pointer()), [])
    make.branch(again)
    make.position_at_end(again)
    tries.add_incoming(make.add(tries, I64(1)), again)
    make.branch(looks)
    make.position_at_end(after)


def together(calls: Sequence[Callable[[], None]], release: Callable[[], None] = lambda: None) -> None:
    """Make calls at the same time, the first of them in this thread. If it is broken off, ``release`` has the others
    wait for nobody."""
    others = [threading.Thread(target=_alone, args=(call,), daemon=True) for call in calls[1:]]
    try:
        for other in others:
            other.start()
        calls[0]()
    except BaseException:
        release()
        raise
    finally:
        for other in others:
            if other.ident is not None:  # it was started
                other.join()


def _alone(call: Callable[[], None]) -> None:
    torch.set_num_threads(1)  # a thread has its own number
    call()
