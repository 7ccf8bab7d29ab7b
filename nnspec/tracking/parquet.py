"""Small tables as parquet files, thousands of a kind a second.

pyarrow takes half a millisecond for a file of one row, nearly all of it for what the next file has just the same. Such
a file's numbers lie as they are in memory, each column in one piece: so pyarrow writes the first file of a kind, and
the others are that one with their own numbers put in.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa

SMALL = 1000  # rows; a larger table is worth compressing, and its columns may have several pages
GROUP = 2**17  # rows of a long table that are in memory at a time
KINDS = 256  # kinds of files kept: the verdicts and the nulls of a table are part of its kind

Column = tuple[str, str, Any]  # name; type as NumPy writes it; what is not plain numbers, else None


def parquet_file(columns: Mapping[str, np.ndarray]) -> bytes:
    """The columns, all of one length, as a parquet file: uncompressed up to ``SMALL`` rows, else with zstd."""
    rows = len(next(iter(columns.values())))
    if rows > SMALL:
        return _written({name: _arrow(values) for name, values in columns.items()}, "zstd")
    kind = tuple((name, values.dtype.str, _content(values)) for name, values in columns.items())
    pieces = list(_pieces(rows, kind))
    pieces[1::2] = [_plain(columns[name]) for name, _, content in kind if content is None]
    return b"".join(pieces)


def _content(values: np.ndarray) -> Any:
    """What makes a file another kind of file: texts, and numbers with nulls among them."""
    if np.ma.is_masked(values):
        return values.data.tobytes(), np.ma.getmaskarray(values).tobytes()
    return tuple(values.tolist()) if values.dtype.kind in "UO" else None


@lru_cache(KINDS)
def _pieces(rows: int, kind: tuple[Column, ...]) -> tuple[bytes, ...]:
    """A file with zeros for numbers, cut before and behind each column of them: every second piece is one."""
    import pyarrow.parquet as pq

    file = _written({name: _arrow(_restored(rows, dtype, content)) for name, dtype, content in kind}, "none")
    group = pq.ParquetFile(io.BytesIO(file)).metadata.row_group(0)
    pieces, end = [], 0
    for number, (_, dtype, content) in enumerate(kind):
        if content is not None:
            continue
        column, numbers = group.column(number), _plain(np.zeros(rows, dtype))
        stop = column.data_page_offset + column.total_compressed_size  # a column's numbers come last in it
        start = stop - len(numbers)
        pieces += [file[end:start], numbers]
        end = stop
    return (*pieces, file[end:])


def _restored(rows: int, dtype: str, content: Any) -> np.ndarray:
    if content is None:
        return np.zeros(rows, dtype)
    if np.dtype(dtype).kind in "UO":
        return np.array(content, dtype)
    numbers, nulls = content
    return np.ma.MaskedArray(np.frombuffer(numbers, dtype), np.frombuffer(nulls, bool))


def _plain(values: np.ndarray) -> bytes:
    """Numbers in parquet's PLAIN encoding."""
    if values.dtype.kind == "b":
        return np.packbits(values, bitorder="little").tobytes()
    if values.dtype.kind in "iu" and values.dtype.itemsize < 4:
        values = values.astype(np.int32)
    return np.ascontiguousarray(values, values.dtype.newbyteorder("<")).tobytes()


def parquet_groups(parts: Iterable[Mapping[str, np.ndarray]]) -> bytes:
    """A long table from its parts, each a mapping of columns, as one compressed file; what is written is not held
    twice."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink, writer = io.BytesIO(), None
    for part in parts:
        table = pa.table({name: _arrow(values) for name, values in part.items()})
        writer = writer or pq.ParquetWriter(sink, table.schema, compression="zstd", **PLAIN)
        writer.write_table(table)
    if writer is not None:
        writer.close()
    return sink.getvalue()


def table_file(columns: Mapping[str, Any]) -> bytes:
    """Columns of many rows, arrays of NumPy or of pyarrow, as one compressed file; whole numbers that repeat, such as
    those that name a network in each row of its history, take next to no room."""
    import pyarrow as pa

    arrays = {name: _arrow(values) if isinstance(values, np.ndarray) else values for name, values in columns.items()}
    repeated = [name for name, array in arrays.items() if not pa.types.is_floating(array.type)]
    return _written(arrays, "zstd", repeated)


# Dictionaries and statistics cost more than they save: floats rarely repeat and nobody filters files of this size.
PLAIN: dict[str, Any] = {"use_dictionary": False, "write_statistics": False}


def _written(columns: Mapping[str, pa.Array], compression: str, repeated: Sequence[str] = ()) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    options = {**PLAIN, "use_dictionary": list(repeated)} if repeated else PLAIN
    pq.write_table(pa.table(dict(columns)), sink, compression=compression, **options)
    return bytes(sink.getvalue())


def _arrow(values: np.ndarray) -> pa.Array:
    import pyarrow as pa

    if isinstance(values, np.ma.MaskedArray):
        return pa.array(values.data, mask=np.ma.getmaskarray(values))
    if values.dtype.kind in "UO":  # straight from NumPy is ten times as slow
        return pa.array(values.tolist(), pa.string())
    return pa.array(np.ascontiguousarray(values))
