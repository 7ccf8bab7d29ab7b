"""Forward and hand-written backward pass of many small networks, the network axis last in memory.

Axes: n rows, i fan-in, o fan-out, M networks (padded to whole lanes, see ``params``). Every operation runs along M, so
that a network's numbers do not depend on its neighbours, and reads and writes buffers made once. Products over a layer
are loops over its shorter side: at these widths each pass is one vector operation over all networks.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from nnspec.architecture import SOFTMAX, Architecture
from nnspec.catalog import ACTIVATIONS, Loss
from nnspec.catalog.maths import Maths
from nnspec.torch_maths import TorchMaths
from nnspec.training.stacking import Segment, blocks

XP: Maths = TorchMaths()  # type: ignore[assignment]  # torch's functions have more parameters
Tensor = torch.Tensor


@dataclass(frozen=True)
class Problem:
    """What the networks of a stack are trained on: inputs [n, i], targets [n, k], and the loss with its parameters."""

    inputs: Tensor
    targets: Tensor
    loss: Loss
    loss_params: dict[str, object]


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
        self.segments = segments
        self.learned: Tensor | None = learned[0] if learned else None
        self.learned_grad: Tensor | None = learned[1] if learned else None
        self.h, self.dh = torch.empty_like(like), torch.empty_like(like)

    def forward(self, z: Tensor) -> Tensor:
        """Activations h [n, o, M] of z."""
        if len(self.segments) == 1:  # no need to gather slices
            self.h = self.segments[0].entry.value(XP, z, self._params(self.segments[0]))
            return self.h
        for segment in self.segments:
            here = slice(segment.start, segment.stop)
            self.h[..., here] = segment.entry.value(XP, z[..., here], self._params(segment))
        return self.h

    def backward(self, z: Tensor) -> Tensor:
        """The gradient of z from that of h (``dh``), in place."""
        for segment in self.segments:
            here = slice(segment.start, segment.stop)
            params = self._params(segment)
            if self.learned_grad is not None and segment.entry.learned_slope is not None:
                share = self.dh[..., here] * segment.entry.learned_slope(XP, z[..., here], params)
                torch.sum(share.flatten(0, 1), 0, out=self.learned_grad[here])
            self.dh[..., here].mul_(segment.entry.slope(XP, z[..., here], self.h[..., here], params))
        return self.dh

    def _params(self, segment: Segment) -> dict[str, object]:
        if self.learned is None:
            return segment.params
        (name,) = segment.entry.learned.values()
        return segment.params | {name: self.learned[segment.start : segment.stop]}


class Output:
    """The output activation and the loss behind it."""

    def __init__(self, shape: Architecture, problem: Problem):
        self.problem, self.name = problem, shape.output.name
        self.entry = None if self.name == SOFTMAX else ACTIVATIONS[self.name]
        self.params = dict(shape.output.params)
        self.y = problem.targets.unsqueeze(-1)
        self.scale = problem.loss.scale(*problem.targets.shape)
        self.z = self.p = self.y

    def forward(self, z: Tensor) -> Tensor:
        """Outputs p [n, k, M] of pre-activations z."""
        self.z = z
        self.p = torch.softmax(z, 1) if self.entry is None else self.entry.value(XP, z, self.params)
        return self.p

    def losses(self) -> Tensor:
        """The loss of each network, [M]."""
        loss = self.problem.loss
        return loss.elements(XP, self.z, self.p, self.y, self.problem.loss_params).sum((0, 1)) * self.scale

    def distances(self) -> Tensor:
        """How far each output is from its target, [n, k, M]."""
        return self.problem.loss.distance(XP, self.p, self.y)

    def backward(self) -> Tensor:
        """The gradient of the loss with respect to z, [n, k, M]."""
        loss = self.problem.loss
        gradient = loss.gradient(XP, self.z, self.p, self.y, self.problem.loss_params)
        if not loss.fused and self.entry is not None:
            gradient = gradient * self.entry.slope(XP, self.z, self.p, self.params)
        return gradient * self.scale


class NetworkLast:
    """All networks of a chunk: ``weights`` and ``grads`` [P, M]."""

    def __init__(self, shape: Architecture, weights: Tensor, segments: list[Segment], problem: Problem):
        self.weights, self.grads = weights, torch.zeros_like(weights)
        self.layers: list[Linear] = []
        self.hidden: list[Hidden] = []
        networks = weights.shape[1]
        for number, block in enumerate(blocks(shape)):
            rows = slice(block.start, block.stop)
            cube, grad = (flat[rows].view(block.fan_in + 1, block.fan_out, networks) for flat in (weights, self.grads))
            first = number == 0
            self.layers.append(
                InputLinear(cube, grad, problem.inputs) if first else Linear(cube, grad, len(problem.inputs))
            )
            if number < len(shape.hidden):
                learned = (weights[block.stop], self.grads[block.stop]) if block.learned else None
                self.hidden.append(Hidden(segments, learned, self.layers[-1].z))
        self.output = Output(shape, problem)

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

    def spread(self, values: Tensor) -> Tensor:
        """One value a column, [..., M], as it broadcasts against the weights."""
        return values

    def rows(self) -> Tensor:
        """The weights as [P, M] rows."""
        return self.weights

    def put(self, which: Tensor, rows: Tensor) -> None:
        """Set the weights of the networks that ``which`` [M] marks to ``rows`` [P, k]."""
        self.weights[:, which] = rows

    def fill(self, tensor: Tensor, which: Tensor, value: Tensor | float) -> None:
        """Set everything of the marked networks in a tensor shaped as the weights to one value (a network)."""
        tensor[:, which] = value[which] if isinstance(value, Tensor) else value
