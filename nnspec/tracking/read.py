"""Reading runs back: the spec, the weights and the table of networks."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from nnspec.errors import Fault, TrackingError, WeightsError
from nnspec.files import load_yaml
from nnspec.settings import Tracking
from nnspec.tracking.artifacts import FINAL, RESULTS, SPEC
from nnspec.tracking.records import SWEEP_TAG
from nnspec.tracking.store import RunFacts, Store, open_store

if TYPE_CHECKING:
    import pandas as pd


def read_spec(run_id: str, store: Store | Tracking) -> dict[str, Any]:
    """The spec of a run as the plain mapping that ``RunSpec.from_mapping`` reads.

    Raises:
        TrackingError: if the run has none, as a sweep's parent.
    """
    where = f"{SPEC} of run {run_id}"
    try:
        mapping = load_yaml(_opened(store).artifact(run_id, SPEC))
    except ValueError as error:
        raise TrackingError(str(Fault(where, "must be the YAML of a spec", str(error), "look at the run in the MLflow UI"))) from error
    if not isinstance(mapping, dict):
        raise TrackingError(f"{where} must be a mapping, but got {type(mapping).__name__}; look at the run in the MLflow UI")
    return mapping


def read_weights(
    run_id: str, store: Store | Tracking, shapes: Mapping[str, tuple[int, ...]] | None = None, path: str = FINAL, replicates: int = 1
) -> dict[str, np.ndarray]:
    """The weights of a run by ``state_dict`` name; replicates come first where there is more than one.

    ``shapes`` are those of one network's tensors; with them, names and shapes of the file are checked.

    Raises:
        TrackingError: if the run has no such file.
        WeightsError: if the file is none, is another run's, or does not fit ``shapes``.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    opened = _opened(store)
    content = opened.artifact(run_id, path)
    try:
        weights = load(content)
    except (SafetensorError, ValueError, KeyError) as error:
        raise WeightsError(str(Fault(f"{path} of run {run_id}", "must be a safetensors file", str(error), "file the run again"))) from error
    if shapes is not None:
        _check_shapes(f"{path} of run {run_id}", weights, shapes, replicates)
    return weights


def _check_shapes(where: str, weights: Mapping[str, np.ndarray], shapes: Mapping[str, tuple[int, ...]], replicates: int) -> None:
    lead = (replicates,) if replicates > 1 else ()
    wanted = {name: (*lead, *shape) for name, shape in shapes.items()}
    found = {name: array.shape for name, array in weights.items()}
    for name in sorted(wanted.keys() | found.keys()):
        if wanted.get(name) != found.get(name):
            rule = f"must have {name} of shape {wanted[name]}" if name in wanted else f"must have no {name}"
            raise WeightsError(str(Fault(where, rule, str(found.get(name, "none")), "load it into the model of its own spec")))


def read_table(run_id: str, store: Store | Tracking) -> pd.DataFrame:
    """One row a network: of a single run, or of all FINISHED cells of a sweep with the params in which they differ.

    Columns: run_id, those params (numbers where all are), then seed, final_loss, final_accuracy, solved, solved_at (Int64),
    and whatever else the run filed of each network.
    """
    opened = _opened(store)
    cells = [child.run_id for child in opened.find_children(run_id) if child.status == "FINISHED"]
    if not cells and SWEEP_TAG not in opened.get(run_id).tags:
        cells = [run_id]
    if not cells:
        raise TrackingError(f"a sweep must have finished cells to show, but {run_id} has none; run it again with resume={run_id}")
    return _joined([(opened.get(cell), _results(opened, cell)) for cell in cells])


def _results(store: Store, run_id: str) -> pd.DataFrame:
    import pandas as pd
    import pyarrow.parquet as pq

    table = pq.read_table(io.BytesIO(store.artifact(run_id, RESULTS)))
    frame: pd.DataFrame = table.to_pandas()
    if "solved_at" in frame:  # pyarrow makes floats of integers with nulls
        frame["solved_at"] = pd.array(table["solved_at"].to_pylist(), dtype="Int64")
    return frame


def _joined(cells: list[tuple[RunFacts, pd.DataFrame]]) -> pd.DataFrame:
    import pandas as pd

    keys = dict.fromkeys(key for facts, _ in cells for key in facts.params)
    axes = [key for key in keys if len({facts.params.get(key) for facts, _ in cells}) > 1 and key != "seed"]
    frames = []
    for facts, frame in cells:
        about = {"run_id": facts.run_id, **{key: facts.params.get(key) for key in axes}}
        frames.append(pd.concat([pd.DataFrame(about, index=frame.index), frame], axis=1))
    joined = pd.concat(frames, ignore_index=True)
    for key in axes:
        numbers = pd.to_numeric(joined[key], errors="coerce")
        if numbers.notna().all():
            joined[key] = numbers
    return joined


def _opened(store: Store | Tracking) -> Store:
    return open_store(store) if isinstance(store, Tracking) else store
