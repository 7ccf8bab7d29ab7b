"""The whole of training by hand, in NumPy and double precision: forward, backward and the catalog's optimizers.

Slow and plain on purpose: the stacked trainer and the built module are tested against it. Axes: n rows of data,
i inputs of a layer, o its outputs. A layer computes z = x W^T + b and passes on h = f(z).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from nnspec.architecture import SOFTMAX, Dense, Pointwise, architecture
from nnspec.catalog import ACTIVATIONS, DATA, LOSSES, OPTIMIZERS
from nnspec.catalog.maths import NumpyMaths, NumpyTensor
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
    """Train one network of a checked ``spec`` for ``steps`` updates (the spec's epochs unless given).

    It starts from the weights ``start``, or from the draw of ``seed`` (the spec's own unless given).
    """
    weights = {name: np.array(w, dtype=np.float64) for name, w in (start or drawn(spec, seed)).items()}
    optimizers = {name: Optimizer(spec.optimizer, w) for name, w in weights.items()}
    rows, targets = problem(spec)
    losses = []
    for step in range(1, (spec.train.epochs if steps is None else steps) + 1):
        layers = forward(spec, weights, rows)
        losses.append(loss_of(spec, layers[-1], targets))
        for name, gradient in backward(spec, weights, layers, targets).items():
            optimizers[name].update(gradient, step)
    last = forward(spec, weights, rows)[-1]
    return ReferenceRun(np.array([*losses, loss_of(spec, last, targets)]), weights, last.h)


class Optimizer:
    """The optimizer of one tensor of ``weights``, which it changes: the catalog's rule and its state."""

    def __init__(self, member: Member, weights: np.ndarray):
        self.entry, self.weights = OPTIMIZERS[member.name], weights.view(NumpyTensor)
        h = dict(member.params)
        self.h = {**h, **{f"{name}_on": h[name] != 0 for name in self.entry.switches}}
        slots = self.entry.slots(self.h)
        starts = (*self.entry.start(self.h), *[0.0] * slots)[:slots]
        self.state = tuple(np.full_like(self.weights, start) for start in starts)

    def update(self, gradient: np.ndarray, step: int) -> None:
        """Update ``step``, from 1."""
        coefficients = self.entry.coefficients(self.h, np.array([float(step)]).view(NumpyTensor))
        g = gradient.view(NumpyTensor)
        self.entry.update(self.weights, g, self.state, np.empty_like(g), self.h, coefficients)


def drawn(spec: RunSpec, seed: int | None) -> Tensors:
    """The initial weights of one seed."""
    from nnspec.initial import initial_weights

    return {name: w[0] for name, w in initial_weights(spec, [spec.seed if seed is None else seed]).items()}


def problem(spec: RunSpec) -> tuple[np.ndarray, np.ndarray]:
    """Inputs [n, i] and targets [n, k]."""
    data = DATA[spec.data.name].make(dict(spec.data.params))
    return data.inputs, LOSSES[spec.loss.name].targets(data.labels, data.classes)


def forward(spec: RunSpec, weights: Tensors, rows: np.ndarray) -> list[Layer]:
    """Every layer's inputs, pre-activations and activations, from the data to the outputs."""
    shape, layers, x = architecture(spec), [], rows
    for dense, after in zip(shape.dense, shape.after, strict=True):
        z = x @ weights[f"{dense.name}.weight"].T + weights[f"{dense.name}.bias"]
        h = (
            softmax(z)
            if after.member.name == SOFTMAX
            else ACTIVATIONS[after.member.name].value(XP, z, parameters(after, weights))
        )
        layers.append(Layer(dense, after, x, z, h))
        x = h
    return layers


def softmax(z: np.ndarray) -> np.ndarray:
    """e^z over its sum along a row; the largest z is taken off first, so that nothing overflows."""
    e = np.exp(z - z.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def parameters(after: Pointwise, weights: Tensors) -> dict[str, object]:
    """An activation's parameters, the learned ones (PReLU's slope) as they are now."""
    learned = ACTIVATIONS[after.member.name].learned if after.tensors else {}
    return dict(after.member.params) | {start: weights[f"{after.name}.{name}"] for name, start in learned.items()}


def loss_of(spec: RunSpec, last: Layer, targets: np.ndarray) -> float:
    """The mean loss over all rows."""
    loss = LOSSES[spec.loss.name]
    return float(loss.elements(XP, last.z, last.h, targets, dict(spec.loss.params)).sum() * loss.scale(*targets.shape))


def backward(spec: RunSpec, weights: Tensors, layers: list[Layer], targets: np.ndarray) -> Tensors:
    """The chain rule from the loss back to the first layer: the gradient of every tensor."""
    loss, last = LOSSES[spec.loss.name], layers[-1]
    d = loss.gradient(XP, last.z, last.h, targets, dict(spec.loss.params)) * loss.scale(*targets.shape)
    gradients: Tensors = {}
    for layer in reversed(layers):
        if layer is not last or not loss.fused:  # a fused loss gives dL/dz of its output at once, the others dL/dh
            entry, p = ACTIVATIONS[layer.after.member.name], parameters(layer.after, weights)
            for name in layer.after.tensors:
                assert entry.learned_slope is not None
                gradients[name] = np.array([(d * entry.learned_slope(XP, layer.z, p)).sum()])
            d = d * entry.slope(XP, layer.z, layer.h, p)  # dL/dz = dL/dh f'(z)
        gradients[f"{layer.dense.name}.weight"] = d.T @ layer.x  # dL/dW[o, i] = sum over rows of dL/dz[o] x[i]
        gradients[f"{layer.dense.name}.bias"] = d.sum(0)
        d = d @ weights[f"{layer.dense.name}.weight"]  # dL/dx, which is dL/dh of the layer before
    return gradients
