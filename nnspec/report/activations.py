"""The activations of specs as figures show them: read off their formulas, before any network trains. No torch."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from nnspec.analysis.figures.layers import ActivationCurve, activation_info
from nnspec.architecture import architecture
from nnspec.catalog import ACTIVATIONS
from nnspec.catalog.maths import NumpyMaths
from nnspec.specs import Member, RunSpec

XP = NumpyMaths()
REACH = 4.0  # of the figure
MOST_ACTIVATIONS = 8


def activation_curves(specs: Iterable[RunSpec], most: int = MOST_ACTIVATIONS) -> list[ActivationCurve]:
    """The formulas and derivatives of the hidden activations that ``specs`` use, each once, the first ``most``."""
    members = list(dict.fromkeys(spec.activation for spec in specs if architecture(spec).hidden))
    names = [member.name for member in members]
    x = np.linspace(-REACH, REACH, 161)
    curves = []
    for member in members[:most]:
        activation = ACTIVATIONS[member.name].bind(dict(member.params))
        with np.errstate(over="ignore", invalid="ignore"):  # with parameters near the largest float
            value = activation.value(XP, x)
            slope = np.broadcast_to(activation.slope(XP, x, value), x.shape)
        curves.append(activation_info(x, value, slope, _title(member, names.count(member.name) > 1)))
    return curves


def _title(member: Member, several: bool) -> str:
    said = ", ".join(f"{key}={value}" for key, value in member.params) if several else ""
    return f"{member.name} ({said})" if said else member.name
