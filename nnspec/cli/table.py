"""``nnspec table``: the table of a sweep or of a single run, one row a network or one row a combination of levels."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from nnspec.cli.filed import CONFIDENCE, Parser, UsageError, asked_format, count, find_run, opened
from nnspec.documents import document
from nnspec.errors import Fault
from nnspec.files import writable

if TYPE_CHECKING:
    import pandas as pd

    from nnspec.analysis.pooling import Pooled

ROWS = 40
DOC = (
    "One row a network: its seed, the fields that vary in the sweep, and how it ended. final_accuracy is the share of "
    "rows whose outputs are within solved.tolerance of their targets: nothing is rounded. With --by, --measure, "
    "--format or --json one row a combination of levels: networks, rate or mean, interval, median updates."
)
HIDDEN = ("run_id",)  # in the files, but 32 characters a row in a terminal


def table(arguments: Sequence[str]) -> int:
    """Print the table, or write it to files."""
    asked = _parser().parsed(arguments)
    format = asked_format(asked)
    pooling = asked.by is not None or asked.measure is not None or format is not None
    _refuse_without_effect(asked, format, pooling)
    with opened(asked.uri) as store:
        from nnspec.readback import networks, read_axes

        run_id = find_run(store, asked.run)
        frame, axes = networks(store, run_id), read_axes(store, run_id)
    rows = ROWS if asked.rows is None else asked.rows
    if not pooling:
        if not _filed(frame, asked, "networks"):
            print(text(frame, rows))
        return 0
    from nnspec.analysis.measures import SOLVED
    from nnspec.analysis.pooling import pooled_table

    found = pooled_table(frame, asked.by, axes, asked.measure or SOLVED, asked.confidence)
    if not _filed(found.frame, asked, "rows"):
        print(pooled_text(found, run_id, format or "text", rows))
    return 0


def pooled_text(found: Pooled, run_id: str, format: str, rows: int) -> str:
    """A pooled table in a format; as text its first ``rows``, 0 for all."""
    from nnspec.analysis.writing import write

    if format == "json":
        return document({"run": run_id, **found.content()})
    if format != "text":
        return write(found.frame, format, found.title())
    shown = found.frame.head(rows) if rows else found.frame
    more = len(found.frame) - len(shown)
    cut = f"\n... and {more} more rows (--rows 0 prints all, --csv FILE writes them)" if more else ""
    return write(shown, format, found.title()) + cut


def _parser() -> Parser:
    parser = Parser("table", DOC)
    parser.run()
    parser.by("pool all but these fields, as activation,init; without it one row a cell")
    parser.measure()
    parser.confidence()
    parser.formats()
    parser.add_argument("--csv", metavar="FILE", help="write all of it as CSV")
    parser.add_argument("--parquet", metavar="FILE", help="write all of it as parquet")
    parser.add_argument("--rows", type=count, metavar="N", help=f"rows to print, 0 for all (default {ROWS})")
    return parser


def _refuse_without_effect(asked: argparse.Namespace, format: str | None, pooling: bool) -> None:
    """Refuse flags that would change nothing.

    Raises:
        UsageError: a format for what goes to a file, rows of what is printed whole, or a confidence of no interval.
    """
    if format and (asked.csv or asked.parquet):
        remedy = "leave one of them out"
        raise UsageError(Fault("--format", "must be of a table that is printed", "a file to write it to", remedy))
    if asked.rows is not None and (format not in (None, "text") or asked.csv or asked.parquet):
        raise UsageError(Fault("--rows", "must go with a printed text", f"{format or 'a file'}", "leave --rows out"))
    if asked.confidence != CONFIDENCE and not pooling:
        raise UsageError(Fault("--confidence", "must go with intervals", "no --by, --measure or --format", "add --by"))


def _filed(frame: pd.DataFrame, asked: argparse.Namespace, what: str) -> bool:
    """Write the frame to the files asked for, and say so; whether there is any."""
    if asked.csv:
        from nnspec.analysis import write_csv

        write_csv(frame, asked.csv, "--csv")
    if asked.parquet:
        with writable("--parquet", asked.parquet) as target:
            frame.to_parquet(target, index=False)
    files = [name for name in (asked.csv, asked.parquet) if name]
    for name in files:
        print(f"{len(frame)} {what} written to {name}")
    return bool(files)


def text(frame: pd.DataFrame, rows: int) -> str:
    """The first rows as text, up to the verdict: what diagnosis measured of each network is in the files."""
    from nnspec.analysis import render_frame

    names = list(frame.columns)
    columns = [name for name in names[: names.index("verdict") + 1] if name not in HIDDEN]
    shown = frame[columns].head(rows) if rows else frame[columns]
    more = len(frame) - len(shown)
    return render_frame(shown) + (
        f"\n... and {more} more networks (--rows 0 prints all, --csv FILE writes them)" if more else ""
    )
