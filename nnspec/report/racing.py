"""What a race of cells found out, in words and as a table of all cells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from nnspec.analysis import tables
from nnspec.analysis.levels import short
from nnspec.analysis.racing import anytime_interval
from nnspec.analysis.stats import solve_rates
from nnspec.results.race import Race

if TYPE_CHECKING:
    import pandas as pd

SHOWN = 20  # cells in a terminal
HONEST = (
    "intervals hold at {confidence:g}% for each cell, whenever it was stopped (Robbins 1970); they are wide where that "
    "was early"
)


def race_table(table: pd.DataFrame, axes: Sequence[str], race: Race) -> pd.DataFrame:
    """One row a cell, the best first and those that were out first at the end: ``cell``, the axes, ``networks``,
    ``solved``, ``rate``, its limits ``low`` and ``high``, which allow for stopping, and how the ``race`` ended for it.
    ``table`` has a row a network.
    """
    found = solve_rates(table, ["cell"])
    first = table.drop_duplicates("cell").set_index("cell")
    cells = found["cell"].to_numpy()
    for place, axis in enumerate(axes, start=1):
        found.insert(place, axis, first.loc[cells, axis].to_numpy())
    found["low"], found["high"] = anytime_interval(found["solved"], found["networks"], race.confidence)
    found["race"] = [race.ended(int(cell)) for cell in cells]
    out = [race.out.get(int(cell), np.inf) for cell in cells]
    order = np.lexsort((cells, -found["rate"].to_numpy(), -np.array(out), cells != race.best))
    return found.iloc[order].reset_index(drop=True)


def race_text(table: pd.DataFrame, axes: Sequence[str], race: Race) -> str:
    """The race in a sentence, which names the best cell by its choices."""
    rows = table[table["cell"] == race.best]
    named = " ".join(f"{short(axis)}={rows[axis].iloc[0]}" for axis in axes) if len(rows) else ""
    return race.text(named)


def honest(race: Race) -> str:
    """What the intervals of the table are."""
    return HONEST.format(confidence=100 * race.confidence)


def race_lines(table: pd.DataFrame, axes: Sequence[str], race: Race) -> str:
    """What a terminal shows: the best cells, and how many more there are."""
    cells = race_table(table, axes, race)
    more = f"\n... and {len(cells) - SHOWN} more cells (sweep.csv=FILE writes them all)" if len(cells) > SHOWN else ""
    return f"{tables.render_frame(cells.head(SHOWN))}{more}\n{honest(race)}\n\n{race_text(table, axes, race)}"
