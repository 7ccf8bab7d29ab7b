"""Writing functions in LLVM: memory, constants and control, whatever the functions do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from llvmlite import ir

from nnspec.training.codegen.lanes import I32, I64, POINTER, Lanes

VOID = ir.VoidType()


@contextmanager
def loop(
    make: ir.IRBuilder, start: ir.Value | int, stop: ir.Value | int, stride: ir.Value | int = 1
) -> Iterator[ir.Value]:
    """Instructions written inside are repeated for start, start + stride, ... below ``stop``, at least once."""
    first, end, further = (I64(number) if isinstance(number, int) else number for number in (start, stop, stride))
    before, body = make.block, make.append_basic_block()
    make.branch(body)
    make.position_at_end(body)
    counter = make.phi(I64)
    counter.add_incoming(first, before)
    yield counter
    following = make.add(counter, further)
    counter.add_incoming(following, make.block)
    after = make.append_basic_block()
    make.cbranch(make.icmp_signed("<", following, end), body, after)
    make.position_at_end(after)


class Writer:
    """Writes functions of a module, each of which is given a table of addresses: ``arguments`` names them in their
    order. Numbers are of the lanes' type, places are counted in numbers."""

    def __init__(self, lanes: Lanes, arguments: Sequence[str]):
        self.lanes, self.arguments = lanes, arguments
        self.module = ir.Module("nnspec")
        self.constants: dict[Any, ir.GlobalVariable] = {}

    # -- control --------------------------------------------------------------------------------------------------

    def function(self, name: str, arguments: Sequence[Any], linkage: str = "internal") -> ir.Function:
        function = ir.Function(self.module, ir.FunctionType(VOID, [POINTER, *arguments]), name)
        function.linkage = linkage
        return function

    @contextmanager
    def body(self, function: ir.Function) -> Iterator[Sequence[ir.Value]]:
        """Instructions written inside are those of the function; ``given`` has the addresses of its table."""
        self.make = ir.IRBuilder(function.append_basic_block())
        self.table, *others = function.args
        self.given = {name: self.read(self.table, n, POINTER) for n, name in enumerate(self.arguments)}
        yield others
        self.make.ret_void()

    def loop(
        self, start: ir.Value | int, stop: ir.Value | int, stride: ir.Value | int = 1
    ) -> AbstractContextManager[ir.Value]:
        """See ``loop``."""
        return loop(self.make, start, stop, stride)

    def smaller(self, one: ir.Value, other: ir.Value) -> ir.Value:
        return self.make.select(self.make.icmp_signed("<", one, other), one, other)

    # -- memory ---------------------------------------------------------------------------------------------------

    def place(self, base: ir.Value, number: ir.Value | int, kind: Any = None) -> ir.Value:
        """The address of a number behind ``base``."""
        index = I64(number) if isinstance(number, int) else number
        return self.make.gep(base, [index], source_etype=kind or self.lanes.scalar)

    def read(self, base: ir.Value, number: ir.Value | int, kind: Any = None) -> ir.Value:
        return self.make.load(self.place(base, number, kind), typ=kind or self.lanes.scalar)

    def write(self, value: ir.Value, base: ir.Value, number: ir.Value | int) -> None:
        self.make.store(value, self.place(base, number, value.type))

    def vector(self, base: ir.Value, number: ir.Value | int) -> ir.Value:
        """A vector of numbers from number ``number`` on."""
        return self.make.load(self.place(base, number), align=self.lanes.bytes, typ=self.lanes.vector)

    def store(self, vector: ir.Value, base: ir.Value, number: ir.Value | int) -> None:
        self.make.store(vector, self.place(base, number), align=self.lanes.bytes)

    def splat(self, value: ir.Value) -> ir.Value:
        """A number in every lane."""
        nobody = ir.Constant(self.lanes.vector, ir.Undefined)
        lanes = ir.Constant(ir.VectorType(I32, self.lanes.count), None)
        return self.make.shuffle_vector(self.make.insert_element(nobody, value, I32(0)), nobody, lanes)

    def sum(self, vector: ir.Value) -> ir.Value:
        """The sum of a vector's lanes, one after the other."""
        total = self.make.extract_element(vector, I32(0))
        for lane in range(1, self.lanes.count):
            total = self.make.fadd(total, self.make.extract_element(vector, I32(lane)))
        return total

    def add_to(self, room: ir.Value, value: ir.Value) -> None:
        self.make.store(self.make.fadd(self.make.load(room, typ=value.type), value), room)

    def constant(self, value: ir.Constant) -> ir.GlobalVariable:
        """A constant's address, for functions that take addresses."""
        key = (str(value.type), str(value))
        if key not in self.constants:
            made = ir.GlobalVariable(self.module, value.type, f"constant{len(self.constants)}")
            made.initializer, made.global_constant, made.linkage = value, True, "internal"
            self.constants[key] = made
        return self.constants[key]

    def splat_integer(self, value: ir.Value) -> ir.Value:
        kind = ir.VectorType(I64, self.lanes.count)
        nobody = ir.Constant(kind, ir.Undefined)
        lanes = ir.Constant(ir.VectorType(I32, self.lanes.count), None)
        return self.make.shuffle_vector(self.make.insert_element(nobody, value, I32(0)), nobody, lanes)
