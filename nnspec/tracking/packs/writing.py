"""Packs: what many cells of a sweep left, in four files of the sweep's run.

cells/<n>/index.parquet         a row a cell: its number, its spec, its status, and where its networks lie in the others
cells/<n>/results.parquet       a row a network, as a run of its own would have it, with the cell's number
cells/<n>/history.parquet       a row a network and logged step
cells/<n>/weights.safetensors   the weights of all networks, at the start and at the end, and snapshots

The cells of a pack have arrays of the same names and shapes, so that those of all networks are one array each.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from nnspec.results.arrays import NEVER, Results, concatenate
from nnspec.specs import RunSpec
from nnspec.tracking.artifacts import Files, result_columns, weights_file
from nnspec.tracking.parquet import table_file

if TYPE_CHECKING:
    import pyarrow as pa

FOLDER = "cells"
INDEX, RESULTS, HISTORY, WEIGHTS = "index.parquet", "results.parquet", "history.parquet", "weights.safetensors"
INITIAL, FINAL, SNAPSHOT, ERRORS = "initial", "final", "snapshot", "errors"  # what names in a pack's weights begin with
NONFINITE = "nonfinite_at"


@dataclass(frozen=True)
class PackedCell:
    """A cell that gets no run of its own. ``result`` is None where it could not be trained; ``tags`` are those that
    its run would have; ``metrics`` those that its results do not tell; times are in milliseconds since 1970."""

    cell: int
    spec: RunSpec
    name: str
    status: str
    tags: Mapping[str, str]
    start_time: int
    end_time: int
    result: Results | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)


def packs_of(cells: Iterable[PackedCell]) -> list[Sequence[PackedCell]]:
    """The cells in lists that can be packed together, in their order."""
    found: dict[Any, list[PackedCell]] = {}
    for cell in cells:
        found.setdefault(_kind(cell.result), []).append(cell)
    return list(found.values())


def _kind(result: Results | None) -> Any:
    """What cells of one pack agree on: the steps of their histories, the names and shapes of their arrays."""
    if result is None:
        return None
    lines = tuple((name, line.dtype.str) for name, line in result.lines().items())
    tensors = tuple((name, array.shape[1:], array.dtype.str) for name, array in _tensors(result).items())
    return result.steps.tobytes(), lines, tensors, tuple(result.times), tuple(result.numbers)


def pack_files(cells: Sequence[PackedCell]) -> Files:
    """The files of one pack by their names; its cells are of one kind, see ``packs_of``."""
    makers: dict[str, Callable[[], bytes]] = {INDEX: lambda: table_file(_index(cells))}
    trained = [(cell.cell, cell.result) for cell in cells if cell.result is not None]
    if trained:
        whole = concatenate([result for _, result in trained])
        numbers = np.repeat([cell for cell, _ in trained], [len(result.seeds) for _, result in trained])
        makers[RESULTS] = lambda: table_file(_results(numbers, whole))
        makers[HISTORY] = lambda: table_file(_history(numbers, whole))
        makers[WEIGHTS] = lambda: weights_file(_tensors(whole), {})
    return Files(makers)


def _index(cells: Sequence[PackedCell]) -> dict[str, Any]:
    networks = np.array([0 if cell.result is None else len(cell.result.seeds) for cell in cells], np.int64)
    return {
        "cell": np.array([cell.cell for cell in cells], np.int64),
        "fingerprint": _texts([cell.spec.fingerprint for cell in cells]),
        "name": _texts([cell.name for cell in cells]),
        "status": _few([cell.status for cell in cells]),
        "seed": np.array([cell.spec.seed for cell in cells], np.int64),
        "spec": _few([_unseeded(replace(cell.spec, seed=0)) for cell in cells]),
        "tags": _few([json.dumps(dict(cell.tags), sort_keys=True) for cell in cells]),
        "metrics": _few([json.dumps(dict(cell.metrics)) for cell in cells]),
        "start_time": np.array([cell.start_time for cell in cells], np.int64),
        "end_time": np.array([cell.end_time for cell in cells], np.int64),
        "first": np.cumsum(networks) - networks,
        "networks": networks,
    }


@lru_cache(4096)
def _unseeded(spec: RunSpec) -> str:
    """A spec as JSON. Cells mostly differ in their seeds: what they share is written once."""
    return json.dumps(spec.to_mapping(), sort_keys=True)


def _results(numbers: np.ndarray, whole: Results) -> dict[str, Any]:
    diagnosis: dict[str, Any] = {"verdict": _few(whole.verdict.tolist()), **whole.numbers}
    nonfinite = np.ma.MaskedArray(whole.nonfinite_at, whole.nonfinite_at == NEVER)
    return {"cell": numbers, **result_columns(whole, diagnosis), NONFINITE: nonfinite}


def _history(numbers: np.ndarray, whole: Results) -> dict[str, Any]:
    steps = len(whole.steps)
    about = {"cell": np.repeat(numbers, steps), "seed": np.repeat(whole.seeds, steps)}
    lines = {name: line.ravel() for name, line in whole.lines().items()}
    return {**about, "step": np.tile(whole.steps, len(whole.seeds)), **lines}


def _tensors(result: Results) -> dict[str, np.ndarray]:
    """What a network has besides its rows of tables, by name: [network, ...] each."""
    found = {f"{INITIAL}/{name}": array for name, array in result.initial.items()}
    found |= {f"{FINAL}/{name}": array for name, array in result.final.items()}
    for step, weights in result.snapshots.items():
        found |= {f"{SNAPSHOT}/{step}/{name}": array for name, array in weights.items()}
    return found if result.errors is None else found | {ERRORS: result.errors}


def _texts(values: Sequence[str]) -> pa.Array:
    import pyarrow as pa

    return pa.array(values, pa.string())


def _few(values: Sequence[str]) -> pa.Array:
    """Texts of which many are the same."""
    return _texts(values).dictionary_encode()
