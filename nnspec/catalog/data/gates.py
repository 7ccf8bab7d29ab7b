"""Truth tables: every combination of a few truth values, with the value of a Boolean function."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from nnspec.catalog.data.sets import PARTS, SEED_RULE, SPLIT_RULE, DataEntry, DataSet, Params, Size, size_of, whole
from nnspec.params import Choice, Integer, Param

ENCODING = Param("encoding", "binary", Choice(("binary", "bipolar")), "inputs as 0/1 (binary) or -1/+1 (bipolar)")
BITS = Param("bits", 3, Integer(1, 16), "inputs; the data set has 2^bits rows")
MIRRORED_BITS = Param("bits", 6, Integer(2, 16), "inputs; the data set has 2^bits rows")


def truth_table(bits: int, encoding: str, label: Callable[[np.ndarray], Any]) -> DataSet:
    """Every combination of ``bits`` truth values in counting order, [2^bits, bits], with the label of each row."""
    rows = np.array(list(itertools.product((0, 1), repeat=bits)), dtype=np.int64)
    inputs = rows if encoding == "binary" else 2 * rows - 1
    return DataSet(inputs.astype(np.float64), np.asarray(label(rows), dtype=np.int64))


def _gate(name: str, summary: str, label: Callable[[np.ndarray], Any]) -> DataEntry:
    def make(params: Params) -> DataSet:
        return truth_table(2, str(params["encoding"]), label)

    return DataEntry(name, summary, make, lambda p: size_of(make(p)), params=(ENCODING,), boolean=True)


def _parity_size(params: Params) -> Size:
    bits = whole(params, "bits")
    return Size(2**bits, bits, (2 ** (bits - 1),) * 2)


def _symmetry_size(params: Params) -> Size:
    bits = whole(params, "bits")
    alike = 2 ** -(-bits // 2)  # one half of the inputs says what the other must be; a middle one is free
    return Size(2**bits, bits, (2**bits - alike, alike))


GATES = (
    _gate(
        "xor",
        "1 where exactly one input is true: no line separates it (Minsky and Papert 1969)",
        lambda r: r.sum(1) % 2,
    ),
    _gate("and", "1 where both inputs are true", lambda r: np.all(r, 1)),
    _gate("or", "1 where any input is true", lambda r: np.any(r, 1)),
    _gate("nand", "0 where both inputs are true", lambda r: ~np.all(r, 1)),
    _gate("xnor", "1 where both inputs agree", lambda r: 1 - r.sum(1) % 2),
    DataEntry(
        "parity",
        "1 where the number of true inputs is odd: XOR of any width",
        make=lambda p: truth_table(whole(p, "bits"), str(p["encoding"]), lambda r: r.sum(1) % 2),
        size=_parity_size,
        params=(BITS, ENCODING, *PARTS),
        rules=(SPLIT_RULE, SEED_RULE),
        boolean=True,
    ),
    DataEntry(
        "symmetry",
        "1 where the inputs read the same from both ends (Rumelhart, Hinton and Williams 1986)",
        make=lambda p: truth_table(whole(p, "bits"), str(p["encoding"]), lambda r: np.all(r == r[:, ::-1], 1)),
        size=_symmetry_size,
        params=(MIRRORED_BITS, ENCODING, *PARTS),
        rules=(SPLIT_RULE, SEED_RULE),
        boolean=True,
    ),
)
