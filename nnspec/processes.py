"""Signals and processes of our own: a terminal sends them to all at once, and the parent alone decides what they
mean."""

from __future__ import annotations

import gc
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

OBJECTS = 100_000  # new objects between two collections: torch alone makes more as it is imported, and none is garbage
INTERRUPTED = 130  # exit status that shells expect of a program that Ctrl-C ended
ENDING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


def collect_garbage() -> None:
    """Collect garbage from now on, where a command left it off while its modules loaded: they are none, and neither
    this process nor those that are forked from it look through them."""
    if gc.get_threshold()[0] == 0:
        gc.freeze()
        gc.set_threshold(OBJECTS)


class Requests:
    """Tells a new request to end from the rest of the last: a key held down, a service that asks a group and its
    leader."""

    def __init__(self, apart: float = 1.0):
        self._apart = apart  # seconds between two requests that are two
        self._last = float("-inf")

    def is_new(self) -> bool:
        """Whether a signal that has just come is a request of its own."""
        now = time.monotonic()
        new = now - self._last > self._apart
        self._last = now if new else self._last
        return new


@contextmanager
def held_back() -> Iterator[None]:
    """Signals wait while a process is forked: for a moment it would answer them with its parent's handlers."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def leave_signals_to_the_parent() -> None:
    """What a process does first that was started while signals were ``held_back``. Its parent kills it; if the parent
    dies, the pipe between them tells it."""
    for number in ENDING:
        signal.signal(number, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
