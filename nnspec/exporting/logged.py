"""The best network of a command as a model of MLflow, without a pickle."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from nnspec.architecture import architecture
from nnspec.errors import Fault, TrackingError, first_line
from nnspec.exporting.trained import Trained, best_network, read_trained
from nnspec.problem import rows_of
from nnspec.results.table import rank
from nnspec.tracking import Store

NAME = "best"
GRAPH = "data/model.pt2"  # where MLflow looks for it
ROWS = 4  # of the example; torch would take one row for a constant
PACKAGES = ("mlflow", "numpy", "torch")  # that the model needs


def best_cell(outcomes: Mapping[int, Mapping[str, np.ndarray]]) -> int:
    """The cell with the largest share of solved networks; of equal ones that with the lowest median final loss.
    ``outcomes`` has a row a network, see ``results.table.outcome_rows``."""

    return min(outcomes, key=lambda cell: (*rank(outcomes[cell]), cell))


def log_best(store: Store, run_id: str, rows: Mapping[str, np.ndarray]) -> str:
    """Log the best network of a filed cell as a model of its run; its address, as ``models:/m-...``.

    Raises:
        TrackingError: the store does not take it.
        WeightsError: its weights do not fit its spec.
    """
    from mlflow.exceptions import MlflowException

    from nnspec.exporting.graphs import quiet

    trained = read_trained(store, run_id, best_network(np.asarray(rows["solved"]), np.asarray(rows["final_loss"])))
    try:
        with quiet("mlflow"):
            return _logged(store, trained)
    except (MlflowException, OSError, RuntimeError, ValueError, TypeError) as error:  # whatever MLflow's parts raise
        rule, remedy = "must be logged", "write it to a file: nnspec export RUN --format pt2"
        raise TrackingError(Fault(f"the model of run {run_id}", rule, first_line(error), remedy)) from error


def _logged(store: Store, trained: Trained) -> str:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModelOutput, LoggedModelStatus

    client = MlflowClient(tracking_uri=store.location.absolute)
    experiment = store.get(trained.run_id).experiment_id
    about = {
        "nnspec.fingerprint": trained.spec.fingerprint,
        "nnspec.replicate": str(trained.replicate),
        "nnspec.seed": str(trained.seed),
    }
    model = client.create_logged_model(experiment, NAME, trained.run_id, tags=about, params=trained.spec.flat())
    status = LoggedModelStatus.FAILED
    try:
        with tempfile.TemporaryDirectory() as folder:
            save_model(trained, Path(folder) / NAME, model)
            client.log_model_artifacts(model.model_id, str(Path(folder) / NAME))
        client.log_outputs(trained.run_id, [LoggedModelOutput(model.model_id, step=0)])
        status = LoggedModelStatus.READY
    finally:
        client.finalize_logged_model(model.model_id, status)
    return f"models:/{model.model_id}"


def save_model(trained: Trained, folder: Path, logged: Any = None) -> None:
    """Write the network as a folder of MLflow's: a graph of torch (pt2), its signature, rows as an example, and the
    exact versions that it needs. ``logged`` is the logged model that it belongs to."""
    import mlflow.pytorch
    from mlflow.models import Model, ModelSignature
    from mlflow.types import Schema, TensorSpec

    from nnspec.exporting.graphs import evaluating, pt2

    spec = trained.spec
    kind = np.dtype(spec.dtype)
    shape = architecture(spec)
    example = np.resize(rows_of(spec.data, spec.loss.name)[0], (ROWS, shape.inputs)).astype(kind)
    inputs, outputs = (Schema([TensorSpec(kind, (-1, width))]) for width in (shape.inputs, shape.outputs))
    owner = {"model_id": logged.model_id, "artifact_path": logged.artifact_location} if logged is not None else {}
    mlflow.pytorch.save_model(
        evaluating(trained),
        str(folder),
        mlflow_model=Model(run_id=trained.run_id, **owner),
        signature=ModelSignature(inputs, outputs),
        input_example=example,
        pip_requirements=[f"{name}=={version(name).split('+')[0]}" for name in PACKAGES],
        serialization_format="pt2",
    )
    (folder / GRAPH).write_bytes(pt2(trained))  # MLflow's own has the example as a pickle in it
