"""The table of results as a stranger may have left it: one clear line that names the run, or a table that everyone can
rely on."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nnspec.errors import TrackingError
from nnspec.tracking.results import checked_results

WHERE = "results.parquet of run abc"


def good() -> pd.DataFrame:
    at = pd.array([5, None], dtype="Int64")
    return pd.DataFrame(
        {
            "seed": [0, 1],
            "final_loss": np.float32([0.1, np.nan]),
            "final_accuracy": [1.0, 0.5],
            "solved": [True, False],
            "solved_at": at,
        }
    )


def file(table: pd.DataFrame | pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table if isinstance(table, pa.Table) else pa.Table.from_pandas(table, preserve_index=False), sink)
    return sink.getvalue()


def twice() -> pa.Table:
    table = pa.Table.from_pandas(good(), preserve_index=False)
    return table.append_column("seed", table["seed"])


def not_utf8() -> pa.Table:
    offsets = pa.array([0, 1, 2], pa.int32()).buffers()[1]
    texts = pa.Array.from_buffers(pa.string(), 2, [None, offsets, pa.py_buffer(b"\xff\xff")])
    return pa.Table.from_pandas(good(), preserve_index=False).append_column("x", texts)


def test_a_good_table_comes_as_it_is() -> None:
    table = checked_results(file(good().assign(verdict=["solved", "stuck"], extra=[None, "a"])), WHERE)
    assert table["solved_at"].dtype == pd.Int64Dtype()
    assert table["solved_at"].isna().tolist() == [False, True]
    assert table["final_loss"].dtype == np.float32
    assert table["seed"].tolist() == [0, 1]
    assert table["extra"].isna().tolist() == [True, False]
    assert table["extra"][1] == "a"


def test_another_program_writes_floats_for_whole_numbers_with_nulls() -> None:
    table = checked_results(file(good().assign(solved_at=[5.0, np.nan])), WHERE)
    assert table["solved_at"].dtype == pd.Int64Dtype()
    assert table["solved_at"][0] == 5


def test_pandas_own_notes_in_the_file_hide_no_column() -> None:
    table = checked_results(file(pa.Table.from_pandas(good().set_index("seed"), preserve_index=True)), WHERE)
    assert table["seed"].tolist() == [0, 1]


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (
            lambda: good().assign(seed=["a", "b"]),
            "must have whole numbers from 0 below 2\\^32 in its column 'seed', but got .*string",
        ),
        (lambda: good().assign(seed=[0, None]), "in its column 'seed', but got double with 1 missing"),
        (lambda: good().assign(seed=[0, -1]), "in its column 'seed', but got int64 from -1 to 0"),
        (lambda: good().assign(seed=[0, 2**32]), "in its column 'seed'"),
        (lambda: good().drop(columns="seed"), "must have a column 'seed', but got the columns final_loss"),
        (lambda: good().drop(columns="solved_at"), "must have a column 'solved_at'"),
        (lambda: good().iloc[:0], "must have a row a network, and at most .* values, but got 0 rows"),
        (lambda: good().assign(solved=["yes", "no"]), "must have true or false in each row in its column 'solved'"),
        (lambda: good().assign(solved=[True, None]), "in its column 'solved'"),
        (lambda: good().assign(solved_at=[5.5, None]), "must hold values that can be read"),
        (lambda: good().assign(solved_at=[None, 3]), "must say in 'solved_at' when each solved network was"),
        (lambda: good().assign(final_loss=["a", "b"]), "must have numbers in its column 'final_loss'"),
        (lambda: good().assign(verdict=["solved", None]), "must have a text in each row in its column 'verdict'"),
        (lambda: good().assign(x=[[1], [2]]), "must have numbers, booleans or texts in its column 'x'"),
        (lambda: good().assign(x=[{"a": 1}, {"a": 2}]), "must have numbers, booleans or texts in its column 'x'"),
        (twice, "must have no column twice, but got seed"),
        (not_utf8, "must hold values that can be read"),
    ],
)
def test_a_table_that_is_none(make: Callable[[], pd.DataFrame | pa.Table], says: str) -> None:
    with pytest.raises(TrackingError, match=f"{WHERE} .*{says}") as caught:
        checked_results(file(make()), WHERE)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    "content", [b"", b"hello", b"PAR1" + bytes(40) + b"PAR1", file(good())[:-30], file(good())[30:]]
)
def test_a_file_that_is_no_parquet(content: bytes) -> None:
    with pytest.raises(
        TrackingError, match=f"{WHERE} must be a parquet file, but got .*; train the run again, or mend the file"
    ):
        checked_results(content, WHERE)


def test_a_small_file_that_would_unpack_to_more_than_memory_holds() -> None:
    rows = 10_000_000
    run = pa.nulls(rows, pa.int8())
    sink = io.BytesIO()
    with pq.ParquetWriter(sink, pa.schema([(f"c{i}", run.type) for i in range(60)])) as writer:
        writer.write_table(pa.table({f"c{i}": run for i in range(60)}))
    assert len(sink.getvalue()) < 2_000_000
    with pytest.raises(
        TrackingError, match="must have a row a network, and at most 500,000,000 values, but got 10,000,000 rows of 60"
    ):
        checked_results(sink.getvalue(), WHERE)
