"""Cells that are filed already: those of a sweep to resume, and those that a new sweep may reuse."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from nnspec.catalog.origins import SOURCE
from nnspec.errors import Fault, TrackingError
from nnspec.journal.filer import places
from nnspec.settings import Settings, Sweep
from nnspec.specs import MEMBERS, RunSpec
from nnspec.sweep import Cell
from nnspec.terminal import complain
from nnspec.tracking import Store, file_spool, open_store, read_results, times_of
from nnspec.tracking.provenance import still_trains
from nnspec.tracking.records import SEARCH_TAG, SWEEP_TAG
from nnspec.tracking.store import FoundRun, RunFacts
from nnspec.tracking.unspool import unfiled_of

LAST = "last"
SIZE = "replicates"  # the param that says how many networks a cell has
RACE_PARAM = "sweep.race"  # the param of a sweep's run that is a race
SOURCES = tuple(f"{group}.{SOURCE.name}" for group in MEMBERS)  # params that say where a user's parts come from


@dataclass(frozen=True)
class Earlier:
    """What is there: the parent to go on under, and by cell the run that has it finished. ``message`` says so first.
    ``part`` says that the parent has other cells too, so that numbers of these would name two."""

    parent: str | None = None
    finished: dict[int, str] = field(default_factory=dict)
    message: str = ""
    part: bool = False


def sweep_digest(specs: Iterable[RunSpec], sweep: Sweep) -> str:
    """Sixteen hexadecimal digits that name a set of cells, whatever their order, and the race that they are in."""
    race = f"race {sweep.budget} {sweep.within}" if sweep.race else ""
    return hashlib.sha256("".join([*sorted(spec.fingerprint for spec in specs), race]).encode()).hexdigest()[:16]


def _fingerprints(specs: Sequence[RunSpec], filed: Iterable[FoundRun], race: bool) -> list[list[str]]:
    """Of each spec the fingerprints that its run may have: a race gives cells as many networks as other cells there."""
    sizes = {run.params.get(SIZE, "") for run in filed} if race else set()
    counts = sorted(int(size) for size in sizes if size.isdecimal())
    return [[replace(spec, replicates=n).fingerprint for n in counts] if race else [spec.fingerprint] for spec in specs]


def in_filed_order(cells: Sequence[Cell], settings: Settings, resume: str) -> list[Cell]:
    """The cells of a sweep that is resumed, each that is filed at the place of its number: cells keep their numbers,
    in whatever order they are stated now. The others take the places that are left.

    Raises:
        TrackingError: the store cannot be reached, or ``resume`` is no run of it, or that of another kind.
    """
    store = open_store(settings.tracking)
    try:
        specs = [cell.spec for cell in cells]
        experiment = store.experiment(settings.tracking.experiment or experiment_name(specs))
        sweep = _sweep_of(store, experiment, specs, settings.sweep, resume)
        if sweep is not None:
            _refuse_other_kind(store.get(sweep), settings.sweep)
        filed = store.find_children(sweep, [SIZE]) if sweep is not None else []
    finally:
        store.close()
    numbers = {run.fingerprint: run.cell for run in filed if run.cell is not None}
    own = _fingerprints(specs, filed, settings.sweep.race)
    if numbers.keys() - {one for each in own for one in each}:
        return list(cells)  # a part of the sweep
    left = iter(sorted(set(range(len(cells))) - set(numbers.values())))
    named = [[numbers[one] for one in each if one in numbers] for each in own]
    places = [found[0] if found else next(left) for found in named]
    return [cells[i] for i in sorted(range(len(cells)), key=places.__getitem__)]


def _sweep_of(store: Store, experiment_id: str, specs: Sequence[RunSpec], sweep: Sweep, resume: str) -> str | None:
    """The id of the sweep to resume; None if 'last' is meant and there is none of these cells.

    Raises:
        TrackingError: this is a race, and that another one or none.
    """
    digest = sweep_digest(specs, sweep)
    if resume == LAST:
        return store.latest_sweep(experiment_id, {SWEEP_TAG: digest})
    if sweep.race and store.get(resume).tags.get(SWEEP_TAG) != digest:
        rule = "must be a race of the same cells, with the same sweep.budget and sweep.within"
        raise TrackingError(Fault("resume", rule, resume, "say the same again, or leave resume out"))
    return resume


def _refuse_other_kind(filed: RunFacts, sweep: Sweep) -> None:
    """Refuse to go on with a search as a sweep or a race, and with a race as a sweep."""
    if SEARCH_TAG in filed.tags:
        kind, go_on = "search", "hydra/sweeper=nnspec_search"
    elif RACE_PARAM in filed.params and not sweep.race:
        kind, go_on = "race", "sweep.race=true"
    else:
        return
    remedy = f"go on with it by {go_on}, or leave resume out"
    raise TrackingError(Fault("resume", "must be 'last' or the id of a sweep", f"the {kind} {filed.run_id}", remedy))


def experiment_name(specs: Sequence[RunSpec]) -> str:
    """nnspec-<data name>; a sweep over data sets has all their names, for MLflow nests runs within one experiment
    only."""
    return "nnspec-" + "-".join(dict.fromkeys(spec.data.name for spec in specs))


def resumed(store: Store, experiment_id: str, specs: Sequence[RunSpec], resume: str, sweep: Sweep) -> Earlier:
    """The sweep to resume ('last': the youngest of the same cells) and its finished cells.

    What of it was spooled is filed first. Runs that a dead process left RUNNING are closed as KILLED, and these cells'
    unfinished runs are deleted, for they are run again.

    Raises:
        TrackingError: ``resume`` is no sweep, or its process still trains it; nothing is touched then.
    """
    parent = _sweep_of(store, experiment_id, specs, sweep, resume)
    if parent is None:
        return Earlier(message="no sweep of these cells to resume yet: starting it")
    _refuse_unfit(store.get(parent))
    children = store.find_children(parent, SOURCES)
    _refuse_sources(children, specs)
    file_kept(store, parent)
    cells, runs = store.find_children(parent, [SIZE]), store.runs_below(parent, [SIZE])
    by_fingerprint = {cell.fingerprint: cell.run_id for cell in cells if cell.status == "FINISHED"}
    own = _fingerprints(specs, [*cells, *runs], sweep.race)
    finished = {i: by_fingerprint[one] for i, each in enumerate(own) for one in each if one in by_fingerprint}
    ours = {one for each in own for one in each}
    store.set_status([run.run_id for run in runs if run.status == "RUNNING"], "KILLED")
    left = [run.run_id for run in runs if run.status != "FINISHED" and run.fingerprint in ours]
    store.delete(left)  # a cell must not be there twice
    part = any(cell.fingerprint not in ours for cell in cells if cell.cell is not None)
    return Earlier(parent, finished, f"{len(finished)} of {len(specs)} cells already done", part)


def file_kept(store: Store, sweep: str) -> None:
    """File what an earlier process of the sweep trained and could not file; what still cannot be is trained again."""
    for spool in unfiled_of(sweep, places()):
        try:
            file_spool(spool, store)
        except TrackingError as error:
            complain(f"{error}; the cells in {spool} are trained again")


def _refuse_unfit(sweep: RunFacts) -> None:
    if SWEEP_TAG not in sweep.tags:
        raise TrackingError(
            f"resume must be 'last' or the id of a sweep, but {sweep.run_id} is none; look its id up in the MLflow UI"
        )
    if still_trains(sweep):
        raise TrackingError(
            f"a sweep must not be resumed while it runs, but {sweep.run_id} does; wait for it or stop it"
        )


def _refuse_sources(children: Iterable[FoundRun], specs: Iterable[RunSpec]) -> None:
    """Refuse a sweep whose cells were trained with other files of a user's parts than these specs have: none of its
    cells would be found again, and all trained anew beside them."""
    ours = {value for spec in specs for key, value in spec.flat().items() if key in SOURCES}
    theirs = {value for child in children for value in child.params.values() if value}
    if ours and theirs and not ours & theirs:
        raise TrackingError(
            f"resume must be given the parts of the sweep, {', '.join(sorted(theirs))}, but got "
            f"{', '.join(sorted(ours))}; give the file as it was, or leave resume out"
        )


def reused(store: Store, experiment_id: str, specs: Sequence[RunSpec]) -> Earlier:
    """The finished cells of the same fingerprint in the same experiment, whichever command filed them."""
    found = store.finished(experiment_id, [spec.fingerprint for spec in specs])
    finished = {i: found[spec.fingerprint] for i, spec in enumerate(specs) if spec.fingerprint in found}
    message = (
        f"{len(finished)} of {len(specs)} cells taken from earlier runs" if finished else "no earlier runs to reuse"
    )
    return Earlier(None, finished, message)


def outcome_of(store: Store, run_id: str, epochs: int) -> dict[str, np.ndarray]:
    """The outcome of each replicate of a finished cell, from its results.parquet, as ``outcome_rows`` made it."""
    outcome = store.packed_results(run_id)
    if outcome is None:
        table = read_results(store, run_id)
        outcome = {str(name): np.asarray(table[name]) for name in table.columns} | times_of(table)
    return outcome | {"epochs": np.full(len(outcome["seed"]), epochs)}
