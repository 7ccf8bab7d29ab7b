"""Small tables as parquet: the bytes that pyarrow itself writes."""

from __future__ import annotations

import io
from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnspec.tracking.parquet import SMALL, parquet_file

NUMBERS = ["float64", "float32", "float16", "int64", "int32", "int16", "uint64", "uint32", "uint8", "bool"]
WORDS = ["solved", "", "sehr l\N{LATIN SMALL LETTER A WITH DIAERESIS}nglich", "dead_units"]


def by_pyarrow(columns: Mapping[str, np.ndarray]) -> bytes:
    table = pa.table(
        {
            name: pa.array(values.tolist(), pa.string()) if values.dtype.kind in "UO" else values
            for name, values in columns.items()
        }
    )
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="none", use_dictionary=False, write_statistics=False)
    return sink.getvalue()


def column(rng: np.random.Generator, kind: str, rows: int) -> np.ndarray:
    if kind in ("str", "object"):
        return rng.choice(WORDS, rows).astype(kind)
    return (
        rng.integers(0, 2, rows).astype(bool)
        if kind == "bool"
        else rng.integers(0, 256, 8 * rows, np.uint8).view(kind)[:rows]
    )


@settings(deadline=None)  # pyarrow loads with the first
@given(st.data(), st.integers(1, 40), st.lists(st.sampled_from([*NUMBERS, "str", "object"]), min_size=1, max_size=6))
def test_a_small_file_is_what_pyarrow_writes(data: st.DataObject, rows: int, kinds: list[str]) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 9)))
    for _ in range(2):  # the second is the first with other numbers in it
        columns = {f"{kind}.{i}": column(rng, kind, rows) for i, kind in enumerate(kinds)}
        assert parquet_file(columns) == by_pyarrow(columns)


def test_nulls_and_odd_numbers_come_back() -> None:
    odd = np.array([np.nan, -np.inf, -0.0, 5e-324])
    for nulls in ([True, False, True, False], [False] * 4, [True] * 4):
        counts = np.ma.MaskedArray(np.arange(4), nulls)
        table = pq.read_table(io.BytesIO(parquet_file({"odd": odd, "count": counts})))
        assert table["odd"].to_numpy().tobytes() == odd.tobytes()
        assert table["count"].to_pylist() == [None if null else i for i, null in enumerate(nulls)]


@pytest.mark.parametrize("rows", [SMALL, SMALL + 1, 200_000])
def test_a_table_of_any_length_comes_back(rows: int) -> None:
    columns = {
        "loss": np.random.default_rng(0).random(rows),
        "right": np.arange(rows) % 3 == 0,
        "verdict": np.full(rows, "stuck", object),
    }
    table = pq.read_table(io.BytesIO(parquet_file(columns)))
    assert all(np.array_equal(table[name].to_numpy(zero_copy_only=False), values) for name, values in columns.items())
