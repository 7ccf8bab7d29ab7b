"""Whether a user's formula does what is asked of it, tried on a few numbers before anything trains."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping
from contextlib import redirect_stdout
from typing import Any

import numpy as np

from nnspec.catalog import Activation, Init, Loss
from nnspec.catalog.inits import NORMAL, Layer
from nnspec.catalog.maths import NumpyMaths
from nnspec.catalog.origins import Origin, origin_of
from nnspec.errors import Fault, first_line
from nnspec.parts.dual import derivative
from nnspec.parts.guard import PartError
from nnspec.registry import Entry
from nnspec.terminal import complain

XP = NumpyMaths()
AGREE = 1e-6  # of a given derivative and that of the formula, relative: formulas may cancel


def tried(kind: str, entry: Entry, params: Mapping[str, Any]) -> Iterator[Fault]:
    """What is wrong with a user's entry of a kind, with these parameters; what it prints is told."""
    origin = origin_of(entry)
    if origin is None:
        return
    part, printed = f"the {kind} '{entry.name}'", io.StringIO()
    try:
        with redirect_stdout(printed):
            _try(part, origin, entry, params)
    except PartError as error:
        yield from error.faults
    if printed.getvalue():
        where = f"{part} ({origin.name}, line {origin.line})"
        complain(f"{where} prints, which nobody sees while it trains: {first_line(printed.getvalue())}")


def _try(part: str, origin: Origin, entry: Entry, params: Mapping[str, Any]) -> None:
    """Call an entry's functions, if it has any that are cheap.

    Raises:
        PartError: one raises, or gives what it must not.
    """
    z = np.linspace(-3.1, 2.9, 24).reshape(4, 3, 2)
    if isinstance(entry, Activation):
        value = _same_shape(part, origin, lambda z: entry.value(XP, z, params), z)
        slope = _same_shape(part, origin, lambda z: entry.slope(XP, z, value, params), z)
        _agree(part, origin, lambda xp, z: entry.value(xp, z, params), z, slope)
    elif isinstance(entry, Loss):
        y = (z > 0).astype(float)
        _same_shape(part, origin, lambda p: entry.elements(XP, p, p, y, params), z)
        slope = _same_shape(part, origin, lambda p: entry.gradient(XP, p, p, y, params), z)
        _agree(part, origin, lambda xp, p: entry.elements(xp, p, p, y, params), z, slope)
    elif isinstance(entry, Init):
        noise = np.random.default_rng(0).normal(size=(2, 3, 4)) if NORMAL in entry.noise else np.full((2, 3, 4), 0.3)
        entry.make((noise,), (2, 3, 4), Layer(4, 3, 1.0), params)


def _same_shape(part: str, origin: Origin, function: Callable[[np.ndarray], Any], z: np.ndarray) -> np.ndarray:
    """The value of an elementwise function.

    Raises:
        PartError: it has another shape than its argument, is no array of real numbers, or the argument is not what it
            was.
    """
    given = z.copy()
    with np.errstate(all="ignore"):
        found = function(given)
    if not np.array_equal(given, z):
        raise PartError.of(part, origin, "must leave its input as it is", "a change in place")
    if np.shape(found) != z.shape or np.asarray(found).dtype.kind != "f":
        shape, kind = list(np.shape(found)), np.asarray(found).dtype
        rule = f"must give real numbers of the shape of its input, {list(z.shape)}"
        raise PartError.of(part, origin, rule, f"shape {shape} of {kind}")
    return np.asarray(found)


def _agree(part: str, origin: Origin, formula: Callable[..., Any], z: np.ndarray, slope: np.ndarray) -> None:
    """Compare a derivative with that of its formula.

    Raises:
        PartError: they part.
    """
    with np.errstate(all="ignore"):
        made = derivative(formula, XP, z)
        apart = np.abs(made - slope) > AGREE * (1 + np.abs(made))
    if apart.any():
        place = np.unravel_index(int(np.argmax(apart)), z.shape)
        rule = f"must have the derivative of its formula, which is {made[place]:.6g} at {z[place]:.6g}"
        raise PartError.of(part, origin, rule, f"{slope[place]:.6g}")
