"""What no weights can do: rows that a linear program shows to be inseparable.

A row is right if its output is within the tolerance of its target. Through a monotone output activation (or softmax)
that bounds the output's pre-activations linearly, and these are linear in the weights of the last layer. Whether all
bounds can hold at once is a linear program; if they cannot, no last layer on these features solves the problem.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from nnspec.catalog import Bound, Loss
from nnspec.catalog.maths import NumpyMaths
from nnspec.diagnostics.activations import slopes
from nnspec.duration import tolerance
from nnspec.problem import Problem
from nnspec.specs import Member, RunSpec, Solved

FAR = 1e6  # pre-activations beyond this are as good as infinite: no output within float's reach changes any more
ROWS = 4096  # rows a program looks at: what is impossible on some of the rows is impossible on all
IMPOSSIBLE, FREE = -np.inf, np.inf  # margins: no pre-activation is near enough to a target; nothing was proved
XP = NumpyMaths()
ANY = Member("any")  # initialisation and optimizer: they have no say in what a model can do


@dataclass(frozen=True)
class Bounds:
    """``directions`` [c, k] and ``least`` [n, c]: row r is right only if directions @ z_r > least_r. ``width`` [n, c]
    is half the room between opposite bounds, at most 1: the unit in which the program measures a margin."""

    directions: np.ndarray
    least: np.ndarray
    width: np.ndarray


def model_margin(spec: RunSpec) -> float:
    """How far the best weights of a checked spec's model are from solving its data, as ``margin`` counts it.

    Below 0: proved impossible. Infinite where there is nothing to prove, for the model is not linear.
    """
    return _model_margin(spec.model, spec.activation, spec.loss, spec.data, tolerance(spec))


@lru_cache(maxsize=1024)
def _model_margin(model: Member, activation: Member, loss: Member, data: Member, tolerance: float) -> float:
    problem = Problem.of(RunSpec(model, activation, ANY, ANY, loss, data, solved=Solved(tolerance)))
    needed = bounds(problem)
    if needed is None:
        return FREE
    if not np.isfinite(needed.width).all():
        return IMPOSSIBLE
    if not all(slopes(after.member).linear for after in problem.shape.hidden):
        return FREE
    return margin(problem.inputs, needed)


def margin(features: np.ndarray, needed: Bounds) -> float:
    """The largest s <= 1 such that some linear layer on ``features`` [n, d] keeps every bound with room s * width.

    Above 0 the rows are separable; at 0 or below they are not, and -s says by how much the worst bound is missed.
    """
    from scipy.optimize import linprog

    rows, columns = min(len(features), ROWS), needed.directions.shape[1]
    x = np.column_stack([features, np.ones(len(features))])[:rows]
    weights = x.shape[1] * columns
    # directions @ (W x_r) = sum_kj directions[c, k] W[k, j] x[r, j]
    left = np.einsum("ck,rj->rckj", needed.directions, x).reshape(-1, weights)
    least, width = needed.least[:rows].ravel(), needed.width[:rows].ravel()
    finite = np.isfinite(least)
    table = np.column_stack([-left[finite], width[finite]])
    cost = np.append(np.zeros(weights), -1.0)
    free = [(None, None)] * weights + [(None, 1.0)]
    found = linprog(cost, A_ub=table, b_ub=-least[finite], bounds=free, method="highs")
    return float(found.x[-1]) if found.status == 0 else FREE


def bounds(problem: Problem) -> Bounds | None:
    """What the output's pre-activations must be for every row to be right; None if that is no set of linear bounds.

    A row that no pre-activation makes right has infinite ``width``.
    """
    targets, output, tolerance = problem.targets, problem.output, problem.tolerance
    if not output.entry.elementwise:
        return _softmax_bounds(targets, tolerance)
    if not _is_monotone(output):
        return None
    spans = {y: _span(problem.loss, output, y, tolerance) for y in np.unique(targets)}
    low, high = np.array([[spans[y] for y in row] for row in targets]).transpose(2, 0, 1)
    width = np.where(low < high, np.minimum(1.0, (high - low) / 2), np.inf)
    eye = np.eye(targets.shape[1])
    return Bounds(np.vstack([eye, -eye]), np.hstack([low, -high]), np.hstack([width, width]))


def _softmax_bounds(targets: np.ndarray, tolerance: float) -> Bounds:
    """p_y > 1 - tolerance needs z_y - z_j > log((1 - tolerance) / tolerance) for every other class j."""
    classes = targets.shape[1]
    pairs = [(a, b) for a in range(classes) for b in range(classes) if a != b]
    directions = np.zeros((len(pairs), classes))
    for row, (a, b) in enumerate(pairs):
        directions[row, a], directions[row, b] = 1, -1
    gap = np.log((1 - tolerance) / tolerance) if tolerance < 1 else -np.inf
    mine = np.stack([targets[:, a] == 1 for a, _ in pairs], axis=1)
    return Bounds(directions, np.where(mine, gap, -np.inf), np.ones(mine.shape))


def _is_monotone(output: Bound) -> bool:
    """Whether the activation never falls, on a grid from -FAR to FAR that is dense around 0."""
    half = np.concatenate([np.linspace(0, 10, 2001), np.geomspace(10, FAR, 500)[1:]])
    return bool((np.diff(output.value(XP, np.concatenate([-half[:0:-1], half]))) >= 0).all())


def _span(loss: Loss, output: Bound, target: float, tolerance: float) -> tuple[float, float]:
    """The open interval of pre-activations whose output is within the tolerance of ``target``; (0, 0) if there is
    none."""

    def right(z: float) -> bool:
        p = output.value(XP, np.array([[z]]))
        return bool(loss.distance(XP, p, np.array([[target]]))[0, 0] < tolerance)

    def below(z: float) -> bool:
        return bool(output.value(XP, np.array([z]))[0] < target)

    middle = _edge(-FAR, FAR, below)
    if not right(middle):
        return 0.0, 0.0
    low = -np.inf if right(-FAR) else _edge(-FAR, middle, lambda z: not right(z))
    high = np.inf if right(FAR) else _edge(middle, FAR, right)
    return low, high


def _edge(low: float, high: float, is_low: Callable[[float], bool]) -> float:
    """Where ``is_low`` turns from true to false between ``low`` and ``high``, by bisection; ``high`` if it never
    does."""
    if not is_low(low):
        return low
    for _ in range(200):  # to the last digit: the interval halves each time
        middle = (low + high) / 2
        low, high = (middle, high) if is_low(middle) else (low, middle)
    return high
