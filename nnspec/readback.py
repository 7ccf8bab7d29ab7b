"""Filed runs back as what training left: arrays of a cell, the table of a sweep."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from nnspec.analysis.levels import MEASURED
from nnspec.architecture import architecture
from nnspec.errors import Fault, TrackingError, WeightsError
from nnspec.results.arrays import FINALS, TIMES, UNKNOWN, Results, history_of
from nnspec.results.events import TrainedCell
from nnspec.results.race import RACE, RACE_TAG, Race, race_of
from nnspec.results.table import axis_columns
from nnspec.specs import RunSpec
from nnspec.tracking import (
    Store,
    check_shapes,
    checked_results,
    read_checked_spec,
    read_parquet,
    read_results,
    read_weights,
    times_of,
)
from nnspec.tracking.artifacts import FINAL, HISTORY, INITIAL, RESULTS, SNAPSHOTS
from nnspec.tracking.records import AXES_TAG, MAP_TAG, SWEEP_TAG
from nnspec.tracking.store import FoundRun, RunFacts

if TYPE_CHECKING:
    import pandas as pd

KINDS = {"iu": "whole numbers", "f": "real numbers", "b": "true or false"}


def is_sweep(store: Store, run_id: str) -> bool:
    """Whether the run is the parent of a sweep.

    Raises:
        TrackingError: there is no such run, or it is a map, of whose networks nothing else was kept.
    """
    return SWEEP_TAG in _no_map(store.get(run_id)).tags


def _no_map(facts: RunFacts) -> RunFacts:
    if MAP_TAG in facts.tags:
        what, remedy = "a map, which kept its arrays and pictures", "nnspec.load_map reads it in Python"
        raise TrackingError(Fault(f"the run {facts.run_id}", "must be one whose networks were kept", what, remedy))
    return facts


def read_axes(store: Store, run_id: str) -> list[str]:
    """The columns of a sweep's axes in its table, seeds and what is measured aside; none for a single run.

    Raises:
        TrackingError: as ``typed_axes``.
    """
    model = store.get(run_id).params.get("model.name")  # there is none where the models differ
    axes = (axis for axis in typed_axes(store, run_id) if axis not in MEASURED)
    return axis_columns(axes, () if model is None else (model,))


def typed_axes(store: Store, run_id: str) -> list[str]:
    """A sweep's axes as they were typed, seeds among them; none for a single run.

    Raises:
        TrackingError: the run's tag that names them is no list of texts in JSON.
    """
    tag = store.get(run_id).tags.get(AXES_TAG, "[]")
    try:
        axes = json.loads(tag)
    except (ValueError, RecursionError):
        axes = None
    if not isinstance(axes, list) or not all(isinstance(axis, str) for axis in axes):
        rule = "must be a list of texts in JSON"
        raise TrackingError(
            Fault(f"the tag {AXES_TAG} of run {run_id}", rule, f"'{tag[:80]}'", "set it to the sweep's axes")
        )
    return axes


def networks(store: Store, run_id: str) -> pd.DataFrame:
    """One row a network of a sweep or of a single run, with every column that analysis reads: ``cell``, what varies,
    seed, final_loss, final_accuracy, solved, solved_at (Int64), verdict, epochs, and whatever else was measured.

    A sweep that has ended has a table of its own; else its FINISHED cells are put together, with their ``run_id`` and
    the params in which they differ (numbers where all are).

    Raises:
        TrackingError: there is no such run, nothing of it is finished, or what it filed is not as it must be.
    """
    import pandas as pd

    facts = _no_map(store.get(run_id))
    table = _own_table(store, run_id) if SWEEP_TAG in facts.tags and facts.status != "RUNNING" else None
    if table is None:
        table = _joined(store, _finished(store, facts))
    if "verdict" not in table:
        verdict = np.where(table["solved"], "solved", "unknown")
        table.insert(table.columns.get_loc("solved_at") + 1, "verdict", verdict)
    table["verdict"] = table["verdict"].fillna("unknown")
    if "epochs" not in table:
        said = table.get("train.epochs", pd.Series(facts.params.get("train.epochs"), table.index))
        epochs = _whole(said, f"the param train.epochs of run {run_id}")
        table.insert(table.columns.get_loc("verdict") + 1, "epochs", epochs)
    return table


def _whole(values: pd.Series, where: str) -> np.ndarray:
    import pandas as pd

    numbers = pd.to_numeric(values, errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    if not np.all((numbers >= 0) & (numbers < 2**53)):
        value = values[~((numbers >= 0) & (numbers < 2**53))].iloc[0]
        raise TrackingError(Fault(where, "must be a whole number", f"'{value}'", "mend the param"))
    return numbers.astype(np.int64)


def read_race(store: Store, run_id: str) -> Race | None:
    """What the race of a sweep found out; None where it was none, or was broken off.

    Raises:
        TrackingError: what it filed is no race.
    """
    if RACE_TAG not in store.get(run_id).tags:
        return None
    try:
        return race_of(store.artifact(run_id, RACE))
    except ValueError as error:
        fault = Fault(f"{RACE} of run {run_id}", "must be what a race found out", str(error), "race again")
        raise TrackingError(fault) from None


def _own_table(store: Store, run_id: str) -> pd.DataFrame | None:
    """The table that a sweep filed as it ended; None where it never came so far."""
    try:
        content = store.artifact(run_id, RESULTS)
    except TrackingError:
        return None
    return checked_results(content, f"{RESULTS} of run {run_id}", also=("cell",))


def _finished(store: Store, facts: RunFacts) -> list[RunFacts]:
    """The finished cells of a sweep; a single run itself."""
    if SWEEP_TAG not in facts.tags:
        return [facts]
    cells = [store.get(child.run_id) for child in store.find_children(facts.run_id) if child.status == "FINISHED"]
    if not cells:
        rule = f"a sweep must have finished cells to show, but {facts.run_id} has none"
        raise TrackingError(f"{rule}; run it again with resume={facts.run_id}")
    return cells


def _joined(store: Store, cells: Sequence[RunFacts]) -> pd.DataFrame:
    """The results of runs one below the other, with the params in which they differ."""
    import pandas as pd

    results = [read_results(store, cell.run_id) for cell in cells]
    keys = dict.fromkeys(key for cell in cells for key in cell.params)
    # a param of such a name says nothing more
    measured = {"cell", "run_id", *(str(name) for result in results for name in result)}
    axes = [key for key in keys if len({cell.params.get(key) for cell in cells}) > 1 and key not in measured]
    frames = []
    numbers = numbered(cells)
    for number, cell, result in zip(numbers, cells, results, strict=True):
        about = {"cell": number, "run_id": cell.run_id, **{key: cell.params.get(key) for key in axes}}
        own = result.drop(columns=["cell", "run_id"], errors="ignore")
        frames.append(pd.concat([pd.DataFrame(about, index=own.index), own], axis=1))
    joined = pd.concat(frames, ignore_index=True)
    for key in axes:
        numbers = pd.to_numeric(joined[key], errors="coerce")
        if numbers.notna().all():
            joined[key] = numbers
    return joined


def numbered(cells: Sequence[FoundRun]) -> list[int]:
    """The numbers of cells in their sweep; their places, where an older version filed them without."""
    known = [cell.cell for cell in cells if cell.cell is not None]
    return known if len(known) == len(cells) else list(range(len(cells)))


def read_cell(store: Store, run_id: str, index: int = 0) -> TrainedCell:
    """A filed cell as it was when it had trained, as far as the store has it: no store has ``outputs`` and
    ``nonfinite_at``.

    Raises:
        TrackingError: an artifact is missing, as of a run that did not finish.
        WeightsError: the weights do not fit the spec.
    """
    spec = read_checked_spec(run_id, store)
    history, results = _history(store, run_id, spec), read_results(store, run_id)
    if len(results) != spec.replicates:
        rule = f"must have a row for each of the {spec.replicates} replicates"
        raise TrackingError(Fault(f"{RESULTS} of run {run_id}", rule, f"{len(results)}", "train the run again"))
    shape, replicates = architecture(spec).tensors(), spec.replicates
    initial, final = (_ordered(read_weights(run_id, store, shape, path, replicates), spec) for path in (INITIAL, FINAL))
    known = {"seed", *FINALS, "solved", *TIMES, "verdict"}
    result = Results(
        spec=spec,
        seeds=results["seed"].to_numpy(),
        **history | times_of(results),
        verdict=results["verdict"].to_numpy() if "verdict" in results else UNKNOWN,
        numbers={str(name): results[name].to_numpy() for name in results if name not in known},
        initial=initial,
        final=final,
        snapshots=_snapshots(store, run_id, spec),
    )
    return TrainedCell(index, result)


def _history(store: Store, run_id: str, spec: RunSpec) -> dict[str, Any]:
    """The history of a run by field of a result: the same steps for each replicate, rising, and finite or not.

    Raises:
        TrackingError: it is not as it must be.
    """
    where = f"{HISTORY} of run {run_id}"
    table = read_parquet(store.artifact(run_id, HISTORY), where)

    def refused(rule: str, value: object) -> TrackingError:
        return TrackingError(Fault(where, rule, str(value), "train the run again"))

    def column(name: str, kinds: str) -> np.ndarray:
        values = table[name].to_pandas().to_numpy() if name in table.column_names else np.empty(0, object)
        if values.dtype.kind not in kinds:
            found = table[name].type if name in table.column_names else "none"
            raise refused(f"must have {KINDS[kinds]} in a column '{name}'", found)
        return values.reshape(spec.replicates, -1)

    if table.num_rows % spec.replicates:
        raise refused(f"must have as many rows for each of the {spec.replicates} replicates", table.num_rows)
    steps = column("step", "iu")
    history = {"steps": steps[0], **history_of(architecture(spec).layers, table.column_names, column)}
    if (steps != steps[0]).any() or (np.diff(steps[0]) <= 0).any() or steps.min() < 0:
        raise refused("must have the same rising steps from 0 for each replicate", "others")
    return history


def _ordered(weights: dict[str, np.ndarray], spec: RunSpec) -> dict[str, np.ndarray]:
    """In the order of the ``state_dict``, for safetensors has one of its own; replicates first, also where there is
    one."""
    return {
        name: weights[name] if spec.replicates > 1 else weights[name][None] for name in architecture(spec).tensors()
    }


def _snapshots(store: Store, run_id: str, spec: RunSpec) -> dict[int, dict[str, np.ndarray]]:
    if not spec.train.snapshot_every:
        return {}
    found: dict[int, dict[str, np.ndarray]] = {}
    for path, tensor in read_weights(run_id, store, path=SNAPSHOTS).items():
        step, _, name = path.partition("/")
        if not step.isascii() or not step.isdecimal():
            raise WeightsError(
                Fault(
                    f"{SNAPSHOTS} of run {run_id}",
                    "must have tensors STEP/NAME",
                    f"'{path}'",
                    "train the run again",
                )
            )
        found.setdefault(int(step), {})[name] = tensor
    for number, weights in found.items():
        check_shapes(
            f"{SNAPSHOTS} of run {run_id} at step {number}", weights, architecture(spec).tensors(), spec.replicates
        )
    return {step: _ordered(found[step], spec) for step in sorted(found)}
