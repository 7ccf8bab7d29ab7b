"""One spec and one seed give one readable ``torch.nn.Module``."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from nnspec.architecture import Pointwise, architecture
from nnspec.errors import WeightsError
from nnspec.initial import initial_weights
from nnspec.specs import RunSpec


class Sine(torch.nn.Module):
    """sin z, elementwise."""

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return torch.sin(z)


class Heaviside(torch.nn.Module):
    """1 where z > 0, else 0; its gradient is 0 everywhere."""

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return torch.heaviside(z, torch.zeros((), dtype=z.dtype))


OWN = {"Sine": Sine, "Heaviside": Heaviside}  # what torch.nn has no class for


def build(spec: RunSpec, seed: int | None = None) -> torch.nn.Sequential:
    """The network of a checked ``spec`` with the initial weights of ``seed`` (the spec's own unless given).

    It maps inputs [n, i] to outputs [n, k] of the output activation: probabilities for bce and cross_entropy.
    """
    weights = initial_weights(spec, np.array([spec.seed if seed is None else seed]))
    return with_weights(spec, {name: tensor[0] for name, tensor in weights.items()})


def with_weights(spec: RunSpec, weights: Mapping[str, np.ndarray]) -> torch.nn.Sequential:
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
    layers: list[torch.nn.Module] = []
    for dense, after in zip(shape.dense, shape.after, strict=True):
        layers.append(torch.nn.Linear(dense.fan_in, dense.fan_out, dtype=kind))
        layers.append(pointwise_module(after, kind))
    if isinstance(layers[-1], torch.nn.Identity):
        layers.pop()
    net = torch.nn.Sequential(*layers)
    net.load_state_dict({name: torch.from_numpy(np.array(tensor)) for name, tensor in weights.items()})
    return net


def pointwise_module(after: Pointwise, kind: torch.dtype) -> torch.nn.Module:
    entry, params = after.entry, dict(after.member.params)
    if entry.module in OWN:
        return OWN[entry.module]()
    make = getattr(torch.nn, entry.module)
    if not entry.elementwise:
        return make(dim=-1)
    if entry.learned:
        return make(**params, dtype=kind)
    # torch's RReLU draws its slopes anew in training mode; the entry's formula is its evaluation form
    return make(**params).eval()
