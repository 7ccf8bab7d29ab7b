"""What a sweep is once it is expanded."""

from __future__ import annotations

from dataclasses import dataclass

from nnspec.specs import RunSpec


@dataclass(frozen=True)
class Cell:
    """One combination of a sweep; ``choices`` are (axis, value as typed), in the order of the axes."""

    spec: RunSpec
    choices: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class SweepPlan:
    """The checked cells of a sweep, each of a different spec.

    ``axes`` are the keys that vary, as typed; ``duplicates`` counts the combinations that stated the spec of another
    one; ``shard`` is (i, K) if the cells are the i-th of K parts.
    """

    cells: tuple[Cell, ...]
    axes: tuple[str, ...] = ()
    duplicates: int = 0
    shard: tuple[int, int] | None = None
