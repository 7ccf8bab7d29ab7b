"""The cells of a sweep one by one: the table of all, and what the page's script shows of them.

The script's data are one JSON document: texts as they are, numbers as the bytes of typed arrays in base64, so that
10,000 cells with a loss curve and a surface each stay below 5 MB.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from nnspec.analysis.levels import Groups, Levels, group_by, levels_of, short
from nnspec.analysis.measures import MEASURES, SOLVED
from nnspec.analysis.solving import median_updates
from nnspec.analysis.stats import solve_rates, summary
from nnspec.analysis.tables import medians_of_test
from nnspec.report.collected.samples import CELLS, Plane, Samples
from nnspec.report.material import Material
from nnspec.report.places import evenly

if TYPE_CHECKING:
    import pandas as pd

TOP = 253  # the byte of the largest finite loss; 0 is that of the smallest
INFINITE = 254  # the byte of a loss that is not finite
FLOOR = 1e-12  # the smallest loss that is told from none
DIGITS = 5  # of the data's rows
CODES = {"u1": 2**8, "u2": 2**16, "u4": 2**32}


def cell_table(table: pd.DataFrame, axes: Sequence[str], measure: str = SOLVED) -> pd.DataFrame:
    """One row a cell: its number, its axes, its seed where cells differ in it, its solve rate with Wilson's limits, the
    mean of another measure, medians of final loss and of the test part, the median of the updates to solve, and the
    most common verdict."""
    groups = group_by(table, ["cell"])
    first = np.unique(groups.codes, return_index=True)[1]
    found = solve_rates(table, ["cell"])
    for place, axis in enumerate([*axes, *(["seed"] if seeds_vary(table) else [])], start=1):
        found.insert(place, axis, table[axis].to_numpy()[first])
    if measure != SOLVED:
        found[f"mean_{measure}"] = summary(table, ["cell"], measure=measure)["mean"].to_numpy()
    found["final_loss"] = _median_losses(table, groups)
    for name, values in medians_of_test(table, groups).items():
        found[name] = values
    verdicts = levels_of(table, "verdict")
    most = _verdict_counts(groups.codes, len(groups), verdicts).argmax(axis=0)
    common = np.array(verdicts.labels)[most]
    return found.assign(median_updates=median_updates(table, groups), verdict=common)


def seeds_vary(table: pd.DataFrame) -> bool:
    """Whether cells differ in their first seed: seeds are an axis of the sweep."""
    return "seed" in table and table.drop_duplicates("cell")["seed"].nunique() > 1


def cells_data(sweep: Material, cells: pd.DataFrame) -> dict[str, Any]:
    """What the script shows of ``cells``, which ``cell_table`` made: at most ``CELLS`` of them."""
    shown = cells[cells["cell"].isin(shown_cells(sweep, cells))]
    numbers = shown["cell"].to_numpy()
    names = [str(name) for name in shown.columns]
    chosen, measured = (
        names[1 : names.index("networks")],
        names[names.index("high") + 1 : names.index("median_updates")],
    )
    columns = [{"name": "cell", "kind": "number", **packed(numbers)}]
    columns += [_levels(shown, name) for name in chosen]
    if (shown["networks"] > 1).any():
        columns.append({"name": "networks", "kind": "number", **packed(shown["networks"])})
    columns.append({"name": "solved", "kind": "rate", **packed(shown["rate"], "f4")})
    columns += [{"name": _heading(name), "kind": "number", **packed(shown[name], "f4")} for name in measured]
    columns.append({"name": "updates to solve", "kind": "time", **packed(shown["median_updates"], "f4")})
    return {
        "columns": columns,
        "low": packed(shown["low"], "f4"),
        "high": packed(shown["high"], "f4"),
        "verdicts": _verdicts(sweep.table, numbers),
        "samples": _samples(sweep.samples, numbers),
        "play": sweep.play if on_a_plane(sweep) else "",
    }


def on_a_plane(sweep: Material) -> bool:
    """Whether inputs of networks are points of the plane, which is what ``nnspec play`` shows."""
    return sweep.samples is not None and len(sweep.samples.planes) > 0


def shown_cells(sweep: Material, cells: pd.DataFrame) -> np.ndarray:
    """The numbers of the cells that are shown one by one: those of which networks are kept, or evenly chosen."""
    if sweep.samples is not None and sweep.samples.cells is not None:
        return np.asarray(sweep.samples.cells)
    return cells["cell"].to_numpy()[evenly(len(cells), CELLS)]


def packed(values: Any, kind: str = "") -> dict[str, str]:
    """Numbers as a typed array in base64, little end first: of a ``kind``, else of the fewest bytes for whole ones."""
    numbers = np.asarray(values)
    if not kind:
        largest = int(numbers.max(initial=0))
        kind = next(code for code, limit in CODES.items() if largest < limit)
    with np.errstate(over="ignore"):  # a loss too large for 32 bits is shown as an infinite one
        content = numbers.astype(f"<{kind}").tobytes()
    return {"type": kind, "data": base64.b64encode(content).decode("ascii")}


def _median_losses(table: pd.DataFrame, groups: Groups) -> np.ndarray:
    """The median final loss of each group [g]; one that is not finite is larger than all others."""
    import pandas as pd

    loss = table["final_loss"].to_numpy(dtype=float)
    return pd.Series(np.where(np.isfinite(loss), loss, np.inf)).groupby(groups.codes).median().to_numpy()


def _heading(name: str) -> str:
    words = name.removeprefix("mean_")
    said = MEASURES[words].words if words in MEASURES else name.replace("_", " ")
    return f"mean {said}" if words != name else said


def _levels(cells: pd.DataFrame, axis: str) -> dict[str, Any]:
    levels = levels_of(cells, axis)
    numeric = all(isinstance(value, (int, float)) for value in levels.values)
    return {"name": short(axis), "kind": "level", "numeric": numeric, "levels": levels.labels, **packed(levels.codes)}


def _verdicts(table: pd.DataFrame, cells: np.ndarray) -> list[dict[str, Any]]:
    """Each verdict with the number of its networks in each cell."""
    part = table[table["cell"].isin(cells)]
    place = np.searchsorted(cells, part["cell"].to_numpy())
    verdicts = levels_of(part, "verdict")
    each = _verdict_counts(place, len(cells), verdicts)
    order = np.argsort(-each.sum(axis=1), kind="stable")
    return [{"name": verdicts.labels[i], **packed(each[i])} for i in order]


def _verdict_counts(codes: np.ndarray, groups: int, verdicts: Levels) -> np.ndarray:
    """How many networks of each group have each verdict, [v, g]; ``codes`` [m] are their groups."""
    counts = np.bincount(verdicts.codes * groups + codes, minlength=len(verdicts) * groups)
    return counts.reshape(len(verdicts), groups)


def _samples(samples: Samples | None, cells: np.ndarray) -> dict[str, Any] | None:
    """The networks that are shown of ``cells``, whose rows they name."""
    if samples is None or not len(samples.cell):
        return None
    rows = np.flatnonzero(np.isin(samples.cell, cells))
    loss = samples.loss[rows]
    known = loss[np.isfinite(loss) & (loss > 0)]
    low, high = (max(FLOOR, float(known.min())), float(known.max())) if known.size else (FLOOR, 1.0)
    high = max(high, low * 1.0001)
    names = np.unique(samples.verdict)
    return {
        "row": packed(np.searchsorted(cells, samples.cell[rows])),
        "seed": packed(samples.seed[rows]),
        "solved": packed(samples.solved[rows]),
        "verdicts": names.tolist(),
        "verdict": packed(np.searchsorted(names, samples.verdict[rows])),
        "clocks": [steps.tolist() for steps in samples.clocks],
        "clock": packed(samples.clock[rows]),
        "points": loss.shape[1],
        "low": low,
        "high": high,
        "loss": packed(_loss_bytes(loss, low, high)),
        "planes": [_plane(plane) for plane in samples.planes],
        "plane": packed(samples.plane[rows], "i1"),
        "side": samples.raster.shape[1],
        "raster": packed(samples.raster[rows] if samples.planes else []),
    }


def _loss_bytes(loss: np.ndarray, low: float, high: float) -> np.ndarray:
    """Losses as bytes that are even on a log scale from ``low`` to ``high``."""
    with np.errstate(divide="ignore", invalid="ignore"):
        scaled = TOP * np.log(np.clip(loss, low, high) / low) / np.log(high / low)
    codes: np.ndarray = np.where(np.isfinite(loss), np.nan_to_num(scaled).round(), INFINITE)
    return codes.astype(np.uint8)


def _plane(plane: Plane) -> dict[str, Any]:
    rows = np.column_stack([plane.points, plane.targets])
    said = [[float(f"{value:.{DIGITS}g}") for value in row] for row in rows]
    return {"box": plane.box, "classes": plane.classes, "low": plane.low, "high": plane.high, "rows": said}
