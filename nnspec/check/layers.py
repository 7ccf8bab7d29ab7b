"""What is said of a network's layers one by one, and does not fit them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nnspec.architecture import size
from nnspec.catalog import ACTIVATIONS, INITS, LR_PER_LAYER, MODELS, PER_LAYER
from nnspec.catalog.layers import BATCH_NORM, LINEAR
from nnspec.errors import Fault, unknown
from nnspec.specs import Member, RunSpec, text


def layer_faults(spec: RunSpec, outputs: int) -> Iterator[Fault]:
    """The faults of a spec whose members are known and whose network has so many outputs."""
    layers = linear_layers(spec.model)
    hidden = len(MODELS[spec.model.name].hidden(dict(spec.model.params)))
    yield from _activation_faults(spec, hidden)
    yield from _counted(spec.init, "init", PER_LAYER, layers)
    if PER_LAYER in spec.init:
        yield from _unknown_names("init", spec.init[PER_LAYER], INITS.names())
        if any(name in INITS and INITS[name].stored for name in map(str, _values(spec.init[PER_LAYER]))):
            yield Fault(f"init.{PER_LAYER}", "must be schemes that draw", text(spec.init[PER_LAYER]), "take others")
    yield from _counted(spec.optimizer, "optimizer", LR_PER_LAYER, layers)
    if LR_PER_LAYER in spec.optimizer and "lr" not in spec.optimizer:
        rule = "goes with an optimizer that has lr"
        yield Fault(f"optimizer.{LR_PER_LAYER}", rule, spec.optimizer.name, "leave it out")
    yield from _frozen_faults(spec.model, layers)
    yield from _bypass_faults(spec)
    yield from _list_faults(spec.model, outputs)


def linear_layers(model: Member) -> int | None:
    """How many linear layers a model has; None of a module of a user's own."""
    entry, params = MODELS[model.name], dict(model.params)
    if entry.layers is not None:
        return sum(layer.kind == LINEAR for layer in entry.layers(params))
    return None if entry.module is not None else len(entry.hidden(params)) + 1


def norms_batches(model: Member) -> bool:
    """Whether a model has a layer that norms a batch by its own mean and variance."""
    layers = MODELS[model.name].layers
    listed = any(layer.kind == BATCH_NORM for layer in layers(dict(model.params))) if layers else False
    return listed or ("norm" in model and model["norm"] == "batch")


def _values(value: object) -> Sequence[object]:
    return value if isinstance(value, tuple) else ()


def _counted(member: Member, group: str, key: str, wanted: int | None) -> Iterator[Fault]:
    """The fault of a list that has not an item a layer."""
    if key not in member:
        return
    where, given = f"{group}.{key}", text(member[key])
    if wanted is None:
        yield Fault(where, "goes with models whose layers nnspec knows", given, "leave it out")
    elif len(_values(member[key])) != wanted:
        yield Fault(where, f"must have an item for each of the {wanted} linear layers", given, "count them again")


def _unknown_names(group: str, names: object, known: Sequence[str]) -> Iterator[Fault]:
    for name in _values(names):
        if name not in known:
            yield unknown(f"{group}.{PER_LAYER}", group, str(name), known)


def _activation_faults(spec: RunSpec, hidden: int) -> Iterator[Fault]:
    if PER_LAYER not in spec.activation:
        return
    where, names = f"activation.{PER_LAYER}", _values(spec.activation[PER_LAYER])
    if not hidden:
        rule = f"goes with hidden layers, which a {spec.model.name} has none of"
        yield Fault(where, rule, text(names), "leave it out")
    elif len(names) != hidden:
        rule = f"must have an item for each of the {hidden} hidden layers"
        yield Fault(where, rule, text(names), "count them again")
    yield from _unknown_names("activation", names, ACTIVATIONS.names())
    for name in names:
        if name in ACTIVATIONS and not ACTIVATIONS[str(name)].trainable:
            yield Fault(where, "must have derivatives that are not 0 everywhere", str(name), "try sigmoid in its place")


def _frozen_faults(model: Member, layers: int | None) -> Iterator[Fault]:
    if "frozen" not in model or layers is None:
        return
    known = [*(f"layer{number}" for number in range(1, layers)), "output"]
    names = _values(model["frozen"])
    for name in names:
        if name not in known:
            yield unknown("model.frozen", "layer", str(name), known)
    if set(known) <= set(names):
        yield Fault("model.frozen", "must leave a layer that trains", text(names), "leave one out")


def _bypass_faults(spec: RunSpec) -> Iterator[Fault]:
    """Options of hidden layers without an effect."""
    model, widths = spec.model, MODELS[spec.model.name].hidden(dict(spec.model.params))
    fed = (size(spec.data).inputs, *widths)
    if "residual" in model and "skip" in model:
        rule = "must be said without model.skip, which makes inputs wider"
        yield Fault("model.residual", rule, remedy="keep one of them")
    elif "residual" in model and not any(one == two for one, two in zip(fed, widths, strict=False)):
        rule = "must have a hidden layer that is as wide as what it is fed"
        yield Fault("model.residual", rule, "-".join(map(str, fed)), f"try model.hidden=[{fed[0]}]")


def _list_faults(model: Member, outputs: int) -> Iterator[Fault]:
    """The last layer of a list is as wide as the outputs."""
    layers = MODELS[model.name].layers
    if layers is None:
        return
    last = layers(dict(model.params))[-1]
    if last.size not in (None, outputs):
        rule = f"must end with a linear layer of {outputs} units, the outputs that loss and data ask for"
        yield Fault("model.layers", rule, str(last.size), "leave its size out: {linear: null}")
