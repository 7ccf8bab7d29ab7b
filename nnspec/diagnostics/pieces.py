"""The probes of networks too large for all at once: one network after another, its rows in pieces.

What a verdict turns on (what is off, what passes, the gradient and the loss) is summed up in one pass over the rows,
exactly where ``Extent.looked`` is all of them. What is only told, and all of the untrained networks, is estimated from
a sample of the rows. Numbers have the precision that the networks were trained in; sums over pieces are float64. A
network's numbers cannot depend on the others', for they are computed alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch

from nnspec.diagnostics.activations import slopes
from nnspec.diagnostics.gradients import Backward, Forward, backward, distances, flat_of, forward, losses
from nnspec.diagnostics.probes import Probes, mean_square, measured
from nnspec.diagnostics.rows import Rows
from nnspec.diagnostics.thresholds import Thresholds
from nnspec.problem import Problem

Tensor = torch.Tensor


def probe_in_pieces(rows: Rows, final: Tensor, initial: Tensor, limits: Thresholds) -> tuple[Probes, Probes]:
    """The probes of networks with weights [m, P] at the end of training, and at its start."""
    sample = rows.sample()
    ends, starts = [], []
    for last, first in zip(final, initial, strict=True):
        trained = rows.network(last)
        end, start = _estimated(rows, sample, torch.cat([trained, rows.network(first)]), limits)
        ends.append(end | _summed(rows, trained))
        starts.append(start)
    return _together(ends), _together(starts)


def _estimated(rows: Rows, sample: Problem, both: Tensor, limits: Thresholds) -> list[dict[str, float]]:
    """Everything from the sample, of a network's last and first weights [2, P]; counts of rows are scaled up."""
    measures = measured(sample, both, limits)
    found = [{name: float(value[moment]) for name, value in measures.items()} for moment in range(2)]
    for one in found:
        one["dead_rows"] *= rows.extent.rows / rows.extent.sample
    return found


def _summed(rows: Rows, flat: Tensor) -> dict[str, float]:
    """What a verdict turns on, from one pass over the rows."""
    sums = Sums(torch.zeros(flat.shape[1], dtype=torch.float64))
    for piece, share in rows.pieces():
        run = forward(piece, flat)
        sums.add(piece, run, backward(piece, run), share)
    size = float(torch.linalg.vector_norm(sums.gradient))
    weights = float(torch.linalg.vector_norm(flat.to(torch.float64)))
    with np.errstate(divide="ignore", invalid="ignore"):  # a loss, or the last layer's gradient, of exactly 0
        return {
            "dead_units": float(sum(int((largest == 0).sum()) for largest in sums.open.values())),
            "dead_rows": sums.dark * rows.extent.rows / rows.extent.looked,
            "passage": sums.passage,
            "gradient_norm": size,
            "relative_gradient": float(np.float64(size * weights) / abs(sums.loss)),
            "gradient_ratio": float(np.sqrt(np.float64(sums.first) / sums.last)),
            "blocked": float(sums.blocked),
        }


@dataclass
class Sums:
    """What a pass over pieces adds up for one network.

    ``open`` is the largest slope of each unit so far, [1, o] by layer, where the activation can be off; ``first`` and
    ``last`` the mean squares of the gradient behind the first and the last layer. Of rows that are not right, or if all
    are of the worst ones: ``passage`` the most that passes, and whether all of them are ``blocked``.
    """

    gradient: Tensor  # [P]
    loss: float = 0.0
    first: float = 0.0
    last: float = 0.0
    open: dict[int, Tensor] = field(default_factory=dict)
    dark: int = 0
    worst: float = -1.0
    passage: float = 0.0
    blocked: bool = True

    def add(self, piece: Problem, run: Forward, back: Backward, share: float) -> None:
        """One more piece, which has that ``share`` of the rows; its losses and gradients are means over its rows."""
        self.loss += share * float(losses(piece, run)[0])
        self.gradient += share * flat_of(back.layers)[0]
        self.first += share * mean_square(back.dz[0], share)
        self.last += share * mean_square(back.dz[-1], share)
        dark, passing = self._slopes(piece, run)
        self.dark += int(dark.sum())
        self._unsolved(distances(piece, run)[0], piece.tolerance, dark, passing)

    def _slopes(self, piece: Problem, run: Forward) -> tuple[Tensor, Tensor]:
        """Of each row [n] whether some layer is off, and how much passes through the hidden layers at most."""
        dark = torch.zeros(len(piece.inputs), dtype=torch.bool)
        passing = torch.ones(len(piece.inputs), dtype=torch.float64)
        for number, slope in enumerate(run.slopes):
            size = slope[0].abs()
            through = size.amax(1)
            if slopes(piece.shape.after[number].member).dies:
                dark |= through == 0
                units = size.amax(0)
                self.open[number] = torch.maximum(self.open[number], units) if number in self.open else units
            if number < len(piece.shape.hidden):
                passing = passing * through
        return dark, passing

    def _unsolved(self, distance: Tensor, tolerance: float, dark: Tensor, passing: Tensor) -> None:
        """Rows that are not right are all equally bad; if there is none, the worst row stands for them."""
        badness = torch.where(distance >= tolerance, torch.inf, distance)
        worst = float(badness.amax())
        if worst > self.worst:
            self.worst, self.passage, self.blocked = worst, 0.0, True
        if worst == self.worst:
            here = badness == worst
            self.passage = max(self.passage, float(passing[here].amax()))
            self.blocked = self.blocked and bool(dark[here].all())


def _together(found: list[dict[str, float]]) -> Probes:
    """One network's numbers after another as arrays [m]."""
    numbers = {name: np.array([each[name] for each in found]) for name in found[0]}
    blocked, copies = numbers.pop("blocked").astype(bool), numbers.pop("copies").astype(bool)
    return Probes(numbers, blocked, copies)
