"""What was filed, from Python. Runs are named as on the command line: by an id, its beginning, a name, or 'last'.

``uri`` is the MLflow store, by default where the command line files.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nnspec.analysis import axes_of
from nnspec.analysis.levels import with_short_names
from nnspec.analysis.measures import SOLVED
from nnspec.analysis.pooling import pooled_table
from nnspec.api.result import compared
from nnspec.architecture import architecture
from nnspec.builder import Opaque, with_weights
from nnspec.check import checked
from nnspec.diagnostics import VERDICT_ENTRIES
from nnspec.errors import Fault, NnspecError
from nnspec.explaining import RunExplanation, VerdictExplanation, explain_run, explain_verdict
from nnspec.exporting import export_run
from nnspec.files import write_folder
from nnspec.promotion import promote as promoted
from nnspec.readback import is_sweep, networks, read_axes
from nnspec.remedies import Remedies, remedies
from nnspec.remedies.filed import failure_of
from nnspec.report import FOLDER
from nnspec.report.citing import Citation, citation, general_citation
from nnspec.report.differing import Difference, difference_of
from nnspec.report.notebook import page_html
from nnspec.report.pages.page import PAGE
from nnspec.specs import RunSpec
from nnspec.tracking import cell_run, find_run, opened, read_checked_spec, read_weights
from nnspec.tracking.files import file_name

if TYPE_CHECKING:
    import pandas as pd
    import torch


def load(
    run: str,
    replicate: int | None = None,
    *,
    cell: int | None = None,
    uri: str | None = None,
    weights: str = "final",
) -> torch.nn.Sequential | Opaque:
    """The network of a filed run, rebuilt from its spec and its weights, checked by shape.

    ``cell`` is the number of a sweep's cell, as the column ``cell`` of its table has it. ``replicate`` picks one of
    several networks (the first unless said), ``weights`` the 'final' or the 'initial' ones.

    Raises:
        TrackingError: there is no such run, it is a sweep, or it has no weights.
        WeightsError: the weights do not fit the spec.
    """
    if weights not in ("final", "initial"):
        raise NnspecError(f"weights must be 'final' or 'initial', but got '{weights}'; choose one")
    with opened(uri) as store:
        run_id = find_run(store, run)
        if cell is not None:
            run_id = cell_run(store, run_id, cell)
        elif is_sweep(store, run_id):
            rule, remedy = "must be a run of one spec", "say which of its cells, as in cell=17"
            raise NnspecError(Fault("the run to load", rule, f"'{run}', a sweep", remedy))
        spec = read_checked_spec(run_id, store)
        shapes, path = architecture(spec).tensors(), f"weights/{weights}.safetensors"
        tensors = read_weights(run_id, store, shapes, path, spec.replicates)
    chosen = replicate or 0
    if not 0 <= chosen < spec.replicates:
        rule = f"replicate must be one of the run's {spec.replicates}, from 0"
        raise NnspecError(f"{rule}, but got {chosen}; choose another")
    several = spec.replicates > 1
    return with_weights(spec, {name: tensor[chosen] if several else tensor for name, tensor in tensors.items()})


def promote(
    sweep: str, *cells: int, progress: bool = False, uri: str | None = None, **changes: object
) -> dict[int, str]:
    """Give cells of a sweep runs of their own, see ``nnspec.promotion.promote``: ``promote("last", 17, log_every=1)``.
    The ids of their runs by cell. ``changes`` are ``log_every`` and ``snapshot_every``, ``progress`` shows a bar.

    Raises:
        TrackingError: there is no such sweep or cell, or it still trains.
        TrainingError: a cell came out otherwise than it did; nothing is filed then.
    """
    with opened(uri) as store:
        said = {f"train.{name}": value for name, value in changes.items()}
        return promoted(store, find_run(store, sweep), cells, said, progress)


def table(
    run: str, by: str | Sequence[str] | None = None, *, measure: str | None = None, uri: str | None = None
) -> pd.DataFrame:
    """The table of a sweep or of a single run, one row a network: seed, what varies, how it ended, what was measured. A
    choice has its name in two columns, as 'activation' and 'activation.name'.

    With ``by``, as 'activation' or ['activation', 'init'], one row a combination of their levels, pooled over the rest:
    networks, rate or mean with its interval, median updates to solve. ``measure`` is what for, 'solved' unless said;
    said without ``by`` it makes one row a cell.

    Raises:
        TrackingError: there is no such run, or nothing of it is finished.
        AnalysisError: there is no such field, or networks do not have the measure.
    """
    with opened(uri) as store:
        run_id = find_run(store, run)
        frame, axes = networks(store, run_id), read_axes(store, run_id)
    if by is None and measure is None:
        return with_short_names(frame)
    fields = [by] if isinstance(by, str) else by
    return pooled_table(frame, fields, axes, measure or SOLVED).frame


def compare(
    run: str | pd.DataFrame,
    by: str | None = None,
    *,
    measure: str = SOLVED,
    confidence: float = 0.95,
    uri: str | None = None,
) -> pd.DataFrame:
    """One row a pair of levels of the axis ``by`` (the widest unless said), as 'activation' or 'optimizer.lr': the
    difference of solve rates or of means of ``measure``, its interval, p-value, and p-value corrected by Holm.

    ``run`` names a sweep, or is a table of networks. See ``nnspec.analysis.compare``.

    Raises:
        TrackingError: there is no such run, or nothing of it is finished.
        AnalysisError: there is no such axis, or networks do not have the measure.
    """
    if not isinstance(run, str):
        return compared(run, axes_of(run), by, measure, confidence)
    with opened(uri) as store:
        run_id = find_run(store, run)
        frame, axes = networks(store, run_id), read_axes(store, run_id)
    return compared(frame, axes, by, measure, confidence)


def diff(a: str, b: str, *, uri: str | None = None) -> Difference:
    """What differs between two runs, or two sweeps, in their specs and in their results. It prints as the command line
    does; its ``info`` is what ``--json`` prints.

    Raises:
        TrackingError: there is no such run, or nothing of it is finished.
    """
    with opened(uri) as store:
        return difference_of(store, find_run(store, a), find_run(store, b))


def cite(run: str | None = None, *, uri: str | None = None) -> Citation:
    """What a paper says of a run: version, commit, fingerprints, cells, seeds and how the statistics were done, in a
    paragraph (``text``), and a ``bibtex`` entry. Without a run, what holds of every one.

    Raises:
        TrackingError: there is no such run, or nothing of it is finished.
    """
    if run is None:
        return general_citation()
    with opened(uri) as store:
        return citation(store, find_run(store, run))


@dataclass(frozen=True)
class Report:
    """A report that was written: ``path`` is its page, beside which its pictures lie. It goes wherever a path goes; a
    notebook shows the page."""

    path: Path

    def __fspath__(self) -> str:
        return os.fspath(self.path)

    def __str__(self) -> str:
        return str(self.path)

    def _repr_html_(self) -> str:
        return page_html(self.path.read_text(encoding="utf-8"))


def report(run: str, out: str | Path | None = None, *, measure: str = SOLVED, uri: str | None = None) -> Report:
    """Write the report of a sweep or of a single run, its page and its pictures, to the folder ``out`` (unsaid:
    nnspec-report/NAME of the run). ``measure`` is what the cells of a sweep are compared by.

    Raises:
        TrackingError: there is no such run, or nothing of it is finished.
        AnalysisError: networks lack the measure, or a single run was asked for one.
        PathError: the folder cannot be written.
    """
    from nnspec.report.run_reporting import filed_report

    with opened(uri) as store:
        run_id = find_run(store, run)
        target = Path(out) if out is not None else Path(FOLDER) / file_name(store.get(run_id).name)
        files = filed_report(store, run_id, measure)
    return Report(write_folder("out", target, files) / PAGE)


def export(
    run: str, format: str, out: str | Path | None = None, *, replicate: int | None = None, uri: str | None = None
) -> str | Path:
    """A filed run in a format: 'experiment', 'spec', 'script' (plain PyTorch), 'pt2' (a graph for torch), 'onnx' or
    'safetensors' (weights). Written to ``out``, its path is returned; a text without ``out`` is returned itself.

    ``replicate`` picks one of several networks (unsaid: the solved one with the lowest final loss).

    Raises:
        TrackingError: there is no such run, or it has no results or weights.
        NnspecError: there is no such format, it cannot say this run, or holds no text and no ``out`` is given.
        PathError: ``out`` cannot be written.
    """
    with opened(uri) as store:
        text = export_run(store, find_run(store, run), format, out, replicate)
    return text if out is None else Path(out)


def explain(what: str, *, uri: str | None = None) -> VerdictExplanation | RunExplanation:
    """What a verdict means, as 'dead_units', or why the networks of a run or a sweep did not learn, with the numbers
    that were measured. It prints as the command line does. A name that is both is the verdict.

    Raises:
        TrackingError: there is no such run, or nothing of it is finished.
    """
    if what in VERDICT_ENTRIES:
        return explain_verdict(what)
    with opened(uri) as store:
        return explain_run(store, find_run(store, what))


def remedy(run: str | RunSpec, seeds: int | None = None, *, progress: bool = False, uri: str | None = None) -> Remedies:
    """What would help a run that failed, measured: its spec is trained with each of a few changes, all on the same
    seeds. It prints as the command line does; ``frame()`` is a table, a row a change.

    ``run`` names a run, or is a spec. ``seeds`` is how many for each change; unsaid, what trains in about half a
    minute. ``progress`` shows a bar.

    Raises:
        TrackingError: there is no such run, or it has no results.
        AnalysisError: it is a sweep; the error names some of its cells.
        NnspecError: no change makes sense, or it would take too long.
    """
    if isinstance(run, RunSpec):
        return remedies(checked(run), None, seeds, progress=progress)
    with opened(uri) as store:
        spec, verdict = failure_of(store, find_run(store, run))
    return remedies(spec, verdict, seeds, progress=progress)
