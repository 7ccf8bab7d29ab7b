"""``nnspec export``: what was filed, as a file that others can use."""

from __future__ import annotations

from collections.abc import Sequence

from nnspec.cli.filed import Parser, count, find_run, opened


def export(arguments: Sequence[str]) -> int:
    """Print or write the file that a run is exported as."""
    from nnspec.exporting import FORMATS, export_run

    parser = Parser("export", "A run as a file: nnspec export last --format script --out net.py")
    parser.run()
    listed = "; ".join(f"{name}: {format.about}" for name, format in FORMATS.items())
    parser.add_argument("--format", required=True, choices=FORMATS, help=listed)
    parser.add_argument("--out", metavar="FILE", help="where to write it; unsaid, a text is printed")
    doc = "the network of formats that hold one, from 0; by default the solved one with the lowest final loss"
    parser.add_argument("--replicate", type=count, metavar="R", help=doc)
    asked = parser.parsed(arguments)
    with opened(asked.uri) as store:
        text = export_run(store, find_run(store, asked.run), asked.format, asked.out, asked.replicate)
    if asked.out is None:
        print(text, end="")
    return 0
