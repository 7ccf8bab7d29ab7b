"""What a data set is: its rows, its size, and the entry that makes both."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from nnspec.params import Boolean, Choice, Integer, Param, Real, Rule, Value

SEEDS = 2**32  # NumPy's RandomState takes 32 bits of a seed
Params = Mapping[str, Value]


@dataclass(frozen=True)
class DataSet:
    """Rows, each with its class or its numbers to be learnt, or both where a file's numbers may be read as classes.

    ``inputs`` [n, i] float64; ``labels`` [n] int64 in 0..classes-1, None where there are no classes (``classes`` is 0);
    ``targets`` [n, k] float64, None where there are no numbers. ``note`` says why a user's file has one of them only.
    """

    inputs: np.ndarray
    labels: np.ndarray | None = None
    classes: int = 2
    targets: np.ndarray | None = None
    input_names: tuple[str, ...] = ()
    class_names: tuple[str, ...] = ()
    target_names: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True)
class Size:
    """How much a data set holds: rows, inputs, the rows of each class, numbers to be learnt; ``note`` as in
    ``DataSet``."""

    rows: int
    inputs: int
    counts: tuple[int, ...] = ()
    targets: int = 0
    note: str = ""

    @property
    def classes(self) -> int:
        """Number of classes; 0 where there are none."""
        return len(self.counts)


@dataclass(frozen=True)
class DataEntry:
    """One data set: ``make(params)`` gives its rows, ``size(params)`` their number without making them if it can.

    ``real`` data are measured, the others are made by a formula; ``boolean`` ones are truth tables. An entry with a
    ``digest`` reads a file of the user's, whose SHA-256 that is; then all three raise ``SpecError`` with what is wrong
    with the file.
    """

    name: str
    summary: str
    make: Callable[[Params], DataSet]
    size: Callable[[Params], Size]
    params: tuple[Param, ...] = ()
    rules: tuple[Rule, ...] = ()
    aliases: tuple[str, ...] = ()  # names that people type for it
    boolean: bool = False
    digest: Callable[[Params], str] | None = None


def size_of(data: DataSet) -> Size:
    """The size of rows that have been made."""
    counts = () if data.labels is None else tuple(np.bincount(data.labels, minlength=data.classes).tolist())
    numbers = 0 if data.targets is None else data.targets.shape[1]
    rows, inputs = data.inputs.shape
    return Size(rows, inputs, counts, numbers, data.note)


def whole(params: Params, name: str) -> int:
    """A parameter that is a whole number."""
    return int(str(params[name]))


def real(params: Params, name: str) -> float:
    """A parameter that is a number."""
    return float(str(params[name]))


LARGEST = 1e6  # of the numbers that data are made with: far beyond use, and far below where single precision ends
TEST_FRACTION = Param(
    "test_fraction", 0.0, Real(0, 1, open_high=True), "share of the rows that is kept for the test part; 0: none"
)
STANDARDIZE = Param(
    "standardize",
    False,
    Boolean(),
    "every input (and every number to be learnt) with mean 0 and deviation 1 on the training part",
)
SPLIT = Param(
    "split", "shared", Choice(("shared", "per_network")), "one test part for all networks, or each network its own"
)
SEED = Param("seed", 0, Integer(0, SEEDS - 1), "seed of what is drawn: noise, order and test part")
PARTS = (TEST_FRACTION, SPLIT, SEED)
COMMON = (*PARTS, STANDARDIZE)
SPLIT_RULE = Rule(
    "split",
    "must be shared without data.test_fraction",
    lambda p: p["split"] == "shared" or p["test_fraction"] > 0,
    "try data.test_fraction=0.3",
)
SEED_RULE = Rule(
    "seed",
    "must be 0 where nothing is drawn",
    lambda p: p["seed"] == 0 or p["test_fraction"] > 0 or p.get("noise", 0) > 0,
    "try data.test_fraction=0.3, or leave it out",
)
