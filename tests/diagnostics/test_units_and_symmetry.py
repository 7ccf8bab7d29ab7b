"""Counts of units against small cases that can be counted by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nnspec.catalog import ACTIVATIONS
from nnspec.diagnostics import diagnose
from nnspec.diagnostics.activations import is_odd, slopes
from nnspec.diagnostics.probes import effective_rank
from nnspec.diagnostics.symmetry import count_distinct
from nnspec.specs import Member


def member(name):
    return Member(name, tuple(sorted((p.name, p.default) for p in ACTIVATIONS[name].params)))


def test_which_activations_die_are_linear_or_odd_follows_from_their_formulas():
    names = [entry.name for entry in ACTIVATIONS]
    flat_pieces = {"relu", "relu6", "hardsigmoid", "hardtanh", "hardswish", "hardshrink", "softshrink", "threshold"}
    assert {name for name in names if slopes(member(name)).dies} == flat_pieces
    assert {name for name in names if slopes(member(name)).linear} == {"identity"}
    odd = {"identity", "tanh", "softsign", "hardtanh", "hardshrink", "softshrink", "tanhshrink", "sine"}
    assert {name for name in names if is_odd(member(name))} == odd


def test_distinct_rows_are_counted():
    rows = torch.tensor(
        [[[1.0, 2.0], [1.0, 2.0], [3.0, 4.0], [1.0, 2.0]], [[1.0, 2.0], [1.0, 2.001], [3.0, 4.0], [5.0, 6.0]]]
    )
    rows = rows.to(torch.float64)
    assert count_distinct(rows, 1e-4).tolist() == [2, 4]
    assert count_distinct(rows, 1e-2).tolist() == [2, 3]
    assert count_distinct(torch.zeros(1, 5, 3, dtype=torch.float64), 1e-4).tolist() == [1]


def test_copies_are_found_among_many_units():
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(1, 500, 7, dtype=torch.float64, generator=generator)
    rows[0, 100:150] = rows[0, 200:250].clone()
    assert count_distinct(rows, 1e-4).item() == 450


@pytest.mark.parametrize(("activation", "expected"), [("tanh", 1), ("sigmoid", 2)])
def test_with_an_odd_activation_a_unit_and_its_negative_are_one(spec_of, by_hand, activation, expected):
    weights = {"0.weight": [[1, -2], [-1, 2]], "0.bias": [0.5, -0.5], "2.weight": [[0.3, -0.3]], "2.bias": [0]}
    found = diagnose(by_hand(spec_of(activation=activation, model={"name": "mlp", "hidden": [2]}), weights))
    assert found.numbers["distinct_units"][0] == expected


def test_the_layer_with_the_smallest_share_of_distinct_units_counts(spec_of, by_hand):
    weights = {
        "0.weight": [[1, 2], [3, 4]],
        "0.bias": [0, 0],
        "2.weight": [[1, 1], [1, 1], [2, 3]],
        "2.bias": [1, 1, 1],
        "4.weight": [[1, 1, 1]],
        "4.bias": [0],
    }
    spec = spec_of(activation="tanh", model={"name": "mlp", "hidden": [2, 3]})
    assert diagnose(by_hand(spec, weights)).numbers["distinct_units"][0] == 2
    below = {
        "0.weight": [[1, 2], [1, 2]],
        "2.weight": [[1, 1], [3, 3], [2, 2]],
    }  # now all three differ, and the two below do not
    assert diagnose(by_hand(spec, weights | below)).numbers["distinct_units"][0] == 1


def test_dead_units_and_rows_of_a_network_made_by_hand(spec_of, by_hand):
    # units: off for every row; on for 01 and 11; on for 11 only. Rows 00 and 10 see no unit.
    weights = {"0.weight": [[-1, -1], [0, 1], [1, 1]], "0.bias": [0, 0, -1.5], "2.weight": [[1, 1, 1]], "2.bias": [0]}
    found = diagnose(by_hand(spec_of(model={"name": "mlp", "hidden": [3]}), weights))
    assert found.numbers["dead_units"][0] == 1
    assert found.numbers["dead_rows"][0] == 2


def test_effective_rank_counts_equal_directions():
    square = torch.tensor([[1.0, 1], [1, -1], [-1, 1], [-1, -1]], dtype=torch.float64)
    line = square[:, :1] * torch.tensor([1.0, 2], dtype=torch.float64)
    constant = torch.ones_like(square)
    # 1e-12: a handful of exact sums
    np.testing.assert_allclose(effective_rank(torch.stack([square, line, constant])), [2, 1, 0], atol=1e-12)
    wide = torch.cat([square, square], dim=1)[None]  # more units than rows
    np.testing.assert_allclose(effective_rank(wide), [2], atol=1e-12)


def test_numbers_at_the_start_are_those_of_the_initial_weights(spec_of, by_hand):
    spec = spec_of(model={"name": "mlp", "hidden": [1]})
    dead = {"0.weight": [[-1, -1]], "0.bias": [0], "2.weight": [[1]], "2.bias": [0]}
    alive = dead | {"0.weight": [[1, 1]], "0.bias": [1]}
    first, last = by_hand(spec, dead), by_hand(spec, alive)
    found = diagnose(type(first)(**{**vars(last), "initial": first.final}))
    assert (found.numbers["init_dead_units"][0], found.numbers["dead_units"][0]) == (1, 0)
    assert found.numbers["init_activation_std.0"][0] == 0
    assert found.numbers["activation_std.0"][0] == pytest.approx(np.std([1, 2, 2, 3]))
