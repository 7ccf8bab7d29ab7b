"""Runs that could not be filed, kept in a local folder until they can be: JSON, safetensors and the artifacts; no
pickle.

spool-<id>/spool.json            what is there, with the SHA-256 of every file
spool-<id>/runs/<n>/history.safetensors
spool-<id>/runs/<n>/artifacts/<path>
spool-<id>/filed                 once all of it is in a store
"""

from __future__ import annotations

import hashlib
import json
import shlex
import shutil
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from nnspec.errors import Fault, NnspecError, TrackingError, WeightsError, first_line
from nnspec.files import ARTIFACT_BYTES, JSON_BYTES, load_yaml, read_bytes
from nnspec.specs import RunSpec
from nnspec.tracking.artifacts import SPEC, weights_file
from nnspec.tracking.fields import checked_run, checked_series
from nnspec.tracking.files import checked_path, write_file, write_files
from nnspec.tracking.read import loaded_tensors
from nnspec.tracking.records import FINGERPRINT_TAG, DatasetInfo, RunEnd, RunStart, Series

MANIFEST = "spool.json"
FILED = "filed"
FORMAT = 1
_SUFFIXES = frozenset({".safetensors", ".parquet", ".yaml", ".json", ".csv", ".txt", ".md", ".html", ".svg", ".png"})
# what the reading of a foreign file may end in
_NOT_OURS = (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError)
_MAGIC = {".parquet": b"PAR1", ".png": b"\x89PNG"}


@dataclass(frozen=True)
class Unfiled:
    """A run that trained and could not be filed. ``begun`` says that the store has begun it: then ``end.run_id`` is the
    store's, else any name of its own. A child's ``start.parent`` is its parent's ``end.run_id``, whichever of the two
    it is."""

    start: RunStart
    end: RunEnd
    begun: bool = False


def spool(folder: Path, experiment: str, runs: Sequence[Unfiled]) -> Path:
    """Write the runs to a new folder below ``folder`` and return it; it appears complete or not at all.

    Raises:
        TrackingError: if the disk refuses, or two of the runs have one id.
    """
    spool_id = uuid.uuid4().hex
    if len({run.end.run_id for run in runs}) != len(runs):
        raise TrackingError("the runs to spool must have ids of their own, but two have the same; give each its own")
    target = folder / f"spool-{spool_id[:12]}"
    making = folder / f".{target.name}.tmp"
    try:
        making.mkdir(parents=True)
        entries = [_write_run(making, number, run) for number, run in enumerate(runs)]
        manifest = {"format": FORMAT, "spool_id": spool_id, "experiment": experiment, "runs": entries}
        write_file(making / MANIFEST, json.dumps(manifest, indent=1).encode())
        making.replace(target)
    except BaseException as error:
        shutil.rmtree(making, ignore_errors=True)
        # which write_files raises as an error of its own
        why = error if isinstance(error, OSError) else error.__cause__
        if not isinstance(why, OSError):
            raise
        fault = Fault(
            f"the folder {folder}",
            "must take the runs that the store did not",
            why.strerror or str(why),
            "free some space",
        )
        raise TrackingError(fault) from error
    return target


def kept_message(what: str, folders: Iterable[Path], why: object) -> str:
    """What to tell the user of runs that were spooled below ``folders``: nothing is lost, where it is, and how to file
    it."""
    places = " ".join(shlex.quote(str(folder)) for folder in dict.fromkeys(folders))
    return f"{what} could not be filed ({why}); kept in {places}, file later with: nnspec file {places}"


def _write_run(root: Path, number: int, run: Unfiled) -> dict[str, Any]:
    home = root / "runs" / str(number)
    history = {
        f"{part}/{key}": getattr(series, part)
        for key, series in run.end.history.items()
        for part in ("steps", "values")
    }
    files = {"history.safetensors": weights_file(history, {}) if history else b""}
    files |= {f"artifacts/{path}": content for path, content in run.end.artifacts.items()}
    write_files(home, files)
    end = {
        field.name: getattr(run.end, field.name)
        for field in fields(RunEnd)
        if field.name not in ("history", "artifacts")
    }
    # JSON has no NaN and no exact floats
    end["metrics"] = {key: float(value).hex() for key, value in run.end.metrics.items()}
    sums = {path: hashlib.sha256(content).hexdigest() for path, content in files.items()}
    return {"start": asdict(run.start), "end": {**end, "tags": dict(run.end.tags)}, "begun": run.begun, "files": sums}


def read_runs(folder: Path) -> tuple[dict[str, Any], dict[int, Unfiled], dict[int, TrackingError]]:
    """The manifest of a spooled folder and its runs by number: those that can be filed, and what is wrong with the
    others.

    A run is refused for a field of the wrong type or out of range, a file that was changed, a path that leads outside,
    a pickle or any other kind of file that nnspec does not write, or a spec that has not the fingerprint it claims.

    Raises:
        TrackingError: for a folder that is none.
    """
    try:
        manifest = read_manifest(folder)
        if (
            manifest["format"] != FORMAT
            or not isinstance(manifest["spool_id"], str)
            or not isinstance(manifest["experiment"], str)
        ):
            raise ValueError(f"format {manifest['format']}")
        entries = list(enumerate(manifest["runs"]))
    except _NOT_OURS as error:
        raise _refuse(folder, "must be a folder that nnspec spooled", f"{type(error).__name__}: {error}") from error
    runs: dict[int, Unfiled] = {}
    ids: set[str] = set()
    refused: dict[int, TrackingError] = {}
    for number, entry in entries:
        home = folder / "runs" / str(number)
        try:
            run = _read_run(home, checked_run(entry, str(home)))
            if run.end.run_id in ids:
                raise _refuse(home, "must have an id of its own", run.end.run_id)
            ids.add(run.end.run_id)
            runs[number] = run
        except TrackingError as error:
            refused[number] = error if str(home) in str(error) else TrackingError(f"spooled {home}: {error}")
        except _NOT_OURS as error:
            refused[number] = _refuse(home, "must be a folder that nnspec spooled", f"{type(error).__name__}: {error}")
    return manifest, runs, refused


def read_manifest(folder: Path) -> Any:
    """What the list of a spooled folder's files says, unchecked.

    Raises:
        OSError: it cannot be read, is no regular file or is larger than 1 GiB.
        ValueError: it is no JSON.
    """
    try:
        return json.loads(read_bytes(folder / MANIFEST, JSON_BYTES))
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error


def _read_run(home: Path, entry: Mapping[str, Any]) -> Unfiled:
    contents = {path: _read_file(home, path, digest) for path, digest in entry["files"].items()}
    history = _read_history(home, contents.pop("history.safetensors"))
    artifacts = {path.removeprefix("artifacts/"): content for path, content in contents.items()}
    for path, content in artifacts.items():
        _check_kind(home / path, content)
    dataset = entry["start"]["dataset"]
    start = RunStart(**{**entry["start"], "dataset": DatasetInfo(**dataset) if dataset else None})
    metrics = {key: float.fromhex(value) for key, value in entry["end"]["metrics"].items()}
    end = RunEnd(**{**entry["end"], "metrics": metrics}, history=history, artifacts=artifacts)
    _check_fingerprint(home, start, artifacts)
    return Unfiled(start, end, bool(entry["begun"]))


def _read_file(home: Path, path: str, digest: str) -> bytes:
    target = home / checked_path(path)
    if target.is_symlink() or not target.resolve().is_relative_to(home.resolve()):
        raise _refuse(target, "must be a file inside its folder", "a link")
    content = read_bytes(target, ARTIFACT_BYTES)
    if hashlib.sha256(content).hexdigest() != digest:
        raise _refuse(target, "must be as it was spooled", "a changed file")
    return content


def _read_history(home: Path, content: bytes) -> dict[str, Series]:
    if not content:
        return {}
    tensors = _tensors(home / "history.safetensors", content)
    keys = dict.fromkeys(name.partition("/")[2] for name in tensors)
    return {key: checked_series(key, tensors[f"steps/{key}"], tensors[f"values/{key}"], str(home)) for key in keys}


def _tensors(path: Path, content: bytes) -> dict[str, np.ndarray]:
    try:
        return loaded_tensors(content, str(path))
    except WeightsError as error:
        raise _refuse(path, "must be a safetensors file", str(error.__cause__)) from error


def _check_kind(path: Path, content: bytes) -> None:
    """Only what nnspec writes: a pickle is refused whatever it is called."""
    if path.suffix not in _SUFFIXES:
        raise _refuse(path, f"must be one of {', '.join(sorted(_SUFFIXES))}", path.suffix or "no suffix")
    if path.suffix == ".safetensors":
        _tensors(path, content)
    elif path.suffix in _MAGIC:
        if not content.startswith(_MAGIC[path.suffix]):
            raise _refuse(path, f"must be a {path.suffix[1:]} file", repr(content[:8]))
    else:
        content.decode()  # the others are texts, which a pickle is not: a UnicodeDecodeError is a ValueError
        if b"\0" in content:
            raise _refuse(path, "must be a text", "a file with zero bytes")


def _check_fingerprint(home: Path, start: RunStart, artifacts: Mapping[str, bytes]) -> None:
    claimed = start.tags.get(FINGERPRINT_TAG)
    if SPEC not in artifacts:
        if claimed is not None:
            raise _refuse(home, f"must hold the {SPEC} of the fingerprint that it claims", claimed)
        return
    try:
        actual = RunSpec.from_mapping(load_yaml(artifacts[SPEC])).fingerprint
    except (NnspecError, ValueError, AttributeError, TypeError) as error:
        raise _refuse(home / SPEC, "must be a spec", first_line(error)) from error
    if actual != claimed:
        raise _refuse(home, f"must have the fingerprint of its spec ({actual})", str(claimed))


def _refuse(where: Path, rule: str, value: str) -> TrackingError:
    return TrackingError(Fault(f"spooled {where}", rule, value, "spool the runs again, or file them by training again"))
