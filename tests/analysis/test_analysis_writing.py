"""Frames in every format: the same numbers, and nothing of a stranger's names taken for markup."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest

from nnspec.analysis.levels import AnalysisError
from nnspec.analysis.pairs import compare
from nnspec.analysis.writing import FORMATS, latex, latex_number, markdown, write

NASTY = r"a_b % c & d $x$ #1 {e} ~f ^g \h |i <j> *k `l` [m]"


@pytest.fixture
def frame():
    return pd.DataFrame(
        {
            "activation.name": ["relu", NASTY],
            "networks": [100, 20],
            "rate": [0.5, 0.0],
            "low": [0.404, 0.0],
            "high": [0.596, 0.161],
            "median_updates": [120.0, np.inf],
        }
    )


def test_markdown(frame):
    assert write(frame[:1], "markdown", "solved | by activation") == (
        "| activation | networks | rate | interval | median updates |\n"
        "| :-- | --: | --: | --: | --: |\n"
        "| relu | 100 | 50.0% | [40.4%, 59.6%] | 120 |\n"
        "\n"
        "solved \\| by activation"
    )


def test_markdown_escapes_what_would_be_markup(frame):
    row = write(frame, "markdown").splitlines()[-1]
    assert len(re.findall(r"(?<!\\)\|", row)) == 6  # of five columns
    shown = re.sub(r"\\([\\`*~|\[\]])", r"\1", markdown(NASTY)).replace("&lt;", "<").replace("&amp;", "&")
    assert shown == NASTY
    assert markdown("<script>") == "&lt;script>"


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("kaiming_uniform: a_b", "kaiming_uniform: a_b"),
        ("_a_ __b", "&#95;a&#95; &#95;&#95;b"),
        ("a.b...", "a.b&#46;&#46;."),
        ("@me :smile:", "&#64;me &#58;smile:"),
        ("http://a.b www.a.b WWW.a", "http&#58;//a.b www&#46;a.b WWW&#46;a"),
        ("a\nb\u202e", r"a\\nb\\u202e"),
    ],
)
def test_markdown_escapes_what_is_markup_in_some_places(text, written):
    assert markdown(text) == written


def test_latex(frame):
    assert write(frame[:1], "latex", "solved\npooled").splitlines() == [
        "% solved",
        "% pooled",
        r"% needs \usepackage{booktabs}",
        r"\begin{tabular}{lrrrr}",
        r"\toprule",
        r"activation & networks & rate & interval & median updates \\",
        r"\midrule",
        r"relu & 100 & 50.0\% & [40.4\%, 59.6\%] & 120 \\",
        r"\bottomrule",
        r"\end{tabular}",
    ]


def test_latex_escapes_as_pandas_does(frame):
    """pandas knows the ten special characters; its spaces after words become groups here."""
    escaped = pd.DataFrame({"x": [NASTY]}).style.format(escape="latex").to_latex().splitlines()[2]
    theirs = escaped.partition(" & ")[2].removesuffix(r" \\").replace(r"\textbackslash ", r"\textbackslash{}")
    theirs = theirs.replace(r"\textasciitilde ", r"\textasciitilde{}").replace(
        r"\textasciicircum ", r"\textasciicircum{}"
    )
    ours = latex(NASTY)
    assert ours.replace(r"\textless{}", "<").replace(r"\textgreater{}", ">").replace(r"\textbar{}", "|") == theirs
    assert re.search(r"(?<!\\)[%&$#_]", ours) is None


@pytest.mark.parametrize(
    ("text", "set_as"),
    [
        ("-12.3%", r"$-$12.3\%"),
        ("<0.0001", "$<$0.0001"),
        ("9.536e-05", r"$9.536\times10^{-5}$"),
        ("1.5e+20", r"$1.5\times10^{20}$"),
        ("-9.5e-05", r"$-9.5\times10^{-5}$"),
        ("120", "120"),
    ],
)
def test_latex_numbers(text, set_as):
    assert latex_number(text) == set_as


def test_latex_rows_cannot_be_taken_for_options():
    frame = pd.DataFrame({"model.hidden": ["[8, 8]", "*"], "networks": [1, 2]})
    assert [line for line in write(frame, "latex").splitlines() if "{}" in line] == [
        r"{}[8, 8] & 1 \\",
        r"{}* & 2 \\",
    ]


def test_words_on_a_line_of_their_own_cannot_end_a_comment():
    assert write(pd.DataFrame({"a": [1]}), "latex", "x\r\\input{y}").splitlines()[0] == r"% x\r\input{y}"


def test_data_keep_their_precision(frame):
    frame.loc[0, "rate"] = 1 / 3
    back = pd.read_csv(io.StringIO(write(frame, "csv", "not in it")))
    pd.testing.assert_frame_equal(back, frame)
    rows = json.loads(write(frame, "json"))
    assert rows[0]["rate"] == 1 / 3
    assert rows[1]["median_updates"] is None  # JSON has no infinity
    assert [row["activation.name"] for row in rows] == ["relu", NASTY]


def test_every_frame_has_every_format(small):
    frame = compare(small, "optimizer.lr")
    for format in FORMATS:
        assert write(frame, format)
    head = write(frame, "markdown").splitlines()[0]
    assert head.startswith(
        "| a | b | networks a | networks b | rate a | rate b | difference | interval | p | p (Holm) |"
    )


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex here")
def test_latex_compiles(frame, small, tmp_path):
    tables = "\n\n".join(write(each, "latex", NASTY) for each in (frame, compare(small, "optimizer.lr")))
    document = rf"\documentclass{{article}}\usepackage{{booktabs}}\begin{{document}}{'{'}{tables}{'}'}\end{{document}}"
    (tmp_path / "t.tex").write_text(document.replace("{%", "{\n%"))
    done = subprocess.run(
        ["pdflatex", "-halt-on-error", "t.tex"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:]


def test_an_unknown_format_is_refused(frame):
    with pytest.raises(AnalysisError, match="format must be a known format, but got 'latx'; did you mean 'latex'"):
        write(frame, "latx")
