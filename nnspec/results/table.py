"""The per-network table of a sweep: one row a network, the varied fields as columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from nnspec.catalog import MODELS, unsaid
from nnspec.results.arrays import FINALS, NEVER, TIMES, Results
from nnspec.specs import MEMBERS, RunSpec

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
    rows = [_fields(spec) for spec in specs]
    names = dict.fromkeys(name for row in rows for name in row)
    columns = {name: [row.get(name) for row in rows] for name in names if name != "seed"}
    return {name: _one_type(values) for name, values in columns.items() if any(value != values[0] for value in values)}


def _one_type(values: list[object]) -> list[object]:
    """A column that holds words (as ``gain: auto`` beside numbers) holds words only: a file's column has one type."""
    if not any(isinstance(value, str) for value in values):
        return values
    return [value if value is None else str(value) for value in values]


def _fields(spec: RunSpec) -> dict[str, object]:
    fields: dict[str, object] = {}
    for key, value in spec.to_mapping().items():
        if isinstance(value, dict):
            fields |= {f"{key}.{name}": item for name, item in _unsaid(key, value).items()}
            fields.update(
                {f"{key}.{name}": str(item) if isinstance(item, list) else item for name, item in value.items()}
            )
        else:
            fields[key] = value
    return fields


def _unsaid(key: str, member: Mapping[str, object]) -> dict[str, object]:
    """What a spec does not say of a member, because it is at its default."""
    return dict(unsaid(key, str(member["name"]))) if key in MEMBERS else {}


def outcome_rows(result: Results) -> dict[str, np.ndarray]:
    """The outcome of each replicate of a cell, by column: the ``OUTCOME``, then the numbers of the diagnosis.

    These are the columns of the cell's results.parquet, and its epochs. Copies, for a column of the history would keep
    all of it in memory.
    """
    columns = {
        "seed": result.seeds,
        **result.finals,
        "solved": result.solved,
        **result.times,
        "verdict": result.verdict,
        "epochs": np.full(len(result.seeds), result.spec.train.epochs),
    }
    return {name: np.array(values) for name, values in (columns | result.numbers).items()}


def sweep_table(specs: Sequence[RunSpec], outcomes: dict[int, dict[str, np.ndarray]]) -> pd.DataFrame:
    """One row a network, cell by cell: ``cell``, every varied field, the outcome, the numbers of the diagnosis (NaN
    where a cell has none of the name, as of a test part). Cells without an outcome are left out."""
    import pandas as pd

    order = sorted(outcomes)
    counts = [len(outcomes[index]["seed"]) for index in order]
    columns: dict[str, object] = {"cell": np.repeat(order, counts)}
    for name, values in varied(specs).items():
        columns[name] = pd.Series([values[index] for index in order]).repeat(counts).reset_index(drop=True)
    there = dict.fromkeys(name for index in order for name in outcomes[index])
    found = dict.fromkeys([*(name for name in OUTCOME if name in there or name in ALWAYS), *there])
    for name in (name for name in found if name not in columns):  # a foreign result may have a column of a field's name
        parts = [outcomes[index].get(name, np.full(count, np.nan)) for index, count in zip(order, counts, strict=True)]
        columns[name] = np.concatenate(parts) if order else np.empty(0)
    table = pd.DataFrame(columns)
    times = {name: pd.Series(table[name]).astype("Int64") for name in TIMES if name in table}
    return table.assign(
        solved=table["solved"].astype(bool),
        verdict=table["verdict"].astype(str),
        **{name: at.mask(at == NEVER) for name, at in times.items()},
    )
