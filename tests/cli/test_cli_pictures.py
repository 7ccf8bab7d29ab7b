"""``nnspec show --plot``: what the words name is drawn, into a file or on a terminal that shows pictures."""

from __future__ import annotations

import base64
import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from matplotlib.image import imread

from nnspec.cli import main
from nnspec.cli.showing.inline import PIECE, iterm, kitty, protocol
from nnspec.cli.showing.pictures import stacked

PICTURE = b"\x89PNG" + bytes(range(256)) * 40


def size(path: str) -> tuple[int, int]:
    return imread(path).shape[:2]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["activation=gelu"], "activation"),
        (["init=orthogonal", "model.hidden=[8,8]"], "init"),
        (["init.gain=2"], "init"),
        (["activation.negative_slope=0.2", "activation=leaky_relu", "init=zeros"], "activation and init"),
        (["init=sparse", "data=moons", "activation=sine"], "data and activation and init"),
        (["seed=3"], "data"),
        (["model=perceptron", "activation=tanh", "loss=mse", "data=and"], "data and activation"),
    ],
)
def test_what_is_named_is_drawn(folder: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str) -> None:
    assert main(["show", *words, "--plot", "it.png"]) == 0
    assert capsys.readouterr().out == f"{said} drawn into it.png\n"
    assert size("it.png")[0] > 200


def test_pictures_lie_below_one_another(folder: Path) -> None:
    for name, words in {"a": ["activation=elu"], "i": ["init=zeros"], "both": ["activation=elu", "init=zeros"]}.items():
        assert main(["show", *words, "--plot", f"{name}.png"]) == 0
    (high, wide), (also, wider) = size("a.png"), size("i.png")
    assert size("both.png") == (high + also, max(wide, wider))
    assert stacked([Path("a.png").read_bytes()]) == Path("a.png").read_bytes()
    both = imread(io.BytesIO(stacked([Path("a.png").read_bytes(), Path("i.png").read_bytes()])))
    assert (both[:high, wide:] == 1).all()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (
            ["activation=softmax", "model=perceptron", "loss=cross_entropy"],
            "an activation of one number, but got softmax",
        ),
        (["activation=gelu"], "--plot needs a FILE here, for this is no terminal that shows pictures"),
    ],
)
def test_what_cannot_be_drawn_is_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str], words: list[str], says: str
) -> None:
    assert main(["show", *words, "--plot"]) == 2
    assert main(["show", "--plot", *words]) == 2  # a word is no FILE, wherever --plot stands
    out, err = capsys.readouterr()
    assert (out, err.count("\n"), err.count(says)) == ("", 2, 2)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"TERM": "xterm-kitty"}, kitty),
        ({"TERM": "xterm-256color", "KITTY_WINDOW_ID": "1"}, kitty),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "WezTerm"}, iterm),
        ({"TERM_PROGRAM": "vscode"}, iterm),
        ({"TERM": "tmux-256color", "KITTY_WINDOW_ID": "1"}, None),
        ({"TERM": "xterm-256color"}, None),
        ({}, None),
    ],
)
def test_terminals_that_show_pictures(environ: dict[str, str], expected: object) -> None:
    assert protocol(environ) is expected


def test_kitty_gets_pieces_that_it_takes() -> None:
    pieces = re.findall(r"\x1b_G(.*?);(.*?)\x1b\\", kitty(PICTURE))
    assert [head for head, _ in pieces] == ["a=T,f=100,m=1", "m=1", "m=1", "m=0"]
    assert max(len(piece) for _, piece in pieces) == PIECE
    assert base64.b64decode("".join(piece for _, piece in pieces)) == PICTURE
    assert re.findall(r"\x1b_G(.*?);", kitty(b"x")) == ["a=T,f=100,m=0"]


def test_iterm_gets_one_sequence() -> None:
    head, _, text = iterm(PICTURE).partition(":")
    assert head == f"\x1b]1337;File=inline=1;size={len(PICTURE)}"
    assert base64.b64decode(text.removesuffix("\x07")) == PICTURE


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs a pseudo-terminal")
def test_a_terminal_that_can_shows_it(folder: Path) -> None:
    master, slave = os.openpty()
    environ = {**os.environ, "TERM": "xterm-kitty"}
    command = [
        sys.executable,
        "-c",
        "from nnspec.cli import main; raise SystemExit(main())",
        "show",
        "activation=tanh",
        "--plot",
    ]
    with subprocess.Popen(command, stdout=slave, stderr=subprocess.PIPE, env=environ, cwd=folder) as process:
        os.close(slave)
        found = read_all(master)
        assert process.wait() == 0
    pieces = re.findall(rb"\x1b_G(.*?);(.*?)\x1b\\", found)
    assert base64.b64decode(b"".join(piece for _, piece in pieces)).startswith(b"\x89PNG")
    assert list(folder.iterdir()) == []


def read_all(terminal: int) -> bytes:
    """What is written to the other end, until it is closed."""
    found = b""
    with os.fdopen(terminal, "rb", buffering=0) as stream:
        while True:
            try:
                part = stream.read(65536)
            except OSError:  # Linux says so that the other end is closed
                return found
            if not part:
                return found
            found += part
