"""Forward and hand-written backward pass of many small networks, the network axis last in memory.

Axes: n rows, i fan-in, o fan-out, M networks (padded to whole lanes, see ``stacking``). Every operation runs along M,
so
that a network's numbers do not depend on its neighbours, and reads and writes buffers made once. Products over a layer
are loops over its shorter side: at these widths each pass is one vector operation over all networks.
"""

from __future__ import annotations

from typing import cast

import torch

from nnspec.catalog.maths import Maths
from nnspec.problem import Problem
from nnspec.torch_maths import TorchMaths
from nnspec.training.stacking import Segment, blocks

Tensor = torch.Tensor


class StackMaths(TorchMaths):
    """The namespace of formulas on whole lanes of networks, where torch's own softmax may be had, in one pass."""

    def softmax(self, z: Tensor) -> Tensor:
        """See ``catalog.maths.softmax``."""
        return torch.softmax(z, 1)


XP = cast(Maths, StackMaths())


class Linear:
    """One layer of every network: weights [i + 1, o, M], the last input being the constant 1 of the bias."""

    def __init__(self, weights: Tensor, grads: Tensor, rows: int):
        self.weights, self.matrix, self.bias = weights, weights[:-1], weights[-1]
        self.grads, self.matrix_grad, self.bias_grad = grads, grads[:-1], grads[-1]
        fan_out, networks = self.bias.shape
        self.z = weights.new_empty(rows, fan_out, networks)
        self.spare = self._room(rows)

    def _room(self, rows: int) -> Tensor:
        """Where products are made before they are summed."""
        fan_in, fan_out, networks = self.matrix.shape
        return self.matrix.new_empty(rows, max(fan_out, fan_in), networks)

    def forward(self, x: Tensor) -> Tensor:
        """Pre-activations z [n, o, M] of inputs x [n, i, M]."""
        fan_in, fan_out = self.matrix.shape[:2]
        if fan_in <= fan_out:
            torch.addcmul(self.bias, x[:, 0:1], self.matrix[0], out=self.z)
            for i in range(1, fan_in):
                self.z.addcmul_(x[:, i : i + 1], self.matrix[i])
        else:
            product = self.spare[:, :fan_in]
            for o in range(fan_out):
                torch.mul(x, self.matrix[:, o], out=product)
                torch.sum(product, 1, out=self.z[:, o])
            self.z.add_(self.bias)
        return self.z

    def backward(self, x: Tensor, dz: Tensor, dx: Tensor | None) -> None:
        """Gradients of the weights from those of z, and of x into ``dx`` where given."""
        torch.sum(dz, 0, out=self.bias_grad)
        fan_in, fan_out = self.matrix.shape[:2]
        if fan_in <= fan_out:
            product = self.spare[:, :fan_out]
            for i in range(fan_in):
                torch.mul(x[:, i : i + 1], dz, out=product)
                torch.sum(product, 0, out=self.matrix_grad[i])
                if dx is not None:
                    torch.mul(dz, self.matrix[i], out=product)
                    torch.sum(product, 1, out=dx[:, i])
        else:
            product = self.spare[:, :fan_in]
            for o in range(fan_out):
                torch.mul(x, dz[:, o : o + 1], out=product)
                torch.sum(product, 0, out=self.matrix_grad[:, o])
                if dx is not None:
                    if o == 0:
                        torch.mul(dz[:, 0:1], self.matrix[:, 0], out=dx)
                    else:
                        dx.addcmul_(dz[:, o : o + 1], self.matrix[:, o])


class InputLinear(Linear):
    """The first layer: its inputs are the data, the same for all networks, so both passes are one matrix product."""

    def __init__(self, weights: Tensor, grads: Tensor, inputs: Tensor):
        super().__init__(weights, grads, len(inputs))
        self.rows = torch.cat([inputs, inputs.new_ones(len(inputs), 1)], 1)
        self.transposed = self.rows.t().contiguous()
        self.flat, self.flat_grad = weights.flatten(1), grads.flatten(1)

    def _room(self, rows: int) -> Tensor:
        return self.matrix.new_empty(0)

    def forward(self, x: Tensor) -> Tensor:
        torch.mm(self.rows, self.flat, out=self.z.flatten(1))
        return self.z

    def backward(self, x: Tensor, dz: Tensor, dx: Tensor | None) -> None:
        torch.mm(self.transposed, dz.flatten(1), out=self.flat_grad)


class Hidden:
    """The hidden activations behind one layer: each segment of networks has its own formula."""

    def __init__(self, segments: list[Segment], learned: tuple[Tensor, Tensor] | None, like: Tensor):
        self.parts = [(segment.here, segment.bind(learned[0] if learned else None)) for segment in segments]
        self.learned_grad: Tensor | None = learned[1] if learned else None
        self.h, self.dh = torch.empty_like(like), torch.empty_like(like)

    def forward(self, z: Tensor) -> Tensor:
        """Activations h [n, o, M] of z."""
        if len(self.parts) == 1:  # no need to gather slices
            self.h = self.parts[0][1].value(XP, z)
            return self.h
        for here, activation in self.parts:
            self.h[..., here] = activation.value(XP, z[..., here])
        return self.h

    def backward(self, z: Tensor) -> Tensor:
        """The gradient of z from that of h (``dh``), in place."""
        for here, activation in self.parts:
            if self.learned_grad is not None:
                share = self.dh[..., here] * activation.learned_slope(XP, z[..., here])
                torch.sum(share.flatten(0, 1), 0, out=self.learned_grad[here])
            self.dh[..., here].mul_(activation.slope(XP, z[..., here], self.h[..., here]))
        return self.dh


class Output:
    """The output activation and the loss behind it."""

    def __init__(self, problem: Problem):
        self.problem = problem
        self.z = self.p = problem.targets

    def forward(self, z: Tensor) -> Tensor:
        """Outputs p [n, k, M] of pre-activations z."""
        self.z, self.p = z, self.problem.output.value(XP, z)
        return self.p

    def losses(self) -> Tensor:
        """The loss of each network, [M]."""
        return self.problem.losses(XP, self.z, self.p)

    def distances(self) -> Tensor:
        """How far each output is from its target, [n, k, M]."""
        return self.problem.distances(XP, self.p)

    def backward(self) -> Tensor:
        """The gradient of the loss with respect to z, [n, k, M]."""
        return self.problem.gradient(XP, self.z, self.p)


class NetworkLast:
    """All networks of a chunk: ``weights`` and ``grads`` [P, M]."""

    def __init__(self, problem: Problem, weights: Tensor, segments: list[Segment]):
        self.weights, self.grads = weights, torch.zeros_like(weights)
        self.layers: list[Linear] = []
        self.hidden: list[Hidden] = []
        networks = weights.shape[1]
        for number, block in enumerate(blocks(problem.shape)):
            rows = slice(block.start, block.stop)
            cube, grad = (flat[rows].view(block.fan_in + 1, block.fan_out, networks) for flat in (weights, self.grads))
            first = number == 0
            self.layers.append(
                InputLinear(cube, grad, problem.inputs) if first else Linear(cube, grad, len(problem.inputs))
            )
            if number < len(problem.shape.hidden):
                learned = (weights[block.stop], self.grads[block.stop]) if block.learned else None
                self.hidden.append(Hidden(segments, learned, self.layers[-1].z))
        self.output = Output(problem)

    def forward(self) -> None:
        """Outputs of the present weights, kept for the calls below."""
        x = self.weights  # the first layer has its inputs already
        for layer, hidden in zip(self.layers, self.hidden, strict=False):
            x = hidden.forward(layer.forward(x))
        self.output.forward(self.layers[-1].forward(x))

    def backward(self) -> None:
        """Fills ``grads`` for the last ``forward``."""
        dz = self.output.backward()
        for number in range(len(self.layers) - 1, 0, -1):
            below = self.hidden[number - 1]
            self.layers[number].backward(below.h, dz, below.dh)
            dz = below.backward(self.layers[number - 1].z)
        self.layers[0].backward(self.weights, dz, None)

    def norms(self) -> list[Tensor]:
        """The L2 norm of each layer's weight matrix, [M] a layer."""
        return [(layer.matrix * layer.matrix).sum((0, 1)).sqrt() for layer in self.layers]

    def rows(self) -> Tensor:
        """The weights as [P, M] rows."""
        return self.weights

    def put(self, which: Tensor, rows: Tensor) -> None:
        """Set the weights of the networks that ``which`` [M] marks to ``rows`` [P, k]."""
        self.weights[:, which] = rows

    def fill(self, tensor: Tensor, which: Tensor, value: Tensor | float) -> None:
        """Set everything of the marked networks in a tensor shaped as the weights to one value (a network)."""
        tensor.copy_(torch.where(which, value, tensor))
