"""``nnspec play``: a thousand networks at once, in a page for the browser."""

from __future__ import annotations

import webbrowser
from collections.abc import Sequence

from nnspec.cli.filed import OPTION, Parser, UsageError, find_run, opened
from nnspec.errors import Fault
from nnspec.files import writable


def play(arguments: Sequence[str]) -> int:
    """Write the page, and open it in the browser."""
    parser = Parser(
        "play",
        "A page that trains up to 10,000 networks of a spec at once: nnspec play activation=relu. Or one with the "
        "networks of a run or a cell of a sweep, as they ended: nnspec play last/17",
    )
    parser.add_argument(
        "words",
        nargs="*",
        metavar="KEY=VALUE | RUN",
        help="what the page begins with: overrides, or a run of which it has the weights",
    )
    parser.add_argument("--out", metavar="FILE", default="play.html", help="where to write the page (play.html)")
    parser.add_argument("--no-open", action="store_true", help="do not open it in the browser")
    asked = parser.parsed(arguments)
    text = _page(asked.words, asked.uri)
    with writable("--out", asked.out) as target:
        target.write_text(text, encoding="utf-8")
    print(target)
    if not asked.no_open and not webbrowser.open(target.resolve().as_uri()):
        raise UsageError(f"the page needs a browser, but none was found; open {target} yourself, or add --no-open")
    return 0


def _page(words: Sequence[str], uri: str | None) -> str:
    """The page that begins with overrides, or with the run that a word without '=' names.

    Raises:
        UsageError: a run and something else, or a store without a run.
    """
    runs = [word for word in words if "=" not in word and not word.startswith("~")]
    if not runs:
        if uri is not None:
            raise UsageError(Fault(OPTION, "must be given with a run", "overrides alone", "leave it out"))
        from nnspec.compose import Composer, compose, heed, refuse_axes, with_archived
        from nnspec.play.page import page

        composer = Composer()
        refuse_axes(composer, words)
        spec, settings = compose(words, composer)
        heed(composer.config(with_archived(words)).hydra, composer, [spec], settings, page=True)
        return page(spec, words)
    if len(words) > 1:
        rule = "must be a run by itself, whose spec is what it is, or overrides"
        raise UsageError(Fault("what the page begins with", rule, f"'{' '.join(words)}'", f"try {runs[0]}"))
    with opened(uri) as store:
        from nnspec.play.filed import filed_page

        return filed_page(store, find_run(store, runs[0]))
