"""The loss and the accuracy of a test part: filed, read back, and in every table; nothing of it where there is none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nnspec.journal.recording import metric_points
from nnspec.readback import networks, read_cell
from nnspec.results.arrays import Results, quantile
from nnspec.results.events import TrainedCell
from nnspec.results.table import outcome_rows, sweep_table
from nnspec.settings import Tracking
from nnspec.tracking import open_store
from nnspec.tracking.cell_records import final_metrics, history_series

NAMES = ["test_loss", "test_accuracy", "test_loss_q10", "test_loss_q90", "test_accuracy_q10", "test_accuracy_q90"]


def with_test(result: Results) -> Results:
    """The same with a test part: the first network's loss broke, the others' are numbers."""
    rng = np.random.default_rng(1)
    loss, accuracy = (rng.random(result.loss.shape).astype(np.float32) for _ in range(2))
    loss[0, -1], accuracy[0, -1] = np.nan, 0
    return replace(result, test_loss=loss, test_accuracy=accuracy)


def judged(result: Results) -> Results:
    return replace(result, verdict=np.full(len(result.seeds), "stuck"))


def test_metrics_over_steps_are_medians_with_quantiles(cell):
    many = with_test(cell(replicates=5))
    series = history_series(many)
    assert [name for name in series if name.startswith("test_")] == NAMES
    assert np.array_equal(series["test_accuracy"].values, np.median(many.test_accuracy.astype(np.float64), axis=0))
    ranked = np.sort(np.nan_to_num(many.test_loss[:, -1].astype(np.float64), nan=np.inf))
    assert series["test_loss"].values[-1] == ranked[2]  # the broken one ranks last
    assert np.isnan(series["test_loss_q90"].values[-1])
    assert len(series) * len(many.steps) <= metric_points(TrainedCell(0, many))


def test_one_network_has_no_quantiles(cell):
    one = with_test(cell())
    assert [name for name in history_series(one) if name.startswith("test_")] == NAMES[:2]
    assert [name for name in final_metrics(one) if "test" in name] == ["final_test_loss", "final_test_accuracy"]


def test_final_metrics(cell):
    many = with_test(cell(replicates=5))
    metrics = final_metrics(many)
    assert metrics["final_test_accuracy"] == float(np.median(many.test_accuracy[:, -1].astype(np.float64)))
    assert metrics["final_test_accuracy_q90"] == quantile(many.test_accuracy[:, -1], 0.9, "low")
    assert metrics["final_test_loss_q10"] == quantile(many.test_loss[:, -1], 0.1)


def test_without_a_test_part_nothing_is_filed_of_one(cell):
    many = judged(cell(replicates=3))
    assert not [
        name for name in {**history_series(many), **final_metrics(many), **outcome_rows(many)} if "test" in name
    ]
    assert not [name for name in sweep_table([many.spec], {0: outcome_rows(many)}) if "test" in name]


def test_a_sweep_has_nan_where_a_cell_has_no_test_part(cell):
    first, second = judged(with_test(cell(replicates=2))), judged(cell(replicates=3, lr=0.2))
    table = sweep_table([first.spec, second.spec], {0: outcome_rows(first), 1: outcome_rows(second)})
    assert list(table.columns).index("final_test_accuracy") < list(table.columns).index("solved")
    assert table["final_test_accuracy"][:2].tolist() == first.test_accuracy[:, -1].tolist()
    assert table["final_test_accuracy"][2:].isna().all()


@pytest.fixture
def store(folder):
    opened = open_store(Tracking())
    yield opened
    opened.close()


@pytest.mark.parametrize("replicates", [1, 3])
def test_what_is_filed_is_read_back(store, cell, started, ended, replicates):
    made = with_test(cell(replicates=replicates))
    run_id = store.start([started(made)], store.experiment("one"))[0]
    store.finish([ended(made, run_id)])
    back = read_cell(store, run_id).result
    for name in ("test_loss", "test_accuracy"):
        np.testing.assert_array_equal(getattr(back, name), getattr(made, name))
    assert not [name for name in back.numbers if "test" in name]
    np.testing.assert_array_equal(networks(store, run_id)["final_test_loss"], made.final_test_loss)
