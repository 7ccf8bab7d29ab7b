"""What a search makes good: one number a cell of what became of its networks."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nnspec.duration import updates
from nnspec.results.requirements import TEST_ACCURACY
from nnspec.results.table import rank
from nnspec.specs import RunSpec

Rows = Mapping[str, np.ndarray]  # the outcome of each network of a cell, see ``results.table.outcome_rows``


@dataclass(frozen=True)
class Objective:
    """``of_networks`` is the number of each network of a cell, [r], which ``pooled`` makes one of; ``rising`` says that
    more is better."""

    name: str
    rising: bool
    of_networks: Callable[[Rows, RunSpec], np.ndarray]
    pooled: Callable[[np.ndarray], float]

    def value(self, rows: Rows, spec: RunSpec) -> float:
        """The number of a cell; infinite where it is none."""
        found = float(self.pooled(self.of_networks(rows, spec)))
        worst = -math.inf if self.rising else math.inf
        return worst if math.isnan(found) else found


def _solved(rows: Rows, spec: RunSpec) -> np.ndarray:
    return rows["solved"].astype(float)


def _updates(rows: Rows, spec: RunSpec) -> np.ndarray:
    """The updates until each network solved; one that did not counts with all that it could have made. Their mean is
    the restricted mean time of survival analysis (Royston and Parmar, BMC Med. Res. Methodol. 13, 2013)."""
    found: np.ndarray = np.where(rows["solved"].astype(bool), rows["solved_at"], updates(spec)).astype(float)
    return found


def _finite_or_worst(column: str, worst: float) -> Callable[[Rows, RunSpec], np.ndarray]:
    def values(rows: Rows, spec: RunSpec) -> np.ndarray:
        found = np.asarray(rows[column], float)
        return np.where(np.isfinite(found), found, worst)

    return values


OBJECTIVES = {
    each.name: each
    for each in (
        Objective("solve_rate", True, _solved, np.mean),
        Objective("updates_to_solve", False, _updates, np.mean),
        Objective("final_loss", False, _finite_or_worst("final_loss", math.inf), np.median),
        Objective("test_accuracy", True, _finite_or_worst(TEST_ACCURACY, 0.0), np.median),
    )
}


@dataclass(frozen=True)
class Found:
    """What a search has found: by cell the value of each of ``objectives``, of those that trained all of their
    replicates; ``ranked`` has these cells, the best one first."""

    objectives: tuple[str, ...]
    values: Mapping[int, tuple[float, ...]]
    ranked: Sequence[int]
    trials: int
    pruned: int
    sampler: str

    @property
    def best(self) -> int | None:
        """The best cell; None where no trial is whole."""
        return self.ranked[0] if self.ranked else None

    @property
    def so_far(self) -> np.ndarray:
        """The best value of the first objective among the cells up to each, [t]."""
        first = OBJECTIVES[self.objectives[0]]
        values = np.array([self.values[cell][0] for cell in sorted(self.values)])
        return np.maximum.accumulate(values) if first.rising else np.minimum.accumulate(values)

    @property
    def front(self) -> list[int]:
        """The cells that no other is better than in one objective and as good in the others."""
        all_scores = {cell: scores(self.objectives, values) for cell, values in self.values.items()}
        return [cell for cell, own in all_scores.items() if not any(_beats(s, own) for s in all_scores.values())]


def _beats(one: Sequence[float], other: Sequence[float]) -> bool:
    return all(a >= b for a, b in zip(one, other, strict=True)) and one != other


def scores(names: Sequence[str], values: Sequence[float]) -> tuple[float, ...]:
    """Values of objectives as numbers of which more is better."""
    return tuple(value if OBJECTIVES[name].rising else -value for name, value in zip(names, values, strict=True))


def found(
    names: Sequence[str],
    specs: Sequence[RunSpec],
    outcomes: Mapping[int, Rows],
    pruned: frozenset[int],
    sampler: str,
) -> Found:
    """What the cells of a search found. Of equally good ones the best is that of the better second objective, and so
    on, then the one by which cells of a sweep are ranked, then the first."""
    values = {
        cell: tuple(OBJECTIVES[name].value(rows, specs[cell]) for name in names)
        for cell, rows in sorted(outcomes.items())
        if cell not in pruned
    }

    def order(cell: int) -> tuple[object, ...]:
        return (*(-score for score in scores(names, values[cell])), *rank(outcomes[cell]), cell)

    return Found(tuple(names), values, sorted(values, key=order), len(specs), len(pruned), sampler)
