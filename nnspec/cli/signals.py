"""Ctrl-C, SIGTERM and SIGHUP for a command's process: the first ends it in good order, the next one at once; neither shows a traceback."""

from __future__ import annotations

import os
import signal
import sys
import threading
from contextlib import suppress
from types import FrameType

from nnspec.processes import ENDING
from nnspec.terminal import complain

INTERRUPTED = 130  # what shells expect of a program that Ctrl-C ended


class Signals:
    """While it is entered, the first signal raises ``KeyboardInterrupt`` and any further one ends the process.

    Afterwards a signal ends the process silently: Python's own end runs code of many libraries, which print tracebacks. A signal
    that is ignored already (by nohup, or in the background) stays so.
    """

    def __init__(self) -> None:
        self._received = False

    def __enter__(self) -> Signals:
        if threading.current_thread() is threading.main_thread():  # Python lets no other thread handle signals
            for number in taken():
                signal.signal(number, self._receive)
            sys.unraisablehook = self._unraisable
        return self

    def __exit__(self, *_: object) -> None:
        self._received = True  # whatever comes from here on finds nothing to interrupt
        if threading.current_thread() is threading.main_thread():
            for number in taken():
                signal.signal(number, signal.SIG_DFL)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self._received or _importing(frame):
            end_at_once()
        self._received = True
        raise KeyboardInterrupt

    def _unraisable(self, found: sys.UnraisableHookArgs) -> None:
        """Where Python can raise nothing, as in a destructor, it would print the interrupt and go on."""
        if isinstance(found.exc_value, KeyboardInterrupt):
            end_at_once()
        sys.__unraisablehook__(found)


def taken() -> list[int]:
    """The signals that are ours to handle: those that nobody has had ignored."""
    return [number for number in ENDING if signal.getsignal(number) not in (signal.SIG_IGN, None)]


def end_at_once() -> None:
    """End this process and those that it started, whatever they have in hand."""
    complain("interrupted")
    multiprocessing = sys.modules.get("multiprocessing")
    for child in multiprocessing.active_children() if multiprocessing is not None else ():
        child.kill()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, RuntimeError):
            stream.flush()
    os._exit(INTERRUPTED)


def _importing(frame: FrameType | None) -> bool:
    """Whether a module is being loaded: an interrupt there may be swallowed, or leave half a module behind. Nothing is begun yet."""
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False
