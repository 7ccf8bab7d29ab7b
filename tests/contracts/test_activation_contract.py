"""Every activation of the registry against its torch.nn module and autograd; a new entry joins by existing."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest
import torch
from scipy.integrate import quad

from nnspec.catalog import ACTIVATIONS, OUTPUTS, Activation
from nnspec.catalog.maths import NumpyMaths
from nnspec.modules.pointwise import pointwise_module
from nnspec.params import Boolean, Choice, Real
from nnspec.specs import Member
from nnspec.torch_maths import TorchMaths
from nnspec.training.network_last import XP

# values for each kind of parameter, where it allows them; exact in float32, for torch reads CELU's alpha as one in its
# backward pass
TRIED = {Real: (-0.375, 0.3125, 1.75, 2.5), Boolean: (False, True)}
TIGHT = 1e-12  # a few roundings of float64 (1e-16) on values up to 700
EPS32 = float(np.finfo(np.float32).eps)
KNOWN = {"identity": "linear"} | {
    name: name for name in ("sigmoid", "tanh", "relu", "leaky_relu", "selu")
}  # to calculate_gain
# torch's Hardsigmoid has its 1/6 in single precision in its backward pass, at every precision: 0.16666667163
DIFFERENTIATED = {"hardsigmoid": lambda z: (z / 6 + 0.5).clamp(0, 1)}

# random points, so that none is a kink; then far ones, where a careless exponential overflows
POINTS = np.concatenate([np.random.default_rng(0).uniform(-6.5, 6.5, 500), [-700.0, -30.0, 30.0, 700.0]])


def variants(entry: Activation) -> Iterator[dict[str, Any]]:
    """The defaults, and each parameter at other values that its kind and the entry's rules allow."""
    default = {param.name: param.default for param in entry.params}
    yield default
    for param in entry.params:
        values = param.kind.options if isinstance(param.kind, Choice) else TRIED[type(param.kind)]
        for value in values:
            changed = default | {param.name: value}
            allowed = not isinstance(param.kind, Real) or param.kind.low < value < param.kind.high
            if value != param.default and allowed and all(rule.holds(changed) for rule in entry.rules):
                yield changed


CASES = [
    pytest.param(
        entry,
        p,
        id=f"{entry.name}-{','.join(f'{k}={v:.3g}' if isinstance(v, float) else f'{k}={v}' for k, v in p.items())}",
    )
    for entry in ACTIVATIONS
    for p in variants(entry)
]


def module_of(entry: Activation, p: Mapping[str, Any], kind: torch.dtype = torch.float64) -> torch.nn.Module:
    return pointwise_module(Member(entry.name, tuple(sorted(p.items()))), kind)


def truth(entry: Activation, p: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Value and derivative at ``POINTS`` by torch's module and autograd."""
    z = torch.tensor(POINTS, requires_grad=True)
    value = module_of(entry, p)(z)
    if not entry.trainable:  # torch refuses to differentiate it
        return value.detach().numpy(), np.zeros_like(POINTS)
    (slope,) = torch.autograd.grad(DIFFERENTIATED.get(entry.name, module_of(entry, p))(z).sum(), z)
    return value.detach().numpy(), slope.numpy()


@pytest.mark.parametrize(("entry", "p"), CASES)
def test_numpy_value_and_slope_are_torch_s(entry: Activation, p: dict[str, Any]) -> None:
    value, slope = truth(entry, p)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        h = entry.value(NumpyMaths(), POINTS, p)
        ours = entry.slope(NumpyMaths(), POINTS, h, p)
    assert np.isfinite(value).all()
    assert np.isfinite(slope).all()
    np.testing.assert_allclose(h, value, rtol=TIGHT, atol=TIGHT)
    np.testing.assert_allclose(ours, slope, rtol=TIGHT, atol=TIGHT)


@pytest.mark.parametrize(("entry", "p"), CASES)
def test_torch_value_and_slope_keep_double_precision(entry: Activation, p: dict[str, Any]) -> None:
    value, slope = truth(entry, p)
    z = torch.tensor(POINTS)
    h = entry.value(TorchMaths(), z, p)
    ours = entry.slope(TorchMaths(), z, h, p)
    assert h.dtype == ours.dtype == torch.float64
    np.testing.assert_allclose(h.numpy(), value, rtol=TIGHT, atol=TIGHT)
    np.testing.assert_allclose(ours.numpy(), slope, rtol=TIGHT, atol=TIGHT)


@pytest.mark.parametrize("entry", [e for e in ACTIVATIONS if e.params], ids=lambda e: e.name)
def test_one_parameter_value_a_network(entry: Activation) -> None:
    """Columns of a stack with different parameters are what each is by itself, bitwise up to broadcasting."""
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for p in variants(entry):
        groups.setdefault(tuple(v for v in p.values() if isinstance(v, (str, bool))), []).append(p)
    for group in groups.values():
        stack = {
            k: v if isinstance(v, (str, bool)) else torch.tensor([p[k] for p in group], dtype=torch.float64)
            for k, v in group[0].items()
        }
        z = torch.tensor(POINTS)[:, None].expand(-1, len(group)).contiguous()
        h = entry.value(TorchMaths(), z, stack)
        slope = entry.slope(TorchMaths(), z, h, stack)
        for column, p in enumerate(group):
            value, derivative = truth(entry, p)
            np.testing.assert_allclose(h[:, column].numpy(), value, rtol=TIGHT, atol=TIGHT)
            np.testing.assert_allclose(slope[:, column].numpy(), derivative, rtol=TIGHT, atol=TIGHT)


@pytest.mark.parametrize(("entry", "p"), CASES)
def test_single_precision_is_near_the_truth(entry: Activation, p: dict[str, Any]) -> None:
    near = np.abs(POINTS) < 7
    z = torch.tensor(POINTS[near].astype(np.float32), requires_grad=True)
    exact = z.detach().double().numpy()
    h = entry.value(TorchMaths(), z.detach(), p)
    slope = entry.slope(TorchMaths(), z.detach(), h, p)
    assert h.dtype == slope.dtype == torch.float32
    value64 = entry.value(NumpyMaths(), exact, p)
    slope64 = entry.slope(NumpyMaths(), exact, value64, p)
    # some ten operations, each off by half an eps of intermediate results up to |z| + 1 times a parameter up to 2.5
    room = 8 * EPS32 * (1 + np.abs(exact))
    assert (np.abs(h.numpy() - value64) <= room).all()
    assert (np.abs(slope.numpy() - slope64) <= room * (1 + np.abs(exact))).all()  # slopes have products z f'(z) in them
    theirs = module_of(entry, p, torch.float32)(z).detach().numpy()
    assert (np.abs(h.numpy() - theirs) <= 2 * room).all()


@pytest.mark.parametrize("name", ["elu", "selu"])
def test_values_and_where_slopes_end_are_torch_s_to_the_bit(name: str) -> None:
    entry, z = ACTIVATIONS[name], torch.linspace(-100, 5, 100_001)
    p = {param.name: param.default for param in entry.params}
    h = entry.value(TorchMaths(), z, p)
    assert torch.equal(h, module_of(entry, p)(z))
    slope = entry.slope(TorchMaths(), z, h, p)  # the value's distance from its end, so never below 0
    assert slope[0] == slope.min() == 0


@pytest.mark.parametrize(("entry", "p"), [case for case in CASES if case.values[0].learned])
def test_learned_slope_is_autograd_s(entry: Activation, p: dict[str, Any]) -> None:
    assert entry.learned
    module, tensor = module_of(entry, p), entry.learned.tensor
    weights = torch.tensor(np.random.default_rng(1).normal(size=POINTS.shape))
    (weights * module(torch.tensor(POINTS))).sum().backward()
    expected = getattr(module, tensor).grad
    assert getattr(module, tensor).shape == (1,)
    ours = (weights.numpy() * entry.bind(p).learned_slope(NumpyMaths(), POINTS)).sum()
    np.testing.assert_allclose(ours, expected.item(), rtol=TIGHT)


@pytest.mark.parametrize(("entry", "p"), CASES)
def test_gain(entry: Activation, p: dict[str, Any]) -> None:
    if entry.name in KNOWN:
        assert entry.gain_for(p) == torch.nn.init.calculate_gain(KNOWN[entry.name], p.get("negative_slope"))
        return

    def weighted_square(z: float) -> float:
        return (
            float(entry.value(NumpyMaths(), np.array([z]), p)[0]) ** 2 * math.exp(-z * z / 2) / math.sqrt(2 * math.pi)
        )

    kinks = sorted(
        {0.0, 3.0, -3.0, 6.0}
        | {sign * float(v) for v in p.values() if isinstance(v, float) and abs(v) < 12 for sign in (1, -1)}
    )
    moment, _ = quad(weighted_square, -12, 12, points=kinks, limit=200, epsabs=1e-10)
    # the entry's midpoint rule is off by what half a cell (2e-4) holds where the value jumps (hardshrink, threshold)
    assert entry.gain_for(p) == pytest.approx(1 / math.sqrt(moment), rel=5e-4)


def test_gain_of_a_flat_activation_is_one() -> None:
    assert ACTIVATIONS["hardshrink"].gain_for({"lambd": 50.0}) == 1.0


def test_every_entry_names_a_module_and_keeps_its_word() -> None:
    for entry in ACTIVATIONS:
        assert callable(module_of(entry, {p.name: p.default for p in entry.params}))
        assert entry.learned is None or entry.learned.start in {p.name for p in entry.params}


def test_a_bound_activation_has_its_defaults_and_what_it_has_learned() -> None:
    z = np.array([-2.0, 3.0])
    assert ACTIVATIONS["leaky_relu"].bind({}).value(NumpyMaths(), z).tolist() == [-0.02, 3.0]
    learned = ACTIVATIONS["prelu"].bind({"init": 0.25}, np.array([0.5]))
    assert learned.value(NumpyMaths(), z).tolist() == [-1.0, 3.0]
    assert learned.slope(NumpyMaths(), z, learned.value(NumpyMaths(), z)).tolist() == [0.5, 1.0]
    assert learned.learned_slope(NumpyMaths(), z).tolist() == [-2.0, 0.0]


@pytest.mark.parametrize("xp", [NumpyMaths(), TorchMaths(), XP], ids=["numpy", "torch", "stack"])
def test_softmax_is_torch_s_along_the_classes(xp: Any) -> None:
    """Of [n, k] and of the stacks [n, k, m] that formulas are given; no overflow."""
    z = np.random.default_rng(0).normal(size=(4, 3, 5)) * 400
    for some in (z, z[..., 0]):
        like = np.asarray if isinstance(xp, NumpyMaths) else torch.tensor
        ours = OUTPUTS["softmax"].bind({}).value(xp, like(some))
        expected = torch.softmax(torch.tensor(some), 1).numpy()
        np.testing.assert_allclose(np.asarray(ours), expected, rtol=TIGHT, atol=TIGHT)


def test_only_softmax_is_not_elementwise_and_it_has_no_slope() -> None:
    assert [entry.name for entry in OUTPUTS if not entry.elementwise] == ["softmax"]
    assert OUTPUTS.names() == ["softmax", *ACTIVATIONS.names()]
    with pytest.raises(TypeError, match="softmax has no elementwise derivative"):
        OUTPUTS["softmax"].bind({}).slope(NumpyMaths(), POINTS, POINTS)
