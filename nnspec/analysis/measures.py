"""What networks are compared by: whether they solved, or a number of each network that has a mean.

A network that broke counts as the worst of all, never as none: its accuracy is 0 already, and its loss, which is no
finite number and would make every mean infinite, counts as the largest finite loss of the table. Means of losses are
therefore too kind to levels whose networks diverge; ``broken`` says how many did.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nnspec.analysis.levels import AnalysisError
from nnspec.errors import unknown

if TYPE_CHECKING:
    import pandas as pd

SOLVED = "solved"


@dataclass(frozen=True)
class Measure:
    """A column of the table that has a mean, and the limits of what it can be."""

    name: str
    words: str
    most: float  # of a value; none is below 0
    rising: bool  # more is better


MEASURES = {
    each.name: each
    for each in (
        Measure("final_loss", "final loss", np.inf, rising=False),
        Measure("final_accuracy", "final accuracy", 1.0, rising=True),
        Measure("final_test_loss", "final test loss", np.inf, rising=False),
        Measure("final_test_accuracy", "final test accuracy", 1.0, rising=True),
    )
}
NAMES = (SOLVED, *MEASURES)  # ``solved_at`` has no mean: of a network that is not solved nobody knows it


@dataclass(frozen=True)
class Measured:
    """The values of a measure, [m] each, all finite; ``broken`` are those of networks that had none."""

    measure: Measure
    values: np.ndarray
    broken: np.ndarray


def measured(table: pd.DataFrame, name: str) -> Measured:
    """The values of one of ``MEASURES`` for every network of the table.

    Raises:
        AnalysisError: there is no such measure, networks have no test part to measure it on, or all of them broke.
    """
    if name not in MEASURES:
        raise AnalysisError(str(unknown("measure", "measure", name, NAMES)))
    measure = MEASURES[name]
    _refuse_unmeasured(table, name)
    values = table[name].to_numpy(dtype=float)
    broken = ~np.isfinite(values)
    if not len(values) or not broken.any():
        return Measured(measure, values, broken)
    if broken.all():
        raise AnalysisError(
            f"{name} must be finite in one network at least, but all {len(values)} broke; compare solved"
        )
    return Measured(measure, np.where(broken, 0.0 if measure.rising else values[~broken].max(), values), broken)


def broken_text(table: pd.DataFrame, name: str) -> str:
    """How the networks count that have no finite value, in a line; empty where there is none."""
    found = measured(table, name)
    count = int(found.broken.sum())
    if not count:
        return ""
    worst = "0" if found.measure.rising else f"the largest finite one, {found.values.max():.4g}"
    return f"{count} of {len(table)} networks broke: their {found.measure.words} counts as {worst}"


def _refuse_unmeasured(table: pd.DataFrame, name: str) -> None:
    """A network that broke still has an accuracy, so one without was not measured."""
    if "test" not in name:
        return
    known = [column for column in ("final_test_accuracy", name) if column in table]
    missing = int(table[known[0]].isna().sum()) if name in known else len(table)
    if missing:
        raise AnalysisError(
            f"{name} needs networks with a test part, but {missing} of {len(table)} have none; set data.test_fraction"
        )
