"""The spec of a run, or the file of a named sweep that trains the same cells again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from nnspec.errors import Fault, TrackingError
from nnspec.exporting.trained import ExportError
from nnspec.terminal import complain

if TYPE_CHECKING:
    import pandas as pd

    from nnspec.specs import RunSpec
    from nnspec.tracking import Store


def experiment(store: Store, run_id: str) -> str:
    """The named sweep that trains a sweep's cells again.

    Raises:
        ExportError: the run is no sweep, or nothing of it has ended.
        TrackingError: the sweep's tag that names its axes is broken.
    """
    from nnspec.readback import is_sweep, networks, typed_axes
    from nnspec.sweep.written import experiment_text
    from nnspec.tracking.read import read_checked_spec

    if not is_sweep(store, run_id):
        raise ExportError(
            Fault("--format experiment", "must be given a sweep", f"the run {run_id}", "try --format spec")
        )
    facts, begun = store.get(run_id), store.find_children(run_id)
    cells = [cell for cell in begun if cell.status != "RUNNING"]  # which has no spec yet
    if not cells:
        remedy = f"run it again with resume={run_id}"
        raise ExportError(Fault("the sweep", "must have cells that have ended", f"none below {run_id}", remedy))
    stated = facts.params.get("cells", str(len(begun)))
    if stated != str(len(cells)):
        complain(f"the sweep {facts.name} has {stated} cells, of which {len(cells)} are filed below it")
    specs = [read_checked_spec(cell.run_id, store) for cell in cells]
    with suppress(TrackingError):  # of a sweep without a table the order is not known
        specs = _as_typed(specs, networks(store, run_id))
    return experiment_text(specs, typed_axes(store, run_id), f"the cells of {facts.name}")


def _as_typed(specs: list[RunSpec], table: pd.DataFrame) -> list[RunSpec]:
    """The cells in the order in which they were typed, which is that of the sweep's table; a store gives them in
    another one. Those that the table does not have come last."""
    from nnspec.results.table import varied

    columns: dict[str, Sequence[object]] = {**varied(specs), "seed": [spec.seed for spec in specs]}
    if not {"cell", *columns} <= set(table.columns):
        return specs
    firsts = table.drop_duplicates("cell")  # a cell's first network, whose seed is that of its spec
    places = {key: place for place, key in enumerate(_keys([firsts[name] for name in columns]))}
    found = [places.get(key, len(places)) for key in _keys(columns.values())]
    return [spec for _, spec in sorted(zip(found, specs, strict=True), key=lambda item: item[0])]


def _keys(columns: Iterable[Iterable[object]]) -> list[tuple[str, ...]]:
    """The rows of columns as texts: a table that was read has NaN where a spec has None."""
    from nnspec.analysis.levels import missing

    return [tuple("" if missing(value) else str(value) for value in row) for row in zip(*columns, strict=True)]


def spec(store: Store, run_id: str) -> str:
    """The spec of a single run or of a cell, which ``spec=FILE`` trains again.

    Raises:
        ExportError: the run is a sweep.
    """
    from nnspec.readback import is_sweep
    from nnspec.tracking.read import read_checked_spec

    if is_sweep(store, run_id):
        remedy = "try --format experiment, or name one of its cells, as in last/17"
        raise ExportError(Fault("--format spec", "must be given a single run or a cell", f"the sweep {run_id}", remedy))
    return read_checked_spec(run_id, store).yaml()
