"""The report of a sweep: which choices to trust, how sure that is, and pictures of why the others failed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from nnspec.analysis.figures.sweep import (
    curves_info,
    heading,
    heatmap_info,
    plot_curves,
    plot_heatmap,
    plot_survival,
    plot_verdicts,
    survival_info,
    verdicts_info,
)
from nnspec.analysis.levels import AnalysisError, Levels, levels_of, short, widest
from nnspec.analysis.measures import MEASURES, SOLVED, broken_text
from nnspec.analysis.pairs import compare
from nnspec.analysis.pooling import axes_text, pooled, pooled_axes
from nnspec.analysis.solving import survival_table
from nnspec.analysis.stats import loss_quantiles, solve_rates, summary
from nnspec.analysis.tables import Pivot, best_and_worst, failures, percent, with_interval
from nnspec.analysis.variance import decided_text, effects
from nnspec.report.material import Material
from nnspec.report.pages.cells import cell_table, cells_data, on_a_plane, seeds_vary, shown_cells
from nnspec.report.pages.networks import (
    activations_section,
    confusions_section,
    lines_section,
    modules_section,
    surfaces_section,
    verdicts_text,
    why_section,
)
from nnspec.report.pages.page import Report, Section
from nnspec.report.racing import honest, race_table, race_text

if TYPE_CHECKING:
    import pandas as pd

MOST_AXES = 3  # with pictures of their own: the widest
MOST_PAIRED_LEVELS = 16  # 120 pairs; beyond, a table of pairs is no answer

SURE = (
    "Intervals are Wilson's at 95%; where a row pools cells that share seeds, "
    "they count as many networks as the spread between seeds supports."
)
UNEVEN = (
    "Cells have the more networks the longer they raced, so whatever pools cells below weighs the better ones more, "
    "and its intervals do not allow for stopping."
)
UNSOLVED = (
    "Kaplan-Meier; networks that did not solve are censored at their last update. "
    "The dot is the median, the band its 95% limits point by point."
)


def sweep_report(material: Material) -> Report:
    """The report of a sweep.

    Pictures aggregate over levels, so that their number does not grow with the number of cells; of all cells the page
    has thousands, a file all.

    Raises:
        AnalysisError: if the table is empty or an axis is unknown.
    """
    sections = list(_sections(replace(material, axes=_varied(material.table, material.axes))))
    return Report(material.title, material.command, material.spec_yaml, sections)


def sweep_pictures(material: Material) -> list[Section]:
    """The sections with pictures, without their tables: what a report's pictures wait for."""
    sweep = replace(material, axes=_varied(material.table, material.axes))
    return [section for section in _pictures(sweep) if section.plot is not None]


def _varied(table: pd.DataFrame, axes: Sequence[str]) -> list[str]:
    if not len(table):
        raise AnalysisError("a report must have at least one network, but the table is empty; train the sweep first")
    return [axis for axis in axes if axis != "seed" and len(levels_of(table, axis)) > 1]


def _sections(sweep: Material) -> Iterator[Section]:
    yield _summary(sweep)
    yield from _race(sweep)
    yield from why_section(sweep.why)
    yield from _heatmap(sweep)
    yield from _cells(sweep)
    wide = widest(sweep.table, sweep.axes, MOST_AXES)
    shown: list[str | None] = [*wide] or [None]
    for axis in shown:
        yield _verdicts(sweep, axis)
    for axis in shown:
        yield _with_table(sweep, axis, _survival(sweep, axis))
    yield from _losses(sweep, wide)
    yield _final_losses(sweep, wide)
    for varied in wide:
        yield from _pairs(sweep, varied)
    yield from _effects(sweep)
    yield from _networks(sweep)


def _pictures(sweep: Material) -> Iterator[Section]:
    yield from _heatmap(sweep)
    wide = widest(sweep.table, sweep.axes, MOST_AXES)
    shown: list[str | None] = [*wide] or [None]
    for axis in shown:
        yield _verdicts(sweep, axis)
        yield _survival(sweep, axis)
    yield from _losses(sweep, wide)
    yield from _networks(sweep)


def _summary(sweep: Material) -> Section:
    rates = solve_rates(sweep.table, ())
    row = rates.iloc[0]
    cells = sweep.table["cell"].nunique() if "cell" in sweep.table else 1
    axes = ", ".join(f"{short(axis)} ({len(levels_of(sweep.table, axis))})" for axis in sweep.axes) or "seeds only"
    whole = with_interval(row["rate"], row["low"], row["high"])
    text = (
        f"{len(sweep.table)} networks in {cells} cells over {axes}. Solved: "
        f"{whole}.\n\n{failures(sweep.table)}.\n\n{SURE}"
    )
    if sweep.measure != SOLVED:
        text += (
            f"\n\nCells are compared by the mean {MEASURES[sweep.measure].words}, with limits of the t-test over seeds."
        )
        text += f"\n\n{broken_text(sweep.table, sweep.measure)}"
    return Section("Summary", text.strip())


def _race(sweep: Material) -> Iterator[Section]:
    if sweep.race is not None:
        text = f"{race_text(sweep.table, sweep.axes, sweep.race)}.\n\n{honest(sweep.race)}.\n\n{UNEVEN}"
        yield Section("The race", text, table=race_table(sweep.table, sweep.axes, sweep.race), name="race")


def _heatmap(sweep: Material) -> Iterator[Section]:
    title = "Solve rates" if sweep.measure == SOLVED else heading(sweep.measure)
    chosen = list(sweep.by) if sweep.by is not None else widest(sweep.table, sweep.axes)
    if len(chosen) == 2:
        wider, other = (
            sorted(chosen, key=lambda axis: -len(levels_of(sweep.table, axis))) if sweep.by is None else chosen[::-1]
        )
        # A page is read across: many levels stand side by side rather than in a tower.
        tower = len(levels_of(sweep.table, wider)) > 12
        rows, columns = (other, wider) if tower or sweep.by is not None else (wider, other)
        info = heatmap_info(sweep.table, rows, columns, measure=sweep.measure, axes=sweep.axes)
        yield Section(
            title, _pooled(sweep, [rows, columns]), partial(plot_heatmap, info), _heatmap_alt(info), name="heatmap"
        )
    elif chosen:
        text = f"By {short(chosen[0])}. {_pooled(sweep, chosen)}".strip()
        yield Section(title, text, table=summary(sweep.table, chosen, measure=sweep.measure))


def _heatmap_alt(info: Pivot) -> str:
    best, worst = np.nanargmax(info.rate), np.nanargmin(info.rate)

    def cell(index: Any) -> str:
        i, j = np.unravel_index(index, info.rate.shape)
        return f"{info.text(float(info.rate[i, j]))} at {info.row_labels[i]}, {info.column_labels[j]}"

    rows, columns = info.rate.shape
    what = (
        f"Heat map of the {heading(info.measure).lower()} over {rows} levels of {short(info.rows)} and {columns} of "
        f"{short(info.columns or '')}"
    )
    return f"{what}: highest {cell(best)}; lowest {cell(worst)}."


def _pooled(sweep: Material, by: Sequence[str]) -> str:
    """A sentence on the axes that rows by ``by`` pool over; empty where there are none."""
    text = axes_text(pooled_axes(sweep.table, by, sweep.axes))
    return f"{text.capitalize()}." if text else ""


def _cells(sweep: Material) -> Iterator[Section]:
    several = "cell" in sweep.table and sweep.table["cell"].nunique() > 1
    if sweep.axes:
        best, worst = best_and_worst(sweep.table, sweep.axes, measure=sweep.measure)
        ranked = "solve rate" if sweep.measure == SOLVED else heading(sweep.measure).lower()
        yield Section("Best cells", f"By {ranked}, then by median final loss.", table=best)
        if len(worst):
            yield Section("Worst cells", table=worst)
        if several and seeds_vary(sweep.table):
            pooled_cells = pooled(sweep.table, sweep.axes, sweep.measure)
            yield Section("Cells pooled over seeds", table=pooled_cells, name="pooled")
    if several:
        cells = cell_table(sweep.table, sweep.axes, sweep.measure)
        shown = len(shown_cells(sweep, cells))
        texts = [f"{shown} of {len(cells)} cells, evenly chosen; cells.csv has all."] if shown < len(cells) else []
        if sweep.play and on_a_plane(sweep):
            texts.append(f"{sweep.play.replace('{}', 'CELL')} shows the networks of a cell in the browser.")
        yield Section("All cells", "\n\n".join(texts), table=cells, name="cells", cells=cells_data(sweep, cells))


def _verdicts(sweep: Material, axis: str | None) -> Section:
    info = verdicts_info(sweep.table, axis)
    totals = (info.shares * info.networks[:, None]).sum(axis=0) / info.networks.sum()
    shares = ", ".join(f"{name} {percent(float(share))}" for name, share in zip(info.verdicts, totals, strict=True))
    title = f"Verdicts by {short(axis)}" if axis else "Verdicts"
    alt = f"Stacked bars of verdicts, one a level. Over the levels shown: {shares}."
    text = "\n\n".join(filter(None, [_pooled(sweep, [axis]) if axis else "", verdicts_text(sweep.notes)]))
    return Section(title, text, partial(plot_verdicts, info), alt, name=_name("verdicts", axis))


def _survival(sweep: Material, axis: str | None) -> Section:
    info = survival_info(sweep.table, axis)
    medians = ", ".join(
        f"{label} {_updates(curve.median)}" for label, curve in zip(info.labels, info.curves, strict=True)
    )
    title = f"Updates to solve by {short(axis)}" if axis else "Updates to solve"
    alt = f"Survival curves. Median updates to solve: {medians}."
    text = f"{UNSOLVED} {_pooled(sweep, [axis]) if axis else ''}".strip()
    return Section(title, text, partial(plot_survival, info), alt, name=_name("survival", axis))


def _with_table(sweep: Material, axis: str | None, survival: Section) -> Section:
    """The section of ``_survival`` with a row a level, of few levels."""
    few = axis is None or len(levels_of(sweep.table, axis)) <= 40
    return replace(survival, table=survival_table(sweep.table, axis or ())) if few else survival


def _losses(sweep: Material, wide: list[str]) -> Iterator[Section]:
    if sweep.curves:
        info = curves_info(sweep.curves)
        ends = ", ".join(f"{curve.label} {curve.median[-1]:.3g}" for curve in info.curves)
        yield Section(
            "Loss",
            _pooled(sweep, wide[:1]),
            partial(plot_curves, info),
            f"Loss curves with 10 to 90% bands. Final medians: {ends}.",
            name="loss",
        )
    for name, curves in sweep.test_curves.items():
        info = curves_info(curves, name.replace("_", " "))
        ends = ", ".join(f"{curve.label} {curve.median[-1]:.3g}" for curve in info.curves)
        alt = f"Curves of the {info.what} with 10 to 90% bands. Final medians: {ends}."
        yield Section(info.what.capitalize(), _pooled(sweep, wide[:1]), partial(plot_curves, info), alt, name=name)


def _final_losses(sweep: Material, wide: list[str]) -> Section:
    text = f"Quantiles over networks; a non-finite loss counts as infinite. {_pooled(sweep, wide[:1])}"
    return Section("Final loss", text.strip(), table=loss_quantiles(sweep.table, wide[:1]))


def _pairs(sweep: Material, axis: str) -> Iterator[Section]:
    levels: Levels = levels_of(sweep.table, axis)
    if "seed" not in sweep.table or len(levels) > MOST_PAIRED_LEVELS:
        return
    frame = compare(sweep.table, axis, sweep.axes, measure=sweep.measure).sort_values("p_holm", kind="stable")
    clear = int((frame["p_holm"] < 0.05).sum())
    how = (
        "Paired by seed"
        if frame["paired"].all()
        else "Not all pairs share their seeds and other axes: those are compared as independent samples"
    )
    corrected = f"{clear} of {len(frame)} pairs differ after Holm's correction (p_holm below 0.05)"
    text = f"{corrected}. {how}. Intervals go with p, one pair at a time. {_pooled(sweep, [axis])}".strip()
    yield Section(f"Is one {short(axis)} better?", text, table=frame.drop(columns=["networks_a", "networks_b"]))


def _effects(sweep: Material) -> Iterator[Section]:
    if not sweep.axes:
        return
    text = (
        f"Shares of the variance of {'solving' if sweep.measure == SOLVED else sweep.measure}: of what the axes "
        "explain, and of all variance including that between seeds. "
        "by_chance is what as many degrees of freedom of pure noise would take of the total."
    )
    shares = effects(sweep.table, sweep.axes, sweep.measure)
    decided = decided_text(shares)
    yield Section("Which axes matter", f"{text} {decided}.".strip() if decided else text, table=shares)


def _networks(sweep: Material) -> Iterator[Section]:
    if sweep.confusions:
        yield confusions_section(sweep.confusions)
    if sweep.surfaces:
        yield surfaces_section(sweep.surfaces, sweep.tolerance)
    if sweep.lines:
        yield lines_section(sweep.lines)
    if sweep.activations:
        yield activations_section(sweep.activations)
    yield from modules_section(sweep.modules)


def _updates(median: float) -> str:
    return f"{median:g}" if np.isfinite(median) else "never reached"


def _name(kind: str, axis: str | None) -> str:
    safe = "".join(c if c.isalnum() or c in "-_" else "_" for c in short(axis or ""))
    return f"{kind}_{safe}" if safe else kind
