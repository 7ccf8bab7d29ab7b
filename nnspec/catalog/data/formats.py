"""Reading tables and arrays from the bytes of a file that may be anything: CSV, Parquet, NumPy's npz. No pickle."""

from __future__ import annotations

import csv
import io
import math
import zipfile
import zlib
from array import array
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from nnspec.catalog.data.assemble import (
    Ask,
    Column,
    Table,
    bad_cell,
    refuse,
    require_columns,
    require_names,
    require_rows,
)
from nnspec.errors import cut, nearest

SEPARATORS = (",", ";", "\t")
ARRAY_BYTES = 4 * 2**30  # of an array of an npz file: what a small file unpacks to


def _row(row: int) -> str:
    return f"row {row + 1}"


def read_csv(content: bytes, ask: Ask) -> Table:
    """A CSV file: UTF-8, the first line names the columns, separated by what of , ; and tab that line has most of."""
    text = _decoded(content, ask)
    lines = _csv_lines(text, ask)
    head = next(lines, (1, []))[1]
    if not head:
        raise refuse("path", "must hold a table", f"'{ask.path}', which is empty", "its first line names the columns")
    names = [name.strip() for name in head]
    require_columns(ask, names)
    at_target = [names.index(name) for name in ask.target]
    at_input = [at for at, name in enumerate(names) if name not in {*ask.target, *ask.drop}]
    values, targets, places = array("d"), [[] for _ in ask.target], array("q")  # type: ignore[var-annotated]
    for line, cells in lines:
        if len(cells) != len(names):
            rule = f"must have {len(names)} cells, as the head has"
            raise refuse(f"path: {ask.path}, line {line}", rule, str(len(cells)), "mend the line")
        try:
            values.extend([float(cells[at]) for at in at_input])
        except ValueError:
            at = next(at for at in at_input if not _is_number(cells[at]))
            raise bad_cell(ask.path, f"line {line}", names[at], cells[at]) from None
        for column, at in zip(targets, at_target, strict=True):
            column.append(cells[at])
        places.append(line)
        if len(places) > ask.most:
            break
    require_rows(ask, len(places))
    inputs = np.array(values, dtype=np.float64).reshape(len(places), len(at_input))
    input_names = tuple(names[at] for at in at_input)
    return Table(inputs, input_names, targets, ask.target, lambda row: f"line {places[row]}")


def _decoded(content: bytes, ask: Ask) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        where = f"path: {ask.path}, line {line}"
        raise refuse(where, f"must be UTF-8 text ({error.reason})", remedy="save the table as CSV in UTF-8") from None


def _csv_lines(text: str, ask: Ask) -> Iterator[tuple[int, list[str]]]:
    """The lines of a table that are not blank: the number of each (of its first line, where it has several), and its
    cells."""
    first = text.split("\n", 1)[0]
    separator = max(SEPARATORS, key=first.count)  # of equally frequent ones the first
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    line = 1
    try:
        for cells in reader:
            if cells:
                yield line, cells
            line = reader.line_num + 1
    except csv.Error as error:
        raise refuse(
            f"path: {ask.path}, line {line}", f"must be a line of a CSV file ({error})", remedy="mend it"
        ) from None


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def read_parquet(content: bytes, ask: Ask) -> Table:
    """A Parquet file; columns of numbers and of truth values are inputs, a target may be text too."""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        file = parquet.ParquetFile(pa.BufferReader(content))
        names = [name for name in file.schema_arrow.names if not name.startswith("__index_level_")]  # pandas' index
        require_columns(ask, names)
        require_rows(ask, file.metadata.num_rows)
        wanted = [name for name in names if name not in ask.drop]
        table = file.read(columns=wanted)
    except (pa.ArrowException, OSError, ValueError, NotImplementedError) as error:
        why = cut(" ".join(str(error).split()), 150)
        raise refuse("path", "must be a Parquet file", f"'{ask.path}' ({why})", "check the path and data=") from None
    inputs = [name for name in wanted if name not in ask.target]
    columns = [_arrow_numbers(table.column(name), name, ask) for name in inputs]
    targets = [_arrow_target(table.column(name), name, ask) for name in ask.target]
    return Table(np.column_stack(columns), tuple(inputs), targets, ask.target, _row)


def _arrow_numbers(column: Any, name: str, ask: Ask) -> np.ndarray:
    """A column [n] float64, NaN where it is null; refused by its first value if it holds no numbers."""
    import pyarrow as pa

    kind = column.type
    if not any(test(kind) for test in (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean)):
        values = column.slice(0, 1).to_pylist()
        raise bad_cell(ask.path, _row(0), name, str(values[0]) if values and values[0] is not None else f"a {kind}")
    nulls = np.flatnonzero(column.is_null().to_numpy())
    if len(nulls):
        raise bad_cell(ask.path, _row(int(nulls[0])), name, "")
    return np.asarray(column.to_numpy(), dtype=np.float64)


def _arrow_target(column: Any, name: str, ask: Ask) -> Column:
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if not any(test(column.type) for test in (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)):
        return _arrow_numbers(column, name, ask)
    return ["" if value is None else str(value) for value in column.to_pylist()]


def read_npz(content: bytes, ask: Ask) -> Table:
    """A file of ``numpy.savez``: the arrays that ``target`` and ``inputs`` name; rows of inputs are flattened."""
    try:
        archive = zipfile.ZipFile(io.BytesIO(content))
        names = [name.removesuffix(".npy") for name in archive.namelist()]
        if len(set(names)) < len(names):
            raise ValueError("an array is there twice")
    except (zipfile.BadZipFile, ValueError, NotImplementedError, UnicodeDecodeError) as error:
        raise refuse("path", "must be a file of numpy.savez", f"'{ask.path}' ({error})", "save one") from None
    require_names("target", ask.target, names)
    inputs_name = _inputs_name(names, ask)
    for where, name in (*(("target", name) for name in ask.target), ("inputs", inputs_name)):
        if name not in names:
            raise refuse(where, "must be an array of the file", f"'{name}'", nearest(name, names))
    inputs = _member(archive, inputs_name, ask)
    if inputs.ndim == 0 or inputs.dtype.kind not in "biuf" or not math.prod(inputs.shape[1:]):
        found = f"{inputs.dtype} {list(inputs.shape)}"
        raise refuse("inputs", "must be numbers with a row an example, [n, ...]", found, "save them like that")
    rows = len(inputs)
    require_rows(ask, rows)
    flat = inputs.reshape(rows, -1).astype(np.float64)
    targets, target_names = [], []
    for name in ask.target:
        columns = _npz_columns(_member(archive, name, ask), name, rows)
        targets += columns
        target_names += [name] if len(columns) == 1 else [f"{name}[{at}]" for at in range(len(columns))]
    return Table(flat, tuple(f"{inputs_name}[{at}]" for at in range(flat.shape[1])), targets, tuple(target_names), _row)


def _inputs_name(names: Sequence[str], ask: Ask) -> str:
    if ask.inputs is not None:
        if ask.inputs in ask.target:
            raise refuse("inputs", "must be another array than the target", f"'{ask.inputs}'", "choose another one")
        return ask.inputs
    others = [name for name in names if name not in ask.target]
    if len(others) != 1:
        remedy = f"available: {cut(', '.join(names), 400)}"
        raise refuse("inputs", "must be given unless the file has one array beside the target", "", remedy)
    return others[0]


def _member(archive: zipfile.ZipFile, name: str, ask: Ask) -> np.ndarray:
    """An array of the file; its size is known and allowed before it is made."""
    member = f"{name}.npy" if f"{name}.npy" in archive.namelist() else name
    try:
        with archive.open(member) as file:
            version = np.lib.format.read_magic(file)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, _, dtype = read(file)
            if dtype.hasobject:
                raise ValueError("it holds Python objects, which only code could read")
            if dtype.itemsize * math.prod(shape) > min(ARRAY_BYTES, archive.getinfo(member).file_size):
                raise ValueError(f"its shape {list(shape)} is larger than what it holds, or too large")
        with archive.open(member) as file:
            return np.asarray(np.lib.format.read_array(file, allow_pickle=False))
    except (ValueError, EOFError, OSError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError) as error:
        why = cut(" ".join(str(error).split()), 150)
        raise refuse("path", f"must hold the array '{name}'", f"'{ask.path}' ({why})", "save it again") from None


def _npz_columns(values: np.ndarray, name: str, rows: int) -> list[Column]:
    numeric = values.dtype.kind in "biuf"
    fits = values.ndim == 1 or (values.ndim == 2 and (numeric or values.shape[1] == 1))
    if not fits or not (numeric or values.dtype.kind == "U") or not values.size:
        found = f"{values.dtype} {list(values.shape)}"
        raise refuse(
            "target", "must be an array [n] of numbers or texts, or [n, k] of numbers", found, "save it like that"
        )
    if len(values) != rows:
        raise refuse(
            "target", f"must have a row for each of the {rows} inputs", f"{len(values)} in '{name}'", "mend it"
        )
    table = values.reshape(rows, -1)
    if numeric:
        return list(table.astype(np.float64).T)
    return [list(map(str, column)) for column in table.T]
