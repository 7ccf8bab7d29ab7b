"""The trainer: one chunk of networks from initial to final weights. There is no other, not even for one network.

Small networks on few rows train side by side in lanes, large chunks of them by compiled code (see ``compiled``), whose
results are the same to the last bit; all others train one after another (see ``separate``). Models that are a torch
module of their own train by torch's own gradients (see ``modules``). With ``device: cuda`` networks train on the card
(see ``device``).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch

from nnspec.duration import pace
from nnspec.results.arrays import NEVER, Results
from nnspec.specs import RunSpec
from nnspec.training.device.card import found, repeatable
from nnspec.training.device.chunk import OnDevice
from nnspec.training.layout import is_module, is_separate, on_card
from nnspec.training.modules.chunk import Modules
from nnspec.training.plan import Chunk
from nnspec.training.separate.chunk import Separate
from nnspec.training.spans import MOST, PAYS, Span, row_of, spans, why_eager
from nnspec.training.state import ChunkState
from nnspec.training.updater import Eager, Updater

if TYPE_CHECKING:
    from nnspec.training.compiled import Compiler

PULSE = 0.2  # seconds between two reports of progress, at least
RESTRAINT = 20  # times as long as a report takes, which has the whole history so far, passes until the next


@dataclass(frozen=True)
class Progress:
    """How far a chunk is: its history so far."""

    history: Results

    @property
    def step(self) -> int:
        """Updates made."""
        return int(self.history.steps[-1])

    @property
    def right(self) -> int:
        """Networks that are right at the last row."""
        return int(self.history.solved.sum())


@contextmanager
def one_thread() -> Iterator[None]:
    """Torch on one thread: on these sizes threads inside an operation cost more than they give."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def train_chunk(
    specs: Sequence[RunSpec],
    chunk: Chunk,
    pays: float = PAYS,
    compiler: Compiler | None = None,
    pulse: float = PULSE,
    restraint: float = RESTRAINT,
    threads: int = 1,
    device: torch.device | None = None,
) -> Iterator[Progress | Results]:
    """Train the networks of ``chunk``, whose shares point into ``specs``; yields progress now and then, the results
    last, in the order of the shares.

    From ``pays`` updates of networks that share a formula on, the ``compiler`` (that of this process, unless given)
    makes code for them. ``pulse`` seconds, and ``restraint`` times as long as the last report took, lie between two
    reports of progress. A large network is trained by at most so many ``threads``, to the same last bit. On a torch
    ``device`` networks train as on a card (None: where their spec says).
    """
    spec = specs[chunk.shares[0].cell]
    if device is None and on_card(spec):
        device = found()
    with one_thread(), _without_autograd(spec), nullcontext() if device is None else repeatable():
        networks: Networks
        if device is not None:
            networks = OnDevice.on(specs, chunk, device)
        elif is_module(spec):
            networks = Modules(specs, chunk)
        elif is_separate(spec):
            networks = Separate(specs, chunk, threads)
        else:
            networks = Lanes(specs, chunk, pays, compiler)
        steps, due = pace(spec), time.perf_counter() + pulse
        for span in spans(steps, networks.most):
            networks.advance(span)
            if row_of(steps, span.step) is not None and time.perf_counter() > due:
                begun = time.perf_counter()
                yield Progress(networks.rows())
                now = time.perf_counter()
                due = now + max(pulse, restraint * (now - begun))
        trained = networks.result()
        del networks  # what trained is not held while the result is looked at
        yield trained


def _without_autograd(spec: RunSpec) -> AbstractContextManager[object]:
    """Torch without what it keeps for gradients; a module's passes turn that on again, which the quicker inference mode
    does not allow."""
    return torch.no_grad() if is_module(spec) else torch.inference_mode()


def probe(specs: Sequence[RunSpec], chunk: Chunk, patience: float, threads: int = 1) -> tuple[float, float]:
    """Seconds that it takes to set up this chunk, and one update of it: in lanes an eager one, of a large network by
    so many threads. ``patience`` is about how long it may try."""
    spec = specs[chunk.shares[0].cell]
    with one_thread(), _without_autograd(spec):
        if is_separate(spec):
            Separate(specs, chunk)  # the kernel is made once
        begun = time.perf_counter()
        advance: Callable[[Span], object]
        if is_module(spec):
            advance = Modules(specs, chunk).advance
        elif is_separate(spec):
            advance = Separate(specs, chunk, threads).advance
        else:
            advance = Eager(ChunkState(specs, chunk), "a probe").advance
        made = 1
        advance(Span(0, 1, 1))
        started = time.perf_counter()
        while made == 1 or time.perf_counter() - begun < patience:
            advance(Span(made, 1, 1))
            made += 1
        return started - begun, (time.perf_counter() - started) / (made - 1)


class Networks(Protocol):
    """The networks of a chunk in training."""

    @property
    def most(self) -> int:
        """Updates that a span may have; 0: as many as there are between two rows of the history."""

    def advance(self, span: Span) -> None:
        """The looks and updates of a span."""

    def rows(self) -> Results:
        """The history so far."""

    def result(self) -> Results:
        """What all spans leave; what trained is let go on the way."""


class Lanes:
    """Networks that train side by side, as the updater at hand makes them."""

    def __init__(self, specs: Sequence[RunSpec], chunk: Chunk, pays: float, compiler: Compiler | None):
        self.state = ChunkState(specs, chunk)
        self.updater = _updater(self.state, chunk, pays, compiler)
        self.most = 0 if isinstance(self.updater, Eager) else MOST
        self.why_eager = self.updater.why_eager

    def advance(self, span: Span) -> None:
        """See ``Networks``."""
        self.why_eager = self.updater.why_eager  # of the one that makes the last updates
        self.updater = self.updater.advance(span)

    def rows(self) -> Results:
        """See ``Networks``."""
        return self.state.rows()

    def result(self) -> Results:
        """See ``Networks``."""
        state = self.state
        state.look(pace(state.spec).updates)
        del self.updater, self.state
        return _result(state, self.why_eager)


def _updater(state: ChunkState, chunk: Chunk, pays: float, compiler: Compiler | None) -> Updater:
    """What makes the first updates."""
    why = why_eager(state.spec, state.layout.width / len(state.segments), pays)
    if not why and not chunk.compiled:
        why = "no memory to spare for compiled code"
    if why:
        return Eager(state, why)
    from nnspec.training.compiled import COMPILER, Trial

    return Trial(state, compiler or COMPILER)


def _result(state: ChunkState, why: str) -> Results:
    """The arrays of the real networks; what trained is let go on the way."""
    freezer, places = state.freezer, state.layout.places
    freezer.restore(state.network, state.snapshots)
    rows = state.rows()
    outputs = freezer.outputs(state.network.output.p)[:, :, places].permute(2, 0, 1).contiguous().numpy()
    final = state.network.rows()
    del state.network, state.optimizer
    return replace(
        rows,
        outputs=outputs,
        solved_at=np.where(rows.solved, state.first.result()[places], NEVER),
        nonfinite_at=freezer.at[places],
        initial=state.weights_of(state.initial),
        final=state.weights_of(final),
        snapshots={step: state.weights_of(state.snapshots.pop(step)) for step in sorted(state.snapshots)},
        why_eager=why,
    )
