"""What must hold of a part, whatever its kind and by its kind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nnspec.architecture import architecture
from nnspec.catalog import DATA, INITS, OUTPUTS, REGISTRIES
from nnspec.catalog.inits import Layer
from nnspec.catalog.maths import NumpyMaths
from nnspec.catalog.origins import origin_of
from nnspec.compose import spec as composed
from nnspec.contracts.report import Check, NoParts, PartsReport
from nnspec.errors import NnspecError, SpecError, first_line
from nnspec.initial import activation_gain, initial_weights
from nnspec.parts.loading import load
from nnspec.specs import RunSpec
from nnspec.torch_maths import XP
from nnspec.training.codegen.graph import Untraceable
from nnspec.training.loop import train_chunk
from nnspec.training.plan import Chunk, Share
from nnspec.training.tracing import trace_pass

ALONE, SEEDS = 3, 400  # networks of a crowd; seeds whose weights are drawn
UPDATES = 20
# Of numbers of networks in a crowd and alone, relative: modules go through other products there, whose roundings grow
# over the updates (see README).
APART = 1e-8
# A promised spread is called wrong where the sample's variance is further from it than so many of its standard errors:
# by chance in one of 100,000 right ones.
ERRORS = 4.42
LOSSES = ("bce", "cross_entropy", "mse")  # tried in turn for data, which not every loss can learn


def check_parts(path: str | Path) -> PartsReport:
    """Try the parts that a file of Python declares: that a spec with one is good, that its networks train the same
    alone and in a crowd, and by its kind that formulas agree with their derivatives and in every library, that an
    initialisation has the spread that it promises, that data are the same twice.

    Raises:
        SpecError: the file cannot be loaded.
        NoParts: it declares none.
    """
    load([path])
    file, checks = Path(path).resolve(), []
    for group, registry in REGISTRIES.items():
        for entry in registry:
            origin = origin_of(entry)
            if origin is not None and Path(origin.file).resolve() == file:
                checks += list(_checked(group, entry.name))
    if not checks:
        raise NoParts.of(str(path))
    return PartsReport(tuple(checks))


def _checked(group: str, name: str) -> Iterator[Check]:
    """The checks of one part; those behind a spec that is none are left out."""
    part = f"{group} {name}"
    try:
        spec = _spec(group, name)
    except NnspecError as error:
        yield Check(part, "a spec with it is good", first_line(error))
        return
    yield Check(part, "a spec with it is good")
    for what, problem in (*OF_KIND.get(group, ()), ("alone and in a crowd its networks train the same", _crowd)):
        try:
            yield Check(part, what, problem(spec))
        except (NnspecError, RuntimeError, ValueError, TypeError, ArithmeticError) as error:
            yield Check(part, what, first_line(error))


def _spec(group: str, name: str) -> RunSpec:
    """A small spec that has a part.

    Raises:
        SpecError: there is none.
    """
    base = [f"{group}={name}", f"replicates={ALONE}", "dtype=float64", f"train.epochs={UPDATES}"]
    if group != "data":
        return composed(base)
    refused: SpecError | None = None
    for loss in LOSSES:
        try:
            return composed([*base, f"loss={loss}"])
        except SpecError as error:
            refused = refused or error
    assert refused is not None
    raise refused


def _crowd(spec: RunSpec) -> str:
    """The last network of a crowd against the same alone: loss and weights."""
    last = replace(spec, seed=spec.seed + ALONE - 1, replicates=1)
    together, alone = _trained(spec), _trained(last)
    if not np.isfinite(together.loss[:, 0]).all():
        return "the loss of the untrained networks is not finite"
    pairs = {"loss": (together.loss[-1], alone.loss[0])}
    pairs |= {name: (tensor[-1], alone.final[name][0]) for name, tensor in together.final.items()}
    apart = APART if architecture(spec).opaque else 0  # all others bit for bit
    for name, (one, two) in pairs.items():
        if not np.allclose(one, two, apart, apart, equal_nan=True):
            return f"{name} differs by up to {np.nanmax(np.abs(one - two)):.3g} after {UPDATES} updates"
    return ""


def _trained(spec: RunSpec) -> Any:
    *_, result = train_chunk([spec], Chunk((Share(0, 0, spec.replicates),)))
    return result


def _libraries(spec: RunSpec) -> str:
    """An activation in NumPy and in torch."""
    bound = OUTPUTS[spec.activation.name].bind(dict(spec.activation.params))
    z = np.linspace(-6, 6, 97)
    for what, numpy, tensor in (
        ("value", bound.value(NumpyMaths(), z), bound.value(XP, torch.from_numpy(z))),
        ("derivative", bound.slope(NumpyMaths(), z, z), bound.slope(XP, torch.from_numpy(z), torch.from_numpy(z))),
    ):
        if not np.allclose(numpy, tensor.numpy(), 1e-12, 1e-12, equal_nan=True):
            return f"the {what} differs by up to {np.abs(numpy - tensor.numpy()).max():.3g}"
        if not np.isfinite(numpy).all():
            return f"the {what} is not finite between -6 and 6"
    return ""


def _compiles(spec: RunSpec) -> str:
    """A formula as compiled code has it."""
    try:
        trace_pass(spec, (False, False))
    except Untraceable as error:
        return f"{error}; its networks train without compiled code"
    return ""


def _spread(spec: RunSpec) -> str:
    """The variance of each drawn weight matrix against the promise."""
    entry, gain = INITS[spec.init.name], activation_gain(spec.activation)
    weights = initial_weights(spec, np.arange(SEEDS))
    for dense in architecture(spec).dense if entry.std is not None else ():
        promised = entry.std(Layer(dense.fan_in, dense.fan_out, gain), dict(spec.init.params))  # type: ignore[misc]
        drawn = weights[f"{dense.name}.weight"].ravel()
        squares = (drawn - drawn.mean()) ** 2
        error = squares.std() / np.sqrt(len(drawn)) + 1e-12 * promised**2
        if abs(squares.mean() - promised**2) > ERRORS * error:
            return f"layer {dense.name} has a standard deviation of {drawn.std():.4g} and promises {promised:.4g}"
    return ""


def _repeats(spec: RunSpec) -> str:
    """Weights of a seed, drawn twice."""
    one, two = (initial_weights(spec, [5, 6]) for _ in range(2))
    return "" if all(np.array_equal(one[name], two[name]) for name in one) else "the same seed gives other weights"


def _same_rows(spec: RunSpec) -> str:
    """Rows of a data set, made twice."""
    make, params = DATA[spec.data.name].make, dict(spec.data.params)
    one, two = make(params), make(params)
    return "" if np.array_equal(one.inputs, two.inputs) else "the same parameters give other rows"


Problem = Callable[[RunSpec], str]
OF_KIND: dict[str, tuple[tuple[str, Problem], ...]] = {
    "activation": (("NumPy and torch agree, and it is finite", _libraries), ("it compiles", _compiles)),
    "init": (("it has the spread that it promises", _spread), ("a seed gives the same weights", _repeats)),
    "loss": (("it compiles", _compiles),),
    "data": (("it gives the same rows twice", _same_rows),),
}
