"""Which of a network's parameters is which of nnspec's tensors, and whether its matrices stand the other way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nnspec.verifying.given import VerifyError, checked_array

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Placement:
    """``turned``: the matrices that the network keeps as [in, out], where nnspec has [out, in]."""

    wanted: dict[str, Shape]
    given: tuple[Shape, ...]
    turned: frozenset[str]

    def outward(self, tensors: dict[str, np.ndarray]) -> list[np.ndarray]:
        """nnspec's tensors in the network's order and shapes."""
        pairs = zip(self.wanted, self.given, strict=True)
        return [(tensors[n].T if n in self.turned else tensors[n]).reshape(shape) for n, shape in pairs]

    def inward(self, what: str, arrays: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        """The network's arrays by nnspec's names and in its shapes, in double precision."""
        found = {}
        for (name, wanted), shape, array in zip(self.wanted.items(), self.given, arrays, strict=True):
            checked = checked_array(f"{what} {name}", array, shape)
            found[name] = checked.T if name in self.turned else checked.reshape(wanted)
        return found


def placements(wanted: dict[str, Shape], given: Sequence[Shape]) -> list[Placement]:
    """How the parameters may be meant, the likeliest first: square matrices stand as the others do; where there are
    none, or some each way, their values must tell.

    Raises:
        VerifyError: there are fewer or more parameters than nnspec has, or one has a shape that does not fit.
    """
    if len(given) != len(wanted):
        listed = ", ".join(f"{name} {list(shape)}" for name, shape in wanted.items())
        remedy = _missing(wanted, given)
        raise VerifyError(f"the network must have {len(wanted)} parameters ({listed}), but got {len(given)}; {remedy}")
    turned: set[str] = set()
    straight: set[str] = set()
    square: set[str] = set()
    for number, ((name, shape), found) in enumerate(zip(wanted.items(), given, strict=True)):
        if len(shape) == 2 and len(found) == 2 and found == shape and shape[0] == shape[1] > 1:
            square.add(name)
        elif found == shape:
            straight.update({name} if len(shape) == 2 else ())
        elif found == shape[::-1]:
            turned.add(name)
        elif _squeezed(found) != _squeezed(shape):
            raise VerifyError(_misfit(number, name, shape, found, wanted, given))
    both = [frozenset(turned), frozenset(turned | square)]
    if not square or (straight and not turned):
        both = both[:1]
    elif turned and not straight:
        both = both[1:]
    return [Placement(wanted, tuple(given), choice) for choice in both]


def _squeezed(shape: Shape) -> Shape:
    return tuple(axis for axis in shape if axis != 1)


def _missing(wanted: dict[str, Shape], given: Sequence[Shape]) -> str:
    """A remedy for a wrong number of parameters: which are missing, if the others stand in nnspec's order."""
    left, missing = list(given), []
    for name, shape in wanted.items():
        if left and left[0] in (shape, shape[::-1]):
            left.pop(0)
        else:
            missing.append(name)
    if left or not missing:
        return "their order is nnspec's"
    what = "a bias was forgotten" if all(name.endswith(".bias") for name in missing) else "it lacks"
    return f"{what}: {', '.join(missing)}"


def _misfit(
    number: int, name: str, shape: Shape, found: Shape, wanted: dict[str, Shape], given: Sequence[Shape]
) -> str:
    remedy = "make it that shape"
    if sorted(map(sorted, given)) == sorted(map(sorted, wanted.values())):
        remedy = f"the shapes are nnspec's in another order, which is {', '.join(wanted)}"
    other = f" or {list(shape[::-1])}" if len(shape) == 2 else ""
    return f"parameter {number + 1} ({name}) must have the shape {list(shape)}{other}, but got {list(found)}; {remedy}"
