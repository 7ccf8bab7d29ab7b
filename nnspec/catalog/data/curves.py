"""Numbers to be learnt from one input: a curve over -1..1, at evenly spaced places."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import numpy as np

from nnspec.catalog.data.sets import (
    COMMON,
    LARGEST,
    SEED_RULE,
    SPLIT_RULE,
    DataEntry,
    DataSet,
    Params,
    Size,
    real,
    whole,
)
from nnspec.params import Integer, Many, Param, Real

Curve = Callable[[np.ndarray, Params], np.ndarray]


def _curve(name: str, summary: str, curve: Curve, *params: Param) -> DataEntry:
    def make(values: Params) -> DataSet:
        x = np.linspace(-1, 1, whole(values, "rows"))
        random = np.random.RandomState(whole(values, "seed"))
        y = curve(x, values) + random.normal(scale=real(values, "noise"), size=len(x))
        return DataSet(x[:, None], None, 0, y[:, None], ("x",), target_names=("y",))

    rows = Param("rows", 100, Integer(2, 1_000_000), "number of places")
    noise = Param("noise", 0.0, Real(0, LARGEST), "standard deviation of what is added to the curve")
    return DataEntry(
        name,
        summary,
        make,
        size=lambda values: Size(whole(values, "rows"), 1, targets=1),
        params=(rows, noise, *params, *COMMON),
        rules=(SPLIT_RULE, SEED_RULE),
    )


def _polynomial(x: np.ndarray, params: Params) -> np.ndarray:
    coefficients = cast(Sequence[float], params["coefficients"])
    return np.polynomial.polynomial.polyval(x, np.array(coefficients))


CURVES = (
    _curve("abs", "|x|: a number to be learnt, with a kink", lambda x, p: np.abs(x)),
    _curve(
        "sine",
        "sin(pi frequency x): a number to be learnt",
        lambda x, p: np.sin(np.pi * real(p, "frequency") * x),
        Param("frequency", 1.0, Real(0, LARGEST, open_low=True), "periods between -1 and 1"),
    ),
    _curve(
        "polynomial",
        "c0 + c1 x + c2 x^2 + ...: a number to be learnt",
        _polynomial,
        Param(
            "coefficients",
            (0.0, -3.0, 0.0, 4.0),
            Many(Real(-LARGEST, LARGEST), most=20),
            "c0, c1, c2, ...; as given 4 x^3 - 3 x",
        ),
    ),
)
