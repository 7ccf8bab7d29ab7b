"""The modules of models that a spec describes layer by layer: plain torch, as one would write it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch

from nnspec.catalog.layers import BATCH_NORM, DROPOUT, LAYER_NORM, LINEAR, Listed
from nnspec.modules.pointwise import Formula, pointwise_module
from nnspec.specs import Member

NORMS = {"layer": LAYER_NORM, "batch": BATCH_NORM}
OUTPUT = "output"  # what model.frozen calls the last linear layer; the others are layer1, layer2, ...


class Residual(torch.nn.Module):
    """Blocks of linear layer, norm, activation and dropout, and an output layer.

    ``add`` adds its input to what a block gives, where both are as wide (He et al. 2016); ``again`` gives every layer
    but the first the network's inputs too, behind what the layer before it gives.
    """

    def __init__(self, blocks: Sequence[torch.nn.Module], output: torch.nn.Module, add: bool, again: bool):
        super().__init__()
        self.blocks, self.output = torch.nn.ModuleList(blocks), output
        self.add, self.again = add, again

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Pre-activations [n, k] of inputs [n, i]."""
        inputs = x
        for block in self.blocks:
            h = block(x)
            if self.add and h.shape == x.shape:
                h = h + x
            x = torch.cat([h, inputs], 1) if self.again else h
        return self.output(x)


def perceptrons(
    inputs: int, outputs: int, hidden: Sequence[int], activations: Sequence[Member], params: Mapping[str, Any]
) -> torch.nn.Module:
    """A multi-layer perceptron with what its ``params`` ask for beside linear layers and activations: each hidden layer
    is linear, norm, activation, dropout. One without bypasses is a ``torch.nn.Sequential``."""
    again = params.get("skip") is not None
    bias, widths = bool(params.get("bias", True)), [inputs, *hidden]
    blocks = []
    for number, (width, activation) in enumerate(zip(hidden, activations, strict=True)):
        fed = widths[number] + (inputs if again and number else 0)
        blocks.append(list(_block(fed, width, activation, bias, params)))
    last = torch.nn.Linear(widths[-1] + (inputs if again and hidden else 0), outputs, bias=bias)
    module: torch.nn.Module
    if again or params.get("residual"):
        module = Residual([torch.nn.Sequential(*block) for block in blocks], last, bool(params.get("residual")), again)
    else:
        module = torch.nn.Sequential(*(part for block in blocks for part in block), last)
    freeze(module, params.get("frozen") or ())
    return module


def _block(
    fed: int, width: int, activation: Member, bias: bool, params: Mapping[str, Any]
) -> Iterator[torch.nn.Module]:
    yield torch.nn.Linear(fed, width, bias=bias)
    if params.get("norm", "none") != "none":
        yield _normed(NORMS[params["norm"]], width)
    yield _activated(activation)
    if params.get("dropout", 0) > 0:
        yield torch.nn.Dropout(params["dropout"])


def _activated(member: Member) -> torch.nn.Module:
    """An activation that is the same in training and in evaluation: one that torch draws anew in training is its
    formula."""
    module = pointwise_module(member)
    return Formula(member) if has_modes(module) else module


def _normed(kind: str, width: int) -> torch.nn.Module:
    return torch.nn.LayerNorm(width) if kind == LAYER_NORM else torch.nn.BatchNorm1d(width)


def freeze(module: torch.nn.Module, names: Sequence[str]) -> None:
    """Have linear layers keep their first weights."""
    linear = [part for part in module.modules() if isinstance(part, torch.nn.Linear)]
    called = {name_of(number, len(linear)): part for number, part in enumerate(linear)}
    for name in names:
        called[name].requires_grad_(False)


def name_of(number: int, layers: int) -> str:
    """What ``model.frozen`` calls the linear layer ``number``, from 0, of so many."""
    return OUTPUT if number == layers - 1 else f"layer{number + 1}"


def sequential(inputs: int, outputs: int, layers: Sequence[Listed]) -> torch.nn.Sequential:
    """The layers of a list, each as wide as the one before it gives."""
    parts: list[torch.nn.Module] = []
    width = inputs
    for layer in layers:
        if layer.kind == LINEAR:
            parts.append(torch.nn.Linear(width, layer.size or outputs))
            width = layer.size or outputs
        elif layer.kind in (LAYER_NORM, BATCH_NORM):
            parts.append(_normed(layer.kind, width))
        elif layer.kind == DROPOUT:
            parts.append(torch.nn.Dropout(layer.share))
        else:
            parts.append(_activated(Member(layer.kind, layer.params)))
    return torch.nn.Sequential(*parts)


def has_modes(module: torch.nn.Module) -> bool:
    """Whether a pass in training may give other outputs than one in evaluation: a part's ``forward`` asks for its
    ``training``, as those of dropout and of batch normalisation do."""
    codes = (getattr(type(part).forward, "__code__", None) for part in module.modules())
    return any(code is None or "training" in code.co_names for code in codes)
