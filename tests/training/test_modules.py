"""Models that are torch modules: against the built-in trainers and a textbook loop, alone and in crowds, one by one
where ``vmap`` does not carry them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from own_modules import (
    Branching,
    Convolved,
    Dropped,
    Frozen,
    InPlace,
    Normed,
    OwnMlp,
    OwnNoise,
    Tied,
    TwoPaths,
    WrongShape,
)

from nnspec.architecture import architecture
from nnspec.builder import build, with_weights
from nnspec.catalog import MODELS, OPTIMIZERS, Model
from nnspec.catalog.models import OUTPUT
from nnspec.errors import SpecError
from nnspec.initial import initial_weights
from nnspec.modules.noise import Dropout, keys, with_own_noise
from nnspec.params import Integer, Param
from nnspec.problem import Problem
from nnspec.results.arrays import Results
from nnspec.specs import RunSpec
from nnspec.training.layout import in_lanes, is_module, is_separate, why_single
from nnspec.training.memory import Room, chunk_bytes
from nnspec.training.plan import plan
from nnspec.training.separate.batches import order_of_rows

SpecOf = Callable[..., RunSpec]
Train = Callable[[RunSpec], Results]
Crowd = Callable[..., dict[tuple[int, int], dict[str, bytes]]]
F = torch.nn.functional

# roundings of 1e-16 on numbers around 1, and what some hundred updates make of them
TIGHT = 1e-10
WIDTH = Param("width", 5, Integer(1), "units")
CLASSES = {
    "own_mlp": OwnMlp,
    "two_paths": TwoPaths,
    "normed": Normed,
    "dropped": Dropped,
    "own_noise": OwnNoise,
    "branching": Branching,
    "convolved": Convolved,
    "frozen": Frozen,
    "wrong_shape": WrongShape,
    "in_place": InPlace,
    "tied": Tied,
}


@pytest.fixture(autouse=True, scope="module")
def registered() -> Iterator[None]:
    """The modules are models while these tests run."""
    for name, made in CLASSES.items():
        MODELS.add(Model(name, "of a test", lambda p: (), None, (WIDTH, OUTPUT), module=made))
    yield
    for name in CLASSES:
        MODELS.remove(name)


# -- against the trainers of layers that are known ---------------------------------------------------------------------

IRIS: dict[str, Any] = {"data": {"name": "iris", "test_fraction": 0.2}, "loss": "cross_entropy"}
SAME: dict[str, dict[str, Any]] = {
    "full batch": {"train": {"epochs": 200, "snapshot_every": 50}},
    "clipped, by a schedule": {
        "optimizer": {"name": "sgd", "lr": 0.5, "momentum": 0.9, "nesterov": True},
        "schedule": {"name": "cosine"},
        "train": {"epochs": 120, "clip_norm": 0.1},
    },
    "mini-batches and a test part": {
        **IRIS,
        "optimizer": {"name": "adamw", "lr": 0.02, "weight_decay": 0.1},
        "train": {"epochs": 5, "batch_size": 32, "log_every": 3, "snapshot_every": 7},
    },
    "until solved": {"train": {"epochs": 300, "stop": "solved"}},
    "until solved, by a share of the test part": {
        **IRIS,
        "optimizer": {"name": "adam", "lr": 0.1},
        "solved": {"measure": "test_accuracy", "at_least": 0.9},
        "train": {"epochs": 40, "stop": "solved", "log_every": 2},
    },
    "plateau": {
        **IRIS,
        "optimizer": {"name": "adam", "lr": 0.3},
        "train": {"epochs": 30, "stop": "plateau", "patience": 4, "log_every": 1},
    },
    "a part of each network's own": {
        "data": {"name": "iris", "test_fraction": 0.3, "split": "per_network"},
        "loss": "cross_entropy",
        "train": {"epochs": 3, "batch_size": 40, "stop": "plateau", "patience": 3},
    },
    "numbers to be learnt": {
        "data": {"name": "abs", "rows": 40},
        "loss": "huber",
        "train": {"epochs": 20, "batch_size": 9},
    },
    "rows not right": {"loss": "mse", "solved": {"at_least": 0.75}, "train": {"epochs": 60}},
    "too large numbers": {
        "data": "diabetes",
        "loss": "mse",
        "output": "identity",
        "optimizer": {"name": "sgd", "lr": 1e30},
        "train": {"epochs": 30, "log_every": 4},
    },
}


def both(name: str, spec_of: SpecOf) -> tuple[RunSpec, RunSpec]:
    """The same as a module and as a built-in mlp."""
    fields = {"replicates": 4, "dtype": "float64", "init": "torch_default", "seed": 3} | SAME[name]
    fields.setdefault("optimizer", {"name": "adam", "lr": 0.05})
    output = fields.pop("output", None)
    own = spec_of(**fields, model={"name": "own_mlp", "width": 5, "output": output})
    return own, spec_of(**fields, model={"name": "mlp", "hidden": [5], "output": output}, activation="tanh")


@pytest.mark.sampled(2)
@pytest.mark.parametrize("name", SAME)
def test_an_mlp_as_a_module_is_the_mlp(name: str, spec_of: SpecOf, train: Train) -> None:
    own, known = both(name, spec_of)
    assert is_module(own)
    assert not is_module(known)
    ours, theirs = train(own), train(known)
    for at in ("solved_at", "stopped_at", "nonfinite_at", "right", "steps", "seeds"):
        np.testing.assert_array_equal(getattr(ours, at), getattr(theirs, at), at)
    for line, expected in theirs.lines().items():
        np.testing.assert_allclose(ours.lines()[line], expected, rtol=TIGHT, atol=TIGHT, err_msg=line)
    np.testing.assert_allclose(ours.outputs, theirs.outputs, rtol=TIGHT, atol=TIGHT)
    assert ours.snapshots.keys() == theirs.snapshots.keys()
    sets = [(ours.initial, theirs.initial), (ours.final, theirs.final)]
    for one, other in [*sets, *((ours.snapshots[step], theirs.snapshots[step]) for step in theirs.snapshots)]:
        assert list(one) == list(other)
        for key, tensor in other.items():
            np.testing.assert_allclose(one[key], tensor, rtol=TIGHT, atol=TIGHT, err_msg=key)


def test_the_comparisons_try_what_they_should(spec_of: SpecOf) -> None:
    specs = [both(name, spec_of)[1] for name in SAME]
    assert any(map(in_lanes, specs))
    assert any(map(is_separate, specs))
    assert {spec.train.stop for spec in specs} == {"never", "solved", "plateau"}


# -- against a textbook loop -------------------------------------------------------------------------------------------


def textbook(spec: RunSpec, seed: int) -> torch.nn.Module:
    """The network of a seed after a loop as a textbook has it, in mini-batches, with cross-entropy."""
    net, problem = build(spec, seed).net, Problem.of(spec)
    x, y = torch.from_numpy(problem.inputs), torch.from_numpy(problem.targets)
    module = OPTIMIZERS[spec.optimizer.name].module
    weights = [tensor for tensor in net.parameters() if tensor.requires_grad]
    optimizer = getattr(torch.optim, module)(weights, **dict(spec.optimizer.params))
    noisy, made = with_own_noise(net), 0
    net.train()
    for number in range(spec.train.epochs):
        order = torch.from_numpy(order_of_rows(seed, number, len(x)).astype(np.int64))
        for batch in order.split(spec.train.batch_size):
            for layer, part in enumerate(noisy.values()):
                part.noise = keys(np.array([seed]), made, layer)[0]
            made += 1
            optimizer.zero_grad()
            F.cross_entropy(net(x[batch]), y[batch]).backward()
            torch.nn.utils.clip_grad_norm_(weights, spec.train.clip_norm)
            optimizer.step()
    return net.eval()


@pytest.mark.parametrize("model", ["two_paths", "normed", "convolved", "frozen", "branching", "tied", "dropped"])
@pytest.mark.parametrize("optimizer", ["rmsprop", "adamw"])
def test_updates_are_those_of_a_textbook_loop(model: str, optimizer: str, spec_of: SpecOf, train: Train) -> None:
    spec = spec_of(
        data={"name": "iris", "test_fraction": 0.2},
        loss="cross_entropy",
        model=model,
        optimizer={"name": optimizer, "lr": 0.01},
        train={"epochs": 3, "batch_size": 32, "clip_norm": 0.5},
        dtype="float64",
        replicates=3,
    )
    trained, problem = train(spec), Problem.of(spec)
    assert bool("vmap" in trained.why_eager) == (model == "branching")
    for j, seed in enumerate(trained.seeds.tolist()):
        net = textbook(spec, seed)
        for key, tensor in trained.final.items():
            np.testing.assert_allclose(tensor[j], net.state_dict()[key], rtol=TIGHT, atol=TIGHT, err_msg=key)
        outputs = torch.softmax(net(torch.from_numpy(problem.inputs)), 1).detach()
        np.testing.assert_allclose(trained.outputs[j], outputs, rtol=TIGHT, atol=TIGHT)
    frozen = {name for name, tensor in net.named_parameters() if not tensor.requires_grad}
    still = {key for key, tensor in trained.final.items() if (tensor == trained.initial[key]).all()}
    assert still == frozen


# -- one network -------------------------------------------------------------------------------------------------------


def test_what_the_class_draws_and_what_the_scheme_fills(spec_of: SpecOf) -> None:
    spec = spec_of(
        model="two_paths", init={"name": "kaiming_normal", "bias": "same"}, dtype="float64", activation="auto"
    )
    weights = initial_weights(spec, np.array([7, 8]))
    for j, seed in enumerate((7, 8)):
        torch.manual_seed(seed)
        net = TwoPaths(2, 1, 5).double()
        generator = torch.Generator().manual_seed(seed)
        for layer in (net.a, net.b, net.out):
            fan, _ = torch.nn.init._calculate_fan_in_and_fan_out(layer.weight)
            for tensor in (layer.weight, layer.bias):
                if tensor is not None:
                    torch.nn.init.normal_(tensor, 0, fan**-0.5, generator)
        for key, tensor in net.state_dict().items():
            np.testing.assert_allclose(weights[key][j], tensor.numpy(), rtol=1e-12, err_msg=key)


def test_a_convolution_is_filled_as_torch_fills_it(spec_of: SpecOf) -> None:
    spec = spec_of(model="convolved", init="xavier_uniform", data="iris", loss="cross_entropy")
    weights = initial_weights(spec, np.array([3]))
    kernel = torch.empty(5, 1, 3)
    torch.nn.init.xavier_uniform_(kernel, generator=torch.Generator().manual_seed(3))
    np.testing.assert_allclose(weights["kernel.weight"][0], kernel.numpy(), rtol=1e-6)


@pytest.mark.parametrize("model", ["own_mlp", "normed", "dropped"])
def test_what_trained_is_rebuilt_from_its_weights(model: str, spec_of: SpecOf, train: Train) -> None:
    spec = spec_of(model=model, replicates=2, train={"epochs": 30})
    trained, inputs = train(spec), torch.from_numpy(Problem.of(spec).inputs).float()
    for j in range(2):
        net = with_weights(spec, {name: tensor[j] for name, tensor in trained.final.items()})
        assert list(net.state_dict()) == sorted(trained.final, key=list(net.state_dict()).index)
        np.testing.assert_allclose(net(inputs).detach().numpy(), trained.outputs[j], rtol=1e-5, atol=1e-6)


# -- alone and in crowds -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["two_paths", "normed", "dropped", "own_noise", "convolved"])
@pytest.mark.parametrize("batch", [None, 16], ids=["full batch", "mini-batches"])
def test_a_network_is_the_same_alone_and_in_a_crowd(
    model: str, batch: int | None, spec_of: SpecOf, train: Train
) -> None:
    spec = spec_of(
        model=model,
        data={"name": "moons", "rows": 61},
        dtype="float64",
        replicates=7,
        optimizer={"name": "adam", "lr": 0.02},
        train={"epochs": 8, "batch_size": batch, "log_every": 5},
    )
    crowd = train(spec)
    alone = train(replace(spec, seed=spec.seed + 4, replicates=1))
    for key, tensor in alone.final.items():
        np.testing.assert_allclose(tensor[0], crowd.final[key][4], rtol=TIGHT, atol=TIGHT, err_msg=key)
    np.testing.assert_allclose(alone.loss[0], crowd.loss[4], rtol=TIGHT)
    np.testing.assert_allclose(alone.outputs[0], crowd.outputs[4], rtol=TIGHT)
    assert np.ptp(crowd.final_loss) > 1e-6, "all networks are the same: nothing is tried"
    assert bool("vmap" in crowd.why_eager) == (model == "own_noise")


def test_noise_is_off_in_evaluation_and_has_the_share_that_it_promises() -> None:
    dropout = Dropout(0.3)
    ones = torch.ones(400, 500)
    patterns = []
    for key in keys(np.array([1, 2]), 5, 0):
        dropout.noise = key
        patterns.append(dropout.train()(ones))
        np.testing.assert_array_equal(dropout.eval()(ones), ones)
        # of 200,000 draws the share has a standard deviation of 0.001
        assert abs(float((patterns[-1] == 0).double().mean()) - 0.3) < 0.005
        assert set(patterns[-1].unique().tolist()) == {0.0, float(torch.tensor(1 / 0.7))}
    both = (patterns[0] == 0) & (patterns[1] == 0)
    assert abs(float(both.double().mean()) - 0.09) < 0.005  # independent of each other
    lines = (patterns[0] == 0).double().mean(0)
    assert float(lines.std()) < 1.3 * (0.3 * 0.7 / 400) ** 0.5  # and of the place


def test_every_update_has_noise_of_its_own(spec_of: SpecOf) -> None:
    found = torch.cat([keys(np.arange(50), step, layer) for step in range(20) for layer in range(3)])
    assert len(found.unique()) == len(found)


# -- plan and refusals -------------------------------------------------------------------------------------------------


def test_modules_share_a_stack_only_with_the_same_model(spec_of: SpecOf) -> None:
    specs = [
        spec_of(model={"name": "own_mlp", "width": 5}),
        spec_of(
            model={"name": "own_mlp", "width": 5}, seed=9, init="orthogonal", optimizer={"name": "adam", "lr": 0.1}
        ),
        spec_of(model={"name": "frozen", "width": 5}),  # has the same tensors
        spec_of(model={"name": "mlp", "hidden": [5]}),
    ]
    assert [stack.cells for stack in plan(specs).stacks] == [(0, 1), (2,), (3,)]


def test_large_passes_are_made_one_by_one(spec_of: SpecOf, train: Train) -> None:
    fields = {"data": {"name": "digits"}, "loss": "cross_entropy", "train": {"epochs": 1, "batch_size": 64}}
    small, large = (spec_of(**fields, model={"name": "own_mlp", "width": width}) for width in (8, 400))
    assert why_single(small) == ""
    assert "too large" in why_single(large)
    assert train(large).why_eager == why_single(large)


def test_a_description_counts_what_a_pass_takes(spec_of: SpecOf) -> None:
    shape = architecture(spec_of(model={"name": "convolved", "width": 5}, data="iris", loss="cross_entropy"))
    assert shape.multiplications == 4 * 5 * 3 + 20 * 3  # a kernel of 3 at 4 places for 5 channels, 20 x 3 weights
    # a number is asked for on the way: as if each weight met each row once
    mean = architecture(spec_of(model={"name": "branching", "width": 5}))
    assert mean.multiplications == (2 + 1) * 5


def test_what_trains_is_held(spec_of: SpecOf) -> None:
    one, many = (chunk_bytes(spec_of(model="own_mlp"), count, Room()) for count in (1, 200))
    wide = chunk_bytes(spec_of(model={"name": "own_mlp", "width": 500}), 200, Room())
    assert one < many < wide
    assert wide > 200 * 4 * architecture(spec_of(model={"name": "own_mlp", "width": 500})).parameters * 8


def test_a_wrong_shape_is_named(spec_of: SpecOf, train: Train) -> None:
    said = r"model=wrong_shape must give \[4, 1\] outputs for \[4, 2\] inputs, but got shape \[4\]; mend its forward"
    with pytest.raises(SpecError, match=said):
        train(spec_of(model="wrong_shape"))


def test_a_changed_input_is_named(spec_of: SpecOf, train: Train) -> None:
    with pytest.raises(SpecError, match=r"model=in_place must leave its input as it is, but got a change in place"):
        train(spec_of(model="in_place"))


def test_a_rule_that_goes_row_by_row_needs_a_known_layer(spec_of: SpecOf) -> None:
    with pytest.raises(SpecError, match=r"model.name must have no hidden layer with optimizer=perceptron_rule"):
        spec_of(model="own_mlp", optimizer="perceptron_rule", loss="mse")
