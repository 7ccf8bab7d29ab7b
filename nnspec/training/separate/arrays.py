"""Arrays as machine code is given them: by their address."""

from __future__ import annotations

import math

import numpy as np

LINE = 64  # bytes of a line of the cache: where arrays begin


def address(array: np.ndarray) -> int:
    """Where an array's numbers begin; they must lie one after the other."""
    assert array.flags.c_contiguous
    return int(array.__array_interface__["data"][0])


def aligned(shape: tuple[int, ...], kind: np.dtype) -> np.ndarray:
    """Zeros that begin where a line of the cache does."""
    room = np.zeros(math.prod(shape) + LINE // kind.itemsize, kind)
    first = -address(room) % LINE // kind.itemsize
    return room[first : first + math.prod(shape)].reshape(shape)
