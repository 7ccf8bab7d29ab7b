"""Networks that are a user's own modules: diagnosed as the built-in network with the same weights is, without a layer
being known; and as finite differences have it where there is no such network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from nnspec.architecture import architecture
from nnspec.builder import with_weights
from nnspec.catalog import MODELS, Model
from nnspec.catalog.models import OUTPUT
from nnspec.diagnostics import THRESHOLDS, Group, diagnose, estimates
from nnspec.diagnostics.conditions import curvatures, open_case
from nnspec.diagnostics.curvature import curvature, extremes
from nnspec.diagnostics.gradients import flatten, outputs, stacked
from nnspec.diagnostics.modules.network import ModuleNetwork, evaluated
from nnspec.diagnostics.room import piece_rows
from nnspec.initial import initial_weights
from nnspec.params import Integer, Param
from nnspec.specs import RunSpec

SpecOf = Callable[..., RunSpec]

WIDTH = Param("width", 4, Integer(1), "units")
TOLERANCE = 1e-10  # sums of some hundred numbers of size 1 in float64
NEED_LAYERS = ("beyond_capacity", "dead_units", "symmetric", "saturated")
NEED_LAYERS_OR_UNITS = {*NEED_LAYERS, "dead_rows", "passage", "saturation", "effective_rank", "activation_std"}


class OwnMlp(nn.Sequential):
    """What ``model=mlp model.hidden=[width] activation=tanh`` is, with the names that it has there."""

    def __init__(self, inputs: int, outputs: int, width: int):
        super().__init__(nn.Linear(inputs, width), nn.Tanh(), nn.Linear(width, outputs))


class TwoPaths(nn.Module):
    """Two linear paths, multiplied."""

    def __init__(self, inputs: int, outputs: int, width: int):
        super().__init__()
        self.a, self.b, self.out = nn.Linear(inputs, width), nn.Linear(inputs, width), nn.Linear(width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.out(self.a(x) * self.b(x))
        return out


class Scale(nn.Module):
    """A sum of scaled inputs, without a layer."""

    def __init__(self, inputs: int, outputs: int, width: int):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(inputs))

    def forward(self, x: Tensor) -> Tensor:
        return (x * self.scale).sum(1, keepdim=True)


class Normed(nn.Sequential):
    """With statistics, and noise in training."""

    def __init__(self, inputs: int, outputs: int, width: int):
        norm, noise = nn.BatchNorm1d(width), nn.Dropout(0.5)
        super().__init__(nn.Linear(inputs, width), norm, nn.Tanh(), noise, nn.Linear(width, outputs))


class Attends(nn.Module):
    """Attention over the inputs, each a token."""

    def __init__(self, inputs: int, outputs: int, width: int):
        super().__init__()
        self.embed, self.out = nn.Linear(1, width), nn.Linear(width * inputs, outputs)
        self.attention = nn.MultiheadAttention(width, 2, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.embed(x[:, :, None])
        seen, _ = self.attention(tokens, tokens, tokens, need_weights=False)
        out: Tensor = self.out(seen.flatten(1))
        return out


class Recurrent(nn.Module):
    """A recurrent cell over the inputs."""

    def __init__(self, inputs: int, outputs: int, width: int):
        super().__init__()
        self.cell, self.out = nn.GRU(1, width, batch_first=True), nn.Linear(width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.out(self.cell(x[:, :, None])[0][:, -1])
        return out


class Once(torch.autograd.Function):
    """The square, by an operation that cannot be differentiated twice."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, g: Tensor) -> Tensor:
        return 2 * ctx.saved_tensors[0] * g


class OnceOnly(OwnMlp):
    """With that operation behind it."""

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = Once.apply(super().forward(x))
        return found


class AlwaysNoisy(OwnMlp):
    """Draws in evaluation, too."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + 0.1 * torch.randn(len(x), 1, dtype=x.dtype)


CLASSES = {
    "judged_once_only": OnceOnly,
    "judged_always_noisy": AlwaysNoisy,
    "judged_own_mlp": OwnMlp,
    "judged_two_paths": TwoPaths,
    "judged_normed": Normed,
    "judged_attends": Attends,
    "judged_scale": Scale,
    "judged_recurrent": Recurrent,
}


@pytest.fixture(autouse=True, scope="module")
def registered() -> Iterator[None]:
    """The modules are models while these tests run."""
    for name, made in CLASSES.items():
        MODELS.add(Model(name, "of a test", lambda p: (), None, (WIDTH, OUTPUT), module=made))
    yield
    for name in CLASSES:
        MODELS.remove(name)


def group_at(spec: RunSpec, weights: dict[str, np.ndarray], loss: tuple[float, ...] = (0.7, 0.7, 0.7)) -> Group:
    """Networks that ended, unsolved, with ``weights`` [m, ...] and this history of the loss."""
    count = len(next(iter(weights.values())))
    steps = np.arange(len(loss)) * spec.train.epochs // (len(loss) - 1)
    no = np.zeros(count, bool)
    return Group(spec, weights, weights, steps, np.array([loss] * count), no, np.full(count, -1))


# -- against the network whose layers are known ------------------------------------------------------------------------

PROBLEMS: dict[str, dict[str, Any]] = {
    "bce": {"loss": "bce"},
    "squares of a sigmoid": {"loss": "mse"},
    "squares of numbers": {"loss": "mse", "output": "identity"},
    "classes": {"loss": "cross_entropy", "data": "iris", "output": "softmax"},
}


def pair(spec_of: SpecOf, output: str = "sigmoid", width: int = 4, **fields: Any) -> tuple[RunSpec, RunSpec]:
    """The spec of a user's own perceptron and of the built-in one."""
    fields = {"dtype": "float64"} | fields
    own = spec_of(model={"name": "judged_own_mlp", "width": width, "output": output}, **fields)
    return own, spec_of(model={"name": "mlp", "hidden": [width], "output": output}, activation="tanh", **fields)


@pytest.mark.parametrize("scale", [0.0, 1e-5, 1.0])  # at 0 the losses' formulas have kinks, which they have not
@pytest.mark.parametrize("problem", PROBLEMS)
def test_an_own_perceptron_has_the_gradient_and_curvature_of_the_built_in_one(
    spec_of: SpecOf, problem: str, scale: float
) -> None:
    own, known = pair(spec_of, **PROBLEMS[problem])
    weights = {name: scale * drawn for name, drawn in initial_weights(known, range(3)).items()}
    found, right = diagnose(group_at(own, weights)).numbers, diagnose(group_at(known, weights)).numbers
    gradients = ("gradient_norm", "relative_gradient", "gradient_ratio", "init_gradient_norm", "init_gradient_ratio")
    for name in (*gradients, "loss_slope", "loss_jitter"):
        np.testing.assert_allclose(found[name], right[name], rtol=0, atol=TOLERANCE, err_msg=name)
    ends = [extremes(stacked(spec), flatten(architecture(spec), weights)) for spec in (own, known)]
    np.testing.assert_allclose(*ends, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize(
    ("lr", "verdicts"), [(1e-9, {"stuck"}), (0.05, {"solved", "still_learning"}), (50.0, {"local_minimum", "saddle"})]
)
def test_trained_networks_get_the_verdicts_of_the_built_in_one(
    spec_of: SpecOf, train_group: Callable[[RunSpec], Group], lr: float, verdicts: set[str]
) -> None:
    optimizer = {"name": "sgd", "lr": lr, "momentum": 0.9}
    own, known = pair(spec_of, loss="mse", optimizer=optimizer, train={"epochs": 400}, replicates=12)
    group = train_group(known)
    found, right = diagnose(replace(group, spec=own)), diagnose(group)
    asked = ~np.isin(right.verdict, NEED_LAYERS)
    assert set(right.verdict[asked].tolist()) == verdicts
    assert found.verdict[asked].tolist() == right.verdict[asked].tolist()
    for name in ("smallest_eigenvalue", "largest_eigenvalue", "plateau_loss", "since"):
        np.testing.assert_allclose(
            found.numbers[name][asked], right.numbers[name][asked], rtol=0, atol=TOLERANCE, err_msg=name
        )


def test_large_data_in_pieces_as_the_built_in_one(spec_of: SpecOf) -> None:
    data = {"name": "moons", "rows": 6000}
    own, known = pair(spec_of, width=64, loss="bce", data=data, train={"epochs": 40})
    assert all(piece_rows(architecture(spec)) < 6000 for spec in (own, known))
    weights = {name: 1e-4 * drawn for name, drawn in initial_weights(known, range(2)).items()}
    groups = group_at(own, weights), group_at(known, weights)
    cases = [open_case(group, replace(THRESHOLDS, stationary=np.inf)) for group in groups]
    for name in ("gradient_norm", "relative_gradient", "gradient_ratio"):
        found, right = (case.numbers[name] for case in cases)
        np.testing.assert_allclose(found, right, rtol=0, atol=TOLERANCE, err_msg=name)
    found, right = (np.array(curvatures(case, np.arange(2))) for case in cases)
    np.testing.assert_allclose(found, right, rtol=0, atol=1e-8)  # along directions that Lanczos proposes
    assert not NEED_LAYERS_OR_UNITS & set(estimates(own))
    assert {"local_minimum", "eigenvalues"} <= set(estimates(own))


@pytest.mark.parametrize("more", [{"norm": "batch"}, {"norm": "layer"}, {"residual": True}], ids=str)
def test_the_gradient_that_arrives_in_richer_networks(spec_of: SpecOf, more: dict[str, Any]) -> None:
    """Against autograd through the module in training, as a loop in PyTorch would go."""
    model = {"name": "mlp", "hidden": [6, 6, 6], **more}
    spec = spec_of(model=model, activation="sigmoid", loss="bce", dtype="float64")
    weights = initial_weights(spec, range(2))
    found = diagnose(group_at(spec, weights)).numbers
    data = stacked(spec)
    for place in range(2):
        module = with_weights(spec, {name: tensor[place] for name, tensor in weights.items()}).train()
        linear = [part for part in module.modules() if isinstance(part, nn.Linear)]
        kept: list[Tensor] = []
        for layer in linear:
            layer.register_forward_hook(lambda _layer, _inputs, out, kept=kept: kept.append(out))
        found_outputs = module(data.inputs)
        for out in kept:
            out.retain_grad()
        nn.functional.binary_cross_entropy(found_outputs, data.targets.reshape(-1, 1)).backward()
        first, last = (kept[end].grad for end in (0, -1))
        assert first is not None
        assert last is not None
        ratio = float((first.square().mean() / last.square().mean()).sqrt())
        for name in ("gradient_ratio", "init_gradient_ratio"):
            np.testing.assert_allclose(found[name][place], ratio, rtol=TOLERANCE, err_msg=name)


def test_a_module_that_calls_no_linear_layer_has_no_such_ratio(spec_of: SpecOf) -> None:
    spec = spec_of(model={"name": "judged_scale"}, data="and", dtype="float64")
    found = diagnose(group_at(spec, initial_weights(spec, range(2)))).numbers
    assert np.isnan(found["gradient_ratio"]).all()
    assert (found["gradient_norm"] > 0).all()


# -- where no network is known -----------------------------------------------------------------------------------------


def test_two_paths_at_zero_are_a_minimum_to_second_order(spec_of: SpecOf) -> None:
    """Of both paths nothing arrives: z is the last bias, whose loss on XOR has its minimum, ln 2, at 0, and the
    curvature sigmoid'(0) = 1/4; along all other directions the loss is flat up to the second order."""
    spec = spec_of(model={"name": "judged_two_paths", "width": 4}, dtype="float64")
    weights = {name: np.zeros((1, *shape)) for name, shape in architecture(spec).tensors().items()}
    found = diagnose(group_at(spec, weights))
    assert found.verdict.tolist() == ["local_minimum"]
    assert found.numbers["gradient_norm"].tolist() == [0]
    np.testing.assert_allclose(found.numbers["largest_eigenvalue"], 0.25, rtol=0, atol=1e-15)
    np.testing.assert_allclose(found.numbers["smallest_eigenvalue"], 0, rtol=0, atol=1e-15)


def test_two_paths_that_cancel_are_on_a_saddle(spec_of: SpecOf) -> None:
    """With squares of numbers z = v (a x)(b x) around a = b = 0, v = 1: the loss bends by the data's second moments of
    the targets that are left, in a and b, of both signs."""
    spec = spec_of(model={"name": "judged_two_paths", "width": 1, "output": "identity"}, loss="mse", dtype="float64")
    weights = {name: np.zeros((1, *shape)) for name, shape in architecture(spec).tensors().items()}
    weights["out.weight"] += 1
    weights["out.bias"] += 0.5
    found = diagnose(group_at(spec, weights))
    assert found.verdict.tolist() == ["saddle"]
    low, high = found.numbers["smallest_eigenvalue"], found.numbers["largest_eigenvalue"]
    assert low < -0.1 < 0.1 < high


@pytest.mark.parametrize("model", ["judged_two_paths", "judged_normed", "judged_attends", "judged_recurrent"])
def test_gradient_and_curvature_of_any_module_against_finite_differences(spec_of: SpecOf, model: str) -> None:
    spec = spec_of(model={"name": model, "width": 4}, dtype="float64")
    problem, size = stacked(spec), architecture(spec).parameters
    flat = flatten(problem.shape, initial_weights(spec, [3]))
    module, step = evaluated(problem), 1e-5

    def network(move: Tensor) -> ModuleNetwork:
        moved = flat[0].clone()
        moved[:size] += move
        return ModuleNetwork(problem, module, moved)

    moves = step * torch.eye(size, dtype=torch.float64)
    slope = [(network(m).loss(network(m).weights) - network(-m).loss(network(-m).weights)) / (2 * step) for m in moves]
    bends = [(network(m).gradient()[1] - network(-m).gradient()[1]) / (2 * step) for m in moves]
    # central differences err by step^2 = 1e-10 times third derivatives, and round by 1e-16 / step
    torch.testing.assert_close(network(0 * moves[0]).gradient()[1], torch.stack(slope).detach(), rtol=0, atol=1e-8)
    torch.testing.assert_close(curvature(problem, flat).hessian()[0], torch.stack(bends), rtol=0, atol=1e-8)


def test_a_module_is_looked_at_in_evaluation(spec_of: SpecOf) -> None:
    """With the statistics that it has, and without noise."""
    spec = spec_of(model={"name": "judged_normed", "width": 4}, dtype="float64")
    weights = initial_weights(spec, range(1))
    weights["1.running_mean"] += np.linspace(-1, 1, 4)
    weights["1.running_var"] *= 3
    problem, module = stacked(spec), Normed(2, 1, 4).double().eval()
    module.load_state_dict({name: torch.as_tensor(drawn[0]) for name, drawn in weights.items()})
    z = module(problem.inputs)
    nn.functional.binary_cross_entropy_with_logits(z, problem.targets[..., 0]).backward()
    slope = torch.cat([cast(Tensor, weight.grad).flatten() for weight in module.parameters()])
    found = diagnose(group_at(spec, weights)).numbers["gradient_norm"]
    np.testing.assert_allclose(found, [float(slope.norm())], rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(outputs(problem, weights)[0], torch.sigmoid(z).detach().numpy(), rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("model", ["judged_normed", "judged_always_noisy"])
def test_a_network_is_judged_alone_as_in_a_crowd(spec_of: SpecOf, model: str) -> None:
    spec = spec_of(model={"name": model, "width": 4}, dtype="float64")
    weights = {name: 1e-6 * drawn for name, drawn in initial_weights(spec, range(5)).items()}
    before = torch.get_rng_state()
    crowd = diagnose(group_at(spec, weights))
    alone = diagnose(group_at(spec, {name: drawn[3:4] for name, drawn in weights.items()}))
    for name, numbers in alone.numbers.items():
        np.testing.assert_array_equal(numbers, crowd.numbers[name][3:4], err_msg=name)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(("model", "verdict"), [("judged_once_only", "stuck"), ("judged_attends", "local_minimum")])
def test_curvature_is_asked_of_what_can_be_differentiated_twice(spec_of: SpecOf, model: str, verdict: str) -> None:
    """Attention can be, though not by the kernel that torch takes for one derivative."""
    spec = spec_of(model={"name": model, "width": 4}, dtype="float64")
    weights = {name: 0 * drawn for name, drawn in initial_weights(spec, range(1)).items()}
    found = diagnose(group_at(spec, weights))
    assert found.verdict.tolist() == [verdict]
    assert np.isfinite(found.numbers["largest_eigenvalue"]).all() == (verdict == "local_minimum")
