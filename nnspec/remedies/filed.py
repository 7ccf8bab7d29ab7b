"""A filed run as what remedies start from: its spec, and why its networks failed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nnspec.errors import Fault, NnspecError
from nnspec.readback import is_sweep, networks
from nnspec.specs import RunSpec
from nnspec.tracking import Store, read_checked_spec

if TYPE_CHECKING:
    import pandas as pd

SHOWN = 5  # cells of a sweep that an error names
UNKNOWN = "unknown"  # the verdict of networks that nobody diagnosed


def failure_of(store: Store, run_id: str) -> tuple[RunSpec, str | None]:
    """The spec of a filed run, and the commonest verdict on its networks that did not solve; None where all did.

    Raises:
        NnspecError: it is a sweep; the error names some of its cells.
        TrackingError: there is no such run, or it has no results.
    """
    table = networks(store, run_id)
    if is_sweep(store, run_id):
        rule = "must be measured for one cell of a sweep"
        raise NnspecError(
            Fault("remedies", rule, "the whole sweep", f"name one, as {_worst_cells(store, run_id, table)}")
        )
    return read_checked_spec(run_id, store), commonest(table["verdict"].to_numpy(), table["solved"].to_numpy())


def commonest(verdict: np.ndarray, solved: np.ndarray) -> str | None:
    """The commonest verdict [m] among networks that are not solved [m]; None where there is none."""
    names, counts = np.unique(verdict[~solved.astype(bool)].astype(str), return_counts=True)
    known = names != UNKNOWN
    return str(names[known][counts[known].argmax()]) if known.any() else None


def _worst_cells(store: Store, run_id: str, table: pd.DataFrame) -> str:
    """A few cells by id and name, those first of which fewest networks solved."""
    rates = table.groupby("run_id")["solved"].mean().to_dict() if "run_id" in table else {}
    cells = sorted(store.find_children(run_id), key=lambda cell: rates.get(cell.run_id, 1.0))
    return ", ".join(f"{cell.run_id[:12]} ({cell.name})" for cell in cells[:SHOWN])
