"""Data sets: all rows at once, made from their definition."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnspec.params import Choice, Integer, Param, Rule, Value
from nnspec.registry import Registry


@dataclass(frozen=True)
class DataSet:
    """Rows and their classes: ``inputs`` [n, i] float64, ``labels`` [n] int64 in 0..classes-1."""

    inputs: np.ndarray
    labels: np.ndarray
    classes: int = 2


@dataclass(frozen=True)
class DataEntry:
    """One data set; ``make(params)`` gives its rows, ``size(params)`` their number and width without making them."""

    name: str
    summary: str
    make: Callable[[Mapping[str, Value]], DataSet]
    size: Callable[[Mapping[str, Value]], tuple[int, int]]
    params: tuple[Param, ...] = ()
    rules: tuple[Rule, ...] = ()


ENCODING = Param("encoding", "binary", Choice(("binary", "bipolar")), "inputs as 0/1 (binary) or -1/+1 (bipolar)")
BITS = Param("bits", 3, Integer(1, 16), "inputs; the data set has 2^bits rows")


def truth_table(bits: int, encoding: str, label: Callable[[np.ndarray], Any]) -> DataSet:
    """Every combination of ``bits`` truth values in counting order, [2^bits, bits], with the label of each row."""
    rows = np.array(list(itertools.product((0, 1), repeat=bits)), dtype=np.int64)
    inputs = rows if encoding == "binary" else 2 * rows - 1
    return DataSet(inputs.astype(np.float64), np.asarray(label(rows), dtype=np.int64))


def _gate(name: str, summary: str, label: Callable[[np.ndarray], Any]) -> DataEntry:
    return DataEntry(
        name,
        summary,
        make=lambda p: truth_table(2, str(p["encoding"]), label),
        size=lambda p: (4, 2),
        params=(ENCODING,),
    )


DATA: Registry[DataEntry] = Registry(
    "data",
    (
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
            make=lambda p: truth_table(int(str(p["bits"])), str(p["encoding"]), lambda r: r.sum(1) % 2),
            size=lambda p: (2 ** int(str(p["bits"])), int(str(p["bits"]))),
            params=(BITS, ENCODING),
        ),
    ),
)
