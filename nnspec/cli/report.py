"""``nnspec report``: the report of a filed sweep or run, as a page and pictures."""

from __future__ import annotations

import webbrowser
from collections.abc import Sequence
from pathlib import Path

from nnspec.cli.filed import Parser, UsageError, find_run, folder, opened
from nnspec.errors import Fault

FOLDER = "nnspec-report"


def report(arguments: Sequence[str]) -> int:
    """Draw the report, write it to a folder and log it on the run."""
    parser = Parser("report", "Writes report.html and its pictures to a folder, and logs them on the run.")
    parser.run()
    parser.measure()
    parser.add_argument("--open", action="store_true", help="open the page in a browser")
    parser.add_argument("--out", metavar="FOLDER", help=f"folder to write to (default {FOLDER}/NAME of the run)")
    asked = parser.parsed(arguments)
    with opened(asked.uri) as store:
        from nnspec.analysis.measures import SOLVED
        from nnspec.report.drawing import PAGE
        from nnspec.report.reporting import filed_at
        from nnspec.report.run_reporting import filed_report
        from nnspec.tracking.files import file_name

        run_id = find_run(store, asked.run)
        target = folder(asked.out or f"{FOLDER}/{file_name(store.get(run_id).name)}")
        files = filed_report(store, run_id, asked.measure or SOLVED)
        replaced = (target / PAGE).exists()
        write(target, files)
        store.add_artifacts(run_id, filed_at(files))
    page = target / PAGE
    there = " (in place of the report that was there)" if replaced else ""
    print(f"{page}{there} and {len(files) - 1} pictures, also among the artifacts of run {run_id}")
    if asked.open and not webbrowser.open(page.resolve().as_uri()):
        raise UsageError(f"--open needs a browser, but none was found; open {page} yourself")
    return 0


def write(target: Path, files: dict[str, bytes]) -> None:
    """Write the files into the folder."""
    try:
        for name, content in files.items():
            (target / name).write_bytes(content)
    except OSError as error:
        fault = Fault("--out", "must be a folder that can be written", f"'{target}' ({error.strerror})", "name another")
        raise UsageError(fault) from error
