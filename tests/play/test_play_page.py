"""What ``nnspec play`` writes: one file that asks for nothing, with every entry of the catalog or the reason why
not."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch

import nnspec
from nnspec.catalog import ACTIVATIONS, DATA, INITS, LOSSES, OPTIMIZERS, SCHEDULES, Activation
from nnspec.cli.main import main
from nnspec.errors import SpecError
from nnspec.play.entries import entries
from nnspec.play.page import page

SPEC = nnspec.spec(["activation=relu"])
Z = np.linspace(-4, 4, 401)
OPERATIONS: Mapping[str, Any] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    "neg": np.negative,
    "abs": np.abs,
    "sqrt": np.sqrt,
    "root": np.sqrt,
    ">": np.greater,
    ">=": np.greater_equal,
    "<": np.less,
    "and": np.logical_and,
    "where": np.where,
    "floor": np.floor,
    "pow": np.power,
    "fma": lambda a, b, c: a * b + c,
    "exp": np.exp,
    "expm1": np.expm1,
    "log1p": np.log1p,
    "tanh": np.tanh,
    "sin": np.sin,
    "cos": np.cos,
    "sigmoid": lambda z: torch.sigmoid(torch.as_tensor(z)).numpy(),
    "erf": lambda z: torch.erf(torch.as_tensor(z)).numpy(),
}


def value_of(form: dict[str, Any], leaves: Mapping[str, Any]) -> Any:
    """The first result of a form."""
    values: list[Any] = []
    for op, *args in form["nodes"]:
        if op == "number":
            values.append(args[0])
        elif op == "leaf":
            values.append(leaves[args[0]])
        else:
            values.append(OPERATIONS[op](*(values[place] for place in args)))
    return values[form["results"][0]]


@pytest.fixture(scope="module")
def known() -> dict[str, Any]:
    return entries(SPEC)


@pytest.mark.parametrize("name", entries(SPEC)["activations"])
def test_an_activation_is_what_torch_has(known: dict[str, Any], name: str) -> None:
    """Value and derivative by PyTorch's own function and autograd; the derivative's own derivative by autograd."""
    described = known["activations"][name]
    params = {param["name"]: param["default"] for param in described["params"]}
    forms = described["forms"][next(key for key in described["forms"] if "tanh" not in key)]
    spec = nnspec.spec([f"activation={name}", "dtype=float64"])
    activation = nnspec.build(spec)[1].eval()
    z = torch.from_numpy(Z).requires_grad_()
    value = activation(z)
    (slope,) = torch.autograd.grad(value.sum(), z, create_graph=True)
    wanted = {"value": value, "slope": slope, "bend": second_derivative(slope, z)}
    leaves = {"z": Z, "h": value.detach().numpy()} | {f"param.{name}": number for name, number in params.items()}
    kinks = np.isclose(Z % 0.5, 0, atol=1e-6) | np.isclose(Z % 0.5, 0.5, atol=1e-6)  # all kinks lie on halves
    for what, numbers in wanted.items():
        found = np.broadcast_to(value_of(forms[what], leaves), Z.shape)
        near = {"rtol": 3e-8, "atol": 1e-12}  # torch has the 1/6 of hardsigmoid's slope in single precision
        np.testing.assert_allclose(found[~kinks], numbers.detach().numpy()[~kinks], **near, err_msg=what)


def second_derivative(slope: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
    """By autograd; 0 where torch knows none, as of what is made of straight lines."""
    with contextlib.suppress(RuntimeError):  # not implemented
        return torch.autograd.grad(slope.sum(), z)[0]
    return torch.zeros_like(z)


@pytest.mark.parametrize("entry", SCHEDULES, ids=lambda entry: entry.name)
@pytest.mark.parametrize("own", [{}, {"warmup": 7}, {"updates": 30, "floor": 0.2}], ids=["", "warmup", "length"])
def test_a_schedule_is_what_the_catalog_has(known: dict[str, Any], entry: Any, own: dict[str, Any]) -> None:
    names = {param.name for param in entry.params}
    params = {param.name: param.default for param in entry.params} | {k: v for k, v in own.items() if k in names}
    forms = known["schedules"][entry.name]["forms"]
    form = forms.get(f"updates_on={str(params.get('updates') is not None).lower()}") or forms[""]
    t = np.arange(1.0, 101)
    leaves = {"t": t, "updates": 100} | {f"param.{name}": value for name, value in params.items()}
    np.testing.assert_allclose(value_of(form, leaves) + 0 * t, entry.factor(t, 100, params), rtol=1e-14)


@pytest.mark.parametrize(
    ("kind", "plural", "registry"),
    [
        ("activation", "activations", ACTIVATIONS),
        ("init", "inits", INITS),
        ("optimizer", "optimizers", OPTIMIZERS),
        ("schedule", "schedules", SCHEDULES),
        ("loss", "losses", LOSSES),
        ("data", "data", DATA),
    ],
)
def test_an_entry_is_offered_or_the_page_says_why_not(
    known: dict[str, Any], kind: str, plural: str, registry: Any
) -> None:
    left = {out["name"]: out["why"] for out in known["left_out"] if out["kind"] == kind}
    assert sorted([*known[plural], *left]) == sorted(registry.names())
    assert all(left.values())


def test_what_is_left_out(known: dict[str, Any]) -> None:
    left = {out["name"] for out in known["left_out"] if out["kind"] != "data"}
    stays = {"heaviside", "perceptron_rule", "truncated_normal", "orthogonal", "sparse", "identity", "mirror"}
    assert left == stays | {"from_file", "tanhshrink"}


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (lambda xp, z, p: z - xp.sin(z), "its value near 0 has 59,999 times the rounding of sin"),
        (lambda xp, z, p: xp.exp(z) - 1 - z, "its value near 0 has 20,134 times the rounding of exp"),
        (lambda xp, z, p: z * xp.tanh(z), ""),
        (lambda xp, z, p: xp.expm1(z) - z, ""),  # torch has SLEEF's, and so does the page
    ],
    ids=["sine", "exp", "product", "expm1"],
)
def test_an_activation_that_magnifies_what_processors_have_differently_is_left_out(value: Any, why: str) -> None:
    ACTIVATIONS.add(Activation("mine", "mine", "Mine", value, _bent_slope))
    try:
        left = {out["name"]: out["why"] for out in entries(SPEC)["left_out"]}
    finally:
        ACTIVATIONS.remove("mine")
    assert left.get("mine", "").startswith(why)
    assert bool(why) == ("mine" in left)


def test_an_activation_that_is_added_is_on_the_page() -> None:
    bent = Activation("bent", "z + z |z| / 10", "Bent", lambda xp, z, p: z + z * xp.abs(z) / 10, _bent_slope)
    ACTIVATIONS.add(bent)
    try:
        found = data_of(page(SPEC, []))["activations"]["bent"]
    finally:
        ACTIVATIONS.remove("bent")
    np.testing.assert_allclose(value_of(found["forms"][""]["value"], {"z": Z}), Z + Z * np.abs(Z) / 10)


def _bent_slope(xp: Any, z: Any, h: Any, p: Any) -> Any:
    return 1 + xp.abs(z) / 5


def data_of(text: str) -> dict[str, Any]:
    """What the page is given."""
    (found,) = re.findall(r'<script id="nnspec-data" type="application/json">(.*?)</script>', text, re.DOTALL)
    return json.loads(found)


def test_the_page_asks_for_nothing_and_runs_its_own_script_alone() -> None:
    text = page(SPEC, [])
    assert len(text.encode()) < 1_500_000
    assert not re.search(r'(?:src|href)="(?!data:,)', text)
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', text)
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert "connect-src" not in rules
    script = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    assert len(script) == 1
    digest = base64.b64encode(hashlib.sha256(script[0].encode()).digest()).decode()
    assert rules["script-src"].split() == ["'wasm-unsafe-eval'", f"'sha256-{digest}'"]


def test_what_a_part_is_called_does_not_end_the_data() -> None:
    evil = "</script><img src=x onerror=alert(1)>"
    ACTIVATIONS.add(Activation("evil", evil, "Evil", lambda xp, z, p: z, lambda xp, z, h, p: 0 * z + 1))
    try:
        text = page(SPEC, [])
    finally:
        ACTIVATIONS.remove("evil")
    assert evil not in text
    assert data_of(text)["activations"]["evil"]["summary"] == evil


def test_the_state_is_what_was_said() -> None:
    words = ["activation=leaky_relu", "model.hidden=[3,2]", "optimizer.lr=0.02", "replicates=50", "seed=7"]
    start = data_of(page(nnspec.spec(words), words))["start"]
    assert (start["networks"], start["seed"]) == (50, 7)
    assert start["spec"]["hidden"] == [3, 2]
    assert start["spec"]["activation"]["name"] == "leaky_relu"
    assert start["spec"]["optimizer"]["lr"] == 0.02
    assert "tolerance" not in start["spec"]  # nobody said it: other data may have another
    assert data_of(page(nnspec.spec(["data=moons"]), []))["start"]["networks"] > 1
    assert data_of(page(nnspec.spec(["experiment=textbook"]), []))["start"]["networks"] == 1000  # as its file says


def test_a_perceptron_is_a_start() -> None:
    words = ["model=perceptron", "loss=mse"]
    start = data_of(page(nnspec.spec(words), words))["start"]["spec"]
    assert start["hidden"] == []
    assert start["activation"] == {"name": "relu"}  # of layers that are added on the page


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["init=orthogonal"], "init must have a form for the browser"),
        (["data=wine", "loss=cross_entropy"], "data must have a form for the browser: its rows have 13 inputs"),
        (
            ["data=sine", "loss=mse", "model.output=identity"],
            "data must have a form for the browser: its targets are numbers",
        ),
        (["dtype=float64"], "dtype must be float32"),
        (["train.batch_size=2"], "train.batch_size must be null"),
        (["train.stop=solved"], "train.stop must be never"),
        (["model=sequential"], "model must be mlp or perceptron in nnspec play"),
        (["model=perceptron", "loss=mse", "activation=relu"], "activation must be sigmoid in nnspec play"),
        (["train.clip_norm=1"], "train.clip_norm must be 0"),
        (["model.norm=layer"], "model.norm must be none"),
        (["data=moons", "data.test_fraction=0.3"], "data.test_fraction must be 0"),
        (["model.hidden=[60,60]"], "at most 2000 weights"),
        (["replicates=20000"], "replicates must be at most 10000"),
    ],
    ids=lambda value: value[-1] if isinstance(value, list) else "",
)
def test_what_the_page_cannot_do_is_refused(words: list[str], said: str) -> None:
    with pytest.raises(SpecError, match=re.escape(said)):
        page(nnspec.spec(words), words)


def test_the_command_writes_and_opens_the_page(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", lambda address: opened.append(address) or True)
    assert main(["play", "activation=tanh", "--out", "a/b.html", "--no-open"]) == 0
    assert capsys.readouterr().out == "a/b.html\n"
    assert opened == []
    assert data_of((tmp_path / "a/b.html").read_text("utf-8"))["start"]["spec"]["activation"]["name"] == "tanh"
    assert main(["play"]) == 0
    assert opened == [(tmp_path / "play.html").as_uri()]
    assert main(["play", "init=mirror", "--out", "c.html"]) == 2
    assert not (tmp_path / "c.html").exists()
    assert capsys.readouterr().err.count("\n") == 1
