"""The layers of a kernel: where their values lie in its working memory, and their matrix products."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from llvmlite import ir

from nnspec.architecture import Architecture
from nnspec.training.codegen.lanes import I8, I32, I64, POINTER, Lanes
from nnspec.training.codegen.library import product_function
from nnspec.training.codegen.writer import VOID, Writer
from nnspec.training.separate.arrays import LINE
from nnspec.training.stacking import Block, blocks

NARROW = 16  # outputs of a layer, see ``narrow``


@dataclass(frozen=True)
class Shape:
    """The sizes of a kernel: ``rows`` of a block of a batch, ``looked`` of a block where the network is only looked at,
    and the ``batch``, of which the kernel trains on ``parts``.

    ``watched`` says that each update's own pass tells how the network does on all rows, as it does at full batch;
    ``by_rows`` that updates go by an error's rule, and that statistics sum up over all updates of a call."""

    rows: int
    looked: int
    batch: int
    watched: bool
    clip: float = 0.0
    by_rows: bool = False
    parts: int = 1


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


def narrow(layer: Block) -> bool:
    """Whether the product of a layer's gradient is made with its inputs first: BLAS takes twice as long over few rows
    of many columns as over the reverse."""
    return layer.fan_out < NARROW <= layer.fan_in


class Layers(Writer):
    """Writes the products of a network's layers, on blocks of ``rows`` rows."""

    def __init__(self, architecture: Architecture, shape: Shape, lanes: Lanes, arguments: Sequence[str]):
        super().__init__(lanes, arguments)
        self.shape, self.rows, self.outputs = shape, shape.rows, architecture.outputs
        self.layers, self.arrays = blocks(architecture), Arrays(lanes.bytes)
        self.padded = -(-architecture.parameters // lanes.count) * lanes.count
        self._lay_out()

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
                self.arrays.add(f"{name} {rows}", self.outputs * rows)

    @contextmanager
    def for_looks(self) -> Iterator[None]:
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

    def take(self, part: ir.Value) -> None:
        """What follows in a function works on a part of a batch: in memory, and on a gradient and statistics, of its
        own."""
        sizes = {"work": self.arrays.size, "gradients": self.padded, "statistics": self.lanes.count}
        for name, size in sizes.items():
            self.given[name] = self.place(self.given[name], self.make.mul(part, I64(size)))

    def array(self, name: str) -> ir.Value:
        """Where an array of the working memory is, of a block of ``rows`` rows."""
        return self.place(self.given["work"], self.arrays.places[f"{name} {self.rows}"])

    def _product(self, out: ir.Value, sizes: tuple[int, int, int], left: Any, right: Any, beta: ir.Value) -> None:
        """``out`` [m, n] columns first = left [m, k] right [k, n] + beta out, by the library. ``left`` and ``right``
        are an address, whether it lies transposed, and the length of its columns."""
        m, n, k = sizes

        def integer(value: int) -> ir.GlobalVariable:
            return self.constant(I32(value))

        def letter(transposed: bool) -> ir.GlobalVariable:
            return self.constant(I8(ord("T" if transposed else "N")))

        function_type = ir.FunctionType(VOID, [POINTER] * 13)
        function = self.make.inttoptr(product_function(self.lanes.dtype), function_type.as_pointer())
        (a, ta, lda), (b, tb, ldb) = left, right
        arguments = [letter(ta), letter(tb), integer(m), integer(n), integer(k), self.constant(self.lanes.scalar(1))]
        arguments += [a, integer(lda), b, integer(ldb), beta, out, integer(m)]
        self.make.call(function, [self.make.bitcast(argument, POINTER) for argument in arguments])

    def weights(self, number: int, name: str = "weights") -> ir.Value:
        """Where the weights of layer ``number`` begin, or what there is of each of them."""
        return self.place(self.given[name], self.layers[number].start)

    def forward(self, number: int) -> None:
        """z = W' x of layer ``number``."""
        layer, rows = self.layers[number], self.rows
        fan_in, fan_out = layer.fan_in + 1, layer.fan_out
        x = (self.array(f"x{number}"), number == 0, fan_in if number == 0 else rows)
        zero = self.constant(self.lanes.scalar(0))
        self._product(self.array(f"z{number}"), (rows, fan_out, fan_in), x, (self.weights(number), True, fan_out), zero)

    def backward(self, number: int, beta: ir.Value) -> None:
        """The gradient of the weights of layer ``number``, added to ``beta`` times what is there, and of its inputs,
        which takes the place of the pre-activations' below."""
        layer, rows = self.layers[number], self.rows
        fan_in, fan_out = layer.fan_in + 1, layer.fan_out
        dz = self.array(f"dz{number}")
        x = (self.array(f"x{number}"), number == 0, fan_in if number == 0 else rows)
        if narrow(layer):
            left = (x[0], not x[1], x[2])
            self._product(self.array(f"turned{number}"), (fan_in, fan_out, rows), left, (dz, False, rows), beta)
        else:
            self._product(self.weights(number, "gradients"), (fan_out, fan_in, rows), (dz, True, rows), x, beta)
        if number:
            zero = self.constant(self.lanes.scalar(0))
            below, sizes = self.array(f"dz{number - 1}"), (rows, layer.fan_in, fan_out)
            self._product(below, sizes, (dz, False, rows), (self.weights(number), False, fan_out), zero)

    def turn(self) -> None:
        """Put gradients that were made with the longer side first in their place."""
        for number, layer in enumerate(self.layers):
            if narrow(layer):
                turned, gradients = self.array(f"turned{number}"), self.weights(number, "gradients")
                with self.loop(0, layer.fan_in + 1) as i, self.loop(0, layer.fan_out) as o:
                    value = self.read(turned, self.make.add(self.make.mul(o, I64(layer.fan_in + 1)), i))
                    self.write(value, gradients, self.make.add(self.make.mul(i, I64(layer.fan_out)), o))
