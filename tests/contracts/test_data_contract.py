"""Every data set against the formula of its rows, written anew."""

from __future__ import annotations

import numpy as np
import pytest

from nnspec.catalog import DATA, Size
from nnspec.catalog.data.sets import size_of

GATES = {
    "xor": lambda a, b: a != b,
    "and": lambda a, b: a and b,
    "or": lambda a, b: a or b,
    "nand": lambda a, b: not (a and b),
    "xnor": lambda a, b: a == b,
}

SHAPES = ("spirals", "circles", "moons", "blobs", "checkerboard")
CURVES = ("abs", "sine", "polynomial")
BUNDLED = ("iris", "digits", "breast_cancer", "wine", "diabetes")


def test_every_data_set_is_checked_here() -> None:
    assert set(DATA.names()) == {*GATES, "parity", *SHAPES, *CURVES, *BUNDLED, "csv", "parquet", "npz"}


@pytest.mark.parametrize("name", GATES)
@pytest.mark.parametrize(("encoding", "false"), [("binary", 0.0), ("bipolar", -1.0)])
def test_gate(name: str, encoding: str, false: float) -> None:
    data = DATA[name].make({"encoding": encoding})
    expected = [(a, b) for a in (false, 1.0) for b in (false, 1.0)]
    assert data.inputs.tolist() == [list(row) for row in expected]
    assert data.labels.tolist() == [int(GATES[name](a == 1.0, b == 1.0)) for a, b in expected]
    assert (data.inputs.dtype, data.labels.dtype, data.classes) == (np.float64, np.int64, 2)
    assert DATA[name].size({"encoding": encoding}) == Size(
        4, 2, (data.labels.tolist().count(0), data.labels.tolist().count(1))
    )


@pytest.mark.parametrize("bits", [1, 3, 10, 16])
@pytest.mark.parametrize("encoding", ["binary", "bipolar"])
def test_parity(bits: int, encoding: str) -> None:
    entry, params = DATA["parity"], {"bits": bits, "encoding": encoding}
    data = entry.make(params)
    assert data.inputs.shape == (2**bits, bits)
    assert entry.size(params) == size_of(data)
    truths = (data.inputs == 1).astype(int)
    assert (truths @ 2 ** np.arange(bits - 1, -1, -1)).tolist() == list(range(2**bits))  # counting order, each row once
    assert data.labels.tolist() == [bin(number).count("1") % 2 for number in range(2**bits)]
    assert set(np.unique(data.inputs)) == ({0.0, 1.0} if encoding == "binary" else {-1.0, 1.0})
