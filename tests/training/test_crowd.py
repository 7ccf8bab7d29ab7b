"""A network is bitwise the same alone and in any crowd, order, chunk, worker and number of threads."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from nnspec.catalog import ACTIVATIONS, LOSSES, OPTIMIZERS
from nnspec.specs import RunSpec
from nnspec.training.layout import is_separate

Crowd = Callable[..., dict[tuple[int, int], dict[str, bytes]]]
Differing = Callable[..., dict[Any, list[str]]]
SpecOf = Callable[..., RunSpec]

TRAINABLE = [entry.name for entry in ACTIVATIONS if entry.trainable]
# [26, 26] and [200] train one after another, [32] in lanes: both ways of training
SHAPES: list[list[int] | None] = [None, [4], [8, 8], [3, 5], [32], [26, 26]]
FLAGS: dict[str, list[dict[str, Any]]] = {
    "sgd": [{}, {"momentum": 0.9, "nesterov": True, "weight_decay": 0.01}],
    "rmsprop": [{}, {"centered": True, "momentum": 0.5}],
}
OPTIMIZER = [
    {"name": name, **flags}
    for name in [entry.name for entry in OPTIMIZERS if not entry.by_rows]
    for flags in FLAGS.get(name, [{}])
]
INITS = ({"name": "kaiming_uniform"}, {"name": "normal", "std": 1.0, "bias": "same"}, {"name": "orthogonal"})
RATES = (0.05, 2.0, 1e25)  # the last overflows single precision within a few updates
SAMPLES = 16
CROWDS = 3  # by which the activations of the samples are shared; the slow cases have them all together
TRIED_ALONE = 7  # of each crowd; over all samples every activation has its turn

Case = tuple[list[int] | None, dict[str, Any], str, str]


def all_with_some_loss() -> Iterator[Case]:
    """Every shape with every optimizer and precision, and with a loss in turn: of any three of the four axes all
    combinations are there, but of shape, optimizer and loss, which make four times as many cases."""
    losses = LOSSES.names()
    for (i, shape), (j, optimizer) in itertools.product(enumerate(SHAPES), enumerate(OPTIMIZER)):
        yield shape, optimizer, losses[(i + j) % len(losses)], "float32"
        yield shape, optimizer, losses[(i + j + 1) % len(losses)], "float64"


def sampled(count: int) -> Iterator[Case]:
    """Cases of which every shape, optimizer, loss and precision is part: each list is walked at its own pace."""
    rng = random.Random(20)
    shapes, optimizers, losses = (rng.sample(list(axis), len(axis)) for axis in (SHAPES, OPTIMIZER, LOSSES.names()))
    for i in range(count):
        yield (
            shapes[i % len(shapes)],
            optimizers[i % len(optimizers)],
            losses[i % len(losses)],
            ("float32", "float64")[(i // len(shapes) + i) % 2],
        )


def crowd_of(
    spec_of: SpecOf, case: Case, epochs: int | None = None, hidden_activations: Sequence[str] = TRAINABLE
) -> list[RunSpec]:
    """A cell for every hidden activation (of a perceptron: for every one that the loss takes) and learning rate, two
    replicates each."""
    hidden, optimizer, loss, dtype = case
    activations = (
        hidden_activations
        if hidden is not None
        else LOSSES[loss].outputs or [a for a in TRAINABLE if not ACTIVATIONS[a].learned]
    )
    epochs = epochs or (10 if sum(hidden or []) > 50 else 20)
    model = {"name": "perceptron"} if hidden is None else {"name": "mlp", "hidden": hidden}
    return [
        spec_of(
            model=model,
            activation=activation,
            init=INITS[i % len(INITS)],
            optimizer={**optimizer, "lr": lr},
            loss=loss,
            dtype=dtype,
            seed=11 * i,
            replicates=2,
            train={"epochs": epochs, "log_every": 7, "snapshot_every": 9},
        )
        for i, (activation, lr) in enumerate(itertools.product(activations, RATES))
    ]


def check(specs: list[RunSpec], alone: list[int], rng: random.Random, crowd: Crowd, differing: Differing) -> None:
    planned = crowd(specs)
    assert len(planned) == sum(spec.replicates for spec in specs)
    assert differing(crowd(specs, width=rng.randrange(40, 100), shuffle=rng), planned) == {}
    for cell in alone:
        replicate = rng.randrange(specs[cell].replicates)
        own = crowd([replace(specs[cell], seed=specs[cell].seed + replicate, replicates=1)])
        assert differing({(cell, replicate): own[0, 0]}, planned) == {}, specs[cell]


def name_of(case: Case) -> str:
    hidden, optimizer, loss, dtype = case
    return f"{hidden}-{optimizer['name']}{len(optimizer) - 1}-{loss}-{dtype}"


@pytest.mark.parametrize(
    ("number", "case"), list(enumerate(sampled(SAMPLES))), ids=lambda v: name_of(v) if isinstance(v, tuple) else ""
)
def test_a_network_is_the_same_alone_and_in_any_crowd(
    number: int, case: Case, spec_of: SpecOf, crowd: Crowd, differing: Differing
) -> None:
    specs = crowd_of(spec_of, case, hidden_activations=TRAINABLE[number % CROWDS :: CROWDS])
    alone = [
        (TRIED_ALONE * number + k) * len(RATES) % len(specs) + (number + k) % len(RATES) for k in range(TRIED_ALONE)
    ]
    check(specs, alone, random.Random(number), crowd, differing)


@pytest.mark.slow
@pytest.mark.parametrize("case", list(all_with_some_loss()), ids=name_of)
def test_a_network_is_the_same_alone_and_in_any_crowd_of_every_kind(
    case: Case, spec_of: SpecOf, crowd: Crowd, differing: Differing
) -> None:
    specs = crowd_of(spec_of, case, epochs=20)  # a bit that differs does so from the first updates
    rng = random.Random(name_of(case))
    check(specs, rng.sample(range(len(specs)), min(10, len(specs))), rng, crowd, differing)


@pytest.mark.slow
def test_a_very_wide_network_is_the_same_alone_and_in_any_crowd(
    spec_of: SpecOf, crowd: Crowd, differing: Differing
) -> None:
    specs = crowd_of(spec_of, ([200], {"name": "adam"}, "bce", "float32"))
    check(specs, list(range(0, len(specs), 5)), random.Random(5), crowd, differing)


@pytest.mark.parametrize(
    ("fields", "replicates"),
    [
        ({"data": {"name": "parity", "bits": 12}, "model": {"name": "mlp", "hidden": [64]}}, 3),  # many rows
        pytest.param({"model": {"name": "mlp", "hidden": [1000, 1000]}}, 5, marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_few_networks_that_train_one_after_another(
    spec_of: SpecOf, crowd: Crowd, differing: Differing, fields: dict[str, Any], replicates: int
) -> None:
    spec = spec_of(**fields, replicates=replicates, train={"epochs": 3, "log_every": 1, "snapshot_every": 2})
    assert is_separate(spec)
    whole = crowd([spec], width=replicates)
    for width in (1, 2):
        assert differing(crowd([spec], width=width), whole) == {}


def test_the_samples_try_every_member_and_alone_every_activation() -> None:
    cases = list(sampled(SAMPLES))
    assert all(hidden in [case[0] for case in cases] for hidden in SHAPES)
    assert all(optimizer in [case[1] for case in cases] for optimizer in OPTIMIZER)
    assert {case[2] for case in cases} == set(LOSSES.names())
    assert {(str(case[0]), case[3]) for case in cases} == {
        (str(hidden), dtype) for hidden in SHAPES for dtype in ("float32", "float64")
    }
    assert len(TRAINABLE) <= SAMPLES * TRIED_ALONE


@pytest.mark.parametrize("left_out", [0, 1, 2, 3])
def test_the_cases_try_all_combinations_of_three_axes(left_out: int) -> None:
    def some(case: Case) -> tuple[str, ...]:
        return tuple(str(value) for axis, value in enumerate(case) if axis != left_out)

    product = list(itertools.product(SHAPES, OPTIMIZER, LOSSES.names(), ("float32", "float64")))
    missing = {some(case) for case in product} - {some(case) for case in all_with_some_loss()}
    assert bool(missing) == (left_out == 3)  # shape, optimizer and loss


def test_some_of_the_crowd_diverges_and_some_does_not(spec_of: SpecOf, crowd: Crowd) -> None:
    facts = crowd(crowd_of(spec_of, ([4], {"name": "sgd"}, "mse", "float32")))
    at = np.array([int.from_bytes(network["nonfinite_at"], "little", signed=True) for network in facts.values()])
    assert (at >= 0).any()
    assert (at < 0).any()


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("hidden", [[4], [4, 4]], ids=str)
def test_the_number_of_threads_changes_nothing(
    hidden: list[int], request: Any, spec_of: SpecOf, crowd: Crowd, differing: Differing
) -> None:
    # Torch splits an operation on 32768 numbers or more between threads: these chunks have 4 rows of 4 units of 3001
    # networks.
    specs = [
        spec_of(model={"name": "mlp", "hidden": hidden}, activation=a, replicates=3001, train={"epochs": 3})
        for a in ("sigmoid", "gelu")
    ]
    one = crowd(specs, width=3001)
    request.getfixturevalue("two_threads")
    assert torch.get_num_threads() == 2
    assert differing(crowd(specs, width=3001), one) == {}
    assert torch.get_num_threads() == 2  # training leaves the setting as it was


def test_workers_change_nothing(spec_of: SpecOf, crowd: Crowd, differing: Differing) -> None:
    specs = [
        spec_of(activation=a, optimizer=o, replicates=300, train={"epochs": 12})
        for a in ("sigmoid", "mish", "prelu")
        for o in ("adam", "sgd")
    ]
    one = crowd(specs, workers=1)
    assert len(one) == 1800
    assert differing(crowd(specs, workers=2, width=128), one) == {}
    assert differing(crowd(specs, workers=2, memory=2e6), one) == {}
