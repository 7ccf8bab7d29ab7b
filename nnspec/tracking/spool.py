"""Runs that could not be filed, kept in a local folder until they can be: JSON, safetensors and the artifacts; no pickle.

spool-<id>/spool.json            what is there, with the SHA-256 of every file
spool-<id>/runs/<n>/history.safetensors
spool-<id>/runs/<n>/artifacts/<path>
spool-<id>/filed                 once all of it is in a store
"""

from __future__ import annotations

import hashlib
import json
import shutil
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from nnspec.errors import Fault, NnspecError, TrackingError
from nnspec.spec import RunSpec
from nnspec.tracking.artifacts import SPEC, weights_file
from nnspec.tracking.files import checked_path, write_file, write_files
from nnspec.tracking.records import FINGERPRINT_TAG, DatasetInfo, RunEnd, RunStart, Series
from nnspec.tracking.store import RunFacts, Store

SPOOL_TAG = "nnspec.spool_id"
ITEM_TAG = "nnspec.spool_item"
MANIFEST = "spool.json"
FILED = "filed"
FORMAT = 1
_SUFFIXES = frozenset({".safetensors", ".parquet", ".yaml", ".json", ".csv", ".txt", ".md", ".html", ".svg", ".png"})
_MAGIC = {".parquet": b"PAR1", ".png": b"\x89PNG"}


@dataclass(frozen=True)
class Unfiled:
    """A run that trained and could not be filed. ``begun`` says that the store has begun it: then ``end.run_id`` is the
    store's, else any name of its own. A child's ``start.parent`` is its parent's ``end.run_id``, whichever of the two it is."""

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
    except OSError as error:
        shutil.rmtree(making, ignore_errors=True)
        fault = Fault(f"the folder {folder}", "must take the runs that the store did not", error.strerror or str(error), "free some space")
        raise TrackingError(str(fault)) from error
    return target


def spooled_message(folder: Path, count: int, why: object) -> str:
    """What to tell the user: nothing is lost, where it is, and how to file it."""
    runs = "1 run" if count == 1 else f"{count} runs"
    return f"{runs} trained but not filed ({why}); kept in {folder}, file with: nnspec file {folder}"


def file_spool(folder: Path, store: Store) -> list[str]:
    """File what a spooled folder holds and return the run ids in order. Safe to repeat: each run is filed once.

    A run is recognised by its tags ``nnspec.spool_id`` and ``nnspec.spool_item``, or by the id it already had in the store.

    Raises:
        TrackingError: if the folder is not as ``spool`` left it, or the store fails; then simply call it again.
    """
    manifest, runs = read_spool(folder)
    experiment_id = store.experiment(manifest["experiment"])
    there = {facts.tags.get(ITEM_TAG, ""): facts for facts in store.tagged(experiment_id, SPOOL_TAG, manifest["spool_id"])}
    ids: dict[str, str] = {}  # the id in the folder -> the id in the store
    for generation in _parents_first(runs):
        marked = {number: _marked(runs[number], number, manifest["spool_id"], ids) for number in generation}
        found = {number: there.get(str(number)) or _begun(store, run) for number, run in marked.items()}
        new = [number for number, facts in found.items() if facts is None]
        begun = dict(zip(new, store.start([marked[number].start for number in new], experiment_id), strict=True))
        ids |= {runs[number].end.run_id: facts.run_id if facts else begun[number] for number, facts in found.items()}
        rest = [number for number, facts in found.items() if facts is None or not _complete(facts, manifest["spool_id"])]
        store.finish([replace(marked[number].end, run_id=ids[runs[number].end.run_id]) for number in rest])
    filed = [ids[run.end.run_id] for run in runs]
    write_file(folder / FILED, json.dumps(filed).encode())
    return filed


def _marked(run: Unfiled, number: int, spool_id: str, ids: Mapping[str, str]) -> Unfiled:
    """The run with the tags by which it is known again, and its parent as the store knows it."""
    tags = {SPOOL_TAG: spool_id, ITEM_TAG: str(number)}
    parent = run.start.parent and ids.get(run.start.parent, run.start.parent)
    start = replace(run.start, parent=parent, tags={**run.start.tags, **tags})
    return replace(run, start=start, end=replace(run.end, tags={**run.end.tags, **tags}))


def _complete(facts: RunFacts, spool_id: str) -> bool:
    return facts.status != "RUNNING" and facts.tags.get(SPOOL_TAG) == spool_id


def _begun(store: Store, run: Unfiled) -> RunFacts | None:
    """The run as the store knows it, if it had begun there before it was spooled."""
    if not run.begun:
        return None
    facts = store.get(run.end.run_id)
    mark = run.start.tags.get(FINGERPRINT_TAG)
    if facts.tags.get(FINGERPRINT_TAG) != mark:
        rule = f"must be the one that was spooled ({mark})"
        remedy = "set tracking.uri to the store it began in"
        raise TrackingError(str(Fault(f"run {run.end.run_id}", rule, str(facts.tags.get(FINGERPRINT_TAG)), remedy)))
    return facts


def _parents_first(runs: Sequence[Unfiled]) -> list[list[int]]:
    """The numbers of the runs whose parent is not among them, then those of the others: a sweep has two levels."""
    own = {run.end.run_id for run in runs}
    children = [number for number, run in enumerate(runs) if run.start.parent in own]
    return [[number for number in range(len(runs)) if number not in set(children)], children]


def _write_run(root: Path, number: int, run: Unfiled) -> dict[str, Any]:
    home = root / "runs" / str(number)
    history = {f"{part}/{key}": getattr(series, part) for key, series in run.end.history.items() for part in ("steps", "values")}
    files = {"history.safetensors": weights_file(history, {}) if history else b""}
    files |= {f"artifacts/{path}": content for path, content in run.end.artifacts.items()}
    write_files(home, files)
    end = {field.name: getattr(run.end, field.name) for field in fields(RunEnd) if field.name not in ("history", "artifacts")}
    end["metrics"] = {key: float(value).hex() for key, value in run.end.metrics.items()}  # JSON has no NaN and no exact floats
    sums = {path: hashlib.sha256(content).hexdigest() for path, content in files.items()}
    return {"start": asdict(run.start), "end": {**end, "tags": dict(run.end.tags)}, "begun": run.begun, "files": sums}


def read_spool(folder: Path) -> tuple[dict[str, Any], list[Unfiled]]:
    """The manifest and the runs of a spooled folder, every file checked.

    Raises:
        TrackingError: for a folder that is none, a file that was changed, a path that leads outside, a pickle or any other
            kind of file that nnspec does not write, or a spec that has not the fingerprint it claims.
    """
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
        if manifest["format"] != FORMAT or not isinstance(manifest["spool_id"], str) or not isinstance(manifest["experiment"], str):
            raise ValueError(f"format {manifest['format']}")
        runs = [_read_run(folder / "runs" / str(number), entry) for number, entry in enumerate(manifest["runs"])]
    except TrackingError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise _refuse(folder, "must be a folder that nnspec spooled", f"{type(error).__name__}: {error}") from error
    return manifest, runs


def _read_run(home: Path, entry: Mapping[str, Any]) -> Unfiled:
    contents = {path: _read_file(home, path, digest) for path, digest in entry["files"].items()}
    history = _read_history(contents.pop("history.safetensors"))
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
    content = target.read_bytes()
    if hashlib.sha256(content).hexdigest() != digest:
        raise _refuse(target, "must be as it was spooled", "a changed file")
    return content


def _read_history(content: bytes) -> dict[str, Series]:
    if not content:
        return {}
    from safetensors.numpy import load

    tensors = load(content)
    keys = dict.fromkeys(name.partition("/")[2] for name in tensors)
    return {key: Series(tensors[f"steps/{key}"].astype(np.int64), tensors[f"values/{key}"].astype(np.float64)) for key in keys}


def _check_kind(path: Path, content: bytes) -> None:
    """Only what nnspec writes: a pickle is refused whatever it is called."""
    if path.suffix not in _SUFFIXES:
        raise _refuse(path, f"must be one of {', '.join(sorted(_SUFFIXES))}", path.suffix or "no suffix")
    if path.suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.numpy import load

        try:
            load(content)
        except (SafetensorError, KeyError, ValueError) as error:
            raise _refuse(path, "must be a safetensors file", str(error)) from error
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
    import yaml

    try:
        actual = RunSpec.from_mapping(yaml.safe_load(artifacts[SPEC])).fingerprint
    except (NnspecError, yaml.YAMLError, AttributeError, TypeError) as error:
        raise _refuse(home / SPEC, "must be a spec", str(error).splitlines()[0]) from error
    if actual != claimed:
        raise _refuse(home, f"must have the fingerprint of its spec ({actual})", str(claimed))


def _refuse(where: Path, rule: str, value: str) -> TrackingError:
    return TrackingError(str(Fault(f"spooled {where}", rule, value, "spool the runs again, or file them by training again")))
