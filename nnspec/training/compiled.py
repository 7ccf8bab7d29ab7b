"""Many updates of a chunk at once by compiled code, with the eager trainer's results to the last bit.

The eager trainer passes over memory some forty times an update; a compiled step (see ``llvm``) does so once in many
updates. It is not trusted: the first updates of every chunk are made both ways, and only where all bits agree are the
others left to it. Where they do not, or a formula has no compiled form, the eager trainer goes on alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from nnspec.duration import pace
from nnspec.specs import RunSpec, Train
from nnspec.training.codegen.graph import Traced, Untraceable
from nnspec.training.history import LATE, Block
from nnspec.training.llvm import CompiledStep, Slot, build
from nnspec.training.optimizer import StackedOptimizer
from nnspec.training.plan import segment_key, stack_key
from nnspec.training.spans import Span, row_of
from nnspec.training.stacking import Segment
from nnspec.training.state import ChunkState
from nnspec.training.tracing import Pass, trace_pass, trace_update
from nnspec.training.updater import Eager, Updater

Tensor = torch.Tensor
PRODUCTS = ((True, True), (True, False), (False, True), (False, False))  # how torch makes products, see ``trace_pass``


@dataclass(frozen=True)
class Compiler:
    """Compiles the steps of specs and keeps them in ``made``: a step, or why there is none."""

    build: Callable[[Pass, Sequence[Traced]], CompiledStep] = build
    made: dict[object, CompiledStep | str] = field(default_factory=dict)

    def step(self, spec: RunSpec, optimizer: StackedOptimizer, products: tuple[bool, bool]) -> CompiledStep:
        """The step of networks of ``spec``, with torch's products made in one of the ways of ``PRODUCTS``.

        Raises:
            Untraceable: if it has no compiled form.
        """
        key = (stack_key(replace(spec, train=Train())), segment_key(spec), products)  # however many updates there are
        if key not in self.made:
            try:
                self.made[key] = self._compiled(spec, optimizer, products)
            except Untraceable as error:
                self.made[key] = str(error)
        made = self.made[key]
        if isinstance(made, str):
            raise Untraceable(made)
        return made

    def _compiled(self, spec: RunSpec, optimizer: StackedOptimizer, products: tuple[bool, bool]) -> CompiledStep:
        h = optimizer.h
        flags = {name: value for name, value in h.items() if not isinstance(value, Tensor)}
        pairs = [name for name, value in h.items() if isinstance(value, Tensor) and value.dim() == 2]
        update = trace_update(spec, len(optimizer.state), flags, pairs, optimizer.moving)
        return self.build(trace_pass(spec, products), update)


COMPILER = Compiler()  # of this process


@dataclass(frozen=True)
class Trial:
    """Makes updates both ways and goes on with compiled code if every bit is the same, else eagerly."""

    state: ChunkState
    compiler: Compiler
    why_eager: str = "training ended while compiled code was on trial"

    def advance(self, span: Span) -> Updater:
        """The updates of a span, eagerly; where networks become non-finite, the next span is the trial."""
        state, row = self.state, row_of(pace(self.state.spec), span.step)
        before = [tensor.clone() for tensor in _changed(state)]
        expected = _changed(state) + ([] if row is None else _looked(state, row, span))
        Eager(state, self.why_eager).advance(span)
        whole = replace(span, looks=1, count=span.updates)
        for products in PRODUCTS:
            try:
                steps = [self.compiler.step(_spec(state, s), state.optimizer, products) for s in state.segments]
            except Untraceable as error:
                return Eager(state, f"no compiled form: {error}")
            changed = [tensor.clone() for tensor in before]
            looked = _looked(state, None, whole)
            if _nonfinite(_run(state, steps, whole, changed, looked)):
                return self
            if all(map(_same, expected, changed + looked)):  # what was looked at only if the history has it
                return Compiled(state, steps)
        return Eager(state, "compiled code and torch differ in the last bits")


@dataclass(frozen=True)
class Compiled:
    """The updates of a chunk by compiled steps, one a segment."""

    state: ChunkState
    steps: Sequence[CompiledStep]
    why_eager: str = ""

    def advance(self, span: Span) -> Updater:
        """All looks and updates of a span."""
        state, row = self.state, row_of(pace(self.state.spec), span.step)
        state.snapshot(span.step)
        at = _run(state, self.steps, span, _changed(state), _looked(state, row, span))
        if _nonfinite(at):
            state.freeze(at)
        return self


def _changed(state: ChunkState) -> list[Tensor]:
    """What updates change: when each network was first right [M], the weights and the optimizer's state [P, M]."""
    return [state.first.at, state.network.weights, *state.optimizer.state]


def _looked(state: ChunkState, row: int | None, span: Span) -> list[Tensor]:
    """Where the first look of a span writes: row ``row`` of the history, or memory of its own. The rows of the other
    looks lie behind it."""
    history = state.history
    if row is not None:
        return history.block.row(history.place(row, span.looks))
    return Block.empty(1, history.block.norms.shape[1], state.layout.width, history.block.loss.dtype).row(0)


def _nonfinite(at: Tensor) -> bool:
    return bool((at < LATE).any())


def _same(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors are equal to the last bit."""
    return torch.equal(one.view(torch.uint8), other.view(torch.uint8))


def _spec(state: ChunkState, segment: Segment) -> RunSpec:
    """A spec of the networks of a segment."""
    return state.layout.specs[state.layout.source[segment.start]]


def _run(
    state: ChunkState, steps: Sequence[CompiledStep], span: Span, changed: list[Tensor], looked: list[Tensor]
) -> Tensor:
    """Make the updates of a span on ``changed``, in place, and write what each look sees from ``looked`` on. When
    networks became non-finite [M], or ``LATE``: their weights are those that they had then, their state is to be set
    anew."""
    right, *stored = changed
    nonfinite = torch.empty_like(right)
    coefficients, offset = state.optimizer.ahead(span.step + 1, span.updates)
    stride = next((rows.shape[1] for rows in coefficients.values()), 0)
    moves = int(state.optimizer.which is not None)

    def place(slot: Slot, segment: Segment) -> int:
        match slot:
            case ("stored", number):
                return _address(stored[number])
            case ("right",):
                return _address(right)
            case ("nonfinite",):
                return _address(nonfinite)
            case ("tolerance",):
                return _address(state.first.tolerance)
            case ("param", name):  # has numbers for the networks of the segment only
                return _address(segment.params[name]) - segment.start * stored[0].element_size()
            case ("hyper", name, None):
                return _address(state.optimizer.h[name])
            case ("hyper", name, number):
                return _address(state.optimizer.h[name][number])
            case ("coefficient", name):
                return _address(state.optimizer.lasting[name])
            case ("moving", name):
                return _address(coefficients[name][offset])
            case ("look", number):
                return _address(looked[number])
        raise AssertionError(slot)

    for step, segment in zip(steps, state.segments, strict=True):
        table = np.array([place(slot, segment) for slot in step.slots], np.int64)
        where = (segment.start, segment.stop, state.layout.width)
        step.call(*where, stride, moves, span.looks, span.count, span.step, table.ctypes.data)
    return nonfinite


def _address(tensor: object) -> int:
    """Where a tensor's numbers begin; the last axis must be whole in memory."""
    assert isinstance(tensor, Tensor)
    assert tensor.stride(-1) == 1
    return tensor.data_ptr()
