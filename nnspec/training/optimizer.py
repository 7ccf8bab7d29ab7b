"""One optimizer over all networks of a chunk: hyperparameters in double precision, coefficients computed ahead in
blocks."""

from __future__ import annotations

from typing import Any, Protocol

import torch

from nnspec.catalog import Optimizer
from nnspec.duration import Factor
from nnspec.training.layout import padded

Tensor = torch.Tensor
COEFFICIENTS = 16  # updates for which coefficients of every network are computed at a time: more would leave the cache
AHEAD = 256  # updates for which coefficients that all networks share are


def coefficients(
    entry: Optimizer, h: dict[str, Any], factor: Factor | None, first: int, count: int
) -> dict[str, Tensor]:
    """The coefficients of ``count`` updates from number ``first`` on, counted from 1, of hyperparameters [m] in
    float64: [count, m], or [m] where the update does not matter. ``factor`` is what the learning rate is multiplied by
    at each update: update rules read it in their coefficients only."""
    t = torch.arange(first, first + count, dtype=torch.float64)[:, None]
    if factor is not None:
        h = {**h, "lr": h["lr"] * torch.from_numpy(factor(t.numpy()))}
    return entry.coefficients(h, t)


class Weighted(Protocol):
    """Networks whose ``weights`` and ``grads`` [P, M] an optimizer moves and reads."""

    weights: Tensor
    grads: Tensor

    def fill(self, tensor: Tensor, which: Tensor, value: Tensor | float) -> None:
        """Set everything of the marked networks in a tensor shaped as the weights to one value (a network)."""


class StackedOptimizer:
    """``state`` holds one tensor of the weights' shape a slot; ``h`` the hyperparameters, flags as they are. ``factor``
    is that of the learning rate, see ``coefficients``."""

    def __init__(
        self,
        entry: Optimizer,
        h: dict[str, object],
        network: Weighted,
        width: int,
        factor: Factor | None = None,
    ):
        self.entry, self.network, self.width, self.factor = entry, network, width, factor
        like = network.weights
        self.h: dict[str, Any] = {k: v.to(like) if isinstance(v, Tensor) else v for k, v in h.items()}
        starts = entry.start(h)
        self.starts = [starts[i] if i < len(starts) else 0.0 for i in range(entry.slots(h))]
        self.state = tuple(torch.zeros_like(network.weights) for _ in self.starts)
        self.reset(torch.ones(width, dtype=torch.bool, device=like.device))
        self.spare = torch.empty_like(network.weights)
        self.distinct, which = _distinct(h)
        self.which = None if which is None else which.to(like.device)
        found = self._computed(1, 1)
        self.lasting = {name: self._spread(c)[0] for name, c in found.items() if c.dim() == 1}
        # names of coefficients that differ from update to update
        self.moving = frozenset(found) - frozenset(self.lasting)
        self.block: list[dict[str, Tensor]] = []
        self.block_begin = 0  # the first update of the block
        self.table: dict[str, Tensor] = {}
        self.table_range = range(0)  # the updates of the table

    def step(self, number: int) -> None:
        """Update ``number``, from 1."""
        self.move(self.at(number))

    def move(self, present: dict[str, Tensor]) -> None:
        """An update by the ``present`` coefficients."""
        self.entry.update(self.network.weights, self.network.grads, self.state, self.spare, self.h, present)

    def at(self, number: int) -> dict[str, Tensor]:
        """The coefficients of update ``number``, [M] each."""
        place = (number - 1) % COEFFICIENTS
        if self.block_begin != number - place:
            self.block_begin = number - place
            found = self._computed(self.block_begin, COEFFICIENTS)
            rows = {name: self._spread(found[name]).unbind(0) for name in self.moving}
            self.block = [
                self.lasting | {name: row[update] for name, row in rows.items()} for update in range(COEFFICIENTS)
            ]
        return self.block[place]

    def ahead(self, number: int, count: int) -> tuple[dict[str, Tensor], int]:
        """The moving coefficients of ``count`` updates from ``number`` on lie in these tensors from the row that is
        returned on: [c, M], or with columns that are all the same where all networks have the same hyperparameters."""
        shared = self.which is None
        if number not in self.table_range or number + count - 1 not in self.table_range:
            self.table_range = range(number, number + (max(count, AHEAD) if shared else count))
            found = self._computed(number, len(self.table_range))
            kind = self.network.weights.dtype
            self.table = {name: found[name].to(kind) if shared else self._spread(found[name]) for name in self.moving}
        return self.table, number - self.table_range.start

    def _computed(self, number: int, count: int) -> dict[str, Tensor]:
        """The coefficients of ``count`` updates, [c, d] or [d] where the update does not matter, of each distinct set
        of hyperparameters."""
        return coefficients(self.entry, self.distinct, self.factor, number, count)

    def _spread(self, coefficient: Tensor) -> Tensor:
        """A coefficient of each distinct set, [c, d] or [d], as one of each network, [c, M], in the networks'
        precision."""
        rows = coefficient.to(self.network.weights).reshape(-1, coefficient.shape[-1])
        if self.which is None:
            return rows[:, :1].expand(-1, self.width).contiguous()
        return rows.index_select(1, self.which)

    def reset(self, which: Tensor) -> None:
        """The state of these networks as at the start."""
        for slot, start in zip(self.state, self.starts, strict=True):
            self.network.fill(slot, which, start.to(slot) if isinstance(start, Tensor) else start)
        self.network.fill(self.network.grads, which, 0.0)


def _distinct(h: dict[str, object]) -> tuple[dict[str, Any], Tensor | None]:
    """Each distinct set of hyperparameters once, filled up to whole lanes, and which of them each column has (None: the
    only one)."""
    numbers = {name: value for name, value in h.items() if isinstance(value, Tensor)}
    rows = torch.cat([value.reshape(-1, value.shape[-1]) for value in numbers.values()])
    which = None
    if bool((rows == rows[:, :1]).all()):
        unique = rows[:, :1]
    else:
        unique, which = torch.unique(rows, dim=1, return_inverse=True)
    unique = torch.cat([unique, unique[:, :1].expand(-1, padded(unique.shape[1]) - unique.shape[1])], 1)
    first, distinct = 0, dict(h)
    for name, value in numbers.items():
        count = value.numel() // value.shape[-1]
        distinct[name] = unique[first : first + count].reshape(*value.shape[:-1], -1)
        first += count
    return distinct, which
