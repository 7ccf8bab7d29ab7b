"""Graphs of a training step as machine code, made with LLVM: sixteen networks at a time, many updates in a row.

Every value of a graph is a vector with one lane a network, so that the arithmetic of one network is never mixed with
that of another, and the weights and the optimizer's state of sixteen networks stay in the first-level cache from update
to update.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm
import numpy as np
import torch
from llvmlite import ir

from nnspec.training.graph import LIBRARY, Node, Traced, Untraceable, reachable
from nnspec.training.history import LATE
from nnspec.training.tracing import Pass

LANES = 16  # networks in a vector: a register of the widest processors, two or four of others
I8, I32, I64 = ir.IntType(8), ir.IntType(32), ir.IntType(64)
FLOAT, POINTER = ir.FloatType(), ir.PointerType()
VECTOR, INTS, BYTES = ir.VectorType(FLOAT, LANES), ir.VectorType(I32, LANES), ir.VectorType(I8, LANES)
Slot = tuple[Any, ...]

_BINARY = {"+": "fadd", "-": "fsub", "*": "fmul", "/": "fdiv", "and": "and_"}
_INTRINSICS = {"fma": "llvm.fma", "root": "llvm.sqrt", "abs": "llvm.fabs"}
# what torch itself calls: Intel's vector mathematics on whole arrays, SLEEF on registers of so many numbers
FUNCTIONS = {
    "exp": "vmsExp",
    "tanh": "vmsTanh",
    "erf": "vmsErf",
    "sin": "vmsSin",
    "cos": "vmsCos",
    "sqrt": "vmsSqrt",
    "expm1": "Sleef_expm1f{}_u10",
    "log1p": "Sleef_log1pf{}_u10",
}
_REGISTER_LANES = {"AVX512": 16, "AVX2": 8}  # numbers in a register, by what torch's kernels are made for
_ARRAY_MODE = 0x2 | 0x140000 | 0x100  # high accuracy, denormal numbers kept, errors ignored
LOG2_E, LN_2_HIGH, LN_2_LOW, EXP_REACH = 1.4426950408889634, 0.693145751953125, 1.428606765330187e-06, 104.0
EXP_SERIES = (
    0.000198527617612853646,
    0.00139304355252534151,
    0.00833336077630519867,
    0.0416664853692054749,
    0.1666666716337204,
    0.5,
)


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
    machine = _target()
    module = llvm.parse_assembly(str(writer.module))
    passes = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(speed_level=1))
    passes.getModulePassManager().run(module, passes)
    engine = llvm.create_mcjit_compiler(module, machine)
    engine.finalize_object()
    function = ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * 7, ctypes.c_int32, ctypes.c_void_p)
    return CompiledStep(function(engine.get_function_address("kernel")), writer.slots, engine)


def _target() -> Any:
    """This processor as LLVM knows it; every engine wants one of its own, which goes with it."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    features = llvm.get_host_cpu_features().flatten()
    return llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=features, opt=2
    )


@lru_cache
def _library_function(symbol: str) -> ir.Constant:
    """Where a function of torch's library is.

    Raises:
        Untraceable: if the library has it not.
    """
    try:
        library = ctypes.CDLL(str(Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"))
        found = ctypes.cast(getattr(library, symbol), ctypes.c_void_p).value
    except (OSError, AttributeError) as error:
        raise Untraceable(f"torch has no {symbol}") from error
    return I64(found)


class _Code:
    """The nodes of one graph as instructions."""

    def __init__(
        self,
        make: ir.IRBuilder,
        leaves: Mapping[str, Callable[[Any], ir.Value]],
        functions: Mapping[str, str],
        results: Iterable[Traced],
    ):
        self.make, self.leaves, self.functions = make, leaves, functions
        self.values: dict[Node, ir.Value] = {}
        self.calls: dict[
            tuple[str, int], list[Node]
        ] = {}  # a library function is called once for all that can be ready together
        for node in reachable(results):
            if node.op in LIBRARY:
                self.calls.setdefault((node.op, node.level), []).append(node)

    def value(self, traced: Traced) -> ir.Value:
        """The value of a node, its operands first; without recursion, for chains are long."""
        pending = [traced.node]
        while pending:
            node = pending[-1]
            together = self.calls[node.op, node.level] if node.op in LIBRARY else [node]
            missing = [
                arg for each in together for arg in each.args if isinstance(arg, Node) and arg not in self.values
            ]
            if missing:
                pending.extend(missing)
                continue
            pending.pop()
            if node in self.values:
                continue
            if node.op in LIBRARY:
                results = self._call(node.op, [self.values[each.args[0]] for each in together])
                self.values.update(zip(together, results, strict=True))
            else:
                args = [self.values[arg] if isinstance(arg, Node) else arg for arg in node.args]
                self.values[node] = self._instruction(node.op, args)
        return self.values[traced.node]

    def _instruction(self, op: str, args: list[Any]) -> ir.Value:
        make = self.make
        if op == "number":
            return self.leaves[op](*args) if isinstance(args[0], tuple) else constant(float.fromhex(args[0]))
        if op in self.leaves:
            return self.leaves[op](*args)
        if op in _BINARY:
            return getattr(make, _BINARY[op])(*args)
        if op in (">", ">=", "<"):
            return make.fcmp_ordered(op, *args)
        if op in _INTRINSICS:
            return self._intrinsic(_INTRINSICS[op], *args)
        return getattr(self, f"_{op}")(*args)

    def _intrinsic(self, name: str, *args: ir.Value) -> ir.Value:
        module, full = self.make.module, f"{name}.v{LANES}f32"
        function = module.globals.get(full) or ir.Function(module, ir.FunctionType(VECTOR, [VECTOR] * len(args)), full)
        return self.make.call(function, args)

    def _where(self, condition: ir.Value, yes: ir.Value, no: ir.Value) -> ir.Value:
        return self.make.select(condition, yes, no)

    def _neg(self, z: ir.Value) -> ir.Value:
        return self.make.fneg(z)

    def _sigmoid(self, z: ir.Value) -> ir.Value:
        one = constant(1.0)
        return self.make.fdiv(one, self.make.fadd(one, self._exp(self.make.fsub(constant(0.0), z))))

    def _exp(self, z: ir.Value) -> ir.Value:
        """e^z as in torch's sigmoid, which is SLEEF's expf of one unit in the last place: 2^q e^s with |s| <= ln 2 /
        2."""
        make = self.make
        q = self._intrinsic("llvm.rint", make.fmul(z, constant(LOG2_E)))
        s = self._intrinsic("llvm.fma", q, constant(-LN_2_HIGH), z)
        s = self._intrinsic("llvm.fma", q, constant(-LN_2_LOW), s)
        series = constant(EXP_SERIES[0])
        for coefficient in EXP_SERIES[1:]:
            series = self._intrinsic("llvm.fma", series, s, constant(coefficient))
        result = make.fadd(constant(1.0), self._intrinsic("llvm.fma", make.fmul(s, s), series, s))
        # 2^q in two factors, for one exponent may not hold it; what lies outside is replaced below
        inside = make.fcmp_ordered("<=", self._intrinsic("llvm.fabs", z), constant(EXP_REACH))
        whole = make.fptosi(make.select(inside, q, constant(0.0)), INTS)
        half = make.ashr(whole, integer(1))
        for power in (half, make.sub(whole, half)):
            result = make.fmul(result, make.bitcast(make.shl(make.add(power, integer(127)), integer(23)), VECTOR))
        result = make.select(make.fcmp_ordered("<", z, constant(-EXP_REACH)), constant(0.0), result)
        return make.select(make.fcmp_ordered(">", z, constant(EXP_REACH)), constant(float("inf")), result)

    def _call(self, name: str, args: Sequence[ir.Value]) -> list[ir.Value]:
        """A function of torch's library on each of these vectors."""
        make, symbol = self.make, self.functions[name]
        if symbol.startswith("Sleef"):
            return [self._in_registers(symbol, arg) for arg in args]
        place = _library_function(symbol)
        function = make.inttoptr(place, ir.FunctionType(ir.VoidType(), [I32, POINTER, POINTER, I64]).as_pointer())
        with make.goto_entry_block():
            room = [make.alloca(VECTOR, len(args)) for _ in range(2)]
        for number, arg in enumerate(args):
            make.store(arg, make.gep(room[0], [I64(number)]))
        make.call(function, [I32(LANES * len(args)), *(make.bitcast(part, POINTER) for part in room), I64(_ARRAY_MODE)])
        return [make.load(make.gep(room[1], [I64(number)])) for number in range(len(args))]

    def _in_registers(self, symbol: str, arg: ir.Value) -> ir.Value:
        """A function that takes as many numbers as a register holds: one call, or one for each half of the lanes."""
        make, capability = self.make, torch.backends.cpu.get_cpu_capability()
        if capability not in _REGISTER_LANES:
            raise Untraceable("this processor has not the registers of AVX2")
        lanes = _REGISTER_LANES[capability]
        register = ir.VectorType(FLOAT, lanes)
        place = _library_function(symbol.format(lanes))
        function = make.inttoptr(place, ir.FunctionType(register, [register]).as_pointer())
        parts = [
            make.call(function, [make.shuffle_vector(arg, arg, _numbered(start, lanes))])
            for start in range(0, LANES, lanes)
        ]
        return parts[0] if len(parts) == 1 else make.shuffle_vector(*parts, _numbered(0, LANES))


class _Writer:
    """Writes the function ``kernel`` that ``CompiledStep`` describes."""

    def __init__(self, traced: Pass, update: Sequence[Traced], functions: Mapping[str, str]):
        self.traced, self.update, self.functions = traced, update, functions
        history = [traced.right, traced.loss, traced.accuracy, *traced.norms]
        numbers = _numbers([*traced.gradients, *traced.distances, *history, *update])
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
        self.weights, *_ = self.held = [make.alloca(VECTOR, rows) for _ in stored]  # a vector a row
        self.gradients = make.alloca(VECTOR, rows)
        self.right, self.nonfinite = make.alloca(INTS), make.alloca(INTS)
        with self.loop(first, last, LANES) as network:
            for slot, room in zip(stored, self.held, strict=True):
                with self.loop(I64(0), rows) as row:
                    make.store(self.read(slot, make.add(make.mul(row, self.width), network)), make.gep(room, [row]))
            make.store(self.read(("right",), network, INTS), self.right)
            make.store(integer(LATE), self.nonfinite)
            lasting = {key: self.read(key, network) for key in self.lasting}
            with self.loop(I64(0), looks) as look:
                self.history(network, look, lasting)
                with self.loop(I64(0), count) as number:
                    made = make.add(make.mul(look, count), number)
                    place = make.add(make.mul(made, stride), make.mul(network, moves))
                    now = lasting | {key: self.read(key, place) for key in self.moving}
                    self.passes(now, make.add(step, make.trunc(made, I32)))
                    with self.loop(I64(0), rows) as row:
                        self.updates(now, row)
            for slot, room in zip(stored, self.held, strict=True):
                with self.loop(I64(0), rows) as row:
                    self.write(make.load(make.gep(room, [row])), slot, make.add(make.mul(row, self.width), network))
            self.write(make.load(self.right), ("right",), network)
            self.write(make.load(self.nonfinite), ("nonfinite",), network)
        make.ret_void()

    def history(self, network: ir.Value, look: ir.Value, numbers: Mapping[Slot, ir.Value]) -> None:
        """What the history takes down of the weights as they are."""
        make, traced = self.make, self.traced
        results = [traced.right, traced.loss, traced.accuracy, *traced.norms]
        code = _Code(make, {"weight": self._weight, "number": numbers.__getitem__}, self.functions, results)
        for number, result in enumerate(results):
            value = code.value(result)
            stride = make.mul(self.width, I64(len(traced.norms) if result in traced.norms else 1))
            value = make.zext(value, BYTES) if result is traced.right else value
            self.write(value, ("look", number), make.add(make.mul(look, stride), network))

    def passes(self, numbers: Mapping[Slot, ir.Value], step: ir.Value) -> None:
        """One forward and backward pass after ``step`` updates."""
        make, traced = self.make, self.traced
        code = _Code(
            make,
            {"weight": self._weight, "number": numbers.__getitem__},
            self.functions,
            [*traced.distances, traced.right, *traced.gradients],
        )
        # 0, or not a number
        gaps = [make.fsub(code.value(distance), code.value(distance)) for distance in traced.distances]
        worst = functools.reduce(make.fadd, gaps)
        nobody = ir.Constant(INTS, ir.Undefined)
        now = make.shuffle_vector(make.insert_element(nobody, step, I32(0)), nobody, integer(0))
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
        code = _Code(make, leaves, self.functions, self.update)
        weight, *state = (code.value(result) for result in self.update)
        alive = make.icmp_signed("==", make.load(self.nonfinite), integer(LATE))
        weight = make.select(alive, weight, leaves["weight"](None))
        for room, result in zip(self.held, [weight, *state], strict=True):
            make.store(result, make.gep(room, [row]))

    def _weight(self, row: int) -> ir.Value:
        return self.make.load(self.make.gep(self.weights, [I64(row)]))

    def read(self, slot: Slot, place: ir.Value, kind: Any = VECTOR) -> ir.Value:
        """The numbers of sixteen networks."""
        return self.make.load(self.make.gep(self.base[slot], [place], source_etype=kind.element), align=4, typ=kind)

    def write(self, value: ir.Value, slot: Slot, place: ir.Value) -> None:
        """Store the numbers of sixteen networks."""
        self.make.store(value, self.make.gep(self.base[slot], [place], source_etype=value.type.element), align=1)

    @contextmanager
    def loop(self, start: ir.Value, stop: ir.Value, stride: int = 1) -> Iterator[ir.Value]:
        """Instructions written inside are repeated, once at least."""
        make = self.make
        before, body = make.block, make.append_basic_block()
        make.branch(body)
        make.position_at_end(body)
        counter = make.phi(I64)
        counter.add_incoming(start, before)
        yield counter
        following = make.add(counter, I64(stride))
        counter.add_incoming(following, make.block)
        after = make.append_basic_block()
        make.cbranch(make.icmp_signed("<", following, stop), body, after)
        make.position_at_end(after)


def _numbers(results: Iterable[Traced]) -> list[Slot]:
    """The rows of numbers that results are made of."""
    found = (node.args[0] for node in reachable(results) if node.op == "number")
    return sorted({key for key in found if isinstance(key, tuple)}, key=repr)


def constant(value: float) -> ir.Constant:
    """A single-precision number in every lane."""
    return ir.Constant(VECTOR, [FLOAT(float(np.float32(value)))] * LANES)


def integer(value: int) -> ir.Constant:
    """A whole number in every lane."""
    return ir.Constant(INTS, [I32(value)] * LANES)


def _numbered(start: int, count: int) -> ir.Constant:
    """The numbers of so many lanes, from ``start`` on."""
    return ir.Constant(ir.VectorType(I32, count), [I32(start + number) for number in range(count)])
