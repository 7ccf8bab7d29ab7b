"""Graphs of a training step as machine code, made with LLVM: a few networks at a time, many updates in a row.

Every value of a graph is a vector with one lane a network (see ``instructions``): sixteen in single, eight in double
precision. So the weights and the optimizer's state of these networks stay in the first-level cache from update to
update.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from llvmlite import ir

from nnspec.training.codegen.graph import Traced, numbers_of
from nnspec.training.codegen.instructions import Code
from nnspec.training.codegen.lanes import I8, I32, I64, POINTER, Lanes
from nnspec.training.codegen.library import FUNCTIONS, machine_code
from nnspec.training.codegen.writer import loop
from nnspec.training.history import LATE
from nnspec.training.tracing import Pass

VECTOR_BYTES = 64  # of a vector of networks: a register of the widest processors, two or four of others
Slot = tuple[Any, ...]


@dataclass(frozen=True)
class CompiledStep:
    """A compiled step. ``call(first, last, width, stride, moves, looks, count, step, table)`` looks ``looks`` times at
    the networks first..last, each time making ``count`` updates after it, ``step`` having been made before. The weights
    of a network whose outputs become non-finite stay as they are then, its state does not.

    ``table`` has an address for each of ``slots``, the layout of a step's memory, stated here and nowhere else:
        ("stored", i)        the weights (0) and each slot of the state [P, width], changed in place
        ("right",)           when each network was first right [width] int32, changed in place
        ("nonfinite",)       when each network became non-finite in this call, or ``LATE`` [width] int32, written
        ("tolerance",), ("param", name), ("hyper", name, place), ("coefficient", name)   rows of numbers [width]
        ("moving", name)     rows [looks count, stride], a row an update, whose columns are networks where ``moves`` is
                             1 and all the same where it is 0
        ("look", i)          what a look leaves for the history, written: right, loss, accuracy [looks, width], the
                             norm of each layer's weights, a row of [looks, layers, width]
    """

    call: Callable[..., None]
    slots: tuple[Slot, ...]
    keeps: Any  # the code lives as long as this


def build(traced: Pass, update: Sequence[Traced], functions: Mapping[str, str] = FUNCTIONS) -> CompiledStep:
    """Machine code of a pass and an update, which calls these ``functions`` of torch's library.

    Raises:
        Untraceable: if this machine's torch has not the functions that a formula calls.
    """
    writer = _Writer(traced, update, functions)
    engine = machine_code(writer.module, 1)
    function = ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * 7, ctypes.c_int32, ctypes.c_void_p)
    return CompiledStep(function(engine.get_function_address("kernel")), writer.slots, engine)


class _Writer:
    """Writes the function ``kernel`` that ``CompiledStep`` describes."""

    def __init__(self, traced: Pass, update: Sequence[Traced], functions: Mapping[str, str]):
        self.traced, self.update, self.functions = traced, update, functions
        self.lanes = lanes = Lanes(traced.dtype, VECTOR_BYTES // np.dtype(traced.dtype).itemsize)
        vector, self.ints, self.integer = lanes.vector, lanes.integers(), lanes.integer
        history = [traced.right, traced.loss, traced.accuracy, *traced.norms]
        numbers = numbers_of([*traced.gradients, *traced.distances, *history, *update])
        self.lasting = [key for key in numbers if key[0] != "moving"]
        self.moving = [key for key in numbers if key[0] == "moving"]
        stored = [("stored", number) for number in range(len(update))]
        looked = [("look", number) for number in range(len(history))]
        self.slots: tuple[Slot, ...] = (*stored, ("right",), ("nonfinite",), *numbers, *looked)
        self.module = ir.Module("nnspec")
        function = ir.Function(self.module, ir.FunctionType(ir.VoidType(), [I64] * 7 + [I32, POINTER]), "kernel")
        self.make = make = ir.IRBuilder(function.append_basic_block())
        first, last, self.width, stride, moves, looks, count, step, table = function.args
        addresses = [make.gep(table, [I64(number)], source_etype=POINTER) for number in range(len(self.slots))]
        self.base = {slot: make.load(address, typ=POINTER) for slot, address in zip(self.slots, addresses, strict=True)}
        rows = I64(len(traced.gradients))
        self.weights, *_ = self.held = [make.alloca(vector, rows) for _ in stored]  # a vector a row
        self.gradients = make.alloca(vector, rows)
        self.right, self.nonfinite = make.alloca(self.ints), make.alloca(self.ints)
        with loop(make, first, last, lanes.count) as network:
            for slot, room in zip(stored, self.held, strict=True):
                with loop(make, I64(0), rows) as row:
                    make.store(self.read(slot, make.add(make.mul(row, self.width), network)), make.gep(room, [row]))
            make.store(self.read(("right",), network, self.ints), self.right)
            make.store(self.integer(LATE), self.nonfinite)
            lasting = {key: self.read(key, network) for key in self.lasting}
            with loop(make, I64(0), looks) as look:
                self.history(network, look, lasting)
                with loop(make, I64(0), count) as number:
                    made = make.add(make.mul(look, count), number)
                    place = make.add(make.mul(made, stride), make.mul(network, moves))
                    now = lasting | {key: self.read(key, place) for key in self.moving}
                    self.passes(now, make.add(step, make.trunc(made, I32)))
                    with loop(make, I64(0), rows) as row:
                        self.updates(now, row)
            for slot, room in zip(stored, self.held, strict=True):
                with loop(make, I64(0), rows) as row:
                    self.write(make.load(make.gep(room, [row])), slot, make.add(make.mul(row, self.width), network))
            self.write(make.load(self.right), ("right",), network)
            self.write(make.load(self.nonfinite), ("nonfinite",), network)
        make.ret_void()

    def history(self, network: ir.Value, look: ir.Value, numbers: Mapping[Slot, ir.Value]) -> None:
        """What the history takes down of the weights as they are."""
        make, traced = self.make, self.traced
        results = [traced.right, traced.loss, traced.accuracy, *traced.norms]
        code = Code(make, self.lanes, {"weight": self._weight, "number": numbers.__getitem__}, self.functions, results)
        for number, result in enumerate(results):
            value = code.value(result)
            stride = make.mul(self.width, I64(len(traced.norms) if result in traced.norms else 1))
            value = make.zext(value, self.lanes.integers(I8)) if result is traced.right else value
            self.write(value, ("look", number), make.add(make.mul(look, stride), network))

    def passes(self, numbers: Mapping[Slot, ir.Value], step: ir.Value) -> None:
        """One forward and backward pass after ``step`` updates."""
        make, traced = self.make, self.traced
        code = Code(
            make,
            self.lanes,
            {"weight": self._weight, "number": numbers.__getitem__},
            self.functions,
            [*traced.distances, traced.right, *traced.gradients],
        )
        # 0, or not a number
        gaps = [make.fsub(code.value(distance), code.value(distance)) for distance in traced.distances]
        worst = functools.reduce(make.fadd, gaps)
        nobody = ir.Constant(self.ints, ir.Undefined)
        now = make.shuffle_vector(make.insert_element(nobody, step, I32(0)), nobody, self.integer(0))
        for room, happens in (
            (self.right, code.value(traced.right)),
            (self.nonfinite, make.fcmp_unordered("uno", worst, worst)),
        ):
            before = make.load(room)
            earlier = make.and_(happens, make.icmp_signed("<", now, before))
            make.store(make.select(earlier, now, before), room)
        for row, gradient in enumerate(traced.gradients):
            make.store(code.value(gradient), make.gep(self.gradients, [I64(row)]))

    def updates(self, numbers: Mapping[Slot, ir.Value], row: ir.Value) -> None:
        """The optimizer's update of one row of weights."""
        make = self.make
        leaves = {
            "weight": lambda _: make.load(make.gep(self.weights, [row])),
            "gradient": lambda _: make.load(make.gep(self.gradients, [row])),
            "state": lambda slot: make.load(make.gep(self.held[1 + slot], [row])),
            "number": numbers.__getitem__,
        }
        code = Code(make, self.lanes, leaves, self.functions, self.update)
        weight, *state = (code.value(result) for result in self.update)
        alive = make.icmp_signed("==", make.load(self.nonfinite), self.integer(LATE))
        weight = make.select(alive, weight, leaves["weight"](None))
        for room, result in zip(self.held, [weight, *state], strict=True):
            make.store(result, make.gep(room, [row]))

    def _weight(self, row: int) -> ir.Value:
        return self.make.load(self.make.gep(self.weights, [I64(row)]))

    def read(self, slot: Slot, place: ir.Value, kind: ir.VectorType | None = None) -> ir.Value:
        """The numbers of a vector of networks."""
        kind = kind or self.lanes.vector
        return self.make.load(self.make.gep(self.base[slot], [place], source_etype=kind.element), align=4, typ=kind)

    def write(self, value: ir.Value, slot: Slot, place: ir.Value) -> None:
        """Store the numbers of a vector of networks."""
        self.make.store(value, self.make.gep(self.base[slot], [place], source_etype=value.type.element), align=1)
