"""The rows of a sweep: the product of its axes in each block, then zip and exclude."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence

from nnspec.compose.explain import MOST_VALUES
from nnspec.errors import Fault, nearest
from nnspec.settings import Sweep
from nnspec.specs import text
from nnspec.sweep.axes import UNSAID, Axis, Row, Statement


def layout(statement: Statement, sweep: Sweep) -> tuple[list[Row], list[Fault]]:
    """The rows of a sweep, block after block, and every fault: of each block the product of its axes, zipped ones
    moving together, excluded ones left out."""
    axes = statement.axes
    faults = _table_faults(axes, sweep.table or ())
    excluded = [_exclusion(axes, item, faults) for item in sweep.exclude]
    blocks = [(places, _zipped(axes, places, sweep.zip, faults)) for places in statement.places]
    count = sum(math.prod(len(places[group[0]]) for group in groups) for places, groups in blocks)
    if count > MOST_VALUES:
        rule = f"must have at most {MOST_VALUES} cells"
        return [], [*faults, Fault("the sweep", rule, str(count), "sweep over less at once")]
    rows: list[Row] = []
    used: set[int] = set()  # the items of sweep.exclude that match something
    for places, groups in blocks:
        block = _product(places, groups)
        rows += block if not excluded else (row for row in block if not _left_out(row, excluded, used))
    idle = [item for place, item in enumerate(sweep.exclude) if place not in used]
    if not faults:
        rule, remedy = "must match a cell", "remove it, or change what it names"
        faults += [Fault("sweep.exclude", rule, _item(item), remedy) for item in idle]
    if not rows and not faults:
        faults.append(Fault("sweep.exclude", "must leave a cell", "none", "exclude fewer"))
    return rows, list(dict.fromkeys(faults))


def _product(places: Sequence[Row], groups: Sequence[Sequence[int]]) -> Iterable[Row]:
    """The rows of one block: the last group of axes moves first."""
    if len(groups) == len(places):
        return itertools.product(*places)  # a million of them within a second
    steps = [list(zip(*(places[i] for i in group), strict=True)) for group in groups]
    order = [axis for group in groups for axis in group]
    joined = (tuple(itertools.chain.from_iterable(step)) for step in itertools.product(*steps))
    if order == sorted(order):
        return joined
    return (tuple(place for _, place in sorted(zip(order, row, strict=True))) for row in joined)


def _left_out(row: Row, excluded: Sequence[Mapping[int, set[int]]], used: set[int]) -> bool:
    """Whether an item of ``sweep.exclude`` matches; those that do are noted in ``used``."""
    matched = [
        place for place, item in enumerate(excluded) if all(row[axis] in places for axis, places in item.items())
    ]
    used.update(matched)
    return bool(matched)


def _zipped(
    axes: Sequence[Axis], places: Sequence[Row], wanted: Sequence[Sequence[str]], faults: list[Fault]
) -> list[list[int]]:
    """The axes of a block in groups that move together, each at the place of its first axis; an axis that the block
    does not say moves with none."""
    owner: dict[int, list[int]] = {}
    for names in wanted:
        found = [place for name in names if (place := _place(axes, name, "sweep.zip", faults)) is not None]
        if len(found) < len(names):
            continue
        lengths = {axes[i].name: len(places[i]) for i in found if places[i] != (UNSAID,)}
        if len(set(lengths.values())) > 1:
            said = ", ".join(f"{name} has {n}" for name, n in lengths.items())
            faults.append(Fault("sweep.zip", "must join axes with equally many values", said, "give them equally many"))
        elif len(set(found)) < len(found) or any(i in owner for i in found):
            faults.append(
                Fault("sweep.zip", "must name each axis once", text(list(names)), "remove the second mention")
            )
        else:
            joined = [i for i in found if places[i] != (UNSAID,)]
            owner.update(dict.fromkeys(joined, joined))
    groups: list[list[int]] = []
    for i in range(len(axes)):
        group = owner.get(i, [i])
        if group not in groups:
            groups.append(group)
    return groups


def _item(item: Mapping[str, object]) -> str:
    return "{" + ", ".join(f"{name}: {text(value)}" for name, value in item.items()) + "}"


def _table_faults(axes: Sequence[Axis], names: Sequence[str]) -> list[Fault]:
    """What is wrong with the axes that the result table is to have."""
    faults: list[Fault] = []
    found = [_place(axes, name, "sweep.table", faults) for name in names]
    if not faults and len(set(found)) < len(found):
        faults.append(Fault("sweep.table", "must name each axis once", text(list(names)), "remove the second mention"))
    return faults


def _exclusion(axes: Sequence[Axis], item: Mapping[str, object], faults: list[Fault]) -> dict[int, set[int]]:
    """Axis -> the places of its values that this item matches."""
    matched: dict[int, set[int]] = {}
    for name, value in item.items():
        place = _place(axes, name, "sweep.exclude", faults)
        if place is None:
            continue
        matched[place] = axes[place].find(value)
        if not matched[place]:
            remedy = f"available: {', '.join(axes[place].texts)}"
            faults.append(Fault("sweep.exclude", f"must name values of the axis {name}", text(value), remedy))
    return matched


def _place(axes: Sequence[Axis], name: str, where: str, faults: list[Fault]) -> int | None:
    names = [axis.name for axis in axes]
    if name in names:
        return names.index(name)
    faults.append(
        Fault(
            where,
            "must name axes of the sweep",
            f"'{name}'",
            nearest(name, names) if names else "the sweep has no axes",
        )
    )
    return None
