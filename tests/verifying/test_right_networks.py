"""Networks that are right pass, whatever they are written in; a network that is not nnspec's cannot be mistaken."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hand import Hand, Stepping

import nnspec
from nnspec.catalog import ACTIVATIONS, LOSSES, OPTIMIZERS, OUTPUTS
from nnspec.reference import drawn

BASE = ["init=torch_default", "dtype=float64"]
SGD = nnspec.spec([*BASE, "activation=tanh", "optimizer=sgd", "model.hidden=[4,4]"])
STAGES = ("dtype", "outputs", "loss", "gradients", "updates")


@pytest.mark.parametrize("flat", [False, True])
def test_arrays(flat: bool) -> None:
    """[in, out] and [out, in] are told apart by shapes; the square one in the middle stands as the others do."""
    net = Stepping(2, 4, 4, 1, flat=flat)
    report = nnspec.verify(net, SGD, seed=5)
    assert report.ok, report
    assert report.agreed == STAGES
    start = drawn(SGD, 5)["2.weight"]
    np.testing.assert_array_equal(net.weights[1], start.T if flat else start)  # it holds the start afterwards
    assert ("Matrices that stand as [in, out]: 0.weight, 2.weight, 4.weight" in str(report)) == flat


def test_square_matrices_alone_are_told_by_their_values() -> None:
    spec = nnspec.spec([*BASE, "activation=tanh", "model.hidden=[2]", "loss=mse", "data=xor", "optimizer=sgd"])
    for flat in (False, True):
        assert nnspec.verify(Hand(2, 2, 1, flat=flat, loss="mse"), spec).ok


def test_logits_are_right_too() -> None:
    report = nnspec.verify(Stepping(2, 4, 4, 1, fault="logits"), SGD)
    assert report.ok
    assert report.agreed == STAGES
    assert "The outputs are logits, which loss=bce may take" in str(report)


@pytest.mark.parametrize("activation", [entry.name for entry in ACTIVATIONS if entry.trainable])
def test_built_modules_with_every_activation(activation: str) -> None:
    spec = nnspec.spec([*BASE, f"activation={activation}", "model.hidden=[3,3]"])
    report = nnspec.verify(nnspec.build(spec, 9), spec, seed=2)
    assert report.ok, report


@pytest.mark.parametrize("optimizer", [entry.name for entry in OPTIMIZERS if not entry.by_rows])
def test_built_modules_with_every_optimizer(optimizer: str) -> None:
    """The module is moved by torch.optim, nnspec's network by the catalog's rule."""
    words = [*BASE, "activation=tanh", f"optimizer={optimizer}", "schedule=cosine", "train.clip_norm=0.05"]
    spec = nnspec.spec(words if OPTIMIZERS[optimizer].scheduled else [*words[:4], words[-1]])
    report = nnspec.verify(nnspec.build(spec, 9), spec, seed=2)
    assert report.ok, report
    assert "updates" in report.agreed


@pytest.mark.parametrize("loss", [entry.name for entry in LOSSES])
@pytest.mark.parametrize("logits", [False, True])
def test_built_modules_with_every_loss(loss: str, logits: bool) -> None:
    spec = nnspec.spec([*BASE, f"loss={loss}", "data=iris" if LOSSES[loss].one_hot else "data=moons"])
    net = nnspec.build(spec)
    if logits:
        if not LOSSES[loss].fused:
            return  # only these take logits
        net = net[:-1]
    report = nnspec.verify(net, spec)
    assert report.ok, report


def test_log_softmax_gives_logits_too() -> None:
    spec = nnspec.spec([*BASE, "loss=cross_entropy", "data=iris"])
    report = nnspec.verify(torch.nn.Sequential(*nnspec.build(spec)[:-1], torch.nn.LogSoftmax(1)), spec)
    assert report.ok, report
    assert "The outputs are logits" in str(report)


@pytest.mark.parametrize("words", [["loss=bce", "data=xor"], ["loss=cross_entropy", "data=iris"]])
def test_outputs_of_0_and_1_to_the_last_digit(words: list[str]) -> None:
    """(p - y) / (p (1 - p)) is no number there, which is no fault of the network; from logits all can be compared."""
    spec = nnspec.spec([*BASE[1:], *words, "init=normal", "init.std=300", "activation=identity"])
    net = nnspec.build(spec)
    report = nnspec.verify(net, spec)
    assert report.ok, report
    assert report.agreed == ("dtype", "outputs")
    assert "The gradients were not compared: an output of s" in str(report)
    assert str(report).startswith("As far as it was compared, it is nnspec's.")
    assert nnspec.verify(net[:-1], spec).agreed == ("dtype", "outputs", "gradients", "updates")


def test_probabilities_of_0_where_they_should_be_0_have_a_gradient() -> None:
    """Seed 4 puts every row of `or` far on its own side: the other class has a probability of exactly 0."""
    words = ["model=perceptron", "loss=cross_entropy", "data=or", "init=normal", "init.std=3000"]
    spec = nnspec.spec([*BASE[1:], *words])
    net = nnspec.build(spec, 4)
    rows = torch.tensor([[0.0, 1], [1, 0], [1, 1]], dtype=torch.float64)
    assert net(rows).tolist() == [[0, 1]] * 3
    assert nnspec.verify(net, spec, seed=4).agreed == ("dtype", "outputs", "gradients", "updates")


def test_single_precision_and_the_default_spec() -> None:
    """A float32 network is compared in double precision, as roundings are large where gradients vanish (tanh of iris'
    raw numbers, under Adam); unless it computes in single precision itself."""
    spec = nnspec.spec(["activation=tanh", "data=iris", "loss=cross_entropy"])
    net = nnspec.build(spec, 9)
    report = nnspec.verify(net, spec, seed=8)
    assert report.ok, report
    assert "in float64, to 1e-09" in str(report)
    assert {parameter.dtype for parameter in net.parameters()} == {torch.float32}

    class Single(torch.nn.Sequential):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x.float())

    spec = nnspec.spec([])
    report = nnspec.verify(Single(*nnspec.build(spec, 9)), spec, seed=2)
    assert report.ok, report
    assert "in float32, to 0.0001" in str(report)


def test_a_perceptron_by_rosenblatts_rule() -> None:
    spec = nnspec.spec(
        ["model=perceptron", "optimizer=perceptron_rule", "activation=heaviside", "loss=mse", "data=and"]
    )
    w, b = np.zeros((1, 2)), np.zeros(1)

    def forward(x: np.ndarray) -> np.ndarray:
        return (x @ w.T + b > 0).astype(float)

    def step(x: np.ndarray, y: np.ndarray, rate: float = 1.0) -> None:
        for row, target in zip(x, y, strict=True):
            off = rate * (target - forward(row))
            w[...] += np.outer(off, row)
            b[...] += off

    net = {"parameters": [w, b], "forward": forward}
    assert nnspec.verify(net, spec, step=step).ok
    wrong = nnspec.verify(net, spec, step=lambda x, y: step(x, y, -1.0))
    assert "the sign is wrong" in str(wrong)


class WithDropout(torch.nn.Module):
    """relu layers with dropout between, which ``functional`` leaves on in evaluation."""

    def __init__(self, functional: bool):
        super().__init__()
        self.a, self.b, self.functional = torch.nn.Linear(2, 4), torch.nn.Linear(4, 1), functional

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = torch.relu(self.a(x))
        h = torch.nn.functional.dropout(h, 0.5) if self.functional else torch.dropout(h, 0.5, self.training)
        return torch.sigmoid(self.b(h))


def test_dropout_in_a_module() -> None:
    spec = nnspec.spec([*BASE, "activation=relu", "model.hidden=[4]"])
    on = nnspec.verify(WithDropout(functional=True), spec, seed=3)
    assert (on.ok, on.findings[0].stage) == (False, "outputs")
    assert "dropout, other noise or a batch norm is left on in evaluation" in str(on)
    training = nnspec.verify(WithDropout(functional=False), spec, seed=3)
    assert "dropout, other noise or a batch norm is on in training, which the spec has not" in str(training)


def test_a_step_of_ones_own_for_a_module() -> None:
    net = nnspec.build(SGD)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)

    def step(x: torch.Tensor, y: torch.Tensor, reset: bool = True) -> None:
        if reset:
            optimizer.zero_grad()
        torch.nn.functional.binary_cross_entropy(net(x), y).backward()
        optimizer.step()

    assert nnspec.verify(net, SGD, step=step).ok
    kept = nnspec.verify(net, SGD, step=lambda x, y: step(x, y, reset=False))
    assert "gradients are not reset between updates: they accumulate" in str(kept)


def test_single_precision_on_the_way_is_seen() -> None:
    class Half(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = torch.nn.Linear(2, 4), torch.nn.Linear(4, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.sigmoid(self.b(torch.tanh(self.a(x)).float().double()))

    spec = nnspec.spec([*BASE, "activation=tanh", "model.hidden=[4]"])
    assert "dtype: somewhere on the way numbers are in single precision" in str(nnspec.verify(Half(), spec))
    small = Hand(2, 4, 4, 1)
    small.weights = [w.astype(np.float32) for w in small.weights]
    assert "the parameters have the wrong dtype: float32, not the spec's float64" in str(nnspec.verify(small, SGD))


@pytest.mark.slow
@pytest.mark.parametrize(
    "other", [entry.name for entry in OUTPUTS if entry.trainable and entry.learned is None and entry.elementwise]
)
def test_the_others_activation_is_named(other: str) -> None:
    """A network with another activation of the catalog than the spec's."""
    said, built = (nnspec.spec([*BASE, f"activation={name}"]) for name in ("sine", other))
    report = nnspec.verify(nnspec.build(built), said)
    if other == "sine":
        assert report.ok
        return
    word = "is missing" if other == "identity" else f"is {other}"
    assert any("activation of layer 1" in cause and word in cause for cause in report.findings[0].causes), report
