"""What no weights can do: rows that a linear program shows to be inseparable.

A row is right if its output is within the tolerance of its target. Through a monotone output activation (or softmax)
that bounds the output's pre-activations linearly, and these are linear in the weights of the last layer. Whether all
bounds can hold at once is a linear program; if they cannot, no last layer on these features solves the problem.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from nnspec.catalog import Bound, Loss
from nnspec.catalog.maths import NumpyMaths
from nnspec.diagnostics.activations import slopes
from nnspec.diagnostics.rows import on_rows
from nnspec.problem import Problem
from nnspec.specs import Member, RunSpec, Solved

FAR = 1e6  # pre-activations beyond this are as good as infinite: no output within float's reach changes any more
ROWS = 4096  # rows a program looks at: what is impossible on some of the rows is impossible on all
TABLE = 2**20  # numbers in a program's table: half a second or so
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
    return _model_margin(spec.model, spec.activation, spec.loss, spec.data, spec.solved)


@lru_cache(maxsize=1024)
def _model_margin(model: Member, activation: Member, loss: Member, data: Member, solved: Solved) -> float:
    return problem_margin(Problem.of(RunSpec(model, activation, ANY, ANY, loss, data, solved=solved)))


def problem_margin(problem: Problem) -> float:
    """``model_margin`` of the model on the rows of a problem of NumPy arrays."""
    if problem.output.entry.elementwise:  # softmax reaches every target
        needed = bounds(on_rows(problem, ROWS))
        if needed is None:
            return FREE
        if not np.isfinite(needed.width).all():
            return IMPOSSIBLE
    if not all(slopes(after.member).linear for after in problem.shape.hidden):
        return FREE
    return separation(problem, problem.inputs)


def separation(problem: Problem, features: np.ndarray) -> float:
    """The ``margin`` of the problem's rows by their ``features`` [n, d]: on all rows if the program's table fits, else
    on as many as fit; infinite (not asked) if those are so few that nearly any targets are separable on them."""
    rows, most = len(features), program_rows(problem, features.shape[1])
    if most < rows and most <= 2 * (features.shape[1] + 1):  # Cover 1965
        return FREE
    some = on_rows(replace(problem, inputs=features), most)
    needed = bounds(some)
    return FREE if needed is None else margin(some.inputs, needed)


def program_rows(problem: Problem, features: int) -> int:
    """Rows whose bounds fit into a linear program's table."""
    outputs = problem.shape.outputs
    each = 2 * outputs if problem.output.entry.elementwise else outputs - 1  # bounds a row
    return min(ROWS, TABLE // (each * ((features + 1) * outputs + 1)))


def margin(features: np.ndarray, needed: Bounds) -> float:
    """The largest s <= 1 such that some linear layer on ``features`` [n, d] keeps every bound with room s * width.

    Above 0 the rows are separable; at 0 or below they are not, and -s says by how much the worst bound is missed.
    """
    half = len(needed.directions) // 2
    opposite = np.array_equal(needed.directions[:half], -needed.directions[half:])
    if opposite and len(features) ** 2 * half <= TABLE and (features == features[0]).all():
        return _margin_of_one_point(needed)
    return _margin_by_program(features, needed)


def _margin_of_one_point(needed: Bounds) -> float:
    """The margin of rows with the same features, and so the same pre-activations, as of units that are off, without
    SciPy, which takes a quarter of a second to be imported.

    The second half of the directions is opposite to the first. z >= least_i + s width_i and -z >= least_j + s width_j
    leave some z if least_i + least_j + s (width_i + width_j) <= 0; intervals of which any two meet all meet.
    """
    half = len(needed.directions) // 2
    gap = -(needed.least[:, None, :half] + needed.least[None, :, half:])
    width = needed.width[:, None, :half] + needed.width[None, :, half:]
    return float(min(1.0, np.divide(gap, width, out=np.full(gap.shape, np.inf), where=np.isfinite(gap)).min()))


def _margin_by_program(features: np.ndarray, needed: Bounds) -> float:
    """The margin of any rows, by a linear program."""
    from scipy.optimize import linprog

    rows, columns = min(len(features), ROWS), needed.directions.shape[1]
    x = np.column_stack([features, np.ones(len(features))])[:rows]
    weights = x.shape[1] * columns
    row, bound = np.nonzero(np.isfinite(needed.least[:rows]))
    # directions @ (W x_r) = sum_kj directions[c, k] W[k, j] x[r, j]
    left = (needed.directions[bound][:, :, None] * x[row][:, None, :]).reshape(-1, weights)
    table = np.column_stack([-left, needed.width[row, bound]])
    cost = np.append(np.zeros(weights), -1.0)
    free = [(None, None)] * weights + [(None, 1.0)]
    found = linprog(cost, A_ub=table, b_ub=-needed.least[row, bound], bounds=free, method="highs")
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
    different, where = np.unique(targets, return_inverse=True)
    low, high = _spans(problem.loss, output, different, tolerance)[:, where.reshape(targets.shape)]
    width = np.where(low < high, np.minimum(1.0, (high - low) / 2), np.inf)
    eye = np.eye(targets.shape[1])
    return Bounds(np.vstack([eye, -eye]), np.hstack([low, -high]), np.hstack([width, width]))


def _softmax_bounds(targets: np.ndarray, tolerance: float) -> Bounds:
    """A row is right if p_y - p_j > 1 - 2 tolerance for every other class j.

    p_y - p_j = (p_y + p_j) tanh((z_y - z_j) / 2), and p_y + p_j is at most 1; so z_y - z_j > log((1 - tolerance) /
    tolerance) is needed. It is enough too with two classes or a tolerance of 1/2 (the right class has the largest
    output). With more of both, any z_y - z_j will do where p_y + p_j is small.
    """
    classes = targets.shape[1]
    pairs = [(a, b) for a in range(classes) for b in range(classes) if a != b]
    directions = np.zeros((len(pairs), classes))
    for row, (a, b) in enumerate(pairs):
        directions[row, a], directions[row, b] = 1, -1
    bounded = tolerance < 1 if classes == 2 else tolerance <= 0.5
    gap = np.log((1 - tolerance) / tolerance) if bounded else -np.inf
    mine = np.stack([targets[:, a] == 1 for a, _ in pairs], axis=1)
    return Bounds(directions, np.where(mine, gap, -np.inf), np.ones(mine.shape))


def _is_monotone(output: Bound) -> bool:
    """Whether the activation never falls, on a grid from -FAR to FAR that is dense around 0."""
    half = np.concatenate([np.linspace(0, 10, 2001), np.geomspace(10, FAR, 500)[1:]])
    return bool((np.diff(output.value(XP, np.concatenate([-half[:0:-1], half]))) >= 0).all())


def _spans(loss: Loss, output: Bound, targets: np.ndarray, tolerance: float) -> np.ndarray:
    """The open intervals of pre-activations whose output is within the tolerance of each target [t]: their ends [2, t];
    (0, 0) where there is none."""

    def right(z: np.ndarray) -> np.ndarray:
        p = output.value(XP, z[:, None])
        return np.asarray(loss.distance(XP, p, targets[:, None])[:, 0] < tolerance)

    def below(z: np.ndarray) -> np.ndarray:
        return np.asarray(output.value(XP, z) < targets)

    far = np.full(len(targets), FAR)
    middle = _edges(-far, far, below)
    low = np.where(right(-far), -np.inf, _edges(-far, middle, lambda z: ~right(z)))
    high = np.where(right(far), np.inf, _edges(middle, far, right))
    return np.where(right(middle), [low, high], 0.0)


def _edges(low: np.ndarray, high: np.ndarray, is_low: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Where ``is_low`` turns from true to false between each ``low`` and ``high`` [t], by bisection; ``low`` where it
    is false already, ``high`` if it never does."""
    start, passed = low, ~is_low(low)
    for _ in range(200):  # to the last digit: the interval halves each time
        middle = (low + high) / 2
        lower = is_low(middle)
        low, high = np.where(lower, middle, low), np.where(lower, high, middle)
    return np.where(passed, start, high)
