"""Training from Python: specs, or a sweep of overrides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from nnspec.api.result import TrainResult
from nnspec.check import checked
from nnspec.compose import Composer, heed_sweep
from nnspec.errors import Fault, SpecError, TrainingError
from nnspec.execute.trainers import trainer
from nnspec.results.outcome import Outcome
from nnspec.runner import Planned, planned, run
from nnspec.settings import Settings
from nnspec.specs import RunSpec
from nnspec.sweep import Cell, SweepPlan
from nnspec.sweep import plan as expand_all


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
    for spec in several:
        if not isinstance(spec, RunSpec):
            fault = Fault(
                "specs", "must be specs", f"{spec!r}", "make them by nnspec.spec([...]), or use nnspec.sweep([...])"
            )
            raise SpecError([fault])
    cells = [Cell(checked(spec)) for spec in several]
    settings = settings_of(Settings(), tracking, workers)
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
    composer = Composer()
    expanded, stated = _expanded(composer, overrides, "sweep")
    if stated.sweep.plan_only:
        raise SpecError([Fault("sweep.plan_only", "must be false in nnspec.sweep", "true", "use nnspec.plan")])
    if stated.sweep.map is not None and stated.study is not None:
        raise SpecError([Fault("sweep.map", "must be left out of nnspec.sweep", "a map", "use nnspec.map_study")])
    if stated.json or stated.quiet:
        rule = "must be false in nnspec.sweep, which returns what came out"
        raise SpecError([Fault("json and quiet", rule, "true", "leave them out; progress=True says how it goes")])
    settings = settings_of(stated, tracking, workers)
    heed_sweep(composer, [cell.spec for cell in expanded.cells], settings, overrides)
    outcome = run(
        expanded.cells,
        settings,
        axes=expanded.axes,
        duplicates=expanded.duplicates,
        sweep=True,
        command=f"nnspec.sweep({list(overrides)})",
        quiet=not progress,
        keep=keep,
    )
    return _result(outcome, len(expanded.cells))


def plan(overrides: Sequence[str], *, workers: int | None = None) -> Planned:
    """What overrides would train, a single spec or a sweep, as ``run.py --plan`` says: it prints as that; its ``info``
    is what ``--json`` prints. Nothing is trained.

    Raises:
        SpecError: with every fault of every cell, or if it does not fit into memory.
    """
    expanded, stated = _expanded(Composer(), overrides, "plan")
    if stated.sweep.map is not None:
        rule, remedy = "must be left out of nnspec.plan", "plan it on the command line: nnspec run --plan"
        raise SpecError([Fault("sweep.map", rule, "a map", remedy)])
    specs = [cell.spec for cell in expanded.cells]
    training = trainer(
        specs, settings_of(stated, stated.tracking.enabled, workers), None, len(specs) == 1, study=stated.study
    )
    return planned(training, expanded.duplicates)


def _expanded(composer: Composer, overrides: Sequence[str], name: str) -> tuple[SweepPlan, Settings]:
    if isinstance(overrides, (str, RunSpec)):
        remedy = f"write nnspec.{name}(['activation=relu,tanh']), or nnspec.train(spec)"
        raise SpecError([Fault("overrides", "must be a list of texts", f"'{overrides!s:.80}'", remedy)])
    return expand_all(overrides, composer)


def settings_of(stated: Settings, tracking: bool | str, workers: int | None) -> Settings:
    """The settings, with what the caller says of them on top."""
    uri = tracking if isinstance(tracking, str) else stated.tracking.uri
    return replace(
        stated,
        tracking=replace(stated.tracking, enabled=bool(tracking), uri=uri),
        runtime=stated.runtime if workers is None else replace(stated.runtime, workers=workers),
    )


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
