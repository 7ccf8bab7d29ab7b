"""The NumPy reference against the built module trained by a textbook loop with autograd and torch.optim."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from nnspec import catalog, reference
from nnspec.builder import build
from nnspec.catalog import ACTIVATIONS, LOSSES
from nnspec.initial import initial_weights
from nnspec.problem import Problem
from nnspec.specs import RunSpec

SpecOf = Callable[..., RunSpec]
ONE, HUNDRED = 1e-12, 1e-8  # DESIGN.md: float64, after one update and after 100, over which roundings grow
F = torch.nn.functional
LOSS: dict[str, Callable[[torch.Tensor, torch.Tensor, dict[str, Any]], torch.Tensor]] = {  # of outputs p and targets y
    "bce": lambda p, y, q: F.binary_cross_entropy(p, y),
    "mse": lambda p, y, q: F.mse_loss(p, y),
    "cross_entropy": lambda p, y, q: F.nll_loss(p.log(), y.argmax(1)),
    "hinge": lambda p, y, q: torch.clamp(1 - y * p, min=0).mean(),
    "huber": lambda p, y, q: F.huber_loss(p, y, delta=q["delta"]),
}
OPTIMIZERS = [
    {"name": "sgd", "lr": 0.1},  # small enough to descend: at 0.5 softplus oscillates, and chaos multiplies roundings
    {"name": "sgd", "lr": 0.2, "momentum": 0.8, "dampening": 0.3, "weight_decay": 0.01},
    {"name": "sgd", "lr": 0.2, "momentum": 0.8, "nesterov": True},
    {"name": "adam", "lr": 0.02},
    {"name": "adam", "lr": 0.02, "betas": [0.7, 0.95], "eps": 1e-4, "weight_decay": 0.01},
    {"name": "adamw", "lr": 0.02, "weight_decay": 0.1},
    {"name": "rmsprop", "lr": 0.002, "alpha": 0.9, "eps": 1e-4, "weight_decay": 0.01},
    {"name": "rmsprop", "lr": 0.002, "alpha": 0.9, "momentum": 0.5, "centered": True},
    {"name": "adagrad", "lr": 0.1, "lr_decay": 0.01, "initial_accumulator_value": 0.1},
    {"name": "rprop", "lr": 0.005, "step_sizes": [1e-6, 0.02]},  # longer steps oscillate, see above
]
TORCH_OPTIMIZERS: dict[str, Any] = {
    "sgd": torch.optim.SGD,
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "rmsprop": torch.optim.RMSprop,
    "adagrad": torch.optim.Adagrad,
    "rprop": torch.optim.Rprop,
}


def textbook_loop(spec: RunSpec, seed: int, steps: int) -> tuple[list[float], dict[str, np.ndarray], np.ndarray]:
    net = build(spec, seed)
    problem = Problem.of(spec)
    inputs, targets = torch.from_numpy(problem.inputs), torch.from_numpy(problem.targets)
    h = dict(spec.optimizer.params)
    optimizer = TORCH_OPTIMIZERS[spec.optimizer.name](net.parameters(), **h)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = LOSS[spec.loss.name](net(inputs), targets, dict(spec.loss.params))
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    losses.append(LOSS[spec.loss.name](net(inputs), targets, dict(spec.loss.params)).item())
    return losses, {k: v.numpy() for k, v in net.state_dict().items()}, net(inputs).detach().numpy()


def assert_equal(spec: RunSpec, seed: int, steps: int, tolerance: float) -> None:
    ours = reference.train(spec, seed, steps)
    losses, weights, outputs = textbook_loop(spec, seed, steps)
    assert ours.loss.shape == (steps + 1,)
    assert list(ours.weights) == list(weights)
    for name, tensor in weights.items():
        np.testing.assert_allclose(ours.weights[name], tensor, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(ours.loss, losses, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(ours.outputs, outputs, rtol=tolerance, atol=tolerance)


# one draw, checked below to move every layer; torch's Hardsigmoid has a single-precision 1/6 in its backward pass
SEED, INEXACT = 3, {"hardsigmoid"}
TRAINABLE = [entry.name for entry in ACTIVATIONS if entry.trainable]


@pytest.mark.parametrize("optimizer", [OPTIMIZERS[0], OPTIMIZERS[3]], ids=["sgd", "adam"])
@pytest.mark.parametrize("activation", [name for name in TRAINABLE if name not in INEXACT])
def test_every_activation(spec_of: SpecOf, activation: str, optimizer: dict[str, Any]) -> None:
    spec = spec_of(
        model={"name": "mlp", "hidden": [5, 3]},
        activation=activation,
        optimizer=optimizer,
        init="normal",
        dtype="float64",
    )
    assert_equal(spec, SEED, 1, ONE)
    assert_equal(spec, SEED, 100, HUNDRED)


@pytest.mark.parametrize("activation", sorted(INEXACT))
def test_where_torch_s_own_gradient_is_in_single_precision(spec_of: SpecOf, activation: str) -> None:
    spec = spec_of(activation=activation, optimizer=OPTIMIZERS[0], init="normal", dtype="float64")
    assert_equal(spec, SEED, 1, 3e-8)  # half an eps of float32, on gradients and weights below 1


@pytest.mark.parametrize(
    ("loss", "optimizer"),
    [  # every optimizer once and every loss several times; the rest of their product is slow
        pytest.param(
            loss, optimizer, id=f"{loss.name}-{optimizer}", marks=[] if i == j % len(LOSSES) else pytest.mark.slow
        )
        for i, loss in enumerate(LOSSES)
        for j, optimizer in enumerate(OPTIMIZERS)
    ],
)
def test_every_loss_and_optimizer(spec_of: SpecOf, loss: Any, optimizer: dict[str, Any]) -> None:
    spec = spec_of(
        loss=loss.name,
        activation="tanh",
        optimizer=optimizer,
        init="normal",
        dtype="float64",
        data={"name": "parity", "bits": 3},
    )
    assert_equal(spec, SEED, 1, ONE)
    assert_equal(spec, SEED, 100, HUNDRED)


@pytest.mark.parametrize(
    "output", [name for name in TRAINABLE if name not in INEXACT and not ACTIVATIONS[name].learned]
)
def test_every_output_activation(spec_of: SpecOf, output: str) -> None:
    model = {"name": "perceptron", "output": output}
    spec = spec_of(
        model=model, loss={"name": "huber", "delta": 0.3}, optimizer=OPTIMIZERS[3], init="normal", dtype="float64"
    )
    assert_equal(spec, SEED, 1, ONE)
    assert_equal(spec, SEED, 100, HUNDRED)


@pytest.mark.parametrize("activation", ["tanh", "gelu", "prelu"])
def test_training_moves_every_tensor_and_lowers_the_loss(spec_of: SpecOf, activation: str) -> None:
    spec = spec_of(activation=activation, dtype="float64")
    start = {name: w[0] for name, w in initial_weights(spec, [SEED]).items()}
    run = reference.train(spec, SEED, 200)
    assert run.loss[-1] < 0.1 * run.loss[0]
    assert all(np.abs(run.weights[name] - start[name]).max() > 0.01 for name in start)


def test_gradients_are_differences_of_the_loss(spec_of: SpecOf) -> None:
    off_the_kinks = {"name": "normal", "bias": "same"}  # with a zero bias the row (0, 0) lies on PReLU's kink
    spec = spec_of(
        model={"name": "mlp", "hidden": [3, 2]},
        activation="prelu",
        loss="cross_entropy",
        init=off_the_kinks,
        dtype="float64",
    )
    problem = Problem.of(spec)
    weights = reference.drawn(spec, 1)
    gradients = reference.backward(problem, weights, reference.forward(problem, weights))
    assert gradients.keys() == weights.keys()
    for name, gradient in gradients.items():
        for index in np.ndindex(gradient.shape):
            sides = []
            for step in (1e-5, -1e-5):
                moved = {k: w.copy() for k, w in weights.items()}
                moved[name][index] += step
                sides.append(reference.loss_of(problem, reference.forward(problem, moved)[-1]))
            # central differences: the step squared (1e-10) times third derivatives of some tens
            assert gradient[index] == pytest.approx((sides[0] - sides[1]) / 2e-5, abs=1e-8)


def test_seed_steps_and_start_default_to_the_spec_s(spec_of: SpecOf) -> None:
    spec = spec_of(seed=6, train={"epochs": 5}, dtype="float64")
    run = reference.train(spec)
    start = {name: w[0] for name, w in initial_weights(spec, [6]).items()}
    again = reference.train(spec, steps=5, start=start)
    assert len(run.loss) == 6
    np.testing.assert_array_equal(run.loss, again.loss)
    np.testing.assert_array_equal(
        start["0.weight"], initial_weights(spec, [6])["0.weight"][0]
    )  # the start is left as it was
    assert not np.array_equal(run.loss, reference.train(spec, seed=7).loss)


def test_a_float32_spec_starts_from_its_own_draw(spec_of: SpecOf) -> None:
    run = reference.train(spec_of(), steps=0)
    assert run.weights["0.weight"].dtype == np.float64
    np.testing.assert_array_equal(run.weights["0.weight"], initial_weights(spec_of(), [0])["0.weight"][0])


def test_every_optimizer_is_compared() -> None:
    assert (
        {optimizer["name"] for optimizer in OPTIMIZERS}
        == set(TORCH_OPTIMIZERS)
        == {entry.name for entry in catalog.OPTIMIZERS if not entry.by_rows}
    )


def test_the_perceptron_rule_is_scikit_learn_s(spec_of: Callable[..., RunSpec]) -> None:
    linear_model = pytest.importorskip("sklearn.linear_model")
    x = np.array([[0, 0, 0], [0, 0, 1], [0, 1, 0], [0, 1, 1], [1, 0, 0], [1, 0, 1], [1, 1, 0], [1, 1, 1]])
    start = {"0.weight": np.array([[0.31, -0.72, 0.13]]), "0.bias": np.array([0.27])}  # on no row is w x + b 0
    for epochs in (1, 2, 3, 9):
        spec = spec_of(
            model="perceptron",
            loss="mse",
            optimizer={"name": "perceptron_rule", "lr": 0.3},
            data={"name": "parity", "bits": 3},
            train={"epochs": epochs},
        )
        theirs = linear_model.Perceptron(max_iter=epochs, tol=None, shuffle=False, eta0=0.3)
        theirs.fit(x, x.sum(1) % 2, coef_init=start["0.weight"].copy(), intercept_init=start["0.bias"].copy())
        errors, weights = reference.train_by_rows(spec, start)
        assert errors.shape == (epochs,)
        assert errors.min() > 0  # no plane separates them
        np.testing.assert_allclose(weights["0.weight"], theirs.coef_, rtol=1e-12)  # sums of a few multiples of 0.3
        np.testing.assert_allclose(weights["0.bias"], theirs.intercept_, rtol=1e-12)


def test_the_perceptron_rule_ends_without_an_error_where_a_line_separates(spec_of: Callable[..., RunSpec]) -> None:
    spec = spec_of(
        model="perceptron", loss="mse", optimizer="perceptron_rule", data="and", init="zeros", train={"epochs": 20}
    )
    errors, weights = reference.train_by_rows(spec)
    # by hand from w = 0, b = 0: only (1, 1) is wrong in the first pass
    assert errors[0] == 1
    assert errors[-1] == 0
    assert ((Problem.of(spec).inputs @ weights["0.weight"].T + weights["0.bias"])[:, 0] > 0).tolist() == [0, 0, 0, 1]
