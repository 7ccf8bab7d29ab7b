"""Command-line flags: written whole, faults in one line."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from nnspec.errors import Fault, NnspecError, cut
from nnspec.files import writable
from nnspec.parts.loading import load, load_installed

_SHOWN = 5  # flags that a beginning may stand for


class UsageError(NnspecError):
    """Arguments that a command cannot take."""

    exit_status = 2


class Flags(argparse.ArgumentParser):
    """argparse that tells errors in one line and takes no abbreviated flag: what a flag does hangs on one spelling."""

    def __init__(self, command: str, doc: str, **options: Any):
        super().__init__(prog=f"nnspec {command}", description=doc, allow_abbrev=False, **options)

    def json(self, among: argparse._ActionsContainer | None = None) -> None:
        """Add the flag that asks for one JSON document (``documents.document``) instead of text; ``among`` is a group
        of flags of which only one can be given."""
        to = among or self
        to.add_argument("--json", action="store_true", help="print one JSON document instead; see docs/json.md")

    def parts(self) -> None:
        """Add the flag that names files of a user's own parts, which are loaded as it is parsed."""
        doc = "a Python file with parts of your own, which is run; can be given more than once"
        self.add_argument("--parts", action="append", metavar="FILE", default=[], help=doc)

    def parsed(self, words: Sequence[str]) -> argparse.Namespace:
        """The arguments, flags and others in any order.

        Raises:
            UsageError: a flag that there is not, as an abbreviated one, or another fault.
            SpecError: a file of parts that cannot be loaded.
        """
        found, unknown = self.parse_known_intermixed_args(words)
        if unknown:
            self._refuse(unknown)
        load_installed()
        load(getattr(found, "parts", ()))
        return found

    def flags(self) -> list[argparse.Action]:
        """The flags that there are, in the order in which they were added."""
        return [action for action in self._actions if action.option_strings]

    def _refuse(self, words: Sequence[str]) -> NoReturn:
        flag = words[0].split("=", 1)[0]
        meant = [option for option in self._option_string_actions if len(flag) > 2 and option.startswith(flag)]
        remedy = f"write the flag whole: {' or '.join(meant[:_SHOWN])}" if meant else self._usage()
        raise UsageError(f"unrecognized arguments: {cut(' '.join(words), 300)}; {remedy}")

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{cut(message, 300)}; {self._usage()}")

    def _usage(self) -> str:
        return " ".join(self.format_usage().split())


def write_picture(path: str, content: bytes) -> None:
    """Write what ``--plot`` asks for, making missing folders.

    Raises:
        UsageError: the name is not a PNG file's.
        PathError: the file cannot be written.
    """
    if Path(path).suffix.lower() != ".png":
        raise UsageError(Fault("--plot", "must be a PNG file", f"'{path}'", "name one, as picture.png"))
    with writable("--plot", path) as target:
        target.write_bytes(content)
