"""``nnspec table``: the per-network table of a sweep or of a single run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nnspec.cli.filed import Parser, UsageError, count, find_run, opened
from nnspec.errors import Fault

if TYPE_CHECKING:
    import pandas as pd

ROWS = 40
DOC = (
    "One row a network: its seed, the fields that vary in the sweep, and how it ended. final_accuracy is the share of "
    "rows whose outputs are within solved.tolerance of their targets: nothing is rounded."
)
HIDDEN = ("run_id",)  # in the files, but 32 characters a row in a terminal


def table(arguments: Sequence[str]) -> int:
    """Print the table, or write it to files."""
    parser = Parser("table", DOC)
    parser.run()
    parser.add_argument("--csv", metavar="FILE", help="write all of it as CSV")
    parser.add_argument("--parquet", metavar="FILE", help="write all of it as parquet")
    parser.add_argument(
        "--rows", type=count, default=ROWS, metavar="N", help=f"rows to print, 0 for all (default {ROWS})"
    )
    asked = parser.parsed(arguments)
    with opened(asked.uri) as store:
        from nnspec.readback import networks

        frame = networks(store, find_run(store, asked.run))
    if asked.csv:
        from nnspec.analysis import write_csv

        write_csv(frame, asked.csv)
    if asked.parquet:
        write_parquet(frame, asked.parquet)
    written = [name for name in (asked.csv, asked.parquet) if name]
    print(
        "\n".join(f"{len(frame)} networks written to {name}" for name in written)
        if written
        else text(frame, asked.rows)
    )
    return 0


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


def write_parquet(frame: pd.DataFrame, path: str) -> None:
    """Write the frame, making missing folders.

    Raises:
        UsageError: the file cannot be written.
    """
    from pathlib import Path

    target = Path(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        frame.to_parquet(target, index=False)
    except OSError as error:
        fault = Fault("--parquet", "must be a file that can be made", f"'{path}' ({error.strerror})", "name another")
        raise UsageError(fault) from error
