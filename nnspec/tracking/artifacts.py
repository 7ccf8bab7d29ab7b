"""The files of a cell, as bytes: weights (safetensors), history and results (parquet), the spec (YAML). No pickle."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnspec.catalog.origins import DIGITS
from nnspec.parts.used import used
from nnspec.results.arrays import NEVER, Results
from nnspec.specs import RunSpec
from nnspec.tracking.parquet import GROUP, parquet_file, parquet_groups

INITIAL = "weights/initial.safetensors"
FINAL = "weights/final.safetensors"
SNAPSHOTS = "weights/history.safetensors"
SPEC = "spec.yaml"
HISTORY = "history.parquet"
RESULTS = "results.parquet"
SPEC_KEY = "nnspec.spec"  # in the metadata of a weights file
FINGERPRINT_KEY = "nnspec.fingerprint"
_HEADER = "# An nnspec run. Run it again with: python run.py spec=spec.yaml\n"
_DTYPES = {
    "float64": "F64",
    "float32": "F32",
    "float16": "F16",
    "int64": "I64",
    "int32": "I32",
    "uint8": "U8",
    "bool": "BOOL",
}


@dataclass(frozen=True, eq=False)  # two are equal as mappings are
class Files(Mapping[str, bytes]):
    """Files by path, each made anew whenever it is asked for: those of a large cell are not all in memory at once."""

    makers: Mapping[str, Callable[[], bytes]]

    def __getitem__(self, path: str) -> bytes:
        return self.makers[path]()

    def __iter__(self) -> Iterator[str]:
        return iter(self.makers)

    def __len__(self) -> int:
        return len(self.makers)


def cell_artifacts(result: Results, extra: Mapping[str, np.ndarray] | None = None) -> Files:
    """The files of one cell by their paths below the artifact root.

    ``extra`` adds columns to ``results.parquet``: one value a replicate, [r] each; a ``verdict`` goes into
    ``history.parquet`` too.
    """
    columns = result_columns(result, extra or {})
    metadata = weights_metadata(result.spec)
    files = {
        INITIAL: lambda: weights_file(_stacked(result.initial, result), metadata),
        FINAL: lambda: weights_file(_stacked(result.final, result), metadata),
        SPEC: lambda: spec_yaml(result.spec),
        RESULTS: lambda: parquet_file(columns),
        HISTORY: lambda: history_file(result, (extra or {}).get("verdict")),
    }
    if result.snapshots:
        files[SNAPSHOTS] = lambda: weights_file(_snapshots(result), metadata)
    return Files(files | source_files(result.spec))


def source_files(spec: RunSpec) -> dict[str, Callable[[], bytes]]:
    """The texts of the user's parts that a spec names, below the first digits of their digests. They are texts: nothing
    runs them from here."""
    origins = used([spec]).values()
    return {f"parts/{origin.digest[:DIGITS]}/{origin.name}.txt": origin.text.encode for origin in origins}


def _snapshots(result: Results) -> dict[str, np.ndarray]:
    return {
        f"{step}/{name}": array
        for step, weights in result.snapshots.items()
        for name, array in _stacked(weights, result).items()
    }


def weights_metadata(spec: RunSpec) -> dict[str, str]:
    """What a weights file says about itself: the spec as JSON, and its fingerprint."""
    return {SPEC_KEY: json.dumps(spec.to_mapping(), sort_keys=True), FINGERPRINT_KEY: spec.fingerprint}


def weights_file(tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> bytes:
    """Tensors by name as a safetensors file: equal weights give equal bytes.

    Written by hand because the library puts the metadata in an order that changes from call to call.
    """
    header: dict[str, Any] = {"__metadata__": dict(sorted(metadata.items()))}
    chunks: list[memoryview] = []
    end = 0
    # Wide elements first, so that each tensor begins at a multiple of its element's size.
    for name, array in sorted(tensors.items(), key=lambda item: (-item[1].dtype.itemsize, item[0])):
        chunks.append(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).reshape(-1).view(np.uint8).data)
        begin, end = end, end + len(chunks[-1])
        header[name] = {"dtype": _DTYPES[array.dtype.name], "shape": list(array.shape), "data_offsets": [begin, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return b"".join([len(text).to_bytes(8, "little"), text, *chunks])


def _stacked(weights: Mapping[str, np.ndarray], result: Results) -> dict[str, np.ndarray]:
    """Replicates come first where there is more than one; a single network's tensors have the module's own shapes."""
    one = len(result.seeds) == 1
    return {name: array[0] if one else array for name, array in weights.items()}


def history_columns(result: Results, verdict: np.ndarray | None = None) -> dict[str, np.ndarray]:
    """One row a replicate and logged step, replicate by replicate: columns of length r * t; ``verdict`` [r] is
    repeated."""
    return _history_columns(result, verdict, slice(None), slice(None))


def _history_columns(result: Results, verdict: np.ndarray | None, some: slice, steps: slice) -> dict[str, np.ndarray]:
    seeds, at = result.seeds[some], result.steps[steps]
    columns = {"seed": np.repeat(seeds, len(at)), "step": np.tile(at, len(seeds))}
    columns |= {name: line[some, steps].ravel() for name, line in result.lines().items()}
    return columns if verdict is None else columns | {"verdict": np.repeat(verdict[some], len(at))}


def history_file(result: Results, verdict: np.ndarray | None = None) -> bytes:
    """``history.parquet``: the columns of ``history_columns``, of which a long file holds few in memory at a time."""
    replicates, steps = len(result.seeds), len(result.steps)
    together, stretch = max(1, GROUP // steps), min(steps, GROUP)
    parts = (
        _history_columns(result, verdict, slice(first, first + together), slice(start, start + stretch))
        for first in range(0, replicates, together)
        for start in range(0, steps, stretch)
    )
    return parquet_file(next(parts)) if replicates * steps <= GROUP else parquet_groups(parts)


def result_columns(result: Results, extra: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """One row a replicate: seed, final_loss, final_accuracy, those of a test part where there is one (final_test_loss,
    final_test_accuracy), solved, solved_at and, where networks may stop, stopped_at (null where it never came), then
    ``extra``."""
    columns: dict[str, Any] = {"seed": result.seeds, **result.finals, "solved": result.solved}
    for name, at in result.times.items():
        columns[name] = np.ma.MaskedArray(np.asarray(at, np.int64), at == NEVER)
    for name, values in extra.items():
        if name in columns or len(values) != len(result.seeds):
            rule = f"must have a new name and one value a replicate ({len(result.seeds)})"
            raise ValueError(f"an extra column {rule}, but got '{name}' of {len(values)}")
        columns[name] = values
    return columns


def spec_yaml(spec: RunSpec) -> bytes:
    """The spec as YAML, with the command that runs it again."""
    return (_HEADER + spec.yaml()).encode()
