"""``nnspec diff``: what differs between two runs, in their specs and in their results."""

from __future__ import annotations

from collections.abc import Sequence

from nnspec.cli.filed import Parser, find_run, opened
from nnspec.documents import document


def diff(arguments: Sequence[str]) -> int:
    """Print the fields that differ, the results side by side, and how sure their difference is."""
    parser = Parser("diff", "What differs between two specs, or two sweeps, and between their results.")
    parser.run("a")
    parser.run("b")
    parser.json()
    asked = parser.parsed(arguments)
    with opened(asked.uri) as store:
        from nnspec.report.differing import difference_of

        found = difference_of(store, *(find_run(store, words) for words in (asked.a, asked.b)))
    print(document(found.info) if asked.json else found)
    return 0
