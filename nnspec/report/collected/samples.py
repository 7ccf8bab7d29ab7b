"""Networks of a sweep's cells whose loss, and output over the plane of their two inputs, the page can show: in bytes,
as plain values, so that another process can read them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from nnspec.report.places import evenly

CELLS = 10_000  # of a sweep that are shown one by one, evenly chosen
NO_ANSWER = 255  # in a raster: an output that is not finite
NOWHERE = -1  # the plane of networks whose inputs are not two numbers


@dataclass(frozen=True)
class Plane:
    """The plane of two inputs, and some rows of data on it. ``low`` and ``high`` are what the bytes 0 and 254 of a
    raster stand for; of more than two ``classes`` the bytes are the classes, 0 classes are numbers to be learnt."""

    box: tuple[float, float, float, float]  # x low, x high, y low, y high
    classes: int
    low: float
    high: float
    points: np.ndarray  # [n, 2]
    targets: np.ndarray  # [n]

    def cut(self, most: int) -> Plane:
        """With at most ``most`` of its rows."""
        rows = evenly(len(self.points), most) if most else []
        return replace(self, points=self.points[rows], targets=self.targets[rows])

    def grid(self, side: int) -> tuple[np.ndarray, np.ndarray]:
        """The places of a raster, [side] each."""
        return np.linspace(*self.box[:2], side), np.linspace(*self.box[2:], side)

    def bytes_of(self, values: np.ndarray) -> np.ndarray:
        """Values [m, y, x], as ``over_plane`` gives them, as bytes."""
        scaled = values if self.classes > 2 else 254 * (values - self.low) / (self.high - self.low)
        return np.where(np.isfinite(values), np.clip(np.nan_to_num(scaled), 0, 254), NO_ANSWER).round().astype(np.uint8)


@dataclass(frozen=True)
class Samples:
    """Single networks, by rising cell and seed, and the ``cells`` that are shown one by one (None: all of them).

    Args:
        cell, seed, solved, verdict: [k] each.
        clock: [k] which of ``clocks`` has the steps of its loss.
        loss: [k, t] float32, NaN beyond the steps of its clock.
        plane: [k] which of ``planes`` its raster is of, or ``NOWHERE``.
        raster: [k, side, side] uint8, y first, from the low end on.
    """

    cell: np.ndarray
    seed: np.ndarray
    solved: np.ndarray
    verdict: np.ndarray
    clock: np.ndarray
    loss: np.ndarray
    plane: np.ndarray
    raster: np.ndarray
    clocks: Sequence[np.ndarray]
    planes: Sequence[Plane]
    cells: Sequence[int] | None = None

    def renumbered(self, cells: Sequence[int]) -> Samples:
        """The same where cell i is number ``cells[i]`` of the table, and all of that table's cells are shown."""
        numbers = np.asarray(cells, int)[self.cell]
        order = np.lexsort((self.seed, numbers))
        parts = {name: getattr(self, name)[order] for name in ("seed", "solved", "verdict", "clock", "loss")}
        return replace(
            self, cell=numbers[order], **parts, plane=self.plane[order], raster=self.raster[order], cells=None
        )
