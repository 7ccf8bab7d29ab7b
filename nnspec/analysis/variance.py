"""Which axes decide whether a network solves, or what another measure of it is: main effects and two-way interactions
as shares of variance."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from nnspec.analysis.levels import AnalysisError, Groups, group_by, short
from nnspec.analysis.measures import SOLVED, measured

if TYPE_CHECKING:
    import pandas as pd

MOST_COLUMNS = 3000  # of a least-squares fit; beyond, interactions are left in the remainder

Term = tuple[int, ...]  # axes by position: (0,) a main effect, (0, 2) an interaction


def effects(table: pd.DataFrame, axes: Sequence[str], measure: str = SOLVED) -> pd.DataFrame:
    """One row a term: ``term``, ``df``, ``explained`` (its share of what the axes explain), ``total`` (its share of all
    variance of solving) and ``by_chance`` (the share of all variance that as many pure-noise degrees of freedom would
    take).

    The outcome is 0 or 1 a network, or the value of another ``measure``, whose means then stand for rates. What the
    axes explain is the variance of solve rates between combinations; what they leave is the variance between seeds
    within a combination. The last row, 'higher orders', is what main effects and two-way interactions leave of the
    explained. The shares describe this sweep's levels; they are no test.

    Balanced sweeps: the classical sums of squares, which add up to 1. Every combination present but in different
    numbers: the same on unweighted rates, so that a level counts the same however often it was trained. Combinations
    missing: each term is what it adds to all terms that do not contain it (type II), least squares on unweighted rates;
    terms then overlap and 'higher orders' takes the rest of the sum, which can be negative.

    Raises:
        AnalysisError: if an axis is unknown or the seed, none varies, or networks lack the measure.
    """
    import pandas as pd

    if "seed" in axes:
        raise AnalysisError("effects must be of axes other than 'seed', but got it; leave it out: seeds are the noise")
    groups = group_by(table, axes)
    kept = [a for a, level in enumerate(groups.levels) if len(level) > 1]
    if not kept:
        raise AnalysisError("effects needs an axis of at least 2 levels, but none varies; vary one in the sweep")
    rates, within, freedom = _rates(table, groups, measure)
    if np.ptp(rates) == 0:
        # the mean of equal numbers may differ from them in the last bit, and must not here
        rates = np.zeros_like(rates)
    squares, degrees = _squares(groups, kept, rates)
    between = float(((rates - rates.mean()) ** 2).sum())
    squares["higher orders"], degrees["higher orders"] = (
        between - sum(squares.values()),
        len(rates) - 1 - sum(degrees.values()),
    )
    total = between + within
    noise = within / freedom if freedom else np.nan
    names = list(squares)
    ss, df = np.array([squares[name] for name in names]), np.array([degrees[name] for name in names])
    explained, share = (ss / part if part else ss for part in (between, total))
    by_chance = df * noise / total if total else ss
    return pd.DataFrame({"term": names, "df": df, "explained": explained, "total": share, "by_chance": by_chance})


def decided_text(frame: pd.DataFrame) -> str:
    """'optimizer has no freedom of its own (df 0): ...' of the axes in a table of ``effects`` that other axes decide,
    as each optimizer's own rates decide the optimizer; empty where there are none."""
    decided = [term for term, df in zip(frame["term"], frame["df"], strict=True) if df == 0 and " x " not in term]
    decided = [term for term in decided if term != "higher orders"]
    if not decided:
        return ""
    has, its, it = ("has", "its", "it") if len(decided) == 1 else ("have", "their", "them")
    return f"{', '.join(decided)} {has} no freedom left (df 0): other axes decide {it}, and {its} share is in theirs"


def _rates(table: pd.DataFrame, groups: Groups, measure: str) -> tuple[np.ndarray, float, int]:
    """The rate (or mean) of each combination [g], the squares within them on the scale of rates (the sum of their
    variances, p(1-p) of a rate), and their freedom.

    Within a combination of n networks the squares are n p (1-p); divided by n they compare with squares of rates. The
    freedom is scaled so that within / freedom is the variance of a rate that noise alone causes.
    """
    values = table["solved"].to_numpy(dtype=float) if measure == SOLVED else measured(table, measure).values
    outcome = values / (np.abs(values).max(initial=0) or 1.0)  # squares of large losses would overflow
    n = np.bincount(groups.codes, minlength=len(groups))
    rates = np.bincount(groups.codes, weights=outcome, minlength=len(groups)) / n
    apart = (outcome - rates[groups.codes]) ** 2
    within = float((np.bincount(groups.codes, weights=apart, minlength=len(groups)) / n).sum())
    return rates, within, round(float((n - 1).mean()) * len(n))


def _squares(groups: Groups, kept: list[int], rates: np.ndarray) -> tuple[dict[str, float], dict[str, int]]:
    terms: list[Term] = [*combinations(kept, 1), *combinations(kept, 2)]
    sizes = [len(level) for level in groups.levels]
    complete = len(groups) == int(np.prod([sizes[a] for a in kept]))
    measured = by_means(groups, terms, rates) if complete else by_least_squares(groups, terms, rates)
    name = {term: " x ".join(short(groups.levels[a].axis) for a in term) for term in terms}
    return {name[t]: s for t, (s, _) in measured.items()}, {name[t]: d for t, (_, d) in measured.items()}


def by_means(groups: Groups, terms: list[Term], rates: np.ndarray) -> dict[Term, tuple[float, int]]:
    """Sums of squares of means over a full grid, which are orthogonal: an interaction is what its table adds to its
    margins."""
    raw: dict[Term, float] = {}
    found: dict[Term, tuple[float, int]] = {}
    for term in terms:
        shape = tuple(len(groups.levels[a]) for a in term)
        codes = np.ravel_multi_index(tuple(groups.combos[:, a] for a in term), shape)
        means = np.bincount(codes, weights=rates) / np.bincount(codes)
        raw[term] = float(((means - rates.mean()) ** 2).sum()) * len(rates) / len(means)
        margins = sum(raw[(a,)] for a in term) if len(term) > 1 else 0.0
        found[term] = max(0.0, raw[term] - margins), int(np.prod([size - 1 for size in shape]))
    return found


def by_least_squares(groups: Groups, terms: list[Term], rates: np.ndarray) -> dict[Term, tuple[float, int]]:
    """What each term adds to all terms that do not contain it, by least squares; [g, columns] of indicators a term."""
    width = {term: int(np.prod([len(groups.levels[a]) for a in term])) for term in terms}
    if sum(width.values()) > MOST_COLUMNS:
        terms = [term for term in terms if len(term) == 1]
    design = {term: _indicators(groups, term) for term in terms}
    fits: dict[tuple[Term, ...], tuple[float, int]] = {}

    def fit(chosen: tuple[Term, ...]) -> tuple[float, int]:
        if chosen not in fits:
            fits[chosen] = _explained(np.hstack([np.ones((len(rates), 1)), *(design[term] for term in chosen)]), rates)
        return fits[chosen]

    found = {}
    for term in terms:
        without = tuple(other for other in terms if not set(term) <= set(other))
        (less, rank), (more, full) = fit(without), fit((*without, term))
        found[term] = max(0.0, more - less), full - rank
    return found


def _indicators(groups: Groups, term: Term) -> np.ndarray:
    shape = tuple(len(groups.levels[a]) for a in term)
    codes = np.ravel_multi_index(tuple(groups.combos[:, a] for a in term), shape)
    found, index = np.unique(codes, return_inverse=True)
    return np.eye(len(found))[index]


def _explained(design: np.ndarray, rates: np.ndarray) -> tuple[float, int]:
    """Squares about zero that the columns explain, and their rank."""
    solution, _, rank, _ = np.linalg.lstsq(design, rates, rcond=None)
    return float(((design @ solution) ** 2).sum()), int(rank)
