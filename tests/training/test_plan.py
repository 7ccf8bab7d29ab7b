"""Which cells share a stack, how stacks are cut, and that no result depends on it."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nnspec.catalog import ACTIVATIONS, DATA, INITS, LOSSES, OPTIMIZERS
from nnspec.check import checked_mapping
from nnspec.duration import Pace
from nnspec.errors import SpecError
from nnspec.specs import RunSpec
from nnspec.training.layout import LANE, is_separate, padded
from nnspec.training.memory import Room, held_bytes
from nnspec.training.plan import KEY_PARTS, SMALLEST, Chunk, Plan, Share, differences, plan, segment_key
from nnspec.training.spans import logged_rows, logged_steps, row_of

SpecOf = Callable[..., RunSpec]
Crowd = Callable[..., dict[tuple[int, int], dict[str, bytes]]]
Differing = Callable[..., dict[Any, list[str]]]

TOGETHER: list[dict[str, Any]] = [
    {"activation": "gelu"},
    {"activation": {"name": "leaky_relu", "negative_slope": 0.3}},
    {"init": "zeros"},
    {"init": {"name": "kaiming_uniform", "bias": "normal"}},
    {"optimizer": {"name": "adam", "lr": 3.0}},
    {"optimizer": {"name": "adam", "betas": [0.0, 0.5], "eps": 1e-3}},
    {"seed": 7},
    {"replicates": 9},
    {"solved": {"tolerance": 0.1}},
]
APART: list[tuple[dict[str, Any], str]] = [
    ({"model": {"name": "mlp", "hidden": [5]}}, "model shape"),
    ({"model": {"name": "mlp", "hidden": [4, 4]}}, "model shape"),
    ({"model": "perceptron"}, "model shape"),
    ({"activation": "prelu"}, "model shape"),  # it has tensors of its own
    ({"data": {"name": "parity", "bits": 3}}, "model shape"),
    ({"loss": "cross_entropy"}, "model shape"),
    ({"loss": "mse", "model": {"name": "mlp", "output": "tanh"}}, "output activation"),
    ({"data": "and"}, "data"),
    ({"data": {"name": "xor", "encoding": "bipolar"}}, "data"),
    ({"loss": "mse"}, "loss"),
    ({"loss": "huber"}, "loss"),
    ({"optimizer": "adamw"}, "optimizer"),
    ({"optimizer": {"name": "adam", "weight_decay": 0.1}}, "optimizer's switches"),
    ({"train": {"epochs": 999}}, "train"),
    ({"train": {"log_every": 3}}, "train"),
    ({"schedule": {"name": "cosine"}}, "schedule"),
    ({"train": {"snapshot_every": 100}}, "train"),
    ({"solved": {"at_least": 0.75}}, "solved"),  # they train one after another, the textbook's in lanes
    ({"dtype": "float64"}, "dtype"),
]


@pytest.mark.parametrize("fields", TOGETHER, ids=str)
def test_what_shares_a_stack(spec_of: SpecOf, fields: dict[str, Any]) -> None:
    (stack,) = plan([spec_of(), spec_of(**fields)]).stacks
    assert stack.cells == (0, 1)


@pytest.mark.parametrize(("fields", "part"), APART, ids=str)
def test_what_does_not_share_a_stack_and_why(spec_of: SpecOf, fields: dict[str, Any], part: str) -> None:
    planned = plan([spec_of(), spec_of(**fields)])
    assert [stack.cells for stack in planned.stacks] == [(0,), (1,)]
    assert part in differences(planned)


@pytest.mark.parametrize(
    "flag", [{"nesterov": True, "momentum": 0.9}, {"momentum": 0.9}, {"weight_decay": 0.1}], ids=str
)
def test_every_flag_and_switch_of_an_optimizer_parts_stacks(spec_of: SpecOf, flag: dict[str, Any]) -> None:
    base = {"name": "sgd", **({"momentum": 0.5} if "nesterov" in flag else {})}
    planned = plan([spec_of(optimizer=base), spec_of(optimizer={**base, **flag})])
    assert len(planned.stacks) == 2
    assert differences(planned) == ["optimizer's switches"]


def test_one_stack_has_no_differences(spec_of: SpecOf) -> None:
    assert differences(plan([spec_of(), spec_of(seed=4)])) == []
    # 'device' has one choice so far, and 'loss' parts alone where shape and output stay: every other part is seen above
    assert {part for _, part in APART} == set(KEY_PARTS) - {"device", "parts of your own"}  # see tests/parts


def by_name(names: Sequence[str]) -> st.SearchStrategy[dict[str, Any]]:
    return st.sampled_from(names).map(lambda name: {"name": name})


def fitting(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields with the activation that the loss takes where the model is a perceptron."""
    return fields if "hidden" in fields["model"] else {**fields, "activation": {"name": "auto"}}


MIXTURES = st.lists(
    st.fixed_dictionaries(
        {
            "model": st.sampled_from(
                [
                    {"name": "perceptron"},
                    {"name": "mlp", "hidden": [4]},
                    {"name": "mlp", "hidden": [3, 2]},
                    {"name": "mlp", "hidden": [30, 30]},
                ]
            ),
            "activation": by_name([entry.name for entry in ACTIVATIONS if entry.trainable]),
            "init": by_name([entry.name for entry in INITS if not entry.stored]),
            "optimizer": by_name([entry.name for entry in OPTIMIZERS if not entry.by_rows]),
            "loss": by_name(LOSSES.names()),
            "data": by_name([entry.name for entry in DATA if entry.boolean]),
            "train": st.fixed_dictionaries(
                {"epochs": st.sampled_from([1, 1000]), "snapshot_every": st.sampled_from([0, 100])}
            ),
            "seed": st.integers(0, 9),
            "replicates": st.integers(1, 3000),
            "dtype": st.sampled_from(["float32", "float64"]),
        }
    )
    .map(fitting)
    .map(checked_mapping),
    min_size=1,
    max_size=12,
)


def assert_covers(planned: Plan, specs: Sequence[RunSpec]) -> None:
    """Every cell in exactly one stack, every replicate in exactly one chunk of it."""
    assert sorted(cell for stack in planned.stacks for cell in stack.cells) == list(range(len(specs)))
    times: Counter[tuple[int, int]] = Counter()
    for stack in planned.stacks:
        for chunk in stack.chunks:
            assert {share.cell for share in chunk.shares} <= set(stack.cells)
            times.update((share.cell, share.first + k) for share in chunk.shares for k in range(share.count))
    assert times == {(cell, replicate): 1 for cell, spec in enumerate(specs) for replicate in range(spec.replicates)}


@given(specs=MIXTURES, workers=st.integers(1, 5), memory=st.sampled_from([None, 1.0, 1e6, 1e8]), files=st.booleans())
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_mixture_is_planned_whole(specs: list[RunSpec], workers: int, memory: float | None, files: bool) -> None:
    room = Room(memory, workers, files)
    planned = plan(specs, room)
    assert_covers(planned, specs)
    assert planned.networks == sum(stack.networks for stack in planned.stacks) == sum(spec.replicates for spec in specs)
    for stack in planned.stacks:
        widths, separate = [chunk.networks for chunk in stack.chunks], is_separate(specs[stack.cells[0]])
        smallest = min((specs[cell] for cell in stack.cells), key=lambda spec: spec.replicates)
        assert max(widths) == 1 or memory is None or held_bytes(smallest, max(widths), stack.networks, room) <= memory
        for chunk in stack.chunks:
            segments = [segment_key(specs[share.cell]) for share in chunk.shares]
            runs = [key for i, key in enumerate(segments) if i == 0 or key != segments[i - 1]]
            assert len(runs) == len(set(runs))  # each formula once a chunk
            columns = sum(padded(sum(share.count for share in of)) for of in _by_formula(specs, chunk))
            assert separate or columns <= padded(
                max(widths)
            )  # what lies in lanes takes no more of them than was reckoned with


def _by_formula(specs: Sequence[RunSpec], chunk: Chunk) -> list[list[Share]]:
    groups = itertools.groupby(chunk.shares, key=lambda share: segment_key(specs[share.cell]))
    return [list(shares) for _, shares in groups]


@given(specs=MIXTURES)
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_the_order_of_cells_does_not_change_who_shares_a_stack(specs: list[RunSpec]) -> None:
    there = {frozenset(specs[cell] for cell in stack.cells) for stack in plan(specs).stacks}
    back = specs[::-1]
    assert {frozenset(back[cell] for cell in stack.cells) for stack in plan(back).stacks} == there


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_many_networks_keep_every_worker_busy(spec_of: SpecOf, workers: int) -> None:
    for replicates in (1024, 5000):
        (stack,) = plan([spec_of(replicates=replicates)], Room(None, workers)).stacks
        assert len(stack.chunks) % workers == 0
        widths = [chunk.networks for chunk in stack.chunks]
        assert max(widths) - min(widths) <= LANE * len(widths)  # nobody waits long for the last one


def test_few_networks_are_not_split(spec_of: SpecOf) -> None:
    (stack,) = plan([spec_of(replicates=SMALLEST)], Room(None, 4)).stacks
    assert len(stack.chunks) == 1


def test_how_a_stack_is_cut_changes_no_result(spec_of: SpecOf, crowd: Crowd, differing: Differing) -> None:
    activations = ("sigmoid", "gelu", "silu")
    specs = [
        spec_of(activation=a, replicates=n, seed=n, train={"epochs": 15})
        for a, n in zip(activations, (70, 129, 3), strict=True)
    ]
    whole = crowd(specs)
    assert len(plan(specs).stacks[0].chunks) == 1 < len(plan(specs, Room(1.0)).stacks[0].chunks)
    assert differing(crowd(specs, memory=1.0), whole) == {}
    for width in (1, 50, 64, 200):
        assert differing(crowd([specs[0]] if width == 1 else specs, width=width), whole) == {}


@given(epochs=st.integers(1, 300), every=st.integers(1, 400))
def test_logged_steps(epochs: int, every: int) -> None:
    train = Pace(epochs, every)
    steps = logged_steps(train).tolist()
    assert steps == sorted({0, epochs} | {step for step in range(epochs + 1) if step % every == 0})
    assert logged_rows(train) == len(steps)
    assert [row_of(train, step) for step in steps] == list(range(len(steps)))
    assert all(row_of(train, step) is None for step in range(epochs) if step not in steps)


def test_specs_that_cannot_train_never_get_here() -> None:
    with pytest.raises(SpecError, match="must have a derivative"):
        checked_mapping(
            {"model": {"name": "mlp"}, "activation": {"name": "heaviside"}}
            | {
                group: {"name": name}
                for group, name in {"init": "zeros", "optimizer": "sgd", "loss": "mse", "data": "xor"}.items()
            }
        )
