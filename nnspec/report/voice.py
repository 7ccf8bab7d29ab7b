"""Where what a command says goes: results to stdout, notes on the way and errors to stderr."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from nnspec.settings import Settings
from nnspec.terminal import complain, note

Say = Callable[[str], object]


def nothing(text: str) -> None:
    """Say nothing."""


@dataclass(frozen=True)
class Voice:
    """``result`` says what came out, ``asked`` what a flag asks for, as a plan; ``note`` what happens on the way,
    ``error`` what went wrong. ``bar`` says whether a progress bar is shown."""

    result: Say = print
    asked: Say = print
    note: Say = note
    error: Say = complain
    bar: bool = True


SILENT = Voice(nothing, nothing, nothing, nothing, bar=False)


def voice(settings: Settings) -> Voice:
    """How a command with these settings speaks. A document of JSON is all that stdout then has: whoever makes it prints
    it."""
    result = nothing if settings.quiet or settings.json else print
    asked = nothing if settings.json else print
    return Voice(result, asked, nothing if settings.quiet else note, bar=not settings.quiet)
