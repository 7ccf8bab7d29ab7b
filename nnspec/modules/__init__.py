"""Models that are a ``torch.nn.Module`` of their own: nothing is known of their layers, so that torch differentiates
them. Torch loads when one is first made."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nnspec.catalog import Model

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Layered:
    """A linear or convolution layer, which an initialisation fills: its name, the shapes of its weight, [o, i, ...],
    and of its bias. The fans are those of ``torch.nn.init``."""

    name: str
    weight: tuple[int, ...]
    bias: tuple[int, ...] | None

    @property
    def fan_in(self) -> int:
        return math.prod(self.weight[1:])

    @property
    def fan_out(self) -> int:
        return math.prod((self.weight[0], *self.weight[2:]))


def make(entry: Model, inputs: int, outputs: int, params: Mapping[str, Any]) -> torch.nn.Module:
    """The module of a model with these parameters, which maps inputs [n, i] to pre-activations [n, k]."""
    assert entry.module is not None
    own = {param.name: params[param.name] for param in entry.params if param.name != "output"}
    module: torch.nn.Module = entry.module(inputs, outputs, **own)
    return module


Shapes = tuple[tuple[str, tuple[int, ...]], ...]  # of tensors by name


@dataclass(frozen=True)
class Described:
    """What is known of a module without a number in it: the ``shapes`` of its trained tensors, in the order of its
    ``state_dict``, and of what else that has (``buffers``, as the statistics of a norm); for a row of data, the
    ``multiplications`` of a forward pass and the ``values`` that it keeps for the backward one."""

    shapes: Shapes
    buffers: Shapes
    multiplications: int
    values: int


def described(entry: Model, inputs: int, outputs: int, params: Mapping[str, Any]) -> Described:
    """The description of a model's module, for which no memory is taken."""
    import torch

    with torch.device("meta"):
        module = make(entry, inputs, outputs, params)
        trained = tuple((name, tuple(tensor.shape)) for name, tensor in module.named_parameters())
        kept = tuple((name, tuple(tensor.shape)) for name, tensor in buffers(module).items())
        return Described(trained, kept, *_passed(module, inputs, outputs))


def _passed(module: torch.nn.Module, inputs: int, outputs: int) -> tuple[int, int]:
    """Multiplications and values of a forward pass for a row: of two more rows, what they add. Where the module does
    not run without numbers, as if each weight met each row once."""
    import torch

    def counted(rows: int) -> tuple[int, int]:
        saved = 0

        def pack(tensor: torch.Tensor) -> torch.Tensor:
            nonlocal saved
            saved += tensor.numel()
            return tensor

        with FlopCounterMode(display=False) as counter, torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
            module(torch.zeros(rows, inputs))
        return counter.get_total_flops() // 2, saved

    from torch.utils.flop_counter import FlopCounterMode

    try:
        with torch.enable_grad():
            few, more = counted(2), counted(4)
    except Exception:  # of a module that asks for a number; what is wrong with it is said when it trains
        weights = [math.prod(tensor.shape) for tensor in module.parameters()]
        return sum(weights), outputs + sum(tensor.shape[0] for tensor in module.parameters() if tensor.dim())
    return max(1, (more[0] - few[0]) // 2), max(1, (more[1] - few[1]) // 2)


def buffers(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    """The buffers of a module that are in its ``state_dict``, by name."""
    kept = module.state_dict()
    return {name: buffer for name, buffer in module.named_buffers() if name in kept}


def layers(module: torch.nn.Module) -> list[Layered]:
    """The linear and convolution layers of a module, in the order of its ``state_dict``."""
    from torch.nn import Linear
    from torch.nn.modules.conv import _ConvNd

    found = []
    for name, part in module.named_modules():
        if isinstance(part, (Linear, _ConvNd)):
            bias = None if part.bias is None else tuple(part.bias.shape)
            found.append(Layered(name, tuple(part.weight.shape), bias))
    return found


def has_modes(module: torch.nn.Module) -> bool:
    """Whether a pass in training may give other outputs than one in evaluation: a part's ``forward`` asks for its
    ``training``, as those of dropout and of batch normalisation do."""
    codes = (getattr(type(part).forward, "__code__", None) for part in module.modules())
    return any(code is None or "training" in code.co_names for code in codes)
