"""Frames in the formats of papers, web pages and other programs. All say the same numbers; ``csv`` and ``json`` in full
precision, the others as the terminal rounds them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from nnspec.analysis.levels import AnalysisError, short
from nnspec.analysis.tables import cell_text, has_rates, render_frame
from nnspec.documents import document
from nnspec.errors import unknown
from nnspec.terminal import printable

if TYPE_CHECKING:
    import pandas as pd

HEADINGS = {  # in a paper; text and data have the columns' names
    "median_updates": "median updates",
    "networks_a": "networks a",
    "networks_b": "networks b",
    "broken_a": "broken a",
    "broken_b": "broken b",
    "rate_a": "rate a",
    "rate_b": "rate b",
    "mean_a": "mean a",
    "mean_b": "mean b",
    "p_holm": "p (Holm)",
    "by_chance": "by chance",
}
_LATEX = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        **{character: f"\\{character}" for character in "&%$#_{}"},
    }
)
# What GitHub's Markdown, and showdown's, which MLflow shows, read as markup anywhere in a line.
_MARKDOWN = {"&": "&amp;", "<": "&lt;", **{character: f"\\{character}" for character in "\\`*~|[]"}}
# And in some places: underscores at the ends of a word, colons of emoji and addresses, @ before a name, www., dots.
_MARKDOWN_HERE = re.compile(r"(?<![^\W_])_|_(?![^\W_])|:(?=\S)|@|(?<=www)\.|\.(?=\.)", re.IGNORECASE)
_POWER = re.compile(r"(-?[\d.]+)e\+?(-?)0*(\d+)")
_MINUS = re.compile(r"(?<![\w{$])-(?=\d)")

Escape = Callable[[str], str]


def write(frame: pd.DataFrame, format: str = "text", note: str = "") -> str:
    """``frame`` as text in one of ``FORMATS``, without a newline at the end.

    ``note`` says what the table is: above it in a text, below it in Markdown, in comments in LaTeX; data have none.

    Raises:
        AnalysisError: there is no such format.
    """
    if format not in _WRITERS:
        raise AnalysisError(str(unknown("format", "format", format, FORMATS)))
    return _WRITERS[format](frame, note)


def latex(text: str) -> str:
    """``text`` so that LaTeX prints it as it is written, in text mode and read as UTF-8 (the default since 2018)."""
    return printable(text).translate(_LATEX)


def latex_number(text: str) -> str:
    """A number as LaTeX sets it: with a minus sign instead of a hyphen, and powers of ten."""
    return _MINUS.sub("$-$", _POWER.sub(r"$\1\\times10^{\2\3}$", latex(text).replace(r"\textless{}", "$<$")))


def markdown(text: str) -> str:
    """``text`` on one line, so that Markdown shows it as it is written, within a paragraph or a cell of a table."""
    text = printable(text)
    for character, written in _MARKDOWN.items():  # in this order; ``translate`` takes ten times as long
        text = text.replace(character, written)
    return _MARKDOWN_HERE.sub(lambda found: f"&#{ord(found[0])};", text)


def markdown_table(heads: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1, pad: str = "") -> str:
    """A table of texts as they are written; the first ``left`` columns read from the left, numbers from the right.
    ``pad`` is Markdown that follows each text."""
    escaped = [[markdown(text) + pad for text in line] for line in (heads, *rows)]
    return _markdown_lines(escaped[0], escaped[1:], [place < left for place in range(len(heads))])


def _text(frame: pd.DataFrame, note: str) -> str:
    return "\n".join([*([note] if note else []), render_frame(frame)])


def _markdown(frame: pd.DataFrame, note: str) -> str:
    heads, rows = _cells(frame, markdown, markdown)
    table = _markdown_lines(heads, rows, _to_the_left(frame, len(heads)))
    return "\n".join([table, *(["", *map(markdown, note.split("\n"))] if note else [])])


def _markdown_lines(heads: Sequence[str], rows: Sequence[Sequence[str]], left: Sequence[bool]) -> str:
    rule = [":--" if one else "--:" for one in left]
    return "\n".join(f"| {' | '.join(line)} |" for line in (heads, rule, *rows))


def _latex(frame: pd.DataFrame, note: str) -> str:
    heads, rows = _cells(frame, latex, latex_number)
    columns = "".join("l" if left else "r" for left in _to_the_left(frame, len(heads)))
    body = [_latex_row(row) for row in rows]
    return "\n".join(
        [
            *(f"% {printable(line)}" for line in note.split("\n") if line),
            r"% needs \usepackage{booktabs}",
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            _latex_row(heads),
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
        ]
    )


def _latex_row(row: Sequence[str]) -> str:
    line = " & ".join(row)
    # after the end of a row LaTeX takes a bracket for a length, and a star for an order not to break the page there
    guard = "{}" if line.startswith(("[", "*")) else ""
    return rf"{guard}{line} \\"


def _csv(frame: pd.DataFrame, note: str) -> str:
    return frame.to_csv(index=False, lineterminator="\n").removesuffix("\n")


def _json(frame: pd.DataFrame, note: str) -> str:
    return document(frame)


def _cells(frame: pd.DataFrame, word: Escape, number: Escape) -> tuple[list[str], list[list[str]]]:
    """Headings and rows, escaped: numbers by ``number``, all else by ``word``; ``low`` and ``high`` are one column."""
    rates = has_rates(frame)
    heads: list[str] = []
    columns: list[list[str]] = []
    for name in map(str, frame.columns):
        escape = number if _numeric(frame, name) else word
        texts = [escape(cell_text(name, value, rates)) for value in frame[name].tolist()]
        if name == "high" and "low" in frame.columns:
            columns[-1] = [f"[{low}, {high}]" for low, high in zip(columns[-1], texts, strict=True)]
            heads[-1] = "interval"
        else:
            heads.append(word(HEADINGS.get(name, short(name))))
            columns.append(texts)
    return heads, [list(row) for row in zip(*columns, strict=True)]


def _numeric(frame: pd.DataFrame, name: str) -> bool:
    return bool(frame[name].dtype.kind in "iuf")


def _to_the_left(frame: pd.DataFrame, columns: int) -> list[bool]:
    """Which of the columns read from the left: words, which stand before the numbers."""
    names = [str(name) for name in frame.columns if not (name == "high" and "low" in frame.columns)]
    return [not _numeric(frame, name) for name in names[:columns]]


_WRITERS: dict[str, Callable[[pd.DataFrame, str], str]] = {
    "text": _text,
    "markdown": _markdown,
    "latex": _latex,
    "csv": _csv,
    "json": _json,
}
FORMATS = tuple(_WRITERS)
