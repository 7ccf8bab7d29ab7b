"""Formulas as graphs of scalar operations: what a training step does to one network, so that it can be compiled.

The formulas of the catalog and the update rules of the optimizers run on ``Traced`` values instead of tensors and leave
a graph. Each operation is the one that torch's CPU kernels do on an element, fused multiply-adds included, so that what
is compiled from the graph gives torch's very bits. What has no such form raises ``Untraceable``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from nnspec.catalog.maths import InPlace

Key = tuple[Any, ...]  # of a number of a network's own, see ``tracing``
PRIMITIVES = ("sigmoid", "abs")  # of ``catalog.maths``, made of instructions
# functions that are called on whole rows, not written out
LIBRARY = ("exp", "expm1", "log1p", "log", "tanh", "erf", "sin", "cos", "sqrt")


class Untraceable(Exception):
    """A formula uses what a graph cannot hold; the eager trainer can."""

    for_whoever_evaluates = True  # it is no fault of a part of a user's own


@contextmanager
def tracing() -> Iterator[None]:
    """Where formulas run on ``Traced`` values: what these do not offer is untraceable."""
    try:
        yield
    except (AttributeError, TypeError) as error:
        raise Untraceable(str(error)) from error


class Node:
    """One scalar operation; ``level`` counts the library calls that it takes to get there, itself included."""

    __slots__ = ("args", "level", "op")

    def __init__(self, op: str, args: tuple[Any, ...]):
        self.op, self.args = op, args
        below = max((arg.level for arg in args if isinstance(arg, Node)), default=0)
        self.level: int = below + (op in LIBRARY)


class Graph:
    """Operations, each distinct one once."""

    def __init__(self) -> None:
        self.nodes: dict[tuple[Any, ...], Node] = {}

    def node(self, op: str, *args: Any) -> Node:
        """The node of this operation on these nodes, numbers or names."""
        key = (op, *(id(arg) if isinstance(arg, Node) else arg for arg in args))
        if key not in self.nodes:
            self.nodes[key] = Node(op, args)
        return self.nodes[key]

    def leaf(self, kind: str, key: Any) -> Traced:
        """A value that comes from memory."""
        return Traced(self, self.node(kind, key))

    def number(self, value: float) -> Traced:
        """A constant."""
        return Traced(self, self.node("number", float(value).hex()))


def takes_over(other: object) -> bool:
    """Whether an operand wants operators left to it, as NumPy's arrays leave them: a dual number does."""
    return getattr(other, "__array_ufunc__", 0) is None


class Traced(InPlace):
    """A value of the graph with the operators and the in-place methods of a tensor; the latter change what it stands
    for."""

    dtype = None

    def __init__(self, graph: Graph, node: Node):
        self.graph, self.node = graph, node

    def _new(self, op: str, *others: Any) -> Any:
        if any(map(takes_over, others)):
            return NotImplemented
        return Traced(self.graph, self.graph.node(op, *(self._of(other) for other in others)))

    def _of(self, other: Any) -> Node:
        if isinstance(other, Traced):
            return other.node
        if isinstance(other, (int, float)):
            return self.graph.number(other).node
        raise Untraceable(f"a {type(other).__name__} in a formula")

    def _set(self, value: Traced) -> Traced:
        self.node = value.node
        return self

    def __add__(self, other: Any) -> Traced:
        return self._new("+", self, other)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Traced:
        return self._new("-", self, other)

    def __rsub__(self, other: Any) -> Traced:
        return self._new("-", other, self)

    def __mul__(self, other: Any) -> Traced:
        return self._new("*", self, other)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Traced:
        return self._new("/", self, other)

    def __rtruediv__(self, other: Any) -> Traced:
        # torch multiplies by the reciprocal
        return self._new("*", self._new("/", 1.0, self), other)

    def __neg__(self) -> Traced:
        return self._new("neg", self)

    def __gt__(self, other: Any) -> Traced:
        return self._new(">", self, other)

    def __ge__(self, other: Any) -> Traced:
        return self._new(">=", self, other)

    def __lt__(self, other: Any) -> Traced:
        return self._new("<", self, other)

    def __le__(self, other: Any) -> Traced:
        return self._new(">=", Traced(self.graph, self._of(other)), self)

    def __pow__(self, exponent: Any) -> Traced:
        if not isinstance(exponent, int) or exponent < 1:
            raise Untraceable(f"a power of {exponent} in a formula")
        power = self
        for _ in range(exponent - 1):
            power = power * self
        return power

    def __and__(self, other: Any) -> Traced:
        return self._new("and", self, other)

    def to(self, dtype: None) -> Traced:
        """A truth value as a number."""
        return self._new("where", self, 1.0, 0.0)

    def sqrt(self) -> Traced:
        return self._new("sqrt", self)

    def clamp(self, min: Any = None, max: Any = None) -> Traced:
        return clip(self, min, max)

    def sign_(self) -> Traced:
        return self._set(sign(self))

    def rsqrt_(self) -> Traced:
        return self._set(self._new("/", 1.0, self._new("root", self)))

    def addcmul_(self, one: Any, two: Any) -> Traced:
        return self._set(fma(one, two, self))

    def lerp_(self, end: Any, weight: Any) -> Traced:
        gap = end - self
        return self._set(where(weight < 0.5, fma(weight, gap, self), fma(-gap, 1.0 - weight, end)))


def reachable(results: Iterable[Traced]) -> list[Node]:
    """The nodes that the results are made of."""
    found: dict[Node, None] = {}
    pending = [result.node for result in results]
    while pending:
        node = pending.pop()
        if node not in found:
            found[node] = None
            pending.extend(arg for arg in node.args if isinstance(arg, Node))
    return list(found)


def numbers_of(results: Iterable[Traced]) -> list[Key]:
    """The keys of the networks' own numbers that results are made of, in an order of their own."""
    found = (node.args[0] for node in reachable(results) if node.op == "number")
    return sorted({key for key in found if isinstance(key, tuple)}, key=repr)


def fma(one: Traced, two: Any, three: Any) -> Traced:
    """one * two + three, rounded once."""
    return one._new("fma", one, two, three)


def where(condition: Traced, yes: Any, no: Any) -> Traced:
    """yes where the condition holds, else no."""
    return condition._new("where", condition, yes, no)


def clip(z: Traced, low: Any, high: Any) -> Traced:
    """z cut to low..high; not-a-number stays what it is."""
    if low is not None:
        z = where(z < low, low, z)
    return z if high is None else where(z > high, high, z)


def sign(z: Traced) -> Traced:
    """-1, 0 or 1."""
    return (z > 0.0).to(None) - (z < 0.0).to(None)


def total(terms: Iterable[Traced]) -> Traced:
    """Terms added up in torch's order: sixteen at a time, then those sums in sixteens, and so on."""
    sums: list[Traced | None] = [None] * 4
    for count, term in enumerate(terms, 1):
        sums[0] = _plus(sums[0], term)
        level = 1
        while level < 4 and count % 16**level == 0:
            sums[level] = _plus(sums[level], sums[level - 1])
            sums[level - 1] = None
            level += 1
    result = None
    for part in sums:
        result = _plus(result, part) if part is not None else result
    assert result is not None
    return result


def _plus(sum_: Traced | None, term: Traced | None) -> Traced:
    assert term is not None
    return term + 0.0 if sum_ is None else sum_ + term  # torch starts from 0, which makes 0 of -0


class GraphMaths:
    """The namespace ``xp`` of a formula that is traced."""

    clip, where, sign = staticmethod(clip), staticmethod(where), staticmethod(sign)

    @staticmethod
    def mask(condition: Traced, like: Traced) -> Traced:
        """1 where the condition holds, else 0."""
        return condition.to(None)

    def __getattr__(self, name: str) -> Any:
        if name in (*LIBRARY, *PRIMITIVES):
            return lambda z: z._new(name, z)
        raise Untraceable(f"{name} in a formula")
