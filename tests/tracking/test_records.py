"""What is computed from a trained cell for the record."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nnspec.results.arrays import NEVER, Results, quantile
from nnspec.specs import Member, Train
from nnspec.tracking.cell_records import (
    dataset_info,
    describe,
    final_metrics,
    history_series,
    kept_rows,
    run_name,
)
from nnspec.tracking.records import RunEnd, Series

Cell = Callable[..., Results]


@given(
    arrays(np.float64, st.tuples(st.integers(1, 9), st.integers(1, 3)), elements=st.floats(-1e6, 1e6)),
    st.sampled_from([0.1, 0.5, 0.9]),
)
def test_quantile_is_numpys_where_all_is_finite(values: np.ndarray, share: float) -> None:
    for worst in ("high", "low"):
        # The same linear interpolation in another order of operations: a few ulps of the largest value.
        assert np.allclose(quantile(values, share, worst), np.quantile(values, share, axis=0), rtol=1e-12, atol=1e-9)


def test_a_broken_network_counts_as_the_worst() -> None:
    losses = np.array([0.1, 0.2, np.nan, 0.3, np.inf])[:, None]
    assert quantile(losses, 0.5) == [0.3]
    assert np.isnan(quantile(losses, 1.0)).all()
    shares = np.array([np.nan, 0.5, 1.0])[:, None]
    assert quantile(shares, 0.5, worst="low") == [0.5]
    assert np.isnan(quantile(shares, 0.0, worst="low")).all()


def test_history_of_one_network_is_its_own(cell: Cell) -> None:
    one = cell()
    series = history_series(one)
    assert set(series) == {"loss", "accuracy", "weight_norm/0", "weight_norm/2"}
    assert np.array_equal(series["loss"].values, one.loss[0].astype(np.float64))
    assert series["loss"].values.dtype == np.float64
    assert series["loss"].steps.dtype == np.int64
    assert series["weight_norm/2"].steps.tolist() == [0, 10, 20, 30, 40]


def test_history_of_many_is_medians_and_spread(cell: Cell) -> None:
    many = cell(replicates=7)
    series = history_series(many)
    assert set(series) == {
        "loss",
        "accuracy",
        "weight_norm/0",
        "weight_norm/2",
        "loss_q10",
        "loss_q90",
        "solved_fraction",
    }
    assert np.array_equal(
        series["loss"].values, np.median(many.loss.astype(np.float64), axis=0)
    )  # odd: the middle one exactly
    assert series["solved_fraction"].values.tolist() == [0, 0, 3 / 7, 3 / 7, 3 / 7]
    assert (series["loss_q10"].values < series["loss_q90"].values).all()


@given(st.integers(1, 5000), st.integers(20, 50))
def test_kept_rows_are_as_many_as_may_be_and_even_on_a_logarithmic_scale(rows: int, most: int) -> None:
    kept = kept_rows(rows, most)
    assert len(kept) == min(rows, most)
    assert (kept[0], kept[-1]) == (0, rows - 1)
    gaps = np.diff(kept)
    assert (gaps > 0).all()
    assert (gaps[1:] >= gaps[:-1] - 1).all()  # ever wider, but for rounding
    if rows > 2 * most:
        far = kept[kept >= 20]  # where whole numbers are close enough
        ratios = far[1:] / far[:-1]
        assert ratios.max() / ratios.min() < 1.06  # half a row of twenty, up and down


def test_a_thinned_history_is_the_whole_one_at_the_kept_rows(cell: Cell) -> None:
    many = cell(replicates=3)
    whole, thinned = history_series(many), history_series(many, most=3)
    assert whole.keys() == thinned.keys()
    for key, series in thinned.items():
        assert series.steps.tolist() == [0, 10, 40]
        assert np.array_equal(series.values, whole[key].values[[0, 1, 4]])


def test_what_is_thinned_while_it_trains_is_the_beginning_of_what_is_thinned_in_the_end(cell: Cell) -> None:
    end = cell()
    rows = len(end.steps)
    last = history_series(end, 4)["loss"].steps.tolist()
    for seen in range(1, rows + 1):
        live = history_series(end.select(step=slice(seen)).history(), 4, rows)["loss"].steps.tolist()
        assert live == [step for step in last if step <= end.steps[seen - 1]]


def test_the_errors_of_many_passes_are_thinned_too(cell: Cell) -> None:
    errors = np.arange(200, 0, -1)[None]
    series = history_series(dataclasses.replace(cell(), errors=errors), 5)["errors"]
    assert series.steps.tolist() == (kept_rows(200, 5) + 1).tolist()
    assert np.array_equal(series.values, 201.0 - series.steps)


def test_final_metrics(cell: Cell) -> None:
    many = dataclasses.replace(cell(replicates=4), solved_at=np.array([NEVER, 10, NEVER, 20]))
    metrics = final_metrics(many)
    assert metrics["solve_rate"] == 0.5
    assert metrics["solved_at"] == 15
    assert metrics["solve_rate_low"] == pytest.approx(0.15, abs=5e-3)
    assert metrics["solve_rate_high"] == pytest.approx(0.85, abs=5e-3)
    assert metrics["final_loss"] == float(np.median(many.loss[:, -1].astype(np.float64)))
    assert "solved_at" not in final_metrics(cell())


def test_names_and_words(cell: Cell) -> None:
    assert run_name(cell(seed=3).spec) == "mlp-4-gelu-kaiming_uniform-adam-s3"
    equal = dataclasses.replace(cell(seed=3).spec, init=Member("zeros", (("bias", "zeros"),)))
    assert run_name(equal) == "mlp-4-gelu-zeros-adam"  # whatever the seed
    in_order = dataclasses.replace(equal, train=Train(epochs=2, batch_size=3))  # which is drawn from the seed
    assert run_name(in_order) == "mlp-4-gelu-zeros-adam-s3"
    assert run_name(cell(replicates=50).spec) == "mlp-4-gelu-kaiming_uniform-adam-s0-x50"
    text = describe(cell(replicates=50).spec)
    assert "50 networks (seeds 0 to 49)" in text
    assert "betas=[0.9,0.999]" in text
    assert "\n" not in text


def test_dataset_is_what_mlflow_writes() -> None:
    import mlflow.data

    inputs, targets = np.zeros((4, 2), np.float32), np.ones((4, 1), np.float64)
    info = dataset_info("xor", inputs, targets)
    theirs = mlflow.data.from_numpy(inputs, targets=targets, name="xor").to_dict()
    assert json.loads(info.schema) == json.loads(theirs["schema"])
    assert json.loads(info.profile) == json.loads(theirs["profile"])
    assert info.source_type == theirs["source_type"]
    assert info.digest != dataset_info("xor", inputs, targets * 2).digest
    assert info.digest != dataset_info("xor", inputs.reshape(2, 4), targets).digest


def test_refusals() -> None:
    with pytest.raises(ValueError, match="status must be one of FINISHED, FAILED, KILLED, but got 'DONE'"):
        RunEnd("a", "DONE")
    with pytest.raises(ValueError, match="steps and values must be vectors of one length"):
        Series(np.arange(2), np.zeros(3))
