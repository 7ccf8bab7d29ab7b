"""The training step of a stack as graphs: the passes of ``network_last.NetworkLast`` and an optimizer's rule, operation
by operation.

Leaves: ``weight`` and ``gradient`` by row, ``state`` by slot, and ``number`` rows of one value a network by key, which
``llvm.CompiledStep`` lists.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnspec.catalog import OPTIMIZERS
from nnspec.problem import Problem
from nnspec.specs import RunSpec
from nnspec.training.codegen.graph import Graph, GraphMaths, Traced, fma, total, tracing
from nnspec.training.codegen.row_graph import Row, trace_outputs
from nnspec.training.stacking import blocks

XP: Any = GraphMaths()


@dataclass(frozen=True)
class Pass:
    """A forward and backward pass over all rows: the gradient of each weight [P], the distances of the outputs from
    their targets, and what the history takes down, in numbers of ``dtype``."""

    gradients: list[Traced]
    distances: list[Traced]
    right: Traced
    loss: Traced
    accuracy: Traced
    norms: list[Traced]
    dtype: str = "float32"


@tracing()
def trace_pass(spec: RunSpec, multiply_adds: tuple[bool, bool]) -> Pass:
    """One pass of one network of ``spec``.

    ``multiply_adds`` says whether torch's matrix products of the first layer, forward and backward, multiply and add in
    one rounding: its library decides by their shape.

    Raises:
        Untraceable: if a formula has no form for one network at a time.
    """
    problem, graph = Problem.of(spec), Graph()
    targets = problem.targets.astype(spec.dtype)
    rows = [[graph.number(v) for v in (*row, 1.0)] for row in problem.inputs.astype(spec.dtype)]
    inputs = np.array(rows, dtype=object)
    layers = [
        np.array(
            [
                [graph.leaf("weight", b.start + i * b.fan_out + o) for o in range(b.fan_out)]
                for i in range(b.fan_in + 1)
            ],
            dtype=object,
        )
        for b in blocks(problem.shape)
    ]
    params = {k: v if isinstance(v, str) else graph.leaf("number", ("param", k)) for k, v in spec.activation.params}
    activations = [  # behind each layer: what they learn are weights
        problem.shape.after[0].entry.bind(params, graph.leaf("weight", block.stop) if block.learned else None)
        for block in blocks(problem.shape)
    ]
    pre, post = [_product(inputs, layers[0], multiply_adds[0])], []
    for activation, layer in zip(activations, layers[1:], strict=False):
        post.append(_each(lambda z, activation=activation: activation.value(XP, z), pre[-1]))  # type: ignore[misc]
        pre.append(_linear(post[-1], layer))

    tolerance, scale = graph.leaf("number", ("tolerance",)), problem.scale
    distances, losses, slopes = [], [], []  # a row of data each
    for values, wanted in zip(pre[-1], targets, strict=True):
        outputs = trace_outputs(problem, Row(values), Row(map(graph.number, wanted)))
        distances.append(outputs.distances.values)
        losses += outputs.losses.values
        slopes.append((outputs.gradients * scale).values)
    dz = np.array(slopes, dtype=object)
    right = [_all(distance < tolerance for distance in row) for row in distances]

    gradients: list[Traced] = []
    for number in range(len(layers) - 1, 0, -1):
        z, h, activation = pre[number - 1], post[number - 1], activations[number - 1]
        own, dh = _back(h, layers[number], dz)
        gradients[:0] = own.ravel()
        if activation.entry.learned:
            shares = [dh[place] * activation.learned_slope(XP, z[place]) for place in np.ndindex(*dh.shape)]
            gradients.insert(0, total(shares))
        dz = np.empty_like(dh)
        for place in np.ndindex(*dh.shape):
            dz[place] = dh[place] * activation.slope(XP, z[place], h[place])
    gradients[:0] = _product(inputs.T, dz, multiply_adds[1]).ravel()
    return Pass(
        gradients,
        [distance for row in distances for distance in row],
        _all(right),
        total(losses) * scale,
        total(row.to(None) for row in right) / len(right),
        [total((layer[:-1] * layer[:-1]).ravel()).sqrt() for layer in layers],
        spec.dtype,
    )


@tracing()
def trace_update(
    spec: RunSpec, slots: int, flags: Mapping[str, Any], pairs: Sequence[str], moving: Collection[str]
) -> list[Traced]:
    """One weight and each slot of its state after an update by the optimizer's rule. ``flags`` are the hyperparameters
    that are the same for all networks of a stack, ``pairs`` those that are two numbers; ``moving`` are the coefficients
    that differ from update to update.

    Raises:
        Untraceable: if the rule does what a graph cannot hold.
    """
    graph = Graph()
    weight, gradient, spare = graph.leaf("weight", None), graph.leaf("gradient", None), graph.leaf("spare", None)
    state = tuple(graph.leaf("state", slot) for slot in range(slots))
    two = {name: tuple(graph.leaf("number", ("hyper", name, place)) for place in range(2)) for name in pairs}
    hyper = _Numbers(graph, "hyper", {**flags, **two}, None)
    moved = {name: graph.leaf("number", ("moving", name)) for name in moving}
    OPTIMIZERS[spec.optimizer.name].update(weight, gradient, state, spare, hyper, _Numbers(graph, "coefficient", moved))
    return [weight, *state]


class _Numbers(Mapping[str, Any]):
    """Rows of one number a network by name; ``known`` are those that are something else."""

    def __init__(self, graph: Graph, kind: str, known: Mapping[str, Any], *place: Any):
        self.graph, self.kind, self.known, self.place = graph, kind, known, place

    def __getitem__(self, name: str) -> Any:
        return self.known[name] if name in self.known else self.graph.leaf("number", (self.kind, name, *self.place))

    def __iter__(self) -> Iterator[str]:
        return iter(self.known)

    def __len__(self) -> int:
        return len(self.known)


def _each(formula: Callable[[Traced], Traced], values: np.ndarray) -> np.ndarray:
    results = np.empty_like(values)
    for place, value in np.ndenumerate(values):
        results[place] = formula(value)
    return results


def _all(conditions: Any) -> Traced:
    first, *others = conditions
    for other in others:
        first = first & other
    return first


def _product(left: np.ndarray, right: np.ndarray, multiply_add: bool) -> np.ndarray:
    """A matrix product as torch's library makes it: term after term."""
    results = left[:, :1] * right[:1]
    for k in range(1, len(right)):
        for row, column in np.ndindex(*results.shape):
            one, two, so_far = left[row, k], right[k, column], results[row, column]
            results[row, column] = fma(one, two, so_far) if multiply_add else so_far + one * two
    return results


def _linear(x: np.ndarray, layer: np.ndarray) -> np.ndarray:
    """``network_last.Linear.forward``."""
    matrix, bias = layer[:-1], layer[-1]
    fan_in, fan_out = matrix.shape
    z = np.empty((len(x), fan_out), dtype=object)
    for row, out in np.ndindex(*z.shape):
        if fan_in <= fan_out:
            z[row, out] = bias[out]
            for i in range(fan_in):
                z[row, out] = fma(x[row, i], matrix[i, out], z[row, out])
        else:
            z[row, out] = total(x[row] * matrix[:, out]) + bias[out]
    return z


def _back(x: np.ndarray, layer: np.ndarray, dz: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``network_last.Linear.backward``: the gradients of the layer and of its inputs."""
    matrix = layer[:-1]
    fan_in, fan_out = matrix.shape
    gradients, dx = np.empty_like(layer), np.empty_like(x)
    for out in range(fan_out):
        gradients[-1, out] = total(dz[:, out])
        for i in range(fan_in):
            gradients[i, out] = total(x[:, i] * dz[:, out])
    for row, i in np.ndindex(*x.shape):
        if fan_in <= fan_out:
            dx[row, i] = total(dz[row] * matrix[i])
        else:
            dx[row, i] = dz[row, 0] * matrix[i, 0]
            for out in range(1, fan_out):
                dx[row, i] = fma(dz[row, out], matrix[i, out], dx[row, i])
    return gradients, dx
