"""Compiled code trains to the last bit as the eager trainer does, or is not used."""

from __future__ import annotations

import itertools
import platform
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import scipy.special
import torch

from nnspec import architecture
from nnspec.catalog import ACTIVATIONS, OPTIMIZERS, OUTPUTS
from nnspec.duration import Pace
from nnspec.results.arrays import NEVER
from nnspec.specs import RunSpec
from nnspec.training import llvm as machine
from nnspec.training.codegen.graph import Graph, GraphMaths, Traced, Untraceable, total
from nnspec.training.codegen.instructions import ONE_BY_ONE, WRITTEN_OUT
from nnspec.training.codegen.library import FUNCTIONS as LIBRARY
from nnspec.training.codegen.row_graph import Row, RowMaths
from nnspec.training.compiled import Compiler
from nnspec.training.llvm import CompiledStep
from nnspec.training.loop import train_chunk
from nnspec.training.network_last import XP
from nnspec.training.plan import Chunk, Share
from nnspec.training.spans import spans
from nnspec.training.tracing import Pass

Crowd = Callable[..., dict[tuple[int, int], dict[str, bytes]]]
Differing = Callable[..., dict[Any, list[str]]]
SpecOf = Callable[..., RunSpec]
Both = Callable[..., set[str]]

# where torch's functions are those that machine code calls; elsewhere networks may train eagerly, with the same results
KNOWN = (
    platform.system() == "Linux"
    and platform.machine() == "x86_64"
    and torch.backends.cpu.get_cpu_capability() in ("AVX2", "AVX512")
)
TRAINABLE = [entry for entry in ACTIVATIONS if entry.trainable]
FLAGS: dict[str, list[dict[str, Any]]] = {
    "sgd": [{}, {"momentum": 0.9, "nesterov": True, "weight_decay": 0.01}, {"momentum": 0.5, "dampening": 0.1}],
    "adam": [{}, {"weight_decay": 0.01}],
    "rmsprop": [{}, {"centered": True, "momentum": 0.5}],
    "adagrad": [{"lr_decay": 0.1, "weight_decay": 0.1}],
}
UPDATES = [
    {"name": name, **flags}
    for name in [entry.name for entry in OPTIMIZERS if not entry.by_rows]
    for flags in FLAGS.get(name, [{}])
]
LOSS_NAMES = ["bce", "mse", "huber", "hinge", "cross_entropy"]
# every update once and every loss several times; the rest of their product is slow
UPDATES_AND_LOSSES = [
    pytest.param(update, loss, id=f"{update}-{loss}", marks=[] if (i + j) % len(LOSS_NAMES) == 0 else pytest.mark.slow)
    for i, update in enumerate(UPDATES)
    for j, loss in enumerate(LOSS_NAMES)
]
PARITY = {"name": "parity", "bits": 5, "encoding": "bipolar"}
# to make code for 32 rows of two layers or more takes seconds
SHAPES_AND_DATA = [
    *[pytest.param(hidden, "xor", id=f"xor-{hidden}") for hidden in (None, [1], [2, 3], [5, 5], [3, 2, 5])],
    *[pytest.param(hidden, PARITY, id=f"parity-{hidden}") for hidden in (None, [1])],
    *[
        pytest.param(hidden, PARITY, id=f"parity-{hidden}", marks=pytest.mark.slow)
        for hidden in ([2, 3], [5, 5], [3, 2, 5])
    ],
]
TRAIN = {"epochs": 61, "log_every": 7, "snapshot_every": 25}


@pytest.fixture
def both(crowd: Crowd, differing: Differing) -> Both:
    """``both(specs, **options)`` trains specs by compiled code and eagerly, compares everything that every network
    leaves, and gives the reasons why chunks were not left to compiled code."""

    def compare(specs: list[RunSpec], **options: Any) -> set[str]:
        reasons: set[str] = set()
        ours = crowd(specs, pays=0, reasons=reasons, **options)
        eager: set[str] = set()
        assert differing(ours, crowd(specs, pays=float("inf"), reasons=eager)) == {}
        assert "" not in eager
        return reasons

    return compare


def assert_compiled(reasons: set[str]) -> None:
    """All bits agree; on a processor that we know, it is compiled code that made them."""
    if not KNOWN:
        pytest.skip("torch's functions are others here: networks may train eagerly")
    assert reasons == {""}


@pytest.mark.parametrize("entry", TRAINABLE, ids=lambda entry: entry.name)
def test_every_activation(entry: Any, spec_of: SpecOf, both: Both) -> None:
    inits = ("kaiming_uniform", "normal")
    assert_compiled(both([spec_of(activation=entry.name, init=i, replicates=70, train=TRAIN) for i in inits]))


@pytest.mark.parametrize(("optimizer", "loss"), UPDATES_AND_LOSSES)
def test_every_optimizer_and_loss(optimizer: dict[str, Any], loss: str, spec_of: SpecOf, both: Both) -> None:
    rates = (0.01, 0.1)
    assert_compiled(
        both([spec_of(optimizer={**optimizer, "lr": lr}, loss=loss, replicates=40, train=TRAIN) for lr in rates])
    )


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw", "rmsprop", "adagrad"])
def test_a_schedule_moves_the_coefficients(optimizer: str, spec_of: SpecOf, both: Both) -> None:
    fields: dict[str, Any] = {"schedule": {"name": "cosine", "warmup": 5}, "replicates": 40, "train": TRAIN}
    assert_compiled(both([spec_of(optimizer={"name": optimizer, "lr": lr}, **fields) for lr in (0.01, 0.1)]))


@pytest.mark.parametrize(("hidden", "data"), SHAPES_AND_DATA)
def test_shapes_and_data(hidden: list[int] | None, data: Any, spec_of: SpecOf, both: Both) -> None:
    model = {"name": "perceptron"} if hidden is None else {"name": "mlp", "hidden": hidden}
    activations = ("relu", "sigmoid") if hidden else ("sigmoid",)
    fields: dict[str, Any] = {"model": model, "data": data, "replicates": 3, "train": {**TRAIN, "epochs": 20}}
    assert_compiled(both([spec_of(activation=name, **fields) for name in activations]))


def test_trainings_of_any_length_share_a_step(spec_of: SpecOf, both: Both) -> None:
    compiler = Compiler()
    both([spec_of(train=TRAIN)], compiler=compiler)
    made = dict(compiler.made)
    assert made
    both([spec_of(train={"epochs": 90, "log_every": 9})], compiler=compiler)
    assert compiler.made == made


@pytest.mark.parametrize("loss", ["mse", "cross_entropy"])
@pytest.mark.parametrize("hidden", [None, [4], [2, 3]], ids=str)
def test_double_precision(loss: str, hidden: list[int] | None, spec_of: SpecOf, both: Both) -> None:
    model = {"name": "perceptron"} if hidden is None else {"name": "mlp", "hidden": hidden}
    optimizer = {"name": "adam" if hidden else "sgd", "lr": 0.1}
    alone = "softmax" if loss == "cross_entropy" else "tanh"
    names = ("tanh", "elu", "prelu") if hidden else (alone,)
    fields: dict[str, Any] = {"loss": loss, "model": model, "optimizer": optimizer, "replicates": 70, "train": TRAIN}
    assert_compiled(both([spec_of(dtype="float64", activation=name, **fields) for name in names]))


def test_what_is_too_large_or_too_little_trains_eagerly(spec_of: SpecOf) -> None:
    def why(chunk: Chunk, **fields: Any) -> str:
        *_, trained = train_chunk([spec_of(**fields)], chunk, pays=64 * 61)
        return trained.why_eager  # type: ignore[union-attr]

    chunk = Chunk((Share(0, 0, 1),))
    assert why(chunk, train={**TRAIN, "epochs": 60}) == "too few updates to compile for"
    assert why(replace(chunk, compiled=False), train=TRAIN) == "no memory to spare for compiled code"
    wide = {"name": "mlp", "hidden": [30, 30]}
    assert why(chunk, model=wide, train={**TRAIN, "epochs": 60}) == ""  # trains by itself, never eagerly
    assert why(chunk, train={"epochs": 61, "log_every": 61}) == "training ended while compiled code was on trial"


DIVERGING: dict[str, Any] = {
    "activation": "leaky_relu",
    "model": {"name": "mlp", "output": "identity"},
    "loss": "mse",
    "replicates": 50,
}


def test_networks_that_diverge_stay_as_they_were(spec_of: SpecOf, both: Both, crowd: Crowd) -> None:
    """At these learning rates some overflow at once, some late and some never."""
    train = {"epochs": 300, "log_every": 2, "snapshot_every": 9}
    specs = [
        spec_of(**DIVERGING, optimizer={"name": "sgd", "lr": lr}, seed=int(1000 * lr), train=train)
        for lr in (0.7, 1.0, 1.2, 1.5)
    ]
    reasons = both(specs)
    at = np.array([int.from_bytes(facts["nonfinite_at"], "little", signed=True) for facts in crowd(specs).values()])
    assert 20 < (at == NEVER).sum() < 180
    assert len(set(at[at > 2])) > 8
    assert_compiled(reasons)


def test_a_trial_that_a_diverging_network_spoils_is_repeated(spec_of: SpecOf, both: Both) -> None:
    """The second one then begins in the history's first block and ends in its second."""
    train = {"epochs": 600, "log_every": 1}
    optimizer = {"name": "sgd", "lr": 0.1}
    fields = {**DIVERGING, "optimizer": optimizer, "train": train}
    assert_compiled(both([spec_of(**fields, init={"name": "normal", "std": std}) for std in (0.5, 1e30)]))


def test_a_crowd_of_all_activations_is_each_network_alone(spec_of: SpecOf, crowd: Crowd, differing: Differing) -> None:
    names = [entry.name for entry in TRAINABLE]
    specs = [
        spec_of(activation=name, replicates=3, optimizer={"name": "adam", "lr": lr}, train=TRAIN)
        for name in names
        for lr in (0.1, 1.0)
    ]
    reasons: set[str] = set()
    together = crowd(specs, pays=0, reasons=reasons)
    for cell, spec in enumerate(specs):
        alone = crowd([replace(spec, replicates=1, seed=spec.seed + 2)], pays=float("inf"))
        assert differing({(cell, 2): alone[0, 0]}, together) == {}
    assert_compiled(reasons)


def test_code_that_is_wrong_in_the_last_bit_is_not_used(spec_of: SpecOf, both: Both) -> None:
    def wrong(made: Pass, update: list[Traced]) -> CompiledStep:
        last = made.gradients[-1]
        return machine.build(replace(made, gradients=[*made.gradients[:-1], last * (1 + 2**-22)]), update)

    spec = spec_of(activation="relu", replicates=70, train=TRAIN)
    assert both([spec], compiler=Compiler(wrong)) == {"compiled code and torch differ in the last bits"}  # type: ignore[arg-type]
    assert_compiled(both([spec], compiler=Compiler()))


@pytest.mark.parametrize("formula", [lambda xp, z, p: z**2.5, lambda xp, z, p: z.cube()], ids=["operator", "method"])
def test_a_formula_that_has_no_compiled_form_trains_eagerly(
    formula: Any, spec_of: SpecOf, both: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = {entry.name: entry for entry in OUTPUTS}
    # where the tracer finds it; the eager trainer has its own, in its segments
    monkeypatch.setattr(architecture, "OUTPUTS", entries | {"tanh": replace(entries["tanh"], value=formula)})
    (why,) = both([spec_of(activation="tanh", train=TRAIN)], compiler=Compiler())
    assert why.startswith("no compiled form: ")


def test_a_function_that_this_torch_has_not_trains_eagerly(spec_of: SpecOf, both: Both) -> None:
    build = partial(machine.build, functions={**LIBRARY, "tanh": "vm{intel}TanhOfAnotherVersion"})
    reasons = both([spec_of(activation="tanh", train=TRAIN)], compiler=Compiler(build))
    assert reasons == {"no compiled form: torch has no vmsTanhOfAnotherVersion"}


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


def numbers(dtype: str) -> torch.Tensor:
    """Numbers of every size: any bits that are a number, and many around 1."""
    rng, kind = np.random.default_rng(0), np.dtype(dtype)
    edges = [0.0, -0.0, 104, -104, 104.5, -104.5, 88.8, -88.8, 709.7, 709.8, -745.2, -1000, -1001, np.finfo(kind).tiny]
    bits = rng.integers(0, 256, (60_000, kind.itemsize), dtype=np.uint8).view(kind)[:, 0]
    found = np.concatenate([np.array(edges, kind), bits[np.isfinite(bits)], rng.normal(0, 20, 60_000).astype(kind)])
    return torch.from_numpy(found[: len(found) // 64 * 64])


@pytest.mark.skipif(not KNOWN, reason="torch's functions are others here")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", [*FUNCTIONS, *METHODS])
def test_a_primitive_is_that_of_torch_to_the_last_bit(name: str, dtype: str) -> None:
    graph = Graph()
    z = graph.leaf("weight", 0)
    result = getattr(GraphMaths(), name)(z) if name in FUNCTIONS else METHODS[name](z)
    before = numbers(dtype)
    assert_same(computed([result], before[None], dtype)[0], (FUNCTIONS.get(name) or METHODS[name])(before))


ROW_FUNCTIONS: dict[str, Callable[[Any, Any], Any]] = {
    "softmax": lambda xp, z: xp.softmax(z),
    "max": lambda xp, z: xp.max(z, 1),
    "sum": lambda xp, z: xp.sum(z, 1),
    "one column": lambda xp, z: (1 + xp.max(z - 2 * z, 1) - xp.sum(z * z, 1)) / 2,
    "both": lambda xp, z: z - xp.log(xp.sum(xp.exp(z - xp.max(z, 1)), 1)),
}


@pytest.mark.skipif(not KNOWN, reason="torch's functions are others here")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("columns", [1, 2, 10, 40])
@pytest.mark.parametrize("name", ROW_FUNCTIONS)
def test_a_formula_of_rows_is_that_of_torch_to_the_last_bit(name: str, columns: int, dtype: str) -> None:
    graph, formula = Graph(), ROW_FUNCTIONS[name]
    scale = torch.logspace(-3, 2, 64, dtype=getattr(torch, dtype))
    before = torch.randn(columns, 64, generator=torch.Generator().manual_seed(columns), dtype=scale.dtype) * scale
    before[0, 3] = float("nan")
    results = formula(RowMaths(), Row(graph.leaf("weight", column) for column in range(columns))).values
    expected = formula(XP, before[None])[0]
    assert len(results) == len(expected)
    assert_same(computed(results, before, dtype), expected)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", [*LIBRARY, "tanh written out"])
def test_a_function_without_torchs_library_is_right_to_its_last_digits(name: str, dtype: str) -> None:
    """C's functions where torch has none, and what kernels write out: SciPy and NumPy tell the value, in float64.
    Four units in the last place: C's libraries promise one to two, NumPy's one more."""
    name, _, written = name.partition(" ")
    functions = {**dict.fromkeys(LIBRARY, ONE_BY_ONE), **({name: WRITTEN_OUT} if written else {})}
    z = np.random.default_rng(0).normal(0, 3, 64_000).astype(dtype)
    z = np.abs(z) if name in ("log", "log1p", "sqrt") else z
    graph = Graph()
    leaf = graph.leaf("weight", 0)
    result = leaf.sqrt() if name == "sqrt" else getattr(GraphMaths(), name)(leaf)
    ours = computed([result], torch.from_numpy(z)[None], dtype, functions)[0].numpy().astype(np.float64)
    exact = (scipy.special.erf if name == "erf" else getattr(np, name))(z.astype(np.float64))
    np.testing.assert_allclose(ours, exact, rtol=4 * np.finfo(dtype).eps, atol=0)


def computed(
    results: list[Traced], weights: torch.Tensor, dtype: str, functions: Mapping[str, str] = LIBRARY
) -> torch.Tensor:
    """What compiled code makes of weights [P, M]."""
    nothing, update = results[0].graph.number(0.0), Graph()
    count = len(weights[0])
    gradients = [*results, *[nothing] * (len(weights) - len(results))]
    traced = Pass(gradients, [nothing], nothing < 1.0, nothing, nothing, [], dtype)
    step = machine.build(traced, [update.leaf("gradient", None)], functions)
    after = weights.clone()
    room = {slot: torch.empty(count, dtype=after.dtype) for slot in step.slots} | {("stored", 0): after}
    table = np.array([room[slot].data_ptr() for slot in step.slots], np.int64)
    step.call(0, count, count, 0, 0, 1, 1, 0, table.ctypes.data)
    return after[: len(results)]


def assert_same(ours: torch.Tensor, torchs: torch.Tensor) -> None:
    """Equal to the last bit; which not-a-number it is does not matter."""
    number = ~torch.isnan(torchs)
    assert torch.equal(torch.isnan(ours), ~number)
    assert ours[number].numpy().tobytes() == torchs[number].numpy().tobytes()


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
    found = list(spans(Pace(epochs, every, snapshots), most))
    assert [step for s in found for step in range(s.step, s.step + s.updates)] == list(range(epochs))
    looks = [s.step + look * s.count for s in found for look in range(s.looks)]
    assert set(rows[:-1]) | set(kept) <= set(looks)
    assert set(kept) <= {s.step for s in found}
    assert found[0].looks == 1
    assert all(s.updates <= most for s in found if most)
    assert all(set(range(s.step, s.step + s.updates, s.count)) <= set(rows) for s in found if s.looks > 1)
    if not most:
        assert len(found) == len(set(rows[:-1]) | set(kept))
