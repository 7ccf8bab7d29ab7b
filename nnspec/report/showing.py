"""What single networks look like, from their weights alone: output over the input plane, hidden units, activations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from nnspec.analysis.figures.rows import NO_ANSWER, RowOutcomes, classes_said
from nnspec.architecture import architecture, learns_numbers
from nnspec.diagnostics.gradients import outputs, stacked, undisturbed
from nnspec.problem import Problem, own_rows
from nnspec.specs import RunSpec
from nnspec.torch_maths import XP as TORCH

if TYPE_CHECKING:
    from nnspec.analysis.figures.fit import Fit
    from nnspec.analysis.figures.plane import UnitLines

Weights = Mapping[str, np.ndarray]
GRID = 41  # values of each input: data rows lie on it, for the margin is half of their span
MOST_ROWS = 10_000  # of a data set that a report passes through its networks
PLACES = 201  # of the only input at which outputs are drawn


@dataclass(frozen=True)
class Shown:
    """One network of a figure: its weights by ``state_dict`` name, from the untrained ones to the last; the spec is
    that of this network ``alone``."""

    label: str
    spec: RunSpec
    moments: Sequence[Weights]


def alone(spec: RunSpec, seed: int) -> RunSpec:
    """The spec of only that network, whose rows are its own with ``data.split=per_network``."""
    return replace(spec, seed=int(seed), replicates=1)


def on_the_plane(spec: RunSpec) -> bool:
    """Whether the network's inputs are two numbers, so that its output can be drawn over them."""
    return architecture(spec).inputs == 2


def plane_data(spec: RunSpec) -> tuple[np.ndarray, np.ndarray]:
    """The training rows [n, 2] and their targets [n]: of two classes 0 and 1, whatever the loss calls them, of more
    the class, of numbers the first."""
    problem = Problem.of(spec)
    return problem.inputs, _meant(spec, problem, problem.targets[None])[0]


def _meant(spec: RunSpec, problem: Problem, outputs: np.ndarray) -> np.ndarray:
    """What outputs or targets [m, n, k] mean, [m, n]: of two classes how near to class 1 they are, 0 to 1; of more the
    class, NaN where there is no answer; of numbers the first."""
    if learns_numbers(spec):
        return outputs[..., 0]
    if outputs.shape[2] > 2:
        said = classes_said(outputs)
        return np.where(said == NO_ANSWER, np.nan, said)
    with np.errstate(invalid="ignore"):
        return (outputs[..., -1] - problem.loss.off) / (1 - problem.loss.off)


def row_outcomes(spec: RunSpec, weights: Weights, most: int = MOST_ROWS) -> list[RowOutcomes]:
    """What networks with tensors [m, ...] say of the rows of each part of the data, of at most ``most`` evenly chosen
    ones a part."""
    problem = Problem.of(spec)
    if own_rows(spec):  # the others were trained on other rows
        weights = {name: tensor[:1] for name, tensor in weights.items()}
    parts = [("training", problem.inputs, problem.targets)]
    if len(problem.test_inputs):
        parts.append(("test", problem.test_inputs, problem.test_targets))
    numbers = learns_numbers(spec)
    return [_outcomes(problem, numbers, name, inputs, targets, weights, most) for name, inputs, targets in parts]


def _outcomes(
    problem: Problem,
    numbers: bool,
    part: str,
    inputs: np.ndarray,
    targets: np.ndarray,
    weights: Weights,
    most: int,
) -> RowOutcomes:
    count = len(inputs)
    rows = np.arange(count) if count <= most else np.unique(np.round(np.linspace(0, count - 1, most)).astype(int))
    problem = replace(problem, inputs=inputs[rows], targets=targets[rows])
    p, wrong = _answers(problem, weights)
    classes = 2 if targets.shape[1] == 1 else targets.shape[1]
    off = problem.loss.off
    if numbers:
        return RowOutcomes(part, targets[rows, 0], p[..., 0], wrong, rows=rows)
    wanted, said = (classes_said(values, (1 + off) / 2) for values in (targets[None, rows], p))
    return RowOutcomes(part, wanted[0], said, wrong, tuple(str(number) for number in range(classes)), rows)


def _answers(problem: Problem, weights: Weights) -> tuple[np.ndarray, np.ndarray]:
    """The outputs [m, n, k] of networks with tensors [m, ...] for the problem's rows, and which rows are wrong
    [m, n]."""
    problem = problem.stacked(torch.from_numpy)
    p = outputs(problem, weights)
    with undisturbed():
        near = problem.distances(TORCH, torch.from_numpy(p).permute(1, 2, 0)) < problem.tolerance
    return p, ~near.all(dim=1).T.numpy()


def surfaces(spec: RunSpec, networks: Sequence[Weights], labels: Sequence[str]) -> list[dict[str, Any]]:
    """What networks (or one at several moments) say over the plane, as ``analysis.surfaces_info`` reads it: see
    ``_meant``; that of a network that diverged is not finite. The rows are those of the spec's first network, the plane
    is that of all rows, whichever are its training part."""
    points, targets = plane_data(spec)
    xs, ys = plane_of(spec, GRID)
    together = _together(networks)
    p = over_plane(spec, networks, xs, ys)
    _, wrong = _answers(Problem.of(spec), together)
    plane = {"xs": xs, "ys": ys, "points": points, "targets": targets, "classes": classes_of(spec)}
    return [
        {"label": label, "p": one, "wrong": missed, **plane}
        for label, one, missed in zip(labels, p, wrong, strict=True)
    ]


def plane_of(spec: RunSpec, side: int) -> tuple[np.ndarray, np.ndarray]:
    """``side`` places of each of the two inputs, over the range of all rows and half as much again on each side."""
    problem = Problem.of(spec)
    every = np.concatenate([problem.inputs, problem.test_inputs])
    low, high = every.min(axis=0), every.max(axis=0)
    half = (high - low) / 2
    xs, ys = (np.linspace(low[i] - half[i], high[i] + half[i], side) for i in range(2))
    return xs, ys


def over_plane(spec: RunSpec, networks: Sequence[Weights], xs: np.ndarray, ys: np.ndarray) -> np.ndarray:
    """What networks of a kind say over the plane [m, y, x]: see ``_meant``."""
    grid = np.stack([axis.ravel() for axis in np.meshgrid(xs, ys)], axis=1)
    said = outputs(stacked(spec), _together(networks), grid)
    return _meant(spec, Problem.of(spec), said).reshape(len(networks), len(ys), len(xs))


def classes_of(spec: RunSpec) -> int:
    """The classes that a spec's networks tell apart; 0 where they learn numbers."""
    return 0 if learns_numbers(spec) else max(2, architecture(spec).outputs)


def _together(networks: Sequence[Weights]) -> Weights:
    """The tensors of networks as those of one stack, [m, ...]."""
    return {name: np.stack([weights[name] for weights in networks]) for name in networks[0]}


def fit(spec: RunSpec, weights: Weights) -> Fit | None:
    """The first output of networks with tensors [m, ...] over their only input, with the data's rows (all as one part
    where each network has parts of its own); None unless they learn a number from one input."""
    from nnspec.analysis.figures.fit import fit_info

    if architecture(spec).inputs != 1 or not learns_numbers(spec):
        return None
    problem = Problem.of(spec)
    rows = [
        (inputs[:, 0], targets[:, 0])
        for inputs, targets in ((problem.inputs, problem.targets), (problem.test_inputs, problem.test_targets))
    ]
    if own_rows(spec):
        (inputs, targets), (more_inputs, more_targets) = rows
        rows = [(np.concatenate([inputs, more_inputs]), np.concatenate([targets, more_targets]))]
    xs = np.linspace(rows[0][0].min(), rows[0][0].max(), PLACES)
    return fit_info(xs, outputs(stacked(spec), weights, xs[:, None])[..., 0], *rows)


def modules_of(specs: Iterable[RunSpec]) -> list[str]:
    """The models of ``specs`` whose layers are not looked into, each once."""
    return list(dict.fromkeys(spec.model.name for spec in specs if architecture(spec).opaque))


def unit_lines(shown: Shown) -> UnitLines | None:
    """Where the units of the first hidden layer are zero, from the first moment to the last; None without hidden
    units."""
    return first_lines(shown) if architecture(shown.spec).hidden else None


def first_lines(shown: Shown) -> UnitLines:
    """Where the units of the first layer are zero, from the first moment to the last; a perceptron has no other."""
    from nnspec.analysis.figures.plane import lines_info

    first = architecture(shown.spec).dense[0].name
    weights = [moment[f"{first}.weight"] for moment in shown.moments]
    biases = [moment[f"{first}.bias"] for moment in shown.moments]
    return lines_info(weights, biases, *plane_data(shown.spec), label=shown.label)
