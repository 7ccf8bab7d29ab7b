"""A network that cannot be compared: one line with the rule, what was found, and what to do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import nnspec
from nnspec.errors import NnspecError

SPEC = nnspec.spec(["activation=tanh", "model.hidden=[4]", "dtype=float64"])  # 2-4-1


def arrays(*shapes: tuple[int, ...]) -> list[np.ndarray]:
    return [np.zeros(shape) for shape in shapes]


RIGHT = ((4, 2), (4,), (1, 4), (1,))


def network(forward: Callable[[np.ndarray], Any], *shapes: tuple[int, ...], **more: Any) -> dict[str, Any]:
    return {"parameters": arrays(*(shapes or RIGHT)), "forward": forward, **more}


def half(x: np.ndarray) -> np.ndarray:
    return np.full((len(x), 1), 0.5)


def broken(x: np.ndarray) -> np.ndarray:
    raise ValueError("shapes (4,2) and (4,4) not aligned")


@pytest.mark.parametrize(
    ("net", "said"),
    [
        (
            network(half, (4, 2), (1, 4)),
            r"4 parameters \(0.weight \[4, 2\], .*, but got 2; a bias was forgotten: 0.bias, 2",
        ),
        (network(half, (4, 2), (4,), (1,)), r"must have 4 parameters .*, but got 3; it lacks: 2.weight"),
        (network(half, (4, 2), (4,), (9, 9)), r"must have 4 parameters .*, but got 3; their order is nnspec's"),
        (
            network(half, (4, 3), *RIGHT[1:]),
            r"parameter 1 \(0.weight\) must .* \[4, 2\] or \[2, 4\], but got \[4, 3\];",
        ),
        (
            network(half, (1, 4), (1,), (4, 2), (4,)),
            r"parameter 1 .* the shapes are nnspec's in another order, which is",
        ),
        (network(broken), r"forward\(x\) must run .*, but raised ValueError: shapes .* not aligned; run it by hand"),
        (network(lambda x: half(x)[:, 0]), r"outputs of forward\(x\) must have the shape \[4, 1\], but got \[4\]"),
        (network(lambda x: half(x) * np.nan), r"outputs of forward\(x\) must be finite, but 4 of 4 numbers are NaN"),
        (network(lambda x: "no"), r"outputs of forward\(x\) must be an array of numbers, but got str"),
        ({"forward": half}, r"must be a torch.nn.Module, or have `parameters` .*, but got dict; see docs/verify.md"),
        ({"parameters": [np.zeros((4, 2), int)], "forward": half}, r"parameters\[0\] must .* floats, but got int64"),
        ({"parameters": 3, "forward": half}, r"parameters must be a list of arrays, but got int; make it a list"),
        ({"parameters": lambda: arrays(*RIGHT), "forward": half}, r"parameters\[0\] .* does not keep what is written"),
        (
            {"parameters": [np.broadcast_to(0.0, shape) for shape in RIGHT], "forward": half},
            r"parameters\[0\] .*read-only; use array.c",
        ),
        (torch.nn.Linear, r"must be an object, but got the class Linear; make one of it"),
        (torch.nn.Linear(2, 1), r"must have 4 parameters .*, but got 2"),
    ],
)
def test_one_line_says_what_to_do(net: Any, said: str) -> None:
    with pytest.raises(NnspecError, match=said) as caught:
        nnspec.verify(net, SPEC)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_status == 2


@pytest.mark.parametrize(
    ("spec", "seed", "said"),
    [
        (["activation=tanh"], 0, r"spec must be a spec, but got list; make it by nnspec.spec"),
        (SPEC, -1, r"seed must be a whole number from 0 to 4294967295, but got -1"),
        (SPEC, "3", r"seed must be a whole number from 0 to 4294967295, but got '3'"),
        (
            nnspec.spec(["model.bias=false", "model.norm=layer"]),
            0,
            r"one activation .*, but got model.norm, model.bias;",
        ),
        (nnspec.spec(["model=sequential"]), 0, r"linear layers with biases .*, but got model=sequential; leave it out"),
    ],
)
def test_a_spec_or_a_seed_that_verify_cannot_take(spec: Any, seed: Any, said: str) -> None:
    with pytest.raises(NnspecError, match=said):
        nnspec.verify(nnspec.build(SPEC), spec, seed)


def test_gradients_that_cannot_be_compared() -> None:
    net = nnspec.build(SPEC, 3)

    def forward(x: np.ndarray) -> np.ndarray:
        for parameter, array in zip(net.parameters(), own["parameters"], strict=True):
            parameter.data = torch.from_numpy(array)
        return net(torch.from_numpy(x)).detach().numpy()

    own = network(forward)
    with pytest.raises(NnspecError, match=r"gradients\(x, y\) must return a list, but got NoneType"):
        nnspec.verify(own | {"gradients": lambda x, y: None}, SPEC)
    with pytest.raises(NnspecError, match=r"gradients\(x, y\) must return 4 arrays, one a parameter .*, but got 1"):
        nnspec.verify(own | {"gradients": lambda x, y: arrays((4, 2))}, SPEC)
    with pytest.raises(NnspecError, match=r"the gradient of 0.weight must have the shape \[4, 2\], but got \[2, 4\]"):
        nnspec.verify(own | {"backward": lambda x, y: arrays((2, 4), *RIGHT[1:])}, SPEC)
    report = nnspec.verify(own, SPEC)
    assert report.ok
    assert report.agreed == ("dtype", "outputs")
    assert "Gradients were not compared: the network has no gradients(x, y)." in str(report)
