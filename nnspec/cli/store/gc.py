"""``nnspec gc``: says what a store holds, and frees what deleted runs left in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnspec.cli.filed import Parser, UsageError, count, opened
from nnspec.cli.store.delete import confirmed
from nnspec.documents import document
from nnspec.errors import Fault
from nnspec.files import in_words
from nnspec.terminal import complain, table_text

if TYPE_CHECKING:
    from nnspec.tracking import Store
    from nnspec.tracking.contents import Held, Leftovers
    from nnspec.tracking.contents.disk import Size
    from nnspec.tracking.database.store import SqlStore

ROWS = 20
DOC = (
    "Says what a store holds: its sweeps and single runs with their rows of metrics and artifacts, the largest first, "
    "and what is left over of deleted runs and of crashes. With --free that is freed, once the user has said so."
)


def gc(arguments: Sequence[str]) -> int:
    """Say what the store holds; with ``--free``, free what is left over."""
    asked = _parser().parsed(arguments)
    if asked.json and asked.free and not asked.yes:
        raise UsageError(Fault("--json", "must be asked nothing", "--free without --yes", "add --yes"))
    with opened(asked.uri) as cells:
        from nnspec.tracking.contents import held
        from nnspec.tracking.database.store import SqlStore

        store = cells.runs
        if not isinstance(store, SqlStore):
            return _by_others(store, held(store), asked.free, asked.json, asked.rows)
        return _told_and_freed(store, asked.free, asked.yes, asked.json, asked.rows)


def _parser() -> Parser:
    parser = Parser("gc", DOC)
    parser.add_argument("--free", action="store_true", help="free what is left over")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument(
        "--rows", type=count, default=ROWS, metavar="N", help=f"runs to print, 0 for all (default {ROWS})"
    )
    parser.json()
    return parser


def _by_others(store: Store, runs: Sequence[Held], free: bool, as_json: bool, rows: int) -> int:
    """What can be known of a store whose database is another program's.

    Raises:
        UsageError: it is to be freed.
    """
    from nnspec.tracking.locate import gc_command

    where = "on its machine: " if store.location.kind == "http" else ""
    if free:
        rule = "must be a database that nnspec files into itself"
        raise UsageError(Fault("--free", rule, store.location.shown, f"{where}{gc_command(store.location)}"))
    if as_json:
        print(document({"store": store.location.shown, "runs": runs}))
        return 0
    print(runs_text(runs, rows))
    print(f"what its database and artifacts take, the server knows; it is freed {where}{gc_command(store.location)}")
    return 0


def _told_and_freed(store: SqlStore, free: bool, yes: bool, as_json: bool, rows: int) -> int:
    from nnspec.journal.filer import places
    from nnspec.tracking.contents import find, held, pages
    from nnspec.tracking.locate import uri_flag

    file = store.location.file
    found = find(store, places())
    runs = held(store, found.sizes)
    size, unused = (None, None) if file is None else pages(file)
    if as_json:
        told = {"store": store.location.shown, "bytes": size, "free_bytes": unused, "runs": runs}
        print(document({**told, "leftovers": leftovers_info(found), "freed": free}))
    else:
        if size is not None:
            print(f"{store.location.shown}: {in_words(size)}, of which {in_words(unused or 0)} are free")
        print(runs_text(runs, rows))
        lines = list(leftover_lines(found))
        print("\n".join(["left over:", *lines] if lines else ["nothing is left over"]))
    if not free:
        if not as_json and (found.runs or found.folders or found.experiments):
            print(f"it is freed by: nnspec gc --free{uri_flag(store.location)}")
        return 0
    return _freed(store, found, yes, as_json)


def _freed(store: SqlStore, found: Leftovers, yes: bool, quiet: bool) -> int:
    from nnspec.tracking.contents import free, pages, shrink

    if found.runs or found.folders or found.experiments:
        if not (yes or confirmed("free", _what(found))):
            print("nothing freed")
            return 1
        freed = free(store, found)
        if not quiet:
            print(f"freed {freed} deleted runs and {_files(found.folders)}")
    file = store.location.file
    if file is None or not pages(file)[1]:
        return 0
    if found.trains:
        complain("the database file keeps its size while something trains; nnspec gc --free again makes it smaller")
        return 0
    before, _ = pages(file)
    shrink(file)
    if not quiet:
        print(f"the database file went from {in_words(before)} to {in_words(pages(file)[0])}")
    return 0


def runs_text(runs: Sequence[Held], most: int) -> str:
    """A line a sweep or single run, of the first ``most``; 0 for all."""
    shown = runs[:most] if most else runs
    head = ("run", "name", "status", "cells", "metric rows", "files", "on disk")
    lines = [
        (run.run_id, run.name, "RUNNING" if run.trains else run.status, f"{run.cells or '-'}", *_amounts(run))
        for run in shown
    ]
    more = [f"... and {len(runs) - len(shown)} more (--rows 0 prints all)"] if len(shown) < len(runs) else []
    return "\n".join([table_text(head, lines, left=3) if lines else "no runs", *more])


def _amounts(run: Held) -> tuple[str, str, str]:
    rows = "-" if run.points is None else f"{run.points:,}"
    return (rows, "-", "-") if run.size is None else (rows, f"{run.size.files:,}", in_words(run.size.bytes))


def leftover_lines(found: Leftovers) -> Iterator[str]:
    """What is left over, a line a kind, and why some of it must stay."""
    if found.runs:
        yield f"  {_runs_words(found)}"
    if found.experiments:
        yield f"  {len(found.experiments)} deleted experiments, which go once nothing is in them"
    kinds = {"folders of runs that the store does not know": {} if found.strays_kept else found.strays}
    kinds |= {"half written files and folders": found.half, "spooled folders that are filed": found.spools}
    for kind, folders in kinds.items():
        if folders:
            yield f"  {len(folders)} {kind}: {_files(folders)}"
    for why, number in found.kept.items():
        yield f"  {number} deleted runs stay: {why}"
    if found.strays_kept:
        yield f"  {len(found.strays)} folders of runs that the store does not know stay: {found.strays_kept}"


def _runs_words(found: Leftovers) -> str:
    from nnspec.tracking.contents.disk import Size

    size = sum((run.size for run in found.runs), Size())
    points = sum(run.points for run in found.runs)
    return f"{len(found.runs)} deleted runs: {points:,} rows of metrics, {size.files:,} files, {in_words(size.bytes)}"


def _files(folders: Mapping[Path, Size]) -> str:
    from nnspec.tracking.contents.disk import Size

    size = sum(folders.values(), Size())
    return f"{size.files:,} files, {in_words(size.bytes)}"


def _what(found: Leftovers) -> str:
    """What would be freed, in words."""
    parts = [f"the rows and artifacts of {len(found.runs)} deleted runs"] if found.runs else []
    parts += [f"{len(found.experiments)} deleted experiments"] if found.experiments else []
    parts += [f"{len(found.folders)} files and folders that are left over"] if found.folders else []
    return ", ".join(parts)


def leftovers_info(found: Leftovers) -> dict[str, Any]:
    """What is left over, for programs."""
    return {
        "deleted_runs": [
            {"run_id": run.run_id, "points": run.points, **vars(run.size), "kept": run.kept or None}
            for run in found.deleted
        ],
        "deleted_experiments": [str(number) for number in found.experiments],
        "unknown_folders": _listed(found.strays),
        "unknown_folders_kept": found.strays_kept or None,
        "half_written": _listed(found.half),
        "filed_spools": _listed(found.spools),
    }


def _listed(folders: Mapping[Path, Size]) -> list[dict[str, Any]]:
    return [{"path": str(path), "files": size.files, "bytes": size.bytes} for path, size in folders.items()]
