"""Zooming in on the boundary of a map, where there is most of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from nnspec.analysis.figures.maps import boundary
from nnspec.errors import Fault, SpecError
from nnspec.maps.axes import Axis
from nnspec.maps.result import Map
from nnspec.specs import RunSpec

ABOUT = 3  # squares to each side whose boundary counts: a tenth of a map of 65 pixels in all
SQUARES = 3  # between pixels, of a part's side


def deeper(found: Map) -> tuple[Axis, Axis] | None:
    """The axes of the part of a map about a square of four pixels, not all alike, about which there is most of the
    boundary: that square and a pixel more to every side, so that the boundary does not just cut a corner. The nearest
    to the middle where there is as much about several; None where the map has no boundary."""
    edge = boundary(found.converged)
    if not edge.any():
        return None
    sums = np.pad(np.pad(edge, ABOUT).cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    side = 2 * ABOUT + 1
    about = sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
    most = np.argwhere(edge & (about == about[edge].max()))
    middle = (np.array(edge.shape) - 1) / 2
    y, x = most[((most - middle) ** 2).sum(1).argmin()]
    return _about(found.x_axis, x), _about(found.y_axis, y)


def _about(axis: Axis, place: int) -> Axis:
    """The part of an axis from the pixel before those at ``place`` and behind it to the one after."""
    start = max(0, min(place - 1, axis.count - 1 - SQUARES))
    end = min(start + SQUARES, axis.count - 1)
    return replace(axis, low=float(axis.values[start]), high=float(axis.values[end]))


def refuse_too_deep(spec: RunSpec, axes: tuple[Axis, Axis], zooms: int) -> None:
    """Refuse zooms whose pixels the precision of the spec does not tell apart.

    Raises:
        SpecError: saying how many it does.
    """
    most = min(_most(axis, float(np.finfo(spec.dtype).eps)) for axis in axes)
    if zooms > most:
        size = " by ".join(str(axis.count) for axis in axes)
        rule = f"must be at most {most} with {size} pixels in {spec.dtype}, to which those beyond are not apart"
        remedy = "lower it" if spec.dtype == "float64" else "lower it, or say dtype=float64"
        raise SpecError([Fault("sweep.zooms", rule, str(zooms), remedy)])


def _most(axis: Axis, precision: float) -> int:
    """How often the distance of two neighbours on an axis, as a share of their size, can be divided so."""
    if axis.count - 1 <= SQUARES:  # a part is all of the map
        return 0
    length = np.log(axis.high / axis.low) if axis.log else (axis.high - axis.low) / max(abs(axis.low), abs(axis.high))
    return max(0, int(np.log(length / precision) / np.log((axis.count - 1) / SQUARES)) - 1)
