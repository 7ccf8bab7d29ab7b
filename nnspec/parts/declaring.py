"""The decorators that add a user's parts to the catalog. Each gives back what it decorates, as it is."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, TypeVar

import numpy as np

from nnspec.catalog import (
    ACTIVATIONS,
    DATA,
    INITS,
    LOSSES,
    MODELS,
    OPTIMIZERS,
    OUTPUTS,
    Activation,
    DataEntry,
    DataSet,
    Init,
    Loss,
    Model,
    Optimizer,
)
from nnspec.catalog.data.sets import COMMON, SPLIT_RULE, size_of
from nnspec.catalog.inits import NORMAL, UNIFORM
from nnspec.catalog.maths import Array, Maths
from nnspec.catalog.models import OUTPUT
from nnspec.catalog.origins import ORIGINS, Origin
from nnspec.errors import Fault, SpecError
from nnspec.parts.dual import derivative
from nnspec.parts.guard import PartError, guarded
from nnspec.parts.parameters import parameters
from nnspec.parts.rows import data_set
from nnspec.parts.source import origin as origin_of_code
from nnspec.registry import Registry

T = TypeVar("T", bound=Callable[..., Any])
Decorator = Callable[[T], T]
NAME = re.compile(r"[a-z][a-z0-9_]*", re.ASCII)
SCRATCH = 4  # arrays that a rule of a user's makes beside the new weights and state, about


def activation(
    name: str, *, slope: Callable[..., Array] | None = None, gain: float | None = None, **params: Any
) -> Decorator[T]:
    """Declare ``def f(xp, z, p)`` as an activation: elementwise, of pre-activations ``z``, with the parameters ``p`` by
    name, made of the functions of ``xp`` (exp, tanh, sigmoid, where, clip, ...). Its docstring is the formula.

    ``slope(xp, z, h, p)`` is the derivative, ``h`` being the value; where it is left out, it is made of the formula.
    ``gain`` is what keeps the variance from layer to layer; measured where it is left out.

    Raises:
        SpecError: the name is taken or is none, or a parameter has no usable default.
    """

    def declare(function: T) -> T:
        part, origin = _begin(ACTIVATIONS, name, function)
        value = guarded(part, origin, function)

        def made(xp: Maths, z: Array, h: Array, p: Mapping[str, Any]) -> Array:
            return derivative(lambda xp, z: value(xp, z, p), xp, z)

        entry = Activation(
            name,
            _summary(function),
            "",
            value,
            made if slope is None else guarded(part, origin, slope),
            parameters(part, params),
            None if gain is None else (lambda p: float(gain)),
            derivative="by dual numbers, of the formula" if slope is None else _summary(slope),
        )
        _add(ACTIVATIONS, entry, origin)
        OUTPUTS.add(entry)
        return function

    return declare


def init(
    name: str, *, noise: str = NORMAL, std: Callable[..., float] | None = None, bias: str = "zeros", **params: Any
) -> Decorator[T]:
    """Declare ``def f(noise, layer, p)`` as an initialisation: it makes weights [m, o, i] of noise of that shape,
    standard normal or ``uniform`` on 0..1, drawn from each network's own seed. ``layer`` has ``fan_in``, ``fan_out``
    and the activation's ``gain``.

    ``std(layer, p)`` is the standard deviation that it promises; ``bias`` the scheme of biases unless a spec says one.
    """

    def declare(function: T) -> T:
        part, origin = _begin(INITS, name, function)
        if noise not in (NORMAL, UNIFORM):
            raise PartError.of(part, origin, f"must have a noise that is {NORMAL} or {UNIFORM}", repr(noise))
        call = guarded(part, origin, function)

        def make(drawn: tuple[np.ndarray, ...], shape: tuple[int, int, int], layer: Any, p: Any) -> np.ndarray:
            weights = np.asarray(call(drawn[0].copy(), layer, p))
            if weights.shape != shape:
                raise PartError.of(part, origin, f"must give weights of shape {list(shape)}", str(list(weights.shape)))
            return weights

        promised = None if std is None else guarded(part, origin, std)
        entry = Init(name, _summary(function), make, (noise,), parameters(part, params), std=promised, bias=bias)
        _add(INITS, entry, origin)
        return function

    return declare


def optimizer(name: str, *, slots: int = 0, **params: Any) -> Decorator[T]:
    """Declare ``def f(w, g, state, p)`` as an optimizer: from weights, their gradient and ``slots`` arrays of state,
    which start at 0, it gives the new weights and the tuple of the new state; nothing is changed in place. ``p`` holds
    the parameters and ``t``, the number of the update from 1, as arrays that broadcast. It needs the parameter ``lr``,
    which a schedule moves.
    """

    def declare(function: T) -> T:
        part, origin = _begin(OPTIMIZERS, name, function)
        if "lr" not in params:
            raise PartError.of(part, origin, "must have a parameter lr, the learning rate")
        call = guarded(part, origin, function)

        def update(w: Array, g: Array, s: tuple[Array, ...], spare: Array, h: Any, c: Any) -> None:
            found = call(w, g, s, {**h, "lr": c["lr"], "t": c["t"]})
            if not isinstance(found, tuple) or len(found) != 2 or len(found[1]) != slots:
                rule = f"must give the new weights and a tuple of the {slots} new arrays of its state"
                raise PartError.of(part, origin, rule, type(found).__name__)
            for old, new in zip(s, found[1], strict=True):
                old.copy_(new)
            w.copy_(found[0])

        entry = Optimizer(
            name,
            _summary(function),
            "",
            parameters(part, params),
            lambda h: slots,
            update,
            lambda h, t: {"lr": h["lr"] + 0 * t, "t": t + 0 * h["lr"]},
            temporaries=SCRATCH + slots,
        )
        _add(OPTIMIZERS, entry, origin)
        return function

    return declare


def loss(
    name: str, *, output: str = "sigmoid", gradient: Callable[..., Array] | None = None, **params: Any
) -> Decorator[T]:
    """Declare ``def f(xp, p, y, q)`` as a loss: elementwise, of outputs ``p`` and targets ``y`` (0 and 1 of a class, or
    the numbers to be learnt), with parameters ``q``; its mean over rows and outputs is what trains.

    ``output`` is the output activation unless a spec says one; ``gradient(xp, p, y, q)`` the derivative by ``p``, made
    of the formula where it is left out.
    """

    def declare(function: T) -> T:
        part, origin = _begin(LOSSES, name, function)
        value = guarded(part, origin, function)
        given = None if gradient is None else guarded(part, origin, gradient)

        def slope(xp: Maths, z: Array, p: Array, y: Array, q: Any) -> Array:
            if given is not None:
                return given(xp, p, y, q)
            return derivative(lambda xp, p: value(xp, p, y, q), xp, p)

        entry = Loss(
            name,
            _summary(function),
            output,
            lambda xp, z, p, y, q: value(xp, p, y, q),
            slope,
            params=parameters(part, params),
            numbers=True,
        )
        _add(LOSSES, entry, origin)
        return function

    return declare


def data(name: str, **params: Any) -> Decorator[T]:
    """Declare ``def f(p)`` as a data set: it gives inputs [n, i] and either classes [n], whole numbers from 0, or
    numbers to be learnt [n, k], the same for the same parameters ``p``."""

    def declare(function: T) -> T:
        part, origin = _begin(DATA, name, function)
        call = guarded(part, origin, function)

        @cache
        def made(items: tuple[tuple[str, Any], ...]) -> DataSet:
            return data_set(part, origin, call(dict(items)))

        own = parameters(part, params)

        def make(p: Mapping[str, Any]) -> DataSet:
            return made(tuple((each.name, p[each.name]) for each in own))

        entry = DataEntry(name, _summary(function), make, lambda p: size_of(make(p)), (*own, *COMMON), (SPLIT_RULE,))
        _add(DATA, entry, origin)
        return function

    return declare


def model(name: str, **params: Any) -> Decorator[T]:
    """Declare a class of ``torch.nn.Module`` as a model: it is made as ``Class(inputs, outputs, **parameters)``, and
    its ``forward`` gives the pre-activations [n, outputs] of inputs [n, inputs], behind which the output activation is
    that of the loss or of the spec. Torch differentiates it; many networks of it train at once."""

    def declare(made: T) -> T:
        part, origin = _begin(MODELS, name, made)
        own, call = (*parameters(part, params), OUTPUT), guarded(part, origin, made)

        def module(*args: Any, **kwargs: Any) -> Any:
            net = call(*args, **kwargs)
            net.forward = guarded(part, origin, net.forward)
            return net

        entry = Model(name, _summary(made), lambda p: (), None, own, module=module)
        _add(MODELS, entry, origin)
        return made

    return declare


def _begin(registry: Registry[Any], name: str, function: Callable[..., Any]) -> tuple[str, Origin]:
    """How messages call a part, and where it comes from.

    Raises:
        SpecError: the name is none, or another part has it.
    """
    part, origin = f"the {registry.kind} '{name}'", origin_of_code(function)
    where = f"{part} ({origin.name}, line {origin.line})"
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise SpecError([Fault(where, "must have a name of small letters, digits and _", repr(name), "rename it")])
    other = ORIGINS.get((type(registry[name]), name)) if name in registry else None
    if name in registry and (other is None or other.file != origin.file):
        whose = "nnspec has one" if other is None else f"{other.name} has one"
        raise SpecError([Fault(where, "must have a name of its own", f"'{name}', and {whose}", "rename it")])
    return part, origin


def _add(registry: Registry[Any], entry: Any, origin: Origin) -> None:
    """Add an entry; a part that is declared again, as in a notebook, takes the place of its earlier form."""
    if entry.name in registry:
        registry.remove(entry.name)
        if registry is ACTIVATIONS:
            OUTPUTS.remove(entry.name)
    registry.add(entry)
    ORIGINS[type(entry), entry.name] = origin


def _summary(function: Callable[..., Any]) -> str:
    """The first line of a docstring."""
    return (inspect.getdoc(function) or "a part without a docstring").splitlines()[0]
