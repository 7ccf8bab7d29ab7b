"""What can be measured of a network whose layers nobody knows: its outputs, its gradient, how its loss bends.

Torch differentiates the module, one network at a time, in evaluation. Axes as in ``gradients``; weights [m, T] are the
trained numbers [m, P] and behind them the module's buffers.
"""

from __future__ import annotations

import math
from contextlib import nullcontext

import torch
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd

from nnspec.initial import drawn_module
from nnspec.modules import Shapes, draws_of
from nnspec.problem import Problem
from nnspec.torch_maths import XP

Tensor = torch.Tensor


class ModuleNetwork:
    """One network with weights ``flat`` [T]: a function of its trained numbers.

    They are copied: what a product rounds to may depend on where in memory its factors begin.
    """

    def __init__(self, problem: Problem, module: torch.nn.Module, flat: Tensor):
        self.problem, self.module = problem, module
        flat = flat.clone()
        self.weights = flat[: problem.shape.parameters]
        self.buffers = flat[problem.shape.parameters :]

    def outputs(self, weights: Tensor, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Pre-activations and outputs, [n, k, 1] each, of inputs [n, i]; a module that draws in evaluation too draws
        the same whenever it is called."""
        trained, kept = self.problem.shape.shapes, self.problem.shape.buffers
        tensors = self._tensors(trained, weights) | self._tensors(kept, self.buffers)
        with draws_of(0):
            z = functional_call(self.module, tensors, (inputs,))[:, :, None]
        return z, self.problem.output.value(XP, z)

    def _tensors(self, shapes: Shapes, numbers: Tensor) -> dict[str, Tensor]:
        """Tensors by name from their numbers, one after the other."""
        own = dict(self.module.named_parameters()) | dict(self.module.named_buffers())
        parts = torch.split(numbers, [math.prod(shape) for _, shape in shapes])
        named = zip(shapes, parts, strict=True)
        return {name: part.reshape(shape).to(own[name].dtype) for (name, shape), part in named}

    def loss(self, weights: Tensor) -> Tensor:
        """The loss, [], of trained numbers [P] over the problem's rows."""
        return self.problem.losses(XP, *self.outputs(weights, self.problem.inputs))[0]

    def gradient(self, graph: bool = False) -> tuple[Tensor, Tensor, Tensor]:
        """The loss [], its gradient [P], and the weights that they can be differentiated by once more if asked.

        Behind the module come the loss's own formulas, as in training: automatic differentiation of the loss would have
        kinks at pre-activations of 0, where it has none.
        """
        # the fast kernels of attention have no second derivative
        attention = sdpa_kernel(SDPBackend.MATH) if graph else nullcontext()
        with torch.enable_grad(), attention:
            weights = self.weights.detach().clone().requires_grad_()
            z, p = self.outputs(weights, self.problem.inputs)
            loss = self.problem.losses(XP, z, p)[0]
            behind = self.problem.gradient(XP, z, p)
            (slope,) = torch.autograd.grad(
                z, weights, behind, create_graph=graph, allow_unused=True, materialize_grads=True
            )
        return loss.detach(), slope, weights

    def layer_gradients(self) -> tuple[Tensor, Tensor] | None:
        """The gradient of what the first linear or convolution layer gives, and of what the last one does, in the order
        in which the module calls them; None where it calls none.

        Batch normalisation takes the mean and the variance of the rows at hand, as it does in training: with the
        statistics of an untrained network it would leave everything as it is.
        """
        given: list[Tensor] = []

        def keep(_layer: torch.nn.Module, _inputs: object, out: Tensor) -> Tensor:
            given.append(out.requires_grad_())  # of a frozen layer too
            return out.clone()  # what is behind it may change it in place

        layers = [part for part in self.module.modules() if isinstance(part, (torch.nn.Linear, _ConvNd))]
        norms = [part for part in self.module.modules() if isinstance(part, _BatchNorm)]
        hooks = [layer.register_forward_hook(keep) for layer in layers]
        statistics = self.buffers
        try:
            self.buffers = statistics.clone()  # which the norms change
            for norm in norms:
                norm.train()
            with torch.enable_grad():
                z, p = self.outputs(self.weights.detach().clone().requires_grad_(), self.problem.inputs)
                behind = self.problem.gradient(XP, z, p).detach()
                if not given:
                    return None
                ends = [given[0], given[-1]]
                first, last = torch.autograd.grad(z, ends, behind, allow_unused=True, materialize_grads=True)
        finally:
            self.buffers = statistics
            for hook in hooks:
                hook.remove()
            self.module.eval()
        return first, last


def evaluated(problem: Problem, kind: torch.dtype = torch.float64) -> torch.nn.Module:
    """The module of a problem's networks, in evaluation, in a precision; its own numbers mean nothing."""
    assert problem.spec is not None
    return drawn_module(problem.spec, problem.spec.seed).to(kind).eval()


def outputs(problem: Problem, flat: Tensor) -> Tensor:
    """The outputs [m, n, k] of networks with weights [m, T] for the problem's rows."""
    module = evaluated(problem)
    networks = [ModuleNetwork(problem, module, one) for one in flat]
    found = [network.outputs(network.weights, problem.inputs)[1][..., 0] for network in networks]
    return torch.stack(found)


class ModuleCurvature:
    """Products of the Hessians at weights [m, T] with directions; see ``curvature.Curvature``."""

    def __init__(self, problem: Problem, flat: Tensor):
        module = evaluated(problem, flat.dtype)
        self.flat = flat[:, : problem.shape.parameters]
        self.slopes = [ModuleNetwork(problem, module, one).gradient(graph=True)[1:] for one in flat]

    def hessian(self) -> Tensor:
        """All of it: [m, P, P]."""
        networks, size = self.flat.shape
        return self.times(torch.eye(size, dtype=self.flat.dtype).expand(networks, size, size))

    def times(self, directions: Tensor) -> Tensor:
        """Hessians times ``directions`` [m, q, P]: [m, q, P]."""
        return torch.stack(
            [
                torch.stack([_times(slope, weights, one) for one in some])
                for (slope, weights), some in zip(self.slopes, directions, strict=True)
            ]
        )


def _times(slope: Tensor, weights: Tensor, direction: Tensor) -> Tensor:
    """The derivative [P] of a gradient along a direction [P]; 0 where the loss is linear, NaN where an operation of the
    module has no second derivative."""
    if not slope.requires_grad:
        return torch.zeros_like(direction)
    weights.grad = None
    try:
        # not ``autograd.grad``, which goes past operations that refuse to be differentiated twice without asking them
        with torch.enable_grad():
            (slope * direction).sum().backward(retain_graph=True)
    except RuntimeError:
        return torch.full_like(direction, torch.nan)
    return torch.zeros_like(direction) if weights.grad is None else weights.grad
