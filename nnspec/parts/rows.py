"""What a user's function gave as a data set."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnspec.catalog import DataSet
from nnspec.catalog.origins import Origin
from nnspec.parts.guard import PartError


def data_set(part: str, origin: Origin, found: Any) -> DataSet:
    """Inputs [n, i] and classes [n], or numbers to be learnt [n, k], as a data set.

    Raises:
        PartError: they are none.
    """

    def refused(rule: str, value: object) -> PartError:
        return PartError.of(part, origin, rule, str(value))

    rule = "must give inputs [n, i] and classes [n] or numbers to be learnt [n, k]"
    if not isinstance(found, tuple) or len(found) != 2:
        raise refused(rule, type(found).__name__)
    inputs, targets = np.asarray(found[0]), np.asarray(found[1])
    if inputs.ndim != 2 or targets.ndim not in (1, 2) or len(targets) != len(inputs) or not len(inputs):
        raise refused(rule, f"shapes {list(inputs.shape)} and {list(targets.shape)}")
    for what, numbers in (("inputs", inputs), ("targets", targets)):
        if numbers.dtype.kind not in "biuf" or not np.isfinite(numbers).all():
            raise refused(f"must give finite numbers as {what}", numbers.dtype)
    inputs = inputs.astype(np.float64)
    if targets.ndim == 1 and targets.dtype.kind in "biu":
        if targets.min() < 0:
            raise refused("must give classes from 0 on", targets.min())
        return DataSet(inputs, targets.astype(np.int64), max(2, int(targets.max()) + 1))
    return DataSet(inputs, None, 0, targets.reshape(len(inputs), -1).astype(np.float64))
