"""After how many updates networks were stopped: filed, read back, and in every table; nothing where none may stop."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nnspec.errors import TrackingError
from nnspec.journal.earlier import outcome_of
from nnspec.readback import networks, read_cell
from nnspec.results.arrays import NEVER
from nnspec.results.table import outcome_rows, sweep_table
from nnspec.settings import Tracking
from nnspec.tracking import checked_results, open_store
from nnspec.tracking.artifacts import result_columns
from nnspec.tracking.cell_records import final_metrics
from nnspec.tracking.parquet import parquet_file


@pytest.fixture
def store(folder):
    opened = open_store(Tracking())
    yield opened
    opened.close()


@pytest.fixture
def stopped(cell):
    made = cell(replicates=4)
    return replace(made, stopped_at=np.array([12, NEVER, 20, NEVER]), verdict=np.full(4, "stuck"))


def test_what_is_filed_is_read_back(store, stopped, started, ended):
    run_id = store.start([started(stopped)], store.experiment("one"))[0]
    store.finish([ended(stopped, run_id)])
    back = read_cell(store, run_id).result
    np.testing.assert_array_equal(back.stopped_at, stopped.stopped_at)
    assert "stopped_at" not in back.numbers
    table = networks(store, run_id)
    assert table["stopped_at"].astype(object).where(table["stopped_at"].notna(), None).tolist() == [12, None, 20, None]
    np.testing.assert_array_equal(outcome_of(store, run_id, 40)["stopped_at"], stopped.stopped_at)
    assert store.get(run_id).metrics["stopped_at"] == 16


def test_where_no_network_may_stop_nothing_is_filed_of_it(store, cell, started, ended):
    made = cell(replicates=2)
    run_id = store.start([started(made)], store.experiment("one"))[0]
    store.finish([ended(made, run_id)])
    assert read_cell(store, run_id).result.stopped_at is None
    assert "stopped_at" not in networks(store, run_id)
    assert "stopped_at" not in final_metrics(made)


def test_none_that_stopped_has_no_median(stopped):
    assert "stopped_at" not in final_metrics(replace(stopped, stopped_at=np.full(4, NEVER)))


def test_in_a_sweep_it_is_missing_where_a_cell_has_none(stopped, cell):
    other = replace(cell(replicates=2, lr=0.2), verdict=np.full(2, "stuck"))
    table = sweep_table([stopped.spec, other.spec], {0: outcome_rows(stopped), 1: outcome_rows(other)})
    assert str(table["stopped_at"].dtype) == "Int64"
    assert table["stopped_at"].isna().tolist() == [False, True, False, True, True, True]
    assert list(table.columns).index("stopped_at") < list(table.columns).index("verdict")


def test_a_strangers_column_must_count_updates(stopped):
    columns = result_columns(stopped, {})
    with pytest.raises(TrackingError, match="whole numbers from 0, or nothing in its column 'stopped_at'"):
        checked_results(parquet_file(columns | {"stopped_at": np.full(4, -3)}), "a file")
