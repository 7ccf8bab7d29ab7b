"""The report of a single run: its loss, verdicts, weights and, for two inputs, what its networks look like."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from nnspec.analysis.figures.fit import Fit
from nnspec.analysis.figures.layers import ActivationCurve, histograms_info, norms_info, plot_histograms, plot_norms
from nnspec.analysis.figures.plane import UnitLines
from nnspec.analysis.figures.rows import RowOutcomes
from nnspec.analysis.figures.sweep import (
    curves_info,
    plot_curves,
    plot_survival,
    plot_verdicts,
    survival_info,
    verdicts_info,
)
from nnspec.analysis.solving import survival_table
from nnspec.analysis.stats import loss_quantiles, solve_rates
from nnspec.analysis.tables import failures, percent, with_interval
from nnspec.duration import tolerance
from nnspec.report.pages.networks import (
    activations_section,
    fit_section,
    lines_section,
    modules_section,
    rows_sections,
    surfaces_section,
    verdicts_text,
    why_section,
)
from nnspec.report.pages.page import Report, Section
from nnspec.results.arrays import Results

if TYPE_CHECKING:
    import pandas as pd


def run_report(
    result: Results,
    surfaces: Sequence[Mapping[str, Any]] = (),
    lines: Sequence[UnitLines] = (),
    gradient_norms: Mapping[str, ArrayLike] | None = None,
    histograms: Mapping[str, Mapping[str, ArrayLike]] | None = None,
    activations: Sequence[ActivationCurve] = (),
    *,
    gradient_steps: ArrayLike | None = None,
    rows: Sequence[RowOutcomes] = (),
    fit: Fit | None = None,
    notes: Sequence[str] = (),
    why: Sequence[str] = (),
    modules: Sequence[str] = (),
    command: str = "",
    spec_yaml: str = "",
    title: str = "Run",
) -> Report:
    """The report of one run. Whatever is not given is left out.

    Args:
        surfaces: of one network over time (or several networks), as in ``sweep_report``.
        lines: from ``lines_info``.
        gradient_norms: layer -> [r, t], at ``gradient_steps`` [t], by default ``result.steps``.
        histograms: layer -> moment -> values; see ``histograms_info``.
        rows: what its networks say of the rows of each part of the data.
        fit: what its networks say over their only input.
        notes: what verdicts rest on that is estimated; see ``diagnostics.estimate_notes``.
        why: why networks did not learn, a text a verdict.
        modules: the model, if its layers are not looked into.
    """
    table = table_of(result)
    sections = [
        *_outcome(table, result.verdict is not None, notes, why),
        *_history(result, gradient_norms, result.steps if gradient_steps is None else gradient_steps),
        *([fit_section(fit)] if fit else []),
        *rows_sections(rows),
        *_pictures(surfaces, lines, histograms, activations, tolerance(result.spec)),
        *modules_section(modules),
    ]
    return Report(title, command, spec_yaml, sections)


def table_of(result: Results, cell: int = 0) -> pd.DataFrame:
    """The cell's rows of the table: one a network, without axes."""
    import pandas as pd

    solved_at = pd.Series(result.solved_at, dtype="Int64").mask(~result.solved)
    names = np.where(result.solved, "solved", "unknown") if result.verdict is None else result.verdict.astype(str)
    columns = {"cell": cell, "seed": result.seeds, **result.finals, "solved": result.solved}
    return pd.DataFrame({**columns, "solved_at": solved_at, "verdict": names, "epochs": int(result.steps[-1])})


def typical(result: Results, solved: bool) -> int | None:
    """The replicate of median final loss among the solved or the failed ones, or None if there is none."""
    rows = np.flatnonzero(result.solved == solved)
    if not rows.size:
        return None
    loss = np.nan_to_num(result.final_loss[rows], nan=np.inf, posinf=np.inf)
    return int(rows[np.argsort(loss, kind="stable")[(len(rows) - 1) // 2]])


def _outcome(table: pd.DataFrame, judged: bool, notes: Sequence[str], why: Sequence[str]) -> Iterator[Section]:
    if len(table) == 1:
        yield _one_network(table.iloc[0], notes)
        yield from why_section(why)
        return
    row = solve_rates(table, ()).iloc[0]
    whole = with_interval(row["rate"], row["low"], row["high"])
    yield Section(
        "Summary",
        f"{len(table)} networks; solved: {whole} (Wilson, 95%).\n\n{failures(table)}.",
        table=loss_quantiles(table, ()),
    )
    yield from why_section(why)
    if judged:
        info = verdicts_info(table)
        shares = ", ".join(
            f"{name} {percent(float(share))}" for name, share in zip(info.verdicts, info.shares[0], strict=True)
        )
        text = verdicts_text(notes)
        yield Section("Verdicts", text, partial(plot_verdicts, info), f"Bar of verdicts: {shares}.", name="verdicts")
    curve = survival_info(table)
    text = "Kaplan-Meier; networks that did not solve are censored at their last update."
    alt = f"Survival curve of {len(table)} networks; median {curve.curves[0].median:g} updates."
    yield Section("Updates to solve", text, partial(plot_survival, curve), alt, survival_table(table, ()), "survival")


def _one_network(row: pd.Series[Any], notes: Sequence[str]) -> Section:
    """What became of the only network: it has no rate and no quantiles."""
    became = f"solved from update {row['solved_at']}" if row["solved"] else f"not solved: {row['verdict']}"
    text = f"One network of seed {row['seed']}; {became}. Final loss {row['final_loss']:.4g}."
    return Section("Summary", "\n\n".join([text, verdicts_text(notes)]).strip())


def _history(
    result: Results, gradient_norms: Mapping[str, ArrayLike] | None, gradient_steps: ArrayLike
) -> Iterator[Section]:
    groups = {word: result.solved == done for word, done in (("solved", True), ("failed", False))}
    curves = {word: (result.steps, result.loss[rows]) for word, rows in groups.items() if rows.any()}
    info = curves_info(curves)
    ends = ", ".join(f"{curve.label} {curve.median[-1]:.3g}" for curve in info.curves)
    yield Section(
        "Loss",
        "",
        partial(plot_curves, info),
        f"Loss over updates, solved and failed networks apart. Final medians: {ends}.",
        name="loss",
    )
    if result.test_loss is not None:
        yield _parts(result)
    panels = [norms_info(result.steps, result.weight_norm)] if result.weight_norm else []
    if gradient_norms:
        panels.append(norms_info(gradient_steps, gradient_norms, "gradient norm"))
    if panels:
        alt = "; ".join(
            f"{panel.what} at the end: " + ", ".join(f"{c.label} {c.median[-1]:.3g}" for c in panel.curves)
            for panel in panels
        )
        yield Section(
            "Layers over time", "", partial(plot_norms, panels), f"Norms per layer over updates; {alt}.", name="norms"
        )


def _parts(result: Results) -> Section:
    """Training and test part over time, side by side."""
    both = {"loss": (result.loss, result.test_loss), "accuracy": (result.accuracy, result.test_accuracy)}
    panels = [
        curves_info({"training": (result.steps, of_training), "test": (result.steps, of_test)}, what)
        for what, (of_training, of_test) in both.items()
    ]
    ends = "; ".join(
        f"{panel.what}: " + ", ".join(f"{curve.label} {curve.median[-1]:.3g}" for curve in panel.curves)
        for panel in panels
    )
    alt = f"Loss and accuracy over updates on the training and the test part. Final medians: {ends}."
    return Section("Training and test part", "", partial(plot_norms, panels), alt, name="parts")


def _pictures(
    surfaces: Sequence[Mapping[str, Any]],
    lines: Sequence[UnitLines],
    histograms: Mapping[str, Mapping[str, ArrayLike]] | None,
    activations: Sequence[ActivationCurve],
    tolerance: float,
) -> Iterator[Section]:
    if surfaces:
        yield surfaces_section(surfaces, tolerance)
    if lines:
        yield lines_section(lines)
    if histograms:
        found = histograms_info(histograms)
        alt = f"Histograms of activations of layers {', '.join(found.layers)} at {', '.join(found.moments)}."
        yield Section("Activations per layer", "", partial(plot_histograms, found), alt, name="histograms")
    if activations:
        yield activations_section(activations)
