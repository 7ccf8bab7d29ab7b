"""An update that is made many times: a card is told its operations once and repeats them (a CUDA graph), so that the
processor need not name some fifty operations for every update, which takes longer than small networks take."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from nnspec.errors import first_line

Work = Callable[[], None]


def recorded(work: Work) -> Work:
    """What repeats the operations of ``work`` on the same memory, without its Python; ``work`` itself is not done."""
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        work()
    return graph.replay


def aside(work: Work) -> None:
    """Do the work apart from the stream of the other operations, as torch asks of the time before a recording."""
    stream, here = torch.cuda.Stream(), torch.cuda.current_stream()
    stream.wait_stream(here)
    with torch.cuda.stream(stream):
        work()
    here.wait_stream(stream)


def at_once(work: Work) -> None:
    """Do the work."""
    work()


@dataclass
class Repeated:
    """``work``, whose every call does the same on the same memory: the first time by ``first``, from then on as
    ``record`` has taken it down; None: as it is. ``why`` says why it could not be taken down."""

    work: Work
    record: Callable[[Work], Work] | None
    first: Callable[[Work], None] = at_once
    began: bool = False
    again: Work | None = None
    why: str = ""

    def __call__(self) -> None:
        """Do it once."""
        if not self.began:
            self.first(self.work)
            self.began = True
            return
        if self.again is None and self.record is not None:
            try:
                self.again = self.record(self.work)
            except RuntimeError as error:
                self.why, self.record = first_line(error), None
        (self.again or self.work)()
