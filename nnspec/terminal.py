"""The terminal: all text that goes there goes through here, so that it holds printable characters only and never ends a
command.

Names, tags and files come from strangers too. An escape sequence among them could rewrite what the terminal shows, and
a mark of bidirectional text what a reader makes of it.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

GONE = (errno.EPIPE, errno.EIO, errno.ENXIO)  # the reader has left, as head does, or the terminal was closed
_RULED = "    \n    \n----\n    \n    \n    \n    \n    \n"  # rich's box: nothing but a rule under the head
_WIDEST = 10**6  # characters: tables are cut to the terminal by whoever makes them
STREAMS = (("stdin", "r"), ("stdout", "w"), ("stderr", "w"))


def printable(text: str) -> str:
    """``text`` on one line, every character that does not print (controls, newlines, marks of direction) as its
    escape."""
    return text if text.isprintable() else "".join(map(_printable_character, text))


def printable_lines(text: str) -> str:
    """``text`` with its newlines, else as ``printable``."""
    return "\n".join(map(printable, text.split("\n")))


def _printable_character(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode("ascii")


def table_text(head: Sequence[str] | None, rows: Iterable[Sequence[str]], left: int = 1) -> str:
    """A table as aligned text under a rule, two spaces between its columns; without ``head`` the rows alone. The first
    ``left`` columns read from the left, numbers from the right."""
    import io

    from rich.box import Box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    lines = [[Text(printable(item)) for item in row] for row in rows]
    table = Table(box=Box(_RULED), show_edge=False, pad_edge=False, padding=(0, 1, 0, 0), show_header=head is not None)
    for place, name in enumerate(head or lines[0]):
        table.add_column(Text(printable(str(name))), justify="left" if place < left else "right", no_wrap=True)
    for line in lines:
        table.add_row(*line)
    page = io.StringIO()
    Console(file=page, width=_WIDEST, color_system=None).print(table, crop=False)
    return "\n".join(line.rstrip() for line in page.getvalue().rstrip("\n").split("\n"))


def complain(message: object) -> None:
    """Say something beside the results: each line on stderr, under our name."""
    for line in str(message).splitlines():
        print(f"nnspec: {printable(line)}", file=sys.stderr)


def note(message: object) -> None:
    """Say what happens on the way, which is no result and asks for nothing: on stderr, as it is."""
    print(message, file=sys.stderr, flush=True)


class Output:
    """A text stream that takes everything: unprintable characters as escapes, and nothing any more once writing has
    failed.

    ``failure`` is why; what a command does besides printing goes on. ``raw`` leaves control characters, for progress
    bars.
    """

    def __init__(self, stream: Any, raw: bool = False):
        self._stream, self._raw = stream, raw
        self.failure: OSError | None = None

    def write(self, text: str) -> int:
        self._try(lambda: self._stream.write(self._encodable(text if self._raw else printable_lines(text))))
        return len(text)

    def flush(self) -> None:
        self._try(self._stream.flush)

    def raw(self) -> Output:
        """The same stream for text of our own that moves the cursor."""
        return Output(self._stream, raw=True)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _encodable(self, text: str) -> str:
        encoding = getattr(self._stream, "encoding", None) or "utf-8"
        return text.encode(encoding, "backslashreplace").decode(encoding)

    def _try(self, work: Any) -> None:
        if self.failure is not None:
            return
        try:
            work()
        except OSError as error:
            self.failure = error
            self._discard()
        except (ValueError, RuntimeError):
            pass  # closed, or a signal's handler that speaks in the middle of a write

    def _discard(self) -> None:
        """Let what is still buffered go nowhere: Python writes it once more as it ends, and would complain."""
        try:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)
        except (OSError, ValueError):
            pass  # no file of the system, as in tests and notebooks


@contextmanager
def terminal() -> Iterator[Output]:
    """stdout and stderr as ``Output`` while it is entered; yields the one of stdout."""
    _open_closed_streams()
    before = sys.stdout, sys.stderr
    out, err = Output(sys.stdout), Output(sys.stderr)
    sys.stdout, sys.stderr = out, err
    try:
        yield out
    finally:
        sys.stdout, sys.stderr = before


def lost_output(out: Output) -> str | None:
    """What to tell of output that could not be written; nothing where nobody reads it any more."""
    out.flush()
    if out.failure is None or out.failure.errno in GONE:
        return None
    return (
        f"the output could not be written ({out.failure.strerror}); everything else is done; make room, or write it "
        "elsewhere"
    )


def progress_options() -> dict[str, Any]:
    """How rich's progress bars are shown: on stderr if that is a terminal, and gone once the work is done."""
    from rich.console import Console

    stream: Any = sys.stderr.raw() if isinstance(sys.stderr, Output) else sys.stderr
    # what is printed meanwhile goes its own way: rich's streams would take the place of ours
    own = {"redirect_stdout": False, "redirect_stderr": False}
    return {"console": Console(file=stream), "transient": True, "disable": not stream.isatty(), **own}


def _open_closed_streams() -> None:
    """Open what the shell closed (as ``2>&-``) on nothing: else the next file, a database say, would be stderr to every
    library."""
    for number, (name, mode) in enumerate(STREAMS):
        if getattr(sys, name) is not None:
            continue
        nowhere = os.open(os.devnull, os.O_RDWR)
        if nowhere != number:
            try:
                os.fstat(number)
            except OSError:
                os.dup2(nowhere, number)
            os.close(nowhere)
        else:
            os.set_inheritable(number, True)
        setattr(sys, name, open(number, mode, closefd=False))  # noqa: SIM115
