"""The training of one network as machine code, made with LLVM: rows of the data are the lanes of its vectors.

Layers are matrix products, by the library that torch ships; all between them (activations, the loss and its gradient,
the optimizer's rule) is one pass over memory each, made from the catalog's formulas. Rows come in blocks that fit the
processor's cache. A network is trained by itself: whatever trains beside it cannot change a bit of it.

Axes: i fan-in, o fan-out, k outputs, R rows of a block (whole vectors; what lies behind the last row counts nothing).
Values of a layer lie units first, [o, R]; its inputs have a unit more, which is always 1: [i + 1, R]. The data lie rows
first, [n, i + 1].
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from llvmlite import ir

from nnspec.problem import Problem
from nnspec.specs import RunSpec
from nnspec.training.formulas import Behind, Formulas, trace_behind, trace_row
from nnspec.training.graph import Key, Traced
from nnspec.training.lanes import I32, I64, POINTER, Lanes
from nnspec.training.layers import Shape
from nnspec.training.library import machine_code
from nnspec.training.passes import STATISTICS, Passes
from nnspec.training.stacking import blocks

LANES = {"float32": 16, "float64": 8}


@dataclass(frozen=True)
class Kernel:
    """The machine code of one network's training; see ``KernelWriter`` for what the functions take.

    ``numbers`` are the network's own numbers and ``moving`` those that change from update to update; ``work`` is the
    length of the working memory.
    """

    train: Callable[..., None]
    evaluate: Callable[..., None]
    norms: Callable[..., None]
    numbers: tuple[Key, ...]
    moving: tuple[Key, ...]
    ones: tuple[slice, ...]  # of the working memory, to be filled with 1
    work: int
    places: Mapping[str, int]  # of what the table has addresses of, by name
    parameters: int  # of a network, filled up to whole vectors
    keeps: Any  # the code lives as long as this


class KernelWriter(Passes):
    """Writes the functions of a kernel.

    ``evaluate(table, rows, count, outputs)``: passes over ``count`` rows of the data, whose numbers are ``rows``; sums
    up ``statistics``, and writes the outputs [count, k] unless ``outputs`` is null.
    ``train(table, looks, count, step)``: ``looks`` times ``count`` updates, of which ``step`` were made before, on the
    rows ``order`` one batch after the other. Where the kernel watches, the statistics of each look's first pass go to
    ``looked`` [looks, statistics]. It ends early where the outputs are not finite, before the update that they would
    lead to, and writes the number of updates made to ``stopped`` [1]; and where ``leave`` is 1, once ``need`` rows are
    right. ``solved`` [1] is the number of updates after which they first were.
    """

    def __init__(self, problem: Problem, shape: Shape, formulas: Formulas, hidden: Sequence[Behind], lanes: Lanes):
        self.slots = len(formulas.update) - 1
        arguments = (
            *("data", "targets", "order", "weights", "gradients", *(f"state{n}" for n in range(self.slots))),
            *("work", "numbers", "moving", "batches", "scales", "tolerance", "need", "leave"),
            *("statistics", "looked", "norms", "solved", "stopped"),
        )
        super().__init__(problem.shape, shape, lanes, arguments, formulas, hidden)
        self.padded = -(-problem.shape.parameters // lanes.count) * lanes.count
        self.step = self.function("step", [I64])
        self.norms = self.function("norms", [POINTER], "external")
        self._write_step()
        self._write_norms()
        with self.for_looks():
            self._write_evaluate()
        self._write_train()

    def _write_step(self) -> None:
        """``step(table, number)``: update ``number`` of a call, from 0, by the optimizer's rule."""
        with self.body(self.step) as (update,):
            self.turn()
            factor = self._clipping() if self.shape.clip else None
            places = {
                key: self.make.add(self.make.mul(update, I64(len(self.moving))), I64(place))
                for place, key in enumerate(self.moving)
            }
            rooms = [self.given[name] for name in ("weights", *(f"state{n}" for n in range(self.slots)))]
            with self.loop(0, self.padded, self.lanes.count) as place:

                def gradient(_: Any) -> ir.Value:
                    plain = self.vector(self.given["gradients"], place)
                    return plain if factor is None else self.make.fmul(plain, factor)

                leaves = {
                    "weight": lambda _: self.vector(rooms[0], place),
                    "gradient": gradient,
                    "state": lambda slot: self.vector(rooms[1 + slot], place),
                    "number": lambda key: (
                        self.splat(self.read(self.given["moving"], places[key])) if key in places else self.number(key)
                    ),
                }
                for room, value in zip(rooms, self.instructions(leaves, self.formulas.update), strict=True):
                    self.store(value, room, place)

    def _clipping(self) -> ir.Value:
        """What gradients are multiplied by, so that their norm is at most ``clip``: as
        ``torch.nn.utils.clip_grad_norm_``."""
        make = self.make
        room = make.alloca(self.lanes.vector)
        make.store(ir.Constant(self.lanes.vector, None), room)
        with self.loop(0, self.padded, self.lanes.count) as place:
            gradient = self.vector(self.given["gradients"], place)
            self.add_to(room, make.fmul(gradient, gradient))
        root = self.module.declare_intrinsic("llvm.sqrt", [self.lanes.scalar])
        norm = make.call(root, [self.sum(make.load(room, typ=self.lanes.vector))])
        factor = make.fdiv(self.lanes.scalar(self.shape.clip), make.fadd(norm, self.lanes.scalar(1e-6)))
        one = self.lanes.scalar(1)
        return self.splat(make.select(make.fcmp_ordered("<", factor, one), factor, one))

    def _write_norms(self) -> None:
        """``norms(table, into)``: the L2 norm of each layer's weight matrix."""
        with self.body(self.norms) as (into,):
            make, root = self.make, self.module.declare_intrinsic("llvm.sqrt", [self.lanes.scalar])
            for number, layer in enumerate(self.layers):
                room = make.alloca(self.lanes.scalar)
                make.store(self.lanes.scalar(0), room)
                with self.loop(0, layer.fan_in * layer.fan_out) as place:
                    weight = self.read(self.weights(number), place)
                    self.add_to(room, make.fmul(weight, weight))
                self.write(make.call(root, [make.load(room, typ=self.lanes.scalar)]), into, number)

    def _clear(self) -> None:
        for number in range(STATISTICS):
            self.write(self.lanes.scalar(0), self.given["statistics"], number)

    @contextmanager
    def _blocks(self, which: ir.Value, count: ir.Value) -> Iterator[tuple[ir.Value, ir.Value, ir.Value]]:
        """The blocks of ``count`` rows: the first row, their numbers, how many they are."""
        rows = self.rows
        with self.loop(0, count, rows) as first:
            left = self.make.sub(count, first)
            yield first, self.place(which, first, I32), self.smaller(left, I64(rows))

    def _write_evaluate(self) -> None:
        make, outputs, rows = self.make, self.outputs, self.rows
        with self.body(self.function("evaluate", [POINTER, I64, POINTER], "external")) as (which, count, into):
            make = self.make
            self._clear()
            wanted = make.icmp_unsigned("!=", make.ptrtoint(into, I64), I64(0))
            with self._blocks(which, count) as (first, some, size):
                make.call(self.look, [self.table, size, some, I64(1), self.lanes.scalar(0)])
                with make.if_then(wanted), self.loop(0, size) as row, self.loop(0, outputs) as output:
                    value = self.read(self.array("p"), make.add(make.mul(output, I64(rows)), row))
                    self.write(value, into, make.add(make.mul(make.add(first, row), I64(outputs)), output))

    def _write_train(self) -> None:
        with self.body(self.function("train", [I64, I64, I64], "external")) as (looks, count, step):
            make, given = self.make, self.given
            with self.loop(0, looks) as look, self.loop(0, count) as number:
                update = make.add(make.mul(look, count), number)
                made = make.add(step, update)
                if not self.shape.by_rows:
                    self._clear()
                begin, size = (
                    self.read(given["batches"], make.add(make.mul(update, I64(2)), I64(n)), I64) for n in (0, 1)
                )
                scale = self.read(given["scales"], update)
                fresh = self._fresh(update)
                with self._blocks(self.place(given["order"], begin, I32), size) as (first, some, rows):
                    make.call(self.pass_, [self.table, rows, some, fresh, scale])
                    make.call(self.back, [self.table, make.zext(make.icmp_signed(">", first, I64(0)), I64)])
                self._judge(look, number, made)
                make.call(self.step, [self.table, update])

    def _fresh(self, update: ir.Value) -> ir.Value:
        """Whether rows have to be gathered: not where all rows are one block, which is there from the call's first
        update on."""
        if not self.shape.watched or self.shape.batch > self.rows:
            return I64(1)
        return self.make.zext(self.make.icmp_signed("==", update, I64(0)), I64)

    def _judge(self, look: ir.Value, number: ir.Value, made: ir.Value) -> None:
        """What is noted of the pass before update ``made``; where training ends, the function returns."""
        make, given = self.make, self.given
        ends = [make.fcmp_unordered("uno", self.read(given["statistics"], 2), self.lanes.scalar(0))]
        if self.shape.watched:
            with make.if_then(make.icmp_signed("==", number, I64(0))):
                for place in range(STATISTICS):
                    here = make.add(make.mul(look, I64(STATISTICS)), I64(place))
                    self.write(self.read(given["statistics"], place), given["looked"], here)
                here = self.place(given["norms"], make.mul(look, I64(len(self.layers))))
                make.call(self.norms, [self.table, here])
            right = make.fcmp_ordered(">=", self.read(given["statistics"], 1), self.read(given["need"], 0))
            solved = self.read(given["solved"], 0, I64)
            earlier = make.and_(right, make.icmp_signed("<", made, solved))
            self.write(make.select(earlier, made, solved), given["solved"], 0)
            ends.append(make.and_(right, make.icmp_signed("!=", self.read(given["leave"], 0, I64), I64(0))))
        ended = ends[0] if len(ends) == 1 else make.or_(*ends)
        with make.if_then(ended):
            self.write(made, given["stopped"], 0)
            make.ret_void()


def _hidden(spec: RunSpec, problem: Problem, shape: Shape, lanes: Lanes) -> list[Behind]:
    """The activations behind all layers but the last."""
    rows = math.gcd(shape.rows, shape.looked)
    after, layers = problem.shape.after, blocks(problem.shape)[:-1]
    return [
        trace_behind(after[n], spec.activation, n, bool(layer.learned), layer.fan_out * rows // lanes.count)
        for n, layer in enumerate(layers)
    ]


def build_kernel(spec: RunSpec, problem: Problem, shape: Shape, update: Sequence[Traced]) -> Kernel:
    """The kernel of a spec's networks, with an optimizer's rule as ``tracing.trace_update`` gives it.

    Raises:
        Untraceable: a formula has no form for one row, or this machine's torch has not a function that it calls.
    """
    lanes = Lanes(spec.dtype, LANES[spec.dtype])
    hidden = _hidden(spec, problem, shape, lanes)
    writer = KernelWriter(problem, shape, trace_row(problem, update, shape.by_rows), hidden, lanes)
    engine = machine_code(writer.module, 2)

    def function(name: str, *arguments: Any) -> Callable[..., None]:
        made = ctypes.CFUNCTYPE(None, ctypes.c_void_p, *arguments)
        return made(engine.get_function_address(name))

    return Kernel(
        function("train", ctypes.c_int64, ctypes.c_int64, ctypes.c_int64),
        function("evaluate", ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p),
        function("norms", ctypes.c_void_p),
        writer.numbers,
        writer.moving,
        writer.ones,
        writer.arrays.size,
        {name: place for place, name in enumerate(writer.arguments)},
        writer.padded,
        engine,
    )
