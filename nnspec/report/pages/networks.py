"""The parts of a report that show single networks; sweeps and runs share them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from nnspec.analysis.figures.draw import MOST_PANELS
from nnspec.analysis.figures.fit import Fit, plot_fit
from nnspec.analysis.figures.layers import ActivationCurve, plot_activations
from nnspec.analysis.figures.plane import UnitLines, plot_lines, plot_surfaces, surfaces_info
from nnspec.analysis.figures.rows import Confusion, RowOutcomes, confusion_info, plot_confusions, wrong_rows
from nnspec.diagnostics import NEED_LAYERS
from nnspec.report.pages.page import Section

RINGS = "a ring marks a row that is wrong"
SURFACES = f"White circles are targets of 1, black squares of 0; {RINGS}; the dashed line is an output of one half."
CLASSES = f"Each shade is a class, and each row has the shade of its own; {RINGS}."
NUMBERS = f"Each row has the shade of its target; {RINGS}."


def verdicts_text(notes: Sequence[str]) -> str:
    """What is estimated at this size, a paragraph each; see ``diagnostics.estimate_notes``."""
    return "\n\n".join(["Not all that verdicts rest on is exact at this size.", *notes]) if notes else ""


def why_section(why: Sequence[str]) -> Iterator[Section]:
    """Why networks did not learn, a paragraph a verdict."""
    if why:
        yield Section("Why", "\n\n".join(why))


def modules_section(models: Sequence[str]) -> Iterator[Section]:
    """What is not shown and not asked of the networks of ``models``, which are modules."""
    if models:
        yield Section(
            "Inside the networks",
            f"Networks of model={', '.join(models)} are modules whose layers are not looked into: pictures of units, "
            "activations and gradients by layer are left out, and so are the verdicts "
            f"{', '.join(NEED_LAYERS[:-1])} and {NEED_LAYERS[-1]}.",
        )


def surfaces_section(surfaces: Sequence[Mapping[str, Any]], tolerance: float) -> Section:
    """Decision surfaces, of several networks or of one over time; mappings as in ``surfaces_info``."""
    infos = surfaces_info(surfaces, tolerance)
    wrong = "; ".join(f"{s.label}: {int(s.wrong.sum())} of {len(s.points)} rows wrong" for s in infos[:MOST_PANELS])
    alt = f"{len(infos)} surfaces over the input plane: {wrong}."
    classes = infos[0].classes
    text = NUMBERS if not classes else SURFACES if classes == 2 else CLASSES
    if not all(np.array_equal(surface.points, infos[0].points) for surface in infos):
        text += " Rows are those that the network in question was trained on."
    title = "Decision surfaces" if classes else "Outputs over the inputs"
    return Section(title, text, partial(plot_surfaces, infos), alt, name="surfaces")


def fit_section(info: Fit) -> Section:
    """What networks say over their only input, beside the rows."""
    ends = (
        f"median output {info.median[0]:.3g} at input {info.xs[0]:.3g} and {info.median[-1]:.3g} at {info.xs[-1]:.3g}"
    )
    alt = f"Output of {info.networks} networks over the input: {ends}."
    return Section("Output over the input", "", partial(plot_fit, info), alt, name="fit")


def lines_section(lines: Sequence[UnitLines]) -> Section:
    """Hidden units' lines of some networks, from start to end."""
    labels = "; ".join(info.label for info in lines[:MOST_PANELS])
    alt = f"Lines of the hidden units over the input plane, from start to end, of {len(lines)} networks: {labels}."
    return Section(
        "Hidden units", "Each line is where a hidden unit is zero.", partial(plot_lines, lines), alt, name="lines"
    )


def rows_sections(parts: Sequence[RowOutcomes]) -> Iterator[Section]:
    """What networks say of the rows of each part: for classes a confusion matrix, and the rows that most get wrong."""
    for part in parts:
        if not part.names:
            continue
        info = confusion_info(part)
        right = ", ".join(f"{name} {100 * info.shares[i, i]:.1f}%" for i, name in enumerate(info.names))
        networks = f"{info.networks} network{'s' * (info.networks != 1)}"
        text = f"{networks} on {info.rows} rows; each line of the matrix adds up to 100%."
        alt = f"Confusion matrix on the {part.part} rows. Said rightly of each class: {right}."
        name = f"confusion_{part.part}"
        yield Section(f"Confusion, {part.part} part", text, partial(plot_confusions, [info]), alt, name=name)
    for part in parts:
        found = wrong_rows(part)
        text = (
            "None." if found.empty else "Wrong in at least half of the networks; rows are counted from 0 in their part."
        )
        yield Section(f"Rows that most get wrong, {part.part} part", text, table=None if found.empty else found)


def confusions_section(infos: Sequence[Confusion]) -> Section:
    """What networks of several groups say of the rows of each class."""
    parts = " or ".join(sorted({info.part for info in infos}))
    text = (
        f"Each matrix pools that many networks of its cells, evenly chosen, solved or not, on up to "
        f"{max(info.rows for info in infos)} {parts} rows; each of its lines adds up to 100%."
    )
    alt = "; ".join(f"{info.label}, {_rightly(info)}" for info in infos)
    picture = partial(plot_confusions, infos)
    return Section(f"Confusion, {parts} part", text, picture, f"Confusion matrices. {alt}.", name="confusion")


def _rightly(info: Confusion) -> str:
    """The classes that are told best and worst, in words."""
    shares = np.nan_to_num(info.shares.diagonal(), nan=-1)  # of a class without a row, the last to be named
    best, worst = int(shares.argmax()), int(np.where(shares < 0, np.inf, shares).argmin())
    words = [f"{word} {info.names[i]} ({100 * shares[i]:.1f}%)" for word, i in (("best", best), ("worst", worst))]
    return f"said rightly: {', '.join(words)}"


def activations_section(activations: Sequence[ActivationCurve]) -> Section:
    """Activations with their derivatives."""
    flat = ", ".join(f"{info.name} flat over {100 * info.flat:.0f}% of the range" for info in activations)
    text = "Flat: the derivative is below 0.01, so that little gradient comes through."
    return Section(
        "Activations",
        text,
        partial(plot_activations, activations),
        f"Activations with derivatives: {flat}.",
        name="activations",
    )
