"""Vectors of numbers as LLVM knows them, of any number of lanes, in single or double precision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from llvmlite import ir

I8, I32, I64 = ir.IntType(8), ir.IntType(32), ir.IntType(64)
POINTER = ir.PointerType()


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


class Vectors:
    """Instructions on vectors of these lanes, written where ``make`` stands."""

    def __init__(self, make: ir.IRBuilder, lanes: Lanes):
        self.make, self.lanes = make, lanes

    def intrinsic(self, name: str, *args: ir.Value) -> ir.Value:
        """What LLVM's own function gives lane by lane, as ``llvm.fma``."""
        module, vector = self.make.module, self.lanes.vector
        full = f"{name}.v{self.lanes.count}f{8 * self.lanes.bytes}"
        function = module.globals.get(full) or ir.Function(module, ir.FunctionType(vector, [vector] * len(args)), full)
        return self.make.call(function, args)

    def fma(self, *args: Any) -> ir.Value:
        """one * two + three of vectors or numbers, rounded once."""
        values = [self.lanes.constant(arg) if isinstance(arg, float) else arg for arg in args]
        return self.intrinsic("llvm.fma", *values)
