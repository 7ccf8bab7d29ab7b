"""What single networks look like, from their weights alone: output over the input plane, hidden units, activations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nnspec.architecture import architecture
from nnspec.catalog import ACTIVATIONS, DATA, LOSSES
from nnspec.catalog.activations import formula_params
from nnspec.catalog.maths import NumpyMaths
from nnspec.reference import forward
from nnspec.specs import Member, RunSpec

if TYPE_CHECKING:
    from nnspec.analysis.layer_figures import ActivationCurve
    from nnspec.analysis.plane_figures import UnitLines

Weights = Mapping[str, np.ndarray]
XP = NumpyMaths()
GRID = 41  # values of each input: data rows lie on it, for the margin is half of their span
REACH = 4.0  # of the activations' figure


@dataclass(frozen=True)
class Shown:
    """One network of a figure: its weights by ``state_dict`` name, from the untrained ones to the last."""

    label: str
    spec: RunSpec
    moments: Sequence[Weights]


def on_the_plane(spec: RunSpec) -> bool:
    """Whether the network's inputs are two numbers, so that its output can be drawn over them."""
    return architecture(spec).inputs == 2


def plane_data(spec: RunSpec) -> tuple[np.ndarray, np.ndarray]:
    """The rows [n, 2] and their targets [n] as 0 and 1, whatever the loss calls them."""
    data = DATA[spec.data.name].make(dict(spec.data.params))
    return data.inputs, (data.labels > 0).astype(float)


def surface(shown: Shown, moment: int = -1, label: str = "") -> dict[str, Any]:
    """The output over the plane at one moment, as ``analysis.surfaces_info`` reads it: towards class 1, 0 to 1 on
    target."""
    points, targets = plane_data(shown.spec)
    low, high = points.min(axis=0), points.max(axis=0)
    half = (high - low) / 2
    xs, ys = (np.linspace(low[i] - half[i], high[i] + half[i], GRID) for i in range(2))
    rows = np.stack([axis.ravel() for axis in np.meshgrid(xs, ys)], axis=1)
    weights = {name: np.asarray(tensor, dtype=np.float64) for name, tensor in shown.moments[moment].items()}
    with np.errstate(all="ignore"):  # a network that diverged has no output to draw, and that is what is shown
        outputs = forward(shown.spec, weights, rows)[-1].h[:, -1]
    off = LOSSES[shown.spec.loss.name].off
    p = ((outputs - off) / (1 - off)).reshape(GRID, GRID)
    return {"label": label or shown.label, "xs": xs, "ys": ys, "p": p, "points": points, "targets": targets}


def unit_lines(shown: Shown) -> UnitLines | None:
    """Where the units of the first hidden layer are zero, from the first moment to the last; None without hidden
    units."""
    from nnspec.analysis.plane_figures import lines_info

    shape = architecture(shown.spec)
    if not shape.hidden:
        return None
    first = shape.dense[0].name
    weights = [moment[f"{first}.weight"] for moment in shown.moments]
    biases = [moment[f"{first}.bias"] for moment in shown.moments]
    return lines_info(weights, biases, *plane_data(shown.spec), label=shown.label)


def activation_curves(specs: Iterable[RunSpec], most: int) -> list[ActivationCurve]:
    """The formulas and derivatives of the hidden activations that ``specs`` use, each once, the first ``most``."""
    from nnspec.analysis.layer_figures import activation_info

    members = list(dict.fromkeys(spec.activation for spec in specs if architecture(spec).hidden))
    names = [member.name for member in members]
    x = np.linspace(-REACH, REACH, 161)
    curves = []
    for member in members[:most]:
        entry, params = ACTIVATIONS[member.name], _parameters(member)
        with np.errstate(over="ignore", invalid="ignore"):  # with parameters near the largest float
            value = entry.value(XP, x, params)
            slope = np.broadcast_to(entry.slope(XP, x, value, params), x.shape)
        curves.append(activation_info(x, value, slope, _title(member, names.count(member.name) > 1)))
    return curves


def _parameters(member: Member) -> Mapping[str, Any]:
    return formula_params(ACTIVATIONS[member.name], dict(member.params))


def _title(member: Member, several: bool) -> str:
    said = ", ".join(f"{key}={value}" for key, value in member.params) if several else ""
    return f"{member.name} ({said})" if said else member.name
