"""The axes that a table of a sweep shows by itself pair networks as the axes do that were typed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import nnspec
from nnspec.analysis import axes_of, compare
from nnspec.results.table import axis_column, sweep_table
from nnspec.sweep import SweepPlan, plan

SEEDS = 12
RELU_FAMILY = "activation=relu,leaky_relu,elu,tanh"


def tables(overrides: list[str]) -> tuple[SweepPlan, pd.DataFrame, pd.DataFrame]:
    """A sweep that never trained: its table as nnspec writes it, and one that has nothing but seeds and what was
    typed."""
    swept, _ = plan([*overrides, f"replicates={SEEDS}"])
    rng = np.random.default_rng(8)
    outcomes = {}
    for index, cell in enumerate(swept.cells):
        easy = {"relu": 0.9, "leaky_relu": 0.6, "elu": 0.3}.get(cell.spec.activation.name, 0.5)
        seeds = cell.spec.seed + np.arange(cell.spec.replicates)
        solved = rng.random(len(seeds)) < easy
        blank = np.zeros(len(seeds))
        columns = ("final_loss", "final_accuracy", "solved_at", "epochs")
        outcomes[index] = {
            "seed": seeds,
            "solved": solved,
            "verdict": np.full(len(seeds), "stuck"),
            **dict.fromkeys(columns, blank),
        }
    table = sweep_table([cell.spec for cell in swept.cells], outcomes)
    typed = pd.DataFrame([dict(cell.choices) for cell in swept.cells]).add_prefix("typed ")
    return swept, table, table[["cell", "seed", "solved"]].join(typed, on="cell")


SWEEPS = {
    "a slope of one level": (["activation=relu,leaky_relu", "init=zeros,kaiming_uniform"], "activation", ["init"]),
    "several parameters": ([RELU_FAMILY, "optimizer.lr=0.1,0.01"], "activation", ["optimizer.lr"]),
    "gain and mode of schemes": (
        ["init=kaiming_uniform,xavier_normal,zeros,uniform", "activation=relu,tanh"],
        "init",
        ["activation"],
    ),
    "betas of an optimizer": (
        ["optimizer=sgd,adam,adamw,rmsprop", "init=normal,kaiming_uniform"],
        "optimizer",
        ["init"],
    ),
    "a list as an axis": (["optimizer.betas=[0.9,0.99],[0.8,0.9]", RELU_FAMILY], "optimizer.betas", ["activation"]),
    "a parameter as an axis": (
        ["activation=elu,celu", "activation.alpha=0.5,1.0", "loss=bce,mse"],
        "activation",
        ["activation.alpha", "loss"],
    ),
    "by a parameter": (["activation=elu,celu", "activation.alpha=0.5,1.0"], "activation.alpha", ["activation"]),
    "outputs of losses": (["loss=bce,hinge,huber", "activation=relu,leaky_relu"], "loss", ["activation"]),
    "axes that go together": (
        [
            "activation=relu,elu,tanh",
            "init=kaiming_uniform,lecun_normal,xavier_uniform",
            "optimizer.lr=0.1,0.01",
            "sweep.zip=[[activation,init]]",
        ],
        "activation",
        ["optimizer.lr"],
    ),
    "a number that goes along": (
        ["optimizer=sgd,adam", "optimizer.lr=0.5,0.01", "loss=bce,mse", "sweep.zip=[[optimizer,optimizer.lr]]"],
        "optimizer",
        ["loss"],
    ),
    "cells left out": (
        [RELU_FAMILY, "optimizer.lr=0.1,0.01,0.001", "sweep.exclude=[{activation: tanh, optimizer.lr: 0.1}]"],
        "activation",
        ["optimizer.lr"],
    ),
    "cells added": (
        ["activation=relu,leaky_relu", "optimizer.lr=0.1,0.01", "sweep.include=[{activation: elu, optimizer.lr: 0.1}]"],
        "activation",
        ["optimizer.lr"],
    ),
    "each optimizer's own parameters": (
        [
            "activation=relu,tanh",
            "sweep.where=[{optimizer: sgd, optimizer.momentum: [0, 0.5]}, {optimizer: adam, optimizer.lr: [0.1, 1]}]",
        ],
        "activation",
        ["optimizer", "optimizer.momentum", "optimizer.lr"],
    ),
    "one cell a seed": ([RELU_FAMILY, "init=zeros,normal", "seed=range(0,5)"], "activation", ["init"]),
    "one axis": ([RELU_FAMILY], "activation", []),
}


@pytest.mark.sampled(2)
@pytest.mark.parametrize(("overrides", "by", "others"), SWEEPS.values(), ids=SWEEPS)
def test_the_axes_of_a_table_pair_as_those_typed(overrides: list[str], by: str, others: list[str]) -> None:
    swept, table, typed = tables(overrides)
    if "seed=range(0,5)" in overrides:  # each cell its seed: the replicates of two cells are the same networks
        table, typed = (frame.groupby(["cell"]).head(1) for frame in (table, typed))
    found = compare(table, axis_column(by))
    expected = compare(typed, f"typed {by}", [f"typed {axis}" for axis in others])
    assert found["paired"].all()
    numbers = ["networks_a", "networks_b", "rate_a", "rate_b", "difference", "low", "high", "p", "p_holm", "paired"]
    assert found["a"].astype(str).str.replace(" ", "").tolist() == expected["a"].astype(str).tolist()
    pd.testing.assert_frame_equal(found[numbers], expected[numbers])
    for given in (
        [axis_column(axis) for axis in swept.axes if axis != "seed"],
        [axis_column(axis) for axis in others],
        [by],
        [],
    ):
        pd.testing.assert_frame_equal(compare(table, by, given), found)


def test_a_cell_that_varies_what_is_no_axis_pairs_where_it_can() -> None:
    """Added with another init: relu has two cells, of which the one under the init of the others pairs."""
    _, table, _ = tables(["activation=relu,leaky_relu", "sweep.include=[{activation: relu, init: zeros}]"])
    assert axes_of(table) == ["activation.name", "init.name"]
    row = compare(table, "activation").iloc[0]
    assert (bool(row["paired"]), row["networks_a"]) == (True, SEEDS)


def test_random_values_never_pair() -> None:
    rates = [f"{lr:.6f}" for lr in np.random.default_rng(0).uniform(0.01, 1, 6)]
    cells = ", ".join(
        f"{{activation: {a}, optimizer.lr: {lr}}}" for a, lr in zip(["relu", "elu", "tanh"] * 2, rates, strict=True)
    )
    _, table, _ = tables(["activation=relu,elu", "optimizer.lr=0.1,0.2", f"sweep.include=[{cells}]"])
    frame = compare(table[table["cell"] >= 4], "activation")
    assert not frame["paired"].any()


def test_replicates_that_a_cell_was_given_are_no_axis() -> None:
    _, table, _ = tables(["activation=relu,tanh", "optimizer.lr=0.1,0.01"])
    given = table.assign(replicates=table["cell"].map({0: 12, 1: 4, 2: 8, 3: 6}))
    kept = given[given.groupby("cell").cumcount() < given["replicates"]]
    assert axes_of(kept) == ["activation.name", "optimizer.lr"]
    chosen = pd.concat([table.assign(replicates=number) for number in (6, 12)])
    assert axes_of(chosen) == ["activation.name", "optimizer.lr", "replicates"]


def test_what_was_measured_is_no_axis() -> None:
    """One network a cell: every number of its diagnosis and its run are constant in the cell."""
    _, table, _ = tables(["activation=relu,tanh", "init=zeros,normal"])
    one = (
        table.groupby("cell")
        .head(1)
        .assign(run_id=list("abcd"), init_dead_rows=[1, 2, 3, 4], **{"gradient_std.0": [0.1, 0.2, 0.3, 0.4]})
    )
    assert axes_of(one) == ["activation.name", "init.name"]


def test_many_axes_of_many_levels_can_be_grouped() -> None:
    """2000^6 combinations are more than a 64-bit number counts; 2000 of them occur."""
    names = ["optimizer.lr", "optimizer.eps", "init.gain", "loss.delta", "solved.tolerance", "optimizer.weight_decay"]
    levels = np.arange(2000)
    table = pd.DataFrame(
        {
            "activation.name": np.where(levels % 2, "relu", "tanh"),
            **{n: (levels * k) % 2003 for k, n in enumerate(names, 1)},
        }
    )
    row = compare(table.assign(seed=levels, solved=levels % 3 == 0), "activation").iloc[0]
    assert row["networks_a"] + row["networks_b"] == 2000


def test_a_table_read_back_agrees(tmp_path: Path) -> None:
    overrides = ["activation=relu,leaky_relu", "init=kaiming_uniform,zeros", "train.epochs=60", "replicates=6"]
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    result = nnspec.sweep([*overrides, "sweep.report=false"], tracking=uri, workers=1)
    filed = nnspec.table(result.run_id, uri=uri)
    for by in ("activation", "init"):
        here, back = compare(result.table, by), compare(filed, by)
        assert back["paired"].all()
        numbers = ["low", "high", "p", "p_holm"]
        turned = back if here["a"].tolist() == back["a"].tolist() else back.assign(low=-back["high"], high=-back["low"])
        np.testing.assert_allclose(turned[numbers], here[numbers])
