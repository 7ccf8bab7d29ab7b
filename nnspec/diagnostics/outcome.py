"""From measurements to one verdict a network: the first condition that holds, in this order."""

from __future__ import annotations

import numpy as np

from nnspec.diagnostics import conditions
from nnspec.diagnostics.gradients import undisturbed
from nnspec.diagnostics.group import Diagnosis, Group
from nnspec.diagnostics.since import since
from nnspec.diagnostics.thresholds import THRESHOLDS, Thresholds
from nnspec.diagnostics.verdicts import NEED_LAYERS

# What cannot be argued with comes first, then causes before the symptoms they would also show: a network with dead
# units or copies sits in a minimum or on a saddle because of them, and one on a plateau may still crawl.
ORDER = (
    conditions.diverged,
    conditions.solved,
    conditions.beyond_capacity,
    conditions.dead_units,
    conditions.symmetric,
    conditions.saturated,
    conditions.local_minimum,
    conditions.saddle,
    conditions.still_learning,
)
STUCK = "stuck"  # none of these: said rather than guessed


def diagnose(group: Group, thresholds: Thresholds = THRESHOLDS) -> Diagnosis:
    """The verdict on each network of a group, and the numbers it rests on.

    It draws nothing from a global generator and leaves torch's settings as they were. No network's result depends
    on the others'.
    """
    with undisturbed():
        case = conditions.open_case(group, thresholds)
        verdict = np.full(len(group.right), STUCK, dtype=object)
        which = np.arange(len(verdict))
        opaque = case.rows.problem.shape.opaque
        for condition in (asked for asked in ORDER if not opaque or asked.__name__ not in NEED_LAYERS):
            holds = condition(case, which)
            verdict[which[holds]] = condition.__name__
            which = which[~holds]
        verdict = verdict.astype(str)
        at = since(case, verdict)
    plateau = np.where(verdict == conditions.local_minimum.__name__, group.loss[:, -1].astype(np.float64), np.nan)
    numbers = case.numbers | {"plateau_loss": plateau, "since": at}
    finite = {name: np.where(np.isfinite(values), values, np.nan) for name, values in numbers.items()}
    return Diagnosis(verdict, finite, case.rows.extent.estimates())
