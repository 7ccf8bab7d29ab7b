"""``nnspec cite``: a paragraph and a BibTeX entry for a paper."""

from __future__ import annotations

from collections.abc import Sequence

from nnspec.cli.filed import Parser, find_run, opened
from nnspec.documents import document


def cite(arguments: Sequence[str]) -> int:
    """Print what a paper says of a run, or of nnspec alone."""
    from nnspec.tracking.finding import RUN

    parser = Parser(
        "cite",
        "A paragraph to paste: version, commit, spec fingerprints, cells, seeds and how the statistics were done; and "
        "a BibTeX entry of nnspec itself.",
    )
    parser.add_argument("run", nargs="?", help=f"{RUN}; without it what holds of every run")
    parser.json()
    asked = parser.parsed(arguments)
    from nnspec.report.citing import citation, general_citation

    if asked.run is None:
        found = general_citation()
    else:
        with opened(asked.uri) as store:
            found = citation(store, find_run(store, asked.run))
    print(document(found.content()) if asked.json else f"{found.text}\n\n{found.bibtex}")
    return 0
