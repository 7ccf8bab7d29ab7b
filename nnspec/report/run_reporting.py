"""The report of a filed run: of a sweep from a bounded number of its cells, of a single run from its weights over
time."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nnspec.architecture import architecture
from nnspec.errors import TrackingError
from nnspec.readback import is_sweep, networks, read_axes, read_cell
from nnspec.reference import backward, forward, problem
from nnspec.report.collecting import Collector, evenly
from nnspec.report.drawing import PAGE, draw
from nnspec.report.reporting import MOST_ACTIVATIONS, material_of, spec_text
from nnspec.report.showing import Shown, activation_curves, on_the_plane, plane_data, surface
from nnspec.results.cell import Results
from nnspec.results.events import TrainedCell
from nnspec.tracking import Store
from nnspec.tracking.artifacts import SPEC

MOST_CELLS = 120  # of a filed sweep that are read back; the table has all
MOST_SURFACES = 12
MOST_REPLICATES = 25  # whose gradients are computed
Weights = Mapping[str, np.ndarray]


def filed_report(store: Store, run_id: str) -> dict[str, bytes]:
    """The report of a filed sweep or single run: its page and its pictures by file name.

    Raises:
        TrackingError: there is no such run, or nothing of it is finished.
    """
    return _sweep(store, run_id) if is_sweep(store, run_id) else _single(store, run_id)


def _sweep(store: Store, run_id: str) -> dict[str, bytes]:
    facts, table, axes = store.get(run_id), networks(store, run_id), read_axes(store, run_id)
    finished = [child.run_id for child in store.find_children(run_id) if child.status == "FINISHED"]
    cells = [read_cell(store, finished[i], number) for number, i in enumerate(evenly(len(finished), MOST_CELLS))]
    collector = Collector([cell.spec for cell in cells], axes)
    for cell in cells:
        collector.add(cell)
    said = {"command": facts.tags.get("nnspec.command", ""), "spec": spec_text(facts.params), "title": facts.name}
    return draw(material_of(collector, table, **said))


def _single(store: Store, run_id: str) -> dict[str, bytes]:
    from nnspec.report.run_page import run_report

    facts = store.get(run_id)
    if facts.status == "RUNNING":
        raise TrackingError(f"a report needs a run that has ended, but {run_id} is RUNNING; wait for it")
    cell = read_cell(store, run_id)
    points, targets = plane_data(cell.spec) if on_the_plane(cell.spec) else ((), ())
    page, pictures = run_report(
        cell.result,
        surfaces_over_time(cell),
        None,
        gradient_norms(cell.result),
        histograms(cell.result),
        activation_curves([cell.spec], MOST_ACTIVATIONS),
        gradient_steps=list(moments(cell.result)),
        points=points,
        targets=targets,
        command=f"python run.py spec={SPEC}",
        spec_yaml=store.artifact(run_id, SPEC).decode(),
        title=facts.name,
    )
    return {PAGE: page.encode(), **pictures}


def moments(result: Results) -> dict[int, Weights]:
    """Updates made -> weights [r, ...], the untrained and the last ones among them."""
    return {
        0: result.initial,
        **{step: result.snapshots[step] for step in sorted(result.snapshots)},
        int(result.steps[-1]): result.final,
    }


def of_replicate(weights: Weights, replicate: int) -> dict[str, np.ndarray]:
    """One network's weights in double precision."""
    return {name: tensor[replicate].astype(np.float64) for name, tensor in weights.items()}


def surfaces_over_time(cell: TrainedCell) -> list[dict[str, object]]:
    """The output over the plane at up to ``MOST_SURFACES`` moments: of the only network, else of a typical solved and
    failed one."""
    from nnspec.report.run_page import typical

    if not on_the_plane(cell.spec):
        return []
    chosen = [
        (word, row)
        for word, done in (("solved", True), ("failed", False))
        if (row := typical(cell.result, done)) is not None
    ]
    over_time = moments(cell.result)
    steps = [list(over_time)[i] for i in evenly(len(over_time), max(2, MOST_SURFACES // len(chosen)))]
    found = []
    for word, row in chosen:
        name = f"{word}, seed {int(cell.result.seeds[row])}, " if len(cell.result.seeds) > 1 else ""
        shown = Shown(name, cell.spec, [of_replicate(over_time[step], row) for step in steps])
        found += [surface(shown, number, f"{name}epoch {step}") for number, step in enumerate(steps)]
    return found


def gradient_norms(result: Results) -> dict[str, np.ndarray]:
    """Layer -> [r, t] the norm of its weights' gradient at each of the ``moments``."""
    over_time = moments(result)
    rows, targets = problem(result.spec)
    names = [dense.name for dense in architecture(result.spec).dense]
    norms = {name: np.zeros((min(MOST_REPLICATES, len(result.seeds)), len(over_time))) for name in names}
    with np.errstate(all="ignore"):
        for t, weights in enumerate(over_time.values()):
            for r in range(len(norms[names[0]])):
                one = of_replicate(weights, r)
                gradients = backward(result.spec, one, forward(result.spec, one, rows), targets)
                for name in names:
                    norms[name][r, t] = np.linalg.norm(gradients[f"{name}.weight"])
    return norms


def histograms(result: Results) -> dict[str, dict[str, np.ndarray]]:
    """Layer -> 'start' and 'end' -> what its units gave for the rows, over up to ``MOST_REPLICATES`` replicates."""
    rows, _ = problem(result.spec)
    found: dict[str, dict[str, np.ndarray]] = {}
    replicates = range(min(MOST_REPLICATES, len(result.seeds)))
    with np.errstate(all="ignore"):
        for moment, weights in (("start", result.initial), ("end", result.final)):
            runs = [forward(result.spec, of_replicate(weights, r), rows) for r in replicates]
            for number, layer in enumerate(runs[0]):
                found.setdefault(layer.after.name, {})[moment] = np.concatenate([run[number].h.ravel() for run in runs])
    return found
