"""What commands on filed runs share: arguments, the store, and finding the run that a user means."""

from __future__ import annotations

import argparse
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from nnspec.cli.flags import Flags
from nnspec.cli.flags import UsageError as UsageError
from nnspec.errors import Fault

if TYPE_CHECKING:
    from nnspec.tracking import CellStore, Store

OPTION = "--uri"
CONFIDENCE = 0.95
SOLVE_RATE = "solve_rate"  # what MLflow calls the mean of 'solved'


class Parser(Flags):
    """The flags of a command on filed runs."""

    def __init__(self, command: str, doc: str):
        super().__init__(command, doc)
        self.add_argument("--uri", help="MLflow store; by default where the command line files")
        self.parts()

    def run(self, name: str = "run") -> None:
        """Add an argument that names a run."""
        from nnspec.tracking.finding import RUN

        self.add_argument(name, help=RUN)

    def by(self, doc: str) -> None:
        """Add the flag that names fields of the spec; the argument is a list, None where it is not given."""
        self.add_argument("--by", action="extend", type=_words, metavar="FIELDS", help=doc)

    def measure(self) -> None:
        """Add the flag that says what networks are compared by; None where it is not given."""
        from nnspec.analysis.measures import NAMES, SOLVED

        listed = ", ".join(NAMES)
        self.add_argument(
            "--measure",
            type=lambda name: SOLVED if name == SOLVE_RATE else name,
            choices=NAMES,
            metavar="NAME",
            help=f"one of {listed} (default {SOLVED}, also called {SOLVE_RATE})",
        )

    def confidence(self) -> None:
        """Add the flag that says how sure intervals are."""
        doc = f"of intervals (default {CONFIDENCE})"
        self.add_argument("--confidence", type=share, default=CONFIDENCE, metavar="P", help=doc)

    def formats(self) -> None:
        """Add the flags that say how a table is printed; see ``asked_format``."""
        from nnspec.analysis.writing import FORMATS

        self.add_argument("--format", choices=FORMATS, metavar="NAME", help=f"one of {', '.join(FORMATS)}")
        self.json()


def asked_format(asked: argparse.Namespace) -> str | None:
    """The format that is asked for, None where none is.

    Raises:
        UsageError: ``--json`` and another format.
    """
    if asked.json and asked.format not in (None, "json"):
        raise UsageError(Fault("--json", "must be the only format", f"--format {asked.format} too", "leave one out"))
    return "json" if asked.json else asked.format


def _words(value: str) -> list[str]:
    """Names with commas between them, for argparse."""
    names = value.split(",")
    if not all(names):
        raise argparse.ArgumentTypeError(f"must be names with commas between them, but got '{value}'; try activation")
    return names


def share(value: str) -> float:
    """A confidence, for argparse."""
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if not 0 < number < 1:
        raise argparse.ArgumentTypeError(f"must be between 0 and 1, but got '{value}'; try 0.95")
    return number


def count(value: str) -> int:
    """A whole number from 0, for argparse."""
    if not value.isdecimal():
        raise argparse.ArgumentTypeError(f"must be a whole number from 0, but got '{value}'; try 40")
    return int(value)


def opened(uri: str | None, make: bool = False) -> AbstractContextManager[CellStore]:
    """The store, closed afterwards; see ``tracking.finding.opened``."""
    from nnspec.tracking import finding

    return finding.opened(uri, make, OPTION)


def find_run(store: Store, words: str) -> str:
    """The id of the run that is meant; see ``tracking.finding.find_run``."""
    from nnspec.tracking import finding

    return finding.find_run(store, words, OPTION)
