"""Learning rates of a module's linear layers: an optimizer for the rows of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from nnspec.catalog import LR_PER_LAYER, OPTIMIZERS
from nnspec.duration import rate_factor
from nnspec.specs import RunSpec
from nnspec.training.modules.stack import ModuleStack
from nnspec.training.optimizer import StackedOptimizer
from nnspec.training.stacking import Columns, hyperparameters

Tensor = torch.Tensor


@dataclass
class Part:
    """Rows of stacked weights and gradients, [p, M] each."""

    weights: Tensor
    grads: Tensor

    def fill(self, tensor: Tensor, which: Tensor, value: Tensor | float) -> None:
        """Set everything of the marked networks in a tensor [p, M] to one value (a network)."""
        tensor[:, which] = value[which] if isinstance(value, Tensor) else value


def optimizers(columns: Columns, stack: ModuleStack) -> list[StackedOptimizer]:
    """What makes the updates of stacked networks: one optimizer, or with a learning rate a layer one each."""
    spec, h = columns.specs[0], hyperparameters(columns)
    entry, count, factor = OPTIMIZERS[spec.optimizer.name], columns.width, rate_factor(spec)
    if LR_PER_LAYER not in spec.optimizer:
        return [StackedOptimizer(entry, h, stack, count, factor)]
    found = []
    for layer, rows in layer_rows(stack):
        part = Part(stack.weights[rows], stack.grads[rows])
        rates = torch.tensor([rate(own, layer) for own in columns.specs], dtype=torch.float64)
        found.append(StackedOptimizer(entry, {**h, "lr": rates}, part, count, factor))
    return found


def rate(spec: RunSpec, layer: int) -> float:
    """The learning rate of a linear layer, counted from the input's side."""
    rates = spec.optimizer[LR_PER_LAYER]
    assert isinstance(rates, Sequence)
    return float(str(rates[layer]))


def layer_rows(stack: ModuleStack) -> Iterator[tuple[int, slice]]:
    """The number of each linear layer that trains, and its rows, with those of what learns behind it until the next."""
    linear = [name for name, part in stack.module.named_modules() if isinstance(part, torch.nn.Linear)]
    layers: list[int] = []
    starts: list[int] = []
    row = 0
    for name, shape in stack.shapes.items():
        owner = name.rpartition(".")[0]
        if owner in linear and linear.index(owner) not in layers:
            layers.append(linear.index(owner))
            starts.append(row)
        row += torch.Size(shape).numel()
    yield from zip(layers, map(slice, [0, *starts[1:]], [*starts[1:], row]), strict=True)
