"""Whether the claims of a study hold.

Each claim is judged by an interval at the confidence 1 - (1 - c) / k, where k claims are to hold at once with
confidence c (Bonferroni): it holds if the interval lies within what the claim allows, is refuted if it lies without,
and else is undecided. Where networks are added until claims are decided, k counts each claim once a look. A claim of
several parts (the steps along an axis, the cells of a formula) shares its error out among them: it holds if all parts
do, and is refuted if one is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from nnspec.claims.cells import CellLike, Window, levels, matches, numbers, stated
from nnspec.claims.estimates import Estimate, Values, difference, estimate, least_seeds
from nnspec.claims.measures import fault, values
from nnspec.errors import Fault, SpecError, nearest
from nnspec.formula import FormulaError
from nnspec.specs import text
from nnspec.study import HOLDS, REFUTED, SOLVED, UNDECIDED, Along, Bounds, Claim, Computed, Study, Than, cells_text

MOST_NEEDED = 10_000_000  # seeds; a claim that needs more is on the edge of what it claims
POSITIVE, NEGATIVE = Bounds(low=0.0), Bounds(high=0.0)

Rows = Mapping[int, Mapping[str, np.ndarray]]  # by cell, its outcome
Specs = Sequence[CellLike] | Mapping[int, CellLike]  # by cell
NETWORKS, MAPS = "networks", "maps"  # what has a seed and a number


class ClaimError(SpecError):
    """A claim that its study cannot answer: cells that are not there, a measure that no cell has."""


@dataclass(frozen=True)
class Judgement:
    """One part of a claim: what was found, what is allowed, and whether it is. ``label`` tells parts apart, ``unit``
    is what was measured, networks or maps."""

    label: str
    found: Estimate
    allowed: Bounds
    share: bool
    unit: str = NETWORKS

    @property
    def verdict(self) -> str:
        """``holds``, ``refuted`` or ``undecided``."""
        low, high = self.found.low, self.found.high
        strict = self.allowed in (POSITIVE, NEGATIVE) and 0.0 in (low, high)  # no difference is not a larger one
        if self.allowed.low <= low and high <= self.allowed.high and not strict:
            return HOLDS
        return REFUTED if high < self.allowed.low or low > self.allowed.high else UNDECIDED

    def needed(self, least: int) -> int | None:
        """About how many seeds decide it, where so many do: an interval narrows with the root of their number."""
        value, low, high, _, seeds = self.found
        if not seeds:
            return None
        if math.isinf(low) or math.isinf(high):
            return max(least, 2 * seeds)
        crossed = [bound for bound in (self.allowed.low, self.allowed.high) if low <= bound <= high]
        factor = 0.0
        for bound in crossed:
            half, apart = (value - low, value - bound) if bound <= value else (high - value, bound - value)
            if not apart:
                return None
            factor = max(factor, (half / apart) ** 2)
        wanted = math.ceil(seeds * max(factor, 1.1))
        return wanted if wanted <= MOST_NEEDED else None

    def __str__(self) -> str:
        value, low, high, count, _ = self.found
        if not count:
            return f"{self.label}: no {self.unit[:-1]}" if self.label else f"no {self.unit[:-1]}"
        shown = [f"{100 * each:.4g}%" if self.share else f"{each:.4g}" for each in (value, low, high)]
        label = f"{self.label}: " if self.label else ""
        return f"{label}{shown[0]} [{shown[1]}, {shown[2]}] of {count:,} {self.unit}"


@dataclass(frozen=True)
class Judged:
    """A claim with its verdict, from ``seeds`` of its cells."""

    claim: Claim
    parts: tuple[Judgement, ...]
    confidence: float
    seeds: int

    @property
    def verdict(self) -> str:
        """``holds``, ``refuted`` or ``undecided``."""
        return self.telling.verdict

    @property
    def as_expected(self) -> bool:
        """Whether a refuted claim was to be, and a claim that was to be refuted is not borne out."""
        return self.verdict == self.claim.expected or UNDECIDED in (self.verdict, self.claim.expected)

    @property
    def needed(self) -> int | None:
        """About how many seeds a cell would decide it; None where none is known to, or it is decided."""
        if self.verdict != UNDECIDED:
            return None
        least = least_seeds(self.confidence)
        undecided = [part for part in self.parts if part.verdict == UNDECIDED]
        found = [(part.needed(least), part.found.seeds) for part in undecided]
        # of many seeds few may be those of which it speaks, as of solved networks
        known = [math.ceil(number * max(1.0, self.seeds / had)) for number, had in found if number is not None]
        return max(known) if len(known) == len(found) else None

    @property
    def telling(self) -> Judgement:
        """The part that decides: the first that is refuted, else undecided, else the first."""
        order = (REFUTED, UNDECIDED, HOLDS)
        return min(self.parts, key=lambda part: order.index(part.verdict))


def answerable(study: Study, specs: Sequence[CellLike]) -> tuple[Study, list[Fault]]:
    """The study with the claims that these cells can answer, and why they cannot answer the others: whoever changes the
    axes of a study on the command line has other cells.

    Raises:
        ClaimError: what no cell could answer, with every fault: a key, a verdict or a name in a formula that is not
            there, a measure of networks where there are maps.
    """
    cells, maps = [stated(spec) for spec in specs], any(isinstance(spec, Window) for spec in specs)
    faults: list[Fault] = []
    kept, missing = [], []
    for number, claim in enumerate(study.claims):
        where = f"study.claims[{number}]"
        unnamed = fault(claim.measure, f"{where}.measure", maps)
        faults += [unnamed] if unnamed else []
        if maps and claim.among:
            faults.append(Fault(f"{where}.among", "must be of networks", claim.among, "leave it out: these are maps"))
        for name, said in claim.sides.items():
            faults += _unknown_keys(f"{where}.{name}", cells, said)
        own = [place for place, cell in enumerate(cells) if matches(cell, claim.where)]
        faults += _no_value(where, claim, [specs[place] for place in own])
        without = [found for name, said in claim.sides.items() for found in _unmatched(f"{where}.{name}", cells, said)]
        without = without or _no_levels(where, claim, [cells[place] for place in own])
        without = without or _same_cells(where, claim, cells)
        missing += without
        kept += [] if without else [claim]
    if faults:
        raise ClaimError(faults)
    return replace(study, claims=tuple(kept)), missing


def _unknown_keys(where: str, cells: Sequence[Mapping[str, object]], said: Mapping[str, object]) -> list[Fault]:
    keys = sorted(set().union(*cells))
    return [
        Fault(f"{where}.{key}", "is no key of a cell", remedy=nearest(key, keys)) for key in said if key not in keys
    ]


def _unmatched(where: str, cells: Sequence[Mapping[str, object]], said: Mapping[str, object]) -> list[Fault]:
    if any(matches(cell, said) for cell in cells):
        return []
    return [Fault(where, "must match a cell of the sweep", cells_text(said), "the claim is not judged")]


def _same_cells(where: str, claim: Claim, cells: Sequence[Mapping[str, object]]) -> list[Fault]:
    if not isinstance(claim.relation, Than):
        return []
    one, other = ([number for number, cell in enumerate(cells) if matches(cell, said)] for said in claim.sides.values())
    if not one or one != other:
        return []
    rule = "must name other cells than where"
    return [Fault(f"{where}.{claim.relation.key}", rule, cells_text(claim.relation.where), "the claim is not judged")]


def _no_levels(where: str, claim: Claim, own: Sequence[Mapping[str, object]]) -> list[Fault]:
    if not isinstance(claim.relation, Along):
        return []
    found = levels(own, claim.relation.axis)
    if len(found) > 1:
        return []
    rule, got = "must have two levels or more among the claim's cells", ", ".join(map(text, found)) or "none"
    name = "rising_along" if claim.relation.rising else "falling_along"
    return [Fault(f"{where}.{name}", rule, f"{claim.relation.axis} with {got}", "the claim is not judged")]


def _no_value(where: str, claim: Claim, own: Sequence[CellLike]) -> list[Fault]:
    if isinstance(claim.relation, Computed):
        try:
            for spec in own:
                claim.relation.formula.value(numbers(spec))
        except FormulaError as error:
            return [Fault(f"{where}.formula", str(error), str(claim.relation.formula))]
    return []


def judge(study: Study, specs: Specs, outcomes: Rows, looks: int = 1) -> tuple[list[Judged], list[Fault]]:
    """The verdict on each claim, and of those that cannot be judged the reason: no cell has what it measures, or none
    has an outcome.

    Args:
        outcomes: by cell its rows, see ``measures.rows_of``; cells that are missing are left out.
        looks: how often the outcome may have been looked at before it was decided to stop.
    """
    confidence = 1 - (1 - study.confidence) / (len(study.claims) * looks)
    cells = {index: stated(specs[index]) for index in sorted(outcomes)}
    judged: list[Judged] = []
    faults: list[Fault] = []
    for number, claim in enumerate(study.claims):
        where = f"study.claims[{number}]"
        try:
            parts = tuple(_parts(where, claim, specs, cells, outcomes, confidence))
            if not parts:  # along an axis, or of a formula: too few of its cells have trained for a single one
                rule = "must have outcomes of its cells"
                raise ClaimError([Fault(where, rule, "too few of them", "see why they failed")])
        except ClaimError as error:
            faults += error.faults
        else:
            seeds = [outcomes[index]["seed"] for index, cell in cells.items() if matches(cell, claim.where)]
            drawn = len(np.unique(np.concatenate(seeds)))
            if isinstance(specs[next(iter(cells))], Window):
                parts = tuple(replace(part, unit=MAPS) for part in parts)
            judged.append(Judged(claim, parts, 1 - (1 - confidence) / len(parts), drawn))
    return judged, faults


def undecided_cells(judged: Sequence[Judged], specs: Mapping[int, CellLike]) -> set[int]:
    """The cells that undecided claims speak of, of those with these specs."""
    cells = {index: stated(spec) for index, spec in specs.items()}
    sides = [said for each in judged if each.verdict == UNDECIDED for said in each.claim.sides.values()]
    return {index for index, cell in cells.items() if any(matches(cell, said) for said in sides)}


def _parts(
    where: str,
    claim: Claim,
    specs: Specs,
    cells: Mapping[int, Mapping[str, object]],
    outcomes: Rows,
    confidence: float,
) -> list[Judgement]:
    own = [index for index, cell in cells.items() if matches(cell, claim.where)]

    def gathered(chosen: Sequence[int]) -> Values:
        return _gathered(where, claim, outcomes, chosen)

    relation = claim.relation
    if isinstance(relation, Than):
        than = [index for index, cell in cells.items() if matches(cell, relation.where)]
        one, other = gathered(own), gathered(than)
        if claim.among is None and not np.intersect1d(one.seeds, other.seeds).size:
            rule = "must compare cells that share seeds"
            raise ClaimError([Fault(where, rule, "none that both have", "sweep both alike")])
        return [Judgement("difference", difference(one, other, confidence), relation.allowed, one.share)]
    if isinstance(relation, Along):
        found = levels([cells[index] for index in own], relation.axis)
        sides = [[i for i in own if text(cells[i].get(relation.axis)) == text(level)] for level in found]
        at = [gathered(side) for side in sides]
        each = 1 - (1 - confidence) / max(1, len(found) - 1)
        allowed = POSITIVE if relation.rising else NEGATIVE
        return [
            Judgement(f"{text(b)} less {text(a)}", difference(y, x, each), allowed, x.share)
            for (a, x), (b, y) in pairwise(zip(found, at, strict=True))
        ]
    if isinstance(relation, Computed):
        each = 1 - (1 - confidence) / max(1, len(own))
        parts = []
        for index in own:
            known, one = numbers(specs[index]), gathered([index])
            value = relation.formula.value(known)
            allowed = Bounds(value - relation.within, value + relation.within)
            label = ", ".join(f"{name}={known[name]:g}" for name in sorted(relation.formula.names))
            parts.append(Judgement(label, estimate(one, each), allowed, one.share))
        return parts
    one = gathered(own)
    return [Judgement("", estimate(one, confidence), relation, one.share)]


def _gathered(where: str, claim: Claim, outcomes: Rows, chosen: Sequence[int]) -> Values:
    """The measure of all networks of the chosen cells that have one; of those among which the claim is, maybe none.

    Raises:
        ClaimError: no network has the measure.
    """
    found = [(values(outcomes[index], claim.measure), outcomes[index]) for index in chosen]
    measured = [(*one, rows) for one, rows in found if one is not None]
    if not any((~np.isnan(taken)).any() for taken, _, _ in measured):
        names = sorted(set().union(*(outcomes[index] for index in chosen))) if chosen else []
        rule = "must be measured in the claim's cells" if chosen else "must have an outcome of the claim's cells"
        raise ClaimError(
            [Fault(f"{where}.measure", rule, claim.measure, nearest(claim.measure, names) if names else "")]
        )
    taken = np.concatenate([taken for taken, _, _ in measured])
    seeds = np.concatenate([rows["seed"] for *_, rows in measured])
    known = ~np.isnan(taken)
    _, place, times = np.unique(seeds[known], return_inverse=True, return_counts=True)
    # replicates=auto gives cells unlike numbers: none may weigh more for it
    known[known] = (times == times.max())[place]
    if claim.among == SOLVED:
        known &= np.concatenate([rows[SOLVED] for *_, rows in measured])
    if claim.counts is None:
        return Values(taken[known], seeds[known], measured[0][1])
    within = (claim.counts.low <= taken[known]) & (taken[known] <= claim.counts.high)
    return Values(within.astype(float), seeds[known], True)
