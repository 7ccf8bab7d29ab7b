"""The reference: pages made of the registries, the settings, the commands and the docstrings as the site is built.

A page names what it wants by a comment on a line of its own, as in ``<!-- made of: activations -->``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from entries import page
from interface import commands, keys, python, statistics, verdicts
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

from nnspec.cli.listing import KINDS

MARK = re.compile(r"^<!-- made of: (.+) -->$", re.MULTILINE)
# what can be made: of the application and the page, Markdown
PARTS: dict[str, Callable[[Sphinx, str], str]] = {
    **{name: page(kind) for name, kind in KINDS.items()},
    "keys": keys,
    "commands": commands,
    "python": python,
    "statistics": statistics,
    "verdicts": verdicts,
}


def made(app: Sphinx, docname: str, source: list[str]) -> None:
    """Put what a page wants in the places of its comments."""

    def part(found: re.Match[str]) -> str:
        if found[1] not in PARTS:
            raise ExtensionError(f"{docname}: nothing is made of '{found[1]}'; known are {', '.join(PARTS)}")
        return PARTS[found[1]](app, docname)

    source[0] = MARK.sub(part, source[0])


def outdated(app: Sphinx, env: object, added: set[str], changed: set[str], removed: set[str]) -> Sequence[str]:
    """Pages that are made of nnspec are made anew at every build."""
    return [name for name in app.project.docnames if MARK.search(Path(app.env.doc2path(name)).read_text("utf-8"))]


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("source-read", made)
    app.connect("env-get-outdated", outdated)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
