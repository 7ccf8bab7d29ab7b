"""Artifacts where their store keeps them: in a local folder, or through MLflow's public client on S3, on a server, on a
mounted store."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from nnspec.errors import Fault, TrackingError, first_line
from nnspec.tracking.files import artifact_root, checked_path, inside, local_path, read_file, write_files
from nnspec.tracking.locate import Location


def write_local(location: Location, artifact_uri: str, files: Mapping[str, bytes]) -> bool:
    """Write a run's artifacts into the folder that its artifact URI names; False, and nothing, if they lie elsewhere.

    Raises:
        TrackingError: the disk refuses, or a path leads outside of the folder.
    """
    root = local_path(artifact_uri)
    if root is not None and root.exists():  # there may be links in it
        for path in files:
            inside(root, root / checked_path(path))
    if root is None or location.kind == "http":  # whose folder may be another machine's
        return False
    write_files(root, files)
    return True


def upload(location: Location, run_id: str, files: Mapping[str, bytes]) -> None:
    """Send a run's artifacts to wherever its store keeps them, which is no local folder.

    Raises:
        TrackingError: if it does not take them.
    """
    from mlflow import MlflowClient

    with tempfile.TemporaryDirectory(prefix="nnspec-") as folder:
        write_files(Path(folder), files)
        try:
            MlflowClient(tracking_uri=location.absolute).log_artifacts(run_id, folder)
        except Exception as error:  # every artifact store has exceptions of its own
            remedy = "mend the artifact store and file the run again"
            raise TrackingError(
                Fault(f"the artifacts of run {run_id}", "must be taken by their store", first_line(error), remedy)
            ) from error


def download(location: Location, run_id: str, path: str, artifact_uri: str) -> bytes:
    """One artifact's content.

    Raises:
        TrackingError: if the run has none of this path.
    """
    checked_path(path)
    try:
        root = artifact_root(artifact_uri)
        return read_file(root, path) if root is not None else _fetch(location, run_id, path)
    except Exception as error:  # every artifact store has exceptions of its own
        remedy = "look at the run in the MLflow UI"
        raise TrackingError(
            Fault(f"artifact {path} of run {run_id}", "must be readable", first_line(error), remedy)
        ) from error


def _fetch(location: Location, run_id: str, path: str) -> bytes:
    from mlflow import MlflowClient

    with tempfile.TemporaryDirectory(prefix="nnspec-") as folder:
        fetched = MlflowClient(tracking_uri=location.absolute).download_artifacts(run_id, path, folder)
        return read_file(Path(folder), str(Path(fetched).relative_to(folder)))
