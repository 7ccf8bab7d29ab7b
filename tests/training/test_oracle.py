"""Stacked training against two slow oracles: the built module in a textbook loop, and the NumPy reference."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from nnspec import reference
from nnspec.builder import build
from nnspec.catalog import ACTIVATIONS, DATA, LOSSES, OPTIMIZERS
from nnspec.results.arrays import Results
from nnspec.specs import RunSpec
from nnspec.training.loop import train_chunk
from nnspec.training.plan import Plan, plan

SpecOf = Callable[..., RunSpec]
Tensors = dict[str, np.ndarray]
F = torch.nn.functional

# DESIGN.md: roundings of 1e-16 on numbers around 1 after one update, and what a hundred updates make of them
ONE, HUNDRED = 1e-12, 1e-8
STEPS = 100
SEED = 3  # nothing hangs on it but the margins below, which the tests check
# Weights and biases are normal, so that no pre-activation lies on a kink: a zero bias puts the row (0, 0) on relu's.
NORMAL = {"name": "normal", "std": 1.0, "bias": "same"}

LOSS: dict[str, Callable[[torch.Tensor, torch.Tensor, dict[str, Any]], torch.Tensor]] = {  # of outputs p and targets y
    "bce": lambda p, y, q: F.binary_cross_entropy(p, y),
    "mse": lambda p, y, q: F.mse_loss(p, y),
    "cross_entropy": lambda p, y, q: F.nll_loss(p.log(), y.argmax(1)),
    "hinge": lambda p, y, q: torch.clamp(1 - y * p, min=0).mean(),
    "huber": lambda p, y, q: F.huber_loss(p, y, delta=q["delta"]),
}
PLAIN = [{"name": "sgd", "lr": 0.2}, {"name": "adam", "lr": 0.02}]
EVERY = [
    *PLAIN,
    {"name": "sgd", "lr": 0.1, "momentum": 0.8, "dampening": 0.3, "weight_decay": 0.01},
    {"name": "sgd", "lr": 0.1, "momentum": 0.8, "nesterov": True},
    {"name": "adam", "lr": 0.02, "betas": [0.7, 0.95], "eps": 1e-4, "weight_decay": 0.01},
    {"name": "adamw", "lr": 0.02, "weight_decay": 0.1},
    {"name": "adamw", "lr": 0.02, "betas": [0.5, 0.9], "weight_decay": 0.0},
    {"name": "rmsprop", "lr": 0.01},
    {"name": "rmsprop", "lr": 0.003, "alpha": 0.9, "momentum": 0.5, "weight_decay": 0.01},
    {"name": "rmsprop", "lr": 0.01, "centered": True},
    {"name": "adagrad", "lr": 0.1, "lr_decay": 0.05, "initial_accumulator_value": 0.1},
    {"name": "adagrad", "lr": 0.1, "eps": 1e-6, "weight_decay": 0.01},
    {"name": "rprop", "lr": 0.002, "etas": [0.5, 1.1], "step_sizes": [1e-5, 0.05]},
]
# Rprop asks for the sign of g, which rounding (1e-16, grown to 1e-12 at most) cannot change here. A g of exactly 0 is
# hinge's: quarters that cancel, or rows that are all beyond the margin.
RPROP_MARGIN = 1e-9


class ExactHardsigmoid(torch.nn.Module):
    """z / 6 + 1/2 cut to 0..1, differentiated by autograd: torch's own Hardsigmoid has a single-precision 1/6 in its
    backward."""

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return torch.clamp(z / 6 + 0.5, 0, 1)


def textbook_loop(spec: RunSpec, seed: int, steps: int) -> tuple[list[Tensors], list[float], np.ndarray, float]:
    """Weights and losses before and after each update, the final outputs, and the smallest gradient met that is not
    0."""
    net = build(spec, seed)
    for i, module in enumerate(net):
        if isinstance(module, torch.nn.Hardsigmoid):
            net[i] = ExactHardsigmoid()
    data = DATA[spec.data.name].make(dict(spec.data.params))
    inputs, targets = (
        torch.from_numpy(data.inputs),
        torch.from_numpy(LOSSES[spec.loss.name].targets(data.labels, data.classes)),
    )
    optimizer = getattr(torch.optim, OPTIMIZERS[spec.optimizer.name].module)(
        net.parameters(), **dict(spec.optimizer.params), foreach=False
    )
    path, losses, smallest = [copied(net)], [], math.inf
    for _ in range(steps):
        optimizer.zero_grad()
        loss = LOSS[spec.loss.name](net(inputs), targets, dict(spec.loss.params))
        loss.backward()
        smallest = min(
            smallest, *(float(g) for p in net.parameters() if p.grad is not None for g in p.grad.abs().flatten() if g)
        )
        optimizer.step()
        path.append(copied(net))
        losses.append(loss.item())
    outputs = net(inputs)
    losses.append(LOSS[spec.loss.name](outputs, targets, dict(spec.loss.params)).item())
    return path, losses, outputs.detach().numpy(), smallest


def copied(net: torch.nn.Module) -> Tensors:
    return {name: tensor.numpy().copy() for name, tensor in net.state_dict().items()}


def by_cell(planned: Plan) -> dict[int, tuple[Results, int]]:
    """Where each cell's first network is: its chunk's result and its place there."""
    found = {}
    for chunk in planned.chunks():
        *_, trained = train_chunk(planned.specs, chunk)
        assert isinstance(trained, Results)
        place = 0
        for share in chunk.shares:
            found.setdefault(share.cell, (trained, place))
            place += share.count
    return found


def assert_close(ours: Any, theirs: Any, tolerance: float) -> None:
    np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance)


def assert_is_the_loop(spec: RunSpec, trained: Results, place: int) -> None:
    path, losses, outputs, smallest = textbook_loop(spec, spec.seed, STEPS)
    if spec.optimizer.name == "rprop":
        assert smallest > RPROP_MARGIN
    assert list(trained.final) == list(path[0])
    for name, start in path[0].items():
        assert trained.initial[name][place].tobytes() == start.tobytes()
        assert_close(trained.snapshots[1][name][place], path[1][name], ONE)
        assert_close(trained.final[name][place], path[STEPS][name], HUNDRED)
        assert np.abs(path[STEPS][name] - start).max() > 1e-3, f"{name} did not train"
    assert_close(trained.loss[place][:2], losses[:2], ONE)
    assert_close(trained.loss[place], losses, HUNDRED)
    assert_close(trained.outputs[place], outputs, HUNDRED)


@pytest.fixture(scope="module")
def float64_spec(spec_of: SpecOf) -> SpecOf:
    base: dict[str, Any] = {
        "dtype": "float64",
        "init": NORMAL,
        "seed": SEED,
        "train": {"epochs": STEPS, "log_every": 1, "snapshot_every": 1},
    }
    return lambda **fields: spec_of(**{**base, **fields})


TRAINABLE = [entry.name for entry in ACTIVATIONS if entry.trainable]
# the same formula in other words: parameters away from their defaults
PARAMETERS: list[dict[str, Any]] = [
    {"name": "leaky_relu", "negative_slope": 0.3},
    {"name": "prelu", "init": -0.4},
    {"name": "elu", "alpha": 0.4},
    {"name": "celu", "alpha": 2.5},
    {"name": "gelu", "approximate": "tanh"},
    {"name": "softplus", "beta": 3.0, "threshold": 2.0},
    {"name": "hardtanh", "min_val": -0.3, "max_val": 2.0},
    {"name": "threshold", "threshold": -0.5, "value": 0.2},
    {"name": "hardshrink", "lambd": 0.1},
    {"name": "softshrink", "lambd": 0.1},
    {"name": "rrelu", "lower": 0.3, "upper": 0.6},
]
HIDDEN: list[dict[str, Any]] = [*({"name": name} for name in TRAINABLE), *PARAMETERS]


@pytest.fixture(scope="module")
def activations_together(float64_spec: SpecOf) -> tuple[list[RunSpec], dict[int, tuple[Results, int]]]:
    """Every hidden activation with SGD and Adam, trained in one stack each."""
    model = {"name": "mlp", "hidden": [5, 3]}
    specs = [
        float64_spec(model=model, activation=activation, optimizer=optimizer)
        for activation in HIDDEN
        for optimizer in PLAIN
    ]
    planned = plan(specs)
    assert len(planned.stacks) == 4  # two optimizers, with and without a learned slope
    return specs, by_cell(planned)


@pytest.mark.parametrize(
    "cell",
    [  # one after the other with SGD and with Adam; with the other one in the slow tests
        pytest.param(
            len(PLAIN) * i + j,
            id="-".join([*map(str, activation.values()), optimizer["name"]]),
            marks=[] if j == i % len(PLAIN) else pytest.mark.slow,
        )
        for i, activation in enumerate(HIDDEN)
        for j, optimizer in enumerate(PLAIN)
    ],
)
def test_every_activation(
    cell: int, activations_together: tuple[list[RunSpec], dict[int, tuple[Results, int]]]
) -> None:
    specs, found = activations_together
    assert_is_the_loop(specs[cell], *found[cell])


@pytest.mark.parametrize(
    ("number", "optimizer"),
    list(enumerate(EVERY)),
    ids=lambda h: "-".join(map(str, h.values())) if isinstance(h, dict) else "",
)
def test_every_loss_and_optimizer(number: int, optimizer: dict[str, Any], float64_spec: SpecOf) -> None:
    # tanh has no kink; two losses for each optimizer, so that every loss meets most of them
    losses = LOSSES.names()
    specs = [
        float64_spec(activation="tanh", optimizer=optimizer, loss=losses[(2 * number + k) % len(losses)])
        for k in range(2)
    ]
    found = by_cell(plan(specs))
    for cell, spec in enumerate(specs):
        assert_is_the_loop(spec, *found[cell])


@pytest.mark.parametrize(
    "model",
    [
        {"name": "perceptron"},
        {"name": "mlp", "hidden": [7]},
        {"name": "mlp", "hidden": [2, 6, 3]},
        {"name": "mlp", "hidden": [26, 30]},
    ],
    ids=str,
)
def test_every_shape(model: dict[str, Any], float64_spec: SpecOf) -> None:
    # 0.3 keeps 30 inputs a unit out of saturation; cross-entropy has two outputs
    init, data = {**NORMAL, "std": 0.3}, {"name": "parity", "bits": 3, "encoding": "bipolar"}
    activation = "silu" if "hidden" in model else "auto"
    specs = [
        float64_spec(
            model=model, data=data, activation=activation, init=init, loss=loss, optimizer={"name": "adam", "lr": 0.01}
        )
        for loss in ("bce", "cross_entropy")
    ]
    found = by_cell(plan(specs))
    for cell, spec in enumerate(specs):
        assert_is_the_loop(spec, *found[cell])


OUTPUT_SEED = 4  # one for which none of them is flat over all the data, where nothing would train


@pytest.mark.parametrize("output", [name for name in TRAINABLE if not ACTIVATIONS[name].learned])
def test_every_output_activation(output: str, float64_spec: SpecOf) -> None:
    model = {"name": "mlp", "hidden": [3], "output": output}
    spec = float64_spec(
        model=model, activation="tanh", loss={"name": "huber", "delta": 0.3}, optimizer=PLAIN[0], seed=OUTPUT_SEED
    )
    assert_is_the_loop(spec, *by_cell(plan([spec]))[0])


FIXED = [activation for activation in PARAMETERS if not ACTIVATIONS[activation["name"]].learned]


@pytest.mark.parametrize("activation", FIXED, ids=lambda a: "-".join(map(str, a.values())))
def test_a_perceptrons_activation_has_its_parameters(activation: dict[str, Any], float64_spec: SpecOf) -> None:
    spec = float64_spec(model="perceptron", activation=activation, loss="mse", optimizer=PLAIN[0], seed=OUTPUT_SEED)
    assert_is_the_loop(spec, *by_cell(plan([spec]))[0])


def test_every_optimizer_and_loss_is_tried() -> None:
    assert {h["name"] for h in EVERY} == {entry.name for entry in OPTIMIZERS if not entry.by_rows}
    assert set(LOSS) == set(LOSSES.names())
    for entry in OPTIMIZERS:
        for flag in entry.switches:
            tried = [
                float(h.get(flag, next(p.default for p in entry.params if p.name == flag)))
                for h in EVERY
                if h["name"] == entry.name
            ]
            assert {value > 0 for value in tried} == {False, True}, (entry.name, flag)


@pytest.mark.parametrize(
    ("activation", "optimizer"),
    list(zip(["sigmoid", "tanh", "relu", "leaky_relu", "gelu", "prelu"], 2 * EVERY[1:4], strict=True)),
    ids=lambda h: "-".join(map(str, h.values())) if isinstance(h, dict) else h,
)
def test_the_numpy_reference(activation: str, optimizer: dict[str, Any], float64_spec: SpecOf) -> None:
    specs = [
        float64_spec(model={"name": "mlp", "hidden": [4, 3]}, activation=activation, optimizer=optimizer, loss=loss)
        for loss in ("bce", "cross_entropy")
    ]
    for cell, (trained, place) in by_cell(plan(specs)).items():
        first, last = reference.train(specs[cell], steps=1), reference.train(specs[cell])
        for name in last.weights:
            assert_close(trained.snapshots[1][name][place], first.weights[name], ONE)
            assert_close(trained.final[name][place], last.weights[name], HUNDRED)
        assert_close(trained.loss[place], last.loss, HUNDRED)
        assert_close(trained.outputs[place], last.outputs, HUNDRED)
