"""What can go wrong, in words a user can act on: every message gives the rule, the value and the remedy."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

from nnspec.terminal import printable

SHOWN_FAULTS = 20  # of one error: what is more is said by its number
_SHOWN_CHARACTERS = {"where": 250, "rule": 400, "value": 200, "remedy": 600}  # of a fault: a value may have millions
_LINE = 1500  # characters of a line of an error, which the longest fault has not


class NnspecError(Exception):
    """Base of every error meant for a user: shown as one clear line, never as a traceback, and never longer than a
    screen."""

    exit_status = 1

    def __str__(self) -> str:
        return "\n".join(cut(line, _LINE) for line in super().__str__().split("\n"))


@dataclass(frozen=True)
class Fault:
    """One broken rule: where it is, what must hold, what was found, and what to do about it."""

    where: str
    rule: str
    value: str = ""
    remedy: str = ""

    def __str__(self) -> str:
        where, rule, value, remedy = (cut(getattr(self, name), most) for name, most in _SHOWN_CHARACTERS.items())
        text = f"{where} {rule}"
        if value:
            text += f", but got {value}"
        return printable(f"{text}; {remedy}" if remedy else text)


class SpecError(NnspecError):
    """A spec that cannot train. Holds every fault found, so that one look mends them all."""

    exit_status = 2

    def __init__(self, faults: Iterable[Fault]):
        self.faults = tuple(dict.fromkeys(faults))
        more = len(self.faults) - SHOWN_FAULTS
        said = [str(fault) for fault in self.faults[:SHOWN_FAULTS]] + ([f"and {more} more"] if more > 0 else [])
        super().__init__("\n".join(said))

    def __reduce__(self) -> tuple[type[SpecError], tuple[tuple[Fault, ...]]]:
        return type(self), (self.faults,)  # an exception travels by its arguments, and its only one is the text


class PathError(NnspecError):
    """A file or folder that a user named and that cannot be written."""

    exit_status = 2


class WeightsError(NnspecError):
    """A weights file that is missing, unreadable or does not fit the model."""


class TrackingError(NnspecError):
    """The tracking store cannot be reached or refused what was sent."""


class NoSuchRun(TrackingError):
    """The store answers, and has no such run, or another one in its place."""


class TrainingError(NnspecError):
    """Networks that could not be trained, with the reason."""


def cut(text: str, most: int) -> str:
    """``text``, or its beginning and its end where it has more than ``most`` characters."""
    if len(text) <= most:
        return text
    end = most // 4
    return f"{text[: most - end - 3]}...{text[-end:]}"


def first_line(error: object) -> str:
    """The first line of somebody else's message; the name of its kind where it says nothing."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def nearest(name: str, options: Iterable[str], before: str = "") -> str:
    """A remedy for an unknown name: the nearest option, if one is near, and all of them, with ``before`` in front of
    each."""
    names = sorted(options)
    close = difflib.get_close_matches(cut(name, 100), names, n=1)  # which takes long for a long name
    hint = f"did you mean '{before}{close[0]}'? " if close else ""
    return f"{hint}available: {', '.join(before + option for option in names)}"


def unknown(where: str, kind: str, name: str, options: Iterable[str]) -> Fault:
    """The fault of a name that is not among ``options``."""
    return Fault(where, f"must be a known {kind}", f"'{name}'", nearest(name, options))
