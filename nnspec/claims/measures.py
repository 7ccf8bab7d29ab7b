"""What a claim can measure of a network: a column of its outcome, whether it has a verdict, a figure of its weights."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

import numpy as np

from nnspec.diagnostics import VERDICTS
from nnspec.errors import Fault, nearest
from nnspec.results.arrays import NEVER, Results
from nnspec.results.table import outcome_rows
from nnspec.study import SOLVED, Study

VERDICT = "verdict."
NORM, RATIO, REFERENCE = "weight_norm.", "weight_ratio.", "reference_error"
_RATIO = re.compile(r"weight_ratio\.(.+)\.(\d+)/(\d+)")
OF_MAPS = ("boundary_dimension", "converged_share", "solved_share")  # figures of a map: see ``maps.result``
WORST = ("final_loss", "final_test_loss")  # infinite where a network broke; elsewhere no number is not measured


def fault(measure: str, where: str, maps: bool = False) -> Fault | None:
    """What is wrong with the name of a measure, as far as names tell; ``maps`` says that cells are of maps."""
    if maps != (measure in OF_MAPS):
        rule = "must be a figure of a map" if maps else "must be of networks: that is a figure of a map"
        remedy = f"try {', '.join(OF_MAPS)}" if maps else "say sweep.map, or measure something else"
        return Fault(where, rule, measure, remedy)
    if measure.startswith(VERDICT) and measure.removeprefix(VERDICT) not in VERDICTS:
        name = measure.removeprefix(VERDICT)
        return Fault(where, "must name a verdict", name, nearest(name, VERDICTS))
    if measure.startswith(RATIO):
        match = _RATIO.fullmatch(measure)
        if match is None or int(match[2]) < 1 or int(match[3]) < 1:
            return Fault(where, "must be weight_ratio.LAYER.I/J, as weight_ratio.0.1/3", measure)
    return None


def rows_of(result: Results, study: Study | None) -> dict[str, np.ndarray]:
    """The outcome of each network of a cell by column, and the figures of its weights that claims measure."""
    return outcome_rows(result) | figures(result, of_weights(study))


def of_weights(study: Study | None) -> list[str]:
    """The measures of a study's claims that are figures of weights: no table of results has them."""
    return [] if study is None else [claim.measure for claim in study.claims if _maker(claim.measure) is not None]


def figures(result: Results, measures: Iterable[str]) -> dict[str, np.ndarray]:
    """Those of the measures that are figures of a cell's weights, [r] each."""
    found: dict[str, np.ndarray] = {}
    for measure in measures:
        make = _maker(measure)
        if make is not None:
            found[measure] = make(result)
    return found


def values(rows: Mapping[str, np.ndarray], measure: str) -> tuple[np.ndarray, bool] | None:
    """The measure of each network of a cell, [r], and whether it is a share; None where the cell has none of the name.

    ``rows`` are those of ``rows_of``. NaN is not measured.
    """
    if measure.startswith(VERDICT):
        return (rows["verdict"].astype(str) == measure.removeprefix(VERDICT)).astype(float), True
    if measure not in rows:
        return None
    found = np.asarray(rows[measure])
    if measure == SOLVED:
        return found.astype(float), True
    found = found.astype(float)
    if measure == "solved_at":
        found = np.where(found == NEVER, np.inf, found)
    return (np.where(np.isfinite(found), found, np.inf) if measure in WORST else found), False


def _maker(measure: str) -> Callable[[Results], np.ndarray] | None:
    if measure == REFERENCE:
        return _reference_error
    if measure.startswith(NORM):
        return lambda result: _of_layer(result, measure.removeprefix(NORM), _norm)
    match = _RATIO.fullmatch(measure)
    if match is None:
        return None
    first, second = int(match[2]), int(match[3])
    return lambda result: _of_layer(result, match[1], lambda weight: _ratio(weight, first, second))


def _of_layer(result: Results, layer: str, make: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    weight = result.final.get(f"{layer}.weight")
    missing = np.full(len(result.seeds), np.nan)
    return missing if weight is None else make(np.asarray(weight, np.float64))


def _norm(weight: np.ndarray) -> np.ndarray:
    """The L2 norm of each network's weight matrix, [r]."""
    return np.sqrt((weight.reshape(len(weight), -1) ** 2).sum(axis=1))


def _ratio(weight: np.ndarray, first: int, second: int) -> np.ndarray:
    """Of each unit's weights by magnitude the ``first`` over the ``second``, the largest being number 1; the median
    over units, [r]."""
    if max(first, second) > weight.shape[2]:
        return np.full(len(weight), np.nan)
    ordered = np.sort(np.abs(weight), axis=2)[:, :, ::-1]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.median(ordered[:, :, first - 1] / ordered[:, :, second - 1], axis=1)


def _reference_error(result: Results) -> np.ndarray:
    """The largest difference between a network's trained weights and those of ``reference``, which trains it by hand in
    NumPy from the same start, [r]; NaN of modules that have no such reference."""
    from nnspec.architecture import architecture
    from nnspec.reference import train

    if architecture(result.spec).opaque:  # nobody has written it by hand
        return np.full(len(result.seeds), np.nan)
    errors = []
    for number in range(len(result.seeds)):
        start = {name: array[number] for name, array in result.initial.items()}
        by_hand = train(result.spec, start=start).weights
        parts = [np.abs(result.final[name][number] - array).max() for name, array in by_hand.items()]
        errors.append(float(max(parts)))
    return np.array(errors)
