"""Where the entries come from that a user has added to the catalog."""

from __future__ import annotations

from dataclasses import dataclass

from nnspec.params import Optional, Param, Text
from nnspec.registry import Entry

DIGITS = 16  # of a digest, which a spec keeps


@dataclass(frozen=True)
class Origin:
    """The source of a user's part: the file's name, the ``line`` of its definition, its whole ``text``, and the SHA-256
    ``digest`` of that. ``file`` is as Python knows it."""

    file: str
    name: str
    line: int
    text: str
    digest: str

    @property
    def label(self) -> str:
        """What a spec says of it: its file and the beginning of its digest."""
        return f"{self.name}@{self.digest[:DIGITS]}"


SOURCE = Param("source", None, Optional(Text()), "file and digest of a part of your own; filled in by nnspec")
ORIGINS: dict[tuple[type, str], Origin] = {}  # by the entry's class and name


def origin_of(entry: Entry) -> Origin | None:
    """Where a user's entry comes from; None for those of nnspec."""
    return ORIGINS.get((type(entry), entry.name))


def source_param(entry: Entry) -> tuple[Param, ...]:
    """The parameter that says where a user's entry comes from."""
    return () if origin_of(entry) is None else (SOURCE,)
