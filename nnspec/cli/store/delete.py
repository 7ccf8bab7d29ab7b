"""``nnspec delete``: deletes a sweep with its cells, as MLflow deletes runs."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from nnspec.cli.filed import Parser, UsageError, find_run, opened

if TYPE_CHECKING:
    from nnspec.tracking import Store
    from nnspec.tracking.locate import Location

YES = ("y", "yes")


def delete(arguments: Sequence[str]) -> int:
    """Delete a sweep and its cells, or a single run, once the user has said so."""
    parser = Parser(
        "delete", "Deletes a sweep with its cells. They leave the MLflow UI; it then says what frees their disk space."
    )
    parser.run("sweep")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    asked = parser.parsed(arguments)
    with opened(asked.uri) as store:
        run_id = find_run(store, asked.sweep)
        what = described(store, run_id)
        if not (asked.yes or confirmed("delete", what)):
            print("nothing deleted")
            return 1
        store.delete([child.run_id for child in store.runs_below(run_id)])
        store.delete([run_id])  # last: a sweep that is still there can be deleted again after an interruption
        print(f"deleted {what}")
        print("\n".join(kept_lines(store.location)))
    return 0


def kept_lines(location: Location) -> Iterator[str]:
    """What a deletion leaves on the disk, and how that goes."""
    from nnspec.tracking.locate import gc_command, uri_flag

    yield "nothing is freed yet: MLflow hides deleted runs, and keeps their rows and artifacts until"
    if location.kind == "http":
        yield f"  {gc_command(location)}  # on the server's machine"
    else:
        yield f"  nnspec gc --free{uri_flag(location)}"


def described(store: Store, run_id: str) -> str:
    """What would be deleted, in words.

    Raises:
        UsageError: a living process still trains it.
    """
    from nnspec.tracking.provenance import still_trains

    facts = store.get(run_id)
    if still_trains(facts):
        raise UsageError(f"a run must not be deleted while it trains, but {facts.name} ({run_id}) does; stop it first")
    children = store.find_children(run_id)
    states = ", ".join(
        f"{number} {status}" for status, number in Counter(child.status for child in children).most_common()
    )
    cells = f" with {len(children)} cell{'s' * (len(children) != 1)} ({states})" if children else ""
    return f"{facts.name} ({run_id}){cells}"


def confirmed(verb: str, what: str) -> bool:
    """Ask on the terminal whether to do it.

    Raises:
        UsageError: there is no terminal to ask on.
    """
    if not sys.stdin.isatty():
        raise UsageError(f"it must be confirmed, but there is no terminal to ask on; give --yes to {verb} {what}")
    return input(f"{verb} {what}? [y/N] ").strip().lower() in YES
