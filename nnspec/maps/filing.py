"""A map as one run: its start, its end with arrays, pictures and a summary, and the way back from there."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from nnspec.analysis.writing import markdown
from nnspec.documents import document
from nnspec.errors import Fault, TrackingError
from nnspec.journal.earlier import experiment_name
from nnspec.journal.filer import keep
from nnspec.journal.recording import data_record
from nnspec.maps.axes import Axis, stated
from nnspec.maps.reducing import Arrays, empty
from nnspec.maps.result import Map
from nnspec.params import Refused
from nnspec.report.as_json import Place
from nnspec.report.describing import code_block
from nnspec.settings import MapAxes, Tracking
from nnspec.specs import RunSpec
from nnspec.terminal import complain
from nnspec.tracking import CellStore, RunEnd, RunStart, Store, Unfiled, open_store
from nnspec.tracking.artifacts import Files, source_files, spec_yaml, weights_file, weights_metadata
from nnspec.tracking.cell_records import describe, run_name
from nnspec.tracking.provenance import process_tags
from nnspec.tracking.read import loaded_tensors, read_checked_spec
from nnspec.tracking.records import COMMAND_TAG, MAP_TAG, NOTE_TAG
from nnspec.tracking.spool import kept_message
from nnspec.tracking.store import now_ms

ARRAYS, SUMMARY = "map/arrays.safetensors", "map/summary.json"
SHARED = "map/spec.yaml"  # what all pixels share: a spec.yaml at the root is that of a cell, with a fingerprint


@dataclass
class MapRun:
    """The run of a map in a store, begun as RUNNING.

    Raises:
        TrackingError: the store cannot be reached; nothing has trained then.
    """

    store: CellStore
    experiment: str
    experiment_id: str
    start: RunStart
    run_id: str
    unfiled: bool = False

    @classmethod
    def begin(cls, spec: RunSpec, axes: tuple[Axis, Axis], tracking: Tracking, command: str) -> MapRun:
        """Reach the store and file the run."""
        store = open_store(tracking)
        experiment = tracking.experiment or experiment_name([spec])
        experiment_id = store.experiment(experiment)
        start = map_start(spec, axes, command)
        (run_id,) = store.start([start], experiment_id)
        return cls(store, experiment, experiment_id, start, run_id)

    def end(
        self,
        found: Map,
        status: str,
        metrics: Mapping[str, float],
        tags: Mapping[str, str] | None = None,
        files: Mapping[str, bytes] | None = None,
    ) -> None:
        """Complete the run, with ``metrics``, ``tags`` and ``files`` besides those of a map. What the store does not
        take is kept in a folder."""
        known = {name: value for name, value in found.figures.items() if not math.isnan(value)}
        measured = {**known, "pixels": float(found.trained.sum()), **metrics}
        said = {NOTE_TAG: _note(repr(found), found.spec, self.start.tags[COMMAND_TAG]), **(tags or {})}
        more = {name: partial(bytes, content) for name, content in (files or {}).items()}
        kept = Files({**map_files(found).makers, **more})
        end = RunEnd(self.run_id, status, metrics=measured, tags=said, artifacts=kept, end_time=now_ms())
        try:
            self.store.finish([end])
        except (TrackingError, OSError) as error:
            self.unfiled = True
            folder = keep(self.experiment, [Unfiled(self.start, end, begun=True)])
            complain(kept_message("the map", [folder.parent], error))

    def abandon(self) -> None:
        """Close the run when the command ends by an error."""
        try:
            self.store.set_status([self.run_id], "KILLED", now_ms())
        except (TrackingError, OSError) as error:
            complain(f"{error}; the run {self.run_id} stays RUNNING")

    @property
    def place(self) -> Place:
        """Where the run is, and how to look at it."""
        return Place.of(self.store, self.experiment, self.experiment_id, self.run_id, self.start.name)


def map_start(spec: RunSpec, axes: tuple[Axis, Axis], command: str) -> RunStart:
    """The start record of a map: what all pixels share, and its axes."""
    said = json.dumps(stated(axes))
    digest = hashlib.sha256(f"{spec.fingerprint}{said}".encode()).hexdigest()[:4]
    over = "-x-".join(f"{axis.key.partition('.')[2]}{axis.count}" for axis in axes)
    shared = {key: value for key, value in spec.flat().items() if key not in {axis.key for axis in axes}}
    params = {f"axis.{axis.key}": f"{axis.low:g} to {axis.high:g}, {axis.scale}, {axis.count}" for axis in axes}
    tags = {**process_tags(), MAP_TAG: said, COMMAND_TAG: command}
    tags[NOTE_TAG] = _note(f"{axes[0]} by {axes[1]}", spec, command)
    data = data_record(spec.data, spec.loss.name)
    return RunStart(f"map-{over}-{run_name(spec)}-{digest}", params | shared, tags, None, data, now_ms())


def _note(head: str, spec: RunSpec, command: str) -> str:
    return "\n\n".join([code_block_lines(head), markdown(describe(spec)), code_block(command)])


def code_block_lines(text: str) -> str:
    """Lines as they are."""
    return "```\n" + text.replace("`", "'") + "\n```"


def map_files(found: Map) -> Files:
    """The files of a map by their paths below the artifact root; each is made when it is asked for."""
    makers: dict[str, Callable[[], bytes]] = {
        f"map/{name}.png": partial(found.picture, name) for name in found.pictures if found.trained.any()
    }
    makers |= {
        ARRAYS: partial(arrays_file, found),
        SUMMARY: lambda: document(found.info()).encode(),
        SHARED: partial(spec_yaml, found.spec),
    }
    return Files(makers | source_files(found.spec))


def arrays_file(found: Map) -> bytes:
    """The arrays [y, x] by name, the axes' values ``x`` and ``y``, and of replicates ``limits`` [count, 2]: the Wilson
    interval of a share by how many of a pixel's networks are solved, or converged."""
    shape = (found.y_axis.count, found.x_axis.count)
    tensors = {name: array.reshape(shape) for name, array in found.arrays.items()}
    tensors |= {"x": found.x, "y": found.y}
    if found.spec.replicates > 1:
        tensors["limits"] = np.stack(found.limits(), 1)
    return weights_file(tensors, weights_metadata(found.spec))


def read_map(store: Store, run_id: str) -> Map:
    """The map that a run filed.

    Raises:
        TrackingError: the run is no map, or what it filed is not as it must be.
    """
    tag = store.get(run_id).tags.get(MAP_TAG)
    if tag is None:
        raise TrackingError(Fault(f"the run {run_id}", "must be a map", "another run", "nnspec.table reads those"))
    try:
        x, y = (Axis(*axis) for axis in MapAxes().parse(json.loads(tag)))  # type: ignore[union-attr, misc]
    except (ValueError, RecursionError, Refused) as error:
        where = f"the tag {MAP_TAG} of run {run_id}"
        raise TrackingError(Fault(where, "must hold the axes of a map", str(error)[:80], "train it again")) from None
    spec = read_checked_spec(run_id, store, SHARED)
    return Map(spec, x, y, _checked(store.artifact(run_id, ARRAYS), spec, x, y, run_id), run_id)


def _checked(content: bytes, spec: RunSpec, x: Axis, y: Axis, run_id: str) -> Arrays:
    where = f"{ARRAYS} of run {run_id}"
    found = loaded_tensors(content, where)
    arrays: Arrays = {}
    for name, room in empty(1, spec.replicates, spec.dtype).items():
        array = found.get(name)
        if array is None or array.shape != (y.count, x.count) or array.dtype != room.dtype:
            got = "none" if array is None else f"{array.dtype} {list(array.shape)}"
            rule = f"must have an array '{name}' of {room.dtype} [{y.count}, {x.count}]"
            raise TrackingError(Fault(where, rule, got, "train the map again"))
        arrays[name] = array.ravel()
    return arrays
