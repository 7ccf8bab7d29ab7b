"""What commands on filed runs share: arguments, the store, and finding the run that a user means."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from nnspec.cli.flags import Flags
from nnspec.cli.flags import UsageError as UsageError
from nnspec.errors import Fault
from nnspec.settings import Tracking

if TYPE_CHECKING:
    from nnspec.tracking import Store

LAST = "last"
CONFIDENCE = 0.95
SOLVE_RATE = "solve_rate"  # what MLflow calls the mean of 'solved'
RUN = "a run id, the beginning of one, a run's name, or 'last'"
MOST_NAMED = 5  # runs that an error lists
_ID = re.compile(r"[0-9a-f]{32}")
_PREFIX = re.compile(r"[0-9a-f]{3,31}")


class Parser(Flags):
    """The flags of a command on filed runs."""

    def __init__(self, command: str, doc: str):
        super().__init__(command, doc)
        self.add_argument("--uri", help="MLflow store; by default where the command line files")

    def run(self, name: str = "run") -> None:
        """Add an argument that names a run."""
        self.add_argument(name, help=RUN)

    def by(self, doc: str) -> None:
        """Add the flag that names fields of the spec; the argument is a list of lists, see ``flat``."""
        self.add_argument("--by", action="append", type=_words, metavar="FIELDS", help=doc)

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


def flat(by: Sequence[Sequence[str]] | None) -> list[str]:
    """The fields that ``--by`` names, each once."""
    return list(dict.fromkeys(name for names in by or () for name in names))


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


@contextmanager
def opened(uri: str | None, make: bool = False) -> Iterator[Store]:
    """The store, closed afterwards. A SQLite file that is not there is refused rather than made, unless ``make``."""
    from nnspec.tracking import open_store
    from nnspec.tracking.locate import locate

    settings = Tracking(uri=uri)
    location = locate(settings)
    if location.file is not None and not location.file.exists() and not make:
        remedy = "go to the folder of your runs, or name their store with --uri"
        raise UsageError(Fault("the store", "must be there to be read", f"{location.shown}, which is not", remedy))
    store = open_store(settings)
    try:
        yield store
    finally:
        store.close()


def find_run(store: Store, words: str) -> str:
    """The id of the run that is meant: by its id, the beginning of it, its name, or 'last' for the youngest sweep or
    single run.

    Raises:
        UsageError: no run is meant, or several are.
    """
    from nnspec.tracking import RunQuery
    from nnspec.tracking.records import PARENT_TAG

    if _ID.fullmatch(words):
        return store.get(words).run_id
    if words == LAST:
        found = store.search(RunQuery(without_tags=(PARENT_TAG,)), newest_first=True, limit=1)
        if not found:
            raise UsageError(
                f"'last' needs a run in {store.location.shown}, but there is none; train one, or name its store with "
                "--uri"
            )
        return found[0].run_id
    queries = [RunQuery(id_prefix=words)] if _PREFIX.fullmatch(words) else []
    for query in (*queries, RunQuery(name=words)):
        found = store.search(query, newest_first=True, limit=MOST_NAMED + 1)
        if found:
            break
    if len(found) == 1:
        return found[0].run_id
    where = f"a run in {store.location.shown}"
    if not found:
        raise UsageError(
            Fault(where, f"must be named by {RUN}", f"'{words}', which none has", "look it up in the MLflow UI")
        )
    named = ", ".join(f"{run.run_id[:12]} ({run.name})" for run in found[:MOST_NAMED])
    more = " and more" if len(found) > MOST_NAMED else ""
    raise UsageError(
        Fault(where, "must be named so that no other is meant", f"'{words}', which may be {named}{more}", "give an id")
    )


def folder(path: str) -> Path:
    """A folder to write to, made where it is missing."""
    target = Path(path)
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            Fault("--out", "must be a folder that can be made", f"'{path}' ({error.strerror})", "name another")
        ) from error
    return target
