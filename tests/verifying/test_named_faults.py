"""Every fault that students make is named by ``nnspec.verify``: each is built into a network written by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hand import Array, Hand, Stepping, Steps

import nnspec
from nnspec.specs import RunSpec
from nnspec.verifying import VerifyReport

WORDS = ["activation=tanh", "init=torch_default", "optimizer=sgd", "dtype=float64"]


def spec(*words: str) -> RunSpec:
    return nnspec.spec([*WORDS, *words])


DEEP = spec("model.hidden=[4,4]")  # layers 2-4, 4-4, 4-1: the middle matrix is square
MSE = spec("model.hidden=[4,4]", "loss=mse")


def first_cause(report: VerifyReport) -> str:
    assert not report.ok
    (finding,) = report.findings
    assert finding.causes, report
    assert finding.causes[0] in str(report)
    return f"{finding.stage}: {finding.causes[0]}"


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("bias", "outputs: the bias of layer 1 of 3 (0) is forgotten"),
        ("twice", "outputs: the output activation, sigmoid, is applied twice"),
        ("output", "outputs: the output activation is tanh, not sigmoid"),
        ("linear", "outputs: the activation of every hidden layer, tanh, is missing"),
        ("sigmoid", "outputs: the activation of every hidden layer is sigmoid, not tanh"),
        ("noise", "outputs: dropout, other noise or a batch norm is left on in evaluation: two calls with"),
        ("loss sum", "loss: the mean over the 4 rows is missing: a sum is taken (a factor 4)"),
        ("sum", "gradients: the mean over the 4 rows is missing: a sum is taken (a factor 4)"),
        ("sign", "gradients: the sign is wrong"),
        ("output slope", "gradients: the derivative of the output activation, sigmoid, is applied twice"),
        ("bias gradient", "gradients: the gradient of the bias of layer 1 of 3 (0) is missing"),
        ("slope", "gradients: the derivative of the activation of every hidden layer, tanh, is missing"),
        ("slope sigmoid", "gradients: the derivative of the activation of every hidden layer is that of sigmoid"),
        ("slope at h", "gradients: the derivative of the activation of every hidden layer, tanh, is taken at h"),
        ("slope of z", "gradients: the derivative of the activation of every hidden layer, tanh, is computed from z"),
        ("gradient transposed", "gradients: the gradient of the matrix of layer 2 of 3 (2) is transposed"),
        ("back transposed", "gradients: on the way back the matrix of layer 2 of 3 (2) is transposed"),
        ("transposed", "outputs: the matrix of layer 2 of 3 (2) is transposed"),
        ("rate", "updates: the learning rate is 0.5, 5 times the spec's 0.1"),
        ("ascent", "updates: the sign is wrong: the loss is climbed"),
        ("accumulated", "updates: gradients are not reset between updates"),
        ("still", "updates: the bias 0.bias is not updated"),
        ("next", "updates: layers are updated in the wrong order: a layer's gradient is computed with the next layer"),
        (
            "previous",
            "updates: layers are updated in the wrong order: a layer's gradient is computed with the previous",
        ),
    ],
)
def test_bce(fault: str, said: str) -> None:
    assert first_cause(nnspec.verify(Stepping(2, 4, 4, 1, fault=fault), DEEP)).startswith(said)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("half", "gradients: a factor 2 is missing"),
        ("output slope", "gradients: the derivative of the output activation, sigmoid, is missing at the loss"),
        ("half slope", "gradients: the derivative of the activation of every hidden layer, tanh, is missing on the"),
    ],
)
def test_mse(fault: str, said: str) -> None:
    cause = first_cause(nnspec.verify(Hand(2, 4, 4, 1, fault=fault, loss="mse"), MSE))
    assert cause.startswith(said)
    assert (fault == "half slope") == ("; besides, a factor 2 is missing" in cause)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("sum", "updates: of the gradient: the mean over the 4 rows is missing"),
        ("slope", "updates: the derivative of the activation of every hidden layer, tanh, is missing on the way back"),
        ("bias gradient", "updates: the bias 0.bias is not updated"),
    ],
)
def test_gradients_that_only_the_updates_show(fault: str, said: str) -> None:
    report = nnspec.verify(Steps(Stepping(2, 4, 4, 1, fault=fault)), DEEP)
    assert first_cause(report).startswith(said)
    assert "Gradients were not compared" in str(report)


def test_a_learning_rate_and_a_sum_may_be_the_same() -> None:
    """Without gradients nobody can tell a sum over 4 rows from a learning rate that is 4 times as large."""
    report = nnspec.verify(Steps(Stepping(2, 4, 4, 1, fault="sum")), DEEP)
    assert "The same numbers would come of: the learning rate is 0.4, 4 times the spec's 0.1" in str(report)


def test_layers_in_another_order() -> None:
    report = nnspec.verify(Hand(2, 2, 2, 2, 1, fault="order"), spec("model.hidden=[2,2,2]"))
    assert first_cause(report) == "outputs: layer 2 of 4 (2) and layer 3 of 4 (4) are in the other order"


@pytest.mark.parametrize(
    ("words", "left_out"), [(["optimizer.momentum=0.9"], "momentum"), (["optimizer.weight_decay=0.1"], "weight_decay")]
)
def test_a_part_of_the_rule_is_left_out(words: list[str], left_out: str) -> None:
    report = nnspec.verify(Stepping(2, 4, 1), spec(*words))
    assert first_cause(report) == f"updates: {left_out} is left out"


def test_another_rule() -> None:
    report = nnspec.verify(Stepping(2, 4, 1), spec("optimizer=adam", "optimizer.lr=0.1"))
    assert first_cause(report) == "updates: the update rule is that of sgd, not of adam"


def test_no_known_fault() -> None:
    """What nobody knows is told by its place and size, and not blamed on something."""
    net = Hand(2, 4, 4, 1)
    report = nnspec.verify({"parameters": net.parameters, "forward": lambda x: net.forward(x) ** 1.7}, DEEP)
    assert not report.ok
    assert report.findings[0].causes == ()
    assert "No known fault gives the same numbers.\nAt nnspec's start the outputs differ by up to" in str(report)
    assert "They part even where the matrix of layer 3 of 3 (4) is 0: look at its bias and the output" in str(report)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("odd", "part where that of layer 1 of 3 (0) is: look at the bias and the activation of layer 1 of 3 (0), and"),
        ("negative", "They agree where the matrix of layer 1 of 3 (0) is 0: look at that matrix."),
    ],
)
def test_an_unknown_fault_is_told_by_its_layer(fault: str, said: str) -> None:
    report = nnspec.verify(Odd(2, 4, 4, 1, fault=fault), DEEP)
    assert report.findings[0].causes == ()
    assert said in report.findings[0].where


class Odd(Hand):
    """Faults that nobody knows: an activation of its own in the first layer, or its matrix times -2."""

    def matrix(self, layer: int) -> Array:
        return super().matrix(layer) * (-2 if (self.fault, layer) == ("negative", 0) else 1)

    def activation(self, z: Array, output: bool) -> Array:
        first = len(self.z) == 1
        return np.tanh(z) ** 3 + 0.1 if self.fault == "odd" and first else super().activation(z, output)


def test_arrays_that_are_not_those_of_the_network() -> None:
    """A step that makes new arrays leaves those in the list as they are; copies are no part of the network."""
    net = Stepping(2, 4, 4, 1)

    class Rebound:
        def __init__(self, copies: bool):
            self.used = net.parameters
            self.parameters = [array.copy() for array in self.used] if copies else self.used
            self.forward = net.forward

        def step(self, x: Array, y: Array) -> None:
            self.used = [w - 0.1 * g for w, g in zip(self.used, net.gradients(x, y), strict=True)]

    assert first_cause(nnspec.verify(Rebound(False), DEEP)).startswith("updates: nothing is updated: the arrays in")
    assert first_cause(nnspec.verify(Rebound(True), DEEP)).startswith("outputs: forward(x) does not compute with the")


@pytest.mark.parametrize("corrected", [True, False])
def test_adam_without_its_bias_correction(corrected: bool) -> None:
    net, means, squares, count = Hand(2, 4, 4, 1), [0.0] * 6, [0.0] * 6, 0

    def step(x: Array, y: Array) -> None:
        nonlocal count
        count += 1
        for number, (w, g) in enumerate(zip(net.parameters, net.gradients(x, y), strict=True)):
            means[number] = 0.9 * means[number] + 0.1 * g
            squares[number] = 0.999 * squares[number] + 0.001 * g**2
            one, two = (1 - 0.9**count, 1 - 0.999**count) if corrected else (1, 1)
            w -= 0.1 * (means[number] / one) / (np.sqrt(squares[number] / two) + 1e-8)

    words = ["optimizer=adam", "optimizer.lr=0.1", "model.hidden=[4,4]"]
    report = nnspec.verify(net, spec(*words), step=step)
    if corrected:
        assert report.ok, report
    else:
        assert first_cause(report).startswith("updates: the bias correction is left out")


def test_softmax_over_the_rows() -> None:
    said = spec("data=iris", "loss=cross_entropy")
    net = torch.nn.Sequential(*nnspec.build(said)[:-1], torch.nn.Softmax(0))
    assert first_cause(nnspec.verify(net, said)).startswith(
        "outputs: the output activation, softmax, is taken over the"
    )


class Small(torch.nn.Module):
    def __init__(self, fault: str):
        super().__init__()
        self.a, self.b, self.fault = torch.nn.Linear(2, 4), torch.nn.Linear(4, 1), fault
        self.norm = torch.nn.BatchNorm1d(4, affine=False)
        if fault == "frozen":
            self.a.requires_grad_(False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = torch.tanh(self.norm(self.a(x)) if self.fault == "norm" else self.a(x))
        return torch.sigmoid(self.b(h.detach() if self.fault == "detach" else h))


@pytest.mark.parametrize("fault", ["frozen", "detach", "norm"])
def test_modules(fault: str) -> None:
    said = "outputs: dropout, other noise or a batch norm is in the network: in training its outputs are others"
    if fault != "norm":
        said = "gradients: the derivative of the activation of layer 1 of 2 (0), tanh, is 0: no gradient comes through"
    assert first_cause(nnspec.verify(Small(fault), spec("model.hidden=[4]"))).startswith(said)
