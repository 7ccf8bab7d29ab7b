"""What can go wrong, in words a user can act on: every message gives the rule, the value and the remedy."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

from nnspec.terminal import printable


class NnspecError(Exception):
    """Base of every error meant for a user: shown as one clear line, never as a traceback."""

    exit_status = 1


@dataclass(frozen=True)
class Fault:
    """One broken rule: where it is, what must hold, what was found, and what to do about it."""

    where: str
    rule: str
    value: str = ""
    remedy: str = ""

    def __str__(self) -> str:
        text = f"{self.where} {self.rule}"
        if self.value:
            text += f", but got {self.value}"
        return printable(f"{text}; {self.remedy}" if self.remedy else text)


class SpecError(NnspecError):
    """A spec that cannot train. Holds every fault found, so that one look mends them all."""

    exit_status = 2

    def __init__(self, faults: Iterable[Fault]):
        self.faults = tuple(dict.fromkeys(faults))
        super().__init__("\n".join(str(fault) for fault in self.faults))

    def __reduce__(self) -> tuple[type[SpecError], tuple[tuple[Fault, ...]]]:
        return type(self), (self.faults,)  # an exception travels by its arguments, and its only one is the text


class WeightsError(NnspecError):
    """A weights file that is missing, unreadable or does not fit the model."""


class TrackingError(NnspecError):
    """The tracking store cannot be reached or refused what was sent."""


class TrainingError(NnspecError):
    """Networks that could not be trained, with the reason."""


def nearest(name: str, options: Iterable[str]) -> str:
    """A remedy for an unknown name: the nearest option, if one is near, and all of them."""
    names = sorted(options)
    close = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean '{close[0]}'? " if close else ""
    return f"{hint}available: {', '.join(names)}"


def unknown(where: str, kind: str, name: str, options: Iterable[str]) -> Fault:
    """The fault of a name that is not among ``options``."""
    return Fault(where, f"must be a known {kind}", f"'{name}'", nearest(name, options))
