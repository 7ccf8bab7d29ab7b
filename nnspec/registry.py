"""A registry is the one list of a kind's members: nothing else in nnspec knows their names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar

from nnspec.errors import NnspecError, SpecError, unknown
from nnspec.params import Param, Rule


class Entry(Protocol):
    """What every member of a registry states about itself."""

    @property
    def name(self) -> str: ...
    @property
    def summary(self) -> str: ...
    @property
    def params(self) -> tuple[Param, ...]: ...
    @property
    def rules(self) -> tuple[Rule, ...]: ...


E = TypeVar("E", bound=Entry)


class Registry(Generic[E]):
    """The members of one kind by name, in the order in which they were added.

    A duplicate name raises ``NnspecError``; an unknown one ``SpecError`` with the nearest name and all options.
    """

    def __init__(self, kind: str, entries: tuple[E, ...] = ()):
        self.kind = kind
        self._entries: dict[str, E] = {}
        for entry in entries:
            self.add(entry)

    def add(self, entry: E) -> E:
        """Add a member and return it."""
        if entry.name in self._entries:
            raise NnspecError(
                f"{self.kind} names must be unique, but '{entry.name}' is there already; choose another name"
            )
        self._entries[entry.name] = entry
        return entry

    def __getitem__(self, name: str) -> E:
        if name not in self._entries:
            raise SpecError([unknown(f"{self.kind}.name", self.kind, name, self._entries)])
        return self._entries[name]

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[E]:
        return iter(self._entries.values())

    def __len__(self) -> int:
        return len(self._entries)

    def names(self) -> list[str]:
        """All names, in the order in which they were added."""
        return list(self._entries)
