"""Forward and backward pass of a stack of networks, written out by hand, so that everything on the way can be looked
at.

Axes: m networks, n rows, i fan-in, o fan-out, k outputs; networks first. All float64. ``torch.func`` differentiates
``gradient`` once more for the Hessian, so no operation here is in place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from nnspec.architecture import SOFTMAX, Architecture, Pointwise
from nnspec.catalog import ACTIVATIONS
from nnspec.catalog.activations import formula_params
from nnspec.diagnostics.problem import Problem
from nnspec.torch_maths import XP

Tensor = torch.Tensor


@dataclass(frozen=True)
class Layer:
    """One layer's weights [m, o, i] and bias [m, o], and the values [m, 1] of what its activation learns."""

    matrix: Tensor
    bias: Tensor
    learned: dict[str, Tensor]


@dataclass(frozen=True)
class Forward:
    """Pre-activations, activations and slopes [m, n, o] of every layer, the last being the output (slope None for
    softmax)."""

    layers: list[Layer]
    z: list[Tensor]
    h: list[Tensor]
    slopes: list[Tensor | None]


@dataclass(frozen=True)
class Backward:
    """The gradient of each layer's pre-activations [m, n, o], and that of the weights, ``layers[l]`` as in
    ``Forward``."""

    dz: list[Tensor]
    layers: list[Layer]


def flatten(shape: Architecture, weights: Mapping[str, np.ndarray]) -> Tensor:
    """Weights [m, P] float64 of tensors [m, ...], in state-dict order."""
    rows = [np.asarray(weights[name]).reshape(len(weights[name]), -1) for name in shape.tensors()]
    return torch.from_numpy(np.concatenate(rows, axis=1).astype(np.float64))


def unflatten(shape: Architecture, flat: Tensor) -> list[Layer]:
    """The layers of weights [m, P]."""
    sizes = [int(np.prod(size)) for size in shape.tensors().values()]
    parts = dict(zip(shape.tensors(), torch.split(flat, sizes, dim=-1), strict=True))
    layers = []
    for dense, after in zip(shape.dense, shape.after, strict=True):
        matrix = parts[f"{dense.name}.weight"].reshape(-1, dense.fan_out, dense.fan_in)
        learned = {_parameter(after, name): parts[name] for name in after.tensors}
        layers.append(Layer(matrix, parts[f"{dense.name}.bias"], learned))
    return layers


def forward(problem: Problem, flat: Tensor) -> Forward:
    """Every layer of the networks with weights [m, P]."""
    layers = unflatten(problem.shape, flat)
    x = problem.inputs.expand(len(flat), -1, -1)
    done = Forward(layers, [], [], [])
    for layer, after in zip(layers, problem.shape.after, strict=True):
        z = x @ layer.matrix.mT + layer.bias.unsqueeze(1)
        x, slope = _activate(after, layer.learned, z)
        done.z.append(z)
        done.h.append(x)
        done.slopes.append(slope)
    return done


def backward(problem: Problem, run: Forward) -> Backward:
    """The gradient of each network's own loss."""
    dz = [output_gradient(problem, run.z[-1])]
    grads: list[Layer] = []
    learned: dict[str, Tensor] = {}
    for number in range(len(run.layers) - 1, -1, -1):
        x = problem.inputs.expand(len(dz[0]), -1, -1) if number == 0 else run.h[number - 1]
        grads.insert(0, Layer(dz[0].mT @ x, dz[0].sum(1), learned))
        if number:
            dh, slope = dz[0] @ run.layers[number].matrix, run.slopes[number - 1]
            assert slope is not None  # only outputs have softmax
            learned = _learned_gradient(problem.shape.after[number - 1], run, number - 1, dh)
            dz.insert(0, dh * slope)
    return Backward(dz, grads)


def gradient(problem: Problem, flat: Tensor) -> Tensor:
    """The gradient [m, P] of each network's loss with respect to its weights [m, P]."""
    return _flat(backward(problem, forward(problem, flat)).layers)


def losses(problem: Problem, run: Forward) -> Tensor:
    """The loss of each network, [m]."""
    z, p, y = _output(problem, run)
    scale = problem.loss.scale(*problem.targets.shape)
    return problem.loss.elements(XP, z, p, y, problem.loss_params).sum((0, 1)) * scale


def distances(problem: Problem, run: Forward) -> Tensor:
    """How far each network's worst output is from its target, row by row: [m, n]."""
    _, p, y = _output(problem, run)
    return problem.loss.distance(XP, p, y).amax(1).T


def _output(problem: Problem, run: Forward) -> tuple[Tensor, Tensor, Tensor]:
    """Output pre-activations, outputs and targets with the axes of a loss's formulas: [n, k, m]."""
    return run.z[-1].permute(1, 2, 0), run.h[-1].permute(1, 2, 0), problem.targets.unsqueeze(-1)


def output_gradient(problem: Problem, z: Tensor) -> Tensor:
    """The gradient of each network's loss with respect to its output's pre-activations, both [m, n, k]."""
    loss, after = problem.loss, problem.shape.after[-1]
    p, slope = _activate(after, {}, z)
    axes = (1, 2, 0)  # a loss's formulas want [n, k, m]
    dz = loss.gradient(XP, z.permute(axes), p.permute(axes), problem.targets.unsqueeze(-1), problem.loss_params)
    dz = dz.permute(2, 0, 1) * loss.scale(*problem.targets.shape)
    return dz if loss.fused or slope is None else dz * slope


def _activate(after: Pointwise, learned: Mapping[str, Tensor], z: Tensor) -> tuple[Tensor, Tensor | None]:
    if after.member.name == SOFTMAX:
        raised = XP.exp(z - XP.max(z, -1))
        return raised / XP.sum(raised, -1), None
    entry, params = ACTIVATIONS[after.member.name], formula_values(after, learned)
    h = entry.value(XP, z, params)
    return h, entry.slope(XP, z, h, params)


def formula_values(after: Pointwise, learned: Mapping[str, Tensor]) -> dict[str, Any]:
    """The parameters that the formulas read; what is learned is one value a network, [m, 1, 1]."""
    entry = ACTIVATIONS[after.member.name]
    return {
        **formula_params(entry, dict(after.member.params)),
        **{name: value.unsqueeze(-1) for name, value in learned.items()},
    }


def _parameter(after: Pointwise, tensor: str) -> str:
    """The formula's name for a learned tensor."""
    return ACTIVATIONS[after.member.name].learned[tensor.rsplit(".", 1)[-1]]


def _learned_gradient(after: Pointwise, run: Forward, number: int, dh: Tensor) -> dict[str, Tensor]:
    entry, layer = ACTIVATIONS[after.member.name], run.layers[number]
    if entry.learned_slope is None:
        return {}
    share = dh * entry.learned_slope(XP, run.z[number], formula_values(after, layer.learned))
    return {name: share.sum((1, 2)).unsqueeze(-1) for name in layer.learned}


def _flat(layers: list[Layer]) -> Tensor:
    parts = []
    for layer in layers:
        parts += [layer.matrix.flatten(1), layer.bias, *layer.learned.values()]
    return torch.cat(parts, dim=1)
