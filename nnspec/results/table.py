"""The per-network table of a sweep: one row a network, the varied fields as columns."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from nnspec.catalog import MODELS, unsaid
from nnspec.results.arrays import FINALS, NEVER, TIMES, Results
from nnspec.specs import MEMBERS, RunSpec, plain

if TYPE_CHECKING:
    import pandas as pd

LAYERS = ("model.depth", "model.width")  # axes that the spec of an mlp does not keep
# the numbers of the diagnosis follow
OUTCOME = ("seed", *FINALS, "solved", *TIMES, "verdict", "epochs")
ALWAYS = ("seed", "final_loss", "final_accuracy", "solved", "solved_at", "verdict", "epochs")  # the others where known


def axis_column(axis: str, models: Iterable[str] = ()) -> str:
    """The column of an axis of cells with these ``models``: a choice of group is the name of its member, and depth and
    width say what ``hidden`` is, unless a model has them as they are."""
    if axis in LAYERS and not any(_keeps(model, axis.removeprefix("model.")) for model in models):
        return "model.hidden"
    return f"{axis}.name" if axis in MEMBERS else axis


def _keeps(model: str, name: str) -> bool:
    """Whether a parameter is kept by specs with a model; one that is not known here is a user's own, which keeps all of
    them."""
    return model not in MODELS or any(param.name == name for param in MODELS[model].params)


def axis_columns(axes: Iterable[str], models: Iterable[str] = ()) -> list[str]:
    """The columns of axes, each once; see ``axis_column``."""
    names = set(models)
    return list(dict.fromkeys(axis_column(axis, names) for axis in axes))


def choices(axes: Iterable[str], models: Iterable[str] = ()) -> list[str]:
    """The columns of axes without the seed's: seeds are replicates, not a choice."""
    return axis_columns((axis for axis in axes if axis != "seed"), models)


def varied(specs: Sequence[RunSpec]) -> dict[str, list[object]]:
    """The fields that differ between specs, seeds aside, with each spec's value; None where a spec has no such
    field."""
    found: list[tuple[int, str, list[object]]] = []
    for name in (field.name for field in fields(RunSpec) if field.name != "seed"):
        parts = [getattr(spec, name) for spec in specs]
        # the cells of a sweep share their members: each is looked at once, not once a cell
        flat = {key: _columns(name, part) for key, part in {id(part): part for part in parts}.items()}
        rows = [flat[id(part)] for part in parts] if len(flat) > 1 else []
        for column in dict.fromkeys(column for row in flat.values() for column in row):
            values = [row.get(column) for row in rows]
            if any(value != values[0] for value in values):
                first = next(number for number, row in enumerate(rows) if column in row)
                found.append((first, column, _one_type(values)))
    return {column: values for _, column, values in sorted(found, key=lambda one: one[0])}


def spec_columns(spec: RunSpec) -> dict[str, object]:
    """Every field of a spec by its column in the table of a sweep that varies it."""
    parts = (_columns(each.name, getattr(spec, each.name)) for each in fields(spec))
    return {column: value for part in parts for column, value in part.items()}


def _one_type(values: list[object]) -> list[object]:
    """A column that holds words (as ``gain: auto`` beside numbers) holds words only: a file's column has one type."""
    if not any(isinstance(value, str) for value in values):
        return values
    return [value if value is None else str(value) for value in values]


def _columns(key: str, part: object) -> dict[str, object]:
    """One field of a spec as columns: of a member its name and parameters, what is unsaid first."""
    value = plain(part)
    if not isinstance(value, dict):
        return {key: value}
    said = {f"{key}.{name}": str(item) if isinstance(item, list) else item for name, item in value.items()}
    return {f"{key}.{name}": item for name, item in _unsaid(key, value).items()} | said


def _unsaid(key: str, member: Mapping[str, object]) -> dict[str, object]:
    """What a spec does not say of a member, because it is at its default."""
    return dict(unsaid(key, str(member["name"]))) if key in MEMBERS else {}


def outcome_rows(result: Results) -> dict[str, np.ndarray]:
    """``outcome_columns`` to be kept: copies, for a column of the history would keep all of it in memory."""
    return {name: np.array(values) for name, values in outcome_columns(result).items()}


def outcome_columns(result: Results) -> dict[str, np.ndarray]:
    """The outcome of each replicate of a cell, by column: the ``OUTCOME``, then the numbers of the diagnosis.

    These are the columns of the cell's results.parquet, and its epochs.
    """
    columns = {
        "seed": result.seeds,
        **result.finals,
        "solved": result.solved,
        **result.times,
        "verdict": result.verdict,
        "epochs": np.full(len(result.seeds), result.spec.train.epochs),
    }
    return columns | result.numbers


def rank(rows: Mapping[str, np.ndarray]) -> tuple[float, float]:
    """By which cells are ranked, the best first: the share that is not solved, then the median final loss, infinite
    where it is no number. ``rows`` are those of ``outcome_rows``."""
    losses, solved = rows["final_loss"], rows["solved"]
    loss = float(losses[0] if len(losses) == 1 else np.median(losses))  # of very many cells, mostly of one network
    return -float(solved.sum()) / len(solved), loss if math.isfinite(loss) else math.inf


def sweep_table(specs: Sequence[RunSpec], outcomes: dict[int, dict[str, np.ndarray]]) -> pd.DataFrame:
    """One row a network, cell by cell: ``cell``, every varied field, the outcome, the numbers of the diagnosis (NaN
    where a cell has none of the name, as of a test part). Cells without an outcome are left out."""
    import pandas as pd

    order = sorted(outcomes)
    counts = [len(outcomes[index]["seed"]) for index in order]
    columns: dict[str, object] = {"cell": np.repeat(order, counts)}
    for name, values in varied(specs).items():
        columns[name] = pd.Series([values[index] for index in order]).repeat(counts).reset_index(drop=True)
    rows = [outcomes[index] for index in order]
    there = dict.fromkeys(chain.from_iterable(rows))
    found = dict.fromkeys([*(name for name in OUTCOME if name in there or name in ALWAYS), *there])
    for name in (name for name in found if name not in columns):  # a foreign result may have a column of a field's name
        parts = [row[name] if name in row else np.full(len(row["seed"]), np.nan) for row in rows]
        columns[name] = np.concatenate(parts) if order else np.empty(0)
    table = pd.DataFrame(columns)
    times = {name: pd.Series(table[name]).astype("Int64") for name in TIMES if name in table}
    return table.assign(
        solved=table["solved"].astype(bool),
        verdict=table["verdict"].astype(str),
        **{name: at.mask(at == NEVER) for name, at in times.items()},
    )
