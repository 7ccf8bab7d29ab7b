"""A filed run as what remedies start from: its spec, and why its networks failed."""

from __future__ import annotations

import numpy as np

from nnspec.analysis import AnalysisError
from nnspec.errors import Fault
from nnspec.readback import is_sweep, networks
from nnspec.specs import RunSpec
from nnspec.tracking import Store, read_checked_spec

LOOKED_AT, SHOWN = 50, 3  # cells of a sweep: among which an error chooses, and that it names
UNKNOWN = "unknown"  # the verdict of networks that nobody diagnosed


def failure_of(store: Store, run_id: str) -> tuple[RunSpec, str | None]:
    """The spec of a filed run, and the commonest verdict on its networks that did not solve; None where all did.

    Raises:
        AnalysisError: it is a sweep; the error names some of its cells.
        TrackingError: there is no such run, or it has no results.
    """
    if is_sweep(store, run_id):
        remedy = f"name one, as {_failed_cells(store, run_id)}"
        raise AnalysisError(Fault("remedies", "must be those of one cell", "a sweep", remedy))
    table = networks(store, run_id)
    return read_checked_spec(run_id, store), commonest(table["verdict"].to_numpy(), table["solved"].to_numpy())


def commonest(verdict: np.ndarray, solved: np.ndarray) -> str | None:
    """The commonest verdict [m] among networks that are not solved [m]; None where there is none."""
    names, counts = np.unique(verdict[~solved.astype(bool)].astype(str), return_counts=True)
    known = names != UNKNOWN
    return str(names[known][counts[known].argmax()]) if known.any() else None


def _failed_cells(store: Store, run_id: str) -> str:
    """A few cells by id and name: of the first ones those of which the fewest networks solved."""
    cells = [store.get(cell.run_id) for cell in store.find_children(run_id)[:LOOKED_AT]]
    cells.sort(key=lambda cell: cell.metrics.get("solve_rate", 1.0))
    return ", ".join(f"{cell.run_id} ({cell.name})" for cell in cells[:SHOWN]) or "a run that trained"
