"""Dropout whose noise is a network's own: a function of its seed, of the update and of the place, and of nothing else.

``torch.vmap`` cannot draw from a generator of each network's own. Here a module holds a key in a buffer; what becomes
of a number is decided by a hash of the key and of the number's place (SplitMix64 of Steele et al. 2014), which is plain
arithmetic. Before an update each network is given the keys of that update: ``keys``.
"""

from __future__ import annotations

import numpy as np
import torch

GOLDEN, FIRST, SECOND = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB  # of SplitMix64
DIGITS = 53  # of a hash that decide, as many as a float64 has
NOISE = "noise"  # the buffer


class Dropout(torch.nn.Module):
    """In training sets each number to zero with probability ``p`` and divides the others by 1 - p; in evaluation gives
    its input back (Srivastava et al. 2014)."""

    noise: torch.Tensor

    def __init__(self, p: float = 0.5):
        super().__init__()
        self.p = p
        self.register_buffer(NOISE, torch.zeros((), dtype=torch.int64), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The numbers of ``x`` of any shape that are kept, scaled."""
        if not self.training or self.p == 0:
            return x
        if self.p == 1:
            return x * 0
        places = torch.arange(1, x.numel() + 1, dtype=torch.int64).view(x.shape)
        kept = hashed(self.noise + places * _signed(GOLDEN)) >= int(self.p * 2**DIGITS)
        return x * kept.to(x.dtype) / (1 - self.p)


def hashed(numbers: torch.Tensor) -> torch.Tensor:
    """A hash of ``DIGITS`` binary digits of each int64 number."""
    mixed = (numbers ^ _right(numbers, 30)) * _signed(FIRST)
    mixed = (mixed ^ _right(mixed, 27)) * _signed(SECOND)
    return _right(mixed ^ _right(mixed, 31), 64 - DIGITS)


def keys(seeds: np.ndarray, step: int, layer: int) -> torch.Tensor:
    """The keys [m] of the ``layer``-th module with noise, from 0, of the networks of these seeds for the update after
    ``step`` of them."""
    mixed = torch.from_numpy(np.asarray(seeds, np.int64))
    for number in (step, layer):
        mixed = hashed(mixed + _signed(GOLDEN * (number + 1)))
    return mixed << (64 - DIGITS)  # far from each other, for places are added to them


def with_own_noise(module: torch.nn.Module) -> dict[str, Dropout]:
    """Replace each ``torch.nn.Dropout`` within a module by one whose noise is the network's own, in place; all of these
    by name."""
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is torch.nn.Dropout:
                setattr(parent, name, Dropout(child.p))
    return {name: part for name, part in module.named_modules() if isinstance(part, Dropout)}


def _right(numbers: torch.Tensor, digits: int) -> torch.Tensor:
    """A shift to the right that fills up with zeros, which torch has for bytes only."""
    return (numbers >> digits) & ((1 << (64 - digits)) - 1)


def _signed(number: int) -> int:
    """The int64 with the lowest 64 binary digits of a number."""
    low = number % 2**64
    return low - 2**64 if low >= 2**63 else low
