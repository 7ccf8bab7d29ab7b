"""The pixels of a map as cells that are made when they are asked for: their specs, and the pieces that train at once.

A map may have millions of pixels, so that neither their specs nor their shares are ever all there. A piece of it is a
chunk like any other; whatever carries chunks carries maps.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import overload

from nnspec.maps.keys import changed, parts, value_of
from nnspec.specs import RunSpec
from nnspec.training.plan import Chunk, Share, stack_key
from nnspec.training.stacking import bounds_of

KEPT = 32_768  # specs that are kept: training, diagnosis and others ask for those of a piece one after the other


@dataclass(frozen=True)
class Pixels(Sequence[RunSpec]):
    """The spec of each pixel, row by row: pixel ``y * width + x``. ``at_x`` and ``at_y`` are the checked specs along
    the axes of keys ``x_key`` and ``y_key``."""

    x_key: str
    y_key: str
    at_x: Sequence[RunSpec]
    at_y: Sequence[RunSpec]
    _made: dict[int, RunSpec] = field(default_factory=dict, repr=False, compare=False)

    @property
    def width(self) -> int:
        return len(self.at_x)

    @property
    def height(self) -> int:
        return len(self.at_y)

    def __len__(self) -> int:
        return self.width * self.height

    @overload
    def __getitem__(self, index: int) -> RunSpec: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[RunSpec]: ...
    def __getitem__(self, index: int | slice) -> RunSpec | Sequence[RunSpec]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        made = self._made.get(index)
        if made is None:
            if len(self._made) >= KEPT:
                self._made.clear()
            made = self._made[index] = self._make(index)
        return made

    def _make(self, index: int) -> RunSpec:
        if not 0 <= index < len(self):
            raise IndexError(index)
        y, x = divmod(index, self.width)
        row, column, section = self.at_y[y], self.at_x[x], parts(self.x_key)[0]
        if section == parts(self.y_key)[0]:
            return changed(column, self.y_key, value_of(row, self.y_key))
        return replace(row, **{section: getattr(column, section)})


@dataclass(frozen=True)
class Piece:
    """Pixels first .. first + count of a rectangle of pixels, row by row in it."""

    columns: range
    rows: range
    first: int
    count: int


@dataclass(frozen=True)
class Pieces(Sequence[Chunk]):
    """A map's chunks. The networks of each do the same arithmetic, as those of a stack."""

    pieces: Sequence[Piece]
    width: int  # of the map
    replicates: int
    compiled: bool

    def __len__(self) -> int:
        return len(self.pieces)

    @overload
    def __getitem__(self, index: int) -> Chunk: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Chunk]: ...
    def __getitem__(self, index: int | slice) -> Chunk | Sequence[Chunk]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        return Chunk(tuple(Share(pixel, 0, self.replicates) for pixel in self.pixels(index)), self.compiled)

    def pixels(self, index: int) -> list[int]:
        """The numbers of a piece's pixels, in its order."""
        piece = self.pieces[index]
        across = len(piece.columns)
        places = (divmod(place, across) for place in range(piece.first, piece.first + piece.count))
        return [piece.rows[y] * self.width + piece.columns[x] for y, x in places]


def cut(pixels: Pixels, count: int) -> list[Piece]:
    """All pixels in pieces of at most ``count``. A value that changes the arithmetic, as a momentum of 0, which is
    none, begins a rectangle of its own."""
    found = []
    for rows, columns in itertools.product(*_alike(pixels)):
        size = len(rows) * len(columns)
        found += [Piece(columns, rows, first, min(count, size - first)) for first in range(0, size, count)]
    return found


def _alike(pixels: Pixels) -> tuple[list[range], list[range]]:
    """The rows, and the columns, in runs that can train as one stack; judged along both edges of the map."""
    last_row, last_column = (pixels.height - 1) * pixels.width, pixels.width - 1
    rows = [
        (stack_key(pixels[y * pixels.width]), stack_key(pixels[y * pixels.width + last_column]))
        for y in range(pixels.height)
    ]
    columns = [(stack_key(pixels[x]), stack_key(pixels[last_row + x])) for x in range(pixels.width)]
    return _runs(rows), _runs(columns)


def _runs(keys: Sequence[object]) -> list[range]:
    """Where equal keys stand side by side."""
    return [range(a, b) for a, b in itertools.pairwise(bounds_of(keys))]
