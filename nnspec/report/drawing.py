"""The report of a sweep is drawn in a process of its own: it loads its libraries before networks train, and draws while
runs are filed.

Nothing here needs torch: whoever starts the process before torch is imported has it ready, on a core that would be
idle.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.util import Finalize
from typing import TYPE_CHECKING, Any

from nnspec.analysis.figures.layers import ActivationCurve
from nnspec.errors import NnspecError
from nnspec.processes import held_back, leave_signals_to_the_parent
from nnspec.report.activations import activation_curves
from nnspec.report.material import Material
from nnspec.specs import RunSpec, combinations

if TYPE_CHECKING:
    from nnspec.report.pages.page import Section

PATIENCE = 120.0  # seconds that a finished sweep waits for its report
Files = dict[str, bytes]
Draw = Callable[[Any, Files], Files]


def draw(material: Material, pictures: Files | None = None) -> Files:
    """The report of a sweep: its page, pictures and tables by file name; ``pictures`` are drawn already, by name."""
    from nnspec.report.pages.sweep import sweep_report

    report = sweep_report(material)
    return report.files(_in_two(report.sections, pictures or {}))


def _in_two(sections: Sequence[Section], drawn: Files) -> Files:
    """The pictures of the sections by name, drawn by two processes, each of which takes the next that nobody has begun:
    a sweep waits for nothing else. Whatever keeps the second from drawing does not matter: its pictures are drawn here
    then."""
    from nnspec.report.pages.page import pictures_of

    # the last of a page take longest, so they are begun first
    wanted = [section for section in reversed(sections) if section.plot is not None and section.name not in drawn]
    if sys.platform != "linux" or len(wanted) < 2:
        return drawn | pictures_of(wanted)
    next_one, numbers = os.pipe()  # each byte of it is read by one process
    os.write(numbers, bytes(range(len(wanted))))
    os.close(numbers)

    def share() -> Files:
        pictures: Files = {}
        while number := os.read(next_one, 1):
            pictures |= pictures_of([wanted[number[0]]])
        return pictures

    def others() -> None:
        here.close()  # else the first process's death would go unseen here
        with suppress(Exception):  # drawn again by the first process, which says what is wrong
            there.send(share())

    context = multiprocessing.get_context("fork")
    here, there = context.Pipe(duplex=False)
    second = context.Process(target=others, name="nnspec-report-2")
    second.start()
    there.close()
    try:
        pictures = drawn | share()
        with suppress(EOFError, OSError):
            pictures |= here.recv()
    finally:
        os.close(next_one)
        here.close()
        second.kill()  # it has sent its pictures, or nobody wants them
        second.join()
    return pictures_of(wanted, pictures) | pictures


def prepare(activations: Sequence[ActivationCurve] = ()) -> Files:
    """Load what drawing needs, and draw the picture that waits for no network: that of the activations. The first
    figure of a process takes as long as three later ones."""
    import scipy.optimize  # noqa: F401

    import nnspec.report.pages.sweep  # noqa: F401
    from nnspec.report.pages.networks import activations_section
    from nnspec.report.pages.page import pictures_of

    with suppress(Exception):  # drawn again with the rest, which says what is wrong
        return pictures_of([activations_section(activations)]) if activations else {}
    return {}


class ReportError(NnspecError):
    """A report that could not be made. Never fatal: the results are filed without it."""


@dataclass(frozen=True)
class Ahead:
    """What does not wait for all that the page says: ``draw`` adds its pictures to those that are there, by the names
    of their sections."""

    draw: Callable[[Files], Files]


def pictures_ahead(material: Material, drawn: Files) -> Files:
    """The pictures of a sweep, which wait for no text and no single networks."""
    from nnspec.report.pages.sweep import sweep_pictures

    return _in_two(sweep_pictures(material), drawn)


class Drawer:
    """A process that waits for what to draw. ``draw`` hands it over, ``result`` waits for the files."""

    def __init__(self, draw: Draw, prepare: Callable[[], Files]):
        # Forked before any thread of ours is there; a fork also has NumPy and pandas already.
        context: Any = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
        self.pipe, there = context.Pipe()
        inherited = self.pipe if sys.platform == "linux" else None
        self.process = context.Process(target=_serve, args=(there, inherited, draw, prepare), name="nnspec-report")
        with held_back():
            self.process.start()
        # Python would wait for it as it ends, and it for what to draw
        Finalize(self, self.process.kill, exitpriority=0)
        there.close()
        self.asked = False

    def draw_ahead(self, pictures: Callable[[Files], Files]) -> None:
        """Begin with some pictures, before the rest is known: see ``Ahead``."""
        self._send(Ahead(pictures))

    def draw(self, material: Any) -> None:
        """Begin to draw."""
        self.asked = True
        self._send(material)

    def _send(self, what: Any) -> None:
        try:
            self.pipe.send(what)
        except (BrokenPipeError, ConnectionResetError) as error:
            raise ReportError(self._death()) from error

    def result(self, patience: float = PATIENCE) -> tuple[Files, float]:
        """The files of the report by path, and the seconds that drawing took since there was something to draw.

        Raises:
            ReportError: it could not be drawn, with the reason.
        """
        try:
            if not self.pipe.poll(patience):
                raise ReportError(f"it was not drawn within {patience:g} s")
            files, seconds, reason = self.pipe.recv()
        except (EOFError, ConnectionResetError) as error:
            raise ReportError(self._death()) from error
        finally:
            self.stop()
        if reason:
            raise ReportError(reason)
        return files, seconds

    def stop(self) -> None:
        """End the process."""
        self.pipe.close()
        self.process.kill()  # also if it is stopped, which no request to end would reach
        self.process.join()

    def _death(self) -> str:
        self.process.join(1)
        return f"its process died (status {self.process.exitcode})"


def drawer_of(specs: Sequence[RunSpec]) -> Drawer:
    """A ``Drawer`` of reports, which begins with the activations of the specs."""
    return Drawer(draw, partial(prepare, activation_curves(combinations(specs))))


@contextmanager
def started(wanted: bool = True, specs: Sequence[RunSpec] = ()) -> Iterator[Drawer | None]:
    """The drawer of a report, see ``drawer_of``, stopped at the end; None where none is wanted, or none could be
    started: ask again when it is needed."""
    drawer = None
    if wanted:
        # every process of a sweep needs them, and those that are forked from now on need not load them again
        import pandas  # noqa: F401
        import pyarrow.parquet  # noqa: F401

        with suppress(Exception):
            drawer = drawer_of(specs)
    try:
        yield drawer
    finally:
        if drawer is not None:
            drawer.stop()


def _serve(there: Connection, inherited: Connection | None, draw: Draw, prepare: Callable[[], Files]) -> None:
    leave_signals_to_the_parent()
    if inherited is not None:
        inherited.close()  # else the parent's death would go unseen here
    warnings.simplefilter("ignore")
    gc.disable()  # it draws once and ends: nothing is worth looking for meanwhile
    try:
        pictures = prepare()
        seconds = 0.0
        while isinstance(material := there.recv(), Ahead):
            started = time.perf_counter()
            with suppress(Exception):  # drawn again with the rest, which says what is wrong
                pictures = material.draw(pictures)
            seconds += time.perf_counter() - started
        files, more, reason = _drawn(draw, material, pictures)
        there.send((files, seconds + more, reason))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return


def _drawn(draw: Draw, material: Any, pictures: Files) -> tuple[Files, float, str]:
    started = time.perf_counter()
    try:
        return draw(material, pictures), time.perf_counter() - started, ""
    except Exception as error:  # whatever it is, the sweep goes on without its report
        return {}, 0.0, " ".join(f"{type(error).__name__}: {error}".split())
