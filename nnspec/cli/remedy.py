"""``nnspec remedy``: what would have helped a run that failed, measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nnspec.cli.filed import Parser, count, find_run, opened
from nnspec.documents import document
from nnspec.processes import INTERRUPTED
from nnspec.terminal import complain

if TYPE_CHECKING:
    from nnspec.results.outcome import Outcome
    from nnspec.settings import Settings

ARTIFACT = "remedies.json"


def remedy(arguments: Sequence[str]) -> int:
    """Train the run's spec and a few changes to it on the same seeds, and print what each change is worth."""
    parser = Parser(
        "remedy", "Trains a run's spec with each of a few changes on the same seeds: what would have helped?"
    )
    parser.run()
    parser.add_argument(
        "--seeds", type=count, metavar="N", help="networks of each change (default: at most 200, about half a minute)"
    )
    parser.json()
    asked = parser.parsed(arguments)
    with opened(asked.uri) as store:
        from nnspec.remedies import failure_of, remedies

        spec, verdict = failure_of(store, find_run(store, asked.run))
    if verdict is None:
        complain("all networks of the run solved; what is measured is how many do over other seeds")
    found = remedies(spec, verdict, asked.seeds, progress=True)
    print(document(found.frame()) if asked.json else found)
    return INTERRUPTED if found.interrupted else 0


def after_run(outcome: Outcome, settings: Settings) -> int:
    """``remedy=true``: print what would have helped the one cell that a command trained, and file it with the run.

    Returns the exit status of this part. A run that solved needs none, which is told.
    """
    from nnspec.remedies import commonest, remedies
    from nnspec.tracking import open_store

    cell = outcome.cells.get(0)
    if cell is None or outcome.interrupted:
        return 0
    if cell.result.solved.all():
        complain("remedy=true has no effect on a run that solved; leave it out")
        return 0
    verdict = commonest(cell.result.verdict, cell.result.solved)
    found = remedies(cell.spec, verdict, runtime=settings.runtime, progress=not settings.quiet)
    if not settings.quiet:
        print(f"\n{found}")
    if 0 in outcome.run_ids and not outcome.unfiled:
        store = open_store(settings.tracking)
        try:
            store.add_artifacts(outcome.run_ids[0], {ARTIFACT: document(found.frame()).encode()})
        finally:
            store.close()
    return INTERRUPTED if found.interrupted else 0
