"""Networks with norms, bypasses, frozen layers and values a layer: against the network written out by hand, which
torch differentiates, over several updates in float64."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from nnspec.effects import idle_fields
from nnspec.errors import SpecError
from nnspec.problem import Problem
from nnspec.results.arrays import Results
from nnspec.specs import RunSpec
from nnspec.training.layout import is_module

SpecOf = Callable[..., RunSpec]
Train = Callable[[RunSpec], Results]
Weights = Mapping[str, torch.Tensor]
F = torch.nn.functional
TIGHT = 1e-10
UPDATES, RATE = 6, 0.1


def linear(w: Weights, name: str, x: torch.Tensor) -> torch.Tensor:
    return F.linear(x, w[f"{name}.weight"], w.get(f"{name}.bias"))


def layer_normed(w: Weights, x: torch.Tensor) -> torch.Tensor:
    h = linear(w, "0", x)
    spread = ((h - h.mean(1, keepdim=True)) ** 2).mean(1, keepdim=True)
    h = (h - h.mean(1, keepdim=True)) / (spread + 1e-5).sqrt() * w["1.weight"] + w["1.bias"]
    return linear(w, "3", torch.relu(h))


def batch_normed(w: Weights, x: torch.Tensor) -> torch.Tensor:
    h = linear(w, "0", x)
    spread = ((h - h.mean(0)) ** 2).mean(0)
    h = (h - h.mean(0)) / (spread + 1e-5).sqrt() * w["1.weight"] + w["1.bias"]
    return linear(w, "3", torch.relu(h))


def added(w: Weights, x: torch.Tensor) -> torch.Tensor:
    h = torch.relu(linear(w, "blocks.0.0", x)) + x
    return linear(w, "output", torch.relu(linear(w, "blocks.1.0", h)))


def fed_again(w: Weights, x: torch.Tensor) -> torch.Tensor:
    h = torch.relu(linear(w, "blocks.0.0", x))
    h = torch.relu(linear(w, "blocks.1.0", torch.cat([h, x], 1)))
    return linear(w, "output", torch.cat([h, x], 1))


def chain(w: Weights, x: torch.Tensor) -> torch.Tensor:
    return linear(w, "4", torch.relu(linear(w, "2", torch.relu(linear(w, "0", x)))))


def by_layer(w: Weights, x: torch.Tensor) -> torch.Tensor:
    return linear(w, "4", torch.tanh(linear(w, "2", torch.relu(linear(w, "0", x)))))


def rates(name: str) -> float:
    return {"0": 0.3, "2": 0.02, "4": 0.1}[name.partition(".")[0]]


def all_alike(name: str) -> float:
    return RATE


def first_and_last_frozen(name: str) -> float:
    return RATE if name.startswith("2.") else 0.0


MLP = {"name": "mlp", "hidden": [4, 5]}
LAYERS = [{"linear": 5}, {"layer_norm": {}}, {"relu": {}}, {"linear": None}]
LISTED = {"model": {"name": "sequential", "layers": LAYERS}, "activation": "auto"}
SGD: dict[str, Any] = {"name": "sgd", "lr": RATE}
CASES: dict[str, tuple[dict[str, Any], Callable[..., torch.Tensor], Callable[[str], float]]] = {
    "layer norm": ({"model": {"name": "mlp", "hidden": [5], "norm": "layer"}}, layer_normed, all_alike),
    "batch norm": ({"model": {"name": "mlp", "hidden": [5], "norm": "batch"}}, batch_normed, all_alike),
    "residual": ({"model": {**MLP, "residual": True}}, added, all_alike),
    "skip": ({"model": {**MLP, "skip": "input"}}, fed_again, all_alike),
    "no bias": ({"model": {**MLP, "bias": False}}, chain, all_alike),
    "frozen": ({"model": {**MLP, "frozen": ["layer1", "output"]}}, chain, first_and_last_frozen),
    "activations": ({"model": MLP, "activation": {"name": "relu", "per_layer": ["relu", "tanh"]}}, by_layer, all_alike),
    "rates": ({"model": MLP, "optimizer": {**SGD, "lr_per_layer": [0.3, 0.02, 0.1]}}, chain, rates),
    "sequential": (LISTED, layer_normed, all_alike),
}


@pytest.mark.parametrize("case", CASES)
def test_updates_are_those_of_the_network_by_hand(case: str, spec_of: SpecOf, train: Train) -> None:
    fields, forward, rate = CASES[case]
    base: dict[str, Any] = {"activation": "relu", "optimizer": SGD, "init": "torch_default"}
    spec = spec_of(
        data="iris", loss="cross_entropy", dtype="float64", replicates=3, train={"epochs": UPDATES}, **base | fields
    )
    trained, problem = train(spec), Problem.of(spec)
    x, y = torch.from_numpy(problem.inputs), torch.from_numpy(problem.targets)
    for j in range(3):
        buffers = {name for name in trained.final if "running" in name or "tracked" in name}
        w = {n: torch.tensor(t[j], requires_grad=True) for n, t in trained.initial.items() if n not in buffers}
        assert ("0.bias" in w or "blocks.0.0.bias" in w) == (case != "no bias")
        for _ in range(UPDATES):
            gradients = torch.autograd.grad(F.cross_entropy(forward(w, x), y), list(w.values()))
            with torch.no_grad():
                for (name, tensor), gradient in zip(w.items(), gradients, strict=True):
                    tensor -= rate(name) * gradient
        for name, tensor in w.items():
            ours, expected = trained.final[name][j], tensor.detach().numpy()
            np.testing.assert_allclose(ours, expected, rtol=TIGHT, atol=TIGHT, err_msg=name)
            moved = not np.array_equal(ours, trained.initial[name][j])
            assert moved == (rate(name) > 0), name


@pytest.mark.parametrize(
    "case",
    [case if case in ("batch norm", "skip", "rates") else pytest.param(case, marks=pytest.mark.slow) for case in CASES],
)
def test_a_network_is_the_same_alone_and_in_a_crowd_within_roundings(case: str, spec_of: SpecOf, train: Train) -> None:
    """Torch adds up in another order for one network than for nine; see docs/how/alone.md."""
    base: dict[str, Any] = {"activation": "relu", "optimizer": SGD, "init": "torch_default", "train": {"epochs": 100}}
    spec = spec_of(data="iris", loss="cross_entropy", dtype="float64", replicates=9, **base | CASES[case][0])
    crowd = train(spec)
    for place in (0, 5):
        alone = train(replace(spec, seed=spec.seed + place, replicates=1))
        for name, tensor in alone.final.items():
            ours = crowd.final[name][place]
            np.testing.assert_allclose(tensor[0], ours, rtol=TIGHT, atol=TIGHT, err_msg=name)


@pytest.mark.parametrize("norm", ["layer", "batch"])
def test_a_network_with_noise_is_the_same_alone_and_in_a_crowd(norm: str, spec_of: SpecOf, train: Train) -> None:
    spec = spec_of(
        data="iris",
        loss="cross_entropy",
        dtype="float64",
        replicates=4,
        # a bias before a batch norm has no gradient but roundings, which adam makes steps of: here there is none
        model={"name": "mlp", "hidden": [6], "norm": norm, "dropout": 0.4, "bias": False},
        optimizer={"name": "adam", "lr": 0.02},
        train={"epochs": 2, "batch_size": 32},
    )
    crowd, alone = train(spec), train(replace(spec, seed=spec.seed + 2, replicates=1))
    for name, tensor in alone.final.items():
        np.testing.assert_allclose(tensor[0], crowd.final[name][2], rtol=TIGHT, atol=TIGHT, err_msg=name)
    without = train(replace(spec, model=spec.model.with_params(dropout=0.2)))
    assert not np.allclose(without.final["0.weight"], crowd.final["0.weight"]), "dropout has no effect"


def test_what_is_not_asked_for_leaves_fingerprint_and_trainer_as_they_were(spec_of: SpecOf) -> None:
    plain = spec_of(model={"name": "mlp", "hidden": [4]})
    model = {"name": "mlp", "hidden": [4], "norm": "none", "residual": False, "skip": None, "dropout": 0}
    said = spec_of(model={**model, "bias": True, "frozen": None})
    assert said == plain
    assert said.fingerprint == plain.fingerprint
    assert not is_module(said)
    assert is_module(spec_of(model={"name": "mlp", "hidden": [4], "bias": False}))


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (
            {"model": {**MLP, "norm": "batch"}, "train": {"batch_size": 3}},
            "train.batch_size must leave no batch of one row",
        ),
        ({"model": {**MLP, "frozen": ["layerx"]}}, "model.frozen must be a known layer"),
        ({"model": {**MLP, "frozen": ["layer1", "layer2", "output"]}}, "model.frozen must leave a layer that trains"),
        ({"model": {"name": "mlp", "hidden": [7, 5], "residual": True}}, "model.residual must have a hidden layer"),
        ({"model": MLP, "activation": {"name": "relu", "per_layer": ["relu"]}}, "each of the 2 hidden layers"),
        ({"model": MLP, "optimizer": {**SGD, "lr_per_layer": [0.1]}}, "each of the 3 linear layers"),
        ({"model": {"name": "sequential", "layers": [{"linear": 3}]}, "activation": "auto"}, "layer of 1 units"),
    ],
)
def test_what_does_not_fit_the_layers_is_a_fault(fields: dict[str, Any], said: str, spec_of: SpecOf) -> None:
    with pytest.raises(SpecError, match=said):
        spec_of(**fields)


def test_a_rate_beside_those_of_all_layers_has_no_effect(spec_of: SpecOf) -> None:
    fields = {"model": MLP, "optimizer": {**SGD, "lr": 0.7, "lr_per_layer": [1, 1, 1]}}
    (fault,) = idle_fields(spec_of(**fields))
    assert "must be left at 0.1 with optimizer.lr_per_layer" in str(fault)
