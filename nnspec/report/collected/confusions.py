"""Confusion matrices of a sweep, counted while its cells go by: of each group some networks, evenly chosen.

Only counts are kept, and sums do not depend on the order in which cells come in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from nnspec.analysis.figures.rows import Confusion, RowOutcomes, confusion_counts, shares_of
from nnspec.architecture import learns_numbers
from nnspec.catalog import DATA
from nnspec.problem import own_rows
from nnspec.report.showing import alone, row_outcomes
from nnspec.results.arrays import Results
from nnspec.specs import RunSpec

NETWORKS = 25  # of a group, whose answers are counted
ROWS = 2000  # of a data set, evenly chosen

Key = tuple[int, str, tuple[str, ...]]  # group, part of the data, classes


def has_classes(spec: RunSpec) -> bool:
    """Whether a matrix says something of a spec's networks: not of numbers, nor of the few rows of a truth table."""
    return not learns_numbers(spec) and not DATA[spec.data.name].boolean


@dataclass
class _Pool:
    counts: np.ndarray  # [c, c + 1]
    networks: int = 0
    rows: int = 0  # of the network with the most


@dataclass
class Confusions:
    """What networks say of the rows of the test part, or of the training part where there is no other."""

    _pools: dict[Key, _Pool] = field(default_factory=dict)

    def add(self, group: int, result: Results, replicates: np.ndarray) -> None:
        """Count what some replicates of a cell say."""
        for outcomes in _answers(result, replicates[replicates < len(result.seeds)]):
            counts = confusion_counts(outcomes)
            pool = self._pools.setdefault((group, outcomes.part, outcomes.names), _Pool(np.zeros_like(counts)))
            networks, rows = outcomes.said.shape
            pool.counts += counts
            pool.networks += networks
            pool.rows = max(pool.rows, rows)

    def matrices(self, labels: Sequence[str]) -> list[Confusion]:
        """One a group, of the classes and the part of the data that most of its networks have; ``labels`` by group."""
        largest: dict[int, Key] = {}
        for key in sorted(self._pools, key=lambda key: (-self._pools[key].networks, key)):
            largest.setdefault(key[0], key)
        found = []
        for group, key in sorted(largest.items()):
            pool, (_, part, names) = self._pools[key], key
            label = f"{labels[group]}: {pool.networks} network{'s' * (pool.networks != 1)}"
            found.append(Confusion(part, names, shares_of(pool.counts), pool.networks, pool.rows, label))
        return found


def _answers(result: Results, replicates: np.ndarray) -> list[RowOutcomes]:
    """What the replicates say, together or, where each has rows of its own, one by one."""
    spec, final = result.spec, result.final
    if not own_rows(spec):
        return [row_outcomes(spec, {name: tensor[replicates] for name, tensor in final.items()}, ROWS)[-1]]
    return [
        row_outcomes(alone(spec, result.seeds[i]), {name: tensor[i : i + 1] for name, tensor in final.items()}, ROWS)[
            -1
        ]
        for i in replicates.tolist()
    ]
