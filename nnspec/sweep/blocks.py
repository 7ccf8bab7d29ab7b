"""Cells that are no product, as blocks that are: what ``sweep.where`` states, found from the cells."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence

Point = tuple[Hashable, ...]  # a value of each key
Block = tuple[tuple[Hashable, ...], ...]  # for each key, its values: the points of their product


def independent(points: Sequence[Point]) -> list[int]:
    """The places whose values go with all of what the other places hold."""
    found: list[int] = []
    rest = list(dict.fromkeys(points))
    for place in range(len(points[0])):
        values = {point[place] for point in rest}
        others = list(dict.fromkeys((*point[:place], None, *point[place + 1 :]) for point in rest))
        if len(values) * len(others) == len(rest):
            found.append(place)
            rest = others
    return found


def blocks(points: Iterable[Point], apart: Sequence[int]) -> list[Block]:
    """The points as a union of products, few rather than the fewest. The places ``apart`` have one value a block at
    first; blocks that differ in one place are then joined."""
    groups: dict[Point, list[Point]] = {}
    for point in dict.fromkeys(points):
        groups.setdefault(tuple(point[place] for place in apart), []).append(point)
    found = [block for group in groups.values() for block in _products(group, 0)]
    joined: list[Block] = []
    for block in found:
        before = joined[-1] if joined else None
        union = _union(before, block) if before is not None else None
        if union is None:
            joined.append(block)
        else:
            joined[-1] = union
    return joined


def _products(points: Sequence[Point], place: int) -> list[Block]:
    """The points as products: all of them at once, or apart by the value at a place, and so on."""
    values = [tuple(dict.fromkeys(column)) for column in zip(*points, strict=True)]
    size = 1
    for column in values:
        size *= len(column)
    if size == len(points):
        return [tuple(values)]
    parts: dict[Hashable, list[Point]] = {}
    for point in points:
        parts.setdefault(point[place], []).append(point)
    return [block for part in parts.values() for block in _products(part, place + 1)]


def _union(one: Block, other: Block) -> Block | None:
    """One block with the points of both, where they differ in one place only."""
    differ = [place for place, (a, b) in enumerate(zip(one, other, strict=True)) if a != b]
    if len(differ) != 1:
        return None
    place = differ[0]
    return (*one[:place], tuple(dict.fromkeys([*one[place], *other[place]])), *one[place + 1 :])
