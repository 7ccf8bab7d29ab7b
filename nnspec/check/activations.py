"""The activations of a spec, between layers and at the output: those that it leaves to its model, loss and optimizer,
and what does not fit them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache

from nnspec.architecture import at_defaults
from nnspec.catalog import ACTIVATIONS, AUTO, LOSSES, MODELS, OPTIMIZERS, OUTPUTS, Model
from nnspec.errors import Fault, unknown
from nnspec.specs import Member, RunSpec, text

OUTPUT_WHERE = "model.output"


def with_activations(spec: RunSpec) -> tuple[RunSpec, list[Fault]]:
    """The spec with the activations that it leaves to its model and its loss, and what is wrong with those that it
    states."""
    model, loss = MODELS[spec.model.name], LOSSES[spec.loss.name]
    named, said = spec.activation.name != AUTO, spec.model["output"]
    only = OPTIMIZERS[spec.optimizer.name].output if spec.optimizer.name in OPTIMIZERS else None
    said = None if said is None else ACTIVATIONS.named(str(said))
    output = str((only or loss.output) if said is None else said)
    if model.between is None and named:  # the activation is the output's
        if said not in (None, spec.activation.name):
            rule = f"must be model.output ({said}): a {model.name} has one activation"
            return spec, [Fault("activation.name", rule, f"'{spec.activation.name}'", "say one of the two")]
        output = spec.activation.name
    where = "activation.name" if model.between is None and named else OUTPUT_WHERE
    found = (
        _rule_output_fault(where, spec.optimizer.name, only, output)
        if only
        else _output_fault(where, loss.name, output)
    )
    faults = [found] if found else []
    if model.between is not None:
        activation = spec.activation if named else _by_layer(at_defaults(model.between), spec.activation)
        faults += _between_faults(activation)
    else:
        activation = spec.activation if named or faults else _by_layer(at_defaults(output), spec.activation)
    return replace(spec, model=spec.model.with_params(output=output), activation=activation), faults


def _by_layer(found: Member, said: Member) -> Member:
    """An activation with the activations of the layers that are said."""
    return found.with_params(**dict(said.params))


@lru_cache(maxsize=1024)
def _output_fault(where: str, loss_name: str, output: str) -> Fault | None:
    loss = LOSSES[loss_name]
    if output not in OUTPUTS:
        return unknown(where, OUTPUTS.kind, output, OUTPUTS.names())
    fitting = loss.outputs or tuple(a.name for a in ACTIVATIONS if a.trainable and not a.learned)
    if output in fitting:
        return None
    rule = (
        f"must be {' or '.join(fitting)} with loss={loss_name}"
        if loss.outputs
        else "must be elementwise, fixed and differentiable"
    )
    remedy = "leave it out" if where == OUTPUT_WHERE else f"try activation={AUTO}"
    return Fault(where, rule, f"'{output}'", f"{remedy} for {loss.output}, or choose another loss")


def _rule_output_fault(where: str, optimizer: str, only: str, output: str) -> Fault | None:
    if output == only:
        return None
    remedy = "leave it out" if where == OUTPUT_WHERE else f"try activation={AUTO}"
    return Fault(where, f"must be {only} with optimizer={optimizer}", f"'{output}'", remedy)


def _between_faults(activation: Member) -> list[Fault]:
    """What is wrong with the activation of hidden layers."""
    if not OUTPUTS[activation.name].elementwise:
        remedy = f"try activation=sigmoid, or model.output={activation.name}"
        return [Fault("activation.name", "must be elementwise between layers", f"'{activation.name}'", remedy)]
    if not ACTIVATIONS[activation.name].trainable:
        rule = "must have a derivative that is not 0 everywhere, for every optimizer here follows the gradient"
        return [Fault("activation.name", rule, f"'{activation.name}'", "try activation=sigmoid, its smooth form")]
    return []


def by_rows_faults(spec: RunSpec) -> Iterator[Fault]:
    """What is wrong with a rule that goes from row to row and follows no gradient."""
    entry = OPTIMIZERS[spec.optimizer.name]
    if not entry.by_rows:
        return
    by = f"with optimizer={entry.name}"
    if spec.model.name in MODELS and not _single_layer(MODELS[spec.model.name]):
        rule = f"must have no hidden layer {by}, which has no gradient to pass back"
        yield Fault("model.name", rule, f"'{spec.model.name}'", "try model=perceptron")
    if spec.loss.name in LOSSES and spec.loss.name != entry.loss:
        rule = f"must be {entry.loss} {by}: of an output of 0 or 1 it is the share of wrong rows"
        yield Fault("loss.name", rule, f"'{spec.loss.name}'", f"try loss={entry.loss}")
    if spec.train.batch_size is not None:
        rule = f"must be null {by}, which updates after each row"
        yield Fault("train.batch_size", rule, text(spec.train.batch_size), "leave it out")
    if spec.train.clip_norm:
        yield Fault(
            "train.clip_norm", f"must be 0 {by}, which has no gradient", text(spec.train.clip_norm), "leave it out"
        )


def _single_layer(model: Model) -> bool:
    """Whether a model is known to be one linear layer."""
    return model.between is None and model.module is None
