"""Runs of their own for cells of a sweep: each trains again, comes out bitwise as it did, and is filed whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace

import numpy as np

from nnspec.architecture import architecture
from nnspec.check import checked
from nnspec.errors import Fault, SpecError, TrackingError, TrainingError
from nnspec.execute.engine import Training
from nnspec.execute.interrupts import Interrupts
from nnspec.journal.filer import file_cells
from nnspec.journal.recording import Recorder
from nnspec.params import Value
from nnspec.report.console import shown_on_bar
from nnspec.results.events import Failed, TrainedCell
from nnspec.settings import Runtime
from nnspec.specs import TRAIN, RunSpec, parse_params
from nnspec.tracking import CellStore, cell_runs, read_checked_spec, read_weights
from nnspec.tracking.packs.store import is_packed
from nnspec.tracking.provenance import still_trains
from nnspec.tracking.records import COMMIT_TAG, VERSION_TAG

RECORDED = ("log_every", "snapshot_every")  # what is written down on the way, which no weight depends on


def promote(
    store: CellStore, sweep: str, cells: Sequence[int], changes: Mapping[str, object] | None = None, show: bool = False
) -> dict[int, str]:
    """File cells of a sweep as runs of their own; the ids of their runs by cell. One that has a run of this kind keeps
    it.

    Args:
        sweep: the id of the sweep's run.
        cells: numbers, as the column ``cell`` of the sweep's table has them.
        changes: what more to write down, by key: ``train.log_every``, ``train.snapshot_every``.
        show: show a bar.

    Raises:
        TrackingError: there is no such sweep or cell, it still trains, or the store does not take the runs.
        SpecError: a change is none of these.
        TrainingError: a cell came out otherwise than it did; nothing is filed then.
    """
    facts = store.get(sweep)
    if still_trains(facts):
        raise TrackingError(
            f"cells must not be promoted while their sweep runs, but {sweep} does; wait for it or stop it"
        )
    there = cell_runs(store, sweep, cells)
    specs = {cell: _recording(read_checked_spec(run_id, store), changes or {}) for cell, run_id in there.items()}
    filed = {cell: run_id for cell, run_id in there.items() if not changes and not is_packed(run_id)}
    filed |= _promoted_before(store, sweep, specs)
    missing = [cell for cell in specs if cell not in filed]
    trained = _train([specs[cell] for cell in missing], missing, show)
    for cell in trained:
        _refuse_another(store, there[cell.index], cell)
    recorder = Recorder({cell: specs[cell] for cell in missing}, sweep)
    new = file_cells(store, facts.experiment_id, recorder, trained, besides=bool(changes))
    filed |= dict(zip(missing, new, strict=True))
    return {cell: filed[cell] for cell in there}


def _recording(spec: RunSpec, changes: Mapping[str, object]) -> RunSpec:
    """The spec with more written down on the way.

    Raises:
        SpecError: a change would be more than that.
    """
    keys = {f"train.{name}": name for name in RECORDED}
    rule = f"must be one of {', '.join(keys)}, for a promoted cell trains as it did"
    faults = [Fault(key, rule, str(value), "leave it out") for key, value in changes.items() if key not in keys]
    given = {keys[key]: value for key, value in changes.items() if key in keys}
    params = tuple(param for param in TRAIN if param.name in given)
    values: dict[str, Value] = parse_params("train.", params, given, faults)
    if faults:
        raise SpecError(faults)
    return checked(replace(spec, train=replace(spec.train, **values))) if given else spec  # type: ignore[arg-type]


def _promoted_before(store: CellStore, sweep: str, specs: Mapping[int, RunSpec]) -> dict[int, str]:
    """The cells that have a run of exactly this spec already. What a killed command left unfinished is deleted."""
    ours = [(cell, spec.fingerprint) for cell, spec in specs.items()]
    found = [run for run in store.runs_below(sweep) if (run.cell, run.fingerprint) in ours]
    store.delete([run.run_id for run in found if run.status == "RUNNING"])
    return {run.cell: run.run_id for run in found if run.cell is not None and run.status != "RUNNING"}


def _train(specs: Sequence[RunSpec], numbers: Sequence[int], show: bool) -> list[TrainedCell]:
    if not specs:
        return []
    training = Training(specs, Runtime(), files=True, keep=True, cells=numbers)
    found: dict[int, TrainedCell] = {}
    networks = training.plan.networks
    with Interrupts() as interrupts, closing(shown_on_bar(interrupts.each(training), networks, show)) as events:
        for event in events:
            if isinstance(event, TrainedCell):
                found[event.index] = event
            elif isinstance(event, Failed):
                raise TrainingError(f"cell {event.index} could not be trained again: {event.reason}")
    return [found[number] for number in numbers]


def _refuse_another(store: CellStore, run_id: str, cell: TrainedCell) -> None:
    """Refuse a cell whose weights are not bitwise those that were packed."""
    before = read_weights(run_id, store, architecture(cell.spec).tensors(), replicates=cell.spec.replicates)
    other = [name for name, tensor in cell.result.final.items() if not _same_bits(tensor, before[name])]
    if other:
        facts = store.get(run_id)
        where = f"{facts.tags.get(VERSION_TAG, 'an unknown version')} {facts.tags.get(COMMIT_TAG, '')[:12]}".strip()
        raise TrainingError(
            f"cell {cell.index} must come out as it did, but {', '.join(other)} differ; nothing is filed: promote it "
            f"on the machine and with the nnspec ({where}) that trained it"
        )


def _same_bits(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether all bits are the same, whichever of them has an axis of one network."""
    return a.dtype == b.dtype and a.size == b.size and a.tobytes() == b.tobytes()
