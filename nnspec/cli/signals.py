"""Ctrl-C, SIGTERM and SIGHUP for a command's process."""

from __future__ import annotations

import os
import signal
import sys
import threading
from contextlib import suppress
from typing import Any

from nnspec.processes import ENDING, INTERRUPTED
from nnspec.terminal import complain


class Signals:
    """While it is entered, a signal ends the process, with a word and without an exception: libraries swallow those
    that come while they load, and Python shows a traceback of those that come as it ends itself. What must not be cut
    short takes the signals for that time, as ``execute.interrupts`` does.

    Afterwards a signal ends the process silently. A signal that is ignored already (by nohup, or in the background)
    stays so.
    """

    def __enter__(self) -> Signals:
        self._handle(end_at_once)
        return self

    def __exit__(self, *_: object) -> None:
        self._handle(signal.SIG_DFL)

    def _handle(self, handler: Any) -> None:
        if threading.current_thread() is threading.main_thread():  # Python lets no other thread handle signals
            for number in taken():
                signal.signal(number, handler)


def taken() -> list[int]:
    """The signals that are ours to handle: those that nobody has had ignored."""
    return [number for number in ENDING if signal.getsignal(number) not in (signal.SIG_IGN, None)]


def end_at_once(number: int, frame: object) -> None:
    """A signal's handler: end this process and those that it started, whatever they have in hand."""
    complain("interrupted")
    multiprocessing = sys.modules.get("multiprocessing")
    for child in multiprocessing.active_children() if multiprocessing is not None else ():
        child.kill()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, RuntimeError):
            stream.flush()
    os._exit(INTERRUPTED)
