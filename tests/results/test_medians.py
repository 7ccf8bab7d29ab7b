"""Medians in words are those that are filed."""

from __future__ import annotations

import numpy as np
import pytest

import nnspec
from nnspec.results.arrays import quantiles
from nnspec.tracking.cell_records import final_metrics


@pytest.mark.parametrize("values", [[1.0, 3.0], [0.5, 1.0, 4.0, 2.0], [7.0], list(range(11))])
def test_quantiles_are_numpys_where_all_is_finite(values: list[float]) -> None:
    assert quantiles(np.array(values)) == pytest.approx(np.quantile(values, [0.1, 0.5, 0.9]), rel=1e-12)


def test_what_broke_ranks_above_every_number() -> None:
    assert quantiles(np.array([1.0, np.nan, 2.0, np.inf, 3.0])) == (pytest.approx(1.4), 3.0, np.inf)


def test_the_median_in_words_is_that_which_is_filed() -> None:
    found = nnspec.train(nnspec.spec(["replicates=2", "train.epochs=200"])).result
    assert quantiles(found.finals["final_loss"])[1] == final_metrics(found)["final_loss"]
