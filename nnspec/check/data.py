"""The data of a spec: its file, and whether its targets fit the loss and the output."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import lru_cache

from nnspec.architecture import learns_numbers, size, test_rows
from nnspec.catalog import DATA, LOSSES, MODELS, OUTPUTS, Loss, Size
from nnspec.catalog.data import class_faults
from nnspec.check.activations import OUTPUT_WHERE
from nnspec.errors import Fault, SpecError
from nnspec.problem import rows_of
from nnspec.specs import Member, RunSpec


def with_data(spec: RunSpec) -> tuple[RunSpec, list[Fault]]:
    """The spec with the digest of its file of data, and what is wrong with that file, or between the data and the
    loss."""
    data, entry = spec.data, DATA[spec.data.name]
    try:
        if entry.digest is not None:
            data = data.with_params(digest=entry.digest(dict(data.params)))
        held = size(data)
    except SpecError as error:
        return spec, list(error.faults)
    return replace(spec, data=data), list(_fit_faults(data, held, LOSSES[spec.loss.name]))


def _fit_faults(data: Member, held: Size, loss: Loss) -> Iterator[Fault]:
    """What is wrong between data and a loss."""
    value, note = f"loss={loss.name}", f" ({held.note})" if held.note else ""
    if loss.numbers and held.targets:
        if held.rows - test_rows(data) < 1:
            yield Fault("data.test_fraction", "must leave a row for the training", f"{held.rows} row", "try 0")
        return
    if not held.classes:
        rule = (
            f"must be {_names(loss.numbers for loss in LOSSES)} with data={data.name}, whose target is a number{note}"
        )
        yield Fault("loss.name", rule, value, "try loss=mse model.output=identity")
    elif held.classes == 1:
        yield Fault("data.target", "must have two classes or more", "one", "choose another column, or add rows")
    elif held.classes > 2 and not loss.one_hot:
        rule = (
            f"must be {_names(loss.one_hot for loss in LOSSES)} with data={data.name} of {held.classes} classes{note}"
        )
        yield Fault("loss.name", rule, value, "try loss=cross_entropy")
    else:
        yield from class_faults(dict(data.params), held.counts)


def reach_faults(spec: RunSpec) -> Iterator[Fault]:
    """Numbers to be learnt that the output can never be."""
    output, span = str(spec.model["output"]), OUTPUTS[str(spec.model["output"])].span
    if span is None or not learns_numbers(spec):
        return
    low, high = _target_range(spec.data, spec.loss.name)
    if low < span[0] or high > span[1]:
        where = OUTPUT_WHERE if MODELS[spec.model.name].between is not None else "activation.name"
        rule, value = f"must reach targets of {low:.4g} to {high:.4g}", f"'{output}' of {span[0]:g} to {span[1]:g}"
        yield Fault(where, rule, value, f"try {where.removesuffix('.name')}=identity")


@lru_cache(maxsize=256)
def _target_range(data: Member, loss: str) -> tuple[float, float]:
    """The smallest and the largest target of the training part."""
    _, targets = rows_of(data, loss)
    return float(targets.min()), float(targets.max())


def _names(chosen: Iterable[bool]) -> str:
    return " or ".join(name for name, wanted in zip(LOSSES.names(), chosen, strict=True) if wanted)
