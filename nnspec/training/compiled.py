"""Many updates of a chunk at once by compiled code, with the eager trainer's results to the last bit.

The eager trainer passes over memory some forty times an update; a compiled step (see ``machine``) does so once in many
updates. It is not trusted: the first updates of every chunk are made both ways, and only where all bits agree are the
others left to it. Where networks become non-finite, or a formula has no compiled form, or the work is small, the eager
trainer goes on alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from nnspec.specs import RunSpec, Train
from nnspec.training.graph import Untraceable
from nnspec.training.history import Block, FirstRight, History
from nnspec.training.llvm import Key, Machine, build
from nnspec.training.optimizer import StackedOptimizer
from nnspec.training.plan import segment_key, stack_key
from nnspec.training.spans import Stretch
from nnspec.training.stacking import Columns, Segment
from nnspec.training.tracing import trace_pass, trace_update

Tensor = torch.Tensor
PRODUCTS = (
    (True, True),
    (True, False),
    (False, True),
    (False, False),
)  # how torch may make its matrix products, see ``trace_pass``

_machines: dict[object, Machine | None] = {}  # those made in this process: None for a step that has no compiled form


class Compiled:
    """The compiled updates of one chunk. ``weights`` [P, M] and the state of ``optimizer`` are read and written beside
    the eager trainer's passes, which must not follow an ``advance`` before ``settle``."""

    def __init__(
        self,
        layout: Columns,
        segments: Sequence[Segment],
        weights: Tensor,
        optimizer: StackedOptimizer,
        first: FirstRight,
        history: History,
    ):
        self.layout, self.segments, self.optimizer, self.first, self.history = (
            layout,
            segments,
            optimizer,
            first,
            history,
        )
        self.scratch = Block.empty(1, history.block.norms.shape[1], layout.width, history.block.loss.dtype)
        self.eager = (weights, *optimizer.state)
        self.other = tuple(torch.empty_like(tensor) for tensor in self.eager)
        self.aside = False  # whether the present state is in ``other``
        self.lost = torch.empty_like(first.at)  # when each network became non-finite in the last ``advance``
        self.machines: list[Machine] = []  # one a segment, once they have proved themselves
        self.start: tuple[Tensor, ...] | None = None
        self.hopeless = False

    @property
    def proved(self) -> bool:
        """Whether ``advance`` may be called."""
        return bool(self.machines)

    @property
    def weights(self) -> Tensor:
        """The weights [P, M] as they are."""
        return self.other[0] if self.aside else self.eager[0]

    def remember(self) -> None:
        """Note the state from which the next updates are made both ways."""
        if not self.hopeless:
            self.start = tuple(tensor.clone() for tensor in (*self.eager, self.first.at))

    def prove(self, row: int | None, stretch: Stretch) -> None:
        """Compare the updates that the eager trainer made since ``remember``, the first with the history's row
        ``row``."""
        if self.start is None:
            return
        *before, at = self.start
        self.start = None
        for fused in PRODUCTS:
            machines = [machine for segment in self.segments if (machine := self._machine(segment, fused)) is not None]
            if len(machines) < len(self.segments):
                break
            reached = at.clone()
            whole = Stretch(stretch.step, 1, stretch.updates)
            if not self._run(machines, tuple(before), self.other, reached, self.scratch, 0, whole):
                return  # something became non-finite: perhaps the next updates prove it
            ours, theirs = [*self.other, reached], [*self.eager, self.first.at]
            if row is not None:
                ours, theirs = ours + self.scratch.row(0), theirs + self.history.block.row(self.history.place(row))
            if all(map(_same, ours, theirs)):
                self.machines = machines
                return
        self.hopeless = True

    def advance(self, row: int | None, stretch: Stretch) -> bool:
        """Make the updates of a stretch and fill the history from ``row`` on. False where networks became non-finite:
        ``lost`` says when, their weights are those that they had then, their state is to be set anew."""
        before, after = (self.other, self.eager) if self.aside else (self.eager, self.other)
        self.aside = not self.aside
        block, place = (
            (self.scratch, 0) if row is None else (self.history.block, self.history.place(row, stretch.looks))
        )
        return self._run(self.machines, before, after, self.first.at, block, place, stretch)

    def settle(self) -> None:
        """Bring the weights and the state to where the eager trainer has them."""
        if self.aside:
            for eager, other in zip(self.eager, self.other, strict=True):
                eager.copy_(other)
            self.aside = False

    def _machine(self, segment: Segment, fused: tuple[bool, bool]) -> Machine | None:
        spec = self.layout.specs[self.layout.source[segment.start]]
        key = (
            stack_key(replace(spec, train=Train())),
            segment_key(spec),
            fused,
        )  # an update does not know how many there are
        if key not in _machines:
            _machines[key] = self._build(spec, fused)
        return _machines[key]

    def _build(self, spec: RunSpec, fused: tuple[bool, bool]) -> Machine | None:
        h, moving = self.optimizer.h, self.optimizer.moving
        flags = {name: value for name, value in h.items() if not isinstance(value, Tensor)}
        pairs = [name for name, value in h.items() if isinstance(value, Tensor) and value.dim() == 2]
        try:
            update = trace_update(spec, len(self.optimizer.state), flags, pairs)
            return build(trace_pass(spec, fused), update, lambda key: key[0] == "coefficient" and key[1] in moving)
        except Untraceable:
            return None

    def _run(
        self,
        machines: Sequence[Machine],
        before: tuple[Tensor, ...],
        after: tuple[Tensor, ...],
        at: Tensor,
        block: Block,
        row: int,
        stretch: Stretch,
    ) -> bool:
        coefficients, offset = self.optimizer.ahead(stretch.step + 1, stretch.updates)
        stored = [address(tensor) for pair in zip(before, after, strict=True) for tensor in pair]
        stride = next((rows.shape[1] for rows in coefficients.values()), 0)
        moves = int(self.optimizer.which is not None)
        well = True
        for machine, segment in zip(machines, self.segments, strict=True):
            lasting = [self._lasting(key, segment) for key in machine.lasting]
            moving = [address(coefficients[key[1]][offset]) for key in machine.moving]
            taken = [address(tensor) for tensor in block.row(row)]
            table = np.array([*stored, address(at), address(self.lost), *lasting, *moving, *taken], np.int64)
            where = (segment.start, segment.stop, at.numel())
            well &= bool(
                machine.call(*where, stride, moves, stretch.looks, stretch.count, stretch.step, table.ctypes.data)
            )
        return well

    def _lasting(self, key: Key, segment: Segment) -> int:
        """Where the row of numbers ``key`` has that of the chunk's first network."""
        kind, *name = key
        if kind == "param":
            value = segment.params[name[0]]
            assert isinstance(value, Tensor)
            return address(value) - segment.start * value.element_size()
        if kind == "tolerance":
            return address(self.first.tolerance)
        if kind == "coefficient":
            return address(self.optimizer.lasting[name[0]])
        value = self.optimizer.h[name[0]]
        assert isinstance(value, Tensor)
        return address(value if name[1] is None else value[name[1]])


def _same(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors are equal to the last bit."""
    return torch.equal(one.view(torch.uint8), other.view(torch.uint8))


def address(tensor: Tensor) -> int:
    """Where a tensor's numbers begin; the last axis must be whole in memory."""
    assert tensor.stride(-1) == 1
    return tensor.data_ptr()
