"""The report of a filed run: of a sweep from a bounded number of its cells, of a single run from its weights over
time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from nnspec.analysis.figures.files import COLUMNS, FORMATS
from nnspec.analysis.levels import AnalysisError, missing
from nnspec.analysis.measures import SOLVED
from nnspec.architecture import architecture
from nnspec.diagnostics import estimate_notes
from nnspec.diagnostics.gradients import backward, passes, stacked, undisturbed
from nnspec.errors import TrackingError, unknown
from nnspec.explaining import explained_result, sweep_explanations
from nnspec.readback import is_sweep, networks, read_axes, read_cell, read_race
from nnspec.report.activations import activation_curves
from nnspec.report.collected.collecting import Collector
from nnspec.report.collected.samples import NOWHERE
from nnspec.report.pages.page import Report
from nnspec.report.places import evenly
from nnspec.report.reporting import material_of, play_command, spec_text
from nnspec.report.showing import (
    Shown,
    alone,
    first_lines,
    fit,
    modules_of,
    on_the_plane,
    row_outcomes,
    surfaces,
)
from nnspec.results.arrays import Results, unit_of
from nnspec.results.events import TrainedCell
from nnspec.results.table import spec_columns
from nnspec.tracking import Store
from nnspec.tracking.artifacts import SPEC
from nnspec.tracking.records import COMMAND_TAG

MOST_CELLS = 120  # of a filed sweep that are read back; the table has all
MOST_SURFACES = 12
MOST_REPLICATES = 25  # whose gradients are computed

if TYPE_CHECKING:
    import pandas as pd

    from nnspec.analysis.figures.plane import UnitLines

Weights = Mapping[str, np.ndarray]


def filed_report(store: Store, run_id: str, measure: str = SOLVED) -> dict[str, bytes]:
    """The report of a filed sweep or single run: its page, pictures and tables by file name; see ``report_of``."""
    return report_of(store, run_id, measure).files()


def figures(
    store: Store, run_id: str, format: str = "pdf", column: str = "double", measure: str = SOLVED
) -> dict[str, bytes]:
    """Every figure of the report of a filed run by file name, as 'heatmap.pdf'; see ``report_of``.

    Args:
        format: 'svg', 'pdf' or 'png'; fonts are embedded, in SVG as outlines.
        column: of a journal: 'single' (3.25 inches wide) or 'double' (6.75).

    Raises:
        AnalysisError: there is no such format or column.
    """
    for kind, name, options in (("format", format, FORMATS), ("column", column, COLUMNS)):
        if name not in options:
            raise AnalysisError(str(unknown(kind, kind, name, options)))
    return report_of(store, run_id, measure).figures(format, column)


def report_of(store: Store, run_id: str, measure: str = SOLVED) -> Report:
    """The report of a filed sweep or single run. ``measure`` is what the cells of a sweep are compared by.

    Raises:
        TrackingError: there is no such run, or nothing of it is finished.
        AnalysisError: networks lack the measure, or a single run was asked for one.
    """
    if is_sweep(store, run_id):
        return _sweep(store, run_id, measure)
    if measure != SOLVED:
        raise AnalysisError(f"a measure compares the cells of a sweep, but run {run_id} is a single one; leave it out")
    return _single(store, run_id)


def _sweep(store: Store, run_id: str, measure: str) -> Report:
    from nnspec.report.pages.sweep import sweep_report

    facts, table, axes = store.get(run_id), networks(store, run_id), read_axes(store, run_id)
    finished = [child.run_id for child in store.find_children(run_id) if child.status == "FINISHED"]
    cells = [read_cell(store, finished[i], number) for number, i in enumerate(evenly(len(finished), MOST_CELLS))]
    collector = Collector([cell.spec for cell in cells], axes)
    for cell in cells:
        collector.add(cell)
    said = {"command": facts.tags.get(COMMAND_TAG, ""), "spec": spec_text(facts.params), "title": facts.name}
    said["play"] = play_command(run_id, store.location)
    why = [str(one) for one in sweep_explanations(store, run_id, table)]
    race = read_race(store, run_id)
    material = material_of(collector, table, measure=measure, why=why, race=race, **said)
    if material.samples is not None:
        material = replace(material, samples=material.samples.renumbered(_numbers(cells, table, axes)))
    return sweep_report(material)


def _numbers(cells: Sequence[TrainedCell], table: pd.DataFrame, axes: Sequence[str]) -> list[int]:
    """The number in the sweep's table of each cell that was read: that of the row of its choices and its seed."""
    there = [axis for axis in axes if axis in table]
    rows = zip(*(table[name] for name in (*there, "seed")), table["cell"], strict=True)
    known = {_key(values): int(cell) for *values, cell in rows}
    found = []
    for cell in cells:
        said = spec_columns(cell.spec)
        found.append(known.get(_key([*(said.get(axis) for axis in there), cell.result.seeds[0]]), NOWHERE))
    return found


def _key(values: Iterable[object]) -> tuple[str, ...]:
    """Choices as texts; whole numbers are fractions in a column where some cells have none."""
    return tuple("" if missing(value) else str(value).removesuffix(".0") for value in values)


def _single(store: Store, run_id: str) -> Report:
    from nnspec.report.pages.run import run_report

    facts = store.get(run_id)
    if facts.status == "RUNNING":
        raise TrackingError(f"a report needs a run that has ended, but {run_id} is RUNNING; wait for it")
    cell = read_cell(store, run_id)
    return run_report(
        cell.result,
        surfaces_over_time(cell),
        lines_over_time(cell),
        gradient_norms(cell.result),
        histograms(cell.result),
        activation_curves([cell.spec]),
        gradient_steps=list(moments(cell.result)),
        rows=row_outcomes(cell.spec, _first(cell.result.final)),
        fit=fit(cell.spec, _first(cell.result.final)),
        notes=estimate_notes([cell.spec]),
        why=[str(one) for one in explained_result(cell.result)] if cell.result.verdict is not None else [],
        modules=modules_of([cell.spec]),
        command=f"python run.py spec={SPEC}",
        spec_yaml=store.artifact(run_id, SPEC).decode(),
        title=facts.name,
    )


def moments(result: Results) -> dict[int, Weights]:
    """Updates made -> weights [r, ...], the untrained and the last ones among them."""
    return {
        0: result.initial,
        **{step: result.snapshots[step] for step in sorted(result.snapshots)},
        int(result.steps[-1]): result.final,
    }


def surfaces_over_time(cell: TrainedCell) -> list[dict[str, object]]:
    """The output over the plane at up to ``MOST_SURFACES`` moments: of the only network, else of a typical solved and
    failed one."""
    if not on_the_plane(cell.spec):
        return []
    chosen = _typical(cell.result)
    over_time = moments(cell.result)
    steps = [list(over_time)[i] for i in evenly(len(over_time), max(2, MOST_SURFACES // len(chosen)))]
    found = []
    for word, row in chosen:
        name = f"{word}, seed {int(cell.result.seeds[row])}, " if len(cell.result.seeds) > 1 else ""
        networks = [{key: tensor[row] for key, tensor in over_time[step].items()} for step in steps]
        found += surfaces(
            alone(cell.spec, cell.result.seeds[row]), networks, [f"{name}{unit_of(cell.spec)} {step}" for step in steps]
        )
    return found


def lines_over_time(cell: TrainedCell) -> list[UnitLines]:
    """Where the units of the first layer are zero at all moments, of a typical solved and failed network; none unless
    two inputs."""
    if not on_the_plane(cell.spec) or architecture(cell.spec).opaque:
        return []
    found = []
    for word, row in _typical(cell.result):
        weights = [{name: tensor[row] for name, tensor in moment.items()} for moment in moments(cell.result).values()]
        seed = int(cell.result.seeds[row])
        found.append(first_lines(Shown(f"{word}, seed {seed}", alone(cell.spec, seed), weights)))
    return found


def _typical(result: Results) -> list[tuple[str, int]]:
    """The replicates that stand for the solved and the failed ones."""
    from nnspec.report.pages.run import typical

    rows = {"solved": typical(result, True), "failed": typical(result, False)}
    return [(word, row) for word, row in rows.items() if row is not None]


def gradient_norms(result: Results) -> dict[str, np.ndarray]:
    """Layer -> [r, t] the norm of its weights' gradient at each of the ``moments``; empty of a module."""
    problem = stacked(result.spec)
    if problem.shape.opaque:
        return {}
    found: dict[str, list[np.ndarray]] = {dense.name: [] for dense in problem.shape.dense}
    with undisturbed():
        for weights in moments(result).values():
            parts = [
                [torch.linalg.vector_norm(layer.matrix, dim=(1, 2)) for layer in backward(problem, run).layers]
                for run in passes(problem, _first(weights))
            ]
            for norms, of_layer in zip(found.values(), zip(*parts, strict=True), strict=True):
                norms.append(torch.cat(of_layer).numpy())
    return {name: np.stack(norms, axis=1) for name, norms in found.items()}


def histograms(result: Results) -> dict[str, dict[str, np.ndarray]]:
    """Layer -> 'start' and 'end' -> what its units gave for the rows, over up to ``MOST_REPLICATES`` replicates; empty
    of a module."""
    problem = stacked(result.spec)
    if problem.shape.opaque:
        return {}
    found: dict[str, dict[str, np.ndarray]] = {after.name: {} for after in problem.shape.after}
    with undisturbed():
        for moment, weights in (("start", result.initial), ("end", result.final)):
            parts = [[h.flatten() for h in run.h] for run in passes(problem, _first(weights))]
            for values, of_layer in zip(found.values(), zip(*parts, strict=True), strict=True):
                values[moment] = torch.cat(of_layer).numpy()
    return found


def _first(weights: Weights) -> Weights:
    return {name: tensor[:MOST_REPLICATES] for name, tensor in weights.items()}
