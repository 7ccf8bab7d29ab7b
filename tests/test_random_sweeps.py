"""A cell of a sweep is bitwise the same cell run alone, whatever the sweep, its order, its chunks and its workers."""

from __future__ import annotations

import os
import random
from dataclasses import replace

import pytest

from nnspec.catalog import ACTIVATIONS, DATA, INITS, LOSSES, OPTIMIZERS
from nnspec.check import checked_mapping
from nnspec.execute.budget import MIB, Use, budget, kinds
from nnspec.execute.engine import Training
from nnspec.results.events import TrainedCell
from nnspec.settings import Runtime
from nnspec.specs import RunSpec

IN_ANY_CASE = 4
MORE = 60 * int(os.environ.get("NNSPEC_TIMES", "1")) + 8
HIDDEN = ([4], [8], [3, 5], [2, 2, 2], [30, 26])


def names(registry: object, *without: str) -> list[str]:
    return [name for name in registry.names() if name not in without]  # type: ignore[attr-defined]


def random_sweep(chance: random.Random) -> list[RunSpec]:
    """The product of a few values of a few axes, shuffled, at most 24 cells."""
    axes = {
        "activation": names(ACTIVATIONS, "heaviside"),
        "init": names(INITS, "from_file"),
        "optimizer": names(OPTIMIZERS, "perceptron_rule"),
        "loss": names(LOSSES),
        "data": [entry.name for entry in DATA if entry.boolean and entry.name != "parity"],
    }
    chosen = {axis: chance.sample(values, chance.choice((1, 1, 2))) for axis, values in axes.items()}
    cells: list[dict[str, object]] = [{}]
    for axis, values in chosen.items():
        cells = [{**cell, axis: {"name": value}} for cell in cells for value in values]
    train = {"epochs": chance.randint(1, 12), "log_every": chance.randint(1, 9)}
    hidden, dtype = chance.choice(HIDDEN), chance.choice(("float32", "float64"))
    specs = [
        checked_mapping(
            {
                **cell,
                "model": {"name": "mlp", "hidden": hidden},
                "train": train,
                "dtype": dtype,
                "seed": chance.randrange(1000),
                "replicates": chance.choice((1, 2, 70)),
            }
        )
        for cell in cells
    ]
    specs = [replace(spec, optimizer=spec.optimizer.with_params(lr=chance.choice((0.01, 0.3, 50.0)))) for spec in specs]
    chance.shuffle(specs)
    return specs[:24]


def content(cell: TrainedCell) -> list[bytes]:
    result = cell.result
    arrays = [result.loss, result.accuracy, result.right, result.outputs, result.solved_at, result.nonfinite_at]
    arrays += [
        *result.weight_norm.values(),
        *result.initial.values(),
        *result.final.values(),
        *cell.result.numbers.values(),
    ]
    return [array.tobytes() for array in arrays] + [str(cell.result.verdict.tolist()).encode()]


def trained(specs: list[RunSpec], runtime: Runtime) -> dict[int, TrainedCell]:
    return {event.index: event for event in Training(specs, runtime) if isinstance(event, TrainedCell)}


def least(specs: list[RunSpec]) -> float:
    """The MiB that will just do: training in the smallest pieces."""
    needed = budget(kinds(specs), 1, 0, Use())
    assert isinstance(needed, float)
    return needed / MIB + 1


def check(seed: int) -> None:
    chance = random.Random(seed)
    specs = random_sweep(chance)
    runtime = Runtime(workers=chance.choice((1, 1, 2)), memory=chance.choice((None, least(specs))))
    whole = trained(specs, runtime)
    assert len(whole) == len(specs)
    picked = chance.randrange(len(specs))
    alone = trained([specs[picked]], Runtime(workers=1))[0]
    assert content(whole[picked]) == content(alone), f"cell {picked} of sweep {seed}: {specs[picked]}"


@pytest.mark.parametrize("seed", range(IN_ANY_CASE))
def test_a_cell_equals_itself_alone(seed: int) -> None:
    check(seed)


@pytest.mark.slow
def test_a_cell_equals_itself_alone_in_many_sweeps() -> None:
    for seed in range(IN_ANY_CASE, IN_ANY_CASE + MORE):
        check(seed)
