"""Models that are a ``torch.nn.Module`` of their own: nothing is known of their layers, so that torch differentiates
them. Torch loads when one is first made."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nnspec.catalog import LR_PER_LAYER, MODELS, OUTPUTS, PER_LAYER, unsaid
from nnspec.specs import Member

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


def make(model: Member, activation: Member, inputs: int, outputs: int) -> torch.nn.Module:
    """The module of a model with the spec's activation, which maps inputs [n, i] to pre-activations [n, k]."""
    entry, params = MODELS[model.name], dict(model.params)
    if entry.module is not None:
        own = {param.name: params[param.name] for param in entry.params if param.name != "output"}
        return entry.module(inputs, outputs, **own)
    from nnspec.modules import layered

    if entry.layers is not None:
        return layered.sequential(inputs, outputs, entry.layers(params))
    hidden = entry.hidden(params)
    return layered.perceptrons(inputs, outputs, hidden, hidden_activations(activation, len(hidden)), params)


def is_module(model: Member, activation: Member, optimizer: Member) -> bool:
    """Whether the networks of a spec are modules: it asks for more than linear layers and one activation."""
    richer = any(name in model for name in unsaid("model", model.name))
    return MODELS[model.name].opaque or richer or PER_LAYER in activation or LR_PER_LAYER in optimizer


def hidden_activations(activation: Member, layers: int) -> list[Member]:
    """The activation of each hidden layer; of those by layer the spec's own has its parameters, the others their
    defaults."""
    own = Member(activation.name, tuple((k, v) for k, v in activation.params if k != PER_LAYER))
    if PER_LAYER not in activation:
        return [own] * layers
    names = activation[PER_LAYER]
    assert isinstance(names, tuple)
    return [own if name == own.name else at_defaults(str(name)) for name in names]


def at_defaults(name: str) -> Member:
    """An activation with its default parameters: of one that is given by name only, as ``model.output`` is."""
    return Member(name, tuple(sorted((p.name, p.default) for p in OUTPUTS[name].params)))


Shapes = tuple[tuple[str, tuple[int, ...]], ...]  # of tensors by name


@dataclass(frozen=True)
class Described:
    """What is known of a module without a number in it: the ``shapes`` of its trained tensors, in the order of its
    ``state_dict``, and of what else that has (``buffers``: frozen ones, statistics of a norm); for a row of data, the
    ``multiplications`` of a forward pass and the ``values`` that it keeps for the backward one."""

    shapes: Shapes
    buffers: Shapes
    multiplications: int
    values: int


def described(model: Member, activation: Member, inputs: int, outputs: int) -> Described:
    """The description of a model's module, for which no memory is taken unless the module asks for numbers."""
    try:
        return _described(model, activation, inputs, outputs, "meta")
    except Exception:  # what is wrong with it shows again where there are numbers
        return _described(model, activation, inputs, outputs, "cpu")


def _described(model: Member, activation: Member, inputs: int, outputs: int, device: str) -> Described:
    import torch

    with torch.device(device), draws_of(0):
        module = make(model, activation, inputs, outputs)
        parameters = list(module.named_parameters())
        trained = tuple((name, tuple(tensor.shape)) for name, tensor in parameters if tensor.requires_grad)
        frozen = {name: tensor for name, tensor in parameters if not tensor.requires_grad}
        kept = tuple((name, tuple(tensor.shape)) for name, tensor in (frozen | buffers(module)).items())
        try:
            passed = _passed(module, inputs)
        except Exception:
            if device == "meta":
                raise
            # it does not run at all, which is said when it trains: as if each weight met each row once
            weights = sum(math.prod(shape) for _, shape in trained)
            passed = weights, outputs + sum(shape[0] for _, shape in trained if shape)
    return Described(trained, kept, *passed)


def _passed(module: torch.nn.Module, inputs: int) -> tuple[int, int]:
    """Multiplications and values of a forward pass for a row: of two more rows, what they add."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    def counted(rows: int) -> tuple[int, int]:
        saved: list[int] = []

        def pack(tensor: torch.Tensor) -> torch.Tensor:
            saved.append(tensor.numel())
            return tensor

        with FlopCounterMode(display=False) as counter, torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
            module(torch.zeros(rows, inputs))
        return counter.get_total_flops() // 2, sum(saved)

    with torch.enable_grad():
        few, more = counted(2), counted(4)
    return max(1, (more[0] - few[0]) // 2), max(1, (more[1] - few[1]) // 2)


@contextmanager
def draws_of(seed: int) -> Iterator[None]:
    """Torch's generator as ``torch.manual_seed(seed)`` sets it, and afterwards as it was; of the CPU alone, for torch
    notes down each seed that graphics processors are to be given."""
    import torch

    before = torch.default_generator.get_state()
    torch.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        torch.default_generator.set_state(before)


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
