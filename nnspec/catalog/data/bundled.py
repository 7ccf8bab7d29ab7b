"""The data sets that scikit-learn brings along. It is imported where they are read: it takes a second."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from nnspec.catalog.data.sets import COMMON, SEED_RULE, SPLIT_RULE, DataEntry, DataSet, Size


@lru_cache(maxsize=8)
def load(name: str, unit: float = 1.0) -> DataSet:
    """The rows of scikit-learn's ``load_<name>``, the inputs divided by ``unit``."""
    from sklearn import datasets

    options = {"scaled": False} if name == "diabetes" else {}  # whose columns would be standardised over all rows
    found = getattr(datasets, f"load_{name}")(**options)
    inputs = np.asarray(found.data, dtype=np.float64) / unit
    names = tuple(map(str, found.feature_names))
    if "target_names" not in found:
        return DataSet(inputs, None, 0, np.asarray(found.target, np.float64)[:, None], names, target_names=("target",))
    classes = tuple(map(str, found.target_names))
    return DataSet(inputs, np.asarray(found.target, np.int64), len(classes), None, names, classes)


def _entry(name: str, summary: str, size: Size, unit: float = 1.0) -> DataEntry:
    return DataEntry(
        name,
        summary,
        make=lambda params: load(name, unit),
        size=lambda params: size,
        params=COMMON,
        rules=(SPLIT_RULE, SEED_RULE),
    )


BUNDLED = (
    _entry("iris", "three kinds of iris by the lengths of their leaves (Fisher 1936)", Size(150, 4, (50, 50, 50))),
    _entry(
        "digits",
        "digits of 8 x 8 points, inputs divided by 16 (Alpaydin and Kaynak 1998)",
        Size(1797, 64, (178, 182, 177, 183, 181, 182, 181, 179, 174, 180)),
        unit=16.0,
    ),
    _entry(
        "breast_cancer",
        "malignant or benign by measures of cell nuclei (Street, Wolberg and Mangasarian 1993)",
        Size(569, 30, (212, 357)),
    ),
    _entry("wine", "three cultivars by what is in their wine (Forina 1991)", Size(178, 13, (59, 71, 48))),
    _entry(
        "diabetes",
        "a number to be learnt: how far the disease went in a year (Efron et al. 2004), inputs as measured",
        Size(442, 10, targets=1),
    ),
)
