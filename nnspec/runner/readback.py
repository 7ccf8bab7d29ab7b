"""Filed runs back as what training left: arrays of a cell, the table of a sweep."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import numpy as np

from nnspec.architecture import architecture
from nnspec.errors import TrackingError
from nnspec.reference import forward, problem
from nnspec.result import NEVER, CellResult
from nnspec.runner.gather import TrainedCell
from nnspec.runner.table import axis_column
from nnspec.spec import RunSpec
from nnspec.tracking import Store, read_spec, read_table, read_weights
from nnspec.tracking.artifacts import FINAL, HISTORY, INITIAL, RESULTS, SNAPSHOTS
from nnspec.tracking.records import SWEEP_TAG

if TYPE_CHECKING:
    import pandas as pd

AXES_TAG = "nnspec.axes"


def is_sweep(store: Store, run_id: str) -> bool:
    """Whether the run is the parent of a sweep."""
    return SWEEP_TAG in store.get(run_id).tags


def read_axes(store: Store, run_id: str) -> list[str]:
    """The columns of a sweep's axes in its table, seeds aside; none for a single run."""
    return [axis_column(axis) for axis in json.loads(store.get(run_id).tags.get(AXES_TAG, "[]")) if axis != "seed"]


def networks(store: Store, run_id: str) -> pd.DataFrame:
    """One row a network of a sweep or of a single run, with every column that analysis reads.

    Raises:
        TrackingError: there is no such run, or nothing of it is finished.
    """
    facts = store.get(run_id)
    table = _own_table(store, run_id) if SWEEP_TAG in facts.tags and facts.status != "RUNNING" else None
    if table is None:
        table = read_table(run_id, store)
        table.insert(0, "cell", table["run_id"].factorize()[0])
    if "epochs" not in table:
        table["epochs"] = table["train.epochs"] if "train.epochs" in table else int(facts.params["train.epochs"])
    if "verdict" not in table:
        table["verdict"] = np.where(table["solved"], "solved", "unknown")
    return table


def _own_table(store: Store, run_id: str) -> pd.DataFrame | None:
    """The table that a sweep filed as it ended; None where it never came so far."""
    import pandas as pd

    try:
        return pd.read_parquet(io.BytesIO(store.artifact(run_id, RESULTS)))
    except TrackingError:
        return None


def read_cell(store: Store, run_id: str, index: int = 0) -> TrainedCell:
    """A filed cell as it was when it had trained; of the numbers of its diagnosis those that were filed by replicate.

    Raises:
        TrackingError: an artifact is missing, as of a run that did not finish.
        WeightsError: the weights do not fit the spec.
    """
    spec = RunSpec.from_mapping(read_spec(run_id, store))
    history, results = _columns(store, run_id, HISTORY), _columns(store, run_id, RESULTS)
    shape, replicates = architecture(spec).tensors(), spec.replicates
    initial, final = (_ordered(read_weights(run_id, store, shape, path, replicates), spec) for path in (INITIAL, FINAL))
    table = {name: values.reshape(replicates, -1) for name, values in history.items()}
    at = results["solved_at"]
    result = CellResult(
        spec=spec,
        seeds=results["seed"],
        steps=table["step"][0],
        loss=table["loss"],
        accuracy=table["accuracy"],
        weight_norm={name.partition(".")[2]: values for name, values in table.items() if name.startswith("weight_norm.")},
        right=table["right"].astype(bool),
        outputs=_outputs(spec, final),
        solved_at=np.where(np.isnan(at), NEVER, np.nan_to_num(at)).astype(np.int64),
        nonfinite_at=np.full(replicates, NEVER),
        initial=initial,
        final=final,
        snapshots=_snapshots(store, run_id, spec),
    )
    verdict = results.pop("verdict") if "verdict" in results else np.where(result.solved, "solved", "unknown")
    known = {"seed", "final_loss", "final_accuracy", "solved", "solved_at"}
    return TrainedCell(index, result, verdict.astype(object), {name: values for name, values in results.items() if name not in known})


def _columns(store: Store, run_id: str, path: str) -> dict[str, np.ndarray]:
    import pyarrow.parquet as pq

    table = pq.read_table(io.BytesIO(store.artifact(run_id, path)))
    columns = {name: table[name].to_pandas().to_numpy() for name in table.column_names}
    if "solved_at" in columns:
        columns["solved_at"] = columns["solved_at"].astype(float)  # missing where it never came
    return columns


def _ordered(weights: dict[str, np.ndarray], spec: RunSpec) -> dict[str, np.ndarray]:
    """In the order of the ``state_dict``, for safetensors has one of its own; replicates first, also where there is one."""
    return {name: weights[name] if spec.replicates > 1 else weights[name][None] for name in architecture(spec).tensors()}


def _snapshots(store: Store, run_id: str, spec: RunSpec) -> dict[int, dict[str, np.ndarray]]:
    if not spec.train.snapshot_every:
        return {}
    found: dict[int, dict[str, np.ndarray]] = {}
    for path, tensor in read_weights(run_id, store, path=SNAPSHOTS).items():
        step, _, name = path.partition("/")
        found.setdefault(int(step), {})[name] = tensor
    return {step: _ordered(found[step], spec) for step in sorted(found)}


def _outputs(spec: RunSpec, weights: dict[str, np.ndarray]) -> np.ndarray:
    rows, _ = problem(spec)
    one: list[Any] = []
    with np.errstate(all="ignore"):  # of networks that diverged
        for replicate in range(spec.replicates):
            one.append(forward(spec, {name: tensor[replicate].astype(float) for name, tensor in weights.items()}, rows)[-1].h)
    return np.stack(one)
