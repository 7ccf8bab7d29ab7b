"""What a command requires of each of its cells (``require.*``), judged by what the cell's networks left."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nnspec.intervals import wilson_limits
from nnspec.results.arrays import Interval, Limits, quantiles
from nnspec.settings import Require

REQUIRE_TAG = "nnspec.require"  # of a run in MLflow: whether its requirements held
SHOWN = 10  # requirements that did not hold, told one by one
TEST_ACCURACY = "final_test_accuracy"  # the column that require.test_accuracy is of


@dataclass(frozen=True)
class Check:
    """One requirement of one cell: what is ``required``, what the cell ``got`` (NaN where nothing was measured), and
    whether that is enough. ``limits`` are those of a solve rate, as ``rate``."""

    cell: int
    requirement: str
    required: float
    got: float
    holds: bool
    rate: float | None = None
    limits: Limits | None = None

    def __str__(self) -> str:
        got = "nothing" if np.isnan(self.got) else apart(self.got, self.required)
        if self.rate is not None and self.limits is not None:
            rate = "" if self.rate == self.got else f" of {self.rate:.4g}"
            got += f"{rate} [{self.limits[0]:.3f}, {self.limits[1]:.3f}]"
        return f"require.{self.requirement} {self.required:g}, but got {got}"


NOTHING = Require()


def checks(
    require: Require, cell: int, outcome: Mapping[str, np.ndarray], interval: Interval | None = None
) -> Iterator[Check]:
    """Every requirement of one cell, whose networks left ``outcome`` (see ``results.table.outcome_rows``). ``interval``
    gives the solve rate's limits where Wilson's would not be honest."""
    if require == NOTHING:
        return  # of very many cells, and intervals take a while
    solved = outcome["solved"].astype(bool)
    rate, limits = float(solved.mean()), solve_limits(solved, interval)
    if require.solve_rate is not None:
        yield Check(cell, "solve_rate", require.solve_rate, rate, rate >= require.solve_rate, rate, limits)
    if require.solve_rate_low is not None:
        low = limits[0]
        yield Check(cell, "solve_rate_low", require.solve_rate_low, low, low >= require.solve_rate_low, rate, limits)
    if require.final_loss is not None:
        loss = quantiles(outcome["final_loss"])[1]
        yield Check(cell, "final_loss", require.final_loss, loss, loss <= require.final_loss)
    if require.test_accuracy is not None:
        accuracy = quantiles(outcome[TEST_ACCURACY])[1] if TEST_ACCURACY in outcome else np.nan
        yield Check(cell, "test_accuracy", require.test_accuracy, accuracy, accuracy >= require.test_accuracy)


def apart(value: float, other: float) -> str:
    """A number with as many digits as tell it from another."""
    few, many = f"{value:.4g}", repr(value)
    return few if float(few) != other else many


def solve_limits(solved: np.ndarray, interval: Interval | None = None) -> Limits:
    """The limits of the solve rate of networks that are ``solved`` [m] or not: Wilson's unless others are given."""
    return (interval or wilson_limits)(int(solved.sum()), len(solved))


def required_tag(found: Sequence[Check]) -> dict[str, str]:
    """The tag of a run that says whether its requirements held; none where nothing was required."""
    if not found:
        return {}
    unmet = [check for check in found if not check.holds]
    names = ", ".join(dict.fromkeys(check.requirement for check in unmet))
    cells = len({check.cell for check in found})
    where = f" in {len({check.cell for check in unmet})} of {cells} cells" if cells > 1 else ""
    return {REQUIRE_TAG: f"not held{where}: {names}" if unmet else "held"}


def unmet_lines(unmet: Sequence[Check], names: Sequence[str] | None) -> Iterator[str]:
    """A line for each requirement that did not hold, of many for the first. ``names`` are those of a sweep's cells."""
    for check in unmet[:SHOWN]:
        yield f"cell {check.cell} ({names[check.cell]}): {check}" if names else str(check)
    more = len(unmet) - SHOWN
    if more > 0:
        yield f"... and {more:,} more requirements that did not hold"
