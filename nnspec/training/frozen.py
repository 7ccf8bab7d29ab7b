"""Networks whose outputs became non-finite, as they stood at that moment: they train no further."""

from __future__ import annotations

import numpy as np
import torch

from nnspec.results.arrays import NEVER, Results
from nnspec.training.network_last import NetworkLast

Tensor = torch.Tensor


class Freezer:
    """Keeps the networks of a chunk that became non-finite; ``at`` [M] says after how many updates, or ``NEVER``."""

    def __init__(self, width: int):
        self.at = np.full(width, NEVER)
        self.kept: list[tuple[np.ndarray, Tensor, Tensor, Tensor, list[Tensor], Tensor]] = []

    def keep(self, bad: Tensor, step: int, network: NetworkLast, distances: Tensor, tolerance: Tensor) -> None:
        """Keep the networks that are ``bad`` [M] for the first time after ``step`` updates."""
        new = np.flatnonzero(bad.numpy() & (self.at == NEVER))
        if not len(new):
            return
        self.at[new] = step
        accuracy = (distances.amax(1) < tolerance).to(distances.dtype).mean(0)
        parts = (network.rows(), network.output.losses(), accuracy, network.output.p)
        weights, loss, accuracy, outputs = (part[..., new].clone() for part in parts)
        self.kept.append((new, weights, loss, accuracy, [norm[new] for norm in network.norms()], outputs))

    def restore(self, network: NetworkLast, snapshots: dict[int, Tensor]) -> None:
        """Put the kept networks back into the weights, and into the snapshots from then on."""
        for new, weights, *_ in self.kept:
            network.put(_marked(new, len(self.at)), weights)
            for step, snapshot in snapshots.items():
                if step >= self.at[new[0]]:
                    snapshot[:, new] = weights

    def correct(self, rows: Results, places: np.ndarray) -> None:
        """Put what the kept networks were into the rows from then on; ``places`` [j] are the columns of the rows'
        networks."""
        for new, _, loss, accuracy, norms, _ in self.kept:
            real = np.flatnonzero(np.isin(places, new))
            which = np.searchsorted(new, places[real])
            since = np.searchsorted(rows.steps, self.at[new[0]])
            lines = [(rows.loss, loss), (rows.accuracy, accuracy), *zip(rows.weight_norm.values(), norms, strict=True)]
            for line, kept in lines:
                line[real, since:] = kept.numpy()[which, None]
            rows.right[real, since:] = False

    def outputs(self, outputs: Tensor) -> Tensor:
        """The outputs [n, k, M] with those of the kept networks as they were."""
        for new, *_, kept in self.kept:
            outputs = outputs.clone()
            outputs[..., new] = kept
        return outputs


def _marked(numbers: np.ndarray, width: int) -> Tensor:
    marks = torch.zeros(width, dtype=torch.bool)
    marks[torch.from_numpy(numbers)] = True
    return marks
