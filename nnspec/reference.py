"""The whole of training by hand, in NumPy and double precision: forward, backward, SGD and Adam, from top to bottom.

Slow and plain on purpose: the stacked trainer and the built module are tested against it. Axes: n rows of data,
i inputs of a layer, o its outputs. A layer computes z = x W^T + b and passes on h = f(z).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from nnspec.architecture import SOFTMAX, Dense, Pointwise, architecture
from nnspec.catalog import ACTIVATIONS, DATA, LOSSES
from nnspec.catalog.maths import NumpyMaths
from nnspec.errors import TrainingError, nearest
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

    Raises:
        TrainingError: for an optimizer that is not written out here.
    """
    if spec.optimizer.name not in UPDATES:
        raise TrainingError(
            f"the reference has no optimizer '{spec.optimizer.name}'; {nearest(spec.optimizer.name, UPDATES)}"
        )
    weights = {name: np.array(w, dtype=np.float64) for name, w in (start or drawn(spec, seed)).items()}
    state: dict[str, Tensors] = {name: {} for name in weights}
    rows, targets = problem(spec)
    losses = []
    for step in range(1, (spec.train.epochs if steps is None else steps) + 1):
        layers = forward(spec, weights, rows)
        losses.append(loss_of(spec, layers[-1], targets))
        for name, gradient in backward(spec, weights, layers, targets).items():
            UPDATES[spec.optimizer.name](weights[name], gradient, state[name], step, spec.optimizer)
    last = forward(spec, weights, rows)[-1]
    return ReferenceRun(np.array([*losses, loss_of(spec, last, targets)]), weights, last.h)


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


def sgd(w: np.ndarray, g: np.ndarray, state: Tensors, step: int, h: Member) -> None:
    """w -= lr v, where v gathers the gradients: v = momentum v + (1 - dampening) g; Nesterov looks one step ahead."""
    g = g + h.number("weight_decay") * w
    v = h.number("momentum") * state["v"] + (1 - h.number("dampening")) * g if step > 1 else g
    state["v"] = v
    w -= h.number("lr") * (g + h.number("momentum") * v if h["nesterov"] else v)


def adam(w: np.ndarray, g: np.ndarray, state: Tensors, step: int, h: Member) -> None:
    """w -= lr m' / (sqrt(v') + eps), where m and v are running means of g and g^2 and ' mends their start from 0."""
    beta1, beta2 = np.array(h["betas"], dtype=np.float64)
    g = g + h.number("weight_decay") * w
    m = state["m"] = beta1 * state.get("m", 0) + (1 - beta1) * g
    v = state["v"] = beta2 * state.get("v", 0) + (1 - beta2) * g * g
    w -= h.number("lr") * (m / (1 - beta1**step)) / (np.sqrt(v / (1 - beta2**step)) + h.number("eps"))


UPDATES: dict[str, Callable[[np.ndarray, np.ndarray, Tensors, int, Member], None]] = {"sgd": sgd, "adam": adam}
