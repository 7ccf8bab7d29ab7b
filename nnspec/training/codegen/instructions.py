"""The nodes of a graph as LLVM's instructions on vectors, of any number of lanes, in single or double precision.

What a lane stands for is the caller's matter: the instructions never mix lanes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import torch
from llvmlite import ir

from nnspec.training.codegen.exponentials import Exponentials
from nnspec.training.codegen.graph import LIBRARY, Node, Traced, Untraceable, reachable
from nnspec.training.codegen.lanes import I32, I64, POINTER, Lanes
from nnspec.training.codegen.library import FUNCTIONS, c_function, library_function

WRITTEN_OUT, ONE_BY_ONE = "written out", "one by one"  # in the place of a library's name, see ``functions_at_hand``
_BINARY = {"+": "fadd", "-": "fsub", "*": "fmul", "/": "fdiv", "and": "and_"}
_WRITTEN = {"sigmoid": "sigmoid", "sleef_exp": "exp"}  # of ``Exponentials``
_INTRINSICS = {"fma": "llvm.fma", "root": "llvm.sqrt", "abs": "llvm.fabs"}
_REGISTER_BITS = {"AVX512": 512, "AVX2": 256}  # by what torch's kernels are made for
_ARRAY_MODE = 0x2 | 0x140000 | 0x100  # high accuracy, denormal numbers kept, errors ignored
_NAN = {"float32": (I32, 2**32 - 1), "float64": (I64, 2**64 - 1)}  # all bits of torch's own not-a-number


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
        self.vectors = Exponentials(make, lanes)
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
            return self.vectors.intrinsic(_INTRINSICS[op], *args)
        if op in _WRITTEN:
            return getattr(self.vectors, _WRITTEN[op])(*args)
        return getattr(self, f"_{op}")(*args)

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

    def call(self, name: str, args: Sequence[ir.Value]) -> list[ir.Value]:
        """A function of torch's library on each of these vectors."""
        symbol = self.functions[name]
        if symbol == WRITTEN_OUT:
            return [getattr(self.vectors, name)(arg) for arg in args]
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
