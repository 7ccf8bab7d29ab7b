"""The derivative that each activation states in words of mathematics is the derivative that autograd finds."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import expit, ndtr

from nnspec.catalog import ACTIVATIONS, OUTPUTS, Activation
from nnspec.cli import main
from nnspec.modules.pointwise import pointwise_module
from nnspec.specs import Member

POINTS = np.random.default_rng(1).uniform(-6.5, 6.5, 400)  # none is a kink
FUNCTIONS: dict[str, Any] = {
    "abs": np.abs,
    "cos": np.cos,
    "sqrt": np.sqrt,
    "tanh": np.tanh,
    "sigmoid": expit,
    "softplus": lambda z: np.logaddexp(0, z),
    "Phi": ndtr,
}
WORD = re.compile(r"\d+(?:\.\d+)?|\w+|[<>]=?|[-+*/^()]")
# the texts have five digits, and one formula for gelu, whose approximation is off by less than 0.01
TOLERANCE, ROUGH = 3e-4, 0.01


def evaluated(text: str, names: dict[str, Any]) -> np.ndarray:
    """A derivative as the texts write it: pieces 'A if C, else B', products without a sign, and at the end what a name
    stands for."""
    text = re.sub(r"\|(.+?)\|", r"abs(\1)", text)
    if defined := re.search(r", ([\w()]+) = (.+)$", text):
        name, meaning = defined.groups()
        text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", f"({meaning})", text[: defined.start()])
    value: Any = None
    for piece in reversed(text.split(", ")):
        formula, _, condition = piece.removeprefix("else ").partition(" if ")
        found = number(formula, names)
        value = np.where(holds(condition, names), found, value) if condition else found
    return np.broadcast_to(value, POINTS.shape)


def holds(condition: str, names: dict[str, Any]) -> np.ndarray:
    """Whether 'a < b < c' is so."""
    sides = re.split(r" [<>]=? ", condition)
    signs = re.findall(r" ([<>]=?) ", condition)
    compare = {"<": np.less, ">": np.greater, "<=": np.less_equal, ">=": np.greater_equal}
    values = [number(side, names) for side in sides]
    pairs = [compare[sign](a, b) for sign, a, b in zip(signs, values[:-1], values[1:], strict=True)]
    return np.logical_and.reduce(np.broadcast_arrays(*pairs))


def number(formula: str, names: dict[str, Any]) -> Any:
    """The value of a formula in which things beside each other are multiplied, and a function takes what follows."""
    words, code = WORD.findall(formula), ""
    for before, word in zip(["(", *words], words, strict=False):
        beside = re.match(r"[\w)]", before) and re.match(r"[\w(]", word)
        if beside and before in FUNCTIONS and word != "(":
            word = f"({word})"
        elif beside and before not in FUNCTIONS:
            code += "*"
        code += "**" if word == "^" else word
    # the texts are the catalog's own
    return eval(code, {"__builtins__": {}}, {"e": np.e, "pi": np.pi, **FUNCTIONS, **names})


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2 z^2", 2 * POINTS**2),
        ("1 / (1 + |z|)^2", (1 + abs(POINTS)) ** -2),
        ("0 if z <= -3, 1 if z >= 3, else z / 3", np.where(POINTS <= -3, 0, np.where(POINTS >= 3, 1, POINTS / 3))),
        ("s (1 - s), s = sigmoid(2 z)", expit(2 * POINTS) * (1 - expit(2 * POINTS))),
        ("z g(z), g(z) = cos z", POINTS * np.cos(POINTS)),
    ],
)
def test_texts_are_read_as_readers_read_them(text: str, value: np.ndarray) -> None:
    np.testing.assert_allclose(evaluated(text, {"z": POINTS}), value, rtol=1e-12)


@pytest.mark.parametrize("shift", [0.0, 0.25], ids=["defaults", "other parameters"])
@pytest.mark.parametrize("entry", list(ACTIVATIONS), ids=lambda entry: entry.name)
def test_the_text_is_the_derivative(entry: Activation, shift: float) -> None:
    p = {param.name: param.default for param in entry.params}
    p = {name: value + shift if isinstance(value, float) else value for name, value in p.items()}
    z = torch.tensor(POINTS, requires_grad=True)
    module = pointwise_module(Member(entry.name, tuple(sorted(p.items()))), torch.float64)
    value = module(z)
    slope = torch.zeros_like(z)
    if entry.trainable:  # torch refuses to differentiate a step
        (slope,) = torch.autograd.grad(value.sum(), z)
    names = {"z": POINTS, "f": value.detach().numpy(), **p, **({"a": p["init"]} if entry.learned else {})}
    np.testing.assert_allclose(evaluated(entry.derivative, names), slope.numpy(), rtol=TOLERANCE, atol=TOLERANCE)


def test_the_formula_of_gelu_is_near_its_approximation() -> None:
    entry = ACTIVATIONS["gelu"]
    z = torch.tensor(POINTS, requires_grad=True)
    (slope,) = torch.autograd.grad(torch.nn.functional.gelu(z, approximate="tanh").sum(), z)
    np.testing.assert_allclose(evaluated(entry.derivative, {"z": POINTS}), slope.numpy(), atol=ROUGH)


def test_every_activation_states_its_derivative() -> None:
    assert [entry.name for entry in OUTPUTS if not entry.derivative] == []


def test_list_says_it_in_text_and_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "activations", "--json"]) == 0
    listed = {one["name"]: one["derivative"] for one in json.loads(capsys.readouterr().out)["activations"]}
    assert listed["sigmoid"] == "f (1 - f)"
    assert listed["auto"] is None
    assert main(["list", "activations"]) == 0
    assert "  f' = f (1 - f)\n" in capsys.readouterr().out
