"""``nnspec promote``: gives cells of a sweep that are packed a run of their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nnspec.cli.filed import Parser, UsageError, find_run, opened
from nnspec.errors import Fault


def promote(arguments: Sequence[str]) -> int:
    """Train cells of a sweep again, bitwise, and file each as a run below it."""
    parser = Parser(
        "promote",
        "Files cells of a sweep as runs of their own. Each trains again, and must come out bitwise as it did.",
    )
    parser.run("sweep")
    parser.add_argument(
        "cells",
        nargs="+",
        metavar="CELL",
        help="number of a cell, as the column 'cell' of nnspec table has it; and what more to write down, as "
        "train.log_every=1 or train.snapshot_every=10",
    )
    parser.add_argument("--report", action="store_true", help="file the report of each run too")
    asked = parser.parsed(arguments)
    changes = [word for word in asked.cells if "=" in word]
    cells = [_number(word) for word in asked.cells if "=" not in word]
    if not cells:
        raise UsageError(
            Fault("nnspec promote", "must be given a cell", "none", "name one, as in: nnspec promote last 17")
        )
    with opened(asked.uri) as store:
        from nnspec.promotion import promote as promoted
        from nnspec.report.reporting import filed_at
        from nnspec.report.run_reporting import filed_report
        from nnspec.tracking.locate import run_page

        sweep = find_run(store, asked.sweep)
        runs = promoted(store, sweep, cells, _mapping(changes), show=True)
        for cell, run_id in runs.items():
            if asked.report:
                store.add_artifacts(run_id, filed_at(filed_report(store, run_id)))
            facts = store.get(run_id)
            print(f"cell {cell}  {facts.name}  {run_page(store.location, facts.experiment_id, run_id)}")
    return 0


def _number(word: str) -> int:
    if not (word.isascii() and word.isdecimal() and len(word) < 10):
        rule = "must be a whole number from 0, as the column 'cell' of nnspec table has it"
        raise UsageError(Fault("CELL", rule, f"'{word}'", "try 17"))
    return int(word)


def _mapping(words: Sequence[str]) -> dict[str, Any]:
    """``key=value`` words with their values as YAML reads them."""
    from nnspec.files import load_yaml

    pairs = [word.partition("=") for word in words]
    try:
        return {key: load_yaml(value.encode()) for key, _, value in pairs}
    except ValueError as error:
        raise UsageError(
            Fault(" ".join(words), "must have values in YAML", str(error), "try train.log_every=1")
        ) from None
