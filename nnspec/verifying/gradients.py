"""The way back: whether gradients agree, and which fault gives those that do not.

The outputs agree already, so that only the way back can be at fault. A fault is tried by building it into the
reference's; the network's gradients may be a multiple of what it gives, as where a mean is missing too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np

from nnspec.catalog import OUTPUTS, Bound
from nnspec.catalog.maths import Array, Maths
from nnspec.problem import Problem
from nnspec.reference import Tensors, backward, forward
from nnspec.verifying.changed import exchanged, other_activations, with_slope, with_tensors
from nnspec.verifying.numbers import Numbers, Tolerance, agree, common_factor, gap, largest, parted
from nnspec.verifying.outputs import LAYERS, Points, layer_words
from nnspec.verifying.report import Finding

KNOWN_FACTOR = 1e-4  # how near a factor must be to one that has a name; in double precision it is far nearer


@dataclass(frozen=True)
class BackwardFault:
    """Words for a fault, and the way back that has it: ``change`` is made to the weights that the error comes back
    through, ``edit`` to the gradients."""

    words: str
    problem: Problem
    change: Callable[[Tensors], Tensors] = dict
    edit: Callable[[Tensors], Tensors] = dict

    def gradients(self, weights: Tensors) -> Tensors:
        """The gradient of every tensor, in the order of ``weights``."""
        with np.errstate(all="ignore"):
            layers = forward(self.problem, weights)
            found = self.edit(backward(self.problem, self.change(weights), layers))
        return {name: found[name] for name in weights}


def all_gradients(fault: BackwardFault, points: Points) -> Numbers:
    """The gradients at every point, ``tensor, where`` each."""
    return {
        f"{name}, {where}": gradient
        for where, weights in points.items()
        for name, gradient in fault.gradients(weights).items()
    }


def gradient_finding(problem: Problem, points: Points, theirs: Numbers, tolerance: Tolerance) -> Finding:
    """Where gradients part, and what gives them."""
    ours = all_gradients(BackwardFault("", problem), points)
    causes = list(chain(_multiples(problem, ours, theirs, tolerance), _faults(problem, points, theirs, tolerance)))
    if not causes:
        causes = list(_of_tensors(problem, ours, theirs, tolerance))
    return Finding("gradients", where_words(ours, theirs, tolerance), tuple(dict.fromkeys(causes)))


def where_words(ours: Numbers, theirs: Numbers, tolerance: Tolerance) -> str:
    """Which arrays part, and by how much the last of them, where an error on the way back comes in first."""
    names = list(parted(ours, theirs, tolerance))
    if not names:
        return ""
    place = names[0].partition(", ")[2]
    here = [name for name in names if name.endswith(place)]
    last = here[-1]
    listed = ", ".join(name.partition(", ")[0] for name in here[:8]) + (", ..." if len(here) > 8 else "")
    return (
        f"They part in {listed}; {last} differs by up to {gap(ours[last], theirs[last]):.3g}, where nnspec's largest "
        f"number is {largest(ours[last]):.3g}."
    )


def factor_words(problem: Problem, factor: float) -> str:
    """What a factor of gradients means; nothing of a factor of 1."""
    size = abs(factor)
    found = [words for value, words in _named_factors(problem) if abs(size / value - 1) < KNOWN_FACTOR]
    said = " or ".join(found) if found else f"it is {size:.6g} times nnspec's"
    if abs(size - 1) < KNOWN_FACTOR:
        said = ""
    if factor < 0:
        return f"the sign is wrong, and {said}" if said else "the sign is wrong"
    return said


def _named_factors(problem: Problem) -> Iterator[tuple[float, str]]:
    rows, columns = problem.targets.shape[:2]
    half = "a factor 2 is missing (the derivative of a square has it; a loss with 1/2 before the square has not)"
    total = f"the mean over the {rows} rows is missing: a sum is taken (a factor {rows})"
    yield 0.5, half
    yield 2.0, "a factor 2 is too much"
    yield rows, total
    yield rows / 2, f"{total}, and {half}"
    yield 1 / rows, f"the mean over the {rows} rows is taken twice (a factor 1/{rows})"
    if columns > 1 and problem.loss.one_hot:
        yield 1 / columns, f"a mean over the {columns} outputs is taken, where nnspec sums (a factor 1/{columns})"
    elif columns > 1:
        over = f"the mean over the {columns} outputs is missing (a factor {columns})"
        every = (
            f"the mean over {rows} rows and {columns} outputs is missing: a sum is taken (a factor {rows * columns})"
        )
        yield columns, over
        yield columns / 2, f"{over}, and {half}"
        yield rows * columns, every
        yield rows * columns / 2, f"{every}, and {half}"


def _multiples(problem: Problem, ours: Numbers, theirs: Numbers, tolerance: Tolerance) -> Iterator[str]:
    """The right gradients times a number."""
    factor = common_factor(ours, theirs, tolerance)
    if factor:
        yield factor_words(problem, factor)


def _faults(problem: Problem, points: Points, theirs: Numbers, tolerance: Tolerance) -> Iterator[str]:
    """The faults that give the gradients; if none does, those that give a multiple of them with a name."""
    multiples: list[str] = []
    for fault in backward_faults(problem):
        ours = all_gradients(fault, points)
        if agree(ours, theirs, tolerance):
            yield fault.words
        elif not multiples and (factor := common_factor(ours, theirs, tolerance)):
            multiples.append(f"{fault.words}; besides, {factor_words(problem, factor)}")
    yield from multiples


def _of_tensors(problem: Problem, ours: Numbers, theirs: Numbers, tolerance: Tolerance) -> Iterator[str]:
    """Faults of single tensors: a gradient that is missing, or a multiple."""
    names = list(dict.fromkeys(name.partition(", ")[0] for name in parted(ours, theirs, tolerance)))
    said = []
    for tensor in names:
        own = {name: array for name, array in ours.items() if name.startswith(f"{tensor}, ")}
        factor = common_factor(own, {name: theirs[name] for name in own}, tolerance)
        if factor is None:
            return  # one of them is wrong in another way
        kind = "bias" if tensor.endswith(".bias") else "weight"
        said.append(
            f"the gradient of the {kind} {tensor} is missing (it is 0)"
            if factor == 0
            else f"in the gradient of the {kind} {tensor} {factor_words(problem, factor)}"
        )
    if said:
        yield "; ".join(said)


def backward_faults(problem: Problem) -> Iterator[BackwardFault]:
    """Every known fault of the way back but multiples, the likeliest first."""
    yield from _biases(problem)
    yield from _output_slope(problem)
    yield from _slopes(problem)
    yield from _matrices(problem)


def _biases(problem: Problem) -> Iterator[BackwardFault]:
    names = [f"{dense.name}.bias" for dense in problem.shape.dense]
    for number, name in enumerate(names[:LAYERS]):
        words = f"the gradient of the bias of {layer_words(problem, number)} is missing (it is 0)"
        yield BackwardFault(words, problem, edit=with_tensors({name: np.zeros_like}))
    if len(names) > 1:
        every = dict.fromkeys(names, np.zeros_like)
        yield BackwardFault("the gradient of every bias is missing (it is 0)", problem, edit=with_tensors(every))


def _output_slope(problem: Problem) -> Iterator[BackwardFault]:
    """The derivative of the output activation, once too often or not at all."""
    name, loss = problem.shape.output.name, problem.loss
    once = f"the derivative of the output activation, {name}, is missing at the loss"
    if loss.fused:
        once = f"the derivative of the output activation, {name}, is applied twice: p - y has it already"
    if problem.output.entry.elementwise:
        yield BackwardFault(once, replace(problem, loss=replace(loss, fused=not loss.fused)))


def _missing(bound: Bound, xp: Maths, z: Array, h: Array) -> Array:
    return 0 * z + 1


def _at_value(bound: Bound, xp: Maths, z: Array, h: Array) -> Array:
    return bound.slope(xp, h, bound.value(xp, h))


def _value_for_z(bound: Bound, xp: Maths, z: Array, h: Array) -> Array:
    return bound.slope(xp, z, z)


def _zero(bound: Bound, xp: Maths, z: Array, h: Array) -> Array:
    return 0 * z


SLOPES = {
    "is 0: no gradient comes through (a detach, a no_grad, parameters that are frozen?)": _zero,
    "is missing on the way back (taken as 1)": _missing,
    "is taken at h, the activation's value, not at z": _at_value,
    "is computed from z by the formula for h": _value_for_z,
}


def _slopes(problem: Problem) -> Iterator[BackwardFault]:
    """The derivatives of hidden activations: missing, taken at the wrong place, of another activation; and the
    output's at the wrong place, where the loss does not have it already."""
    after = problem.shape.after
    ends = len(after) if not problem.loss.fused and problem.output.entry.elementwise else len(after) - 1
    places: list[tuple[str, tuple[int, ...]]] = []
    places += [(layer_words(problem, number), (number,)) for number in range(ends)][-LAYERS:]
    if len(after) > 2:
        places.append(("every hidden layer", tuple(range(len(after) - 1))))
    for where, layers in places:
        name = after[layers[0]].member.name
        for words, slope in SLOPES.items():
            other = exchanged(problem, {n: with_slope(after[n], slope) for n in layers})
            yield BackwardFault(f"the derivative of the activation of {where}, {name}, {words}", other)
        for member in other_activations(after[layers[0]].member):
            other_one = OUTPUTS[member.name]
            if other_one.elementwise and other_one.trainable and member.name != name:
                words = f"the derivative of the activation of {where} is that of {member.name}, not of {name}"
                taken = _slope_of(other_one.bind(dict(member.params)))
                yield BackwardFault(words, exchanged(problem, {n: with_slope(after[n], taken) for n in layers}))


def _slope_of(other: Bound) -> Callable[[Bound, Maths, Array, Array], Array]:
    return lambda bound, xp, z, h: other.slope(xp, z, other.value(xp, z))


def _matrices(problem: Problem) -> Iterator[BackwardFault]:
    """Square matrices transposed: those that the error comes back through, and their gradients."""
    square = [n for n, layer in enumerate(problem.shape.dense) if layer.fan_in == layer.fan_out > 1][:LAYERS]
    for number in square:
        where, turn = layer_words(problem, number), {f"{problem.shape.dense[number].name}.weight": np.transpose}
        if number > 0:
            words = f"on the way back the matrix of {where} is transposed"
            yield BackwardFault(words, problem, change=with_tensors(turn))
        yield BackwardFault(f"the gradient of the matrix of {where} is transposed", problem, edit=with_tensors(turn))
