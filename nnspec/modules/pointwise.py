"""An activation as a ``torch.nn.Module``."""

from __future__ import annotations

import torch

from nnspec.catalog import OUTPUTS
from nnspec.specs import Member
from nnspec.torch_maths import XP


class Sine(torch.nn.Module):
    """sin z, elementwise."""

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return torch.sin(z)


class Heaviside(torch.nn.Module):
    """1 where z > 0, else 0; its gradient is 0 everywhere."""

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return torch.heaviside(z, torch.zeros((), dtype=z.dtype))


class Formula(torch.nn.Module):
    """An activation of a user's own, by its formula; torch differentiates it."""

    def __init__(self, member: Member):
        super().__init__()
        self.activation = OUTPUTS[member.name].bind(dict(member.params))

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return self.activation.value(XP, z)

    def extra_repr(self) -> str:
        """The name and the parameters."""
        return ", ".join([self.activation.entry.name, *(f"{k}={v}" for k, v in self.activation.params.items())])


OWN = {"Sine": Sine, "Heaviside": Heaviside}  # what torch.nn has no class for


def pointwise_module(member: Member, kind: torch.dtype | None = None) -> torch.nn.Module:
    """The module of an activation, in a precision: what it learns begins as the spec says."""
    entry = OUTPUTS[member.name]
    params = {param.name: member[param.name] for param in entry.params}
    if not entry.module:
        return Formula(member)
    if entry.module in OWN:
        return OWN[entry.module]()
    make = getattr(torch.nn, entry.module)
    if not entry.elementwise:
        return make(dim=-1)
    if entry.learned:
        return make(**params, dtype=kind)
    # torch's RReLU draws its slopes anew in training mode; the entry's formula is its evaluation form
    return make(**params).eval()
