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
import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from llvmlite import ir

from nnspec.problem import Problem
from nnspec.specs import RunSpec
from nnspec.training.graph import (
    LIBRARY,
    Graph,
    GraphMaths,
    Key,
    Traced,
    numbers_of,
    reachable,
    total,
    tracing,
)
from nnspec.training.instructions import Code, functions_at_hand
from nnspec.training.lanes import I8, I32, I64, POINTER, Lanes
from nnspec.training.library import machine_code, product_function
from nnspec.training.row_graph import ROWS, Row, trace_outputs
from nnspec.training.stacking import Block, blocks

SCALAR: Any = GraphMaths()
I1, VOID = ir.IntType(1), ir.VoidType()
LINE = 64  # bytes of a line of the cache: where arrays begin
NARROW = 16  # outputs of a layer, see ``narrow``
TOGETHER = 8  # vectors that an activation is evaluated on at a time
STATISTICS = 3  # numbers that passes over rows sum up: the loss, rows that are right, and 0 or not-a-number
LANES = {"float32": 16, "float64": 8}


@dataclass(frozen=True)
class Formulas:
    """What lies between the products of a network, traced: an output's row, and the optimizer's rule for one weight."""

    outputs: list[Traced]
    gradients: list[Traced]
    loss: Traced
    distance: Traced
    update: Sequence[Traced]


@dataclass(frozen=True)
class Behind:
    """The activation behind a layer, traced for some vectors at a time: a library's function is called for all of
    them at once."""

    value: list[Traced]
    slope: list[Traced]
    learned: list[Traced]  # the slope with respect to what it learns, if it does

    def all(self) -> list[Traced]:
        """All graphs."""
        return [*self.value, *self.slope, *self.learned]


@tracing()
def trace_row(problem: Problem, update: Sequence[Traced], by_rows: bool) -> Formulas:
    """The formulas of a problem for one row of outputs; ``by_rows`` for a rule whose gradient is p - y.

    Raises:
        Untraceable: one has no form for a row by itself.
    """
    graph, count = Graph(), problem.shape.outputs
    z = Row([graph.leaf("z", number) for number in range(count)])
    y = Row([graph.leaf("y", number) for number in range(count)])
    row = trace_outputs(problem, z, y)
    gradients = row.outputs - y if by_rows else row.gradients
    (distance,) = ROWS.max(row.distances, 1).values
    return Formulas(row.outputs.values, gradients.values, total(row.losses.values), distance, update)


@dataclass(frozen=True)
class Shape:
    """The sizes of a kernel: ``rows`` of a block of a batch, ``looked`` of a block where the network is only looked at,
    and the ``batch``.

    ``watched`` says that each update's own pass tells how the network does on all rows, as it does at full batch;
    ``by_rows`` that updates go by an error's rule, and that statistics sum up over all updates of a call."""

    rows: int
    looked: int
    batch: int
    watched: bool
    clip: float = 0.0
    by_rows: bool = False


class Arrays:
    """Where the arrays of a kernel lie in its one piece of working memory, in numbers of the kernel's kind."""

    def __init__(self, item: int) -> None:
        self.item, self.size = item, 0
        self.places: dict[str, int] = {}

    def add(self, name: str, numbers: int) -> None:
        """Room for so many numbers."""
        line = LINE // self.item
        self.places[name] = self.size
        self.size += -(-numbers // line) * line


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


class KernelWriter:
    """Writes the functions of a kernel.

    ``evaluate(table, rows, count, outputs)``: passes over ``count`` rows of the data, whose numbers are ``rows``; sums
    up ``statistics``, and writes the outputs [count, k] unless ``outputs`` is null.
    ``train(table, looks, count, step)``: ``looks`` times ``count`` updates, of which ``step`` were made before, on the
    rows ``order`` one batch after the other. Where the kernel watches, the statistics of each look's first pass go to
    ``looked`` [looks, statistics]. It ends early where the outputs are not finite, before the update that they would
    lead to, and writes the number of updates made to ``stopped`` [1]; and where ``leave`` is 1, once ``need`` rows are
    right. ``solved`` [1] is the number of updates after which they first were.
    """

    def __init__(self, spec: RunSpec, problem: Problem, shape: Shape, formulas: Formulas, lanes: Lanes):
        self.spec, self.problem, self.shape, self.formulas, self.lanes = spec, problem, shape, formulas, lanes
        self.functions = functions_at_hand(lanes.dtype, lanes.count)
        self.layers, self.rows = blocks(problem.shape), shape.rows
        self.module = ir.Module("nnspec")
        self.arrays = Arrays(lanes.bytes)
        self.slots = len(formulas.update) - 1
        self.padded = -(-problem.shape.parameters // lanes.count) * lanes.count
        self.hidden = [self._traced_activation(number) for number in range(len(self.layers) - 1)]
        traced = [*formulas.update, *(part for behind in self.hidden for part in behind.all())]
        keys = numbers_of(traced)
        self.numbers = tuple(key for key in keys if key[0] != "moving")
        self.moving = tuple(key for key in keys if key[0] == "moving")
        self.arguments = (
            *("data", "targets", "order", "weights", "gradients", *(f"state{n}" for n in range(self.slots))),
            *("work", "numbers", "moving", "batches", "scales", "tolerance", "need", "leave"),
            *("statistics", "looked", "norms", "solved", "stopped"),
        )
        self._lay_out()
        self.constants: dict[Any, ir.GlobalVariable] = {}
        self.pass_ = self._function("pass", [I64, POINTER, I64, lanes.scalar])
        self.look = self._function("look", [I64, POINTER, I64, lanes.scalar])
        self.back = self._function("back", [I64])
        self.step = self._function("step", [I64])
        self.norms = self._function("norms", [POINTER], "external")
        self._write_pass(self.pass_)
        self._write_back()
        self._write_step()
        self._write_norms()
        with self._for_looks():
            self._write_pass(self.look)
            self._write_evaluate()
        self._write_train()

    # -- memory ---------------------------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        """The working memory: each layer's inputs, pre-activations and gradients, the targets and the outputs."""
        for rows in {self.shape.rows, self.shape.looked}:
            for number, layer in enumerate(self.layers):
                self.arrays.add(f"x{number} {rows}", (layer.fan_in + 1) * rows)
                self.arrays.add(f"z{number} {rows}", layer.fan_out * rows)
                self.arrays.add(f"dz{number} {rows}", layer.fan_out * rows)
                if narrow(layer):
                    self.arrays.add(f"turned{number} {rows}", (layer.fan_in + 1) * layer.fan_out)
            for name in ("y", "p"):
                self.arrays.add(f"{name} {rows}", self.problem.shape.outputs * rows)

    @contextmanager
    def _for_looks(self) -> Iterator[None]:
        """What is written inside passes over blocks of so many rows as looks do."""
        self.rows = self.shape.looked
        yield
        self.rows = self.shape.rows

    @property
    def ones(self) -> tuple[slice, ...]:
        """Where in the working memory the inputs lie that are always 1."""
        found = []
        sizes = {self.shape.rows, self.shape.looked}
        for (number, layer), rows in itertools.product(enumerate(self.layers), sizes):
            start = self.arrays.places[f"x{number} {rows}"]
            whole = (layer.fan_in + 1) * rows
            first = slice(start + layer.fan_in, start + whole, layer.fan_in + 1)
            found.append(slice(start + layer.fan_in * rows, start + whole) if number else first)
        return tuple(found)

    def _array(self, name: str) -> ir.Value:
        return self._place(self.given["work"], self.arrays.places[f"{name} {self.rows}"])

    def _place(self, base: ir.Value, number: ir.Value | int, kind: Any = None) -> ir.Value:
        """The address of a number behind ``base``."""
        index = I64(number) if isinstance(number, int) else number
        return self.make.gep(base, [index], source_etype=kind or self.lanes.scalar)

    def _read(self, base: ir.Value, number: ir.Value | int, kind: Any = None) -> ir.Value:
        return self.make.load(self._place(base, number, kind), typ=kind or self.lanes.scalar)

    def _write(self, value: ir.Value, base: ir.Value, number: ir.Value | int) -> None:
        self.make.store(value, self._place(base, number, value.type))

    def _vector(self, base: ir.Value, number: ir.Value | int) -> ir.Value:
        """A vector of numbers from number ``number`` on."""
        return self.make.load(self._place(base, number), align=self.lanes.bytes, typ=self.lanes.vector)

    def _store(self, vector: ir.Value, base: ir.Value, number: ir.Value | int) -> None:
        self.make.store(vector, self._place(base, number), align=self.lanes.bytes)

    def _splat(self, value: ir.Value) -> ir.Value:
        """A number in every lane."""
        nobody = ir.Constant(self.lanes.vector, ir.Undefined)
        lanes = ir.Constant(ir.VectorType(I32, self.lanes.count), None)
        return self.make.shuffle_vector(self.make.insert_element(nobody, value, I32(0)), nobody, lanes)

    def _sum(self, vector: ir.Value) -> ir.Value:
        """The sum of a vector's lanes, one after the other."""
        total = self.make.extract_element(vector, I32(0))
        for lane in range(1, self.lanes.count):
            total = self.make.fadd(total, self.make.extract_element(vector, I32(lane)))
        return total

    def _add_to(self, room: ir.Value, value: ir.Value) -> None:
        self.make.store(self.make.fadd(self.make.load(room, typ=value.type), value), room)

    def _constant(self, value: ir.Constant) -> ir.GlobalVariable:
        """A constant's address, for functions that take addresses."""
        key = (str(value.type), str(value))
        if key not in self.constants:
            made = ir.GlobalVariable(self.module, value.type, f"constant{len(self.constants)}")
            made.initializer, made.global_constant, made.linkage = value, True, "internal"
            self.constants[key] = made
        return self.constants[key]

    # -- control --------------------------------------------------------------------------------------------------

    def _function(self, name: str, arguments: Sequence[Any], linkage: str = "internal") -> ir.Function:
        function = ir.Function(self.module, ir.FunctionType(VOID, [POINTER, *arguments]), name)
        function.linkage = linkage
        return function

    @contextmanager
    def _body(self, function: ir.Function) -> Iterator[Sequence[ir.Value]]:
        """Instructions written inside are those of the function; ``given`` has the addresses of its table."""
        self.make = ir.IRBuilder(function.append_basic_block())
        self.table, *others = function.args
        self.given = {name: self._read(self.table, n, POINTER) for n, name in enumerate(self.arguments)}
        yield others
        self.make.ret_void()

    @contextmanager
    def _loop(self, start: int, stop: ir.Value | int, stride: int = 1) -> Iterator[ir.Value]:
        """Instructions written inside are repeated for start, start + stride, ... below ``stop``, at least once."""
        make = self.make
        before, body = make.block, make.append_basic_block()
        make.branch(body)
        make.position_at_end(body)
        counter = make.phi(I64)
        counter.add_incoming(I64(start), before)
        yield counter
        following = make.add(counter, I64(stride))
        counter.add_incoming(following, make.block)
        after = make.append_basic_block()
        end = I64(stop) if isinstance(stop, int) else stop
        make.cbranch(make.icmp_signed("<", following, end), body, after)
        make.position_at_end(after)

    def _smaller(self, one: ir.Value, other: ir.Value) -> ir.Value:
        return self.make.select(self.make.icmp_signed("<", one, other), one, other)

    # -- products -------------------------------------------------------------------------------------------------

    def _product(self, out: ir.Value, sizes: tuple[int, int, int], left: Any, right: Any, beta: ir.Value) -> None:
        """``out`` [m, n] columns first = left [m, k] right [k, n] + beta out, by the library. ``left`` and ``right``
        are an address, whether it lies transposed, and the length of its columns."""
        m, n, k = sizes

        def integer(value: int) -> ir.GlobalVariable:
            return self._constant(I32(value))

        def letter(transposed: bool) -> ir.GlobalVariable:
            return self._constant(I8(ord("T" if transposed else "N")))

        function_type = ir.FunctionType(VOID, [POINTER] * 13)
        function = self.make.inttoptr(product_function(self.lanes.dtype), function_type.as_pointer())
        (a, ta, lda), (b, tb, ldb) = left, right
        arguments = [letter(ta), letter(tb), integer(m), integer(n), integer(k), self._constant(self.lanes.scalar(1))]
        arguments += [a, integer(lda), b, integer(ldb), beta, out, integer(m)]
        self.make.call(function, [self.make.bitcast(argument, POINTER) for argument in arguments])

    def _weights(self, number: int, name: str = "weights") -> ir.Value:
        return self._place(self.given[name], self.layers[number].start)

    def _forward(self, number: int) -> None:
        """z = W' x of layer ``number``."""
        layer, rows = self.layers[number], self.rows
        fan_in, fan_out = layer.fan_in + 1, layer.fan_out
        x = (self._array(f"x{number}"), number == 0, fan_in if number == 0 else rows)
        zero = self._constant(self.lanes.scalar(0))
        self._product(
            self._array(f"z{number}"), (rows, fan_out, fan_in), x, (self._weights(number), True, fan_out), zero
        )

    def _backward(self, number: int, beta: ir.Value) -> None:
        """The gradient of the weights of layer ``number``, added to ``beta`` times what is there, and of its inputs,
        which takes the place of the pre-activations' below."""
        layer, rows = self.layers[number], self.rows
        fan_in, fan_out = layer.fan_in + 1, layer.fan_out
        dz = self._array(f"dz{number}")
        x = (self._array(f"x{number}"), number == 0, fan_in if number == 0 else rows)
        if narrow(layer):
            left = (x[0], not x[1], x[2])
            self._product(self._array(f"turned{number}"), (fan_in, fan_out, rows), left, (dz, False, rows), beta)
        else:
            self._product(self._weights(number, "gradients"), (fan_out, fan_in, rows), (dz, True, rows), x, beta)
        if number:
            zero = self._constant(self.lanes.scalar(0))
            below, sizes = self._array(f"dz{number - 1}"), (rows, layer.fan_in, fan_out)
            self._product(below, sizes, (dz, False, rows), (self._weights(number), False, fan_out), zero)

    def _turn(self) -> None:
        """Put gradients that were made with the longer side first in their place."""
        for number, layer in enumerate(self.layers):
            if narrow(layer):
                turned, gradients = self._array(f"turned{number}"), self._weights(number, "gradients")
                with self._loop(0, layer.fan_in + 1) as i, self._loop(0, layer.fan_out) as o:
                    value = self._read(turned, self.make.add(self.make.mul(o, I64(layer.fan_in + 1)), i))
                    self._write(value, gradients, self.make.add(self.make.mul(i, I64(layer.fan_out)), o))

    # -- formulas -------------------------------------------------------------------------------------------------

    def _traced_activation(self, number: int) -> Behind:
        """The activation behind layer ``number``."""
        graph, layer = Graph(), self.layers[number]
        params: dict[str, Any] = {
            name: value if isinstance(value, (str, bool)) or value is None else graph.leaf("number", ("param", name))
            for name, value in self.spec.activation.params
        }
        learned = graph.leaf("learned", number) if layer.learned else None
        activation = self.problem.shape.after[number].entry.bind(params, learned)

        def traced(together: int) -> Behind:
            z, h = ([graph.leaf(name, place) for place in range(together)] for name in ("z", "h"))
            with tracing():
                return Behind(
                    [activation.value(SCALAR, one) for one in z],
                    [activation.slope(SCALAR, one, value) for one, value in zip(z, h, strict=True)],
                    [activation.learned_slope(SCALAR, one) for one in z] if layer.learned else [],
                )

        alone = traced(1)
        vectors = layer.fan_out * math.gcd(self.shape.rows, self.shape.looked) // self.lanes.count
        calls = any(node.op in LIBRARY for node in reachable(alone.all()))
        return traced(next(count for count in (TOGETHER, 4, 2, 1) if vectors % count == 0)) if calls else alone

    def _instructions(
        self, leaves: Mapping[str, Callable[[Any], ir.Value]], results: Sequence[Traced]
    ) -> list[ir.Value]:
        """The values of these graphs."""
        code = Code(self.make, self.lanes, {"number": self._number, **leaves}, self.functions, results)
        return [code.value(result) for result in results]

    def _number(self, key: Key) -> ir.Value:
        return self._splat(self._read(self.given["numbers"], self.numbers.index(key)))

    def _learned(self, number: int) -> ir.Value:
        return self._splat(self._read(self.given["weights"], self.layers[number].stop))

    # -- functions ------------------------------------------------------------------------------------------------

    def _write_pass(self, function: ir.Function) -> None:
        """``function(table, count, which, fresh, scale)``: a forward pass over ``count`` rows of a block, whose numbers
        are ``which``; they are gathered unless they are there (``fresh`` is 0)."""
        with self._body(function) as (count, which, fresh, scale):
            with self.make.if_then(self.make.icmp_signed("!=", fresh, I64(0))):
                self._gather(which, count)
            for number in range(len(self.layers)):
                self._forward(number)
                if number < len(self.layers) - 1:
                    self._activate(number)
            self._score(count, scale)

    def _gather(self, which: ir.Value, count: ir.Value) -> None:
        """The inputs and targets of the rows ``which``."""
        make, width, outputs, rows = self.make, self.layers[0].fan_in + 1, self.problem.shape.outputs, self.rows
        copy = self.module.declare_intrinsic("llvm.memcpy", [POINTER, POINTER, I64])
        x, y = self._array("x0"), self._array("y")
        with self._loop(0, count) as row:
            source = make.sext(self._read(which, row, I32), I64)
            here = self._place(x, make.mul(row, I64(width)))
            there = self._place(self.given["data"], make.mul(source, I64(width)))
            make.call(copy, [here, there, I64(width * self.lanes.bytes), I1(0)])
            with self._loop(0, outputs) as output:
                value = self._read(self.given["targets"], make.add(make.mul(source, I64(outputs)), output))
                self._write(value, y, make.add(make.mul(output, I64(rows)), row))

    def _activate(self, number: int) -> None:
        """The activations of a layer, which are the inputs of the next."""
        z, h = self._array(f"z{number}"), self._array(f"x{number + 1}")
        value, lanes = self.hidden[number].value, self.lanes.count
        with self._loop(0, self.layers[number].fan_out * self.rows, len(value) * lanes) as first:
            at = lambda n: self.make.add(first, I64(n * lanes))  # noqa: E731
            leaves = {"z": lambda n: self._vector(z, at(n)), "learned": lambda _: self._learned(number)}
            for place, result in enumerate(self._instructions(leaves, value)):
                self._store(result, h, at(place))

    def _score(self, count: ir.Value, scale: ir.Value) -> None:
        """Outputs, the gradient of the loss, and the statistics, which sum up."""
        make, formulas, rows, outputs = self.make, self.formulas, self.rows, self.problem.shape.outputs
        last = len(self.layers) - 1
        z, dz, y, p = (self._array(name) for name in (f"z{last}", f"dz{last}", "y", "p"))
        sums = [make.alloca(self.lanes.vector) for _ in range(STATISTICS)]
        for room in sums:
            make.store(ir.Constant(self.lanes.vector, None), room)
        tolerance, factor = self._splat(self._read(self.given["tolerance"], 0)), self._splat(scale)
        lanes = ir.Constant(ir.VectorType(I64, self.lanes.count), [I64(lane) for lane in range(self.lanes.count)])
        nothing, one = ir.Constant(self.lanes.vector, None), self.lanes.constant(1.0)
        with self._loop(0, rows, self.lanes.count) as row:
            at = lambda output: make.add(I64(output * rows), row)  # noqa: E731
            leaves = {"z": lambda n: self._vector(z, at(n)), "y": lambda n: self._vector(y, at(n))}
            results = [*formulas.outputs, *formulas.gradients, formulas.loss, formulas.distance]
            found = self._instructions(leaves, results)
            for output in range(outputs):
                self._store(found[output], p, at(output))
            *_, loss, distance = found
            inside = make.icmp_signed("<", make.add(self._splat_integer(row), lanes), self._splat_integer(count))
            for output in range(outputs):
                gradient = make.fmul(found[outputs + output], factor)
                self._store(make.select(inside, gradient, nothing), dz, at(output))
            right = make.select(make.fcmp_ordered("<", distance, tolerance), one, nothing)
            for room, value in zip(sums, (loss, right, make.fsub(distance, distance)), strict=True):
                self._add_to(room, make.select(inside, value, nothing))
        for number, room in enumerate(sums):
            before = self._place(self.given["statistics"], number)
            self._add_to(before, self._sum(make.load(room, typ=self.lanes.vector)))

    def _splat_integer(self, value: ir.Value) -> ir.Value:
        kind = ir.VectorType(I64, self.lanes.count)
        nobody = ir.Constant(kind, ir.Undefined)
        lanes = ir.Constant(ir.VectorType(I32, self.lanes.count), None)
        return self.make.shuffle_vector(self.make.insert_element(nobody, value, I32(0)), nobody, lanes)

    def _write_back(self) -> None:
        """``back(table, add)``: the backward pass of the block that was passed last, added to the gradients so far or
        not."""
        with self._body(self.back) as (add,):
            adds = self.make.icmp_signed("!=", add, I64(0))
            one, zero = self._constant(self.lanes.scalar(1)), self._constant(self.lanes.scalar(0))
            beta = self.make.select(adds, one, zero)
            for number in range(len(self.layers) - 1, -1, -1):
                self._backward(number, beta)
                if number:
                    self._through(number - 1, adds)

    def _through(self, number: int, adds: ir.Value) -> None:
        """The gradient of a layer's pre-activations from that of its activations, in place."""
        make, behind, lanes = self.make, self.hidden[number], self.lanes.count
        z, h, dz = (self._array(name) for name in (f"z{number}", f"x{number + 1}", f"dz{number}"))
        if behind.learned:
            share = make.alloca(self.lanes.vector)
            make.store(ir.Constant(self.lanes.vector, None), share)
        together = len(behind.slope)
        with self._loop(0, self.layers[number].fan_out * self.rows, together * lanes) as first:
            at = lambda n: make.add(first, I64(n * lanes))  # noqa: E731
            leaves = {
                "z": lambda n: self._vector(z, at(n)),
                "h": lambda n: self._vector(h, at(n)),
                "learned": lambda _: self._learned(number),
            }
            found = self._instructions(leaves, [*behind.slope, *behind.learned])
            for place in range(together):
                dh = self._vector(dz, at(place))
                self._store(make.fmul(dh, found[place]), dz, at(place))
                if behind.learned:
                    self._add_to(share, make.fmul(dh, found[together + place]))
        if behind.learned:
            room = self._place(self.given["gradients"], self.layers[number].stop)
            before = make.select(adds, make.load(room, typ=self.lanes.scalar), self.lanes.scalar(0))
            make.store(make.fadd(before, self._sum(make.load(share, typ=self.lanes.vector))), room)

    def _write_step(self) -> None:
        """``step(table, number)``: update ``number`` of a call, from 0, by the optimizer's rule."""
        with self._body(self.step) as (update,):
            self._turn()
            factor = self._clipping() if self.shape.clip else None
            places = {
                key: self.make.add(self.make.mul(update, I64(len(self.moving))), I64(place))
                for place, key in enumerate(self.moving)
            }
            rooms = [self.given[name] for name in ("weights", *(f"state{n}" for n in range(self.slots)))]
            with self._loop(0, self.padded, self.lanes.count) as place:

                def gradient(_: Any) -> ir.Value:
                    plain = self._vector(self.given["gradients"], place)
                    return plain if factor is None else self.make.fmul(plain, factor)

                leaves = {
                    "weight": lambda _: self._vector(rooms[0], place),
                    "gradient": gradient,
                    "state": lambda slot: self._vector(rooms[1 + slot], place),
                    "number": lambda key: (
                        self._splat(self._read(self.given["moving"], places[key]))
                        if key in places
                        else self._number(key)
                    ),
                }
                for room, value in zip(rooms, self._instructions(leaves, self.formulas.update), strict=True):
                    self._store(value, room, place)

    def _clipping(self) -> ir.Value:
        """What gradients are multiplied by, so that their norm is at most ``clip``: as
        ``torch.nn.utils.clip_grad_norm_``."""
        make = self.make
        room = make.alloca(self.lanes.vector)
        make.store(ir.Constant(self.lanes.vector, None), room)
        with self._loop(0, self.padded, self.lanes.count) as place:
            gradient = self._vector(self.given["gradients"], place)
            self._add_to(room, make.fmul(gradient, gradient))
        root = self.module.declare_intrinsic("llvm.sqrt", [self.lanes.scalar])
        norm = make.call(root, [self._sum(make.load(room, typ=self.lanes.vector))])
        factor = make.fdiv(self.lanes.scalar(self.shape.clip), make.fadd(norm, self.lanes.scalar(1e-6)))
        one = self.lanes.scalar(1)
        return self._splat(make.select(make.fcmp_ordered("<", factor, one), factor, one))

    def _write_norms(self) -> None:
        """``norms(table, into)``: the L2 norm of each layer's weight matrix."""
        with self._body(self.norms) as (into,):
            make, root = self.make, self.module.declare_intrinsic("llvm.sqrt", [self.lanes.scalar])
            for number, layer in enumerate(self.layers):
                room = make.alloca(self.lanes.scalar)
                make.store(self.lanes.scalar(0), room)
                with self._loop(0, layer.fan_in * layer.fan_out) as place:
                    weight = self._read(self._weights(number), place)
                    self._add_to(room, make.fmul(weight, weight))
                self._write(make.call(root, [make.load(room, typ=self.lanes.scalar)]), into, number)

    def _clear(self) -> None:
        for number in range(STATISTICS):
            self._write(self.lanes.scalar(0), self.given["statistics"], number)

    @contextmanager
    def _blocks(self, which: ir.Value, count: ir.Value) -> Iterator[tuple[ir.Value, ir.Value, ir.Value]]:
        """The blocks of ``count`` rows: the first row, their numbers, how many they are."""
        rows = self.rows
        with self._loop(0, count, rows) as first:
            left = self.make.sub(count, first)
            yield first, self._place(which, first, I32), self._smaller(left, I64(rows))

    def _write_evaluate(self) -> None:
        make, outputs, rows = self.make, self.problem.shape.outputs, self.rows
        with self._body(self._function("evaluate", [POINTER, I64, POINTER], "external")) as (which, count, into):
            make = self.make
            self._clear()
            wanted = make.icmp_unsigned("!=", make.ptrtoint(into, I64), I64(0))
            with self._blocks(which, count) as (first, some, size):
                make.call(self.look, [self.table, size, some, I64(1), self.lanes.scalar(0)])
                with make.if_then(wanted), self._loop(0, size) as row, self._loop(0, outputs) as output:
                    value = self._read(self._array("p"), make.add(make.mul(output, I64(rows)), row))
                    self._write(value, into, make.add(make.mul(make.add(first, row), I64(outputs)), output))

    def _write_train(self) -> None:
        with self._body(self._function("train", [I64, I64, I64], "external")) as (looks, count, step):
            make, given = self.make, self.given
            with self._loop(0, looks) as look, self._loop(0, count) as number:
                update = make.add(make.mul(look, count), number)
                made = make.add(step, update)
                if not self.shape.by_rows:
                    self._clear()
                begin, size = (
                    self._read(given["batches"], make.add(make.mul(update, I64(2)), I64(n)), I64) for n in (0, 1)
                )
                scale = self._read(given["scales"], update)
                fresh = self._fresh(update)
                with self._blocks(self._place(given["order"], begin, I32), size) as (first, some, rows):
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
        ends = [make.fcmp_unordered("uno", self._read(given["statistics"], 2), self.lanes.scalar(0))]
        if self.shape.watched:
            with make.if_then(make.icmp_signed("==", number, I64(0))):
                for place in range(STATISTICS):
                    here = make.add(make.mul(look, I64(STATISTICS)), I64(place))
                    self._write(self._read(given["statistics"], place), given["looked"], here)
                here = self._place(given["norms"], make.mul(look, I64(len(self.layers))))
                make.call(self.norms, [self.table, here])
            right = make.fcmp_ordered(">=", self._read(given["statistics"], 1), self._read(given["need"], 0))
            solved = self._read(given["solved"], 0, I64)
            earlier = make.and_(right, make.icmp_signed("<", made, solved))
            self._write(make.select(earlier, made, solved), given["solved"], 0)
            ends.append(make.and_(right, make.icmp_signed("!=", self._read(given["leave"], 0, I64), I64(0))))
        ended = ends[0] if len(ends) == 1 else make.or_(*ends)
        with make.if_then(ended):
            self._write(made, given["stopped"], 0)
            make.ret_void()


def narrow(layer: Block) -> bool:
    """Whether the product of a layer's gradient is made with its inputs first: BLAS takes twice as long over few rows
    of many columns as over the reverse."""
    return layer.fan_out < NARROW <= layer.fan_in


def build_kernel(spec: RunSpec, problem: Problem, shape: Shape, update: Sequence[Traced]) -> Kernel:
    """The kernel of a spec's networks, with an optimizer's rule as ``tracing.trace_update`` gives it.

    Raises:
        Untraceable: a formula has no form for one row, or this machine's torch has not a function that it calls.
    """
    lanes = Lanes(spec.dtype, LANES[spec.dtype])
    writer = KernelWriter(spec, problem, shape, trace_row(problem, update, shape.by_rows), lanes)
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
