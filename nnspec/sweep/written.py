"""From cells back to the file of a named sweep that states them: what all share, axes, and what fits no product.

A value that nobody needs to say is left out: a default, and what a check fills in, where it would in every cell.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nnspec.compose.stating import ABSENT, Said, default, stated, typed
from nnspec.specs import MEMBERS, RunSpec, text
from nnspec.sweep.blocks import blocks, independent
from nnspec.yaml_text import yaml_value

MOST_LEFT_OUT = 100_000  # combinations of a product that are looked through


@dataclass(frozen=True)
class Layout:
    """How cells are stated: by the product of axes (key -> values), some of which go together, less what is left out
    of it; or by that product in each of several blocks, which have axes of their own."""

    axes: Mapping[str, Sequence[Any]]
    zipped: Sequence[Sequence[str]] = ()
    left_out: Sequence[Said] = ()
    blocks: Sequence[Mapping[str, Sequence[Any]]] = ()


def experiment_text(specs: Sequence[RunSpec], axes: Sequence[str] = (), comment: str = "") -> str:
    """The file of a named sweep that states exactly these cells; ``axes`` says which of its axes come first, as they
    were typed, and ``comment`` what stands above."""
    rows = stated(specs)
    keys = list(dict.fromkeys(itertools.chain.from_iterable(rows)))
    keys = [key for key in keys if any(row[key] != default(key, row) for row in rows if key in row)]
    varying = [key for key in keys if len({_hashed(row.get(key, ABSENT)) for row in rows}) > 1]
    varying.sort(key=lambda key: axes.index(key) if key in axes else len(axes))
    shared = {key: rows[0][key] for key in keys if key not in varying}
    layout = _product(rows, varying)
    if layout is None or layout.left_out:
        union = _union(rows, varying)
        layout = union if layout is None or len(union.blocks) < len(layout.left_out) else layout
    return "\n".join([*(f"# {line}" for line in comment.splitlines()), *_lines(shared, layout), ""])


def _product(rows: Sequence[Said], varying: Sequence[str]) -> Layout | None:
    """The cells as a product of axes, some of which may go together, less a few combinations; None where they are no
    such product."""
    if any(key not in row for row in rows for key in varying):
        return None
    points = [tuple(_hashed(row[key]) for key in varying) for row in rows]
    groups = [[place] for place in range(len(varying))]
    if math.prod(len({point[place] for point in points}) for place in range(len(varying))) > len(set(points)):
        groups = _together(points, len(varying))
    steps = [list(dict.fromkeys(tuple(point[place] for place in group) for point in points)) for group in groups]
    total = math.prod(map(len, steps))
    if total > MOST_LEFT_OUT or total - len(set(points)) >= len(rows):
        return None
    places = [place for group in groups for place in group]
    values = {key: {_hashed(row[key]): row[key] for row in rows} for key in varying}
    left_out = [
        {
            varying[place]: values[varying[place]][item]
            for place, item in zip(places, itertools.chain(*step), strict=True)
        }
        for step in itertools.product(*steps)
        if tuple(item for _, item in sorted(zip(places, itertools.chain(*step), strict=True))) not in set(points)
    ]
    axes = {
        varying[place]: [values[varying[place]][step[number]] for step in found]
        for group, found in zip(groups, steps, strict=True)
        for number, place in enumerate(group)
    }
    zipped = [[varying[place] for place in group] for group in groups if len(group) > 1]
    return Layout({key: axes[key] for key in varying}, zipped, _shortened(left_out, axes))


def _shortened(items: list[Said], axes: Mapping[str, Sequence[Any]]) -> list[Said]:
    """Combinations to leave out, without the axes of which all values are."""
    for key, values in axes.items():
        by_rest: dict[Any, list[Said]] = {}
        for item in items:
            rest = tuple((name, _hashed(value)) for name, value in item.items() if name != key)
            by_rest.setdefault(rest, []).append(item)
        items = []
        for alike in by_rest.values():
            whole = sum(key in item for item in alike) == len(values)
            items += [{name: value for name, value in alike[0].items() if name != key}] if whole else alike
    return items


def _together(points: Sequence[tuple[Any, ...]], count: int) -> list[list[int]]:
    """The places of axes in groups: those of a group determine each other."""
    groups: list[list[int]] = []
    for place in range(count):
        for group in groups:
            pairs = {(point[group[0]], point[place]) for point in points}
            if len(pairs) == len({one for one, _ in pairs}) == len({other for _, other in pairs}):
                group.append(place)
                break
        else:
            groups.append([place])
    return groups


def _union(rows: Sequence[Said], varying: Sequence[str]) -> Layout:
    """The cells as blocks, and the axes that all blocks share. A key that the member of a block does not have is none
    of its axes."""
    points = [tuple(_hashed(row.get(key, ABSENT)) for key in varying) for row in rows]
    values = {
        (key, item): row[key]
        for row, point in zip(rows, points, strict=True)
        for key, item in zip(varying, point, strict=True)
        if key in row
    }
    shared = independent(points)
    axes = {varying[i]: [values[varying[i], item] for item in dict.fromkeys(p[i] for p in points)] for i in shared}
    own = [i for i in range(len(varying)) if i not in shared]
    own.sort(key=lambda i: varying[i] not in MEMBERS)
    groups = sum(varying[i] in MEMBERS for i in own)
    found = blocks([tuple(point[i] for i in own) for point in points], range(groups))
    keys = [varying[i] for i in own]
    stated = [
        {
            key: [values[key, item] for item in items]
            for key, items in zip(keys, block, strict=True)
            if (key, items[0]) in values
        }
        for block in found
    ]
    return Layout(axes, blocks=stated)


def _lines(said: Said, layout: Layout) -> Iterator[str]:
    """The file's lines."""
    groups = [key for key in MEMBERS if key in said]
    if groups:
        yield "defaults:"
        yield from (f"  - override /{key}: {said[key]}" for key in groups)
    sections: dict[str, list[str]] = {}
    for key, value in said.items():
        if key in groups:
            continue
        section, _, name = key.partition(".")
        sections.setdefault(section, []).append(f"  {name}: {yaml_value(value)}" if name else yaml_value(value))
    for section, lines in sections.items():
        yield from [f"{section}:", *lines] if lines[0].startswith("  ") else [f"{section}: {lines[0]}"]
    yield from _sweep_lines(layout)
    yield from ["hydra:", "  mode: MULTIRUN"]
    if layout.axes:
        yield from ["  sweeper:", "    params:"]
        yield from (f"      {key}: {yaml_value(axis_text(values))}" for key, values in layout.axes.items())


def _sweep_lines(layout: Layout) -> Iterator[str]:
    if layout.zipped or layout.left_out or layout.blocks:
        yield "sweep:"
    if layout.zipped:
        yield f"  zip: {yaml_value([list(keys) for keys in layout.zipped])}"
    if layout.left_out:
        yield "  exclude:"
        yield from (_item({key: yaml_value(value) for key, value in item.items()}) for item in layout.left_out)
    if layout.blocks:
        yield "  where:"
        yield from (_item({key: _block_text(values) for key, values in block.items()}) for block in layout.blocks)


def _item(written: Mapping[str, str]) -> str:
    return "    - {" + ", ".join(f"{key}: {value}" for key, value in written.items()) + "}"


def _block_text(values: Sequence[Any]) -> str:
    """The values of a key of ``sweep.where``: by itself a single one that is no text of Hydra's grammar."""
    if len(values) == 1 and not isinstance(values[0], list) and typed(values[0]) in (values[0], text(values[0])):
        return yaml_value(values[0])
    grammar = axis_text(values)
    return yaml_value(grammar if grammar.startswith("range(") else list(values))


def axis_text(values: Sequence[Any]) -> str:
    """The values of an axis in Hydra's grammar: a range where they are consecutive whole numbers."""
    numbers = [value for value in values if type(value) is int]
    if len(numbers) == len(values) > 2 and numbers == list(range(numbers[0], numbers[0] + len(numbers))):
        return f"range({numbers[0]},{numbers[-1] + 1})"
    return ",".join(typed(value) for value in values)


def _hashed(value: Any) -> Any:
    return tuple(map(_hashed, value)) if isinstance(value, list) else (type(value).__name__, value)
