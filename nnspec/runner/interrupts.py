"""Ctrl-C, and requests to terminate: they end training at once, and filing not at all unless asked twice."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupts:
    """While it is entered, a signal raises ``KeyboardInterrupt`` inside ``training`` only. Elsewhere, where runs are begun
    or completed in the store, the first one is kept until training would begin, and the second one raises."""

    def __init__(self) -> None:
        self._training = False
        self._pending = False
        self._before: dict[signal.Signals, object] = {}

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():  # Python lets no other thread handle signals
            self._before = {number: signal.signal(number, self._receive) for number in SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

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

    def _receive(self, number: int, frame: object) -> None:
        if self._training or self._pending:
            self._training = False
            raise KeyboardInterrupt
        self._pending = True
        print("nnspec: stopping once what is trained is filed; once more stops at once", file=sys.stderr)
