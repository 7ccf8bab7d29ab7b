"""The passes of a kernel over one block of rows: forward with the loss and its gradient, and backward."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from llvmlite import ir

from nnspec.architecture import Architecture
from nnspec.training.codegen.graph import Key, Traced, numbers_of
from nnspec.training.codegen.instructions import Code, functions_at_hand
from nnspec.training.codegen.lanes import I32, I64, POINTER, Lanes
from nnspec.training.separate.formulas import Behind, Formulas
from nnspec.training.separate.layers import Layers, Shape

I1 = ir.IntType(1)
STATISTICS = 3  # numbers that passes over rows sum up: the loss, rows that are right, and 0 or not-a-number


class Passes(Layers):
    """Writes the functions ``pass``, ``look`` (a pass over a block where the network is only looked at) and
    ``back``."""

    def __init__(
        self,
        architecture: Architecture,
        shape: Shape,
        lanes: Lanes,
        arguments: Sequence[str],
        formulas: Formulas,
        hidden: Sequence[Behind],
    ):
        super().__init__(architecture, shape, lanes, arguments)
        self.formulas, self.hidden = formulas, hidden
        self.functions = functions_at_hand(lanes.dtype, lanes.count)
        keys = numbers_of([*formulas.update, *(part for behind in hidden for part in behind.all())])
        self.numbers = tuple(key for key in keys if key[0] != "moving")
        self.moving = tuple(key for key in keys if key[0] == "moving")
        self.pass_ = self.function("pass", [I64, I64, POINTER, I64, lanes.scalar])
        self.look = self.function("look", [I64, I64, POINTER, I64, lanes.scalar])
        self.back = self.function("back", [I64, I64])
        self._write_pass(self.pass_)
        self._write_back()
        with self.for_looks():
            self._write_pass(self.look)

    def instructions(
        self, leaves: Mapping[str, Callable[[Any], ir.Value]], results: Sequence[Traced]
    ) -> list[ir.Value]:
        """The values of these graphs."""
        code = Code(self.make, self.lanes, {"number": self.number, **leaves}, self.functions, results)
        return [code.value(result) for result in results]

    def number(self, key: Key) -> ir.Value:
        return self.splat(self.read(self.given["numbers"], self.numbers.index(key)))

    def learned(self, number: int) -> ir.Value:
        return self.splat(self.read(self.given["weights"], self.layers[number].stop))

    def _write_pass(self, function: ir.Function) -> None:
        """``function(table, part, count, which, fresh, scale)``: a forward pass over ``count`` rows of a block, whose
        numbers are ``which``; they are gathered unless they are there (``fresh`` is 0)."""
        with self.body(function) as (part, count, which, fresh, scale):
            self.take(part)
            with self.make.if_then(self.make.icmp_signed("!=", fresh, I64(0))):
                self._gather(which, count)
            for number in range(len(self.layers)):
                self.forward(number)
                if number < len(self.layers) - 1:
                    self._activate(number)
            self._score(count, scale)

    def _gather(self, which: ir.Value, count: ir.Value) -> None:
        """The inputs and targets of the rows ``which``."""
        make, width, outputs, rows = self.make, self.layers[0].fan_in + 1, self.outputs, self.rows
        copy = self.module.declare_intrinsic("llvm.memcpy", [POINTER, POINTER, I64])
        x, y = self.array("x0"), self.array("y")
        with self.loop(0, count) as row:
            source = make.sext(self.read(which, row, I32), I64)
            here = self.place(x, make.mul(row, I64(width)))
            there = self.place(self.given["data"], make.mul(source, I64(width)))
            make.call(copy, [here, there, I64(width * self.lanes.bytes), I1(0)])
            with self.loop(0, outputs) as output:
                value = self.read(self.given["targets"], make.add(make.mul(source, I64(outputs)), output))
                self.write(value, y, make.add(make.mul(output, I64(rows)), row))

    def _activate(self, number: int) -> None:
        """The activations of a layer, which are the inputs of the next."""
        z, h = self.array(f"z{number}"), self.array(f"x{number + 1}")
        value, lanes = self.hidden[number].value, self.lanes.count
        with self.loop(0, self.layers[number].fan_out * self.rows, len(value) * lanes) as first:
            at = lambda n: self.make.add(first, I64(n * lanes))  # noqa: E731
            leaves = {"z": lambda n: self.vector(z, at(n)), "learned": lambda _: self.learned(number)}
            for place, result in enumerate(self.instructions(leaves, value)):
                self.store(result, h, at(place))

    def _score(self, count: ir.Value, scale: ir.Value) -> None:
        """Outputs, the gradient of the loss, and the statistics, which sum up."""
        make, formulas, rows, outputs = self.make, self.formulas, self.rows, self.outputs
        last = len(self.layers) - 1
        z, dz, y, p = (self.array(name) for name in (f"z{last}", f"dz{last}", "y", "p"))
        sums = [make.alloca(self.lanes.vector) for _ in range(STATISTICS)]
        for room in sums:
            make.store(ir.Constant(self.lanes.vector, None), room)
        tolerance, factor = self.splat(self.read(self.given["tolerance"], 0)), self.splat(scale)
        lanes = ir.Constant(ir.VectorType(I64, self.lanes.count), [I64(lane) for lane in range(self.lanes.count)])
        nothing, one = ir.Constant(self.lanes.vector, None), self.lanes.constant(1.0)
        with self.loop(0, rows, self.lanes.count) as row:
            at = lambda output: make.add(I64(output * rows), row)  # noqa: E731
            leaves = {"z": lambda n: self.vector(z, at(n)), "y": lambda n: self.vector(y, at(n))}
            results = [*formulas.outputs, *formulas.gradients, formulas.loss, formulas.distance]
            found = self.instructions(leaves, results)
            for output in range(outputs):
                self.store(found[output], p, at(output))
            *_, loss, distance = found
            inside = make.icmp_signed("<", make.add(self.splat_integer(row), lanes), self.splat_integer(count))
            for output in range(outputs):
                gradient = make.fmul(found[outputs + output], factor)
                self.store(make.select(inside, gradient, nothing), dz, at(output))
            right = make.select(make.fcmp_ordered("<", distance, tolerance), one, nothing)
            for room, value in zip(sums, (loss, right, make.fsub(distance, distance)), strict=True):
                self.add_to(room, make.select(inside, value, nothing))
        for number, room in enumerate(sums):
            before = self.place(self.given["statistics"], number)
            self.add_to(before, self.sum(make.load(room, typ=self.lanes.vector)))

    def _write_back(self) -> None:
        """``back(table, part, add)``: the backward pass of the block that was passed last, added to the gradients so
        far or not."""
        with self.body(self.back) as (part, add):
            self.take(part)
            adds = self.make.icmp_signed("!=", add, I64(0))
            one, zero = self.constant(self.lanes.scalar(1)), self.constant(self.lanes.scalar(0))
            beta = self.make.select(adds, one, zero)
            for number in range(len(self.layers) - 1, -1, -1):
                self.backward(number, beta)
                if number:
                    self._through(number - 1, adds)

    def _through(self, number: int, adds: ir.Value) -> None:
        """The gradient of a layer's pre-activations from that of its activations, in place."""
        make, behind, lanes = self.make, self.hidden[number], self.lanes.count
        z, h, dz = (self.array(name) for name in (f"z{number}", f"x{number + 1}", f"dz{number}"))
        if behind.learned:
            share = make.alloca(self.lanes.vector)
            make.store(ir.Constant(self.lanes.vector, None), share)
        together = len(behind.slope)
        with self.loop(0, self.layers[number].fan_out * self.rows, together * lanes) as first:
            at = lambda n: make.add(first, I64(n * lanes))  # noqa: E731
            leaves = {
                "z": lambda n: self.vector(z, at(n)),
                "h": lambda n: self.vector(h, at(n)),
                "learned": lambda _: self.learned(number),
            }
            found = self.instructions(leaves, [*behind.slope, *behind.learned])
            for place in range(together):
                dh = self.vector(dz, at(place))
                self.store(make.fmul(dh, found[place]), dz, at(place))
                if behind.learned:
                    self.add_to(share, make.fmul(dh, found[together + place]))
        if behind.learned:
            room = self.place(self.given["gradients"], self.layers[number].stop)
            before = make.select(adds, make.load(room, typ=self.lanes.scalar), self.lanes.scalar(0))
            make.store(make.fadd(before, self.sum(make.load(share, typ=self.lanes.vector))), room)
