"""Which cells of a sweep get a run of their own where most are packed: those that someone would open."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

import numpy as np

from nnspec.journal.recording import most_common
from nnspec.results.table import rank

ENDS = 10  # best and worst cells
MOST = 200


def worth_opening(outcomes: Mapping[int, Mapping[str, np.ndarray]], ends: int = ENDS, most: int = MOST) -> list[int]:
    """The cells worth a run of their own: the best and the worst ``ends`` by the share solved, then by the median final
    loss, and of each verdict the cell of median final loss among those that have it most often; ``most`` at most.

    ``outcomes`` has a row a network by cell, see ``results.table.outcome_rows``.
    """
    ranks = {cell: rank(rows) for cell, rows in outcomes.items()}
    ranked = sorted(ranks, key=lambda cell: (ranks[cell], cell))
    chosen = {*ranked[:ends], *ranked[-ends:]}
    alike: dict[str, list[int]] = defaultdict(list)
    for cell in ranked:
        alike[most_common(outcomes[cell]["verdict"])].append(cell)
    for cells in alike.values():
        by_loss = sorted(cells, key=lambda cell: ranks[cell][1])
        chosen.add(by_loss[(len(by_loss) - 1) // 2])
    return sorted(chosen)[:most]
