"""A registry is the one list of a kind's members: nothing else in nnspec knows their names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar

from nnspec.errors import NnspecError, SpecError, unknown
from nnspec.params import Param, Rule
from nnspec.terminal import complain


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
    @property
    def aliases(self) -> tuple[str, ...]: ...


E = TypeVar("E", bound=Entry)


class Registry(Generic[E]):
    """The members of one kind by name, in the order in which they were added.

    A duplicate name raises ``NnspecError``; an unknown one ``SpecError`` with the nearest name and all options.
    """

    def __init__(self, kind: str, entries: tuple[E, ...] = ()):
        self.kind = kind
        self._entries: dict[str, E] = {}
        self._aliases: dict[str, str] = {}  # what people type for a name -> the name
        self._told: set[str] = set()
        for entry in entries:
            self.add(entry)

    def add(self, entry: E) -> E:
        """Add a member and return it."""
        for name in (entry.name, *entry.aliases):
            if name in self._entries or name in self._aliases:
                raise NnspecError(
                    f"{self.kind} names must be unique, but '{name}' is there already; choose another name"
                )
        self._entries[entry.name] = entry
        self._aliases.update(dict.fromkeys(entry.aliases, entry.name))
        return entry

    def remove(self, name: str) -> None:
        """Take a member out, with the names that people type for it."""
        entry = self[name]
        del self._entries[name]
        for alias in entry.aliases:
            del self._aliases[alias]

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

    def named(self, name: str) -> str:
        """The name that ``name`` stands for: itself, or that of the member it is an alias of, which is said on stderr
        the first time."""
        real = self._aliases.get(name, name)
        if real != name and name not in self._told:
            self._told.add(name)
            complain(f"{self.kind}={name} is {real}")
        return real

    def names(self) -> list[str]:
        """All names, in the order in which they were added."""
        return list(self._entries)
