"""The two axes of a map: continuous parameters of a spec, checked over their whole length before anything trains."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from nnspec.catalog import REGISTRIES, parameters
from nnspec.compose.explain import examine_fields
from nnspec.errors import Fault, SpecError, nearest
from nnspec.maps.keys import changed, value_of
from nnspec.params import Either, Integer, Kind, Many, Optional, Param, Real, Refused
from nnspec.settings import LOG, MapAxis, Sweep
from nnspec.specs import MEMBERS, SCALARS, SOLVED, TRAIN, RunSpec, text

SECTIONS = {"train": TRAIN, "solved": SOLVED, "": SCALARS}


@dataclass(frozen=True)
class Axis:
    """One axis: a parameter of the spec by its dotted key, and its values from ``low`` to ``high``."""

    key: str
    low: float
    high: float
    scale: str
    count: int

    @property
    def log(self) -> bool:
        return self.scale == LOG

    @property
    def values(self) -> np.ndarray:
        """[count] float64, its ends exact."""
        space = np.geomspace if self.log else np.linspace
        return np.asarray(space(self.low, self.high, self.count))

    def __str__(self) -> str:
        return f"{self.key} {self.low:g} to {self.high:g} ({self.scale}, {self.count:,})"


def axes_of(spec: RunSpec, sweep: Sweep) -> tuple[Axis, Axis]:
    """The axes of a map of a spec, x and y, of which a zoom keeps a part at its full count.

    Raises:
        SpecError: an axis is no continuous parameter of the spec, or the zoom does not lie within the map.
    """
    assert sweep.map is not None
    x, y = (Axis(*axis) for axis in sweep.map)
    faults = [fault for axis in (x, y) for fault in _axis_faults(spec, axis)]
    faults += [f for axis, part in zip((x, y), sweep.zoom or (), strict=False) for f in _zoom_faults(axis, part)]
    if faults:
        raise SpecError(faults)
    if sweep.zoom is None:
        return x, y
    (x_low, x_high), (y_low, y_high) = sweep.zoom
    return replace(x, low=x_low, high=x_high), replace(y, low=y_low, high=y_high)


def _zoom_faults(axis: Axis, part: Sequence[float]) -> Iterator[Fault]:
    low, high = part
    if not axis.low <= low < high <= axis.high:
        rule = f"must be a part low:high of {axis.key}, which the map has from {axis.low:g} to {axis.high:g}"
        yield Fault("sweep.zoom", rule, f"{low:g}:{high:g}", "choose one within it, or widen sweep.map")


def along(spec: RunSpec, axes: Sequence[Axis]) -> tuple[list[RunSpec], list[RunSpec]]:
    """The checked specs along the x axis and along the y axis, the other at its first value: canonical, so that a
    pixel's spec is that of a run alone.

    Raises:
        SpecError: an axis leaves what its parameter can be somewhere.
    """
    x, y = axes
    _checked([changed(changed(spec, x.key, a), y.key, b) for a in (x.low, x.high) for b in (y.low, y.high)])
    at_x = [changed(changed(spec, y.key, y.low), x.key, float(value)) for value in x.values]
    at_y = [changed(changed(spec, x.key, x.low), y.key, float(value)) for value in y.values]
    return _checked(at_x), _checked(at_y)


def _checked(specs: Sequence[RunSpec]) -> list[RunSpec]:
    found = [examine_fields(spec) for spec in specs]
    faults = {(fault.where, fault.rule): fault for _, some in found for fault in some}  # one of each, not one a value
    if faults:
        raise SpecError(faults.values())
    return [spec for spec, _ in found]


def _axis_faults(spec: RunSpec, axis: Axis) -> Iterator[Fault]:
    kinds = _kinds(spec)
    kind, continuous = kinds.get(axis.key), [key for key, kind in kinds.items() if _real(kind)]
    if kind is None and axis.key not in MEMBERS:
        rule = "must have axes that are parameters of the spec"
        yield Fault("sweep.map", rule, f"'{axis.key}'", nearest(axis.key, continuous))
    elif kind is None or not _real(kind):
        rule = "must have continuous axes, of real-valued parameters"
        what = "a whole number" if kind is not None and _whole(kind) else "no number"
        yield Fault("sweep.map", rule, f"'{axis.key}', which is {what}", f"try {_some(continuous)}; -m sweeps it")
    else:
        for end in (axis.low, axis.high):
            try:
                kind.parse(end)
            except Refused as refused:
                rule = f"must keep to what {axis.key} can be, which {refused}"
                yield Fault("sweep.map", rule, text(end), "move that end of the axis")


def _kinds(spec: RunSpec) -> dict[str, Kind]:
    """The parameters that a spec has by their keys, and those in its lists, as 'optimizer.lr_per_layer.0'."""
    kinds: dict[str, Kind] = {}
    for section, param in _params(spec):
        key = f"{section}.{param.name}".lstrip(".")
        kinds[key] = param.kind
        value, items = value_of(spec, key) if section else None, _items(param.kind)
        if isinstance(value, tuple) and items is not None:
            kinds |= {f"{key}.{place}": items for place in range(len(value))}
    return kinds


def _params(spec: RunSpec) -> Iterator[tuple[str, Param]]:
    """The parameters that a spec has, each with its section."""
    for group in MEMBERS:
        for param in parameters(REGISTRIES[group][getattr(spec, group).name]):
            yield group, param
    for section, params in SECTIONS.items():
        for param in params:
            yield section, param


def _real(kind: Kind) -> bool:
    return isinstance(kind, Real) or (isinstance(kind, (Optional, Either)) and _real(kind.kind))


def _items(kind: Kind) -> Kind | None:
    """The kind of the items of a list; None of what is none."""
    if isinstance(kind, Optional):
        return _items(kind.kind)
    return kind.kind if isinstance(kind, Many) else None


def _whole(kind: Kind) -> bool:
    return isinstance(kind, Integer) or (isinstance(kind, (Optional, Either)) and _whole(kind.kind))


def _some(keys: Sequence[str]) -> str:
    """A few keys for a remedy: those of the optimizer and of the initialisation say most."""
    first = [key for key in keys if key.startswith(("optimizer.", "init.", "activation."))]
    return ", ".join((first or list(keys))[:4])


def stated(axes: Sequence[Axis]) -> list[MapAxis]:
    """The axes as ``sweep.map`` states them."""
    return [(axis.key, axis.low, axis.high, axis.scale, axis.count) for axis in axes]
