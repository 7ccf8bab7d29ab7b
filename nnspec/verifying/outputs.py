"""The forward pass: whether outputs agree, and which fault gives those that do not.

A fault is tried by building it into nnspec's own network. Its outputs, or where the loss takes them the pre-activations
of its outputs, must be the network's at every point.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from nnspec.architecture import Pointwise
from nnspec.catalog import OUTPUTS, Bound
from nnspec.catalog.maths import Array, Maths
from nnspec.problem import Problem
from nnspec.reference import Tensors, forward
from nnspec.specs import Member
from nnspec.verifying.changed import (
    exchanged,
    member_words,
    other_activations,
    other_settings,
    with_tensors,
    with_value,
)
from nnspec.verifying.numbers import Numbers, Tolerance, agree, gap, largest
from nnspec.verifying.report import Finding

Points = Mapping[str, Tensors]  # what a point is called -> the weights there
SINGLE = "dtype: somewhere on the way numbers are in single precision (float32)"
LAYERS = 12  # of deeper networks the faults of all layers at once are tried, not those of single ones


@dataclass(frozen=True)
class ForwardFault:
    """Words for a fault, and the network that has it."""

    words: str
    problem: Problem
    change: Callable[[Tensors], Tensors] = dict


def logits_agree(problem: Problem, points: Points, theirs: Numbers, tolerance: Tolerance) -> bool | None:
    """Whether the outputs are logits (True) or values of the output activation (False); None if they are neither.
    Logits are right for a loss that is computed from them."""
    p, z = outputs_of(ForwardFault("", problem), points)
    if agree(p, theirs, tolerance):
        return False
    return True if _same_logits(problem, z, theirs, tolerance) else None


def _same_logits(problem: Problem, ours: Numbers, theirs: Numbers, tolerance: Tolerance) -> bool:
    """Whether outputs are logits for a loss that takes them. Those of softmax may all be moved by the same number, as
    log_softmax moves them."""
    if not problem.loss.fused:
        return False
    if not problem.output.entry.elementwise:
        ours, theirs = _from_the_largest(ours), _from_the_largest(theirs)
    return agree(ours, theirs, tolerance)


def _from_the_largest(logits: Numbers) -> Numbers:
    return {name: z - z.max(1, keepdims=True) for name, z in logits.items()}


def outputs_of(fault: ForwardFault, points: Points) -> tuple[Numbers, Numbers]:
    """Outputs and their pre-activations at every point."""
    p, z = {}, {}
    with np.errstate(all="ignore"):
        for name, weights in points.items():
            last = forward(fault.problem, fault.change(weights))[-1]
            p[name], z[name] = last.h, last.z
    return p, z


def output_finding(problem: Problem, points: Points, theirs: Numbers, tolerance: Tolerance) -> Finding:
    """Where outputs part, and what gives them."""
    causes = []
    for faults in (forward_faults(problem), setting_faults(problem)):
        for fault in faults:
            p, z = outputs_of(fault, points)
            if agree(p, theirs, tolerance) or _same_logits(problem, z, theirs, tolerance):
                causes.append(fault.words)
        if causes:
            break
    if not causes and _single(problem, points, theirs):
        causes.append(SINGLE)
    if not causes and _constant(theirs):
        causes.append("forward(x) does not compute with the `parameters`: it has other arrays, as copies of them")
    return Finding("outputs", _where(problem, points, theirs, tolerance), tuple(causes))


def _single(problem: Problem, points: Points, theirs: Numbers) -> bool:
    p, z = outputs_of(ForwardFault("", problem), points)
    rough = Tolerance(1e-5, 1e-6)  # single precision's 6e-8 a rounding, over a few layers
    return agree(p, theirs, rough) or _same_logits(problem, z, theirs, rough)


def _constant(theirs: Numbers) -> bool:
    """Whether the outputs are the same at every point."""
    first, *others = theirs.values()
    return all(np.array_equal(first, other) for other in others)


def _where(problem: Problem, points: Points, theirs: Numbers, tolerance: Tolerance) -> str:
    """The first point that parts: how many rows and by how much."""
    values, logits = outputs_of(ForwardFault("", problem), points)
    if problem.loss.fused and sum(gap(logits[n], theirs[n]) - gap(values[n], theirs[n]) for n in values) < 0:
        values = logits
    for name, ours in values.items():
        if agree({"": ours}, {"": theirs[name]}, tolerance):
            continue
        rows = np.abs(ours - theirs[name]).max(1) > tolerance.relative * largest(ours)
        worst = int(np.abs(ours - theirs[name]).max(1).argmax())
        return (
            f"{name[0].upper()}{name[1:]} the outputs differ by up to {gap(ours, theirs[name]):.3g}, in {rows.sum()} "
            f"of {len(rows)} rows; in x[{worst}] they are {shown(theirs[name][worst])}, nnspec's {shown(ours[worst])}."
        )
    return ""


def shown(row: np.ndarray) -> str:
    """The first numbers of a row."""
    text = ", ".join(f"{value:.6g}" for value in row[:4])
    return text if len(row) <= 4 else f"{text}, ..."


def forward_faults(problem: Problem) -> Iterator[ForwardFault]:
    """Every known fault of a forward pass but activations with numbers of their own, the likeliest first."""
    yield from _biases(problem)
    yield from _output(problem)
    yield from _hidden(problem)
    yield from _matrices(problem)


def layer_words(problem: Problem, number: int) -> str:
    """A layer by its place and its tensors' name."""
    layers = problem.shape.dense
    return f"layer {number + 1} of {len(layers)} ({layers[number].name})"


def _biases(problem: Problem) -> Iterator[ForwardFault]:
    names = [f"{dense.name}.bias" for dense in problem.shape.dense]
    if len(names) <= LAYERS:
        for number, name in enumerate(names):
            words = f"the bias of {layer_words(problem, number)} is forgotten"
            yield ForwardFault(words, problem, with_tensors({name: np.zeros_like}))
    if len(names) > 1:
        every = dict.fromkeys(names, np.zeros_like)
        yield ForwardFault("the bias of every layer is forgotten", problem, with_tensors(every))


def _twice(bound: Bound, xp: Maths, z: Array) -> Array:
    return bound.value(xp, bound.value(xp, z))


def _none(bound: Bound, xp: Maths, z: Array) -> Array:
    return z


def _over_rows(bound: Bound, xp: Maths, z: Array) -> Array:
    return bound.value(xp, z.T).T


def _output(problem: Problem) -> Iterator[ForwardFault]:
    last, after = len(problem.shape.after) - 1, problem.shape.after[-1]
    name = after.member.name
    twice = exchanged(problem, {last: with_value(after, _twice)})
    yield ForwardFault(f"the output activation, {name}, is applied twice", twice)
    yield ForwardFault(
        f"the output activation, {name}, is missing", exchanged(problem, {last: with_value(after, _none)})
    )
    if not after.entry.elementwise:
        words = f"the output activation, {name}, is taken over the rows (axis 0), not over the outputs (axis 1)"
        yield ForwardFault(words, exchanged(problem, {last: with_value(after, _over_rows)}))
    yield from _outputs_taken(problem, other_activations(after.member))


def _outputs_taken(problem: Problem, members: Iterator[Member]) -> Iterator[ForwardFault]:
    """Another activation of the outputs."""
    last, after = len(problem.shape.after) - 1, problem.shape.after[-1]
    for member in members:
        words = f"the output activation is {member_words(member)}, not {after.member.name}"
        yield ForwardFault(words, exchanged(problem, {last: Pointwise(after.name, member)}))


def _hidden(problem: Problem) -> Iterator[ForwardFault]:
    """The activations of one layer, and of all of them."""
    hidden = problem.shape.hidden
    for where, layers in _places(problem):
        for words, value in (("is missing", _none), ("is applied twice", _twice)):
            other = exchanged(problem, {n: with_value(hidden[n], value) for n in layers})
            yield ForwardFault(f"the activation of {where}, {hidden[0].member.name}, {words}", other)
    if hidden:
        yield from _hidden_taken(problem, list(other_activations(hidden[0].member)))


def _hidden_taken(problem: Problem, members: list[Member]) -> Iterator[ForwardFault]:
    """Another activation of one layer, or of all of them."""
    hidden = problem.shape.hidden
    for where, layers in _places(problem):
        for member in members:
            if OUTPUTS[member.name].elementwise:
                words = f"the activation of {where} is {member_words(member)}, not {hidden[0].member.name}"
                yield ForwardFault(words, exchanged(problem, {n: Pointwise(hidden[n].name, member) for n in layers}))


def _places(problem: Problem) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Words for hidden layers, and their numbers: each alone, and all of them."""
    hidden = len(problem.shape.hidden)
    if hidden <= LAYERS:
        for number in range(hidden):
            yield layer_words(problem, number), (number,)
    if hidden > 1:
        yield "every hidden layer", tuple(range(hidden))


def setting_faults(problem: Problem) -> Iterator[ForwardFault]:
    """Activations with other numbers than the spec's or the catalog's defaults."""
    hidden = problem.shape.hidden
    if hidden:
        yield from _hidden_taken(problem, list(other_settings(hidden[0].member)))
    yield from _outputs_taken(problem, other_settings(problem.shape.output))


def _matrices(problem: Problem) -> Iterator[ForwardFault]:
    """Square matrices that are transposed, layers of the same shape in another order."""
    dense = problem.shape.dense
    square = [n for n, layer in enumerate(dense) if layer.fan_in == layer.fan_out > 1]
    for number in square[:LAYERS]:
        words = f"the matrix of {layer_words(problem, number)} is transposed"
        yield ForwardFault(words, problem, with_tensors({f"{dense[number].name}.weight": np.transpose}))
    if len(square) > 1:
        every = {f"{dense[n].name}.weight": np.transpose for n in square}
        yield ForwardFault("the square matrices are transposed", problem, with_tensors(every))
    for one, other in combinations(square[:LAYERS], 2):
        if dense[one].fan_in == dense[other].fan_in:
            words = f"{layer_words(problem, one)} and {layer_words(problem, other)} are in the other order"
            yield ForwardFault(words, problem, _swapped(dense[one].name, dense[other].name))


def _swapped(one: str, other: str) -> Callable[[Tensors], Tensors]:
    names = {f"{a}.{kind}": f"{b}.{kind}" for kind in ("weight", "bias") for a, b in ((one, other), (other, one))}
    return lambda tensors: {name: tensors[names.get(name, name)] for name in tensors}
