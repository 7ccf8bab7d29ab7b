"""Forward and backward pass of a stack of networks, written out by hand, so that everything on the way can be looked
at.

Axes: m networks, n rows, i fan-in, o fan-out, k outputs; networks first. All float64. Autograd differentiates
``output_gradient`` once more for the Hessian, so no operation here is in place.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import torch

from nnspec.architecture import Architecture
from nnspec.diagnostics import room
from nnspec.diagnostics.modules import network
from nnspec.problem import Problem
from nnspec.specs import RunSpec
from nnspec.torch_maths import XP

Tensor = torch.Tensor


@dataclass(frozen=True)
class Layer:
    """One layer's weights [m, o, i] and bias [m, o], and what its activation learns, [m, 1, 1], or None."""

    matrix: Tensor
    bias: Tensor
    learned: Tensor | None = None

    def parts(self) -> list[Tensor]:
        """Its tensors in state-dict order."""
        return [self.matrix, self.bias] + ([] if self.learned is None else [self.learned])


@dataclass(frozen=True)
class Forward:
    """Pre-activations and activations [m, n, o] of every layer, the last being the output, and the slopes [m, n, o]
    that a gradient passes through: those of the hidden layers, and the output's unless the loss is fused."""

    layers: list[Layer]
    z: list[Tensor]
    h: list[Tensor]
    slopes: list[Tensor]


@dataclass(frozen=True)
class Backward:
    """The gradient of each layer's pre-activations [m, n, o], and that of the weights, ``layers[l]`` as in
    ``Forward``."""

    dz: list[Tensor]
    layers: list[Layer]


def stacked(spec: RunSpec) -> Problem:
    """The problem of a checked spec's networks, as the passes here take it."""
    return Problem.of(spec).stacked(torch.from_numpy)


def flatten(shape: Architecture, weights: Mapping[str, np.ndarray]) -> Tensor:
    """Weights [m, P] float64 of tensors [m, ...], in state-dict order."""
    rows = [np.asarray(weights[name]).reshape(len(weights[name]), -1) for name in shape.tensors()]
    return torch.from_numpy(np.concatenate(rows, axis=1).astype(np.float64))


def unflatten(shape: Architecture, flat: Tensor) -> list[Layer]:
    """The layers of weights [m, P]."""
    sizes = [math.prod(size) for size in shape.tensors().values()]
    parts = dict(zip(shape.tensors(), torch.split(flat, sizes, dim=-1), strict=True))
    layers = []
    for dense, after in zip(shape.dense, shape.after, strict=True):
        matrix = parts[f"{dense.name}.weight"].reshape(-1, dense.fan_out, dense.fan_in)
        learned = [parts[name].unsqueeze(-1) for name in after.tensors]
        layers.append(Layer(matrix, parts[f"{dense.name}.bias"], *learned))
    return layers


def flat_of(layers: Sequence[Layer]) -> Tensor:
    """The inverse of ``unflatten``."""
    return torch.cat([part.flatten(1) for layer in layers for part in layer.parts()], dim=1)


def lanes(problem: Problem) -> int:
    """See ``room.lanes``."""
    return room.lanes(len(problem.inputs), problem.shape.parameters)


def padded(problem: Problem, flat: Tensor) -> Tensor:
    """Weights [m, P] with copies of the first network added to fill whole lanes."""
    spare = -len(flat) % lanes(problem)
    return torch.cat([flat, flat[:1].expand(spare, -1)]) if spare else flat


def product(a: Tensor, b: Tensor) -> Tensor:
    """``a @ b`` of stacks of matrices [..., i, j] and [..., j, k], the same whatever the number of them.

    The last digit of a product depends on where in memory its matrices begin: here all begin alike. Autograd, which
    could not follow that, differentiates the plain product.
    """
    if torch.is_grad_enabled():
        return a @ b
    stack = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])  # torch's loads a computer algebra system
    left, right = (_begun_alike(m.expand(*stack, *m.shape[-2:]).flatten(0, -3)) for m in (a, b))
    out = _spaced(left, left.shape[1], right.shape[2])
    return torch.bmm(left, right, out=out).unflatten(0, stack)


def _spaced(like: Tensor, rows: int, columns: int) -> Tensor:
    """Room for as many matrices [m, rows, columns] as ``like`` has, each from a multiple of 64 bytes on."""
    unit = 64 // like.element_size()
    return like.new_empty(len(like), -(-rows * columns // unit) * unit)[:, : rows * columns].view(-1, rows, columns)


def _begun_alike(matrices: Tensor) -> Tensor:
    """Matrices [m, i, j], each from a multiple of 64 bytes on: themselves where they are."""
    step = matrices.stride(0) * matrices.element_size()
    if step % 64 == 0 and matrices.data_ptr() % 64 == 0:
        return matrices
    return _spaced(matrices, *matrices.shape[1:]).copy_(matrices)


def forward(problem: Problem, flat: Tensor) -> Forward:
    """Every layer of the networks with weights [m, P]."""
    layers = unflatten(problem.shape, flat)
    done = Forward(layers, [], [], [])
    x = problem.inputs.expand(len(flat), -1, -1)
    for number, layer in enumerate(layers):
        z = product(x, layer.matrix.mT) + layer.bias.unsqueeze(1)
        done.z.append(z)
        if number < len(problem.shape.hidden):
            activation = problem.shape.after[number].bind(layer.learned)
            x = activation.value(XP, z)
            done.h.append(x)
            done.slopes.append(activation.slope(XP, z, x))
    z, p = _outputs(problem, done.z[-1])
    done.h.append(p.permute(2, 0, 1))
    if not problem.loss.fused:
        done.slopes.append(problem.output.slope(XP, z, p).permute(2, 0, 1))
    return done


def passes(problem: Problem, weights: Mapping[str, np.ndarray], most: int = room.ROOM) -> Iterator[Forward]:
    """``forward`` of networks with tensors [m, ...], as many at a time as need arrays of at most ``most`` numbers."""
    together = max(1, most // max(len(problem.inputs) * problem.width, problem.shape.parameters))
    for start in range(0, len(next(iter(weights.values()))), together):
        some = {name: tensor[start : start + together] for name, tensor in weights.items()}
        yield forward(problem, flatten(problem.shape, some))


def outputs(problem: Problem, weights: Mapping[str, np.ndarray], inputs: np.ndarray | None = None) -> np.ndarray:
    """The outputs [m, n, k] of networks with tensors [m, ...], for the problem's rows or other ``inputs`` [n, i]."""
    if inputs is not None:
        problem = replace(problem, inputs=torch.from_numpy(inputs))
    with undisturbed():
        if problem.shape.opaque:
            return network.outputs(problem, flatten(problem.shape, weights)).numpy()
        return np.concatenate([run.h[-1].numpy() for run in passes(problem, weights)])


@contextmanager
def undisturbed() -> Iterator[None]:
    """One thread, so that sums have one order; no inference mode, whose tensors cannot be differentiated.

    Numbers near the largest float may overflow: what is not finite in the end is no number of the diagnosis.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.inference_mode(False), torch.no_grad(), np.errstate(over="ignore", invalid="ignore"):
            yield
    finally:
        torch.set_num_threads(threads)


def backward(problem: Problem, run: Forward) -> Backward:
    """The gradient of each network's own loss."""
    dz = [problem.gradient(XP, *_ends(run)).permute(2, 0, 1)]
    grads: list[Layer] = []
    learned: list[Tensor] = []
    for number in range(len(run.layers) - 1, -1, -1):
        x = problem.inputs.expand(len(dz[0]), -1, -1) if number == 0 else run.h[number - 1]
        grads.insert(0, Layer(product(dz[0].mT, x), dz[0].sum(1), *learned))
        if number:
            dh, below = product(dz[0], run.layers[number].matrix), run.layers[number - 1]
            learned = []
            if below.learned is not None:
                slope = problem.shape.after[number - 1].bind(below.learned).learned_slope(XP, run.z[number - 1])
                learned = [(dh * slope).sum((1, 2), keepdim=True)]
            dz.insert(0, dh * run.slopes[number - 1])
    return Backward(dz, grads)


def losses(problem: Problem, run: Forward) -> Tensor:
    """The loss of each network, [m]."""
    return problem.losses(XP, *_ends(run))


def distances(problem: Problem, run: Forward) -> Tensor:
    """How far each network's worst output is from its target, row by row: [m, n]."""
    return problem.distances(XP, run.h[-1].permute(1, 2, 0)).amax(1).T


def output_gradient(problem: Problem, z: Tensor) -> Tensor:
    """The gradient of each network's loss with respect to its output's pre-activations, both [m, n, k]."""
    return problem.gradient(XP, *_outputs(problem, z)).permute(2, 0, 1)


def _outputs(problem: Problem, z: Tensor) -> tuple[Tensor, Tensor]:
    """Pre-activations [m, n, k] of the output with the axes of a problem's formulas, [n, k, m], and the outputs."""
    turned = z.permute(1, 2, 0)
    return turned, problem.output.value(XP, turned)


def _ends(run: Forward) -> tuple[Tensor, Tensor]:
    """The same of a forward pass, which has both."""
    return run.z[-1].permute(1, 2, 0), run.h[-1].permute(1, 2, 0)
