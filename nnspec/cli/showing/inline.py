"""Pictures within a terminal, where it can show them: kitty's graphics protocol, or iTerm2's inline images."""

from __future__ import annotations

import base64
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

from nnspec.terminal import Output

PIECE = 4096  # characters of base64 that kitty takes at once
ITERM = ("iTerm.app", "WezTerm", "vscode")  # which speak iTerm2's protocol, by TERM_PROGRAM


def protocol(environ: Mapping[str, str] = os.environ) -> Callable[[bytes], str] | None:
    """What turns a PNG picture into the escape sequences of this terminal; None where it is not known to show any.

    Within tmux and screen nothing is shown: they do not pass the sequences on.
    """
    kind = environ.get("TERM", "")
    if kind.startswith(("tmux", "screen")):
        return None
    if kind == "xterm-kitty" or "KITTY_WINDOW_ID" in environ:
        return kitty
    return iterm if environ.get("TERM_PROGRAM") in ITERM else None


def kitty(picture: bytes) -> str:
    """https://sw.kovidgoyal.net/kitty/graphics-protocol: a=T transmits and shows, f=100 is PNG, m=1 says that more
    comes."""
    text = base64.standard_b64encode(picture).decode("ascii")
    pieces = [text[place : place + PIECE] for place in range(0, len(text), PIECE)]
    heads = ["a=T,f=100,", *[""] * (len(pieces) - 1)]
    more = [*[1] * (len(pieces) - 1), 0]
    return "".join(f"\x1b_G{head}m={m};{piece}\x1b\\" for head, m, piece in zip(heads, more, pieces, strict=True))


def iterm(picture: bytes) -> str:
    """https://iterm2.com/documentation-images.html"""
    text = base64.standard_b64encode(picture).decode("ascii")
    return f"\x1b]1337;File=inline=1;size={len(picture)}:{text}\x07"


def shown(picture: bytes, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether the picture was shown on stdout: a terminal that can."""
    stream: Any = sys.stdout.raw() if isinstance(sys.stdout, Output) else sys.stdout
    encode = protocol(environ) if stream.isatty() else None
    if encode is None:
        return False
    stream.write(f"{encode(picture)}\n")
    stream.flush()
    return True
