"""The report of a sweep is drawn in a process of its own: it loads its libraries while networks train, and draws while runs are filed."""

from __future__ import annotations

import multiprocessing
import sys
import time
import warnings
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.util import Finalize
from typing import Any

from nnspec.errors import NnspecError
from nnspec.processes import held_back, leave_signals_to_the_parent

PATIENCE = 120.0  # seconds that a finished sweep waits for its report
Files = dict[str, bytes]
Draw = Callable[[Any], Files]


class ReportError(NnspecError):
    """A report that could not be made. Never fatal: the results are filed without it."""


class Drawer:
    """A process that waits for what to draw. ``draw`` hands it over, ``result`` waits for the files."""

    def __init__(self, draw: Draw, prepare: Callable[[], None]):
        # Forked before any thread of ours is there; a fork also has NumPy and pandas already.
        context: Any = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
        self._here, there = context.Pipe()
        inherited = self._here if sys.platform == "linux" else None
        self._process = context.Process(target=_serve, args=(there, inherited, draw, prepare), name="nnspec-report", daemon=True)
        with held_back():
            self._process.start()
        Finalize(self, self._process.kill, exitpriority=0)  # Python would wait for it as it ends, and it for what to draw
        there.close()
        self.asked = False

    def draw(self, material: Any) -> None:
        """Begin to draw."""
        self.asked = True
        try:
            self._here.send(material)
        except (BrokenPipeError, ConnectionResetError) as error:
            raise ReportError(self._death()) from error

    def result(self, patience: float = PATIENCE) -> tuple[Files, float]:
        """The files of the report by path, and the seconds that drawing took.

        Raises:
            ReportError: it could not be drawn, with the reason.
        """
        try:
            if not self._here.poll(patience):
                raise ReportError(f"it was not drawn within {patience:g} s")
            files, seconds, reason = self._here.recv()
        except (EOFError, ConnectionResetError) as error:
            raise ReportError(self._death()) from error
        finally:
            self.stop()
        if reason:
            raise ReportError(reason)
        return files, seconds

    def stop(self) -> None:
        """End the process."""
        self._here.close()
        self._process.kill()  # also if it is stopped, which no request to end would reach
        self._process.join()

    def _death(self) -> str:
        self._process.join(1)
        return f"its process died (status {self._process.exitcode})"


def _serve(there: Connection, inherited: Connection | None, draw: Draw, prepare: Callable[[], None]) -> None:
    leave_signals_to_the_parent()
    if inherited is not None:
        inherited.close()  # else the parent's death would go unseen here
    warnings.simplefilter("ignore")
    try:
        prepare()
        material = there.recv()
        there.send(_drawn(draw, material))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return


def _drawn(draw: Draw, material: Any) -> tuple[Files, float, str]:
    started = time.perf_counter()
    try:
        return draw(material), time.perf_counter() - started, ""
    except Exception as error:  # whatever it is, the sweep goes on without its report
        return {}, 0.0, " ".join(f"{type(error).__name__}: {error}".split())
