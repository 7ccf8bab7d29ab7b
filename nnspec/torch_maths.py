"""The primitives of ``catalog.maths`` on torch tensors."""

from __future__ import annotations

from typing import Any, cast

import torch

from nnspec.catalog.maths import Maths, softmax


class TorchMaths:
    """The namespace ``xp`` of a formula evaluated on tensors of any precision and device."""

    exp, expm1, log1p, log = torch.exp, torch.expm1, torch.log1p, torch.log
    tanh, sigmoid, erf, sin, cos = torch.tanh, torch.sigmoid, torch.erf, torch.sin, torch.cos
    abs, sign, where = torch.abs, torch.sign, torch.where

    @staticmethod
    def clip(z: torch.Tensor, low: Any, high: Any) -> torch.Tensor:
        """z cut to low..high; None leaves a side open."""
        if isinstance(low, torch.Tensor) != isinstance(high, torch.Tensor) and low is not None and high is not None:
            raise TypeError("clip takes two numbers or two tensors")
        return torch.clamp(z, low, high)

    @staticmethod
    def mask(condition: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
        """1 where the condition holds, else 0, in the type of ``like``."""
        return condition.to(like.dtype)

    @staticmethod
    def max(z: torch.Tensor, axis: int) -> torch.Tensor:
        """The largest along an axis, which stays with length 1."""
        return z.amax(axis, keepdim=True)

    @staticmethod
    def sum(z: torch.Tensor, axis: int) -> torch.Tensor:
        """The sum along an axis, which stays with length 1."""
        return z.sum(axis, keepdim=True)

    def softmax(self, z: torch.Tensor) -> torch.Tensor:
        """See ``catalog.maths.softmax``. ``torch.softmax`` rounds differently at the end of a row of networks that does
        not fill whole vector registers."""
        return softmax(cast(Maths, self), z)


XP = cast(Maths, TorchMaths())  # mypy takes torch's functions for methods, which they are not: they bind no instance
