"""Networks that become non-finite stop there and are marked; they stop nobody else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from nnspec.results.arrays import NEVER, Results
from nnspec.specs import RunSpec, Train
from nnspec.training.loop import train_chunk
from nnspec.training.plan import plan

SpecOf = Callable[..., RunSpec]
TrainOf = Callable[[RunSpec], Results]
Crowd = Callable[..., dict[tuple[int, int], dict[str, bytes]]]
Differing = Callable[..., dict[Any, list[str]]]

# an unbounded output and a squared error: each update multiplies the weights by about -lr, until they overflow
BREAKS = {"model": {"name": "mlp", "hidden": [4], "output": "identity"}, "loss": "mse", "activation": "leaky_relu"}
CASES = {
    "sgd": {**BREAKS, "optimizer": {"name": "sgd", "lr": 40.0}},
    "momentum": {**BREAKS, "optimizer": {"name": "sgd", "lr": 40.0, "momentum": 0.9}},
    "adam": {**BREAKS, "optimizer": {"name": "adam", "lr": 1e18}},
    "float64": {**BREAKS, "optimizer": {"name": "sgd", "lr": 1e9}, "dtype": "float64"},
    "deep": {
        **BREAKS,
        "model": {"name": "mlp", "hidden": [3, 5], "output": "identity"},
        "optimizer": {"name": "sgd", "lr": 1e3},
    },
    "learned slope": {**BREAKS, "activation": "prelu", "optimizer": {"name": "sgd", "lr": 1e3}},
    "cross entropy": {"activation": "relu", "loss": "cross_entropy", "optimizer": {"name": "sgd", "lr": 1e20}},
    "wide": {
        **BREAKS,
        "model": {"name": "mlp", "hidden": [26, 26], "output": "identity"},
        "optimizer": {"name": "sgd", "lr": 1e3},
    },
}
EPOCHS = 60


@pytest.fixture(params=CASES)
def broken(request: Any, spec_of: SpecOf, train: TrainOf) -> tuple[RunSpec, Results]:
    """A cell of which networks break, some of them between two logged rows."""
    spec = spec_of(**CASES[request.param], replicates=6, train={"epochs": EPOCHS, "log_every": 4, "snapshot_every": 1})
    trained = train(spec)
    assert ((trained.nonfinite_at > 0) & (trained.nonfinite_at < EPOCHS)).any()
    return spec, trained


def test_they_keep_the_weights_they_had_then(broken: tuple[RunSpec, Results], train: TrainOf) -> None:
    spec, trained = broken
    for j, at in enumerate(trained.nonfinite_at):
        if at == NEVER:
            continue
        upto = train(replace(spec, seed=spec.seed + j, replicates=1, train=Train(int(at), 4, 1)))
        assert upto.nonfinite_at.tolist() == [at]
        for name, tensor in upto.final.items():
            assert trained.final[name][j].tobytes() == tensor[0].tobytes()
        assert trained.outputs[j].tobytes() == upto.outputs[0].tobytes()
        # it was then that it broke, and one update earlier outputs were well
        before = train(replace(spec, seed=spec.seed + j, replicates=1, train=Train(int(at) - 1, 4, 1)))
        assert np.isfinite(before.outputs).all()
        assert not np.isfinite(upto.outputs).all()


def test_their_history_stays_as_it_was_then(broken: tuple[RunSpec, Results]) -> None:
    _, trained = broken
    for j, at in enumerate(trained.nonfinite_at):
        if at == NEVER:
            assert not np.isnan(trained.loss[j]).any()
            continue
        since = np.flatnonzero(trained.steps >= at)
        assert not np.isnan(
            trained.loss[j, trained.steps < at]
        ).any()  # a square can overflow to inf before the output does
        for line in (trained.loss[j], trained.accuracy[j], *(norm[j] for norm in trained.weight_norm.values())):
            assert {line[t].tobytes() for t in since} == {line[since[0]].tobytes()}
        assert not trained.right[j, since].any()


def test_they_are_never_solved(broken: tuple[RunSpec, Results]) -> None:
    _, trained = broken
    assert (trained.solved_at[trained.nonfinite_at != NEVER] == NEVER).all()


def test_their_snapshots_from_then_on_are_the_weights_they_keep(broken: tuple[RunSpec, Results]) -> None:
    _, trained = broken
    for j, at in enumerate(trained.nonfinite_at):
        for step, weights in trained.snapshots.items():
            if NEVER < at <= step:
                for name, tensor in weights.items():
                    assert tensor[j].tobytes() == trained.final[name][j].tobytes(), (name, step)


def test_neighbours_are_bitwise_unaffected(spec_of: SpecOf, crowd: Crowd, differing: Differing) -> None:
    rates = (0.02, 0.3, 30.0, 1e4, 1e30)
    fields = {**BREAKS, "replicates": 9, "train": {"epochs": EPOCHS, "log_every": 4, "snapshot_every": 10}}
    for optimizer in (
        {"name": "sgd"},
        {"name": "sgd", "momentum": 0.9},
        {"name": "adam"},
        {"name": "rmsprop"},
        {"name": "rprop", "step_sizes": [1e-6, 1e38]},
    ):
        specs = [spec_of(**fields, optimizer={**optimizer, "lr": lr}) for lr in rates]
        together = crowd(specs)
        at = {name: int.from_bytes(facts["nonfinite_at"], "little", signed=True) for name, facts in together.items()}
        well = [cell for cell in range(len(rates)) if all(at[cell, k] == NEVER for k in range(9))]
        assert well
        assert any(step != NEVER for step in at.values())
        without = crowd([specs[cell] for cell in well])
        named = {(well[cell], k): facts for (cell, k), facts in without.items()}
        assert differing(named, together) == {}


def test_non_finite_before_the_first_update(spec_of: SpecOf, train: TrainOf) -> None:
    spec = spec_of(**{**BREAKS, "init": {"name": "normal", "std": 1e30}}, train={"epochs": 5})
    trained = train(spec)
    assert trained.nonfinite_at.tolist() == [0]
    for name, tensor in trained.final.items():
        assert tensor.tobytes() == trained.initial[name].tobytes()


def test_a_loss_that_overflows_while_outputs_do_not_is_seen_at_the_start(spec_of: SpecOf, train: TrainOf) -> None:
    # outputs around 1e25, whose squares are beyond single precision
    spec = spec_of(
        **{**BREAKS, "init": {"name": "normal", "std": 1e12}},
        optimizer={"name": "adam", "lr": 1e-3},
        train={"epochs": 5},
    )
    trained = train(spec)
    assert np.isfinite(trained.outputs).all()
    assert np.isinf(trained.loss).all()
    assert trained.nonfinite_at.tolist() == [0]


def test_a_whole_chunk_may_break(spec_of: SpecOf) -> None:
    specs = [
        spec_of(**BREAKS, optimizer={"name": "sgd", "lr": lr}, train={"epochs": EPOCHS}) for lr in (20.0, 1e4, 1e30)
    ]
    (stack,) = plan(specs).stacks
    *_, trained = train_chunk(specs, stack.chunks[0])
    assert isinstance(trained, Results)
    assert (trained.nonfinite_at > 0).all()
    assert len(set(trained.nonfinite_at.tolist())) > 1  # each at its own time
