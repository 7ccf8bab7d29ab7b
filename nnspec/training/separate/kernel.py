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
import functools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from llvmlite import ir

from nnspec.problem import Problem
from nnspec.specs import RunSpec
from nnspec.training.codegen.graph import Key, Traced
from nnspec.training.codegen.lanes import I32, I64, POINTER, Lanes
from nnspec.training.codegen.library import machine_code
from nnspec.training.memory import part_rows
from nnspec.training.separate.formulas import Behind, Formulas, trace_behind, trace_row
from nnspec.training.separate.layers import Shape
from nnspec.training.separate.meeting import meet
from nnspec.training.separate.passes import STATISTICS
from nnspec.training.separate.steps import Steps
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
    shape: Shape
    keeps: Any  # the code lives as long as this


class KernelWriter(Steps):
    """Writes the functions of a kernel.

    ``evaluate(table, part, rows, count, outputs)``: passes over ``count`` rows of the data, whose numbers are ``rows``;
    sums up the ``statistics`` of this part, and writes the outputs [count, k] unless ``outputs`` is null.
    ``train(table, looks, count, step, thread, threads)``: ``looks`` times ``count`` updates, of which ``step`` were
    made before, on the rows ``order`` one batch after the other. Where the kernel watches, the statistics of each
    look's first pass go to ``looked`` [looks, statistics]. It ends early where the outputs are not finite, before the
    update that they would lead to, and writes the number of updates made to ``stopped`` [1]; and where ``leave`` is 1,
    once ``need`` rows are right. ``solved`` [1] is the number of updates after which they first were.

    Of ``threads`` that make the same call, at most as many as there are parts, each makes some parts of the passes and
    its share of the update; they meet in ``meeting`` [1], which is 0 before. Of ``work``, ``gradients`` and
    ``statistics`` each part has its own, one behind the other.
    """

    def __init__(self, problem: Problem, shape: Shape, formulas: Formulas, hidden: Sequence[Behind], lanes: Lanes):
        slots = len(formulas.update) - 1
        arguments = (
            *("data", "targets", "order", "weights", "gradients", *(f"state{n}" for n in range(slots))),
            *("work", "numbers", "moving", "batches", "scales", "tolerance", "need", "leave"),
            *("statistics", "looked", "norms", "solved", "stopped", "meeting"),
        )
        super().__init__(problem.shape, shape, lanes, arguments, formulas, hidden)
        self.part = self.function("part", [I64, I64, I64])
        self._write_part()
        with self.for_looks():
            self._write_evaluate()
        self._write_train()

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
        with self.body(self.function("evaluate", [I64, POINTER, I64, POINTER], "external")) as arguments:
            part, which, count, into = arguments
            make = self.make
            self.take(part)
            self._clear()
            wanted = make.icmp_unsigned("!=", make.ptrtoint(into, I64), I64(0))
            with self._blocks(which, count) as (first, some, size):
                make.call(self.look, [self.table, part, size, some, I64(1), self.lanes.scalar(0)])
                with make.if_then(wanted), self.loop(0, size) as row, self.loop(0, outputs) as output:
                    value = self.read(self.array("p"), make.add(make.mul(output, I64(rows)), row))
                    self.write(value, into, make.add(make.mul(make.add(first, row), I64(outputs)), output))

    def _write_part(self) -> None:
        """``part(table, part, update, fresh)``: the gradient and the statistics of a part of an update's batch."""
        with self.body(self.part) as (part, update, fresh):
            make = self.make
            self.take(part)
            if not self.shape.by_rows:
                self._clear()
            begin, size = (
                self.read(self.given["batches"], make.add(make.mul(update, I64(2)), I64(n)), I64) for n in (0, 1)
            )
            most = part_rows(self.shape.batch, self.shape.parts, self.shape.rows)
            before = make.mul(part, I64(most))
            mine = self.smaller(make.sub(size, before), I64(most))
            which = self.place(self.given["order"], make.add(begin, before), I32)
            scale = self.read(self.given["scales"], update)
            with make.if_else(make.icmp_signed(">", mine, I64(0))) as (some, none):
                with some:
                    with self._blocks(which, mine) as (first, count, rows):
                        make.call(self.pass_, [self.table, part, rows, count, fresh, scale])
                        make.call(self.back, [self.table, part, make.zext(make.icmp_signed(">", first, I64(0)), I64)])
                    self.turn()
                with none, self.loop(0, self.padded, self.lanes.count) as place:  # of a short last batch
                    self.store(ir.Constant(self.lanes.vector, None), self.given["gradients"], place)

    def _write_train(self) -> None:
        arguments = self.function("train", [I64] * 5, "external")
        with self.body(arguments) as (looks, count, step, thread, threads):
            make, given = self.make, self.given
            leads = make.icmp_signed("==", thread, I64(0))
            with self.loop(0, looks) as look, self.loop(0, count) as number:
                update = make.add(make.mul(look, count), number)
                made = make.add(step, update)
                begins = make.and_(leads, make.icmp_signed("==", number, I64(0)))
                if self.shape.watched:
                    with make.if_then(begins):
                        here = self.place(given["norms"], make.mul(look, I64(len(self.layers))))
                        make.call(self.norms, [self.table, here])
                with self.loop(thread, self.shape.parts, threads) as part:
                    make.call(self.part, [self.table, part, update, self._fresh(update)])
                self._meet(threads)
                self._judge(look, made, leads, begins)
                make.call(self.step, [self.table, update, thread, threads])
                self._meet(threads)

    def _fresh(self, update: ir.Value) -> ir.Value:
        """Whether rows have to be gathered: not where all rows are one block a part, which is there from the call's
        first update on."""
        if not self.shape.watched or self.shape.batch > self.rows * self.shape.parts:
            return I64(1)
        return self.make.zext(self.make.icmp_signed("==", update, I64(0)), I64)

    def _meet(self, threads: ir.Value) -> None:
        """Where more than one thread trains, they wait here for each other."""
        with self.make.if_then(self.make.icmp_signed(">", threads, I64(1))):
            meet(self.make, self.given["meeting"], threads)

    def _judge(self, look: ir.Value, made: ir.Value, leads: ir.Value, begins: ir.Value) -> None:
        """What is noted of the passes before update ``made``, by the thread that ``leads``, and of a look that
        ``begins``; where training ends, the function returns."""
        make, given = self.make, self.given
        sums = [self._total(number) for number in range(STATISTICS)]
        ends = [make.fcmp_unordered("uno", sums[2], self.lanes.scalar(0))]
        if self.shape.watched:
            with make.if_then(begins):
                for place, value in enumerate(sums):
                    self.write(value, given["looked"], make.add(make.mul(look, I64(STATISTICS)), I64(place)))
            right = make.fcmp_ordered(">=", sums[1], self.read(given["need"], 0))
            with make.if_then(make.and_(leads, right)):
                self.write(self.smaller(made, self.read(given["solved"], 0, I64)), given["solved"], 0)
            ends.append(make.and_(right, make.icmp_signed("!=", self.read(given["leave"], 0, I64), I64(0))))
        ended = ends[0] if len(ends) == 1 else make.or_(*ends)
        with make.if_then(ended):
            with make.if_then(leads):
                self.write(made, given["stopped"], 0)
            make.ret_void()

    def _total(self, number: int) -> ir.Value:
        """One of the statistics of all parts."""
        parts = [
            self.read(self.given["statistics"], part * self.lanes.count + number) for part in range(self.shape.parts)
        ]
        return functools.reduce(self.make.fadd, parts)


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
        function("train", *[ctypes.c_int64] * 5),
        function("evaluate", ctypes.c_int64, ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p),
        function("norms", ctypes.c_void_p),
        writer.numbers,
        writer.moving,
        writer.ones,
        writer.arrays.size,
        {name: place for place, name in enumerate(writer.arguments)},
        writer.padded,
        shape,
        engine,
    )
