"""Points of the plane in classes of known shapes.

Random numbers come from NumPy's RandomState, whose streams are fixed for good, in the order in which scikit-learn draws
them: circles, moons and blobs are the same numbers as its ``make_circles``, ``make_moons`` and ``make_blobs`` give.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from nnspec.catalog.data.sets import COMMON, LARGEST, SPLIT_RULE, DataEntry, DataSet, Params, Size, real, whole
from nnspec.params import Integer, Param, Real, Rule

BOX = 10.0  # centres of blobs lie within -BOX..BOX
_ENOUGH = Rule("rows", "must be at least data.classes", lambda p: p["rows"] >= p["classes"], "raise data.rows")


def _rows(default: int = 200) -> Param:
    return Param("rows", default, Integer(2, 1_000_000), "number of points")


def _noise(default: float, what: str) -> Param:
    return Param("noise", default, Real(0, LARGEST), what)


def _even(rows: int, classes: int) -> tuple[int, ...]:
    """Rows of each class: as even as can be, the first classes get one more."""
    return tuple(rows // classes + (number < rows % classes) for number in range(classes))


def _shuffled(inputs: np.ndarray, labels: np.ndarray, random: np.random.RandomState) -> tuple[np.ndarray, np.ndarray]:
    order = np.arange(len(labels))
    random.shuffle(order)
    return inputs[order], labels[order]


def _two_curves(outer: np.ndarray, inner: np.ndarray, params: Params) -> DataSet:
    """Points [n, 2] of class 0 and of class 1, shuffled and then moved by the noise."""
    random = np.random.RandomState(whole(params, "seed"))
    labels = np.repeat(np.arange(2, dtype=np.int64), [len(outer), len(inner)])
    inputs, labels = _shuffled(np.vstack([outer, inner]), labels, random)
    return DataSet(inputs + random.normal(scale=real(params, "noise"), size=inputs.shape), labels)


def _halves(rows: int) -> tuple[int, int]:
    return rows // 2, rows - rows // 2


def circles(params: Params) -> DataSet:
    """Two circles about 0: of radius 1 (class 0) and of radius ``factor`` (class 1)."""
    angles = [np.linspace(0, 2 * np.pi, count, endpoint=False) for count in _halves(whole(params, "rows"))]
    outer, inner = (np.column_stack([np.cos(angle), np.sin(angle)]) for angle in angles)
    return _two_curves(outer, inner * real(params, "factor"), params)


def moons(params: Params) -> DataSet:
    """Two half circles that reach into each other."""
    upper, lower = (np.linspace(0, np.pi, count) for count in _halves(whole(params, "rows")))
    outer = np.column_stack([np.cos(upper), np.sin(upper)])
    inner = np.column_stack([1 - np.cos(lower), 1 - np.sin(lower) - 0.5])
    return _two_curves(outer, inner, params)


def blobs(params: Params) -> DataSet:
    """Normal clouds of deviation ``noise`` about centres that are drawn from -10..10."""
    random, classes = np.random.RandomState(whole(params, "seed")), whole(params, "classes")
    centres = random.uniform(-BOX, BOX, size=(classes, whole(params, "inputs")))
    counts = _even(whole(params, "rows"), classes)
    clouds = [
        random.normal(loc=centre, scale=real(params, "noise"), size=(count, len(centre)))
        for centre, count in zip(centres, counts, strict=True)
    ]
    inputs, labels = _shuffled(np.vstack(clouds), np.repeat(np.arange(classes, dtype=np.int64), counts), random)
    return DataSet(inputs, labels, classes)


def spirals(params: Params) -> DataSet:
    """Arms of an Archimedean spiral, a class each: radius t, angle 2 pi (turns t + class / classes), 0 < t <= 1 (after
    Lang and Witbrock 1988)."""
    random, classes = np.random.RandomState(whole(params, "seed")), whole(params, "classes")
    counts = _even(whole(params, "rows"), classes)
    labels = np.repeat(np.arange(classes, dtype=np.int64), counts)
    radius = np.concatenate([np.arange(1, count + 1) / count for count in counts])
    angle = 2 * np.pi * (real(params, "turns") * radius + labels / classes)
    arms = np.column_stack([radius * np.cos(angle), radius * np.sin(angle)])
    inputs, labels = _shuffled(arms, labels, random)
    return DataSet(inputs + random.normal(scale=real(params, "noise"), size=inputs.shape), labels, classes)


def checkerboard(params: Params) -> DataSet:
    """Points in the cells of a board over -1..1, the class that of the cell; the noise moves them afterwards."""
    random, rows, cells = np.random.RandomState(whole(params, "seed")), whole(params, "rows"), whole(params, "cells")
    labels = np.repeat(np.arange(2, dtype=np.int64), _even(rows, 2))
    places = [np.argwhere(np.indices((cells, cells)).sum(0) % 2 == label) for label in range(2)]  # cells of each class
    cell = np.vstack(
        [places[label][random.randint(len(places[label]), size=(labels == label).sum())] for label in (0, 1)]
    )
    inputs, labels = _shuffled((cell + random.uniform(size=cell.shape)) * 2 / cells - 1, labels, random)
    return DataSet(inputs + random.normal(scale=real(params, "noise"), size=inputs.shape), labels)


def _entry(
    name: str,
    summary: str,
    make: Callable[[Params], DataSet],
    size: Callable[[Params], Size],
    *params: Param,
    rules: tuple[Rule, ...] = (),
    aliases: tuple[str, ...] = (),
) -> DataEntry:
    return DataEntry(name, summary, make, size, (*params, *COMMON), (SPLIT_RULE, *rules), aliases)


def _size_of_curves(params: Params) -> Size:
    return Size(whole(params, "rows"), 2, _halves(whole(params, "rows")))


def _size_of_even(params: Params) -> Size:
    rows = whole(params, "rows")
    return Size(rows, 2, _even(rows, whole(params, "classes") if "classes" in params else 2))


def _size_of_blobs(params: Params) -> Size:
    rows = whole(params, "rows")
    return Size(rows, whole(params, "inputs"), _even(rows, whole(params, "classes")))


def _classes(default: int) -> Param:
    return Param("classes", default, Integer(2, 1000), "number of classes")


SHAPES = (
    _entry(
        "spirals",
        "arms of a spiral, a class each (after Lang and Witbrock 1988)",
        spirals,
        _size_of_even,
        _rows(),
        _classes(2),
        _noise(0.02, "standard deviation of what moves the points"),
        Param("turns", 1.5, Real(0, LARGEST), "turns of an arm"),
        rules=(_ENOUGH,),
        aliases=("two_spirals",),
    ),
    _entry(
        "circles",
        "a circle within a circle, as scikit-learn's make_circles",
        circles,
        _size_of_curves,
        _rows(),
        _noise(0.05, "standard deviation of what moves the points"),
        Param("factor", 0.5, Real(0, 1, open_high=True), "radius of the inner circle; the outer one has 1"),
        aliases=("make_circles",),
    ),
    _entry(
        "moons",
        "two half circles that reach into each other, as scikit-learn's make_moons",
        moons,
        _size_of_curves,
        _rows(),
        _noise(0.1, "standard deviation of what moves the points"),
        aliases=("make_moons", "two_moons"),
    ),
    _entry(
        "blobs",
        "normal clouds about random centres, as scikit-learn's make_blobs",
        blobs,
        _size_of_blobs,
        _rows(),
        _classes(3),
        _noise(1.0, "standard deviation of a cloud"),
        Param("inputs", 2, Integer(1, 10_000), "number of inputs"),
        rules=(_ENOUGH,),
        aliases=("make_blobs",),
    ),
    _entry(
        "checkerboard",
        "the cells of a board, its two colours the classes",
        checkerboard,
        _size_of_even,
        _rows(400),
        _noise(0.0, "standard deviation of what moves the points afterwards"),
        Param("cells", 4, Integer(2, 100), "cells along each side"),
    ),
)
