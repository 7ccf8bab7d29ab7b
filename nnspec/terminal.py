"""The terminal: all text that goes there goes through here, so that it holds printable characters only and never ends a
command.

Names, tags and files come from strangers too. An escape sequence among them could rewrite what the terminal shows, and
a mark of bidirectional text what a reader makes of it.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

GONE = (errno.EPIPE, errno.EIO, errno.ENXIO)  # the reader has left, as head does, or the terminal was closed
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


def complain(message: object) -> None:
    """Say something beside the results: each line on stderr, under our name."""
    for line in str(message).splitlines():
        print(f"nnspec: {printable(line)}", file=sys.stderr)


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


def progress_stream() -> Any:
    """Where a progress bar may move the cursor."""
    return sys.stderr.raw() if isinstance(sys.stderr, Output) else sys.stderr


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
