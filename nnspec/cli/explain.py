"""``nnspec explain``: what a verdict means, or why the networks of a filed run did not learn."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

from nnspec.cli.filed import Parser, UsageError, find_run, opened
from nnspec.cli.flags import write_picture
from nnspec.diagnostics import VERDICT_ENTRIES
from nnspec.documents import document
from nnspec.errors import Fault
from nnspec.terminal import complain
from nnspec.tracking import NamingError


def explain(arguments: Sequence[str]) -> int:
    """Print what a verdict means, or why networks of a run did not learn; or draw a verdict's picture."""
    parser = Parser("explain", "What a verdict means, or why the networks of a filed run or sweep did not learn.")
    parser.add_argument(
        "what",
        metavar="VERDICT | RUN",
        help="a verdict, as dead_units (see nnspec list verdicts), or a run: its id, the beginning of it, its name, or "
        "'last'; a name that is both is the verdict",
    )
    parser.add_argument("--plot", metavar="FILE", help="draw the verdict on a network built by hand into this PNG file")
    parser.json()
    asked = parser.parsed(arguments)
    if asked.what in VERDICT_ENTRIES:
        if asked.uri:
            complain(f"--uri has no effect here: {asked.what} is a verdict")
        return _verdict(asked.what, asked.plot, asked.json)
    if asked.plot:
        rule = "must go with a verdict"
        raise UsageError(Fault("--plot", rule, f"'{asked.what}'", "name one, or use nnspec report for a run"))
    try:
        return _run(asked.uri, asked.what, asked.json)
    except NamingError as error:
        near = get_close_matches(asked.what[:100], VERDICT_ENTRIES, n=1)
        if not near:
            raise
        raise NamingError(f"{error}; or did you mean the verdict '{near[0]}'?") from error


def _verdict(name: str, plot: str | None, as_json: bool) -> int:
    from nnspec.explaining import explain_verdict
    from nnspec.explaining.verdict import part

    if plot:
        from nnspec.analysis.figures.draw import png
        from nnspec.explaining.pictures import verdict_figure

        write_picture(plot, png(verdict_figure(name)))
    found = explain_verdict(name)
    if as_json:
        print(document(found))
    else:
        print("\n".join([str(found), *([part("picture", plot)] if plot else [])]))
    return 0


def _run(uri: str | None, words: str, as_json: bool) -> int:
    with opened(uri) as store:
        from nnspec.explaining import explain_run

        found = explain_run(store, find_run(store, words))
    print(document(found) if as_json else found)
    return 0
