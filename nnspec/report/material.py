"""All that the report of a sweep is drawn from: plain values, so that another process can draw it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from nnspec.analysis.figures.layers import ActivationCurve
from nnspec.analysis.figures.plane import UnitLines
from nnspec.analysis.figures.rows import Confusion
from nnspec.analysis.measures import SOLVED
from nnspec.report.collected.samples import Samples
from nnspec.results.race import Race

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Material:
    """What a report of a sweep shows; whatever is not given is left out.

    Args:
        table: one row a network; see ``levels``.
        axes: the varied axes. Seeds are never an axis here.
        curves: label -> (steps [t], loss [r, t]); one a level of the widest axis reads best.
        test_curves: the same of 'test_loss' and 'test_accuracy', by name, where networks have a test part.
        surfaces: mappings with label, xs [x], ys [y], p [y, x], points [n, 2] and targets [n]; the first 24 are shown.
        lines: from ``lines_info``.
        confusions: what networks say of classes, a matrix a group.
        activations: from ``activation_info``.
        tolerance: rows of a surface further than this from their target are ringed.
        measure: what cells are compared by: 'solved', or one of ``analysis.MEASURES``.
        notes: what verdicts rest on that is estimated; see ``diagnostics.estimate_notes``.
        why: why networks did not learn, a text a verdict.
        modules: models whose layers are not looked into.
        samples: single networks of the cells.
        by: one or two axes of the heat map; None takes the two widest.
        race: what a race of the cells found out.
        play: the command that opens the page of ``nnspec play`` on a cell, with {} for its number.
    """

    table: pd.DataFrame
    axes: Sequence[str]
    curves: Mapping[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)
    surfaces: Sequence[Mapping[str, Any]] = ()
    lines: Sequence[UnitLines] = ()
    activations: Sequence[ActivationCurve] = ()
    tolerance: float = 0.4
    by: Sequence[str] | None = None
    race: Race | None = None
    command: str = ""
    play: str = ""
    spec_yaml: str = ""
    title: str = "Sweep"
    measure: str = SOLVED
    test_curves: Mapping[str, Mapping[str, tuple[np.ndarray, np.ndarray]]] = field(default_factory=dict)
    notes: Sequence[str] = ()
    confusions: Sequence[Confusion] = ()
    why: Sequence[str] = ()
    modules: Sequence[str] = ()
    samples: Samples | None = None
