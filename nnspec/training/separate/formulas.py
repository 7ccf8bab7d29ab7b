"""The formulas of a network that trains by itself, as graphs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nnspec.architecture import Pointwise
from nnspec.problem import Problem
from nnspec.specs import Member
from nnspec.training.codegen.graph import LIBRARY, Graph, GraphMaths, Traced, reachable, total, tracing
from nnspec.training.codegen.row_graph import ROWS, Row, trace_outputs

SCALAR: Any = GraphMaths()
TOGETHER = 8  # vectors that an activation is evaluated on at a time


@dataclass(frozen=True)
class Formulas:
    """What lies between the products of a network, traced: an output's row, and the optimizer's rule for one weight."""

    outputs: list[Traced]
    gradients: list[Traced]
    loss: Traced
    distance: Traced
    update: Sequence[Traced]


@dataclass(frozen=True)
class Behind:
    """The activation behind a layer, traced for some vectors at a time: a library's function is called for all of
    them at once."""

    value: list[Traced]
    slope: list[Traced]
    learned: list[Traced]  # the slope with respect to what it learns, if it does

    def all(self) -> list[Traced]:
        """All graphs."""
        return [*self.value, *self.slope, *self.learned]


@tracing()
def trace_row(problem: Problem, update: Sequence[Traced], by_rows: bool) -> Formulas:
    """The formulas of a problem for one row of outputs; ``by_rows`` for a rule whose gradient is p - y.

    Raises:
        Untraceable: one has no form for a row by itself.
    """
    graph, count = Graph(), problem.shape.outputs
    z = Row([graph.leaf("z", number) for number in range(count)])
    y = Row([graph.leaf("y", number) for number in range(count)])
    row = trace_outputs(problem, z, y)
    gradients = row.outputs - y if by_rows else row.gradients
    (distance,) = ROWS.max(row.distances, 1).values
    return Formulas(row.outputs.values, gradients.values, total(row.losses.values), distance, update)


def trace_behind(after: Pointwise, member: Member, number: int, learns: bool, vectors: int) -> Behind:
    """The activation behind layer ``number``, of ``member``'s parameters; so many ``vectors`` are to be evaluated."""
    graph = Graph()
    params: dict[str, Any] = {
        name: value if isinstance(value, (str, bool)) or value is None else graph.leaf("number", ("param", name))
        for name, value in member.params
    }
    activation = after.entry.bind(params, graph.leaf("learned", number) if learns else None)

    @tracing()
    def traced(together: int) -> Behind:
        z, h = ([graph.leaf(name, place) for place in range(together)] for name in ("z", "h"))
        return Behind(
            [activation.value(SCALAR, one) for one in z],
            [activation.slope(SCALAR, one, value) for one, value in zip(z, h, strict=True)],
            [activation.learned_slope(SCALAR, one) for one in z] if learns else [],
        )

    alone = traced(1)
    calls = any(node.op in LIBRARY for node in reachable(alone.all()))
    return traced(next(count for count in (TOGETHER, 4, 2, 1) if vectors % count == 0)) if calls else alone
