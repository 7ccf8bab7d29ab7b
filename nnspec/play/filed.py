"""The page that begins with the networks of a filed run as they ended."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

import numpy as np

from nnspec.errors import Fault, SpecError
from nnspec.play.page import page
from nnspec.readback import is_sweep, read_cell
from nnspec.results.arrays import NEVER, Results
from nnspec.specs import RunSpec, Train
from nnspec.tracking import Store


def filed_page(store: Store, run_id: str) -> str:
    """The page of a single run's networks, or of a cell's: it shows them as they ended, goes back to their first
    weights, and trains them again.

    Raises:
        SpecError: the run is a sweep, or the page cannot do something of its spec.
        TrackingError: there is no such run, or it did not finish.
        WeightsError: its weights do not fit its spec.
    """
    if is_sweep(store, run_id):
        rule, remedy = "must be a single run or a cell", "name one of its cells, as in last/17"
        raise SpecError([Fault("nnspec play", rule, f"the sweep {run_id}", remedy)])
    result = read_cell(store, run_id).result
    return page(_without_snapshots(result.spec), [], _networks(result, store.get(run_id).name))


def _without_snapshots(spec: RunSpec) -> RunSpec:
    """The spec without what was kept on the way, which the page has no use for and no weight depends on."""
    return replace(spec, train=replace(spec.train, snapshot_every=Train().snapshot_every))


def _networks(result: Results, name: str) -> dict[str, Any]:
    """The networks as ``web/src/filed.ts`` takes them."""
    from safetensors.numpy import save

    since = result.numbers.get("since", np.nan)
    lost = np.broadcast_to(np.where(result.verdict == "diverged", since, np.nan), result.seeds.shape)
    return {
        "name": name,
        "initial": _base64(save(result.initial)),
        "final": _base64(save(result.final)),
        "steps": result.steps,
        "losses": _base64(np.ascontiguousarray(result.loss.T, dtype="<f4").tobytes()),
        "solved_at": [None if at == NEVER else int(at) for at in result.solved_at],
        "lost_at": [None if np.isnan(at) else int(at) for at in lost],
    }


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")
