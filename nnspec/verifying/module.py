"""A network that is a ``torch.nn.Module``: gradients by autograd with the spec's loss, updates by ``torch.optim``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch

from nnspec.catalog import OPTIMIZERS
from nnspec.duration import rate_factor
from nnspec.problem import Problem
from nnspec.specs import RunSpec
from nnspec.torch_maths import XP
from nnspec.verifying.given import NotCompared, VerifyError, called

# of the loss's gradient by an output p, 1 / (1 - p): from there on 1 - p has lost too many digits
LARGEST = {torch.float64: 1e7, torch.float32: 1e3}


class Module:
    """``step(x, y)`` stands in for torch's optimizer.

    A network of a float32 spec is compared in double precision if it can compute in it: Adam makes a full step of a
    gradient that is nothing but roundings. Afterwards it has the spec's.
    """

    def __init__(self, net: torch.nn.Module, spec: RunSpec, problem: Problem, step: Callable[..., Any] | None):
        self.net, self.spec, self.problem, self.own_step = net, spec, problem, step
        self.modes = {module: module.training for module in net.modules()}
        self.updates = 0
        self.kind = torch.float64
        net.to(self.kind)
        if spec.dtype != "float64" and not self._computes_in_double():
            self.kind = getattr(torch, spec.dtype)
            net.to(self.kind)

    def parameters(self) -> list[np.ndarray]:
        return [parameter.detach().cpu().numpy().copy() for parameter in self.net.parameters()]

    def put(self, arrays: Sequence[np.ndarray]) -> None:
        with torch.no_grad():
            for parameter, array in zip(self.net.parameters(), arrays, strict=True):
                parameter.copy_(torch.from_numpy(np.ascontiguousarray(array)))

    def outputs(self, x: np.ndarray) -> Any:
        self.net.eval()
        with torch.no_grad():
            return self._forward(self._tensor(x)).cpu().numpy()

    def differs_in_training(self, x: np.ndarray) -> bool:
        evaluated = self.outputs(x)
        self._as_given()
        with torch.no_grad():
            trained = self._forward(self._tensor(x)).cpu().numpy()
        return not np.allclose(evaluated, trained, rtol=1e-3, atol=1e-6)  # noise is larger than any rounding

    def loss(self, x: np.ndarray, y: np.ndarray) -> float | None:
        return None

    def gradients(self, x: np.ndarray, y: np.ndarray, logits: bool) -> list[np.ndarray | None] | None:
        self._backward(x, y, logits)
        found = [parameter.grad for parameter in self.net.parameters()]
        self.net.zero_grad()
        return [None if gradient is None else gradient.cpu().numpy().copy() for gradient in found]

    def step(self, x: np.ndarray, y: np.ndarray, logits: bool) -> bool:
        if self.own_step is not None:
            self._as_given()
            called("step(x, y)", self.own_step, self._tensor(x), self._tensor(y))
            return True
        if not OPTIMIZERS[self.spec.optimizer.name].module:
            return False  # the perceptron's rule, or an optimizer of a user's own
        self.updates += 1
        self._set_rate()
        self._backward(x, y, logits)
        if self.spec.train.clip_norm:
            torch.nn.utils.clip_grad_norm_(self.net.parameters(), self.spec.train.clip_norm)
        self.optimizer.step()
        return True

    def done(self) -> None:
        self.net.zero_grad()
        self.net.to(getattr(torch, self.spec.dtype))
        self._as_given()

    def _computes_in_double(self) -> bool:
        """Whether the forward pass takes and gives double precision: a ``float()`` in it is right for float32."""
        try:
            return self.outputs(self.problem.inputs).dtype == np.float64
        except VerifyError:
            return False

    def _as_given(self) -> None:
        """Every layer in training or in evaluation, as the user has it: torch's own start is training."""
        for module, training in self.modes.items():
            module.training = training

    @cached_property
    def optimizer(self) -> torch.optim.Optimizer:
        member = self.spec.optimizer
        make = getattr(torch.optim, OPTIMIZERS[member.name].module)
        return make(self.net.parameters(), **dict(member.params))

    def _set_rate(self) -> None:
        factor = rate_factor(self.spec)
        if factor is not None:
            for group in self.optimizer.param_groups:
                group["lr"] = self.spec.optimizer.number("lr") * float(factor(np.array(self.updates)))

    def _tensor(self, rows: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(rows).to(self.kind)

    def _forward(self, x: torch.Tensor) -> torch.Tensor:
        found = called("forward(x)", self.net, x)
        if not isinstance(found, torch.Tensor):
            raise VerifyError(f"forward(x) must return a tensor, but got {type(found).__name__}; return the outputs")
        return found

    def _backward(self, x: np.ndarray, y: np.ndarray, logits: bool) -> None:
        self._as_given()
        self.net.zero_grad()
        found = self._forward(self._tensor(x))
        if found.grad_fn is None:
            return  # nothing hangs on the parameters: every gradient stays None
        with torch.no_grad():
            error = self._error(found, self._tensor(y), logits)
        found.backward(error)

    def _error(self, found: torch.Tensor, y: torch.Tensor, logits: bool) -> torch.Tensor:
        """The loss's gradient with respect to what the network gives, by the formulas: autograd of a loss has a kink
        at z = 0, where there is none."""
        loss, output = self.problem.loss, self.problem.output
        p = output.value(XP, found) if logits else found
        gradient = loss.gradient(XP, found, p, y, self.problem.loss_params) * self.problem.scale
        if logits or not loss.fused:
            return gradient
        if output.entry.elementwise:  # it is that before the output activation
            error = torch.where(gradient == 0, 0.0, gradient / output.slope(XP, torch.logit(p), p))
            most = LARGEST[self.kind]
        else:  # of -y log p, which softmax's own derivative makes p - y
            error, most = torch.where(y == 0, 0.0, -y / p * self.problem.scale), np.inf
        if not bool((error.abs() < most * self.problem.scale).all()):
            name = self.problem.shape.output.name
            raise NotCompared(f"an output of {name} is so near 0 or 1 that its gradient is lost; give logits instead")
        return error
