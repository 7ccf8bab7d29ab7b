"""Ctrl-C, requests to terminate, a terminal that is closed: they end training at once, and filing not at all unless
asked twice."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from nnspec.processes import ENDING, Requests
from nnspec.terminal import complain

T = TypeVar("T")


class Interrupts:
    """While it is entered, a signal raises ``KeyboardInterrupt`` inside ``training`` only. Elsewhere, where runs are
    begun or completed in the store, the first one is kept until training would begin, the second one raises too, and
    later ones are for whoever handled signals before. A signal that is ignored, as nohup ignores SIGHUP, stays so."""

    def __init__(self, requests: Requests | None = None) -> None:
        self._requests = requests or Requests()
        self._training = False
        self._pending = False
        self._stopping = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():  # Python lets no other thread handle signals
            handled = [number for number in ENDING if signal.getsignal(number) not in (signal.SIG_IGN, None)]
            self._before = {number: signal.signal(number, self._receive) for number in handled}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextmanager
    def training(self) -> Iterator[None]:
        """Where a signal interrupts; one that came before does so at once."""
        if self._pending:
            raise KeyboardInterrupt
        self._training = True
        try:
            yield
        finally:
            self._training = False

    def each(self, training: Iterable[T]) -> Iterator[T]:
        """What training gives, one after the other: interrupted while it trains, and not while the caller takes what it
        gave."""
        events = iter(training)
        while True:
            with self.training():
                try:
                    event = next(events)
                except StopIteration:
                    return
            yield event

    def _receive(self, number: int, frame: Any) -> None:
        if not self._requests.is_new():
            return
        if self._training:
            self._training = False
            raise KeyboardInterrupt
        if not self._pending:
            self._pending = True
            complain("stopping once what is trained is filed; once more stops at once")
            return
        if self._stopping and callable(self._before[number]):
            self._before[number](number, frame)
        self._stopping = True
        raise KeyboardInterrupt
