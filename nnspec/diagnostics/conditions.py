"""The measured condition of each verdict, for the networks to which none before it applies.

A condition gets the case and the indices ``which`` [w] of those networks, and says for each whether it holds, [w] bool.
What it measures on the way it adds to the case's numbers, so that the costly measurements are made only where they
decide.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import torch

from nnspec.diagnostics.capacity import FREE, bounds, margin, model_margin, problem_margin, separation
from nnspec.diagnostics.curvature import curvature, directions, extremes, rayleigh
from nnspec.diagnostics.gradients import flatten, forward, padded
from nnspec.diagnostics.group import Group
from nnspec.diagnostics.modules import probes as module_probes
from nnspec.diagnostics.pieces import probe_in_pieces
from nnspec.diagnostics.probes import Probes, probe
from nnspec.diagnostics.room import Extent
from nnspec.diagnostics.rows import Rows
from nnspec.diagnostics.thresholds import Thresholds
from nnspec.diagnostics.trend import trends
from nnspec.problem import Problem
from nnspec.specs import Solved

INSEPARABLE = 1e-6  # a margin that a linear program cannot tell from 0
COSTLY = ("margin", "smallest_eigenvalue", "largest_eigenvalue")  # numbers that only some networks need


@dataclass(frozen=True)
class Case:
    """A group and what is known about it so far; ``numbers`` name -> [m] grow as conditions measure.

    At exact sizes all networks are measured at once, on all rows; beyond, one after another, on what ``rows.extent``
    says.
    """

    group: Group
    limits: Thresholds
    rows: Rows
    final: torch.Tensor  # [m, P]
    probes: Probes
    starts: Probes  # of the initial weights
    numbers: dict[str, np.ndarray] = field(default_factory=dict)

    def note(self, name: str, which: np.ndarray, values: np.ndarray | float) -> None:
        """Record a number of some of the networks."""
        self.numbers[name][which] = values


def open_case(group: Group, limits: Thresholds) -> Case:
    """The case of a group with everything cheap measured, at the end of training and at its start."""
    problem = Problem.of(group.spec) if group.problem is None else group.problem
    extent = Extent.of(problem.shape, len(problem.inputs), group.spec.train.epochs)
    kind = torch.float64 if extent.exact or group.spec.dtype == "float64" else torch.float32
    rows = Rows(problem, extent, kind)
    final, initial = flatten(problem.shape, group.final), flatten(problem.shape, group.initial)
    if problem.shape.opaque:
        ends, starts = module_probes.probe(rows, final, initial)
    elif extent.exact:
        function = problem.stacked(torch.from_numpy)
        ends, starts = probe(function, final, limits), probe(function, initial, limits)
    else:
        ends, starts = probe_in_pieces(rows, final, initial, limits)
    numbers = {name: values.copy() for name, values in ends.numbers.items()}
    numbers |= {f"init_{name}": values for name, values in starts.numbers.items()}
    numbers["loss_slope"], numbers["loss_jitter"] = trends(group)
    numbers |= {name: np.full(len(final), np.nan) for name in COSTLY}
    numbers["init_loss"] = group.loss[:, 0].astype(np.float64)
    probes = replace(ends, numbers={name: numbers[name] for name in ends.numbers})
    return Case(group, limits, rows, final, probes, starts, numbers)


def diverged(case: Case, which: np.ndarray) -> np.ndarray:
    """Something is not finite, or the loss is far above its start and growing."""
    lost = (
        (case.group.nonfinite_at >= 0)
        | ~torch.isfinite(case.final).all(1).numpy()
        | ~np.isfinite(case.group.loss[:, -1])
    )
    for name in case.probes.numbers:
        case.note(name, lost, np.nan)  # what a network computes that has left the numbers says nothing
    start, end = case.group.loss[:, 0].astype(np.float64), case.group.loss[:, -1].astype(np.float64)
    grown = (end > case.limits.diverged_factor * start) & (case.numbers["loss_slope"] > case.limits.growing)
    return (lost | grown)[which]


def solved(case: Case, which: np.ndarray) -> np.ndarray:
    """What the spec calls solved: every row of the training part is right, unless it says otherwise."""
    return case.group.right[which]


def beyond_capacity(case: Case, which: np.ndarray) -> np.ndarray:
    """A linear program proves that no weights of the model make every row right, where that is what the spec asks for.

    Asked of linear models only, on as many rows as fit its table: what is impossible on some rows is impossible on all.
    """
    if not len(which):
        return np.zeros(0, dtype=bool)
    group = case.group
    best = model_margin(group.spec) if group.problem is None else problem_margin(group.problem)
    if best != FREE:
        case.note("margin", which, best)
    return np.full(len(which), best <= INSEPARABLE and wants_every_row(group.spec.solved))


def wants_every_row(solved: Solved) -> bool:
    """Whether a network is only solved with every row of its training part right."""
    return solved.measure == "accuracy" and solved.at_least == 1


def dead_units(case: Case, which: np.ndarray) -> np.ndarray:
    """For every row that is not right, all units of some layer are off."""
    return case.probes.blocked[which]


def symmetric(case: Case, which: np.ndarray) -> np.ndarray:
    """Units are copies, and the distinct ones, as they stand, cannot tell the rows apart: a linear program proves
    it."""
    held = which[case.probes.copies[which]]
    case.note("margin", held, separations(case, held))
    return np.isin(which, held) & (case.numbers["margin"][which] <= INSEPARABLE)


def separations(case: Case, which: np.ndarray) -> np.ndarray:
    """The margin [w] with which some output layer could tell the rows apart by the last hidden activations.

    One linear program for each different set of weights: copies usually come from a constant, so that there is one.
    """
    if not len(which):
        return np.full(0, FREE)
    different, where = np.unique(case.final[which].numpy(), axis=0, return_inverse=True)
    measure = _separations if case.rows.extent.exact else _separations_on_the_sample
    return measure(case.rows, torch.from_numpy(different))[where.ravel()]


def _separations(rows: Rows, final: torch.Tensor) -> np.ndarray:
    needed = bounds(rows.problem)
    if needed is None:
        return np.full(len(final), FREE)
    function = rows.problem.stacked(torch.from_numpy)
    hidden = forward(function, padded(function, final)).h[-2].numpy()
    return np.array([margin(h, needed) for h in hidden[: len(final)]])


def _separations_on_the_sample(rows: Rows, final: torch.Tensor) -> np.ndarray:
    """Inseparable on the sample is inseparable. Of copies one will do, which makes the programs small."""
    sample, some = rows.sample(), rows.sampled()
    found = []
    for flat in final:
        hidden = forward(sample, rows.network(flat)).h[-2][0].to(torch.float64).numpy()
        found.append(separation(some, np.unique(hidden, axis=1)))
    return np.array(found)


def saturated(case: Case, which: np.ndarray) -> np.ndarray:
    """The activations let next to nothing through for rows that are not right, and next to nothing arrives."""
    numbers, limits = case.numbers, case.limits
    return (numbers["passage"][which] < limits.passage) & (numbers["gradient_ratio"][which] < limits.vanishing)


def local_minimum(case: Case, which: np.ndarray) -> np.ndarray:
    """The gradient is zero and the Hessian has no negative curvature; not asked behind an output that is a step, whose
    gradient is always zero."""
    if not case.rows.problem.shape.after[-1].entry.trainable:
        return np.zeros(len(which), dtype=bool)
    still = which[case.numbers["relative_gradient"][which] < case.limits.stationary]
    if len(still):
        low, high = curvatures(case, still)
        case.note("smallest_eigenvalue", still, low)
        case.note("largest_eigenvalue", still, high)
    return np.isfinite(case.numbers["smallest_eigenvalue"][which]) & ~saddle(case, which)


def curvatures(case: Case, which: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The smallest and the largest eigenvalue of the Hessians, [w] each.

    Beyond exact sizes the curvature along two directions, which a few steps of Lanczos on the sample propose, on all
    rows that are looked at: a negative one is a proof of a saddle, none is no proof of a minimum.
    """
    rows, final = case.rows, case.final[which]
    if rows.extent.exact:
        low, high = extremes(rows.problem.stacked(torch.from_numpy), final)
        return low, high
    found = []
    for flat in final:
        network = rows.network(flat)
        along = directions(curvature(rows.sample(), network), rows.extent.steps)
        found.append(rayleigh(rows.pieces(), network, along))
    low, high = np.sort(found, axis=1).T
    return low, high


def saddle(case: Case, which: np.ndarray) -> np.ndarray:
    """The gradient is zero (or the curvature would not have been measured) and the Hessian has negative curvature."""
    low, high = case.numbers["smallest_eigenvalue"][which], case.numbers["largest_eigenvalue"][which]
    return low < -case.limits.curvature * np.maximum(np.abs(low), np.abs(high))


def still_learning(case: Case, which: np.ndarray) -> np.ndarray:
    """The loss falls, and by more than it jitters."""
    slope, jitter = case.numbers["loss_slope"][which], case.numbers["loss_jitter"][which]
    return slope < -np.maximum(case.limits.falling, jitter)
