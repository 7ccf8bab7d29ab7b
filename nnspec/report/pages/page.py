"""A report: one HTML file that holds everything it shows, escapes everything it is given, and asks nobody for
anything."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from nnspec.analysis.figures.draw import png
from nnspec.analysis.figures.files import COLUMNS, Plot, figure_file
from nnspec.analysis.levels import short
from nnspec.analysis.tables import cell_text, has_rates
from nnspec.analysis.writing import write

if TYPE_CHECKING:
    import pandas as pd

PAGE = "report.html"
SCRIPT = Path(__file__).with_name("cells.js")  # where a section has cells, and their style
CELL_STYLE = SCRIPT.with_suffix(".css")
MOST_ROWS = 200  # of a table; beyond, the rows are counted
MOST_SHORT_ROWS = 25  # of a long table that needs no box
MOST_LONG_ROWS = 2000  # of a table in a box of its own that scrolls; beyond, its file has the rest
STYLE = """
:root{color-scheme:light}
body{font:15px/1.5 system-ui,sans-serif;color:#1a1a1a;background:#fff;max-width:64rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem;margin:0 0 .3rem}h2{font-size:1.15rem;margin:2.2rem 0 .4rem;border-bottom:1px solid #ccc}
figure{margin:.8rem 0}img{max-width:100%;height:auto}figcaption{color:#5f5f5f;font-size:.85rem}
table{border-collapse:collapse;font-size:.85rem;font-variant-numeric:tabular-nums}.wide{overflow-x:auto}
.long{max-height:32rem;overflow:auto;border:1px solid #ddd}.long th{position:sticky;top:0;background:#fff}
@media print{.long{max-height:none;overflow:visible}}
th,td{padding:.15rem .7rem;border-bottom:1px solid #ddd;text-align:right}th{border-bottom:2px solid #1a1a1a}
th:first-child,td:first-child{text-align:left}caption{text-align:left;color:#5f5f5f;padding-bottom:.3rem}
pre{background:#f4f4f4;padding:.7rem;overflow-x:auto;font-size:.85rem;white-space:pre-wrap;overflow-wrap:anywhere}
nav a{margin-right:1rem}@media print{body{max-width:none}h2{break-after:avoid}figure{break-inside:avoid}}
"""


@dataclass(frozen=True)
class Section:
    """A part of a report: a title, a text, and at most one picture and one table.

    ``plot`` draws the picture. ``alt`` says in words what it shows, with its main numbers; a picture must have one. A
    table without a picture and with a ``name`` may be long: it scrolls, and is a CSV file beside the page too. With
    ``cells`` (see ``cells_data``) the page's script shows them in place of the table.
    """

    title: str
    text: str = ""
    plot: Plot | None = None
    alt: str = ""
    table: pd.DataFrame | None = None
    name: str = ""  # of the picture's file, or of the table's
    cells: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        if self.plot is not None and not (self.alt and self.name):
            raise ValueError(
                f"a picture must have a text alternative and a name, but '{self.title}' lacks one; pass alt= and name="
            )

    @property
    def long(self) -> bool:
        """Whether the table is one that may be long."""
        return self.table is not None and self.plot is None and bool(self.name)


@dataclass(frozen=True)
class Report:
    """What a report shows, to be drawn as a page or as figures of a paper."""

    title: str
    command: str
    spec_yaml: str
    sections: Sequence[Section]

    def files(self, drawn: Mapping[str, bytes] | None = None) -> dict[str, bytes]:
        """The page, its pictures and its long tables by file name, as 'heatmap.png' and 'cells.csv'. Pictures that are
        ``drawn`` already, by the names of their sections, are taken as they are."""
        pictures = pictures_of(self.sections, drawn or {})
        tables = {
            f"{section.name}.csv": (write(section.table, "csv") + "\n").encode()
            for section in self.sections
            if section.long and section.table is not None
        }
        page = report_html(self.title, self.command, self.spec_yaml, self.sections, pictures)
        return {PAGE: page.encode(), **{f"{name}.png": picture for name, picture in pictures.items()}, **tables}

    def figures(self, format: str, column: str) -> dict[str, bytes]:
        """Every figure by file name, as 'heatmap.pdf': ``format`` is one of ``FORMATS`` in
        ``figures.files``, ``column`` of ``COLUMNS``."""
        return {
            f"{section.name}.{format}": figure_file(section.plot, format, COLUMNS[column])
            for section in self.sections
            if section.plot is not None
        }


def pictures_of(sections: Iterable[Section], drawn: Mapping[str, bytes] = MappingProxyType({})) -> dict[str, bytes]:
    """The pictures of those sections that have one, as PNG files by their names; those that are ``drawn`` already as
    they are."""
    return {
        section.name: drawn.get(section.name) or png(section.plot()) for section in sections if section.plot is not None
    }


def report_html(
    title: str, command: str, spec_yaml: str, sections: Sequence[Section], pictures: Mapping[str, bytes] | None = None
) -> str:
    """One self-contained HTML page: title, command, the sections with a list of contents, and the spec.

    ``pictures`` are PNG files by the names of their sections, and stand in the page itself. Nothing is loaded from
    elsewhere, and a policy in the page forbids it. The only script that runs is the page's own, where a section has
    cells: the policy names its digest.
    """
    contents = "".join(f'<a href="#s{i}">{escape(section.title)}</a>' for i, section in enumerate(sections))
    parts = [_section(f"s{i}", section, (pictures or {}).get(section.name)) for i, section in enumerate(sections)]
    if command:
        parts.append(f"<h2>Command</h2><pre>{escape(command)}</pre>")
    if spec_yaml:
        parts.append(f"<h2>Spec</h2><pre>{escape(spec_yaml)}</pre>")
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
    script, style = "", STYLE
    if any(section.cells is not None for section in sections):
        code = SCRIPT.read_text(encoding="utf-8")
        digest = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode("ascii")
        policy, script = f"{policy}; script-src 'sha256-{digest}'", f"<script>{code}</script>"
        style += CELL_STYLE.read_text(encoding="utf-8")
    head = f'<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{policy}">'
    head += '<meta name="viewport" content="width=device-width">'
    body = f"<main><h1>{escape(title)}</h1><nav>{contents}</nav>{''.join(parts)}</main>{script}"
    return (
        "<!doctype html><html "
        f'lang="en"><head>{head}<title>{escape(title)}</title><style>{style}</style></head><body>{body}</body></html>'
    )


def table_html(frame: pd.DataFrame, caption: str = "", file: str = "") -> str:
    """A frame as an HTML table; values read as in the terminal (``tables.cell_text``). One that has a ``file`` beside
    the page may be long: it scrolls."""
    most = MOST_LONG_ROWS if file else MOST_ROWS
    shown = frame.head(most)
    heads = "".join(f'<th scope="col">{escape(short(str(name)))}</th>' for name in frame.columns)
    rates = has_rates(frame)
    columns = [[escape(cell_text(str(name), value, rates)) for value in shown[name].tolist()] for name in frame.columns]
    rows = "".join("<tr>" + "".join(f"<td>{item}</td>" for item in row) + "</tr>" for row in zip(*columns, strict=True))
    more = f'<p class="more">{len(frame) - most} more rows are not shown.</p>' if len(frame) > most else ""
    box = 'class="wide long" tabindex="0"' if file and len(frame) > MOST_SHORT_ROWS else 'class="wide"'
    link = (
        f'<p><a href="{escape(file)}">{escape(file)}</a> beside this page has all {len(frame)} rows.</p>'
        if file
        else ""
    )
    title = f"<caption>{escape(caption)}</caption>" if caption else ""
    body = f"<table>{title}<thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>"
    return f"<div {box}>{body}</div>{more}{link}"


def _section(anchor: str, section: Section, picture: bytes | None) -> str:
    parts = [f'<section aria-labelledby="{anchor}"><h2 id="{anchor}">{escape(section.title)}</h2>']
    if section.text:
        parts.append("".join(f"<p>{escape(paragraph)}</p>" for paragraph in section.text.split("\n\n")))
    if picture is not None and section.plot is not None:
        data = base64.b64encode(picture).decode("ascii")
        width = int(np.frombuffer(picture[16:20], dtype=">u4")[0])
        parts.append(
            f'<figure><img alt="{escape(section.alt)}" width="{width}" src="data:image/png;base64,{data}"></figure>'
        )
    if section.table is not None and len(section.table.columns):
        table = table_html(section.table, file=f"{section.name}.csv" if section.long else "")
        parts.append(table if section.cells is None else f'<div class="still">{table}</div>{_cells(section.cells)}')
    return "".join([*parts, "</section>"])


def _cells(cells: Mapping[str, Any]) -> str:
    """Where the script shows the cells, and its data: no text in them can end their element."""
    text = json.dumps(cells, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    return f'<div class="explorer" hidden></div><script type="application/json" class="cells">{text}</script>'
