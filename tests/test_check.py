"""Bad specs: each rule with its text, all faults at once, and nothing but ``SpecError`` whatever comes in."""

from __future__ import annotations

import hashlib
import itertools
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from nnspec.architecture import architecture
from nnspec.catalog import ACTIVATIONS, REGISTRIES
from nnspec.check import checked_mapping
from nnspec.errors import Fault, SpecError
from nnspec.specs import Member, RunSpec

MappingOf = Callable[..., dict[str, Any]]
SpecOf = Callable[..., RunSpec]


def member(name: str, **params: Any) -> dict[str, Any]:
    return {"name": name, **params}


FAULTS: list[tuple[dict[str, Any], str]] = [
    (
        {"activation": "gleu"},
        r"activation.name must be a known activation, but got 'gleu'; did you mean '\w*elu'\? available: celu, elu, "
        r"gelu, .*tanhshrink",
    ),
    (
        {"init": "kaimingg"},
        r"init.name must be a known init, but got 'kaimingg'; .*available: constant, .*kaiming_normal, kaiming_uniform",
    ),
    (
        {"data": "xorr"},
        r"data.name must be a known data, but got 'xorr'; did you mean 'xor'\? available: abs, and, "
        r"blobs, .*xnor, xor",
    ),
    (
        {"model": member("mlp", hiden=[4])},
        r"model.hiden is not a known key; did you mean 'hidden'\? available: "
        "bias, depth, dropout, frozen, hidden, norm, output, residual, skip, width",
    ),
    ({"activation": member("relu", slope=1)}, "activation.slope is not a known key; it takes no parameters"),
    ({"trian": {}}, r"trian is not a field of a spec; did you mean 'train'\? available: activation, data, "),
    ({"train": {"epoch": 3}}, r"train.epoch is not a known key; did you mean 'epochs'\? "),
    (
        {"model": member("mlp", hidden=[-4])},
        r"model.hidden must be a list in which each item must be a whole number at least 1 .*, but got \[-4\]",
    ),
    ({"model": member("mlp", hidden=[0])}, r"model.hidden must be a list .*but got \[0\]"),
    ({"model": member("mlp", hidden=[])}, r"model.hidden must be a list of at least 1 value, but got \[\]"),
    ({"model": member("mlp", hidden="four")}, "model.hidden must be a list of at least 1 value, but got four"),
    ({"model": member("mlp", hidden=[4.0])}, "model.hidden must be a list in which each item must be a whole number"),
    (
        {"optimizer": member("adam", lr=math.nan)},
        "optimizer.lr must be a finite number above 0, but got nan; try optimizer.lr=0.1",
    ),
    ({"optimizer": member("adam", lr=-1)}, "optimizer.lr must be a finite number above 0, but got -1"),
    ({"optimizer": member("adam", lr=10**400)}, "optimizer.lr must be a finite number above 0"),
    (
        {"optimizer": member("adam", betas=[0.9, 1.0])},
        r"optimizer.betas must be a list in which each item .* below 1, but got \[0.9,1.0\]",
    ),
    (
        {"optimizer": member("sgd", nesterov=True)},
        "optimizer.nesterov needs momentum above 0 and dampening 0, but got true; try optimizer.momentum=0.9",
    ),
    ({"optimizer": member("rprop", etas=[1.2, 0.5])}, r"optimizer.etas must be a factor below 1 and one above 1"),
    ({"train": {"epochs": 0}}, "train.epochs must be a whole number at least 1 .*, but got 0; try train.epochs=1000"),
    ({"train": {"epochs": "ten"}}, "train.epochs must be a whole number .*, but got ten"),
    ({"train": {"log_every": 0}}, "train.log_every must be a whole number at least 1, but got 0"),
    ({"train": 3}, "train must be a mapping, but got 3"),
    ({"solved": {"tolerance": 0}}, "solved.tolerance must be a finite number above 0 and at most 1"),
    ({"replicates": 0}, "replicates must be a whole number at least 1 .*, but got 0"),
    ({"replicates": -5}, "replicates must be a whole number at least 1 .*, but got -5"),
    ({"seed": -1}, "seed must be a whole number at least 0 .*, but got -1"),
    (
        {"seed": 2**32 - 1, "replicates": 2},
        r"seed \+ replicates must be at most 4294967296, but got 4294967295 \+ 2; lower seed",
    ),
    ({"dtype": "float8"}, "dtype must be one of float32, float64, but got float8; try dtype=float64"),
    ({"device": "tpu"}, "device must be one of cpu, cuda"),
    ({"device": "cuda:1"}, "device must be one of cpu, cuda, but got cuda:1; try device=cuda"),
    (
        {"activation": member("leaky_relu", negative_slope="steep")},
        "activation.negative_slope must be a finite number, but got steep; try activation.negative_slope=0.01",
    ),
    (
        {"activation": member("hardtanh", min_val=2)},
        "activation.min_val must be below max_val, but got 2.0; exchange min_val and max_val",
    ),
    ({"activation": member("rrelu", lower=1)}, "activation.lower must not be above upper"),
    (
        {"activation": "heaviside"},
        "activation.name must have a derivative that is not 0 everywhere, .* 'heaviside'; try activation=sigmoid",
    ),
    (
        {"loss": "cross_entropy", "model": member("mlp", output="sigmoid")},
        "model.output must be softmax with loss=cross_entropy, but got 'sigmoid'; leave it out for softmax",
    ),
    ({"train": {"batch_size": 5}}, "train.batch_size must be at most 4, the rows that .*, but got 5; lower it"),
    ({"train": {"batch_size": 0}}, "train.batch_size must be a whole number at least 1, but got 0"),
    ({"train": {"stop": "never ever"}}, "train.stop must be one of never, solved, plateau"),
    ({"train": {"clip_norm": -1}}, "train.clip_norm must be a finite number at least 0"),
    ({"train": {"clip_norm": 1e-60}}, "train.clip_norm must be of a size that dtype=float32 holds"),
    (
        {"train": {"stop": "plateau", "epochs": 100}},
        "train.patience must be below the 100 updates of the training with train.stop=plateau, but got 100",
    ),
    ({"solved": {"at_least": 1.5}}, "solved.at_least must be a finite number above 0 and at most 1, but got 1.5"),
    (
        {"solved": {"measure": "test_accuracy"}},
        "solved.measure must be accuracy where the data have no test part, but got test_accuracy; try data.test_fra",
    ),
    (
        {"schedule": member("constant", warmup=1000)},
        "schedule.warmup must be below the 1000 updates of the training, but got 1000; lower it, or raise train.epochs",
    ),
    (
        {"schedule": member("step", step_size=900, warmup=100)},
        "schedule.step_size must be below the 900 updates behind the warm-up, but got 900",
    ),
    (
        {"schedule": member("cosine", updates=1001)},
        "schedule.updates must be at most the 1000 updates of the training, but got 1001; lower it",
    ),
    (
        {"schedule": member("linear", updates=500)},
        "schedule.floor must be above 0 where schedule.updates ends before the training.*, but got 0.0; try sched",
    ),
    (
        {"schedule": member("exponential", gamma=0.5)},
        "schedule.gamma must keep the learning rate at a size that dtype=float32 holds, at least 1.2e-38, but got 1",
    ),
    ({"schedule": member("exponential", gamma=1)}, "schedule.gamma must be a finite number above 0 and below 1"),
    ({"schedule": 3}, "schedule must be a mapping with a 'name', but got 3"),
    ({"schedule": member("cosin")}, "schedule.name must be a known schedule, but got 'cosin'; did you mean 'cosine'"),
    (
        {"optimizer": "perceptron_rule", "loss": "mse"},
        "model.name must have no hidden layer with optimizer=perceptron_rule, .*, but got 'mlp'; try model=perceptron",
    ),
    (
        {"optimizer": "perceptron_rule", "model": "perceptron"},
        "loss.name must be mse with optimizer=perceptron_rule: .*, but got 'bce'; try loss=mse",
    ),
    (
        {"optimizer": "perceptron_rule", "model": "perceptron", "loss": "mse", "train": {"clip_norm": 1}},
        "train.clip_norm must be 0 with optimizer=perceptron_rule",
    ),
    (
        {"optimizer": "perceptron_rule", "model": "perceptron", "loss": "mse", "train": {"batch_size": 2}},
        "train.batch_size must be null with optimizer=perceptron_rule",
    ),
    (
        {"optimizer": "perceptron_rule", "model": "perceptron", "loss": "mse", "activation": "sigmoid"},
        "activation.name must be heaviside with optimizer=perceptron_rule, but got 'sigmoid'; try activation=auto",
    ),
    (
        {"loss": "bce", "model": member("mlp", output="softmax")},
        "model.output must be sigmoid with loss=bce, but got 'softmax'",
    ),
    (
        {"loss": "mse", "model": member("mlp", output="softmax")},
        "model.output must be elementwise, fixed and differentiable, but got 'softmax'",
    ),
    (
        {"loss": "mse", "model": member("mlp", output="heaviside")},
        "model.output must be elementwise, fixed and differentiable",
    ),
    (
        {"loss": "mse", "model": member("mlp", output="prelu")},
        "model.output must be elementwise, fixed and differentiable",
    ),
    (
        {"loss": "hinge", "model": member("mlp", output="relu")},
        "model.output must be identity or tanh or .* with loss=hinge",
    ),
    (
        {"model": member("mlp", output="sigmod")},
        r"model.output must be a known output activation, but got 'sigmod'; did you mean 'sigmoid'\?",
    ),
    (
        {"model": "perceptron", "activation": "tanh"},
        "activation.name must be sigmoid with loss=bce, but got 'tanh'; try activation=auto",
    ),
    (
        {"model": "perceptron", "activation": "relu", "loss": "hinge"},
        "activation.name must be identity or tanh or .* with loss=hinge",
    ),
    (
        {"model": "perceptron", "activation": "identity", "loss": "cross_entropy"},
        "activation.name must be softmax with loss=cross_entropy",
    ),
    (
        {"model": "perceptron", "activation": "prelu", "loss": "mse"},
        "activation.name must be elementwise, fixed and differentiable",
    ),
    (
        {"model": "perceptron", "activation": "heaviside", "loss": "mse"},
        "activation.name must be elementwise, fixed and differentiable",
    ),
    (
        {"model": member("perceptron", output="sigmoid"), "activation": "tanh", "loss": "mse"},
        r"activation.name must be model.output \(sigmoid\): a perceptron has one activation, but got 'tanh'; say one "
        r"of the two",
    ),
    (
        {"model": member("perceptron", output="sigmod")},
        "model.output must be a known output activation, but got 'sigmod'",
    ),
    ({"activation": "softmax"}, "activation.name must be elementwise between layers, but got 'softmax'"),
    ({"activation": member("auto", alpha=1)}, "activation.alpha is not a known key; it takes no parameters"),
    ({"init": member("uniform", low=2)}, "init.low must be below high, but got 2.0"),
    (
        {"init": member("truncated_normal", low=7, high=9)},
        "init.low to high must hold at least a millionth of the normal distribution",
    ),
    (
        {"init": member("normal", bias="onse")},
        "init.bias must be a known bias scheme, but got 'onse'; .*available: constant, ",
    ),
    (
        {"init": member("normal", bias="orthogonal")},
        "init.bias must be a scheme that fills vectors, but got 'orthogonal'; try init.bias=zeros",
    ),
    (
        {"init": member("orthogonal", bias="same")},
        "init.bias cannot be 'same': orthogonal fills matrices only; try init.bias=zeros",
    ),
    (
        {"init": member("kaiming_uniform", gain="big")},
        "init.gain must be a finite number above 0 or 'auto', but got big",
    ),
    ({"init": "from_file"}, "init.path must be given with init=from_file; try init.path=weights.safetensors"),
    (
        {"init": member("from_file", path="missing.safetensors")},
        r"init.path must be a readable file \(No such file or directory\), but got 'missing.safetensors'; check the "
        r"path",
    ),
    ({"init": member("from_file", path="nul\0l")}, "init.path must be a readable file"),
    ({"data": member("parity", bits=17)}, "data.bits must be a whole number at least 1 and at most 16, but got 17"),
    ({"data": member("xor", encoding="ternary")}, "data.encoding must be one of binary, bipolar, but got ternary"),
    (
        {"model": None},
        "model must be a mapping with a 'name', but got null; choose one with model=NAME; 'nnspec list' shows the "
        "names",
    ),
    ({"model": {"hidden": [4]}}, "model must be a mapping with a 'name'"),
    ({"model": {"name": 3}}, "model must be a mapping with a 'name'"),
    (
        {"_target_": "os.system"},
        "_target_ is not allowed: a spec is data and cannot name code, but got os.system; remove it",
    ),
    ({"model": member("mlp", _target_="torch.load")}, "model._target_ is not allowed"),
    ({"train": {"_target_": "a"}}, "train._target_ is not allowed"),
    ({"model": member("mlp", hidden=[{"_target_": "a"}])}, r"model.hidden\[0\]._target_ is not allowed"),
    ({"extra": [{"deep": {"_target_": "a"}}]}, r"extra\[0\].deep._target_ is not allowed"),
]


@pytest.mark.parametrize(("fields", "rule"), FAULTS, ids=lambda v: str(v)[:50] if isinstance(v, dict) else "")
def test_one_fault_one_line(mapping_of: MappingOf, fields: dict[str, Any], rule: str) -> None:
    with pytest.raises(SpecError, match=rule) as caught:
        checked_mapping(mapping_of(**fields))
    lines = str(caught.value).split("\n")
    assert sum(bool(re.search(rule, line)) for line in lines) == 1  # rule, value and remedy are in one line
    assert (
        len(lines) == 1 or "_target_" in str(fields) or "hiden" in str(fields)
    )  # an inner _target_ is no value either
    assert caught.value.exit_status == 2


def test_all_faults_at_once(mapping_of: MappingOf) -> None:
    bad = mapping_of(
        model=member("mlp", hidden=[0], output="softmax"),
        activation="heaviside",
        init=member("normal", std=-1, bias="orthogonal"),
        optimizer=member("adam", lr=0, beta=3),
        data=member("parity", bits=0),
        train={"epochs": 0, "log_every": 0},
        seed=-1,
        dtype="float8",
        extra=1,
        _target_="x",
    )
    with pytest.raises(SpecError) as caught:
        checked_mapping(bad)
    where = {fault.where for fault in caught.value.faults}
    assert where == {
        "model.hidden",
        "model.output",
        "activation.name",
        "init.std",
        "init.bias",
        "optimizer.lr",
        "optimizer.beta",
        "data.bits",
        "train.epochs",
        "train.log_every",
        "seed",
        "dtype",
        "extra",
        "_target_",
    }


def test_a_missing_member_hides_no_other_fault(mapping_of: MappingOf) -> None:
    with pytest.raises(SpecError) as caught:
        checked_mapping(mapping_of(model=None, activation="gleu", optimizer=member("adam", lr=0)))
    assert {fault.where for fault in caught.value.faults} == {"model", "activation.name", "optimizer.lr"}


@pytest.mark.parametrize("given", [[], None, "mlp", 3])
def test_a_spec_is_a_mapping(given: Any) -> None:
    for read in (RunSpec.from_mapping, checked_mapping):
        with pytest.raises(SpecError, match="a spec must be a mapping, but got"):
            read(given)


@pytest.mark.parametrize(("good", "bad"), [(1, True), (1.0, True), (1, "1")])
@pytest.mark.parametrize("bad_first", [True, False])
def test_what_was_checked_before_has_no_say(mapping_of: MappingOf, good: Any, bad: Any, bad_first: bool) -> None:
    """1, 1.0 and True are equal and hash alike: a cache must not take one for the other."""
    momentum = 0.125 if bad_first else 0.25  # members of its own for each order
    for value in (bad, good) if bad_first else (good, bad):
        mapping = mapping_of(
            optimizer=member("sgd", lr=value, momentum=momentum, dampening=0.5 if good == 1.0 else 0.25)
        )
        if value is bad:
            with pytest.raises(SpecError, match=r"optimizer.lr must be a finite number"):
                checked_mapping(mapping)
        else:
            assert checked_mapping(mapping).optimizer["lr"] == 1.0


@pytest.mark.parametrize(
    ("loss", "output"),
    [("bce", "sigmoid"), ("mse", "sigmoid"), ("cross_entropy", "softmax"), ("hinge", "identity"), ("huber", "sigmoid")],
)
def test_the_loss_decides_the_output_unless_it_is_said(spec_of: SpecOf, loss: str, output: str) -> None:
    spec = spec_of(loss=loss)
    assert spec.model["output"] == output
    assert spec_of(loss=loss, model=member("mlp", output=output)) == spec  # said or not, it is the same spec


@pytest.mark.parametrize("group", REGISTRIES)
def test_every_entry_checks_at_its_defaults(spec_of: SpecOf, group: str) -> None:
    for entry in REGISTRIES[group]:
        from_file = getattr(entry, "stored", False) or getattr(entry, "digest", None)
        if not from_file and getattr(entry, "trainable", True):
            assert getattr(spec_of(**{group: entry.name}, **beside(group, entry)), group).name == entry.name


def beside(group: str, entry: Any) -> dict[str, Any]:
    """What else must be said with an entry: a loss that fits a data set, a model that an optimizer trains."""
    if getattr(entry, "by_rows", False):
        return {"model": "perceptron", "loss": "mse"}
    if group != "data" or entry.boolean:
        return {}
    held = entry.size({param.name: param.default for param in entry.params})
    numbers = {"loss": "mse", "model": {"name": "mlp", "output": "identity"}}
    return {"loss": "cross_entropy"} if held.classes else numbers


@pytest.mark.parametrize(
    ("loss", "activation"),
    [("bce", "sigmoid"), ("mse", "sigmoid"), ("cross_entropy", "softmax"), ("hinge", "identity"), ("huber", "sigmoid")],
)
def test_the_loss_decides_the_activation_of_a_perceptron_unless_it_is_said(
    spec_of: SpecOf, loss: str, activation: str
) -> None:
    spec = spec_of(model="perceptron", loss=loss)
    assert (spec.activation.name, spec.model["output"]) == (activation, activation)
    assert spec_of(model="perceptron", activation=activation, loss=loss) == spec
    assert spec_of(model=member("perceptron", output=activation), loss=loss) == spec
    assert checked_mapping(spec.to_mapping()) == spec


@pytest.mark.parametrize("activation", [a.name for a in ACTIVATIONS if a.trainable and not a.learned])
def test_a_perceptrons_activation_is_that_of_its_output(spec_of: SpecOf, activation: str) -> None:
    spec = spec_of(model="perceptron", activation=activation, loss="mse")
    assert spec.model["output"] == activation
    assert architecture(spec).output == spec.activation
    assert spec_of(model=member("perceptron", output=activation), loss="mse") == spec


def test_a_perceptrons_activation_has_its_parameters(spec_of: SpecOf) -> None:
    spec = spec_of(model="perceptron", activation=member("leaky_relu", negative_slope=0.3), loss="mse")
    assert architecture(spec).output == Member("leaky_relu", (("negative_slope", 0.3),))


def test_activation_unsaid_is_relu_between_layers(spec_of: SpecOf) -> None:
    assert spec_of(activation="auto") == spec_of(activation="relu")


# --- weights from a file


def stored(path: Path, spec: RunSpec, replicates: int | None, **changed: np.ndarray | None) -> None:
    lead = () if replicates is None else (replicates,)
    tensors = {name: np.ones((*lead, *shape), np.float32) for name, shape in architecture(spec).tensors().items()}
    tensors.update({k.replace("_", "."): v for k, v in changed.items() if v is not None})
    for name in [k.replace("_", ".") for k, v in changed.items() if v is None]:
        del tensors[name]
    save_file(tensors, path)


def from_file(spec_of: SpecOf, path: Path, **fields: Any) -> RunSpec:
    return spec_of(init=member("from_file", path=str(path)), **fields)


def test_a_file_s_digest_joins_the_spec(spec_of: SpecOf, tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    stored(path, spec_of(), 3)
    spec = from_file(spec_of, path, replicates=3)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert spec.init["digest"] == digest
    assert spec_of(init=member("from_file", path=str(path), digest=digest), replicates=3) == spec
    with pytest.raises(
        SpecError, match=f"init.digest must be the SHA-256 of init.path, but got beef; the file has {digest}"
    ):
        spec_of(init=member("from_file", path=str(path), digest="beef"), replicates=3)


@pytest.mark.parametrize("lead", [None, 1])
def test_one_replicate_may_lack_the_first_axis(spec_of: SpecOf, tmp_path: Path, lead: int | None) -> None:
    stored(tmp_path / "w", spec_of(), lead)
    assert from_file(spec_of, tmp_path / "w").init.name == "from_file"


def test_weights_that_do_not_fit_are_all_told(spec_of: SpecOf, tmp_path: Path) -> None:
    stored(
        tmp_path / "w",
        spec_of(),
        2,
        **{"0_bias": None, "2_weight": np.ones((2, 4, 1), np.float32), "9_weight": np.ones(3, np.float32)},
    )
    with pytest.raises(SpecError) as caught:
        from_file(spec_of, tmp_path / "w", replicates=2)
    lines = str(caught.value).split("\n")
    assert len(lines) == 3
    assert (
        "init.path must hold the model's tensors only (0.weight, 0.bias, 2.weight, 2.bias), but got '9.weight'; "
        "rename or remove it" in lines
    )
    assert "init.path must hold 0.bias, but got a file without it; add it with shape [2, 4]" in lines
    assert (
        "init.path must hold 2.weight with shape [2, 1, 4], but got [2, 4, 1]; change model.hidden, replicates or the "
        "file" in lines
    )


@pytest.mark.parametrize("content", [b"", b"junk", b"\xff" * 100, b"\x02\0\0\0\0\0\0\0[]"])
def test_a_file_that_is_no_safetensors(spec_of: SpecOf, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "w").write_bytes(content)
    with pytest.raises(SpecError, match=r"init.path must be a safetensors file, but got one that cannot be read"):
        from_file(spec_of, tmp_path / "w")


def test_a_folder_is_no_file(spec_of: SpecOf, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"init.path must be a readable file \(it is a folder, not a regular file\)"):
        from_file(spec_of, tmp_path)


# --- fuzz: whatever comes in, a spec or a SpecError comes out

KEYS = [
    "name",
    "hidden",
    "output",
    "lr",
    "betas",
    "momentum",
    "nesterov",
    "bias",
    "path",
    "digest",
    "low",
    "high",
    "std",
    "gain",
    "mode",
    "value",
]
KEYS += ["epochs", "log_every", "tolerance", "bits", "encoding", "delta", "_target_", "", "0"]
FIELDS = [*REGISTRIES, "train", "solved", "seed", "replicates", "dtype", "device", "_target_", "nonsense"]
WORDS = sorted(
    {name for registry in REGISTRIES.values() for name in registry.names()}
    | {"auto", "same", "softmax", "float64", "fan_out"}
)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([0, 1, 2, 2**32, 2**63, 10**400])
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(WORDS)
)
JSON = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=4), inner, max_size=4)
    ),
    max_leaves=8,
)
NAMED = {
    group: st.tuples(st.sampled_from(registry.names()), st.dictionaries(st.sampled_from(KEYS[1:]), JSON, max_size=3))
    for group, registry in REGISTRIES.items()
}
MEMBERS = {group: (named.map(lambda pair: {**pair[1], "name": pair[0]}) | JSON) for group, named in NAMED.items()}
NEARLY = st.fixed_dictionaries(MEMBERS, optional={field: JSON for field in FIELDS if field not in REGISTRIES})
SOBER = settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)


def spec_or_faults(read: Callable[[Any], RunSpec], given: Any) -> RunSpec | tuple[Fault, ...]:
    """The spec, or the faults of a SpecError; every other exception is let through."""
    try:
        return read(given)
    except SpecError as error:
        return error.faults


def assert_meant(outcome: RunSpec | tuple[Fault, ...]) -> None:
    """Faults that say something, or a spec that goes to a mapping and back."""
    if isinstance(outcome, tuple):
        assert outcome
        assert all(fault.rule for fault in outcome)
        return
    spec = outcome
    assert hash(spec) == hash(RunSpec.from_mapping(spec.to_mapping()))
    assert len(spec.fingerprint) == 16


@SOBER
@given(JSON | st.dictionaries(st.sampled_from(FIELDS) | st.integers(), JSON, max_size=8) | NEARLY)
def test_fuzzed_mappings_give_a_spec_or_a_spec_error(given_mapping: Any) -> None:
    assert_meant(spec_or_faults(checked_mapping, given_mapping))


@SOBER
@given(NEARLY)
def test_fuzzed_form_gives_a_spec_or_a_spec_error(given_mapping: Any) -> None:
    outcome = spec_or_faults(RunSpec.from_mapping, given_mapping)
    assert outcome if isinstance(outcome, tuple) else hash(outcome) == hash(RunSpec.from_mapping(given_mapping))


def test_the_fuzz_reaches_good_specs_too(mapping_of: MappingOf) -> None:
    """Every model, loss and output together: a spec, or a fault of the output alone."""
    good = 0
    for model, loss, output in itertools.product(
        REGISTRIES["model"].names(), REGISTRIES["loss"].names(), ["sigmoid", "softmax", "identity"]
    ):
        mapping = mapping_of(model=member(model, output=output), loss=loss)
        outcome = spec_or_faults(checked_mapping, mapping)
        if isinstance(outcome, tuple):
            assert [fault.where for fault in outcome] == ["model.output"]
        else:
            good += 1
    assert good == 3 * 7  # bce 1, mse 2, cross_entropy 1, hinge 1, huber 2


def test_a_rule_speaks_beside_faults_that_it_does_not_depend_on(mapping_of: Callable[..., dict[str, object]]) -> None:
    both = mapping_of(optimizer={"name": "sgd", "nesterov": True, "lr": -1})
    with pytest.raises(SpecError) as refused:
        checked_mapping(both)
    assert [fault.where for fault in refused.value.faults] == ["optimizer.lr", "optimizer.nesterov"]
    unknown = mapping_of(optimizer={"name": "sgd", "nesterov": True, "momentum": "much"})
    with pytest.raises(SpecError) as refused:
        checked_mapping(unknown)
    assert [fault.where for fault in refused.value.faults] == ["optimizer.momentum"]
