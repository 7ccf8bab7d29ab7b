"""The picture of a verdict: its example, computed by the plain reference. No torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from nnspec.analysis.figures.examples import Line, UnitValues, plot_example
from nnspec.analysis.figures.plane import Surface, surface_info
from nnspec.catalog.maths import NumpyMaths
from nnspec.diagnostics.activations import slopes
from nnspec.diagnostics.thresholds import THRESHOLDS
from nnspec.diagnostics.verdicts import verdict_entry
from nnspec.explaining.examples import EXAMPLES, Example
from nnspec.problem import Problem
from nnspec.reference import Tensors, activation, backward, forward, loss_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

XP = NumpyMaths()
GRID = np.linspace(-0.5, 1.5, 61)  # of the plane; the rows lie on it
REACH = np.linspace(-0.6, 0.6, 81)  # along directions whose length is 1
STEP = 1e-4  # of finite differences


def verdict_figure(name: str) -> Figure:
    """The picture of a verdict, on a network whose weights were written down by hand.

    Raises:
        SpecError: there is no such verdict.
    """
    entry = verdict_entry(name)
    example = EXAMPLES[name]
    sides: dict[str, Callable[[Example], Surface | Line]] = {
        "plane": over_the_plane,
        "directions": along_directions,
        "loss": over_training,
    }
    return plot_example(
        unit_values(example), sides[example.right](example), f"{name}: {entry.summary}", example.caption
    )


def unit_values(example: Example) -> UnitValues:
    """What the hidden units say of each row, and where next to no gradient passes."""
    problem, weights = Problem.of(example.spec), example.tensors
    layers = forward(problem, weights)
    hidden = layers[:-1]
    flat = [np.abs(activation(one.after, weights).slope(XP, one.z, one.h)) for one in hidden]
    bounds = [THRESHOLDS.flat * slopes(one.after.member).largest for one in hidden]
    off = [np.broadcast_to(slope < bound, one.h.shape) for slope, bound, one in zip(flat, bounds, hidden, strict=True)]
    none = np.empty((len(problem.inputs), 0))
    outputs = layers[-1].h[:, 0]
    return UnitValues(
        rows=tuple(" ".join(f"{value:g}" for value in row) for row in problem.inputs),
        values=np.hstack([none, *(one.h for one in hidden)]),
        off=np.hstack([none.astype(bool), *off]),
        outputs=outputs,
        targets=problem.targets[:, 0],
        wrong=np.abs(outputs - problem.targets[:, 0]) >= problem.tolerance,
    )


def over_the_plane(example: Example) -> Surface:
    """Its output over the plane of the two inputs, with the rows."""
    problem = Problem.of(example.spec)
    points = np.stack([axis.ravel() for axis in np.meshgrid(GRID, GRID)], axis=1)
    p = forward(replace(problem, inputs=points), example.tensors)[-1].h[:, 0].reshape(len(GRID), len(GRID))
    return surface_info(GRID, GRID, p, problem.inputs, problem.targets[:, 0], tolerance=problem.tolerance)


def over_training(example: Example) -> Line:
    """Its losses over training, as they were written down with the weights."""
    steps = example.steps
    return Line(steps, {"": np.array(example.loss)}, "updates", "loss", float(steps[-1]))


def along_directions(example: Example) -> Line:
    """Its loss along the directions of smallest and of largest curvature, the network in the middle."""
    problem, weights = Problem.of(example.spec), example.tensors
    values, vectors = np.linalg.eigh(hessian(problem, weights))
    base, lines = flat(weights), {}
    for word, place in (("smallest", 0), ("largest", -1)):
        along = [unflat(base + step * vectors[:, place], weights) for step in REACH]
        label = f"of {word} curvature, {round(values[place], 6) + 0.0:.2g}"
        lines[label] = np.array([loss_of(problem, forward(problem, tensors)[-1]) for tensors in along])
    return Line(REACH, lines, "step along a direction", "loss", 0.0)


def hessian(problem: Problem, weights: Tensors) -> np.ndarray:
    """The Hessian [P, P] of the loss, by central differences of the gradient; symmetric."""
    base = flat(weights)

    def gradient(at: np.ndarray) -> np.ndarray:
        tensors = unflat(at, weights)
        found = backward(problem, tensors, forward(problem, tensors))
        return flat({name: found[name] for name in weights})

    rows = [(gradient(base + move) - gradient(base - move)) / (2 * STEP) for move in STEP * np.eye(len(base))]
    whole = np.array(rows)
    return (whole + whole.T) / 2


def flat(weights: Tensors) -> np.ndarray:
    """All weights one after another, [P]."""
    return np.concatenate([tensor.ravel() for tensor in weights.values()])


def unflat(values: np.ndarray, like: Tensors) -> Tensors:
    """The tensors of weights [P], named and shaped as ``like``."""
    ends = np.cumsum([tensor.size for tensor in like.values()])[:-1]
    parts = np.split(values, ends)
    return {name: part.reshape(tensor.shape) for part, (name, tensor) in zip(parts, like.items(), strict=True)}
