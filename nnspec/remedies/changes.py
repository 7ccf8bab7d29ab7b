"""The changes that may help a spec: each of one field or of one member, said as a command line says it. No torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, zip_longest

from nnspec.catalog import AUTO, MODELS, REGISTRIES
from nnspec.catalog.inits import bias_param
from nnspec.check import examine
from nnspec.effects import idle_fields
from nnspec.params import Param, Value
from nnspec.specs import Member, RunSpec, text

INITS = ("mirror", "orthogonal", "kaiming_uniform", "xavier_uniform", "torch_default")
BIASES = ("zeros", "same", "uniform", "constant")
ACTIVATIONS = ("relu", "leaky_relu", "gelu", "tanh")
OPTIMIZERS = ("adam", "sgd", "rmsprop")
WIDER = (2, 4)  # times as many units in each hidden layer
RATES = (0.1, 0.3, 3.0, 10.0)  # times the learning rate
LAYERED = "mlp"  # what gives hidden units to a model without any

Candidate = tuple[str, RunSpec]  # the words of a change, and the spec with it, not checked yet


@dataclass(frozen=True)
class Change:
    """A change as the words that make it on a command line, and the checked spec that has it."""

    words: str
    spec: RunSpec


def changes(spec: RunSpec, kinds: Sequence[str]) -> list[Change]:
    """The changes of these kinds (``diagnostics.verdicts.REMEDIES``) to a checked spec: the first of each kind, then
    the second of each, so that the first few are of many kinds.

    Those that leave the spec as it is, that break a rule of the spec, or that have no effect on it are left out.
    Another seed is no change: it is what the spec itself is over several seeds.
    """
    found: dict[str, Change] = {}
    of_kinds = [_sensible(spec, CANDIDATES[kind](spec)) for kind in kinds]
    for change in chain.from_iterable(zip_longest(*of_kinds)):
        if change is not None:
            found.setdefault(change.spec.fingerprint, change)
    return list(found.values())


def _sensible(spec: RunSpec, candidates: Iterable[Candidate]) -> Iterator[Change]:
    for words, candidate in candidates:
        changed, faults = examine(candidate)
        if not faults and changed != spec and not list(idle_fields(changed)):
            yield Change(words, changed)


def with_member(spec: RunSpec, group: str, name: str) -> Candidate:
    """The spec with another member of a group, at its defaults.

    A parameter that both members have, and that is not at its default, would stay on a command line: the words of the
    change take it back.
    """
    old: Member = getattr(spec, group)
    before, after = _params(group, old.name), _params(group, name)
    said = [key for key in after if key in before and old[key] != before[key].default]
    words = [f"{group}={name}", *(f"{group}.{key}={text(after[key].default)}" for key in said)]
    return " ".join(words), replace(spec, **{group: Member(name)})  # type: ignore[arg-type]


def _params(group: str, name: str) -> dict[str, Param]:
    entry = REGISTRIES[group][name]
    params: tuple[Param, ...] = entry.params
    return {param.name: param for param in params + (bias_param(entry) if group == "init" else ())}


def with_value(spec: RunSpec, group: str, key: str, value: Value) -> Candidate:
    """The spec with another value of a parameter."""
    member: Member = getattr(spec, group).with_params(**{key: value})
    return f"{group}.{key}={text(value)}", replace(spec, **{group: member})  # type: ignore[arg-type]


def _inits(spec: RunSpec) -> Iterator[Candidate]:
    yield from (with_member(spec, "init", name) for name in INITS)


def _biases(spec: RunSpec) -> Iterator[Candidate]:
    if "bias" in spec.init:
        yield from (with_value(spec, "init", "bias", scheme) for scheme in BIASES)


def _activations(spec: RunSpec) -> Iterator[Candidate]:
    if "hidden" in spec.model:
        yield from (with_member(spec, "activation", name) for name in ACTIVATIONS)
    elif not MODELS[spec.model.name].opaque:
        yield _layered(spec)


def _widths(spec: RunSpec) -> Iterator[Candidate]:
    params = dict(spec.model.params)
    hidden, width = params.get("hidden"), params.get("width")  # a user's own model says its width by this name, if any
    if isinstance(hidden, tuple):
        for times in WIDER:
            yield with_value(spec, "model", "hidden", tuple(times * int(str(units)) for units in hidden))
    elif isinstance(width, int):
        yield from (with_value(spec, "model", "width", times * width) for times in WIDER)
    elif not MODELS[spec.model.name].opaque:
        yield _layered(spec)


def _layered(spec: RunSpec) -> Candidate:
    """A model without hidden layers, whose one activation is that of its outputs, as one with them.

    What the spec says of that activation would stay on a command line, as ``model.output`` or by name.
    """
    unsaid = replace(spec, model=spec.model.with_params(output=None), activation=Member(AUTO))
    back = "" if examine(unsaid)[0] == spec else f" activation={AUTO} model.output=null"
    return f"model={LAYERED}{back}", replace(unsaid, model=Member(LAYERED))


def _rates(spec: RunSpec) -> Iterator[Candidate]:
    if "lr" in spec.optimizer:
        rate = spec.optimizer.number("lr")
        yield from (with_value(spec, "optimizer", "lr", float(f"{times * rate:.3g}")) for times in RATES)


def _optimizers(spec: RunSpec) -> Iterator[Candidate]:
    yield from (with_member(spec, "optimizer", name) for name in OPTIMIZERS)


def _none(spec: RunSpec) -> Iterator[Candidate]:
    yield from ()


CANDIDATES: dict[str, Callable[[RunSpec], Iterator[Candidate]]] = {
    "init": _inits,
    "bias": _biases,
    "activation": _activations,
    "width": _widths,
    "lr": _rates,
    "optimizer": _optimizers,
    "seed": _none,
}
