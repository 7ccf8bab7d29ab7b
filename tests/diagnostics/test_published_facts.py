"""What is known of these networks from the literature comes out of the same arrays and probes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import binomtest

from nnspec.diagnostics import diagnose
from nnspec.diagnostics.gradients import flatten, forward, stacked
from nnspec.diagnostics.units import off
from nnspec.initial import initial_weights


def started(spec, networks):
    """The function of a spec on one single row, all ones, and its untrained networks."""
    function = stacked(spec)
    row = torch.ones(1, function.shape.inputs, dtype=torch.float64)
    function = replace(function, inputs=row, targets=function.targets[:1])
    return function, forward(function, flatten(function.shape, initial_weights(spec, np.arange(networks))))


def test_a_perceptron_cannot_beat_three_rows_of_xor(spec_of, train_group):
    """Minsky and Papert 1969."""
    spec = spec_of(model="perceptron", replicates=50, init="torch_default")
    group = train_group(spec)
    assert set(diagnose(group).verdict) == {"beyond_capacity"}
    problem = stacked(spec)
    run = forward(problem, flatten(problem.shape, group.final))
    right = ((run.h[-1][..., 0] - problem.targets[:, 0, 0]).abs() < 0.5).sum(1)
    assert right.max() <= 3


@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "gelu", "softplus"])
def test_zero_initialisation_keeps_hidden_units_identical_for_ever(spec_of, train_group, activation):
    """Goodfellow et al. 2016, section 8.4: units with the same inputs and weights get the same gradient."""
    group = train_group(
        spec_of(init="zeros", activation=activation, model={"name": "mlp", "hidden": [6, 5]}, train={"epochs": 500})
    )
    for name in ("0.weight", "2.weight"):
        assert (group.final[name] == group.final[name][:, :1]).all()  # bitwise
    assert (group.final["4.weight"] == group.final["4.weight"][..., :1]).all()
    found = diagnose(group)
    assert found.numbers["distinct_units"][0] == 1
    assert found.verdict[0] == "symmetric"


@pytest.mark.parametrize("width", [1, 2, 3])
@pytest.mark.parametrize("depth", [2, 5, 10])
@pytest.mark.parametrize("init", ["kaiming_normal", "xavier_uniform"])
def test_deep_narrow_relu_networks_are_born_dead_with_the_known_probability(spec_of, width, depth, init):
    """Lu et al. 2019: 1 - (1 - 2^-N)^L for symmetric weights, zero bias and one nonzero input: each layer that is fed
    anything is off in all its N units with probability 2^-N."""
    networks = 2000
    function, run = started(spec_of(model={"name": "mlp", "hidden": [width] * depth}, init=init), networks)
    dead = int(off(function, run, torch.ones(networks, 1, dtype=torch.bool)).blocked.sum())
    expected = 1 - (1 - 2.0**-width) ** depth
    # 18 cases of fixed seeds; a right program would fail one of them once in 50,000 choices of seeds
    assert binomtest(dead, networks, expected).pvalue > 1e-6


@pytest.mark.parametrize(
    ("init", "factor"),
    [("kaiming_normal", 1.0), ("kaiming_uniform", 1.0), ("xavier_normal", 0.5), ("xavier_uniform", 0.5)],
)
def test_he_keeps_the_second_moment_of_relu_from_layer_to_layer_and_xavier_halves_it(spec_of, init, factor):
    """He et al. 2015: at equal widths."""
    width, depth, networks = 100, 5, 100
    _, run = started(spec_of(model={"name": "mlp", "hidden": [width] * depth}, init=init), networks)
    moments = np.array([(h * h).mean().item() for h in run.h[:depth]])
    # from one layer to the next a network's moment varies by sqrt(5 / width) = 0.22 of itself, and moments drift
    # together over the layers (by 0.22 sqrt(depth) = 0.5), so the mean of 100 networks is good to 0.05: three of that
    # is 0.15
    np.testing.assert_allclose(moments[1:] / moments[:-1], factor, rtol=0.15)


def test_selu_with_lecun_normal_holds_mean_0_and_variance_1(spec_of):
    """Klambauer et al. 2017, on inputs of mean square 1."""
    width, depth, networks = 150, 10, 100
    _, run = started(
        spec_of(model={"name": "mlp", "hidden": [width] * depth}, init="lecun_normal", activation="selu"), networks
    )
    for h in run.h[:depth]:
        # 15,000 units of variance 1, whose networks wander together by about 1 / sqrt(width) = 0.08 a layer and are
        # drawn back: 0.02 to 0.03 over 100 networks; 0.1 is more than three of that, and ReLU in its place is off by
        # 0.4
        assert abs(h.mean().item()) < 0.1
        assert abs(h.var().item() - 1) < 0.1
    _, other = started(
        spec_of(model={"name": "mlp", "hidden": [width] * depth}, init="lecun_normal", activation="relu"), networks
    )
    assert other.h[depth - 1].var().item() < 0.1
