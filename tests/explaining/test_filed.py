"""Which cell of a filed sweep an explanation is read from."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from nnspec.explaining import sweep_explanations
from nnspec.explaining.filed import is_filed_as
from nnspec.readback import AXES_TAG
from nnspec.settings import Tracking
from nnspec.specs import RunSpec
from nnspec.tracking import RunEnd, RunStart, Store, open_store
from nnspec.tracking.artifacts import SPEC
from nnspec.tracking.records import SWEEP_TAG

AXES = ["optimizer.lr", "train.batch_size"]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = open_store(Tracking(uri=f"sqlite:///{tmp_path}/mlflow.db"))
    yield store
    store.close()


def file_sweep(store: Store, specs: list[RunSpec]) -> str:
    """A sweep of these cells, filed in the order of the list; nothing of them is filed but what they are."""
    experiment = store.experiment("one")
    tags = {SWEEP_TAG: "abc", AXES_TAG: json.dumps(AXES)}
    (parent,) = store.start([RunStart("sweep", {}, tags)], experiment)
    starts = [RunStart("cell", spec.flat(), {}, parent, start_time=at) for at, spec in enumerate(specs)]
    ids = store.start(starts, experiment)
    files = [{SPEC: spec.yaml().encode()} for spec in specs]
    store.finish([RunEnd(run_id, artifacts=own) for run_id, own in zip(ids, files, strict=True)])
    return parent


def test_a_cell_of_a_large_sweep_is_found_wherever_it_was_filed(store: Store, spec_of: Callable[..., Any]) -> None:
    """The sentence needs its spec: how many epochs it trained."""
    rates = [(1 + place) / 1000 for place in range(500)]
    specs = [spec_of(optimizer={"name": "adam", "lr": lr}, train={"epochs": 100 + i}) for i, lr in enumerate(rates)]
    parent = file_sweep(store, specs[::-1])  # the first cell is the last one filed
    table = pd.DataFrame({"cell": range(500), "optimizer.lr": rates, "verdict": "solved", "loss_slope": -0.5})
    table = table.assign(final_loss=0.25, since=float("nan"))
    table.loc[0, "verdict"] = "still_learning"
    (one,) = sweep_explanations(store, parent, table)
    assert (one.where, one.measured) == ("optimizer.lr=0.001", 1)
    assert one.sentence == "the loss still falls: by 50.00% of itself over the last 20 epochs, to 0.25"


def test_a_cell_is_found_by_what_it_has_not(store: Store, spec_of: Callable[..., Any]) -> None:
    """A column of whole numbers with a gap is one of fractions."""
    batches = [1, 2, None]
    parent = file_sweep(store, [spec_of(train={"epochs": 10, "batch_size": size}) for size in batches])
    table = pd.DataFrame({"train.batch_size": [1.0, 2, None], "verdict": "solved", "loss_slope": -0.5})
    for row, span in enumerate(["8 updates", "4 updates", "10 epochs"]):
        one = table.assign(final_loss=0.25, verdict=["still_learning" if i == row else "solved" for i in range(3)])
        assert f"over the last {span}, to" in sweep_explanations(store, parent, one)[0].sentence


@pytest.mark.parametrize(
    ("param", "value", "same"),
    [
        ("0.1", 0.1, True),
        ("16", 16.0, True),
        ("1.0", 1.0, True),
        ("0", 0.4, False),
        ("1", True, False),
        ("True", True, True),
        ("[4, 4]", "[4, 4]", True),
        ("null", None, True),
        (None, float("nan"), True),
        ("nan", float("nan"), False),
        (None, "None", False),
    ],
)
def test_a_param_is_a_value_of_the_table(param: str | None, value: object, same: bool) -> None:
    assert is_filed_as(param, value) == same
