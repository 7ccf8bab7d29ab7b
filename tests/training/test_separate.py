"""Networks that train one after another: against a textbook loop, alone and in crowds, their ends, their test part."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import log_softmax
from torch.optim import lr_scheduler

from nnspec.builder import build
from nnspec.catalog import OPTIMIZERS
from nnspec.duration import batch_size, updates
from nnspec.problem import Problem
from nnspec.reference import train_by_rows
from nnspec.results.arrays import NEVER, Results
from nnspec.specs import RunSpec
from nnspec.training.layout import is_separate, parts
from nnspec.training.loop import train_chunk
from nnspec.training.plan import Chunk, Share
from nnspec.training.separate.batches import order_of_rows

SpecOf = Callable[..., RunSpec]
Train = Callable[[RunSpec], Results]
Crowd = Callable[..., dict[tuple[int, int], dict[str, bytes]]]
Differing = Callable[..., dict[Any, list[str]]]
F = torch.nn.functional

# roundings of 1e-16 on numbers around 1, and what some tens of updates make of them
TIGHT = 1e-10
NORMAL = {"name": "normal", "std": 0.7, "bias": "same"}

# -- against a textbook loop ------------------------------------------------------------------------------------------

LOSS: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "bce": F.binary_cross_entropy,
    "mse": F.mse_loss,
    "cross_entropy": lambda p, y: F.nll_loss(p.log(), y.argmax(1)),
}
SCHEDULER: dict[str, Callable[[torch.optim.Optimizer, int], lr_scheduler.LRScheduler]] = {
    "constant": lambda o, total: lr_scheduler.ConstantLR(o, 1.0),
    "cosine": lambda o, total: lr_scheduler.CosineAnnealingLR(o, total),
    "exponential": lambda o, total: lr_scheduler.ExponentialLR(o, 0.95),
    "step": lambda o, total: lr_scheduler.StepLR(o, 4, 0.5),
}
LOOPS: dict[str, dict[str, Any]] = {
    # 120 training rows in batches of 32, 32, 32 and 24
    "softmax": {
        "data": {"name": "iris", "test_fraction": 0.2},
        "loss": "cross_entropy",
        "model": {"name": "mlp", "hidden": [6, 5]},
        "activation": "tanh",
        "optimizer": {"name": "sgd", "lr": 0.1, "momentum": 0.8},
        "schedule": {"name": "cosine"},
        "train": {"epochs": 5, "batch_size": 32, "log_every": 3, "clip_norm": 0.3},
    },
    # 70 rows in batches of 16 and one of 6
    "bce": {
        "data": {"name": "moons", "rows": 70},
        "loss": "bce",
        "model": {"name": "mlp", "hidden": [8, 4]},
        "activation": "relu",
        "optimizer": {"name": "adam", "lr": 0.02},
        "schedule": {"name": "exponential", "gamma": 0.95},
        "train": {"epochs": 6, "batch_size": 16, "log_every": 4},
    },
    # 40 rows in batches of 9 and one of 4
    "mse": {
        "data": {"name": "abs", "rows": 40, "noise": 0.1},
        "loss": "mse",
        "model": {"name": "mlp", "hidden": [7, 3], "output": "identity"},
        "activation": "prelu",
        "optimizer": {"name": "adamw", "lr": 0.02, "weight_decay": 0.1},
        "train": {"epochs": 8, "batch_size": 9, "log_every": 7, "clip_norm": 0.5},
    },
    # more rows than a block of the kernel has, in batches of two blocks, and one of 369 rows
    "several blocks": {
        "data": {"name": "digits", "standardize": True},
        "loss": "cross_entropy",
        "model": {"name": "mlp", "hidden": [10]},
        "activation": "sigmoid",
        "optimizer": {"name": "rmsprop", "lr": 0.003},
        "train": {"epochs": 2, "batch_size": 476, "log_every": 3},
    },
    # updates in two parts; the last batch of 97 rows leaves nothing for the second
    "two parts": {
        "data": {"name": "digits", "standardize": True},
        "loss": "cross_entropy",
        "model": {"name": "mlp", "hidden": [60, 12]},
        "activation": "prelu",
        "init": {"name": "normal", "std": 0.1, "bias": "same"},  # the loop's logarithm takes no 0
        "optimizer": {"name": "adam", "lr": 0.01},
        "train": {"epochs": 3, "batch_size": 1700, "log_every": 1, "clip_norm": 0.5},
    },
    "two parts at full batch": {
        "data": {"name": "digits", "standardize": True},
        "loss": "cross_entropy",
        "model": {"name": "mlp", "hidden": [70]},
        "activation": "tanh",
        "optimizer": {"name": "sgd", "lr": 0.5, "momentum": 0.9},
        "train": {"epochs": 5, "log_every": 2},
    },
    "full batch": {
        "data": {"name": "wine", "standardize": True},
        "loss": "cross_entropy",
        "model": {"name": "mlp", "hidden": [5]},
        "activation": "tanh",
        "optimizer": {"name": "sgd", "lr": 0.5, "momentum": 0.9, "nesterov": True},
        "schedule": {"name": "step", "step_size": 4, "gamma": 0.5},
        "train": {"epochs": 30, "log_every": 7, "clip_norm": 0.2},
    },
}


def textbook_loop(spec: RunSpec) -> tuple[dict[str, np.ndarray], list[float], list[float]]:
    """The weights after all updates of the one network, and at each row of the history its loss and accuracy over all
    training rows."""
    net, problem = build(spec, spec.seed), Problem.of(spec)
    x, y = torch.from_numpy(problem.inputs), torch.from_numpy(problem.targets)
    module = OPTIMIZERS[spec.optimizer.name].module
    optimizer = getattr(torch.optim, module)(net.parameters(), **dict(spec.optimizer.params), foreach=False)
    total, every, size = updates(spec), spec.train.log_every, batch_size(spec)
    rates = SCHEDULER[spec.schedule.name](optimizer, total)
    losses, accuracies, made = [], [], 0

    def look() -> None:
        with torch.no_grad():
            p = net(x)
        losses.append(LOSS[spec.loss.name](p, y).item())
        right = p.argmax(1) == y.argmax(1) if y.shape[1] > 1 else ((p - y).abs() < problem.tolerance)[:, 0]
        accuracies.append(right.double().mean().item())

    for number in range(spec.train.epochs):
        order = order_of_rows(spec.seed, number, len(x)) if size < len(x) else np.arange(len(x))
        for batch in torch.from_numpy(order.astype(np.int64)).split(size):
            if every and made % every == 0:
                look()
            optimizer.zero_grad()
            LOSS[spec.loss.name](net(x[batch]), y[batch]).backward()
            if spec.train.clip_norm:
                torch.nn.utils.clip_grad_norm_(net.parameters(), spec.train.clip_norm)
            optimizer.step()
            rates.step()
            made += 1
    look()
    assert made == total
    return {name: tensor.numpy() for name, tensor in net.state_dict().items()}, losses, accuracies


@pytest.mark.parametrize("name", LOOPS)
def test_updates_are_those_of_a_textbook_loop(name: str, spec_of: SpecOf, train: Train) -> None:
    spec = spec_of(**{"init": NORMAL, **LOOPS[name]}, dtype="float64", seed=5)
    assert is_separate(spec)
    weights, losses, accuracies = textbook_loop(spec)
    trained = train(spec)
    for key, tensor in weights.items():
        np.testing.assert_allclose(trained.final[key][0], tensor, rtol=TIGHT, atol=TIGHT)
        assert np.abs(tensor - trained.initial[key][0]).max() > 1e-3, f"{key} did not train"
    np.testing.assert_allclose(trained.loss[0], losses, rtol=TIGHT, atol=TIGHT)
    np.testing.assert_allclose(trained.accuracy[0], accuracies, rtol=1e-15)  # a count divided by another
    for layer, norm in trained.weight_norm.items():
        np.testing.assert_allclose(norm[0, -1], np.linalg.norm(weights[f"{layer}.weight"]), rtol=TIGHT)


def test_the_loops_try_what_they_should(spec_of: SpecOf) -> None:
    specs = [spec_of(**fields) for fields in LOOPS.values()]
    assert {spec.schedule.name for spec in specs} == set(SCHEDULER)
    assert {spec.loss.name for spec in specs} == set(LOSS)
    assert {spec.activation.name for spec in specs} >= {"tanh", "relu", "prelu"}
    assert sum(bool(len(Problem.of(spec).inputs) % batch_size(spec)) for spec in specs) == 5  # a short last batch
    assert sum(parts(spec) > 1 for spec in specs) == 2


def test_each_pass_sees_every_row_once_in_an_order_of_the_seeds_own() -> None:
    orders = [order_of_rows(seed, number, 50).tolist() for seed in (0, 1) for number in (0, 1)]
    assert all(sorted(order) == list(range(50)) for order in orders)
    assert len({tuple(order) for order in orders}) == 4
    assert order_of_rows(1, 1, 50).tolist() == orders[-1]


# -- alone and in crowds ----------------------------------------------------------------------------------------------

DATA: list[dict[str, Any]] = [
    {"name": "iris", "test_fraction": 0.3, "split": "per_network"},
    {"name": "wine", "standardize": True, "test_fraction": 0.25},
    {"name": "moons", "rows": 61},
    {"name": "spirals", "rows": 90, "test_fraction": 0.1},
    {"name": "digits", "test_fraction": 0.8},
]
STOPS: list[dict[str, Any]] = [
    {},
    {"stop": "solved"},
    {"stop": "plateau", "patience": 2},
]
SWEEPS = 5  # every data set, and every way to stop with mini-batches


def sweep(rng: random.Random, number: int, spec_of: SpecOf) -> list[RunSpec]:
    """Cells of one or two stacks, drawn at random; every data set and stop rule has its turn."""
    data, stop = DATA[number % len(DATA)], STOPS[number % len(STOPS)]
    hidden = [rng.randrange(1, 20) for _ in range(rng.choice((1, 2)))]
    fields: dict[str, Any] = {
        "data": data,
        "loss": "cross_entropy" if data["name"] in ("iris", "wine", "digits") else rng.choice(("bce", "cross_entropy")),
        "model": {"name": "mlp", "hidden": hidden if number % 2 else [hidden[0] + 40]},
        "dtype": rng.choice(("float32", "float64")),
        "solved": {"at_least": 0.7},
        "train": {
            "epochs": rng.randrange(3, 7),
            "batch_size": None if number == 2 else rng.choice((1, 7, 16, 33, 60)) if number % 5 < 4 else 64,
            "log_every": rng.choice((1, 2, 5)),
            "snapshot_every": rng.choice((0, 3)),
            "clip_norm": rng.choice((0, 0.5)),
            **stop,
        },
    }
    rates = (0.003, rng.choice((0.5, 1e30)))  # the last overflows
    return [
        spec_of(
            **fields,
            activation=activation,
            optimizer={"name": "adam" if number % 2 else "sgd", "lr": lr},
            seed=rng.randrange(1000),
            replicates=2,
        )
        for activation, lr in zip(rng.sample(("relu", "tanh", "gelu", "prelu"), 2), rates, strict=True)
    ]


@pytest.mark.parametrize("number", [0, 1, *[pytest.param(i, marks=pytest.mark.slow) for i in range(2, SWEEPS)]])
def test_a_network_is_bitwise_the_same_alone_and_in_any_crowd(
    number: int, spec_of: SpecOf, crowd: Crowd, differing: Differing
) -> None:
    rng = random.Random(number)
    specs = sweep(rng, number, spec_of)
    assert all(map(is_separate, specs))
    whole = crowd(specs)
    assert differing(crowd(specs, width=3, shuffle=rng), whole) == {}
    for cell, spec in enumerate(specs):
        replicate = rng.randrange(spec.replicates)
        own = crowd([replace(spec, seed=spec.seed + replicate, replicates=1)])
        assert differing({(cell, replicate): own[0, 0]}, whole) == {}


# -- ends -------------------------------------------------------------------------------------------------------------

IRIS: dict[str, Any] = {
    "data": {"name": "iris", "test_fraction": 0.2},
    "loss": "cross_entropy",
    "model": {"name": "mlp", "hidden": [5]},
    "activation": "tanh",
    "optimizer": {"name": "adam", "lr": 0.3},  # so high that losses go up and down
    "seed": 2,
    "replicates": 5,
}
EVERY = {"epochs": 30, "log_every": 1, "snapshot_every": 1}


def assert_ended(stopped: Results, free: Results, ends: list[int | None]) -> None:
    """Each network is bitwise that of ``free``, which has a row and a snapshot an update, up to the update at which it
    ``ends`` (None: it does not), and stays as it was then; ``stopped_at`` says so."""
    assert None in ends
    assert any(end is not None for end in ends), "nobody ended: nothing is tried"
    last = free.steps[-1]
    assert free.stopped_at is None
    assert stopped.stopped_at.tolist() == [NEVER if end in (None, last) else end for end in ends]
    for j, end in enumerate(ends):
        at = np.minimum(stopped.steps, last if end is None else end)
        for ours, theirs in [
            (stopped.loss, free.loss),
            (stopped.accuracy, free.accuracy),
            (stopped.right, free.right),
            (stopped.test_loss, free.test_loss),
            (stopped.test_accuracy, free.test_accuracy),
            *zip(stopped.weight_norm.values(), free.weight_norm.values(), strict=True),
        ]:
            np.testing.assert_array_equal(ours[j], theirs[j, at])
        for name, tensor in stopped.final.items():
            final = free.final if end in (None, last) else free.snapshots[end or 0]
            np.testing.assert_array_equal(tensor[j], final[name][j])


@pytest.mark.parametrize("batch", [None, 40], ids=["full batch", "mini-batches"])
@pytest.mark.parametrize("measure", ["accuracy", "test_accuracy"])
def test_what_is_solved_trains_no_more(batch: int | None, measure: str, spec_of: SpecOf, train: Train) -> None:
    at_least = 0.95
    fields: dict[str, Any] = {**EVERY, "epochs": 10 if batch else 30, "batch_size": batch}
    solved = {"measure": measure, "at_least": at_least}
    free = train(spec_of(**IRIS, solved=solved, train=fields))
    stopped = train(spec_of(**IRIS, solved=solved, train={**fields, "stop": "solved"}))
    reached = free.accuracy if measure == "accuracy" else free.test_accuracy
    assert reached is not None
    right = reached >= at_least
    ends = [int(line.argmax()) if line.any() else None for line in right]
    assert_ended(stopped, free, ends)
    assert stopped.solved_at.tolist() == [NEVER if end is None else end for end in ends]
    assert stopped.solved.tolist() == [end is not None for end in ends]


@pytest.mark.parametrize("batch", [None, 40], ids=["full batch", "mini-batches"])
def test_what_does_not_get_better_trains_no_more(batch: int | None, spec_of: SpecOf, train: Train) -> None:
    fields: dict[str, Any] = {**EVERY, "epochs": 8 if batch else 30, "batch_size": batch}
    free = train(spec_of(**IRIS, train=fields))
    patience, every = 6, 3
    stop = {"stop": "plateau", "patience": patience, "log_every": every, "snapshot_every": 0}
    stopped = train(spec_of(**IRIS, train={**fields, **stop}))
    ends: list[int | None] = []
    for line in free.loss[:, ::every]:
        best = [int(line[: look + 1].argmin()) for look in range(len(line))]
        waited = [look * every for look in range(len(line)) if (look - best[look]) * every >= patience]
        ends.append(waited[0] if waited else None)
    assert_ended(stopped, free, ends)


def test_what_broke_was_not_stopped(spec_of: SpecOf, train: Train) -> None:
    """Weights that grow beyond all numbers end a network too, before its loss has waited long enough."""
    broken = train(
        spec_of(
            data="diabetes",
            loss="mse",
            model={"name": "mlp", "hidden": [5], "output": "identity"},
            optimizer={"name": "sgd", "lr": 1e30},
            train={"epochs": 30, "stop": "plateau", "patience": 20},
        )
    )
    assert 0 < broken.nonfinite_at[0] < 30
    assert broken.stopped_at.tolist() == [NEVER]


# -- the test part ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("split", ["shared", "per_network"])
def test_loss_and_accuracy_of_the_test_part_by_hand(split: str, spec_of: SpecOf, train: Train) -> None:
    data = {"name": "wine", "standardize": True, "test_fraction": 0.3, "split": split}
    times = {"epochs": 2, "batch_size": 20, "log_every": 4, "snapshot_every": 4}
    spec = spec_of(**{**IRIS, "data": data, "train": times, "replicates": 3, "dtype": "float64"})
    trained = train(spec)
    assert trained.test_loss is not None
    assert trained.test_accuracy is not None
    sets = [*trained.snapshots.values(), trained.final]
    assert [*trained.snapshots, updates(spec)] == trained.steps.tolist()
    parts = [Problem.of(spec, int(seed)) for seed in trained.seeds]
    for j, problem in enumerate(parts):
        labels = problem.test_targets.argmax(1)
        for row, weights in enumerate(sets):
            w1, b1, w2, b2 = (tensor[j] for tensor in weights.values())
            z = np.tanh(problem.test_inputs @ w1.T + b1) @ w2.T + b2
            loss = -log_softmax(z, axis=1)[np.arange(len(labels)), labels].mean()
            np.testing.assert_allclose(trained.test_loss[j, row], loss, rtol=TIGHT)
            np.testing.assert_allclose(trained.test_accuracy[j, row], (z.argmax(1) == labels).mean(), rtol=1e-15)
    assert len({problem.test_inputs.tobytes() for problem in parts}) == (3 if split == "per_network" else 1)
    np.testing.assert_array_equal(trained.final_test_loss, trained.test_loss[:, -1])
    np.testing.assert_array_equal(trained.final_test_accuracy, trained.test_accuracy[:, -1])
    assert np.ptp(trained.test_loss) > 0.1  # it is no constant


@pytest.mark.parametrize("data", [{"name": "and"}, {"name": "xor"}, {"name": "moons", "rows": 40}], ids=str)
def test_the_perceptrons_rule_is_that_of_the_reference(data: dict[str, Any], spec_of: SpecOf, train: Train) -> None:
    """Errors pass by pass and weights, by NumPy row by row; the first pass without an error is where it is solved."""
    fields = {"model": {"name": "perceptron"}, "optimizer": "perceptron_rule", "loss": "mse", "dtype": "float64"}
    spec = spec_of(data=data, init="normal", seed=3, replicates=2, train={"epochs": 15, "log_every": 4}, **fields)
    result = train(spec)
    for number in range(2):
        errors, weights = train_by_rows(spec, {name: tensor[number] for name, tensor in result.initial.items()})
        assert result.errors[number].tolist() == list(errors)
        for name, tensor in weights.items():
            np.testing.assert_allclose(result.final[name][number], tensor, rtol=1e-12)
        first = next((passed for passed, wrong in enumerate(errors) if not wrong), NEVER)
        assert result.solved_at[number] == first
    assert (result.solved_at > NEVER).all() == (data["name"] == "and")


def test_cells_of_one_stack_keep_their_own_activations(spec_of: SpecOf) -> None:
    """Networks that differ in nothing but their activation share a chunk, not a kernel."""
    fields = {"data": "iris", "loss": "cross_entropy", "train": {"epochs": 2, "batch_size": 32}}
    specs = [spec_of(activation=name, **fields) for name in ("relu", "tanh")]
    whole = list(train_chunk(specs, Chunk((Share(0, 0, 1), Share(1, 0, 1)))))[-1]
    for number, spec in enumerate(specs):
        alone = list(train_chunk([spec], Chunk((Share(0, 0, 1),))))[-1]
        assert whole.select(network=slice(number, number + 1)).loss.tobytes() == alone.loss.tobytes()
        assert whole.loss[number].tobytes() != whole.loss[1 - number].tobytes()
