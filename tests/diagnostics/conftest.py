"""Groups made by hand: networks with the weights, the loss history and the ending that a test gives them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from nnspec import reference
from nnspec.architecture import architecture
from nnspec.catalog import LOSSES
from nnspec.catalog.maths import NumpyMaths
from nnspec.diagnostics import Group
from nnspec.problem import Problem
from nnspec.results.arrays import Results
from nnspec.specs import RunSpec
from nnspec.training.loop import train_chunk
from nnspec.training.plan import plan

Weights = Mapping[str, Any]


def group_of(spec: RunSpec, weights: Weights, loss: Sequence[float] = (0.7, 0.7, 0.7), nonfinite_at: int = -1) -> Group:
    """One network that ended with ``weights``; whether it is right is computed by the slow reference."""
    final = {name: np.array(weights[name], dtype=np.float64) for name in architecture(spec).tensors()}
    assert {name: tensor.shape for name, tensor in final.items()} == architecture(spec).tensors()
    problem = Problem.of(spec)
    outputs = reference.forward(problem, final)[-1].h
    distance = LOSSES[spec.loss.name].distance(NumpyMaths(), outputs, problem.targets)
    stacked = {name: tensor[None] for name, tensor in final.items()}
    steps = np.arange(len(loss)) * spec.train.epochs // (len(loss) - 1)
    right = np.array([(distance < spec.solved.tolerance).all()])
    return Group(spec, stacked, stacked, steps, np.array([loss]), right, np.array([nonfinite_at]))


def trained_group(spec: RunSpec) -> Group:
    """The replicates of a spec, really trained."""
    (chunk,) = plan([spec]).chunks()
    *_, last = train_chunk([spec], chunk)
    assert isinstance(last, Results)
    return Group(spec, last.initial, last.final, last.steps, last.loss, last.solved, last.nonfinite_at)


@pytest.fixture(scope="session")
def by_hand() -> Callable[..., Group]:
    return group_of


@pytest.fixture(scope="session")
def train_group() -> Callable[[RunSpec], Group]:
    return trained_group
