"""Every initialisation against the distribution it promises, and against torch.nn.init given the same generator."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

from nnspec.architecture import architecture
from nnspec.catalog import INITS
from nnspec.catalog.inits import Layer
from nnspec.initial import activation_gain, initial_weights
from nnspec.specs import RunSpec

SeedSpec = Callable[..., RunSpec]
SHAPES = [(4,), (16, 5), (3, 16)]  # hidden layers: below and above 16 weights, where torch changes its way of drawing
KINDS = ["float32", "float64"]
MANY = np.arange(4000)
T = torch.nn.init
FILL = dict[str, Callable[[torch.Tensor, torch.Generator, float], object]]
SAME: FILL = {  # our scheme at its defaults -> torch's, given the activation's gain (relu's is that of torch's default)
    "uniform": lambda w, g, gain: T.uniform_(w, -1.0, 1.0, generator=g),
    "normal": lambda w, g, gain: T.normal_(w, 0.0, 1.0, generator=g),
    "xavier_uniform": lambda w, g, gain: T.xavier_uniform_(w, generator=g),
    "xavier_normal": lambda w, g, gain: T.xavier_normal_(w, generator=g),
    "kaiming_uniform": lambda w, g, gain: T.kaiming_uniform_(w, nonlinearity="relu", generator=g),
    "kaiming_normal": lambda w, g, gain: T.kaiming_normal_(w, nonlinearity="relu", generator=g),
    "lecun_uniform": lambda w, g, gain: T.kaiming_uniform_(w, nonlinearity="linear", generator=g),
    "lecun_normal": lambda w, g, gain: T.kaiming_normal_(w, nonlinearity="linear", generator=g),
    "orthogonal": lambda w, g, gain: T.orthogonal_(w, generator=g),
    "zeros": lambda w, g, gain: T.zeros_(w),
    "constant": lambda w, g, gain: T.constant_(w, 0.5),
    "identity": lambda w, g, gain: T.eye_(w),
}
DRAWN = [entry for entry in INITS if not entry.stored]


def model(hidden: tuple[int, ...]) -> dict[str, Any]:
    return {"name": "mlp", "hidden": list(hidden)}


def near(kind: str) -> dict[str, float]:
    """One rounding: torch rounds the bounds of a draw at other places than we do."""
    eps = float(np.finfo(kind).eps)
    return {"rtol": 2 * eps, "atol": 2 * eps}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("hidden", SHAPES)
@pytest.mark.parametrize("name", SAME)
def test_draws_are_torch_s_given_the_same_generator(
    spec_of: SeedSpec, name: str, hidden: tuple[int, ...], kind: str
) -> None:
    spec = spec_of(model=model(hidden), init=name, dtype=kind)
    for seed in (0, 7, 123456):
        weights = initial_weights(spec, [seed])
        generator = torch.Generator().manual_seed(seed)
        for dense in architecture(spec).dense:
            expected = torch.empty(dense.fan_out, dense.fan_in, dtype=getattr(torch, kind))
            SAME[name](expected, generator, activation_gain(spec.activation))
            # LAPACK may differ between the libraries: a QR of up to 16 columns is off by some tens of roundings
            slack = near(kind) if name != "orthogonal" else {"rtol": 0, "atol": 100 * float(np.finfo(kind).eps)}
            np.testing.assert_allclose(weights[f"{dense.name}.weight"][0], expected.numpy(), **slack)
            np.testing.assert_array_equal(weights[f"{dense.name}.bias"][0], 0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["kaiming_uniform", "kaiming_normal"])
def test_fan_out_and_the_activation_s_gain(spec_of: SeedSpec, name: str, kind: str) -> None:
    activation = {"name": "leaky_relu", "negative_slope": 0.3}
    spec = spec_of(init={"name": name, "mode": "fan_out"}, activation=activation, dtype=kind)
    generator, fill = torch.Generator().manual_seed(5), getattr(T, f"{name}_")
    for dense in architecture(spec).dense:
        expected = torch.empty(dense.fan_out, dense.fan_in, dtype=getattr(torch, kind))
        fill(expected, a=0.3, mode="fan_out", nonlinearity="leaky_relu", generator=generator)
        np.testing.assert_allclose(
            initial_weights(spec, [5])[f"{dense.name}.weight"][0], expected.numpy(), **near(kind)
        )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("hidden", SHAPES)
def test_torch_default_is_a_sequential_made_after_manual_seed(
    spec_of: SeedSpec, hidden: tuple[int, ...], kind: str
) -> None:
    spec = spec_of(model=model(hidden), init="torch_default", dtype=kind)
    for seed in (0, 3, 99):
        torch.manual_seed(seed)
        layers = [torch.nn.Linear(d.fan_in, d.fan_out, dtype=getattr(torch, kind)) for d in architecture(spec).dense]
        weights = initial_weights(spec, [seed])
        for dense, layer in zip(architecture(spec).dense, layers, strict=True):
            np.testing.assert_allclose(weights[f"{dense.name}.weight"][0], layer.weight.detach().numpy(), **near(kind))
            np.testing.assert_allclose(weights[f"{dense.name}.bias"][0], layer.bias.detach().numpy(), **near(kind))


@pytest.mark.parametrize("entry", DRAWN, ids=lambda entry: entry.name)
def test_standard_deviation_is_the_promised_one(spec_of: SeedSpec, entry: Any) -> None:
    spec = spec_of(model=model((4, 6)), init=entry.name, activation="tanh")
    weights, params = initial_weights(spec, MANY), dict(spec.init.params)
    for dense in architecture(spec).dense:
        w = weights[f"{dense.name}.weight"].astype(np.float64)
        if entry.std is None:
            continue
        std = entry.std(Layer(dense.fan_in, dense.fan_out, activation_gain(spec.activation)), params)
        if std == 0:
            assert (w == w[0]).all()
            continue
        # one weight a network, so that the 4000 are independent. A draw of kurtosis up to 3 has a standard error of the
        # sample std of std / sqrt(2 n), of the mean std / sqrt(n); five of them leave 1 in a million to chance
        for each in (w[:, 0, 0], w[:, -1, -1]):
            assert each.std() == pytest.approx(std, abs=5 * std / math.sqrt(2 * len(MANY)))
            assert each.mean() == pytest.approx(0, abs=5 * std / math.sqrt(len(MANY)))


def uniform(bound: float) -> Any:
    return stats.uniform(-bound, 2 * bound)


# layer 0 of 2-4-1 with tanh (gain 5/3): fan_in 2, fan_out 4
DISTRIBUTIONS: dict[str, tuple[dict[str, Any], Any]] = {
    "uniform": ({"low": -0.3, "high": 1.1}, stats.uniform(-0.3, 1.4)),
    "normal": ({"mean": 0.4, "std": 1.7}, stats.norm(0.4, 1.7)),
    "truncated_normal": ({"mean": 0.5, "std": 2.0, "low": -1.0, "high": 3.0}, stats.truncnorm(-0.75, 1.25, 0.5, 2.0)),
    "xavier_uniform": ({}, uniform(1.0)),
    "xavier_normal": ({"gain": 2.0}, stats.norm(0, 2 * math.sqrt(2 / 6))),
    "kaiming_uniform": ({}, uniform(5 / 3 * math.sqrt(3 / 2))),
    "kaiming_normal": ({"mode": "fan_out"}, stats.norm(0, 5 / 3 / 2)),
    "lecun_uniform": ({}, uniform(math.sqrt(3 / 2))),
    "lecun_normal": ({}, stats.norm(0, math.sqrt(1 / 2))),
    "torch_default": ({}, uniform(math.sqrt(1 / 2))),
    "mirror": ({}, stats.norm(0, 5 / 3 / math.sqrt(2))),
}


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_distribution(spec_of: SeedSpec, name: str) -> None:
    params, promised = DISTRIBUTIONS[name]
    weights = initial_weights(spec_of(init={"name": name, **params}, activation="tanh"), MANY)["0.weight"]
    for o, i in ((0, 0), (3, 1)):
        # seeds are fixed, so this cannot flicker; a wrong scale by 5% gives p < 1e-4 at n = 4000
        assert stats.kstest(weights[:, o, i], promised.cdf).pvalue > 1e-3


def test_neighbouring_seeds_and_weights_are_independent(spec_of: SeedSpec) -> None:
    w = initial_weights(spec_of(init="normal"), MANY)["0.weight"].reshape(len(MANY), -1)
    # correlation of n independent pairs has standard error 1 / sqrt(n)
    limit = 5 / math.sqrt(len(MANY))
    assert np.abs(np.corrcoef(w.T) - np.eye(w.shape[1])).max() < limit
    assert abs(np.corrcoef(w[:-1, 0], w[1:, 0])[0, 1]) < limit


def test_truncated_normal_stays_within_its_cuts(spec_of: SeedSpec) -> None:
    for low, high in ((-2.0, 2.0), (1.0, 4.0), (-4.5, -3.0)):
        w = initial_weights(spec_of(init={"name": "truncated_normal", "low": low, "high": high}), MANY)["0.weight"]
        assert low <= w.min()
        assert w.max() <= high
        assert stats.kstest(w[:, 0, 0], stats.truncnorm(low, high).cdf).pvalue > 1e-3


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("gain", [1.0, 2.5])
def test_orthogonal(spec_of: SeedSpec, gain: float, kind: str) -> None:
    spec = spec_of(model=model((2, 7, 3)), init={"name": "orthogonal", "gain": gain}, dtype=kind)
    for name, w in initial_weights(spec, range(50)).items():
        if name.endswith("weight"):
            short = w @ w.swapaxes(1, 2) if w.shape[1] <= w.shape[2] else w.swapaxes(1, 2) @ w
            # a QR of at most 7 columns leaves some ten roundings, times gain^2
            slack = 100 * float(np.finfo(kind).eps) * gain**2
            np.testing.assert_allclose(
                short, np.broadcast_to(gain**2 * np.eye(short.shape[1]), short.shape), atol=slack
            )


@pytest.mark.parametrize(
    ("sparsity", "units", "zeros"), [(0.5, 6, 3), (0.1, 5, 1), (0.34, 3, 2), (0.0, 4, 0), (1.0, 4, 4)]
)
def test_sparse_has_exactly_so_many_zeros_an_input(spec_of: SeedSpec, sparsity: float, units: int, zeros: int) -> None:
    spec = spec_of(model=model((units,)), init={"name": "sparse", "sparsity": sparsity, "std": 0.7})
    w = initial_weights(spec, MANY)["0.weight"]
    assert ((w == 0).sum(1) == zeros).all()
    left = w[w != 0]
    if len(left):
        assert left.std() == pytest.approx(0.7, abs=5 * 0.7 / math.sqrt(2 * len(left)))  # five standard errors
    share = (w == 0).mean(0)  # each unit is as likely to be cut off: binomial standard error below 1 / (2 sqrt(n))
    np.testing.assert_allclose(share, zeros / units, atol=2.5 / math.sqrt(len(MANY)))


@pytest.mark.parametrize("units", [4, 5])
def test_mirror_pairs(spec_of: SeedSpec, units: int) -> None:
    w = initial_weights(spec_of(model=model((units,)), init="mirror"), range(20))["0.weight"]
    pairs = w[:, : units // 2 * 2].reshape(20, -1, 2, 2)
    np.testing.assert_array_equal(pairs[:, :, 0], -pairs[:, :, 1])
    assert (w != 0).all()
    assert len(np.unique(np.abs(w[:, ::2]))) == w[:, ::2].size


def test_identity_is_cut_or_filled_up(spec_of: SeedSpec) -> None:
    weights = initial_weights(spec_of(model=model((4, 3)), init="identity"), [0])
    assert weights["0.weight"][0].tolist() == np.eye(4, 2).tolist()
    assert weights["2.weight"][0].tolist() == np.eye(3, 4).tolist()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("entry", DRAWN, ids=lambda entry: entry.name)
def test_a_draw_does_not_depend_on_its_neighbours(spec_of: SeedSpec, entry: Any, kind: str) -> None:
    spec = spec_of(model=model((6, 20)), init={"name": entry.name, "bias": "normal"}, dtype=kind)
    crowd = initial_weights(spec, range(70))
    for seeds in ([5], [69, 0, 5], [5, 5], list(range(30, 7, -1))):
        for name, w in initial_weights(spec, seeds).items():
            assert w.dtype == np.dtype(kind)
            assert w.flags.c_contiguous
            np.testing.assert_array_equal(w, crowd[name][seeds])


def test_the_seed_of_the_spec_has_no_say(spec_of: SeedSpec) -> None:
    one, other = (initial_weights(spec_of(seed=seed, replicates=n), [4]) for seed, n in ((0, 1), (3, 50)))
    for name in one:
        np.testing.assert_array_equal(one[name], other[name])


def test_bias_zeros_unless_said(spec_of: SeedSpec) -> None:
    for entry in DRAWN:
        bias = initial_weights(spec_of(init=entry.name), range(5))["0.bias"]
        assert (bias == 0).all() == (entry.name != "torch_default"), entry.name


def test_bias_same_takes_the_scheme_and_its_parameters(spec_of: SeedSpec) -> None:
    spec = spec_of(init={"name": "uniform", "low": 2.0, "high": 3.0, "bias": "same"})
    bias = initial_weights(spec, MANY)["0.bias"]
    assert stats.kstest(bias[:, 2], stats.uniform(2, 1).cdf).pvalue > 1e-3
    # He uniform on a bias: the layer's fan_in, not the vector's
    bias = initial_weights(spec_of(init={"name": "kaiming_uniform", "bias": "same"}), MANY)["0.bias"]
    assert stats.kstest(bias[:, 2], uniform(math.sqrt(2) * math.sqrt(3 / 2)).cdf).pvalue > 1e-3


def test_bias_by_name_takes_that_scheme_s_defaults(spec_of: SeedSpec) -> None:
    assert (
        initial_weights(spec_of(init={"name": "constant", "value": 3.0, "bias": "constant"}), [0])["0.bias"] == 0.5
    ).all()
    bias = initial_weights(spec_of(init={"name": "zeros", "bias": "torch_default"}), MANY)["0.bias"]
    assert stats.kstest(bias[:, 0], uniform(math.sqrt(1 / 2)).cdf).pvalue > 1e-3


def test_a_learned_slope_starts_where_the_activation_says(spec_of: SeedSpec) -> None:
    spec = spec_of(model=model((3, 2)), activation={"name": "prelu", "init": 0.1})
    weights = initial_weights(spec, [0, 1])
    assert list(weights) == list(architecture(spec).tensors())
    for name in ("1.weight", "3.weight"):
        np.testing.assert_array_equal(weights[name], np.full((2, 1), 0.1, np.float32))


def test_every_drawn_entry_has_a_test_of_its_values() -> None:
    by_hand = {"sparse"}
    assert {entry.name for entry in DRAWN} == SAME.keys() | DISTRIBUTIONS.keys() | by_hand
