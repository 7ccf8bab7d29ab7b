"""A report: one HTML file that holds everything it shows, escapes everything it is given, and asks nobody for
anything."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from nnspec.analysis.levels import short
from nnspec.analysis.tables import cell_text, has_rates

if TYPE_CHECKING:
    import pandas as pd

MOST_ROWS = 200  # of a table; beyond, the rows are counted
STYLE = """
:root{color-scheme:light}
body{font:15px/1.5 system-ui,sans-serif;color:#1a1a1a;background:#fff;max-width:64rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem;margin:0 0 .3rem}h2{font-size:1.15rem;margin:2.2rem 0 .4rem;border-bottom:1px solid #ccc}
figure{margin:.8rem 0}img{max-width:100%;height:auto}figcaption{color:#5f5f5f;font-size:.85rem}
table{border-collapse:collapse;font-size:.85rem;font-variant-numeric:tabular-nums}.wide{overflow-x:auto}
th,td{padding:.15rem .7rem;border-bottom:1px solid #ddd;text-align:right}th{border-bottom:2px solid #1a1a1a}
th:first-child,td:first-child{text-align:left}caption{text-align:left;color:#5f5f5f;padding-bottom:.3rem}
pre{background:#f4f4f4;padding:.7rem;overflow-x:auto;font-size:.85rem;white-space:pre-wrap;overflow-wrap:anywhere}
nav a{margin-right:1rem}@media print{body{max-width:none}h2{break-after:avoid}figure{break-inside:avoid}}
"""


@dataclass(frozen=True)
class Section:
    """A part of a report: a title, a text, and at most one picture and one table.

    ``alt`` says in words what the picture shows, with its main numbers; a picture must have one.
    """

    title: str
    text: str = ""
    image: bytes | None = None
    alt: str = ""
    table: pd.DataFrame | None = None
    name: str = ""  # of the PNG file; empty without a picture

    def __post_init__(self) -> None:
        if self.image is not None and not (self.alt and self.name):
            raise ValueError(
                f"a picture must have a text alternative and a name, but '{self.title}' lacks one; pass alt= and name="
            )


def report_html(title: str, command: str, spec_yaml: str, sections: Sequence[Section]) -> str:
    """One self-contained HTML page: title, command, the sections with a list of contents, and the spec.

    Pictures are inline PNG. Nothing is loaded from elsewhere, there is no script, and a policy in the page forbids
    both.
    """
    contents = "".join(f'<a href="#s{i}">{escape(section.title)}</a>' for i, section in enumerate(sections))
    parts = [_section(f"s{i}", section) for i, section in enumerate(sections)]
    if command:
        parts.append(f"<h2>Command</h2><pre>{escape(command)}</pre>")
    if spec_yaml:
        parts.append(f"<h2>Spec</h2><pre>{escape(spec_yaml)}</pre>")
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    head = f'<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{policy}">'
    body = f"<main><h1>{escape(title)}</h1><nav>{contents}</nav>{''.join(parts)}</main>"
    return (
        "<!doctype html><html "
        f'lang="en"><head>{head}<title>{escape(title)}</title><style>{STYLE}</style></head><body>{body}</body></html>'
    )


def table_html(frame: pd.DataFrame, caption: str = "") -> str:
    """A frame as an HTML table; values read as in the terminal (``tables.cell_text``)."""
    shown = frame.head(MOST_ROWS)
    heads = "".join(f'<th scope="col">{escape(short(str(name)))}</th>' for name in frame.columns)
    rates = has_rates(frame)
    columns = [[escape(cell_text(str(name), value, rates)) for value in shown[name].tolist()] for name in frame.columns]
    rows = "".join("<tr>" + "".join(f"<td>{item}</td>" for item in row) + "</tr>" for row in zip(*columns, strict=True))
    more = f"<p>{len(frame) - MOST_ROWS} more rows are not shown.</p>" if len(frame) > MOST_ROWS else ""
    title = f"<caption>{escape(caption)}</caption>" if caption else ""
    return f'<div class="wide"><table>{title}<thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>{more}'


def pngs_of(sections: Sequence[Section]) -> dict[str, bytes]:
    """The pictures of the sections by file name, as 'heatmap.png'."""
    return {f"{section.name}.png": section.image for section in sections if section.image is not None}


def _section(anchor: str, section: Section) -> str:
    parts = [f'<section aria-labelledby="{anchor}"><h2 id="{anchor}">{escape(section.title)}</h2>']
    if section.text:
        parts.append("".join(f"<p>{escape(paragraph)}</p>" for paragraph in section.text.split("\n\n")))
    if section.image is not None:
        data = base64.b64encode(section.image).decode("ascii")
        width = int(np.frombuffer(section.image[16:20], dtype=">u4")[0])
        parts.append(
            f'<figure><img alt="{escape(section.alt)}" width="{width}" src="data:image/png;base64,{data}"></figure>'
        )
    if section.table is not None and len(section.table.columns):
        parts.append(table_html(section.table))
    return "".join([*parts, "</section>"])
