"""Why networks did not learn, in words: of each verdict that occurs a sentence with the numbers measured, and since
when. No torch."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from nnspec.analysis.levels import group_by, short
from nnspec.diagnostics.sentences import number, since_text
from nnspec.diagnostics.verdicts import VERDICT_ENTRIES
from nnspec.explaining.verdict import part
from nnspec.results.arrays import Results
from nnspec.results.table import outcome_columns
from nnspec.specs import RunSpec

if TYPE_CHECKING:
    import pandas as pd

SOLVED = "solved"


@dataclass(frozen=True)
class Explanation:
    """Networks that ended with one verdict: ``networks`` of ``total``.

    ``sentence`` has the numbers measured, of one network or medians over ``measured`` networks: those of the
    combination of choices ``where`` that has most of them, or all where there is one combination only. ``since`` is a
    clause, or empty where nothing tells; ``since_update`` its number.
    """

    verdict: str
    networks: int
    total: int
    sentence: str
    since: str
    since_update: float | None
    measured: int
    where: str = ""

    def said(self) -> str:
        """The sentence, and since when."""
        return self.sentence + (f"; {self.since}" if self.since else "")

    def __str__(self) -> str:
        many = f"{self.verdict} {100 * self.networks / self.total:.1f}%: " if self.total > 1 else ""
        return many + (f"as in {self.where}: " if self.where else "") + self.said()


@dataclass(frozen=True)
class Medians(Mapping[str, float]):
    """The median of each of ``columns`` [m] over networks ``which``, taken when it is asked for: a sentence needs few
    of them."""

    columns: Mapping[str, Any]
    which: np.ndarray

    def __getitem__(self, name: str) -> float:
        return median(np.asarray(self.columns[name])[self.which])

    def __iter__(self) -> Iterator[str]:
        return iter(self.columns)

    def __len__(self) -> int:
        return len(self.columns)


def explained(verdict: np.ndarray, columns: Mapping[str, Any], spec: RunSpec) -> list[Explanation]:
    """An explanation of each verdict but 'solved' that networks [m] of one spec ended with, the most common first.

    ``columns`` are what was measured on them, [m] each by name; what is no number is left out.
    """
    found = []
    for name in _by_count(verdict):
        which = np.flatnonzero(verdict == name)
        numbers = Medians(columns, which)
        found.append(_explanation(name, numbers, spec, len(which), len(verdict)))
    return found


def explained_result(result: Results) -> list[Explanation]:
    """The explanations of a cell that has trained."""
    if bool(result.solved.all()):
        return []
    return explained(result.verdict.astype(str), outcome_columns(result), result.spec)


def explained_table(
    table: pd.DataFrame, axes: Sequence[str], spec_of: Callable[[int], RunSpec | None]
) -> list[Explanation]:
    """The explanations of a sweep's networks by its table: of each verdict, that of the combination of ``axes`` that
    has most networks with it, for medians over different specs would be those of no network.

    ``spec_of`` gives the spec of a row of the table; where it gives None the verdict's summary stands for a sentence.
    """
    found = []
    verdict = table["verdict"].to_numpy().astype(str)
    for name in _by_count(verdict):
        rows = table[verdict == name]
        where, some = _largest(rows, axes)
        spec = spec_of(some.index[0])
        numbers = Medians({str(key): _floats(some[key]) for key in some}, np.arange(len(some)))
        one = _explanation(name, numbers, spec, len(rows), len(table), len(some))
        found.append(replace(one, where=where))
    return found


def lines(explanations: Sequence[Explanation]) -> str:
    """All of them for a terminal, each beside the label 'why'; empty without any."""
    return "\n".join(part("" if number else "why", str(one)) for number, one in enumerate(explanations))


def median(values: np.ndarray) -> float:
    """The median of the values that are finite numbers; NaN where there is none, or they are no numbers."""
    if values.dtype.kind not in "iuf":
        return math.nan
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) > 1 else float(known[0]) if len(known) else math.nan


def _by_count(verdict: np.ndarray) -> list[str]:
    """The verdicts but 'solved' that occur and are known, the most common first."""
    names, counts = np.unique(verdict, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    return [str(names[i]) for i in order if names[i] != SOLVED and names[i] in VERDICT_ENTRIES]


def _largest(rows: pd.DataFrame, axes: Sequence[str]) -> tuple[str, pd.DataFrame]:
    """The largest group of rows that agree on the axes, in words and as it is."""
    varied = [axis for axis in axes if axis in rows and axis != "seed"]
    if not varied:
        return "", rows
    groups = group_by(rows, varied)
    _, first, sizes = np.unique(groups.codes, return_index=True, return_counts=True)
    chosen = np.lexsort((first, -sizes))[0]  # of groups as large the first one
    words = [
        f"{short(one.axis)}={_typed(one.values[level], one.labels[level])}"
        for one, level in zip(groups.levels, groups.combos[chosen], strict=True)
    ]
    return " ".join(words), rows[groups.codes == chosen]


def _typed(value: object, label: str) -> str:
    """A choice as one types it: whole numbers are fractions (16.0) in the table where some cells have none."""
    return label.removesuffix(".0") if isinstance(value, float) else label


def _floats(column: pd.Series[Any]) -> np.ndarray:
    """A column's values, whole numbers with gaps as floats with NaN."""
    values = column.to_numpy(dtype=float, na_value=math.nan) if str(column.dtype) == "Int64" else column.to_numpy()
    return np.asarray(values)


def _explanation(
    name: str, numbers: Mapping[str, float], spec: RunSpec | None, networks: int, total: int, measured: int = 0
) -> Explanation:
    entry = VERDICT_ENTRIES[name]
    at = number(numbers, "since")
    measured = measured or networks
    several = measured > 1
    sentence = entry.said(numbers, spec)
    since = "" if spec is None else since_text(name, numbers, spec, several)
    return Explanation(name, networks, total, sentence, since, None if math.isnan(at) else at, measured)
