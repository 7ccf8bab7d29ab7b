"""The per-network table: one row a network, the varied fields as columns."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from nnspec.catalog import MODELS, Model
from nnspec.params import Integer, Param
from nnspec.results.arrays import NEVER
from nnspec.results.events import TrainedCell
from nnspec.results.table import (
    OUTCOME,
    axis_column,
    axis_columns,
    choices,
    outcome_rows,
    spec_columns,
    sweep_table,
    varied,
)
from nnspec.specs import RunSpec

SpecOf = Callable[..., RunSpec]
CellsOf = Callable[..., list[TrainedCell]]


def test_the_column_of_a_group_is_its_members_name() -> None:
    assert axis_column("activation") == "activation.name"
    assert axis_column("optimizer.lr") == "optimizer.lr"
    assert axis_column("train.epochs") == "train.epochs"


def test_a_width_is_a_column_of_its_own_where_a_model_keeps_it() -> None:
    model = Model("wide", "of a test", lambda p: (), None, (Param("width", 4, Integer(1), "units"),))
    assert axis_columns(["model.width", "seed"], ["mlp", "perceptron"]) == ["model.hidden", "seed"]
    assert axis_columns(["model.width"], ["not_known_here"]) == ["model.width"]
    MODELS.add(model)
    try:
        assert choices(["model.width", "model.depth", "seed"], ["wide"]) == ["model.width", "model.hidden"]
    finally:
        MODELS.remove("wide")


def test_only_what_differs_is_a_column_and_never_the_seed(spec_of: SpecOf) -> None:
    specs = [
        spec_of(seed=1),
        spec_of(seed=2, activation="gelu"),
        spec_of(seed=3, optimizer={"name": "adam", "lr": 0.3}),
    ]
    assert varied(specs) == {
        "activation.name": ["relu", "gelu", "relu"],
        "activation.approximate": [None, "none", None],
        "optimizer.lr": [0.1, 0.1, 0.3],
    }
    assert varied([specs[0], replace(specs[0], seed=9)]) == {}


def test_values_of_mixed_types_are_words_and_lists_are_texts(spec_of: SpecOf) -> None:
    specs = [
        spec_of(model={"name": "mlp", "hidden": h}, init={"name": "xavier_uniform", "gain": g})
        for h, g in (([4], "auto"), ([8, 8], 2.0))
    ]
    assert varied(specs) == {"model.hidden": ["[4]", "[8, 8]"], "init.gain": ["auto", "2.0"]}


@pytest.fixture(scope="module")
def cells(spec_of: SpecOf, trained_cells: CellsOf) -> list[TrainedCell]:
    return trained_cells(
        [spec_of(activation=a, seed=5, replicates=n, train={"epochs": 300}) for a, n in (("gelu", 3), ("relu", 6))]
    )


def test_one_row_a_network_cell_by_cell(cells: list[TrainedCell]) -> None:
    specs = [cell.spec for cell in cells]
    table = sweep_table(specs, {cell.index: outcome_rows(cell.result) for cell in reversed(cells)})
    assert list(table.columns) == [
        "cell",
        "activation.name",
        "activation.approximate",
        "replicates",
        *(name for name in OUTCOME if "test" not in name and name != "stopped_at"),  # no cell has these
        *cells[0].result.numbers,
    ]
    np.testing.assert_array_equal(
        table["init_dead_rows"], np.concatenate([cell.result.numbers["init_dead_rows"] for cell in cells])
    )
    assert table["cell"].tolist() == [0] * 3 + [1] * 6
    assert table["activation.name"].tolist() == ["gelu"] * 3 + ["relu"] * 6
    assert table["seed"].tolist() == [5, 6, 7, 5, 6, 7, 8, 9, 10]
    np.testing.assert_array_equal(table["final_loss"], np.concatenate([cell.result.loss[:, -1] for cell in cells]))
    np.testing.assert_array_equal(
        table["final_accuracy"], np.concatenate([cell.result.accuracy[:, -1] for cell in cells])
    )
    assert table["verdict"].tolist() == [name for cell in cells for name in cell.result.verdict]
    assert (table["epochs"] == 300).all()
    at = np.concatenate([cell.result.solved_at for cell in cells])
    solved = at != NEVER
    assert solved.any()
    assert not solved.all()
    assert table["solved"].tolist() == solved.tolist()
    assert table["solved_at"].isna().tolist() == (~solved).tolist()
    assert table["solved_at"].dropna().tolist() == at[solved].tolist()


def test_a_number_that_a_cell_does_not_have_is_missing(spec_of: SpecOf, trained_cells: CellsOf) -> None:
    """Layers have numbers of their own."""
    cells = trained_cells(
        [spec_of(model={"name": "mlp", "hidden": hidden}, train={"epochs": 5}) for hidden in ([3], [3, 3])]
    )
    table = sweep_table([cell.spec for cell in cells], {cell.index: outcome_rows(cell.result) for cell in cells})
    assert table["gradient_std.4"].isna().tolist() == [True, False]
    assert table["gradient_std.0"].notna().all()


def test_an_outcome_does_not_keep_the_history(cells: list[TrainedCell]) -> None:
    rows = outcome_rows(cells[0].result)
    assert all(values.base is None for values in rows.values())


def test_cells_without_an_outcome_are_left_out(cells: list[TrainedCell]) -> None:
    table = sweep_table([cell.spec for cell in cells], {1: outcome_rows(cells[1].result)})
    assert table["cell"].unique().tolist() == [1]
    assert table["activation.name"].unique().tolist() == ["relu"]


def test_no_outcome_at_all_is_an_empty_table(cells: list[TrainedCell]) -> None:
    table = sweep_table([cell.spec for cell in cells], {})
    assert len(table) == 0
    assert "solved_at" in table


def test_the_table_goes_through_a_file_unchanged(cells: list[TrainedCell]) -> None:
    table = sweep_table([cell.spec for cell in cells], {cell.index: outcome_rows(cell.result) for cell in cells})
    buffer = io.BytesIO()
    table.to_parquet(buffer, index=False)
    pd.testing.assert_frame_equal(pd.read_parquet(buffer), table, check_dtype=False)


def test_the_columns_of_a_spec_are_those_of_its_row(spec_of: SpecOf) -> None:
    specs = [spec_of(activation={"name": "leaky_relu", "negative_slope": 0.2}), spec_of(model="perceptron")]
    for number, spec in enumerate(specs):
        found = spec_columns(spec)
        assert {name: found.get(name) for name in varied(specs)} == {n: v[number] for n, v in varied(specs).items()}
