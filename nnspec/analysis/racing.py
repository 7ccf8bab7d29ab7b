"""Races: which of many cells solves most, found with few networks of those that do not.

All cells of a race train the same seeds, so that two of them are compared seed by seed: one solves where the other does
not (``better``), the other way round (``worse``), or they end alike. A gambler bets against the claim that cell i
solves more often than cell j by ``margin``: of the wealth, which starts at 1, the share ``bet`` goes on each seed, and

    wealth = mean over bets of  (1 - bet (1 - margin))^better (1 + bet (1 + margin))^worse (1 + bet margin)^alike.

If the claim is true, the wealth is a supermartingale, so it ever comes to x with a chance of at most 1 / x, however
often it is looked at (Ville 1939; Waudby-Smith and Ramdas, J. R. Stat. Soc. B 86 (2024) 1). With margin 0 this is a
sequential McNemar test. Two things are said by it:

- cell i is out when its wealth against the others that still race, added up, comes to (cells - 1) / (1 - confidence):
  then some cell solves more often. This is successive elimination (Even-Dar et al., JMLR 7 (2006) 1079).
- the cell j that leads is the best to within ``margin`` when that of each other cell against it comes to as much.

Both are wrong with a chance of at most 1 - confidence, taken together. Let i be the best cell. Where j is worse than it
by more than the margin take the wealth with the margin, which is never below that without, else the one without; their
mean over all j is a supermartingale that starts at 1, and it is at least 1 / (1 - confidence) when i goes out, or a
cell that is worse by more than the margin is called the best. Leaving some of the others out only lowers the sum.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

CONFIDENCE = 0.95
FIRST = 20  # networks a cell at the first look
GROWTH = 1.5  # of the networks a cell, from look to look; ``benchmarks/race.py`` measures both
BETS = 2.0 ** -np.arange(7)  # 1 tells a cell that never solves, 1/64 two that differ by little
OPPONENTS = 64  # the best cells, against which all are weighed: with 10,000 cells all pairs would take minutes
HALVINGS = 60  # of an interval's limits: to the last bit


@dataclass(frozen=True)
class Look:
    """What is known at a look. ``first`` has the places of the cells that solve most; if the best is ``known``, those
    of them that are it."""

    beaten: np.ndarray  # [c] bool: some other solves more often
    first: np.ndarray
    known: bool


@dataclass(frozen=True)
class Rule:
    """When a cell is out, and when the best is known. ``cells`` is how many started."""

    cells: int
    within: float
    confidence: float = CONFIDENCE

    @property
    def needed(self) -> float:
        """The logarithm of the wealth that decides."""
        return math.log((self.cells - 1) / (1 - self.confidence))

    def look(self, solved: np.ndarray) -> Look:
        """Judge the cells that still race by ``solved`` [c, n] bool, of each the same seeds."""
        counts, networks = solved.sum(axis=1), solved.shape[1]
        best = np.argsort(-counts, kind="stable")[:OPPONENTS]
        both = (solved.astype(np.float32) @ solved[best].T.astype(np.float32)).astype(np.float64)
        better, worse = counts[:, None] - both, counts[best] - both
        alike = networks - better - worse
        itself = np.arange(len(solved))[:, None] == best
        against = np.where(itself, -np.inf, log_wealth(better, worse, alike))
        beaten = np.logaddexp.reduce(against, axis=1) >= self.needed
        near = itself | (log_wealth(better, worse, alike, self.within) >= self.needed)
        first = best[counts[best] == counts.max()]
        sure = first[near[~beaten][:, : len(first)].all(axis=0)]
        return Look(beaten, sure if len(sure) else first, bool(len(sure)))


@dataclass(frozen=True)
class Replay:
    """A race over networks whose outcomes are there: the place of the cell that it names, how many networks it took,
    the networks a cell at each look, and whether the best is known."""

    best: int
    networks: int
    looks: tuple[int, ...]
    known: bool


def replayed(
    solved: np.ndarray, within: float, most: int, first: int = FIRST, growth: float = GROWTH, rule: Rule | None = None
) -> Replay:
    """What a race finds of cells that are trained already, ``solved`` [c, n] bool, if it may take ``most`` networks."""
    judge = rule or Rule(len(solved), within)
    racing, size, spent, larger, looks = np.arange(len(solved)), 0, 0, first, []
    while True:
        spent += len(racing) * (larger - size)
        size = larger
        looks.append(size)
        look = judge.look(solved[racing, :size])
        best = int(racing[look.first[0]])
        racing = racing[~look.beaten]
        larger = min(next_size(size, len(racing), most - spent, growth), solved.shape[1])
        if look.known or larger == size:
            return Replay(best, spent, tuple(looks), look.known)


def next_size(size: int, cells: int, left: int, growth: float = GROWTH) -> int:
    """The networks of a cell at the next look, if so many ``cells`` race on and ``left`` networks may be trained; none
    more than at this one, ``size``, where they do not suffice."""
    return size + min(math.ceil(size * growth) - size, left // cells)


def log_wealth(better: ArrayLike, worse: ArrayLike, alike: ArrayLike, margin: float = 0.0) -> np.ndarray:
    """The logarithm of the wealth of a gambler against 'the first solves more often than the second by more than the
    margin', of so many seeds that were solved by the first alone, by the second alone, by both or none; [...] each."""
    from scipy.special import xlog1py

    total: np.ndarray = np.asarray(-np.inf)
    for bet in BETS.tolist():
        one = xlog1py(better, -bet * (1 - margin)) + xlog1py(worse, bet * (1 + margin)) + xlog1py(alike, bet * margin)
        total = np.logaddexp(total, one - math.log(len(BETS)))
    return total


def anytime_interval(
    solved: ArrayLike, networks: ArrayLike, confidence: float = CONFIDENCE
) -> tuple[np.ndarray, np.ndarray]:
    """Limits of a rate that hold at all times at once with at least ``confidence``: whenever and why ever training
    stops, so they are honest of a cell that was stopped because it did badly.

    They are the rates p against which the wealth ``B(k + 1/2, n - k + 1/2) / B(1/2, 1/2) / (p^k (1 - p)^(n - k))`` is
    below 1 / (1 - confidence). Source: Robbins, Ann. Math. Stat. 41 (1970) 1397; Howard et al., Ann. Stat. 49 (2021)
    1055.
    """
    from scipy.special import betaln, xlog1py, xlogy

    k, n = np.broadcast_arrays(np.asarray(solved, np.float64), np.asarray(networks, np.float64))
    mixed = betaln(k + 0.5, n - k + 0.5) - betaln(0.5, 0.5) + math.log(1 - confidence)

    def limit(outside: float) -> np.ndarray:
        """The rate between k / n and ``outside`` where the wealth comes to what is needed; ``outside`` if nowhere."""
        inner, outer = k / n, np.full(k.shape, outside)
        for _ in range(HALVINGS):
            middle = (inner + outer) / 2
            holds = xlogy(k, middle) + xlog1py(n - k, -middle) > mixed
            inner, outer = np.where(holds, middle, inner), np.where(holds, outer, middle)
        return outer

    return np.where(k == 0, 0.0, limit(0.0)), np.where(k == n, 1.0, limit(1.0))
