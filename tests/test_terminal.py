"""Text for the terminal: printable only, and a stream that cannot be written to ends no command."""

from __future__ import annotations

import errno
import io
import os
import sys

import pytest

from nnspec.cli import main
from nnspec.errors import Fault, NnspecError
from nnspec.terminal import Output, complain, lost_output, printable, terminal

EVIL = "a\x1b[31mb\x1b]8;;http://x\x07c\rd\u202ee\u2066f\x9bg\nh\u200bi\udcff"


def test_what_does_not_print_is_written_out() -> None:
    assert printable("häß 日本 α² é") == "häß 日本 α² é"
    assert printable(EVIL) == r"a\x1b[31mb\x1b]8;;http://x\x07c\rd\u202ee\u2066f\x9bg\nh\u200bi\udcff"


def test_a_fault_is_one_printable_line() -> None:
    assert str(Fault("name", "must be plain", EVIL, EVIL)).isprintable()


def test_output_keeps_lines_and_nothing_else() -> None:
    kept = io.StringIO()
    print(f"one\n{EVIL}", file=Output(kept))
    first, *rest = kept.getvalue().splitlines()
    assert first == "one"
    assert all(line.isprintable() for line in rest)
    bar = io.StringIO()
    Output(bar).raw().write("\r\x1b[A")
    assert bar.getvalue() == "\r\x1b[A"


def test_an_encoding_that_lacks_a_letter_gets_its_escape() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    print("α", file=Output(stream), flush=True)
    assert raw.getvalue() == b"\\u03b1\n"


class Full(io.StringIO):
    def __init__(self, number: int):
        super().__init__()
        self.number = number

    def write(self, text: str) -> int:
        raise OSError(self.number, os.strerror(self.number))


@pytest.mark.parametrize(
    ("number", "told"), [(errno.ENOSPC, True), (errno.EDQUOT, True), (errno.EPIPE, False), (errno.EIO, False)]
)
def test_a_stream_that_fails_takes_everything_and_is_told_of(number: int, told: bool) -> None:
    out = Output(Full(number))
    print("one", file=out)
    print("two", file=out, flush=True)
    assert (lost_output(out) is not None) == told


def test_a_full_device_is_one_line_and_status_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdout", Full(errno.ENOSPC))
    assert main(["list", "losses"]) == 1
    assert capsys.readouterr().err == (
        "nnspec: the output could not be written (No space left on device); everything else is done; make room, or "
        "write it elsewhere\n"
    )


def test_a_reader_that_has_left_is_no_failure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdout", Full(errno.EPIPE))
    assert main(["list", "losses"]) == 0
    assert capsys.readouterr().err == ""


def test_streams_are_put_back() -> None:
    before = sys.stdout, sys.stderr
    with pytest.raises(NnspecError), terminal():
        raise NnspecError("stop")
    assert (sys.stdout, sys.stderr) == before


def test_complaints_are_lines_under_our_name(capsys: pytest.CaptureFixture[str]) -> None:
    complain("one\ntwo \x1b[1m")
    assert capsys.readouterr().err == "nnspec: one\nnnspec: two \\x1b[1m\n"


@pytest.mark.parametrize("words", [["table", "\udcff"], ["run", "activation=\x00"], ["show", "tracking.uri=a\udc80"]])
def test_an_argument_that_is_no_text(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    said = capsys.readouterr().err
    assert "an argument must be UTF-8 text without zero bytes" in said
    assert said.count("\n") == 1
    assert said.strip().isprintable()
