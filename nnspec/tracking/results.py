"""The table of results, one row a network: the one reader of it, which checks what everyone else then relies on.

A store may come from a stranger, or from a program that wrote half of it. Whoever reads results, to print, compare,
draw, resume or reuse them, gets a table from here.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nnspec.errors import Fault, TrackingError, first_line
from nnspec.results.arrays import NEVER, TIMES
from nnspec.specs import SEEDS
from nnspec.tracking.artifacts import RESULTS
from nnspec.tracking.store import Store, artifact_at_end

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

MOST_VALUES = 500_000_000  # rows times columns: a small file may unpack to any size
REMEDY = "train the run again, or mend the file"


@dataclass(frozen=True)
class Column:
    """What a column of results must hold: the rule in words, and the values as everyone reads them, or None where they
    break it."""

    rule: str
    read: Callable[[pa.ChunkedArray], Any]
    required: bool = True


def _whole(low: int, high: int, nulls: bool = False) -> Callable[[pa.ChunkedArray], Any]:
    def read(column: pa.ChunkedArray) -> Any:
        import pandas as pd
        import pyarrow as pa

        if column.null_count and not nulls:
            return None
        if pa.types.is_null(column.type):
            return pd.array([None] * len(column), dtype="Int64")
        if nulls and pa.types.is_floating(column.type):  # what other programs make of whole numbers with nulls
            # an error unless they are whole
            column = pa.chunked_array([pa.array(column.to_pandas(), from_pandas=True)]).cast(pa.int64())
        if not pa.types.is_integer(column.type):
            return None
        if column.null_count < len(column):
            found = column.drop_null().to_numpy()
            if found.min() < low or found.max() > high:
                return None
        return pd.array(column.to_pylist(), dtype="Int64") if nulls else column.to_numpy().astype(np.int64)

    return read


def _numbers(column: pa.ChunkedArray) -> Any:
    import pyarrow as pa

    kinds = pa.types.is_floating(column.type), pa.types.is_integer(column.type)
    return (
        column.to_pandas().to_numpy(dtype=np.dtype(column.type.to_pandas_dtype()) if kinds[0] else float)
        if any(kinds)
        else None
    )


def _booleans(column: pa.ChunkedArray) -> Any:
    import pyarrow as pa

    return (
        column.to_pandas().to_numpy(dtype=bool) if pa.types.is_boolean(column.type) and not column.null_count else None
    )


def _texts(column: pa.ChunkedArray) -> Any:
    import pyarrow as pa

    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)) or column.null_count:
        return None
    return np.array(column.to_pylist(), dtype=object)


COLUMNS = {
    "cell": Column("whole numbers from 0", _whole(0, 2**31), required=False),
    "seed": Column("whole numbers from 0 below 2^32", _whole(0, SEEDS - 1)),
    "final_loss": Column("numbers", _numbers),
    "final_accuracy": Column("numbers", _numbers),
    "final_test_loss": Column("numbers", _numbers, required=False),
    "final_test_accuracy": Column("numbers", _numbers, required=False),
    "solved": Column("true or false in each row", _booleans),
    **{
        name: Column("whole numbers from 0, or nothing", _whole(0, 2**62, nulls=True), required=name == "solved_at")
        for name in TIMES
    },
    "verdict": Column("a text in each row", _texts, required=False),
    "epochs": Column("whole numbers from 0", _whole(0, 2**62), required=False),
}


def read_results(store: Store, run_id: str) -> pd.DataFrame:
    """The table that a run filed, checked: one row or more, the required ``COLUMNS`` of their kinds, no column twice,
    and otherwise columns of numbers, booleans or texts only.

    Raises:
        TrackingError: there is no such file, or it is not as it must be.
    """
    packed = store.packed_results(run_id)
    if packed is None:
        return checked_results(artifact_at_end(store, run_id, RESULTS), f"{RESULTS} of run {run_id}")
    import pandas as pd

    times = {name: pd.array(packed[name], dtype="Int64") for name in TIMES if name in packed}
    for values in times.values():
        values[values == NEVER] = pd.NA
    return pd.DataFrame({**packed, **times})


def checked_results(content: bytes, where: str, also: Collection[str] = ()) -> pd.DataFrame:
    """The table that the bytes of a parquet file hold, as ``read_results`` does; ``also`` are columns that it must have
    too, and ``where`` names the file in errors."""
    import pandas as pd
    import pyarrow as pa

    table = read_parquet(content, where)
    for name, column in COLUMNS.items():
        if (column.required or name in also) and name not in table.column_names:
            raise _refused(where, f"must have a column '{name}'", f"the columns {', '.join(table.column_names)}")
    try:
        frame = pd.DataFrame({name: _checked(name, table[name], where) for name in table.column_names})
    except (pa.ArrowException, ValueError, TypeError, OverflowError) as error:
        raise _refused(where, "must hold values that can be read", first_line(error)) from error
    if (frame["solved"] & frame["solved_at"].isna()).any():
        raise _refused(where, "must say in 'solved_at' when each solved network was", "a solved one without")
    return frame


def times_of(table: pd.DataFrame) -> dict[str, np.ndarray]:
    """The columns of ``TIMES`` that a table has, as results have them: whole numbers, ``NEVER`` for nothing."""
    return {name: table[name].fillna(NEVER).to_numpy(dtype=np.int64) for name in TIMES if name in table}


def read_parquet(content: bytes, where: str) -> pa.Table:
    """A parquet file with a row at least, of a size that fits, whose columns have names of their own.

    Raises:
        TrackingError: it is none.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(io.BytesIO(content))
        names = file.schema_arrow.names
        rows = file.metadata.num_rows
        if not 0 < rows * len(names) <= MOST_VALUES:
            raise _refused(
                where,
                f"must have a row a network, and at most {MOST_VALUES:,} values",
                f"{rows:,} rows of {len(names)} columns",
            )
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise _refused(where, "must have no column twice", ", ".join(twice))
        return file.read()
    except (
        pa.ArrowException,
        OSError,
        ValueError,
        TypeError,
        KeyError,
        MemoryError,
    ) as error:  # which of them, depends on what is broken
        raise _refused(where, "must be a parquet file", first_line(error) if content else "an empty file") from error


def _checked(name: str, column: pa.ChunkedArray, where: str) -> Any:
    import pyarrow as pa

    if name in COLUMNS:
        values = COLUMNS[name].read(column)
        if values is None:
            kind = f"{column.type}" + (f" with {column.null_count} missing" if column.null_count else "")
            numbers = column.to_numpy() if pa.types.is_integer(column.type) else None
            found = (
                f"beginning with {column[0].as_py()!r}"
                if numbers is None
                else f"from {numbers.min()} to {numbers.max()}"
            )
            raise _refused(where, f"must have {COLUMNS[name].rule} in its column '{name}'", f"{kind} {found}")
        return values
    types = pa.types
    kind = column.type.value_type if types.is_dictionary(column.type) else column.type
    plain = (
        types.is_boolean,
        types.is_integer,
        types.is_floating,
        types.is_string,
        types.is_large_string,
        types.is_null,
    )
    if not any(is_kind(kind) for is_kind in plain):
        raise _refused(where, f"must have numbers, booleans or texts in its column '{name}'", str(column.type))
    if types.is_string(kind) or types.is_large_string(kind):
        return np.array(column.to_pylist(), dtype=object)
    return column.to_pandas().to_numpy()


def _refused(where: str, rule: str, value: str) -> TrackingError:
    return TrackingError(Fault(where, rule, value[:200], REMEDY))
