"""From cells to the file of a named sweep and back: the same cells, by their specs."""

from __future__ import annotations

import itertools
import random
from pathlib import Path

import pytest

from nnspec.compose import Composer
from nnspec.specs import RunSpec
from nnspec.sweep import plan
from nnspec.sweep.blocks import blocks, independent
from nnspec.sweep.written import axis_text, experiment_text

OWN_RATES = "sweep.where=[{optimizer: sgd, optimizer.lr: [0.1, 1]}, {optimizer: adam, optimizer.lr: [0.001, 0.01]}]"
SWEEPS = {
    "a product": ["activation=relu,tanh", "init=kaiming_uniform,zeros", "seed=range(3,7)"],
    "what is shared": [
        "activation=relu,tanh",
        "model.hidden=[3,2]",
        "optimizer=sgd",
        "optimizer.lr=0.5",
        "dtype=float64",
    ],
    "parameters": [
        "optimizer.lr=1e-5,0.1,3",
        "model.hidden=[4],[4,4]",
        "train.batch_size=null,2",
        "optimizer.betas=[0.8,0.9]",
    ],
    "words": ["init.gain=auto,0.5", "model.output=null", "loss=bce,mse", "activation=auto,tanh"],
    "axes that go together": [
        "activation=relu,tanh",
        "init=zeros,orthogonal",
        "seed=0,5",
        "sweep.zip=[[activation,init]]",
    ],
    "three that go together": [
        "activation=relu,tanh,gelu",
        "seed=1,2,9",
        "optimizer.lr=0.1,0.2,0.3",
        "sweep.zip=[[activation,seed,optimizer.lr]]",
    ],
    "cells left out": [
        "activation=relu,tanh,gelu",
        "init=kaiming_uniform,orthogonal,zeros",
        "sweep.exclude=[{activation: relu, init: zeros}]",
    ],
    "cells left out with all their seeds": [
        "activation=relu,tanh",
        "seed=range(0,4)",
        "init=kaiming_uniform,zeros",
        "sweep.exclude=[{activation: relu, init: zeros}, {seed: 2, activation: tanh}]",
    ],
    "cells beside": [
        "activation=relu,tanh",
        "sweep.include=[{activation: leaky_relu, activation.negative_slope: 0.3}]",
    ],
    "far cells": [
        "activation=relu,tanh",
        "seed=0,1",
        "sweep.include=[{activation: sine, optimizer: sgd, optimizer.lr: 0.7, seed: 90}]",
    ],
    "depth": ["model.depth=1,2,3", "model.width=2,3"],
    "perceptrons": ["model=perceptron", "data=and,or,xor", "loss=bce,mse"],
    "models": ["model=mlp,perceptron", "replicates=7"],
    "data": ["data=moons,circles", "data.test_fraction=0.2", "solved.measure=test_accuracy", "solved.at_least=0.9"],
    "schedules": ["schedule=constant,cosine", "schedule.warmup=5", "train.stop=plateau", "train.patience=7"],
    "one cell": ["activation=gelu"],
    "own ranges": [OWN_RATES, "activation=relu,tanh", "seed=range(0,3)"],
    "parameters that only some have": [
        "sweep.where=[{optimizer: sgd, optimizer.momentum: [0.1, 0.5]}, {optimizer: rprop}, "
        "{optimizer: adam, optimizer.betas: [[0.8, 0.9], [0.9, 0.99]]}]",
        "init=zeros,orthogonal",
    ],
    "cells with nothing in common": [
        "sweep.where=[{activation: leaky_relu, activation.negative_slope: 0.3}, {activation: elu, activation.alpha: 2}]"
    ],
    "models of their own": [
        "sweep.where=[{model.hidden: [[4],[8,8]], seed: 'range(0,5)'}, {model: perceptron, loss: [bce,mse]}]"
    ],
}


def cells(folder: Path, text: str) -> list[RunSpec]:
    """The specs that a named sweep states, as Hydra's command line expands it."""
    (folder / "experiments").mkdir(exist_ok=True)
    (folder / "experiments/mine.yaml").write_text(text)
    config = Composer().config(["experiment=mine"])
    assert str(config.hydra.mode).endswith("MULTIRUN")
    axes = [f"{key}={value}" for key, value in (config.hydra.sweeper.params or {}).items()]
    return [cell.spec for cell in plan([*axes, "experiment=mine"])[0].cells]


# combinations of what the others show one by one
COMBINED = {
    "three that go together",
    "cells left out with all their seeds",
    "far cells",
    "perceptrons",
    "models",
    "schedules",
    "one cell",
    "cells with nothing in common",
    "models of their own",
}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in COMBINED else name for name in SWEEPS]
)
def test_there_and_back(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found, _ = plan(SWEEPS[name])
    specs = [cell.spec for cell in found.cells]
    again = cells(tmp_path, experiment_text(specs, found.axes, "mine"))
    assert sorted(spec.fingerprint for spec in again) == sorted(spec.fingerprint for spec in specs)
    assert set(again) == set(specs)


def test_the_file_says_no_more_than_it_must() -> None:
    found, _ = plan(SWEEPS["cells left out"])
    assert experiment_text([cell.spec for cell in found.cells], found.axes, "which?") == (
        "# which?\n"
        "sweep:\n"
        "  exclude:\n"
        "    - {activation: relu, init: zeros}\n"
        "hydra:\n"
        "  mode: MULTIRUN\n"
        "  sweeper:\n"
        "    params:\n"
        '      activation: "relu,tanh,gelu"\n'
        '      init: "kaiming_uniform,orthogonal,zeros"\n'
    )


def test_each_optimizer_s_own_rates_are_written_as_blocks() -> None:
    found, _ = plan(SWEEPS["own ranges"])
    assert experiment_text([cell.spec for cell in found.cells], found.axes) == (
        "sweep:\n"
        "  where:\n"
        "    - {optimizer: sgd, optimizer.lr: [0.1, 1.0]}\n"
        "    - {optimizer: adam, optimizer.lr: [0.001, 0.01]}\n"
        "hydra:\n"
        "  mode: MULTIRUN\n"
        "  sweeper:\n"
        "    params:\n"
        '      activation: "relu,tanh"\n'
        '      seed: "range(0,3)"\n'
    )


@pytest.mark.parametrize("seed", range(3))
def test_blocks_have_the_points_and_no_others(seed: int) -> None:
    rng = random.Random(seed)
    points = [(x, y, z) for x in range(3) for y in "abc" for z in range(2) if rng.random() < 0.6]
    found = blocks(points, [])
    assert sorted(point for block in found for point in itertools.product(*block)) == sorted(points)
    assert len(found) < len(points)


def test_a_place_is_independent_where_all_of_its_values_go_with_all_the_others() -> None:
    points = [(x, y, z) for x, z in [(0, "a"), (0, "b"), (1, "c")] for y in range(3)]
    assert independent(points) == [1]
    assert independent(points[:-1]) == []


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([0, 1, 2], "range(0,3)"),
        ([0, 1], "0,1"),
        ([0, 2, 4], "0,2,4"),
        ([2, 1, 0], "2,1,0"),
        (["relu", "null", "a b"], "relu,'null','a b'"),
        ([None, True, 0.5, [4, 4]], "null,true,0.5,[4,4]"),
    ],
)
def test_an_axis_in_hydra_s_grammar(values: list[object], text: str) -> None:
    assert axis_text(values) == text
    axis = Composer().parse(f"key={text}")
    assert [v.text if hasattr(v, "text") else v for v in axis.sweep_iterator()] == values
