"""Models that are a ``torch.nn.Module`` of their own: nothing is known of their layers, so that torch differentiates
them. Torch loads when one is first made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nnspec.catalog import Model

if TYPE_CHECKING:
    import torch


def make(entry: Model, inputs: int, outputs: int, params: Mapping[str, Any]) -> torch.nn.Module:
    """The module of a model with these parameters, which maps inputs [n, i] to pre-activations [n, k]."""
    assert entry.module is not None
    own = {param.name: params[param.name] for param in entry.params if param.name != "output"}
    module: torch.nn.Module = entry.module(inputs, outputs, **own)
    return module


def shapes(
    entry: Model, inputs: int, outputs: int, params: Mapping[str, Any]
) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """Names and shapes of its trained tensors, in the order of its ``state_dict``; no memory is taken for them."""
    import torch

    with torch.device("meta"):
        module = make(entry, inputs, outputs, params)
    return tuple((name, tuple(tensor.shape)) for name, tensor in module.named_parameters())
