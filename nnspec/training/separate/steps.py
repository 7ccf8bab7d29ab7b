"""The update of a kernel's weights by the gradients of all parts of a batch, and the norms of the weights."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from llvmlite import ir

from nnspec.architecture import Architecture
from nnspec.training.codegen.lanes import I64, POINTER, Lanes
from nnspec.training.separate.formulas import Behind, Formulas
from nnspec.training.separate.layers import Shape
from nnspec.training.separate.passes import Passes


class Steps(Passes):
    """Writes the functions ``step`` and ``norms``."""

    def __init__(
        self,
        architecture: Architecture,
        shape: Shape,
        lanes: Lanes,
        arguments: Sequence[str],
        formulas: Formulas,
        hidden: Sequence[Behind],
    ):
        super().__init__(architecture, shape, lanes, arguments, formulas, hidden)
        self.slots = len(formulas.update) - 1
        self.step = self.function("step", [I64, I64, I64])
        self.norms = self.function("norms", [POINTER], "external")
        self._write_step()
        self._write_norms()

    def _write_step(self) -> None:
        """``step(table, number, thread, threads)``: update ``number`` of a call, from 0, by the optimizer's rule, of
        the weights that are this thread's."""
        with self.body(self.step) as (update, thread, threads):
            factor = self._clipping() if self.shape.clip else None
            places = {
                key: self.make.add(self.make.mul(update, I64(len(self.moving))), I64(place))
                for place, key in enumerate(self.moving)
            }
            rooms = [self.given[name] for name in ("weights", *(f"state{n}" for n in range(self.slots)))]
            with self._share(thread, threads) as place:

                def gradient(_: Any) -> ir.Value:
                    plain = self._gradient(place)
                    return plain if factor is None else self.make.fmul(plain, factor)

                leaves = {
                    "weight": lambda _: self.vector(rooms[0], place),
                    "gradient": gradient,
                    "state": lambda slot: self.vector(rooms[1 + slot], place),
                    "number": lambda key: (
                        self.splat(self.read(self.given["moving"], places[key])) if key in places else self.number(key)
                    ),
                }
                for room, value in zip(rooms, self.instructions(leaves, self.formulas.update), strict=True):
                    self.store(value, room, place)

    @contextmanager
    def _share(self, thread: ir.Value, threads: ir.Value) -> Iterator[ir.Value]:
        """The places of the vectors of weights that are a thread's."""
        make, vectors = self.make, self.padded // self.lanes.count
        first, last = (
            make.mul(make.sdiv(make.mul(number, I64(vectors)), threads), I64(self.lanes.count))
            for number in (thread, make.add(thread, I64(1)))
        )
        with make.if_then(make.icmp_signed("<", first, last)), self.loop(first, last, self.lanes.count) as place:
            yield place

    def _gradient(self, place: ir.Value) -> ir.Value:
        """A vector of the gradient, that of all parts."""
        parts = [self.make.add(place, I64(part * self.padded)) for part in range(self.shape.parts)]
        return functools.reduce(self.make.fadd, [self.vector(self.given["gradients"], part) for part in parts])

    def _clipping(self) -> ir.Value:
        """What gradients are multiplied by, so that their norm is at most ``clip``: as
        ``torch.nn.utils.clip_grad_norm_``."""
        make = self.make
        room = make.alloca(self.lanes.vector)
        make.store(ir.Constant(self.lanes.vector, None), room)
        with self.loop(0, self.padded, self.lanes.count) as place:
            gradient = self._gradient(place)
            self.add_to(room, make.fmul(gradient, gradient))
        root = self.module.declare_intrinsic("llvm.sqrt", [self.lanes.scalar])
        norm = make.call(root, [self.sum(make.load(room, typ=self.lanes.vector))])
        factor = make.fdiv(self.lanes.scalar(self.shape.clip), make.fadd(norm, self.lanes.scalar(1e-6)))
        one = self.lanes.scalar(1)
        return self.splat(make.select(make.fcmp_ordered("<", factor, one), factor, one))

    def _write_norms(self) -> None:
        """``norms(table, into)``: the L2 norm of each layer's weight matrix."""
        with self.body(self.norms) as (into,):
            make, root = self.make, self.module.declare_intrinsic("llvm.sqrt", [self.lanes.scalar])
            for number, layer in enumerate(self.layers):
                room = make.alloca(self.lanes.scalar)
                make.store(self.lanes.scalar(0), room)
                with self.loop(0, layer.fan_in * layer.fan_out) as place:
                    weight = self.read(self.weights(number), place)
                    self.add_to(room, make.fmul(weight, weight))
                self.write(make.call(root, [make.load(room, typ=self.lanes.scalar)]), into, number)
