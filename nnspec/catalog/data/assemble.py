"""From the columns of a file to a data set: inputs are numbers; a target is classes, numbers, or both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from nnspec.catalog.data.sets import DataSet
from nnspec.errors import Fault, SpecError, cut, nearest

MISSING = frozenset({"", "?", "NA", "N/A", "NaN", "nan", "NULL", "null", "<NA>"})
CLASSES = 1000  # more are no classes: the networks would have an output for each
_CELL = 40  # characters of a cell that an error shows
Column = np.ndarray | list[str]  # [n] float64, NaN where there is none; or texts


@dataclass(frozen=True)
class Ask:
    """What is wanted of a file: see the parameters of the entries; ``target`` and ``drop`` are names."""

    path: str
    target: tuple[str, ...]
    drop: tuple[str, ...]
    inputs: str | None
    most: int


@dataclass(frozen=True)
class Table:
    """What a file holds: ``inputs`` [n, i] float64 with their names, the columns of the target with theirs, and
    ``place(row)``, where in the file a row is, in words."""

    inputs: np.ndarray
    names: tuple[str, ...]
    targets: Sequence[Column]
    target_names: tuple[str, ...]
    place: Callable[[int], str]


def refuse(where: str, rule: str, value: str = "", remedy: str = "") -> SpecError:
    """The error of a file, to be raised."""
    return SpecError([Fault(f"data.{where}", rule, value, remedy)])


def bad_cell(path: str, place: str, column: str, cell: str) -> SpecError:
    """The error of a cell that is no number."""
    missing = cell.strip() in MISSING
    rule = "must not be missing" if missing else "must be a finite number"
    remedy = "fill it in or remove the row" if missing else f"mend it, or leave the column out: data.drop=[{column}]"
    return refuse(f"path: {path}, {place}, column '{column}'", rule, f"'{cut(cell, _CELL)}'", remedy)


def require_columns(ask: Ask, names: Sequence[str]) -> None:
    """See that a table's head has different names, and among them all that are asked for."""
    seen: set[str] = set()
    for number, name in enumerate(names, start=1):
        if not name.strip():
            remedy = "name it, or remove it (pandas: to_csv(..., index=False))"
            raise refuse(f"path: {ask.path}", f"must name every column, but column {number} has no name", "", remedy)
        if name in seen:
            raise refuse(f"path: {ask.path}", "must have different names of columns", f"'{name}' twice", "rename one")
        seen.add(name)
    require_names("target", ask.target, names)
    for where, wanted in (("target", ask.target), ("drop", ask.drop)):
        for name in wanted:
            if name not in seen:
                raise refuse(where, "must be a column of the file", f"'{name}'", nearest(name, names))
    if both := set(ask.target) & set(ask.drop):
        raise refuse("drop", "must leave the target in", f"'{min(both)}'", "remove it from the list")
    if not seen - set(ask.target) - set(ask.drop):
        raise refuse("target", "must leave a column for the inputs", f"{len(seen)} columns", "add one to the file")


def require_names(where: str, wanted: Sequence[str], names: Sequence[str]) -> None:
    """See that it is said what is to be learnt."""
    if not wanted:
        raise refuse(where, "must be given", remedy=f"available: {cut(', '.join(names), 400)}")


def require_rows(ask: Ask, rows: int) -> None:
    """See that a file has rows and not too many of them."""
    if rows < 1:
        raise refuse("path", "must hold rows of data", f"'{ask.path}' with none", "add some")
    if rows > ask.most:
        remedy = "raise data.max_rows, or take a sample of the rows"
        raise refuse("path", f"must have at most data.max_rows={ask.most} rows", f"'{ask.path}' with more", remedy)


def assemble(table: Table, ask: Ask) -> DataSet:
    """The data set of a table.

    Raises:
        SpecError: a number is missing or infinite, a class is missing, or there is nothing to learn.
    """
    wrong = np.argwhere(~np.isfinite(table.inputs))
    if len(wrong):
        row, column = wrong[0]
        raise bad_cell(ask.path, table.place(row), table.names[column], str(table.inputs[row, column]))
    found = DataSet(table.inputs, None, 0, None, table.names, (), table.target_names)
    for column, name in zip(table.targets, table.target_names, strict=True):
        _require_present(table, ask, column, name)
    numbers = [_numbers(column) for column in table.targets]
    if all(isinstance(column, np.ndarray) for column in numbers):
        return _with_numbers(found, table, np.column_stack([np.asarray(column) for column in numbers]))
    row = next((at for at in numbers if isinstance(at, int)), 0)
    column = numbers.index(row)
    cell = table.targets[column][row]
    if len(table.targets) > 1:
        raise bad_cell(ask.path, table.place(row), table.target_names[column], str(cell))
    note = f"{table.place(row)} has '{cut(str(cell), _CELL)}', which is no number"
    return _with_classes(replace(found, note=note), [str(cell).strip() for cell in table.targets[0]])


def _require_present(table: Table, ask: Ask, column: Column, name: str) -> None:
    if isinstance(column, np.ndarray):
        at = np.flatnonzero(~np.isfinite(column))
        row = int(at[0]) if len(at) else None
    else:
        row = next((row for row, cell in enumerate(column) if cell.strip() in MISSING), None)
    if row is not None:
        raise bad_cell(ask.path, table.place(row), name, str(column[row]))


def _numbers(column: Column) -> np.ndarray | int:
    """A column as numbers, or the first row that is none."""
    if isinstance(column, np.ndarray):
        return column
    values = np.empty(len(column))
    for row, cell in enumerate(column):
        try:
            values[row] = float(cell)
        except ValueError:
            return row
        if not np.isfinite(values[row]):
            return row
    return values


def _with_numbers(found: DataSet, table: Table, targets: np.ndarray) -> DataSet:
    """The numbers to be learnt, and classes where they can be that: one column of few whole numbers."""
    found = replace(found, targets=targets)
    if targets.shape[1] > 1:
        return replace(found, note="several targets are numbers")
    column = targets[:, 0]
    broken = np.flatnonzero(column != np.floor(column))
    if len(broken):
        note = f"{table.place(int(broken[0]))} has {column[broken[0]]:g}, which is no class"
        return replace(found, note=note)
    values, labels = np.unique(column, return_inverse=True)
    if len(values) > CLASSES:
        return replace(found, note=f"it has more than {CLASSES} different numbers, too many for classes")
    names = tuple(f"{value:.0f}" for value in values)
    return replace(found, labels=labels.astype(np.int64), classes=len(values), class_names=names)


def _with_classes(found: DataSet, texts: Sequence[str]) -> DataSet:
    """Classes in the order of the alphabet."""
    names, labels = np.unique(np.array(texts), return_inverse=True)
    if len(names) > CLASSES:
        rule = f"must have at most {CLASSES} different texts to be classes"
        raise refuse("target", rule, f"{len(names)} ({found.note})", "choose another column")
    return replace(found, labels=labels.astype(np.int64), classes=len(names), class_names=tuple(map(str, names)))
