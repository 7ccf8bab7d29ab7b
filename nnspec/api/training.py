"""Training from Python: specs, or a sweep of overrides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from nnspec.api.result import TrainResult
from nnspec.check import checked
from nnspec.compose import Composer, heed_sweep
from nnspec.errors import Fault, SpecError, TrainingError
from nnspec.results.outcome import Outcome
from nnspec.runner import run
from nnspec.settings import Runtime, Settings, Tracking
from nnspec.specs import RunSpec
from nnspec.sweep import Cell, plan


def train(
    specs: RunSpec | Sequence[RunSpec],
    *,
    tracking: bool | str = False,
    workers: int | None = None,
    progress: bool = False,
) -> TrainResult:
    """Train one spec, or several at once, as the command line does.

    ``tracking`` files the runs: True where the command line would, or the URI of a store. ``progress`` shows what the
    command line shows.

    Raises:
        SpecError: a spec has a fault.
        TrainingError: networks could not be trained.
    """
    several = [specs] if isinstance(specs, RunSpec) else list(specs)
    cells = [Cell(checked(spec)) for spec in several]
    settings = Settings(tracking=_tracking(Tracking(), tracking), runtime=Runtime(workers=workers))
    outcome = run(cells, settings, sweep=len(cells) > 1, command="nnspec.train", quiet=not progress, keep=True)
    return _result(outcome, len(cells))


def sweep(
    overrides: Sequence[str],
    *,
    tracking: bool | str = False,
    workers: int | None = None,
    progress: bool = False,
    keep: bool = False,
) -> TrainResult:
    """Train all combinations of what overrides state, as ``run.py -m`` does:
    ``nnspec.sweep(["activation=relu,tanh", "replicates=50"])``, or ``nnspec.sweep(["experiment=zero_init"])``.

    ``tracking`` files the sweep: True where the command line would, or the URI of a store. ``progress`` shows what the
    command line shows. ``keep`` keeps the arrays of every cell (histories, weights) in ``results``, which takes memory.

    Raises:
        SpecError: with every fault of every cell.
        TrainingError: networks could not be trained.
    """
    if isinstance(overrides, str):
        remedy = f"write nnspec.sweep(['{overrides}'])"
        raise SpecError([Fault("overrides", "must be a list of texts", f"the text '{overrides}'", remedy)])
    composer = Composer()
    planned, stated = plan(overrides, composer)
    if stated.sweep.plan_only:
        raise SpecError([Fault("sweep.plan_only", "must be false in nnspec.sweep", "true", "leave it out")])
    runtime = stated.runtime if workers is None else replace(stated.runtime, workers=workers)
    settings = replace(stated, tracking=_tracking(stated.tracking, tracking), runtime=runtime)
    heed_sweep(composer, [cell.spec for cell in planned.cells], settings, overrides)
    outcome = run(
        planned.cells,
        settings,
        axes=planned.axes,
        duplicates=planned.duplicates,
        sweep=True,
        command=f"nnspec.sweep({list(overrides)})",
        quiet=not progress,
        keep=keep,
    )
    return _result(outcome, len(planned.cells))


def _tracking(stated: Tracking, wanted: bool | str) -> Tracking:
    """The settings of tracking, with what the caller says of it on top."""
    uri = wanted if isinstance(wanted, str) else stated.uri
    return replace(stated, enabled=bool(wanted), uri=uri)


def _result(outcome: Outcome, cells: int) -> TrainResult:
    """What a command gave.

    Raises:
        KeyboardInterrupt: it was interrupted.
        TrainingError: a cell has not trained.
    """
    if outcome.interrupted:
        raise KeyboardInterrupt
    lost = [index for index in range(cells) if index not in outcome.outcomes]
    if lost:
        reasons = (f"spec {index} did not train: {outcome.failed.get(index, 'nothing is known')}" for index in lost)
        raise TrainingError("; ".join(reasons))
    kept = tuple(outcome.cells[index].result for index in range(cells)) if len(outcome.cells) == cells else ()
    return TrainResult(kept, outcome, tuple(outcome.run_ids[index] for index in sorted(outcome.run_ids)))
