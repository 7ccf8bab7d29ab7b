"""Forward and hand-written backward pass of many networks whose layers are products of matrices, network axis first.

Axes: M networks, n rows, i fan-in, o fan-out. For what is too large for ``network_last``, or has rows of its own: each
layer is one batched product of matrices, whose pieces of the weights are views.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from nnspec.problem import Problem
from nnspec.training.modules.data import Rows
from nnspec.training.network_last import XP, Output
from nnspec.training.stacking import Block, Segment, blocks

Tensor = torch.Tensor


@dataclass(frozen=True)
class Layer:
    """A linear layer's weights, of all networks: ``matrix`` [M, i, o], ``bias`` [M, o], and what the activation behind
    it learns, ``learned`` [M]."""

    matrix: Tensor
    bias: Tensor
    learned: Tensor | None

    @classmethod
    def of(cls, lines: Tensor, block: Block) -> Layer:
        """The views of a block of weights [M, P]."""
        networks = len(lines)
        matrix = lines[:, block.start : block.bias].view(networks, block.fan_in, block.fan_out)
        return cls(matrix, lines[:, block.bias : block.stop], lines[:, block.stop] if block.learned else None)


class NetworkFirst:
    """All networks of a chunk: ``weights`` and ``grads`` [P, M], where each network's numbers lie together."""

    def __init__(self, problem: Problem, weights: Tensor, segments: list[Segment]):
        self.weights, self.grads = weights, torch.zeros_like(weights)
        self.segments = segments
        found = blocks(problem.shape)
        self.layers = [Layer.of(weights.t(), block) for block in found]
        self.slopes = [Layer.of(self.grads.t(), block) for block in found]
        self.output, self.problem = Output(problem), problem
        self.x: list[Tensor] = []  # what each layer is given, [M, n, i]
        self.z: list[Tensor] = []  # what it makes of it, [M, n, o]

    def see(self, rows: Rows) -> None:
        """Have the next pass go over these rows."""
        self.x = [rows.inputs.expand(self.weights.shape[1], *rows.inputs.shape[-2:])]
        self.output.problem = replace(self.problem, targets=rows.targets)

    def forward(self) -> None:
        """Outputs of the present weights, kept for the calls below."""
        self.x, self.z = self.x[:1], []
        for layer in self.layers:
            z = torch.baddbmm(layer.bias[:, None], self.x[-1], layer.matrix)
            self.z.append(z)
            if len(self.z) < len(self.layers):
                parts = [segment.bind(layer.learned).value(XP, last(z[segment.here])) for segment in self.segments]
                self.x.append(first(parts))
        self.output.forward(last(self.z[-1]))

    def backward(self) -> None:
        """Fills ``grads`` for the last ``forward``."""
        dz = first([self.output.backward()])
        for number in range(len(self.layers) - 1, -1, -1):
            grad, x = self.slopes[number], self.x[number]
            grad.matrix.copy_(torch.bmm(x.transpose(1, 2), dz))
            grad.bias.copy_(dz.sum(1))
            if number:
                dz = self._below(number - 1, torch.bmm(dz, self.layers[number].matrix.transpose(1, 2)))

    def _below(self, number: int, dh: Tensor) -> Tensor:
        """The gradient [M, n, o] of what layer ``number`` makes, from that of the activation behind it; what this
        learns gets its own."""
        layer, grad, parts = self.layers[number], self.slopes[number], []
        for segment in self.segments:
            here, bound = segment.here, segment.bind(layer.learned)
            z, h, slope = last(self.z[number][here]), last(self.x[number + 1][here]), last(dh[here])
            if grad.learned is not None:
                grad.learned[here] = (slope * bound.learned_slope(XP, z)).sum((0, 1))
            parts.append(slope * bound.slope(XP, z, h))
        return first(parts)

    def norms(self) -> list[Tensor]:
        """The L2 norm of each layer's weight matrix, [M] a layer."""
        return [(layer.matrix * layer.matrix).sum((1, 2)).sqrt() for layer in self.layers]

    def fill(self, tensor: Tensor, which: Tensor, value: Tensor | float) -> None:
        """Set everything of the marked networks in a tensor shaped as the weights to one value (a network)."""
        tensor.copy_(torch.where(which, value, tensor))


def last(values: Tensor) -> Tensor:
    """[m, n, o] as formulas have it, [n, o, m]."""
    return values.permute(1, 2, 0)


def first(parts: list[Tensor]) -> Tensor:
    """Parts [n, o, m] of the networks as products have them, [M, n, o]."""
    whole = parts[0] if len(parts) == 1 else torch.cat(parts, 2)
    return whole.permute(2, 0, 1).contiguous()
