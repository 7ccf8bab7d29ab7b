"""Formulas of the catalog as plain values, which the page makes WebAssembly of.

A form is ``{"nodes": [[op, ...], ...], "results": [...]}``: each node is an operation on nodes before it, by their
places; ``["number", 0.5]`` is a constant and ``["leaf", "z"]`` what the page puts there.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from nnspec.catalog import Activation, Bound, Init, Loss, Optimizer, Schedule
from nnspec.catalog.inits import Layer
from nnspec.params import Boolean, Choice, Param
from nnspec.parts.dual import Dual, DualMaths, dual
from nnspec.specs import CONSTANT, Member, RunSpec
from nnspec.training.codegen.graph import Graph, GraphMaths, Node, Traced, Untraceable, tracing
from nnspec.training.codegen.row_graph import ROWS, Row
from nnspec.training.tracing import trace_update

XP: Any = GraphMaths()
Form = dict[str, Any]
SIDE = 2  # units and inputs of the layer that an initialisation is tried on


class Symbol(Traced):
    """A value of what is computed once for all networks, in double precision, with the operations that this needs
    besides: powers, roots, equality."""

    __hash__ = None  # type: ignore[assignment]

    def _new(self, op: str, *others: Any) -> Any:
        found = super()._new(op, *others)
        return type(self)(found.graph, found.node) if isinstance(found, Traced) else found

    def __floordiv__(self, other: Any) -> Any:
        return self._new("floor", self / other)

    def __pow__(self, exponent: Any) -> Any:
        return self._new("pow", self, exponent)

    def __rpow__(self, base: Any) -> Any:
        return self._new("pow", base, self)

    def __eq__(self, other: object) -> Any:
        return self._new("==", self, other)


def form(results: Sequence[Traced | float]) -> Form:
    """The graph of these results, each node behind those that it is made of."""
    nodes: list[list[Any]] = []
    places: dict[Node, int] = {}

    def place(node: Node) -> int:
        if node not in places:
            args = [place(arg) if isinstance(arg, Node) else arg for arg in node.args]
            nodes.append(_written(node.op, args))
            places[node] = len(nodes) - 1
        return places[node]

    graph = Graph()
    found = [result if isinstance(result, Traced) else graph.number(float(result)) for result in results]
    results = [place(result.node) for result in found]
    return {"nodes": nodes, "results": results}


def _written(op: str, args: list[Any]) -> list[Any]:
    """A node in plain values."""
    if op == "number" and isinstance(args[0], tuple):
        return ["leaf", ".".join(str(part) for part in args[0] if part is not None)]
    if op == "number":
        return ["number", float.fromhex(args[0])]
    if op in ("leaf", "weight", "gradient"):
        return ["leaf", args[0] if op == "leaf" else op]
    return ["leaf", f"state.{args[0]}"] if op == "state" else [op, *args]


def variants(params: Sequence[Param], switches: Sequence[str] = ()) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each way to choose the parameters that a formula asks about instead of computing with: a key and the values.
    ``switches`` are those of which it asks whether they are 0, or not said."""
    kinds: list[tuple[str, Sequence[Any]]] = [(p.name, p.kind.options) for p in params if isinstance(p.kind, Choice)]
    kinds += [(p.name, (False, True)) for p in params if isinstance(p.kind, Boolean)]
    kinds += [(f"{name}_on", (False, True)) for name in switches]
    for chosen in itertools.product(*(choices for _, choices in kinds)):
        values = dict(zip((name for name, _ in kinds), chosen, strict=True))
        yield ",".join(f"{name}={_key(value)}" for name, value in values.items()), values


def _key(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def by_variant(
    params: Sequence[Param], trace: Callable[[dict[str, Any]], Any], switches: Sequence[str] = ()
) -> dict[str, Any]:
    """What ``trace`` makes of each variant.

    Raises:
        Untraceable: of one of them.
    """
    with tracing():
        return {key: trace(values) for key, values in variants(params, switches)}


def _params(graph: Graph, params: Sequence[Param], chosen: Mapping[str, Any], kind: type[Traced] = Traced) -> Any:
    """The parameters by name: those that are chosen as they are, the others as leaves."""
    return {p.name: kind(graph, graph.node("leaf", f"param.{p.name}")) for p in params if p.name not in chosen} | dict(
        chosen
    )


def activation_forms(entry: Activation) -> Form:
    """Value and derivative at ``z`` (and ``h``, the value), the derivative's own derivative, and those by what it
    learns, which is the leaf of its parameter."""
    if not entry.elementwise:
        raise Untraceable("it is not elementwise")

    def trace(chosen: dict[str, Any]) -> Form:
        graph = Graph()
        z, h = graph.leaf("leaf", "z"), graph.leaf("leaf", "h")
        bound = entry.bind(_params(graph, entry.params, chosen))
        found = {"value": form([bound.value(XP, z)]), "slope": form([bound.slope(XP, z, h)])}
        found["bend"] = form([_bend(bound, Dual(z, 1))])
        if entry.learned:
            learned = graph.leaf("leaf", f"param.{entry.learned.start}")
            found["learned"] = form([bound.learned_slope(XP, z)])
            moved = entry.bind({**bound.params, entry.learned.start: Dual(learned, 1)})
            found["bend_learned"] = form([_bend(moved, z)])
            twice = dual(moved.learned_slope(DualMaths(XP), z)).slope
            found["learned_twice"] = form([twice])
        return found

    return by_variant(entry.params, trace)


def _bend(bound: Bound, z: Any) -> Any:
    """The derivative of the slope, by whatever is a dual number: ``z`` or a parameter."""
    xp: Any = DualMaths(XP)
    return dual(bound.slope(xp, z, bound.value(xp, z))).slope


def gain_forms(entry: Activation) -> Form | None:
    """The gain, where the entry has a formula for it."""
    gain = entry.gain
    if gain is None:
        return None
    graph = Graph()
    return by_variant(entry.params, lambda chosen: form([gain(_params(graph, entry.params, chosen, Symbol))]))


def loss_forms(entry: Loss, outputs: int) -> Form:
    """The loss of a row, its gradient and the distances, from pre-activations ``z0``.., outputs ``p0``.. and targets
    ``y0``..; of the gradient its derivatives by each pre-activation and by each output."""

    def trace(chosen: dict[str, Any]) -> Form:
        graph = Graph()
        z, p, y = (Row([graph.leaf("leaf", f"{kind}{n}") for n in range(outputs)]) for kind in "zpy")
        leaves = _params(graph, entry.params, chosen)
        params = {name: Row([value]) if isinstance(value, Traced) else value for name, value in leaves.items()}
        return {
            "elements": form(entry.elements(ROWS, z, p, y, params).values),
            "gradient": form(entry.gradient(ROWS, z, p, y, params).values),
            "distance": form(entry.distance(ROWS, p, y).values),
        }

    return by_variant(entry.params, trace)


def gradient_bends(entry: Loss) -> Form:
    """How the gradient of an output moves with its own pre-activation ``z0`` and value ``p0``: [by z, by p]."""

    def trace(chosen: dict[str, Any]) -> Form:
        graph = Graph()
        z, p, y = (graph.leaf("leaf", f"{kind}0") for kind in "zpy")
        params, xp = _params(graph, entry.params, chosen), DualMaths(XP)
        by_z = dual(entry.gradient(xp, Dual(z, 1), p, y, params)).slope
        by_p = dual(entry.gradient(xp, z, Dual(p, 1), y, params)).slope
        return form([by_z, by_p])

    return by_variant(entry.params, trace)


def joint_form(entry: Activation, outputs: int) -> Form:
    """The values of an output activation that is not elementwise, from ``z0``.."""
    graph = Graph()
    with tracing():
        return form(entry.value(ROWS, Row([graph.leaf("leaf", f"z{n}") for n in range(outputs)]), {}).values)


def optimizer_forms(entry: Optimizer) -> Form:
    """The rule on one ``weight``, its ``gradient`` and the ``state``; what each slot starts from; the coefficients at
    update ``t``."""
    pairs = [p.name for p in entry.params if isinstance(p.default, tuple)]

    def trace(chosen: dict[str, Any]) -> Form:
        graph = Graph()
        member = Member(entry.name, ())
        spec = RunSpec(member, member, member, member, member, member, CONSTANT)
        numbers: dict[str, Any] = {
            p.name: Symbol(graph, graph.node("leaf", f"param.{p.name}")) for p in entry.params if p.name not in pairs
        }
        for name in pairs:
            numbers[name] = tuple(Symbol(graph, graph.node("leaf", f"param.{name}.{n}")) for n in range(2))
        h = {**numbers, **chosen}
        slots = entry.slots(h)
        starts = entry.start(h)
        coefficients = entry.coefficients(h, Symbol(graph, graph.node("leaf", "t")))
        return {
            "update": form(trace_update(spec, slots, chosen, pairs, ())),
            "start": form([starts[n] if n < len(starts) else 0.0 for n in range(slots)]),
            "coefficients": {name: form([value]) for name, value in coefficients.items()},
        }

    return by_variant(entry.params, trace, entry.switches)


def schedule_forms(entry: Schedule) -> Form:
    """The factor of the learning rate at update ``t`` of ``updates``; a parameter that nobody needs to say is a switch
    of its own, on where it is said."""
    unsaid = [p.name for p in entry.params if p.default is None]

    def trace(chosen: dict[str, Any]) -> Form:
        graph = Graph()
        t, updates = (Symbol(graph, graph.node("leaf", name)) for name in ("t", "updates"))
        params = _params(graph, entry.params, chosen, Symbol)
        params |= {name: None for name in unsaid if not chosen[f"{name}_on"]}
        return form([entry.formula(XP, t, updates, params)])

    return by_variant(entry.params, trace, unsaid)


def init_forms(entry: Init) -> Form:
    """A weight from its own ``noise0``.. and what the scheme may know of the layer.

    Raises:
        Untraceable: weights are not made one by one.
    """

    def trace(chosen: dict[str, Any]) -> Form:
        made = []
        for place in np.ndindex(SIDE, SIDE):
            graph = Graph()
            noise = tuple(_noise(graph, place, number) for number in range(len(entry.noise)))
            leaves = (Symbol(graph, graph.node("leaf", name)) for name in ("fan_in", "fan_out", "gain"))
            params = _params(graph, [p for p in entry.params if p.name != "gain"], chosen, Symbol) | {"gain": "auto"}
            weights = entry.make(noise, (1, SIDE, SIDE), Layer(*leaves), params)  # type: ignore[arg-type]
            made.append(form([np.asarray(weights, dtype=object)[(0, *place)]]))
        if any(other != made[0] for other in made):
            raise Untraceable("its weights depend on one another or on their places")
        return made[0]

    return by_variant([p for p in entry.params if p.name != "gain"], trace)


def _noise(graph: Graph, own: tuple[int, ...], number: int) -> np.ndarray:
    """The noise of a layer; the weight at place ``own`` has the leaf ``noise<number>``."""
    found = np.empty((1, SIDE, SIDE), dtype=object)
    for place in np.ndindex(SIDE, SIDE):
        name = f"noise{number}" if place == own else f"other{number}"
        found[(0, *place)] = Symbol(graph, graph.node("leaf", name))
    return found
