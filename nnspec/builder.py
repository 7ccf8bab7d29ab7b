"""One spec and one seed give one readable ``torch.nn.Module``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from nnspec import modules
from nnspec.architecture import architecture
from nnspec.errors import WeightsError
from nnspec.initial import drawn_module, initial_weights
from nnspec.modules.pointwise import pointwise_module
from nnspec.specs import RunSpec


class Opaque(torch.nn.Module):
    """A module of a user's own, ``net``, and its output activation, ``output``. Its ``state_dict`` is the module's own,
    so that tensors have the names that the module's class gives them."""

    def __init__(self, net: torch.nn.Module, output: torch.nn.Module):
        super().__init__()
        self.net, self.output = net, output

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Outputs [n, k] of inputs [n, i]."""
        return self.output(self.net(x))

    def state_dict(self, *args: Any, **kwargs: Any) -> Any:
        """See ``torch.nn.Module``."""
        return self.net.state_dict(*args, **kwargs)

    def load_state_dict(self, state_dict: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
        """See ``torch.nn.Module``."""
        return self.net.load_state_dict(state_dict, *args, **kwargs)


def build(spec: RunSpec, seed: int | None = None) -> torch.nn.Sequential | Opaque:
    """The network of a checked ``spec`` with the initial weights of ``seed`` (the spec's own unless given).

    It maps inputs [n, i] to outputs [n, k] of the output activation: probabilities for bce and cross_entropy. A model
    that is a module of a user's own comes in evaluation mode.
    """
    weights = initial_weights(spec, np.array([spec.seed if seed is None else seed]))
    return with_weights(spec, {name: tensor[0] for name, tensor in weights.items()})


def with_weights(spec: RunSpec, weights: Mapping[str, np.ndarray]) -> torch.nn.Sequential | Opaque:
    """The network of a checked ``spec`` holding ``weights``, by state-dict name.

    Raises:
        WeightsError: a tensor is missing, unknown or of another shape.
    """
    shape = architecture(spec)
    wanted = shape.tensors()
    given = {name: tuple(tensor.shape) for name, tensor in weights.items()}
    if given != wanted:
        wrong = sorted({*given.items()} ^ {*wanted.items()})
        raise WeightsError(
            f"weights must have the tensors {wanted}, but these differ: {wrong}; use the spec they were trained with"
        )
    kind = getattr(torch, spec.dtype)
    if shape.opaque:
        return _opaque(spec, weights, pointwise_module(shape.output, kind))
    layers: list[torch.nn.Module] = []
    for dense, after in zip(shape.dense, shape.after, strict=True):
        layers.append(torch.nn.Linear(dense.fan_in, dense.fan_out, dtype=kind))
        layers.append(pointwise_module(after.member, kind))
    if isinstance(layers[-1], torch.nn.Identity):
        layers.pop()
    net = torch.nn.Sequential(*layers)
    net.load_state_dict({name: torch.from_numpy(np.array(tensor)) for name, tensor in weights.items()})
    return net


def _opaque(spec: RunSpec, weights: Mapping[str, np.ndarray], output: torch.nn.Module) -> Opaque:
    net = drawn_module(spec, spec.seed)
    tensors = dict(net.named_parameters()) | modules.buffers(net)
    with torch.no_grad():
        for name, tensor in tensors.items():
            tensor.copy_(torch.from_numpy(np.array(weights[name])))
    return Opaque(net, output).eval()
