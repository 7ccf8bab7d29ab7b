"""The config of each row of a product, equal to what Hydra composes for it, without composing each.

Groups are composed once a combination (or once at all, where they are leaves); values are put in place in plain Python.
A row is put together from its sections (the top-level keys of the config), and a section depends on few axes, so that
the sections of ten thousand rows are few. What this cannot do exactly raises ``NotPlain``, and Hydra composes every
row.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hydra.core.override_parser.types import Override, OverrideType

from nnspec.compose.composer import Composer
from nnspec.compose.explain import key_parts, unknown_key
from nnspec.errors import Fault, SpecError
from nnspec.sweep.axes import UNSAID, Row, Statement
from nnspec.sweep.leaves import leaves

Section = Any  # what a top-level key holds: a mapping, a list or a scalar


class NotPlain(Exception):
    """This sweep needs Hydra for every row."""


class Product:
    """The configs of the rows of a sweep; ``sections`` has the axes that each top-level key depends on,
    ``composed`` what Hydra composed: the combinations of groups, or the first alone.

    Raises:
        NotPlain: the configs cannot be put together from sections.
        HydraException and others of ``COMPOSE_ERRORS``: the first row does not compose.
    """

    def __init__(self, composer: Composer, statement: Statement):
        self.composer = composer
        self.axes = statement.axes
        self._statement = statement
        self._groups = [i for i, axis in enumerate(self.axes) if axis.group]
        self._values = [i for i, axis in enumerate(self.axes) if not axis.group]
        self._require_plain_values()
        first = tuple(0 for _ in self._groups)
        self.composed: dict[Row, dict[str, Any]] = {first: composer.container(self._lines(first))}
        self.first = self.composed[first]
        found = leaves(composer, self._lines(first), [self.axes[i] for i in self._groups]) if self._groups else []
        self._leaves = None if found is None else dict(zip(self._groups, found, strict=True))
        if self._leaves and not self._leaves_plain():
            self._leaves = None
        self.interpolated = self._interpolated()
        self.sections = self._sections()

    def config(self, row: Row) -> dict[str, Any]:
        """The config of one row, as plain data with its interpolations resolved.

        Raises:
            SpecError: an override names a key that this row's config does not have.
        """
        config = dict(self._container(tuple(row[i] for i in self._groups)))
        for key, axes in self.sections.items():
            config[key] = self.section(key, tuple(row[i] for i in axes))
        return self.composer.resolved(config) if self.interpolated else config

    def section(self, key: str, places: Row) -> Section:
        """What ``key`` holds where the axes ``sections[key]`` are at ``places``; interpolations as they are written.

        Raises:
            SpecError: an override names a key that is not there.
        """
        at = dict(zip(self.sections[key], places, strict=True))
        leaf = next((i for i, leaf in (self._leaves or {}).items() if leaf.key == key), None)
        if leaf is not None and self._leaves is not None:
            config: dict[str, Any] = {key: self._leaves[leaf].sections[at[leaf]]}
            for override in self._fixed_below(key):
                config = put(config, override.key_or_group, override.value())
        else:
            combination = tuple(at.get(i, 0) for i in self._groups)
            config = self._container(combination)
        for i in self._values:
            if at.get(i, UNSAID) != UNSAID:
                config = put(config, self.axes[i].override.key_or_group, self.axes[i].values[at[i]])
        return config.get(key)

    def _container(self, combination: Row) -> dict[str, Any]:
        if self._leaves is not None:
            combination = tuple(0 for _ in self._groups)
        if combination not in self.composed:
            self.composed[combination] = self.composer.container(self._lines(combination))
        return self.composed[combination]

    def _lines(self, combination: Row) -> list[str]:
        return self._statement.lines(dict(zip(self._groups, combination, strict=True)))

    def _sections(self) -> dict[str, tuple[int, ...]]:
        """Top-level key -> the axes that it depends on, in their order."""
        touched: dict[str, set[int]] = {}
        for i, leaf in (self._leaves or {}).items():
            touched.setdefault(leaf.key, set()).add(i)
        if self._leaves is None:
            for key in self._all_keys():
                touched.setdefault(key, set()).update(self._groups)
        for i in self._values:
            touched.setdefault(key_parts(self.axes[i].override.key_or_group)[0], set()).add(i)
        return {key: tuple(sorted(axes)) for key, axes in touched.items()}

    def _all_keys(self) -> set[str]:
        """The keys of all combinations; they must be the same, or a section could be there in one row only."""
        keys = set(self.first)
        for combination in self._combinations():
            if set(self._container(combination)) != keys:
                raise NotPlain
        return keys

    def _combinations(self) -> Iterator[Row]:
        return itertools.product(*(range(len(self.axes[i].values)) for i in self._groups))

    def _require_plain_values(self) -> None:
        """Values must change what is there, in places that do not contain each other."""
        changed = [self.axes[i].override for i in self._values]
        if any(o.type != OverrideType.CHANGE or o.package is not None for o in changed):
            raise NotPlain
        if any(isinstance(value, dict) for i in self._values for value in self.axes[i].values):
            raise NotPlain
        others = self._fixed_values()
        for i, one in enumerate(changed):
            if any(_related(one, other) for other in [*changed[i + 1 :], *others]):
                raise NotPlain

    def _leaves_plain(self) -> bool:
        """Whether the overrides that all rows share can be put into the leaves as well."""
        below = [o for leaf in (self._leaves or {}).values() for o in self._fixed_below(leaf.key)]
        return all(
            o.type == OverrideType.CHANGE and o.package is None and not isinstance(o.value(), dict) for o in below
        )

    def _fixed_below(self, key: str) -> list[Override]:
        return [o for o in self._fixed_values() if key_parts(o.key_or_group)[:1] == [key]]

    def _fixed_values(self) -> list[Override]:
        """The overrides of values, not of groups, that all rows share."""
        return [
            o
            for o in self._statement.fixed
            if not self.composer.is_group(o.key_or_group) or isinstance(o.value(), dict)
        ]

    def _interpolated(self) -> bool:
        values = [value for axis in self.axes for value in axis.values if not isinstance(value, (int, float))]
        sources: list[object] = [*self.composed.values(), values]
        sources += [leaf.sections for leaf in (self._leaves or {}).values()]
        written = [text for source in sources for text in _texts(source) if "${" in text]
        if any("hydra" in text for text in written):
            raise NotPlain  # what is Hydra's own differs from job to job
        return bool(written)


def put(config: dict[str, Any], key: str, value: object) -> dict[str, Any]:
    """``config`` with ``value`` at a dotted ``key`` that is there; the parts that do not change are shared.

    Raises:
        SpecError: there is no such key.
        NotPlain: what is there or on the way is such that Hydra would do more than replace it.
    """
    parts = key_parts(key)
    changed = dict(config)
    node = changed
    for depth, part in enumerate(parts):
        if part not in node:
            raise SpecError([unknown_key(key, config) or Fault(key, "is not a known key")])
        below = node[part]
        if depth == len(parts) - 1:
            if isinstance(below, dict):
                raise NotPlain
            node[part] = value
        elif isinstance(below, dict):
            node[part] = dict(below)
            node = node[part]
        elif isinstance(below, list) or (isinstance(below, str) and "${" in below):
            raise NotPlain
        else:
            raise SpecError([unknown_key(key, config) or Fault(key, "is not a known key")])
    return changed


def _related(one: Override, other: Override) -> bool:
    a, b = key_parts(one.key_or_group), key_parts(other.key_or_group)
    return a[: len(b)] == b[: len(a)]


def _texts(node: object) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    elif isinstance(node, Mapping):
        for value in node.values():
            yield from _texts(value)
    elif isinstance(node, Sequence):
        for value in node:
            yield from _texts(value)
