"""Compiled code trains to the last bit as the eager trainer does, or is not used."""

from __future__ import annotations

import itertools
import platform
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from nnspec.catalog import ACTIVATIONS, OPTIMIZERS
from nnspec.results.cell import NEVER
from nnspec.specs import RunSpec, Train
from nnspec.training import compiled
from nnspec.training import llvm as machine
from nnspec.training import spans as stretch
from nnspec.training import tracing as traced
from nnspec.training.compiled import Compiled
from nnspec.training.graph import Graph, GraphMaths, Traced, Untraceable, total
from nnspec.training.spans import Stretch, stretches
from nnspec.training.tracing import Pass

Crowd = Callable[..., dict[tuple[int, int], dict[str, bytes]]]
Differing = Callable[..., dict[Any, list[str]]]
SpecOf = Callable[..., RunSpec]
Both = Callable[[list[RunSpec]], int]

# where torch's functions are those that machine code calls; elsewhere more activations may train eagerly, with the same
# results
KNOWN = (
    platform.system() == "Linux"
    and platform.machine() == "x86_64"
    and torch.backends.cpu.get_cpu_capability() == "AVX512"
)
TRAINABLE = [entry for entry in ACTIVATIONS if entry.trainable]
FLAGS: dict[str, list[dict[str, Any]]] = {
    "sgd": [{}, {"momentum": 0.9, "nesterov": True, "weight_decay": 0.01}, {"momentum": 0.5, "dampening": 0.1}],
    "adam": [{}, {"weight_decay": 0.01}],
    "rmsprop": [{}, {"centered": True, "momentum": 0.5}],
    "adagrad": [{"lr_decay": 0.1, "weight_decay": 0.1}],
}
UPDATES = [{"name": name, **flags} for name in OPTIMIZERS.names() for flags in FLAGS.get(name, [{}])]
TRAIN = {"epochs": 61, "log_every": 7, "snapshot_every": 25}


@pytest.fixture
def advances(monkeypatch: pytest.MonkeyPatch) -> list[Stretch]:
    """The stretches that compiled code made."""
    made: list[Stretch] = []
    original = Compiled.advance

    def advance(self: Compiled, row: int | None, given: Stretch) -> bool:
        made.append(given)
        return original(self, row, given)

    monkeypatch.setattr(Compiled, "advance", advance)
    return made


@pytest.fixture
def both(monkeypatch: pytest.MonkeyPatch, crowd: Crowd, differing: Differing, advances: list[Stretch]) -> Both:
    """Train specs both ways, compare everything that every network leaves, and count the stretches that compiled code
    made."""

    def compare(specs: list[RunSpec]) -> int:
        monkeypatch.setattr(stretch, "PAYS", 0)
        ours = crowd(specs)
        made = len(advances)
        monkeypatch.setattr(stretch, "PAYS", float("inf"))
        assert differing(ours, crowd(specs)) == {}
        assert len(advances) == made
        return made

    return compare


@pytest.mark.parametrize("entry", TRAINABLE, ids=lambda entry: entry.name)
def test_every_activation(entry: Any, spec_of: SpecOf, both: Both) -> None:
    made = both(
        [
            spec_of(activation=entry.name, init=init, replicates=70, train=TRAIN)
            for init in ("kaiming_uniform", "normal")
        ]
    )
    assert made or not KNOWN


@pytest.mark.parametrize("optimizer", UPDATES, ids=str)
@pytest.mark.parametrize("loss", ["bce", "mse", "huber", "hinge"])
def test_every_optimizer_and_loss(optimizer: dict[str, Any], loss: str, spec_of: SpecOf, both: Both) -> None:
    specs = [spec_of(optimizer={**optimizer, "lr": lr}, loss=loss, replicates=40, train=TRAIN) for lr in (0.01, 0.1)]
    assert both(specs) or not KNOWN


@pytest.mark.parametrize("hidden", [None, [1], [2, 3], [8, 8], [3, 2, 5]], ids=str)
@pytest.mark.parametrize("data", ["xor", {"name": "parity", "bits": 5, "encoding": "bipolar"}], ids=["xor", "parity"])
def test_shapes_and_data(hidden: list[int] | None, data: Any, spec_of: SpecOf, both: Both) -> None:
    model = {"name": "perceptron"} if hidden is None else {"name": "mlp", "hidden": hidden}
    activations = ("relu", "sigmoid") if hidden else ("sigmoid",)
    made = both(
        [
            spec_of(model=model, data=data, activation=a, replicates=3, train={**TRAIN, "epochs": 20})
            for a in activations
        ]
    )
    assert bool(made) == (hidden != [8, 8] or data == "xor") or not KNOWN  # 129 weights times 32 rows are too much


def test_trainings_of_any_length_share_a_step(spec_of: SpecOf, both: Both, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "_machines", {})
    both([spec_of(train=TRAIN)])
    made = dict(compiled._machines)
    both([spec_of(train={"epochs": 90, "log_every": 9})])
    assert compiled._machines == made


def test_softmax_and_double_precision_train_eagerly(spec_of: SpecOf, both: Both) -> None:
    assert both([spec_of(loss="cross_entropy", train=TRAIN)]) == 0
    assert both([spec_of(dtype="float64", train=TRAIN)]) == 0


def test_networks_that_diverge_stay_as_they_were(spec_of: SpecOf, both: Both, crowd: Crowd) -> None:
    """At these learning rates some overflow at once, some late and some never."""
    specs = [
        spec_of(
            activation="leaky_relu",
            model={"name": "mlp", "output": "identity"},
            loss="mse",
            optimizer={"name": "sgd", "lr": lr},
            replicates=50,
            seed=int(1000 * lr),
            train={"epochs": 300, "log_every": 2, "snapshot_every": 9},
        )
        for lr in (0.7, 1.0, 1.2, 1.5)
    ]
    assert both(specs) or not KNOWN
    at = np.array([int.from_bytes(facts["nonfinite_at"], "little", signed=True) for facts in crowd(specs).values()])
    assert 20 < (at == NEVER).sum() < 180
    assert len(set(at[at > 2])) > 8


def test_a_crowd_of_all_activations_is_each_network_alone(
    spec_of: SpecOf, crowd: Crowd, differing: Differing, monkeypatch: pytest.MonkeyPatch, advances: list[Stretch]
) -> None:
    names = [entry.name for entry in TRAINABLE]
    specs = [
        spec_of(activation=name, replicates=3, optimizer={"name": "adam", "lr": lr}, train=TRAIN)
        for name in names
        for lr in (0.1, 1.0)
    ]
    monkeypatch.setattr(stretch, "PAYS", 0)
    together = crowd(specs)
    assert advances or not KNOWN
    monkeypatch.setattr(stretch, "PAYS", float("inf"))
    for cell, spec in enumerate(specs):
        alone = crowd([replace(spec, replicates=1, seed=spec.seed + 2)])
        assert differing({(cell, 2): alone[0, 0]}, together) == {}


def test_code_that_is_wrong_in_the_last_bit_is_not_used(
    spec_of: SpecOf, both: Both, advances: list[Stretch], monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = spec_of(activation="relu", replicates=70, train=TRAIN)
    assert both([spec]) or not KNOWN
    monkeypatch.setattr(compiled, "_machines", {})
    first, *others = machine.EXP_SERIES
    monkeypatch.setattr(machine, "EXP_SERIES", (1.5 * first, *others))
    advances.clear()
    assert both([spec]) == 0


@pytest.mark.parametrize("formula", [lambda xp, z, p: z**2, lambda xp, z, p: z.cube()], ids=["operator", "method"])
def test_a_formula_that_has_no_compiled_form_trains_eagerly(
    formula: Any, spec_of: SpecOf, both: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = {entry.name: entry for entry in ACTIVATIONS}
    monkeypatch.setattr(compiled, "_machines", {})
    monkeypatch.setattr(traced, "ACTIVATIONS", entries | {"tanh": replace(entries["tanh"], value=formula)})
    assert both([spec_of(activation="tanh", train=TRAIN)]) == 0


def test_a_function_that_this_torch_has_not_trains_eagerly(
    spec_of: SpecOf, both: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiled, "_machines", {})
    monkeypatch.setitem(machine._ARRAYS, "tanh", "vmsTanhOfAnotherVersion")
    assert both([spec_of(activation="tanh", train=TRAIN)]) == 0


FUNCTIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "sigmoid": torch.sigmoid,
    "exp": torch.exp,
    "expm1": torch.expm1,
    "log1p": torch.log1p,
    "tanh": torch.tanh,
    "erf": torch.erf,
    "sin": torch.sin,
    "cos": torch.cos,
    "abs": torch.abs,
    "sign": torch.sign,
}
METHODS: dict[str, Callable[[Any], Any]] = {
    "sqrt": lambda z: z.sqrt(),
    "root of one": lambda z: (z + 0.0).rsqrt_(),
    "reciprocal": lambda z: 2.0 / z,
    "fused": lambda z: (z + 1.0).addcmul_(z, z * 0.3),
    "divided": lambda z: (z + 1.0).addcdiv_(z, z * 0.3, value=-1),
    "between": lambda z: (z + 1.0).lerp_(z, abs_(z) * 1e-3),
    "clipped": lambda z: z.clamp(min=-0.5, max=2.0),
    "negative": lambda z: -z,
}


def abs_(z: Any) -> Any:
    return torch.abs(z) if isinstance(z, torch.Tensor) else GraphMaths().abs(z)


def numbers() -> torch.Tensor:
    """Single-precision numbers of every size: any bits that are a number, and many around 1."""
    rng = np.random.default_rng(0)
    edges = np.array([0.0, -0.0, 104, -104, 104.5, -104.5, 88.8, -88.8, 1e-45, -1e-45], np.float32)
    bits = rng.integers(0, 2**32, 60_000, dtype=np.uint32).view(np.float32)
    found = np.concatenate([edges, bits[np.isfinite(bits)], rng.normal(0, 20, 60_000).astype(np.float32)])
    return torch.from_numpy(found[: len(found) // 64 * 64])


@pytest.mark.skipif(not KNOWN, reason="torch's functions are others here")
@pytest.mark.parametrize("name", [*FUNCTIONS, *METHODS])
def test_a_primitive_is_that_of_torch_to_the_last_bit(name: str) -> None:
    graph, update = Graph(), Graph()
    z, nothing = graph.leaf("weight", 0), graph.number(0.0)
    result = getattr(GraphMaths(), name)(z) if name in FUNCTIONS else METHODS[name](z)
    made = machine.build(
        Pass([result], [nothing], nothing < 1.0, nothing, nothing, []),
        [update.leaf("gradient", None)],
        lambda key: False,
    )
    before = numbers()
    after, at, lost = (
        torch.empty_like(before),
        torch.zeros(len(before), dtype=torch.int32),
        torch.zeros(len(before), dtype=torch.int32),
    )
    unused = torch.empty(3, len(before))
    table = np.array([t.data_ptr() for t in (before, after, at, lost, *unused)], np.int64)
    assert made.call(0, len(before), len(before), 0, 0, 1, 1, 0, table.ctypes.data) == 1
    expected = (FUNCTIONS.get(name) or METHODS[name])(before)
    number = ~torch.isnan(expected)  # which not-a-number it is does not matter
    assert torch.equal(torch.isnan(after), ~number)
    assert after[number].numpy().tobytes() == expected[number].numpy().tobytes()


@pytest.mark.parametrize("rows", [1, 4, 16, 17, 40, 200, 300])
def test_total_adds_in_the_order_of_torch(rows: int) -> None:
    numbers = torch.randn(rows, 64, generator=torch.Generator().manual_seed(rows))

    def evaluate(node: Any) -> np.ndarray:
        if node.op == "row":
            return numbers[node.args[0]].numpy()
        if node.op == "number":
            return np.float32(float.fromhex(node.args[0]))
        assert node.op == "+"
        one, two = (evaluate(arg) for arg in node.args)
        return one + two

    graph = Graph()
    result = total(graph.leaf("row", row) for row in range(rows))
    assert evaluate(result.node).tobytes() == numbers.sum(0).numpy().tobytes()


def test_equal_operations_are_one_node_and_what_has_no_form_is_refused() -> None:
    graph = Graph()
    z = graph.leaf("weight", 0)
    assert (z * 2 + 1).node is (z * 2 + 1).node
    assert (z * 2).node is not (z + 2).node
    for untraceable in (lambda: GraphMaths().max(z, 0), lambda: z * np.ones(2)[0:1].tolist()):  # type: ignore[attr-defined]
        with pytest.raises(Untraceable):
            untraceable()
    before = z.node
    assert z.mul_(3.0) is z
    assert z.node is not before
    assert isinstance(z, Traced)


@pytest.mark.parametrize(
    ("epochs", "every", "snapshots", "most"),
    list(itertools.product([1, 10, 61, 1000], [1, 7, 10, 400], [0, 25], [0, 64, 256])),
)
def test_stretches_make_every_update_once_and_look_where_the_history_does(
    epochs: int, every: int, snapshots: int, most: int
) -> None:
    rows = [*range(0, epochs, every), epochs]
    kept = range(0, epochs, snapshots) if snapshots else ()
    found = list(stretches(Train(epochs, every, snapshots), most))
    assert [step for s in found for step in range(s.step, s.step + s.updates)] == list(range(epochs))
    looks = [s.step + look * s.count for s in found for look in range(s.looks)]
    assert set(rows[:-1]) | set(kept) <= set(looks)
    assert set(kept) <= {s.step for s in found}
    assert found[0].looks == 1
    assert all(s.updates <= most for s in found if most)
    assert all(set(range(s.step, s.step + s.updates, s.count)) <= set(rows) for s in found if s.looks > 1)
    if not most:
        assert len(found) == len(set(rows[:-1]) | set(kept))
