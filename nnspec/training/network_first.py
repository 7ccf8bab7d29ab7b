"""Forward and backward pass of wide networks: the network axis first in memory, layers as batched matrix products.

Axes: M networks, n rows, i fan-in, o fan-out. The same rows of weights as in ``network_last``, transposed: [M, P].
Where an
operation is elementwise, each network's numbers fill whole lanes, so that none falls into the scalar tail of a vector
loop and a network is the same alone and in any crowd; outputs and losses are handed to ``network_last.Output`` with the
network axis last.
"""

from __future__ import annotations

import torch

from nnspec.problem import Problem
from nnspec.training.layout import padded
from nnspec.training.network_last import XP, Output, Tensor
from nnspec.training.stacking import Block, Segment, blocks


def product(left: Tensor, right: Tensor) -> Tensor:
    """Matrix products [M, a, c] of [M, a, b] and [M, b, c]. A single one is made twice: its library sums a batch of one
    in another order than a larger batch, and a network must be the same alone and in any crowd."""
    if len(left) > 1:
        return torch.bmm(left, right)
    return torch.bmm(left.expand(2, -1, -1), right.expand(2, -1, -1))[:1]


class WideLayer:
    """One layer of every network: weights [M, i + 1, o], inputs [M, n, i + 1] of which the last is 1; and the
    activations behind it, with what they learn [M, 1]."""

    def __init__(self, block: Block, weights: Tensor, grads: Tensor, rows: int, segments: list[Segment]):
        networks = len(weights)
        inside = slice(block.start, block.stop)
        cube = (networks, block.fan_in + 1, block.fan_out)
        self.weights, self.grads = weights[:, inside].view(cube), grads[:, inside].view(cube)
        self.x = weights.new_ones(networks, rows, block.fan_in + 1)
        self.lanes = weights.new_zeros(networks, padded(rows * block.fan_out))  # what an activation is evaluated on
        self.z = self.lanes[:, : rows * block.fan_out].view(networks, rows, block.fan_out)
        learned = slice(block.stop, block.stop + len(block.learned))
        self.learned_grad = grads[:, learned] if block.learned else None
        self.parts = [(s.here, s.bind(weights[:, learned] if block.learned else None, spread=True)) for s in segments]

    def forward(self) -> Tensor:
        """Pre-activations [M, n, o] of the inputs in ``x``."""
        self.z.copy_(product(self.x, self.weights))
        return self.z

    def backward(self, dz: Tensor, inputs: bool) -> Tensor | None:
        """Gradients of the weights from those of z [M, n, o]; those of the inputs [M, n, i] where asked."""
        self.grads.copy_(product(self.x.transpose(1, 2), dz))
        return product(dz, self.weights[:, :-1].transpose(1, 2)) if inputs else None


class NetworkFirst:
    """All networks of a chunk with the network axis first; the interface is that of ``NetworkLast``."""

    def __init__(self, problem: Problem, weights: Tensor, segments: list[Segment]):
        self.parameters, self.networks = weights.shape
        self.weights = weights.new_zeros(self.networks, padded(self.parameters))
        self.weights[:, : self.parameters] = weights.t()
        self.grads = torch.zeros_like(self.weights)
        rows, outputs, _ = problem.targets.shape
        hidden = [segments] * len(problem.shape.hidden)
        self.layers = [
            WideLayer(block, self.weights, self.grads, rows, behind)
            for block, behind in zip(blocks(problem.shape), [*hidden, []], strict=True)
        ]
        self.layers[0].x[..., :-1] = problem.inputs
        self.output = Output(problem)
        self.outputs = weights.new_zeros(rows, outputs, padded(self.networks))

    def forward(self) -> None:
        """Outputs of the present weights, kept for the calls below."""
        for layer, above in zip(self.layers, self.layers[1:], strict=False):
            layer.forward()
            values = torch.empty_like(layer.lanes)
            for here, activation in layer.parts:
                values[here] = activation.value(XP, layer.lanes[here])
            above.x[..., :-1] = values[:, : layer.z[0].numel()].view_as(layer.z)
        self.outputs[..., : self.networks] = self.layers[-1].forward().permute(1, 2, 0)
        self.output.forward(self.outputs)

    def backward(self) -> None:
        """Fills ``grads`` for the last ``forward``."""
        dz = self.output.backward()[..., : self.networks].permute(2, 0, 1).contiguous()
        for number in range(len(self.layers) - 1, 0, -1):
            dh = self.layers[number].backward(dz, inputs=True)
            assert dh is not None
            dz = self._through(number - 1, dh)
        self.layers[0].backward(dz, inputs=False)

    def _through(self, number: int, dh: Tensor) -> Tensor:
        """The gradient of a layer's pre-activations [M, n, o] from that of its activations."""
        layer, above = self.layers[number], self.layers[number + 1]
        spread = torch.zeros_like(layer.lanes)
        used = layer.z[0].numel()
        spread[:, :used] = dh.reshape(self.networks, used)
        values = torch.zeros_like(layer.lanes)
        values[:, :used] = above.x[..., :-1].reshape(self.networks, used)
        for here, activation in layer.parts:
            z = layer.lanes[here]
            if layer.learned_grad is not None:
                layer.learned_grad[here] = (spread[here] * activation.learned_slope(XP, z)).sum(1, keepdim=True)
            spread[here] *= activation.slope(XP, z, values[here])
        return spread[:, :used].view_as(layer.z)

    def norms(self) -> list[Tensor]:
        """The L2 norm of each layer's weight matrix, [M] a layer."""
        found = []
        for layer in self.layers:
            norm = self.outputs.new_zeros(self.outputs.shape[-1])
            norm[: self.networks] = (layer.weights[:, :-1] * layer.weights[:, :-1]).sum((1, 2)).sqrt()
            found.append(norm)
        return found

    def spread(self, values: Tensor) -> Tensor:
        """One value a column, [..., M'], as it broadcasts against the weights: [..., M, 1]."""
        return values[..., : self.networks].unsqueeze(-1)

    def rows(self) -> Tensor:
        """The weights as [P, M] rows, which share their memory."""
        return self.weights[:, : self.parameters].t()

    def put(self, which: Tensor, rows: Tensor) -> None:
        """Set the weights of the networks ``which`` to ``rows`` [P, k]."""
        self.weights[which[: self.networks], : self.parameters] = rows.t()

    def fill(self, tensor: Tensor, which: Tensor, value: Tensor | float) -> None:
        """Set everything of the networks ``which`` in a tensor shaped as the weights to one value (a network)."""
        here = which[: self.networks]
        tensor[here] = value[: self.networks][here][:, None] if isinstance(value, Tensor) else value
