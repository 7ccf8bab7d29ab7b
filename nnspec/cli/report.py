"""``nnspec report``: the report of a filed sweep or run, as a page and pictures, or its figures for a paper."""

from __future__ import annotations

import argparse
import webbrowser
from collections.abc import Sequence

from nnspec.cli.filed import Parser, UsageError, find_run, opened
from nnspec.errors import Fault
from nnspec.files import write_folder
from nnspec.report import FOLDER

DOUBLE = "double"


def report(arguments: Sequence[str]) -> int:
    """Draw the report, write it to a folder and log it on the run; or write its figures alone."""
    asked = _parser().parsed(arguments)
    if asked.width and not asked.figures:
        raise UsageError(Fault("--width", "must go with figures", "no --figures", "add --figures pdf"))
    if asked.figures:
        return _figures(asked)
    with opened(asked.uri) as store:
        from nnspec.analysis.measures import SOLVED
        from nnspec.report.pages.page import PAGE
        from nnspec.report.reporting import filed_at
        from nnspec.report.run_reporting import filed_report
        from nnspec.tracking.files import file_name
        from nnspec.tracking.packs.store import is_packed

        run_id = find_run(store, asked.run)
        out = asked.out or f"{FOLDER}/{file_name(store.get(run_id).name)}"
        target = write_folder("--out", out, {})  # before anything is drawn
        files = filed_report(store, run_id, asked.measure or SOLVED)
        replaced = (target / PAGE).exists()
        write_folder("--out", target, files)
        if not is_packed(run_id):
            store.add_artifacts(run_id, filed_at(files))
    page = target / PAGE
    there = " (in place of the report that was there)" if replaced else ""
    also = "" if is_packed(run_id) else f", also among the artifacts of run {run_id}"
    print(f"{page}{there} and {_counts(files)}{also}")
    if asked.open and not webbrowser.open(page.resolve().as_uri()):
        raise UsageError(f"--open needs a browser, but none was found; open {page} yourself")
    return 0


def _parser() -> Parser:
    from nnspec.analysis.figures.files import COLUMNS, FORMATS

    parser = Parser(
        "report",
        "Writes report.html and its pictures to a folder, and logs them on the run; with --figures writes every figure "
        "as a file for a paper, and logs nothing.",
    )
    parser.run()
    parser.measure()
    parser.add_argument("--open", action="store_true", help="open the page in a browser")
    parser.add_argument(
        "--out",
        metavar="FOLDER",
        help=f"folder to write to (default {FOLDER}/NAME of the run, for figures {FOLDER}/NAME/figures)",
    )
    parser.add_argument("--figures", choices=FORMATS, metavar="FORMAT", help=f"one of {', '.join(FORMATS)}")
    widths = ", ".join(f"{name} ({column.width} inches)" for name, column in COLUMNS.items())
    doc = f"column of a journal that figures fill: {widths}; default {DOUBLE}"
    parser.add_argument("--width", choices=COLUMNS, metavar="COLUMN", help=doc)
    return parser


def _figures(asked: argparse.Namespace) -> int:
    """Write the figures to a folder, and their names to stdout."""
    if asked.open:
        raise UsageError(Fault("--open", "must go with a page", "--figures, which makes none", "leave one of them out"))
    with opened(asked.uri) as store:
        from nnspec.analysis.measures import SOLVED
        from nnspec.report.run_reporting import figures
        from nnspec.tracking.files import file_name

        run_id = find_run(store, asked.run)
        # beside the page's own pictures, which may have the same names
        out = asked.out or f"{FOLDER}/{file_name(store.get(run_id).name)}/figures"
        target = write_folder("--out", out, {})  # before anything is drawn
        files = figures(store, run_id, asked.figures, asked.width or DOUBLE, asked.measure or SOLVED)
    write_folder("--out", target, files)
    print("\n".join(str(target / name) for name in files))
    return 0


def _counts(files: dict[str, bytes]) -> str:
    """'9 pictures', or with a table besides."""
    pictures = sum(name.endswith(".png") for name in files)
    tables = [name for name in files if name.endswith(".csv")]
    return f"{pictures} picture{'s' if pictures != 1 else ''}{''.join(f' and {name}' for name in tables)}"
