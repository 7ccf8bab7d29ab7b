"""The first updates: whether the weights after each agree, and which fault gives those that do not."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from nnspec.catalog import OPTIMIZERS
from nnspec.duration import rate_factor
from nnspec.problem import Problem
from nnspec.reference import Optimizer, Tensors, pass_by_rows
from nnspec.specs import Member, RunSpec
from nnspec.verifying.gradients import BackwardFault, backward_faults, factor_words, where_words
from nnspec.verifying.numbers import Numbers, Tolerance, agree, common_factor
from nnspec.verifying.report import Finding

LATE = 10**9
UPDATES = 3  # as many as tell whether something of one update is left for the next


@dataclass(frozen=True)
class UpdateFault:
    """Words for a fault, and the updates that have it: another rule or rate, gradients times ``factor`` or added up,
    layers moved one after the other, tensors that are left out."""

    words: str
    back: BackwardFault
    member: Member
    factor: float = 1.0
    rate: float = 1.0
    added_up: bool = False
    order: tuple[tuple[str, ...], ...] = ()  # groups of tensors; each is moved before the next one's gradient is made
    still: frozenset[str] = field(default_factory=frozenset)
    late: bool = False  # as if so many updates were made that the means of Adam need no correction any more


def updated(fault: UpdateFault, spec: RunSpec, start: Tensors) -> Numbers:
    """The weights after each of the first updates, ``tensor, after update t`` each."""
    with np.errstate(all="ignore"):
        return _updated(fault, spec, start)


def _updated(fault: UpdateFault, spec: RunSpec, start: Tensors) -> Numbers:
    weights = {name: np.array(w) for name, w in start.items()}
    optimizers = {name: Optimizer(fault.member, w) for name, w in weights.items()}
    total = {name: np.zeros_like(w) for name, w in weights.items()}
    schedule, found = rate_factor(spec), {}
    for step in range(1, UPDATES + 1):
        rate = fault.rate * (1.0 if schedule is None else float(schedule(np.array(step))))
        for group in fault.order or (tuple(weights),):
            gradients = _gradients(fault, spec, weights)
            for name in group:
                total[name] = total[name] * fault.added_up + gradients[name]
                if name not in fault.still:
                    optimizers[name].update(np.array(total[name]), LATE if fault.late else step, rate)
        found.update({f"{name}, after update {step}": np.array(w) for name, w in weights.items()})
    return found


def _gradients(fault: UpdateFault, spec: RunSpec, weights: Tensors) -> Tensors:
    found = {name: fault.factor * gradient for name, gradient in fault.back.gradients(weights).items()}
    if not spec.train.clip_norm:
        return found
    norm = np.sqrt(sum(float((gradient**2).sum()) for gradient in found.values()))
    return {name: gradient * min(1.0, spec.train.clip_norm / (norm + 1e-6)) for name, gradient in found.items()}


def updated_by_rows(problem: Problem, spec: RunSpec, start: Tensors, rate: float = 1.0, sign: float = 1.0) -> Numbers:
    """The same by the perceptron's rule: an update is a pass, in which each row moves the weights."""
    weights, found = {name: np.array(w) for name, w in start.items()}, {}
    for step in range(1, UPDATES + 1):
        pass_by_rows(problem, weights, sign * rate * spec.optimizer.number("lr"))
        found.update({f"{name}, after update {step}": np.array(each) for name, each in weights.items()})
    return found


def expected(problem: Problem, spec: RunSpec, start: Tensors) -> Numbers:
    """nnspec's own first updates."""
    if OPTIMIZERS[spec.optimizer.name].by_rows:
        return updated_by_rows(problem, spec, start)
    return updated(UpdateFault("", BackwardFault("", problem), spec.optimizer), spec, start)


def update_finding(
    problem: Problem, spec: RunSpec, start: Tensors, theirs: Numbers, tolerance: Tolerance, blame_gradients: bool
) -> Finding:
    """Where updates part, and what gives them; ``blame_gradients``: the gradients were not compared by themselves."""
    ours = expected(problem, spec, start)
    if OPTIMIZERS[spec.optimizer.name].by_rows:
        tries = _tries_by_rows(problem, spec, start, ours, theirs)
    else:
        tries = _tries(problem, spec, start, ours, theirs, blame_gradients)
    causes = [words for words, run in tries if agree(run(), theirs, tolerance)]
    return Finding("updates", where_words(ours, theirs, tolerance), tuple(dict.fromkeys(causes)))


Try = tuple[str, Callable[[], Numbers]]


def _tries(
    problem: Problem, spec: RunSpec, start: Tensors, ours: Numbers, theirs: Numbers, blame_gradients: bool
) -> Iterator[Try]:
    ratio = _first_ratio(start, ours, theirs)
    right = UpdateFault("", BackwardFault("", problem), spec.optimizer)
    for fault in _update_faults(problem, right, ratio, blame_gradients):
        yield fault.words, partial(updated, fault, spec, start)


def _tries_by_rows(problem: Problem, spec: RunSpec, start: Tensors, ours: Numbers, theirs: Numbers) -> Iterator[Try]:
    yield "the sign is wrong: w moves away", partial(updated_by_rows, problem, spec, start, sign=-1.0)
    ratio = abs(_first_ratio(start, ours, theirs) or 1.0)
    yield _rate_words(spec.optimizer, ratio), partial(updated_by_rows, problem, spec, start, rate=ratio)


def _first_ratio(start: Tensors, ours: Numbers, theirs: Numbers) -> float | None:
    """The network's first move over nnspec's, if it is a multiple of it."""
    mine = {name: ours[f"{name}, after update 1"] - w for name, w in start.items()}
    moves = {name: theirs[f"{name}, after update 1"] - w for name, w in start.items()}
    return common_factor(mine, moves, Tolerance(1e-5, 1e-6))  # differences of weights have lost digits


def _rate_words(member: Member, ratio: float) -> str:
    lr = member.number("lr")
    return f"the learning rate is {lr * ratio:.6g}, {ratio:.6g} times the spec's {lr:.6g}"


def _update_faults(
    problem: Problem, right: UpdateFault, ratio: float | None, blame_gradients: bool
) -> Iterator[UpdateFault]:
    """Every known fault of updates, the likeliest first."""
    ascent = replace(right, words="the sign is wrong: the loss is climbed (gradient ascent)", factor=-1.0)
    yield ascent
    if ratio and abs(abs(ratio) - 1) > 1e-6:
        yield from _of_size(problem, right, ratio, blame_gradients)
    yield replace(right, words="gradients are not reset between updates: they accumulate", added_up=True)
    yield from _orders(problem, right)
    yield from _still(right, problem)
    yield from _rules(right)
    if blame_gradients:
        for back in backward_faults(problem):
            yield replace(right, words=back.words, back=back)


def _of_size(problem: Problem, right: UpdateFault, ratio: float, blame_gradients: bool) -> Iterator[UpdateFault]:
    """All moves too large or too small, or too large and the wrong way."""
    size = abs(ratio)
    way = "" if ratio > 0 else "the sign is wrong (gradient ascent), and "
    if blame_gradients:
        words = f"{way}of the gradient: {factor_words(problem, size)}"
        yield replace(right, words=words, factor=ratio)
    words = way + _rate_words(right.member, size)
    yield replace(right, words=words, rate=size, factor=1.0 if ratio > 0 else -1.0)


def _orders(problem: Problem, right: UpdateFault) -> Iterator[UpdateFault]:
    """Layers moved one after the other, each by a gradient that sees the layers moved before."""
    groups = tuple((f"{dense.name}.weight", f"{dense.name}.bias") for dense in problem.shape.dense)
    learned = tuple(name for after in problem.shape.after for name in after.tensors)
    if len(groups) > 1:
        words = "layers are updated in the wrong order: a layer's gradient is computed with the {} layer already moved"
        last_first = (*groups[::-1], learned) if learned else groups[::-1]
        first_first = (*groups, learned) if learned else groups
        yield replace(right, words=words.format("next"), order=last_first)
        yield replace(right, words=words.format("previous"), order=first_first)


def _still(right: UpdateFault, problem: Problem) -> Iterator[UpdateFault]:
    words = (
        "nothing is updated: the arrays in `parameters` stay as they are; change them in place (w -= ..., w[...] = ...)"
    )
    yield replace(right, words=words, still=frozenset(problem.shape.tensors()))
    for name in problem.shape.tensors():
        kind = "bias" if name.endswith(".bias") else "weight"
        yield replace(right, words=f"the {kind} {name} is not updated", still=frozenset({name}))
    biases = frozenset(f"{dense.name}.bias" for dense in problem.shape.dense)
    if len(biases) > 1:
        yield replace(right, words="no bias is updated", still=biases)


def _rules(right: UpdateFault) -> Iterator[UpdateFault]:
    """Another optimizer, or the right one without a part of it."""
    member = right.member
    if "betas" in member:
        words = "the bias correction is left out: the means, which start at 0, are not divided by 1 - beta^t"
        yield replace(right, words=words, late=True)
    for name, value in OFF.items():
        if name in member and member[name] != value:
            yield replace(right, words=f"{name} is left out", member=member.with_params(**{name: value}))
    for entry in OPTIMIZERS:
        if entry.name != member.name and not entry.by_rows:
            params = {param.name: param.default for param in entry.params} | {"lr": member["lr"]}
            other = Member(entry.name, tuple(sorted(params.items())))
            yield replace(right, words=f"the update rule is that of {entry.name}, not of {member.name}", member=other)


# what turns a part of a rule off, the outer part first: momentum takes Nesterov's form with it
OFF: Mapping[str, float | bool] = {"weight_decay": 0.0, "nesterov": False, "momentum": 0.0, "centered": False}
