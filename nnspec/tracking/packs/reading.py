"""Packed cells back as what training left of them, and as what their runs would have filed.

A store may come from a stranger: whatever is in a pack is checked before anyone relies on it.
"""

from __future__ import annotations

import json
import re
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from nnspec.architecture import architecture
from nnspec.check import archived_spec
from nnspec.errors import Fault, SpecError, TrackingError, first_line
from nnspec.results.arrays import FINALS, NEVER, TIMES, UNKNOWN, Results, history_of
from nnspec.specs import RunSpec
from nnspec.tracking.packs.writing import (
    ERRORS,
    FINAL,
    FOLDER,
    HISTORY,
    INDEX,
    INITIAL,
    NONFINITE,
    RESULTS,
    SNAPSHOT,
    WEIGHTS,
)
from nnspec.tracking.read import loaded_tensors
from nnspec.tracking.results import checked_results, read_parquet, times_of
from nnspec.tracking.store import RunFacts, Store

KEPT = 4  # packs whose arrays are kept in memory
_MARK = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True)
class Entry:
    """What the index of a pack says of a cell; ``spec_text`` is its spec as JSON, without its seed."""

    pack: int
    cell: int
    fingerprint: str
    name: str
    status: str
    seed: int
    spec_text: str
    tags: Mapping[str, str]
    metrics: Mapping[str, float]
    start_time: int
    end_time: int
    first: int
    networks: int

    @cached_property
    def spec(self) -> RunSpec:
        """The spec of the cell, checked.

        Raises:
            TrackingError: it is none, or not the one of the fingerprint.
        """
        spec = replace(_spec(self.spec_text), seed=self.seed)
        if spec.fingerprint != self.fingerprint:
            where = f"the packed spec of cell {self.cell}"
            raise TrackingError(
                Fault(where, f"must have the fingerprint {self.fingerprint}", spec.fingerprint, "train the cell again")
            )
        return spec


@lru_cache(4096)
def _spec(text: str) -> RunSpec:
    try:
        return archived_spec(json.loads(text))
    except (SpecError, ValueError, RecursionError) as error:
        rule = "must be a spec in JSON"
        raise TrackingError(Fault("a packed spec", rule, first_line(error), "train the cell again")) from None


@contextmanager
def _checked(where: str) -> Iterator[None]:
    """Turn what reading a broken pack ends in into an error for the user."""
    try:
        yield
    except (KeyError, ValueError, TypeError, IndexError, AttributeError, OverflowError, RecursionError) as error:
        rule, remedy = "must be as nnspec filed it", "train the sweep again"
        raise TrackingError(Fault(where, rule, f"{type(error).__name__}: {first_line(error)}", remedy)) from error


class Packs:
    """The packs of one sweep, read as they are needed: ``count`` of them."""

    def __init__(self, store: Store, sweep: RunFacts):
        self.store, self.sweep, self.run_id, self.count = store, sweep, sweep.run_id, 0
        self.entries: dict[int, Entry] = {}  # by cell, of its last pack
        self._loaded: OrderedDict[tuple[int, str], Any] = OrderedDict()

    def grow(self, count: int) -> None:
        """Take in the index of the packs up to ``count``; a cell that was packed before is the later one from now
        on."""
        for pack in range(self.count, count):
            where = self._where(pack, INDEX)
            with _checked(where):
                table = read_parquet(self._file(pack, INDEX), where).to_pydict()
                for row in zip(*(table[name] for name in _COLUMNS), strict=True):
                    entry = _entry(pack, dict(zip(_COLUMNS, row, strict=True)))
                    self.entries[entry.cell] = entry
            self.count = pack + 1

    def entry(self, cell: int) -> Entry:
        """What the index says of a cell.

        Raises:
            TrackingError: no pack has it.
        """
        if cell not in self.entries:
            where = f"the cell {cell} of run {self.run_id}"
            raise TrackingError(
                Fault(where, "must be one that is filed", "none", "see nnspec table for those that are")
            )
        return self.entries[cell]

    def columns(self, entry: Entry) -> dict[str, np.ndarray]:
        """The columns of a cell's table of results, a value a network; times as ``Results`` has them."""
        whole, some = self._load(entry.pack, RESULTS), slice(entry.first, entry.first + entry.networks)
        mine = {name: values[some] for name, values in whole.items()}
        if len(mine["cell"]) != entry.networks or not entry.networks or (mine.pop("cell") != entry.cell).any():
            where, rule = self._where(entry.pack, RESULTS), f"must have {entry.networks} rows of cell {entry.cell}"
            raise TrackingError(Fault(where, rule, "others", "train the sweep again"))
        return mine

    def result(self, entry: Entry) -> Results:
        """What training left of a cell, as far as it is filed.

        Raises:
            TrackingError: the cell was not trained, or its pack is broken.
        """
        spec, columns = entry.spec, self.columns(entry)
        some = slice(entry.first, entry.first + entry.networks)
        with _checked(f"the pack {FOLDER}/{entry.pack} of run {self.run_id}"):
            steps, lines = self._load(entry.pack, HISTORY)
            weights = {name: array[some] for name, array in self._load(entry.pack, WEIGHTS).items()}
            known = {"seed", *FINALS, "solved", *TIMES, "verdict", NONFINITE}
            shapes = architecture(spec).tensors()
            return Results(
                spec=spec,
                seeds=columns["seed"],
                steps=steps,
                **history_of(architecture(spec).layers, lines, lambda name, kind: lines[name][some]),
                **{name: columns[name] for name in (*TIMES, NONFINITE) if name in columns},  # type: ignore[arg-type]
                errors=weights.get(ERRORS, UNKNOWN),
                initial=_ordered(_named(weights, f"{INITIAL}/"), shapes),
                final=_ordered(_named(weights, f"{FINAL}/"), shapes),
                snapshots={step: _ordered(found, shapes) for step, found in _snapshots(weights).items()},
                verdict=columns["verdict"],
                numbers={name: values for name, values in columns.items() if name not in known},
            )

    def _load(self, pack: int, name: str) -> Any:
        """A file of a pack as arrays; the last few stay in memory."""
        key = (pack, name)
        if key not in self._loaded:
            where = self._where(pack, name)
            with _checked(where):
                self._loaded[key] = _READERS[name](self._file(pack, name), where)
            while len(self._loaded) > KEPT * len(_READERS):
                self._loaded.popitem(last=False)
        self._loaded.move_to_end(key)
        return self._loaded[key]

    def _file(self, pack: int, name: str) -> bytes:
        return self.store.artifact(self.run_id, f"{FOLDER}/{pack}/{name}")

    def _where(self, pack: int, name: str) -> str:
        return f"{FOLDER}/{pack}/{name} of run {self.run_id}"


_COLUMNS = (
    "cell",
    "fingerprint",
    "name",
    "status",
    "seed",
    "spec",
    "tags",
    "metrics",
    "start_time",
    "end_time",
    "first",
    "networks",
)


def _entry(pack: int, row: Mapping[str, Any]) -> Entry:
    """A row of an index as an entry.

    Raises:
        ValueError: a value of it is not what it must be.
    """
    numbers = {name: row[name] for name in ("cell", "seed", "start_time", "end_time", "first", "networks")}
    if not all(type(value) is int and value >= 0 for value in numbers.values()):
        raise ValueError("an index must have whole numbers from 0")
    texts = {name: row[name] for name in ("fingerprint", "name", "status", "spec", "tags", "metrics")}
    if not all(isinstance(value, str) for value in texts.values()) or not _MARK.fullmatch(row["fingerprint"]):
        raise ValueError("an index must have texts, and fingerprints of 16 hexadecimal digits")
    tags, metrics = _pairs(row["tags"], str), _pairs(row["metrics"], float)
    named = {name: row[name] for name in ("fingerprint", "name", "status")}
    return Entry(pack=pack, **named, **numbers, spec_text=row["spec"], tags=tags, metrics=metrics)


@lru_cache(4096)
def _pairs(text: str, kind: type) -> Mapping[str, Any]:
    pairs = json.loads(text)
    if not isinstance(pairs, dict) or not all(isinstance(value, kind) for value in pairs.values()):
        raise ValueError("an index must have mappings in JSON")
    return pairs


def _read_results(content: bytes, where: str) -> dict[str, np.ndarray]:
    """Columns, [network] each."""
    table = checked_results(content, where, also=("cell", "verdict"))
    columns = {str(name): table[name].to_numpy() for name in table if name != NONFINITE}
    columns |= times_of(table)  # each in its place
    return columns | {NONFINITE: table[NONFINITE].fillna(NEVER).to_numpy(np.int64)}


def _read_history(content: bytes, where: str) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Steps [t] and lines [network, t]."""
    table = read_parquet(content, where)
    every = {name: table[name].to_numpy() for name in table.column_names}
    step = every.pop("step")
    steps = step[: int(np.argmax(step[1:] <= step[:-1])) + 1] if (step[1:] <= step[:-1]).any() else step
    if len(step) % len(steps) or (step.reshape(-1, len(steps)) != steps).any():
        raise ValueError("networks must have the same rising steps")
    return steps.astype(np.int64), {name: line.reshape(-1, len(steps)) for name, line in every.items()}


_READERS = {RESULTS: _read_results, HISTORY: _read_history, WEIGHTS: loaded_tensors}


def _named(arrays: Mapping[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def _ordered(weights: Mapping[str, np.ndarray], shapes: Mapping[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """In the order of the ``state_dict``; of these shapes, the networks first."""
    found = {name: weights[name] for name in shapes}
    if len(found) != len(weights) or any(array.shape[1:] != shapes[name] for name, array in found.items()):
        raise ValueError("weights must have the names and shapes of their spec")
    return found


def _snapshots(weights: Mapping[str, np.ndarray]) -> dict[int, dict[str, np.ndarray]]:
    found: dict[int, dict[str, np.ndarray]] = {}
    for path, array in _named(weights, f"{SNAPSHOT}/").items():
        step, _, name = path.partition("/")
        found.setdefault(int(step), {})[name] = array
    return {step: found[step] for step in sorted(found)}
