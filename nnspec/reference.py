"""The whole of training by hand, in NumPy and double precision: forward, backward and the catalog's optimizers.

Slow and plain on purpose: the stacked trainer and the built module are tested against it. Axes: n rows of data,
i inputs of a layer, o its outputs. A layer computes z = x W^T + b and passes on h = f(z).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from nnspec.architecture import Dense, Pointwise
from nnspec.catalog import OPTIMIZERS, Bound
from nnspec.catalog.maths import NumpyMaths, NumpyTensor
from nnspec.duration import rate_factor, updates
from nnspec.problem import Problem
from nnspec.specs import Member, RunSpec

XP = NumpyMaths()
Tensors = dict[str, np.ndarray]  # weights or gradients by state-dict name


@dataclass(frozen=True)
class Layer:
    """What the forward pass leaves of one layer for the backward pass."""

    dense: Dense
    after: Pointwise
    x: np.ndarray  # [n, i] inputs
    z: np.ndarray  # [n, o] pre-activations
    h: np.ndarray  # [n, o] activations


@dataclass(frozen=True)
class ReferenceRun:
    """One trained network: ``loss`` [t] before the first update and after each, weights and outputs [n, k] at the
    end."""

    loss: np.ndarray
    weights: Tensors
    outputs: np.ndarray


def train(
    spec: RunSpec, seed: int | None = None, steps: int | None = None, start: Mapping[str, np.ndarray] | None = None
) -> ReferenceRun:
    """Train one network of a checked ``spec`` for ``steps`` updates (all of the spec's unless given).

    It starts from the weights ``start``, or from the draw of ``seed`` (the spec's own unless given).
    """
    weights = {name: np.array(w, dtype=np.float64) for name, w in (start or drawn(spec, seed)).items()}
    factor = rate_factor(spec)
    optimizers = {name: Optimizer(spec.optimizer, w) for name, w in weights.items()}
    problem = Problem.of(spec)
    losses = []
    for step in range(1, (updates(spec) if steps is None else steps) + 1):
        layers = forward(problem, weights)
        losses.append(loss_of(problem, layers[-1]))
        for name, gradient in backward(problem, weights, layers).items():
            optimizers[name].update(gradient, step, 1.0 if factor is None else float(factor(np.array(step))))
    last = forward(problem, weights)[-1]
    return ReferenceRun(np.array([*losses, loss_of(problem, last)]), weights, last.h)


def train_by_rows(spec: RunSpec, start: Mapping[str, np.ndarray] | None = None) -> tuple[np.ndarray, Tensors]:
    """The perceptron's rule: wrong rows [pass] of each pass over the data, and the last weights."""
    weights = {name: np.array(w, dtype=np.float64) for name, w in (start or drawn(spec, None)).items()}
    problem, lr = Problem.of(spec), spec.optimizer.number("lr")
    errors = [pass_by_rows(problem, weights, lr) for _ in range(spec.train.epochs)]
    return np.array(errors), weights


def pass_by_rows(problem: Problem, weights: Tensors, lr: float) -> int:
    """A pass over the data by the perceptron's rule (Rosenblatt 1958), which moves the weights: wrong rows.

    A row is judged by the weights as the rows before it left them: p = 1 where w x + b > 0, then w += lr (y - p) x.
    """
    w, b = weights["0.weight"], weights["0.bias"]  # [k, i] and [k]
    wrong = 0
    for x, y in zip(problem.inputs, problem.targets, strict=True):
        off = y - (w @ x + b > 0)  # [k]
        wrong += bool(off.any())
        w += lr * np.outer(off, x)
        b += lr * off
    return wrong


class Optimizer:
    """The optimizer of one tensor of ``weights``, which it changes: the catalog's rule and its state."""

    def __init__(self, member: Member, weights: np.ndarray):
        self.entry, self.weights = OPTIMIZERS[member.name], weights.view(NumpyTensor)
        self.h, self.lr = self.entry.hyperparameters(dict(member.params)), member.number("lr")
        slots = self.entry.slots(self.h)
        starts = (*self.entry.start(self.h), *[0.0] * slots)[:slots]
        self.state = tuple(np.full_like(self.weights, start) for start in starts)

    def update(self, gradient: np.ndarray, step: int, factor: float = 1.0) -> None:
        """Update ``step``, from 1, with lr times ``factor``."""
        h = {**self.h, "lr": self.lr * factor}
        coefficients = self.entry.coefficients(h, np.array([float(step)]).view(NumpyTensor))
        g = gradient.view(NumpyTensor)
        self.entry.update(self.weights, g, self.state, np.empty_like(g), self.h, coefficients)


def drawn(spec: RunSpec, seed: int | None = None) -> Tensors:
    """The initial weights of one seed (the spec's own unless given), by ``state_dict`` name."""
    from nnspec.initial import initial_weights

    return {name: w[0] for name, w in initial_weights(spec, [spec.seed if seed is None else seed]).items()}


def forward(problem: Problem, weights: Tensors) -> list[Layer]:
    """Every layer's inputs, pre-activations and activations, from the data to the outputs."""
    layers, x = [], problem.inputs
    for dense, after in zip(problem.shape.dense, problem.shape.after, strict=True):
        z = x @ weights[f"{dense.name}.weight"].T + weights[f"{dense.name}.bias"]
        h = activation(after, weights).value(XP, z)
        layers.append(Layer(dense, after, x, z, h))
        x = h
    return layers


def activation(after: Pointwise, weights: Tensors) -> Bound:
    """An activation's formulas, what it learns (PReLU's slope) as it is now."""
    return after.bind(*(weights[name] for name in after.tensors))


def loss_of(problem: Problem, last: Layer) -> float:
    """The mean loss over all rows."""
    return float(problem.losses(XP, last.z, last.h))


def backward(problem: Problem, weights: Tensors, layers: list[Layer]) -> Tensors:
    """The chain rule from the loss back to the first layer: the gradient of every tensor."""
    d = problem.gradient(XP, layers[-1].z, layers[-1].h)  # dL/dz of the outputs
    gradients: Tensors = {}
    for layer, below in zip(reversed(layers), [*reversed(layers[:-1]), None], strict=True):
        gradients[f"{layer.dense.name}.weight"] = d.T @ layer.x  # dL/dW[o, i] = sum over rows of dL/dz[o] x[i]
        gradients[f"{layer.dense.name}.bias"] = d.sum(0)
        if below is None:
            break
        d = d @ weights[f"{layer.dense.name}.weight"]  # dL/dx, which is dL/dh of the layer before
        f = activation(below.after, weights)
        for name in below.after.tensors:
            gradients[name] = np.array([(d * f.learned_slope(XP, below.z)).sum()])
        d = d * f.slope(XP, below.z, below.h)  # dL/dz = dL/dh f'(z)
    return gradients
