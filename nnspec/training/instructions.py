"""The nodes of a graph as LLVM's instructions on vectors, of any number of lanes, in single or double precision.

What a lane stands for is the caller's matter: the instructions never mix lanes.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterable, Mapping, Sequence
from ctypes.util import find_library
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm
import numpy as np
import torch
from llvmlite import ir

from nnspec.training.graph import LIBRARY, Node, Traced, Untraceable, reachable

WRITTEN_OUT, ONE_BY_ONE = "written out", "one by one"  # in the place of a library's name, see ``functions_at_hand``
# of tanh near 0: the polynomials above and below the line
_TANH = {
    "float32": (
        (-5.70498872745e-3, 2.06390887954e-2, -5.37397155531e-2, 1.33314422036e-1, -3.33332819422e-1),
        (1.0,),
    ),
    "float64": (
        (-9.64399179425052238628e-1, -9.92877231001918586564e1, -1.61468768441708447952e3),
        (1.0, 1.12811678491632931402e2, 2.23548839060100448583e3, 4.84406305325125486048e3),
    ),
}
I8, I32, I64 = ir.IntType(8), ir.IntType(32), ir.IntType(64)
POINTER = ir.PointerType()

_BINARY = {"+": "fadd", "-": "fsub", "*": "fmul", "/": "fdiv", "and": "and_"}
_INTRINSICS = {"fma": "llvm.fma", "root": "llvm.sqrt", "abs": "llvm.fabs"}
# what torch itself calls: Intel's vector mathematics on whole arrays, SLEEF on registers of so many numbers
FUNCTIONS = {
    "exp": "vm{intel}Exp",
    "tanh": "vm{intel}Tanh",
    "erf": "vm{intel}Erf",
    "sin": "vm{intel}Sin",
    "cos": "vm{intel}Cos",
    "sqrt": "vm{intel}Sqrt",
    "expm1": "Sleef_expm1{sleef}_u10",
    "log1p": "Sleef_log1p{sleef}_u10",
    "log": "vm{intel}Ln",
}
_REGISTER_BITS = {"AVX512": 512, "AVX2": 256}  # by what torch's kernels are made for
_ARRAY_MODE = 0x2 | 0x140000 | 0x100  # high accuracy, denormal numbers kept, errors ignored
LOG2_E = 1.4426950408889634
_NAN = {"float32": (I32, 2**32 - 1), "float64": (I64, 2**64 - 1)}  # all bits of torch's own not-a-number


@dataclass(frozen=True)
class Exponential:
    """SLEEF's e^z of one unit in the last place is 2^q e^s with |s| <= ln 2 / 2: ``ln_2`` in two parts, the
    coefficients of a series for e^s from the highest power on, and the z beyond which it is 0 or infinite."""

    ln_2: tuple[float, float]
    series: tuple[float, ...]
    least: float
    most: float


_SINGLE = Exponential(
    ln_2=(0.693145751953125, 1.428606765330187e-06),
    series=(
        0.000198527617612853646,
        0.00139304355252534151,
        0.00833336077630519867,
        0.0416664853692054749,
        0.1666666716337204,
        0.5,
    ),
    least=-104.0,
    most=104.0,
)
_DOUBLE = Exponential(
    ln_2=(0.69314718055966295651160180568695068359375, 2.8235290563031577122588448175013436025525e-13),
    series=(
        2.081276378237164457e-9,
        2.511210703042288022e-8,
        2.755762628169491192e-7,
        2.755723402025388239e-6,
        2.480158687479686264e-5,
        1.984126989855865850e-4,
        1.388888888914497797e-3,
        8.333333333314938210e-3,
        4.166666666666602598e-2,
        1.666666666666669072e-1,
    ),
    least=-1000.0,
    most=709.78271114955742909217217426,
)


@dataclass(frozen=True)
class Lanes:
    """Vectors of so many numbers of a type, "float32" or "float64"."""

    dtype: str
    count: int

    @property
    def bytes(self) -> int:
        """Bytes of a number."""
        return np.dtype(self.dtype).itemsize

    @property
    def scalar(self) -> ir.Type:
        return ir.FloatType() if self.dtype == "float32" else ir.DoubleType()

    @property
    def vector(self) -> ir.VectorType:
        return ir.VectorType(self.scalar, self.count)

    def integers(self, kind: ir.IntType = I32) -> ir.VectorType:
        """A vector of as many whole numbers."""
        return ir.VectorType(kind, self.count)

    def constant(self, value: float) -> ir.Constant:
        """A number in every lane, rounded to the type."""
        return ir.Constant(self.vector, [self.scalar(float(np.dtype(self.dtype).type(value)))] * self.count)

    def integer(self, value: int) -> ir.Constant:
        """A whole number in every lane."""
        return ir.Constant(self.integers(), [I32(value)] * self.count)


def target() -> Any:
    """This processor as LLVM knows it; every engine wants one of its own, which goes with it."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    features = llvm.get_host_cpu_features().flatten()
    return llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=features, opt=2
    )


def machine_code(module: ir.Module, effort: int) -> Any:
    """The engine that holds a module's machine code, which lives as long as it; ``effort`` is LLVM's level."""
    machine, parsed = target(), llvm.parse_assembly(str(module))
    passes = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(speed_level=effort))
    passes.getModulePassManager().run(parsed, passes)
    engine = llvm.create_mcjit_compiler(parsed, machine)
    engine.finalize_object()
    return engine


@lru_cache
def library_function(symbol: str) -> ir.Constant:
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


@lru_cache
def product_function(dtype: str) -> ir.Constant:
    """Where BLAS's product of matrices is, whose integers have 32 bits: in torch's library, else in SciPy's."""
    name = {"float32": "sgemm", "float64": "dgemm"}[dtype]
    try:
        return library_function(f"{name}_")
    except Untraceable:
        return I64(_from_scipy(name))


def _from_scipy(name: str) -> int:
    """Where a function of SciPy's BLAS is: it hands out addresses to compiled code in capsules."""
    from scipy.linalg import cython_blas

    capsule = cython_blas.__pyx_capi__[name]
    name_of = ctypes.pythonapi.PyCapsule_GetName
    name_of.restype, name_of.argtypes = ctypes.c_char_p, [ctypes.py_object]
    pointer_of = ctypes.pythonapi.PyCapsule_GetPointer
    pointer_of.restype, pointer_of.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    return int(pointer_of(capsule, name_of(capsule)))


@lru_cache
def c_function(name: str) -> ir.Constant:
    """Where a function of C's mathematical library is."""
    return I64(ctypes.cast(getattr(ctypes.CDLL(find_library("m")), name), ctypes.c_void_p).value)


@lru_cache
def functions_at_hand(dtype: str, count: int) -> Mapping[str, str]:
    """How to call each function where no other code's last bits are to be met: torch's where this machine's torch has
    them, else C's, number by number; what is quick in vectors is written out."""
    lanes, found = Lanes(dtype, count), {}
    for name, symbol in FUNCTIONS.items():
        try:
            trial = ir.Function(ir.Module(), ir.FunctionType(ir.VoidType(), []), "trial")
            writer = ir.IRBuilder(trial.append_basic_block())
            Code(writer, lanes, {}, FUNCTIONS, []).call(name, [lanes.constant(0.0)])
            found[name] = symbol
        except Untraceable:
            found[name] = ONE_BY_ONE
    return found | {"tanh": WRITTEN_OUT}


class Code:
    """The nodes of one graph as instructions where ``make`` stands, each once: the operations become instructions, the
    graph's leaves what ``leaves`` gives for their keys. ``functions`` are the names of torch's functions.
    """

    def __init__(
        self,
        make: ir.IRBuilder,
        lanes: Lanes,
        leaves: Mapping[str, Callable[[Any], ir.Value]],
        functions: Mapping[str, str],
        results: Iterable[Traced],
    ):
        self.make, self.lanes, self.leaves, self.functions = make, lanes, leaves, functions
        self.values: dict[Node, ir.Value] = {}
        # a library function is called once for all that can be ready together
        self.calls: dict[tuple[str, int], list[Node]] = {}
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
                results = self.call(node.op, [self.values[each.args[0]] for each in together])
                self.values.update(zip(together, results, strict=True))
            else:
                args = [self.values[arg] if isinstance(arg, Node) else arg for arg in node.args]
                self.values[node] = self._instruction(node.op, args)
        return self.values[traced.node]

    def _instruction(self, op: str, args: list[Any]) -> ir.Value:
        make = self.make
        if op == "number":
            return self.leaves[op](*args) if isinstance(args[0], tuple) else self.lanes.constant(float.fromhex(args[0]))
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
        module, vector = self.make.module, self.lanes.vector
        full = f"{name}.v{self.lanes.count}f{8 * self.lanes.bytes}"
        function = module.globals.get(full) or ir.Function(module, ir.FunctionType(vector, [vector] * len(args)), full)
        return self.make.call(function, args)

    def _where(self, condition: ir.Value, yes: ir.Value, no: ir.Value) -> ir.Value:
        return self.make.select(condition, yes, no)

    def _neg(self, z: ir.Value) -> ir.Value:
        return self.make.fneg(z)

    def _maximum(self, one: ir.Value, two: ir.Value) -> ir.Value:
        """The larger one; not a number where one of them is none."""
        make = self.make
        larger = make.select(make.fcmp_ordered(">", one, two), one, two)
        kind, bits = _NAN[self.lanes.dtype]
        nan = make.bitcast(ir.Constant(self.lanes.integers(kind), [kind(bits)] * self.lanes.count), self.lanes.vector)
        return make.select(make.fcmp_unordered("uno", one, two), nan, larger)

    def _sigmoid(self, z: ir.Value) -> ir.Value:
        one, minus = self.lanes.constant(1.0), self.make.fsub(self.lanes.constant(0.0), z)
        return self.make.fdiv(one, self.make.fadd(one, self._sleef_exp(minus)))

    def _sleef_exp(self, z: ir.Value) -> ir.Value:
        """e^z as in torch's sigmoid and softmax, see ``Exponential``."""
        make, constant, integer = self.make, self.lanes.constant, self.lanes.integer
        single = self.lanes.dtype == "float32"
        form = _SINGLE if single else _DOUBLE
        q = self._intrinsic("llvm.rint", make.fmul(z, constant(LOG2_E)))
        s = self._fma(q, -form.ln_2[0], z)
        s = self._fma(q, -form.ln_2[1], s)
        result = self._single_series(s) if single else self._double_series(s)
        # 2^q in two factors, for one exponent may not hold it; what lies outside is replaced below
        above, below = make.fcmp_ordered(">", z, constant(form.most)), make.fcmp_ordered("<", z, constant(form.least))
        inside = make.fcmp_ordered("<=", self._intrinsic("llvm.fabs", z), constant(-form.least))
        whole = make.fptosi(make.select(inside, q, constant(0.0)), self.lanes.integers())
        half = make.ashr(whole, integer(1))
        for power in (half, make.sub(whole, half)):
            result = make.fmul(result, self._power_of_two(power))
        return make.select(above, constant(float("inf")), make.select(below, constant(0.0), result))

    def _single_series(self, s: ir.Value) -> ir.Value:
        """e^s, power after power."""
        series = self.lanes.constant(_SINGLE.series[0])
        for coefficient in _SINGLE.series[1:]:
            series = self._fma(series, s, coefficient)
        return self.make.fadd(self.lanes.constant(1.0), self._fma(self.make.fmul(s, s), series, s))

    def _double_series(self, s: ir.Value) -> ir.Value:
        """e^s, its higher powers in pairs, pairs of these, and so on."""
        parts: list[Any] = list(_DOUBLE.series[::-1])
        power = s
        while len(parts) > 1:
            pairs = [self._fma(power, parts[n + 1], parts[n]) for n in range(0, len(parts) - 1, 2)]
            parts = [*pairs, *parts[2 * len(pairs) :]]
            power = self.make.fmul(power, power)
        series = parts[0]
        for coefficient in (0.5, 1.0, 1.0):
            series = self._fma(series, s, coefficient)
        return series

    def _fma(self, *args: Any) -> ir.Value:
        """one * two + three of vectors or numbers, rounded once."""
        values = [self.lanes.constant(arg) if isinstance(arg, float) else arg for arg in args]
        return self._intrinsic("llvm.fma", *values)

    def _power_of_two(self, power: ir.Value) -> ir.Value:
        """2 to whole numbers that are exponents of the type, made of its bits."""
        make, lanes = self.make, self.lanes
        kind, bias, fraction = (I32, 127, 23) if lanes.dtype == "float32" else (I64, 1023, 52)
        biased = make.add(power, lanes.integer(bias))
        if kind is I64:
            biased = make.zext(biased, lanes.integers(I64))
        return make.bitcast(make.shl(biased, ir.Constant(biased.type, [kind(fraction)] * lanes.count)), lanes.vector)

    def call(self, name: str, args: Sequence[ir.Value]) -> list[ir.Value]:
        """A function of torch's library on each of these vectors."""
        symbol = self.functions[name]
        if symbol == WRITTEN_OUT:
            return [getattr(self, f"_written_{name}")(arg) for arg in args]
        if symbol == ONE_BY_ONE:
            return [self._one_by_one(name, arg) for arg in args]
        if "{sleef}" in symbol:
            return [self._in_registers(symbol, arg) for arg in args]
        make, vector, count = self.make, self.lanes.vector, self.lanes.count * len(args)
        place = library_function(symbol.format(intel="s" if self.lanes.dtype == "float32" else "d"))
        function = make.inttoptr(place, ir.FunctionType(ir.VoidType(), [I32, POINTER, POINTER, I64]).as_pointer())
        with make.goto_entry_block():
            room = [make.alloca(vector, len(args)) for _ in range(2)]
        for number, arg in enumerate(args):
            make.store(arg, make.gep(room[0], [I64(number)]))
        make.call(function, [I32(count), *(make.bitcast(part, POINTER) for part in room), I64(_ARRAY_MODE)])
        return [make.load(make.gep(room[1], [I64(number)])) for number in range(len(args))]

    def _written_tanh(self, z: ir.Value) -> ir.Value:
        """tanh z to two units in the last place: near 0 z + z^3 P(z^2) / Q(z^2), else 1 - 2 / (e^2|z| + 1) with the
        sign of z (Moshier's Cephes library, 1984)."""
        make, constant = self.make, self.lanes.constant
        square, size = make.fmul(z, z), self._intrinsic("llvm.fabs", z)
        above, below = (self._polynomial(series, square) for series in _TANH[self.lanes.dtype])
        near = self._fma(make.fmul(square, z), make.fdiv(above, below), z)
        raised = self._sleef_exp(make.fadd(size, size))
        far = make.fsub(constant(1.0), make.fdiv(constant(2.0), make.fadd(raised, constant(1.0))))
        far = self._intrinsic("llvm.copysign", far, z)
        return make.select(make.fcmp_ordered(">", size, constant(0.625)), far, near)

    def _polynomial(self, series: Sequence[float], z: ir.Value) -> ir.Value:
        """A polynomial in z, the highest power's coefficient first."""
        value = self.lanes.constant(series[0])
        for coefficient in series[1:]:
            value = self._fma(value, z, coefficient)
        return value

    def _one_by_one(self, name: str, arg: ir.Value) -> ir.Value:
        """A function of C's mathematical library, number by number."""
        make, scalar = self.make, self.lanes.scalar
        place = c_function(name + ("f" if self.lanes.dtype == "float32" else ""))
        function = make.inttoptr(place, ir.FunctionType(scalar, [scalar]).as_pointer())
        result = arg
        for lane in range(self.lanes.count):
            value = make.call(function, [make.extract_element(arg, I32(lane))])
            result = make.insert_element(result, value, I32(lane))
        return result

    def _in_registers(self, symbol: str, arg: ir.Value) -> ir.Value:
        """A function that takes as many numbers as a register holds: a call for each register that a vector fills."""
        make, capability = self.make, torch.backends.cpu.get_cpu_capability()
        if capability not in _REGISTER_BITS:
            raise Untraceable("this processor has not the registers of AVX2")
        size = _REGISTER_BITS[capability] // (8 * self.lanes.bytes)
        if self.lanes.count % size:
            raise Untraceable(f"vectors of {self.lanes.count} numbers do not fill this processor's registers")
        register = ir.VectorType(self.lanes.scalar, size)
        place = library_function(symbol.format(sleef=f"{'f' if self.lanes.dtype == 'float32' else 'd'}{size}"))
        function = make.inttoptr(place, ir.FunctionType(register, [register]).as_pointer())
        result = arg
        for start in range(0, self.lanes.count, size):
            part = make.call(function, [make.shuffle_vector(arg, arg, _numbered(start, size))])
            result = self._put(part, result, start, size)
        return result

    def _put(self, part: ir.Value, whole: ir.Value, start: int, size: int) -> ir.Value:
        """A vector whose lanes from ``start`` on are those of ``part``."""
        if size == self.lanes.count:
            return part
        wide = self.make.shuffle_vector(part, part, _numbered(0, self.lanes.count))
        places = [self.lanes.count + n - start if start <= n < start + size else n for n in range(self.lanes.count)]
        return self.make.shuffle_vector(
            whole, wide, ir.Constant(ir.VectorType(I32, len(places)), list(map(I32, places)))
        )


def _numbered(start: int, count: int) -> ir.Constant:
    """The numbers of so many lanes, from ``start`` on."""
    return ir.Constant(ir.VectorType(I32, count), [I32(start + number) for number in range(count)])
