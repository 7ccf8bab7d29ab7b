"""What a sweep as a whole leaves: totals, tables, files."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nnspec.documents import document
from nnspec.errors import Fault, NnspecError
from nnspec.explaining import Explanation, explained_table, lines
from nnspec.intervals import wilson_interval
from nnspec.results.outcome import Outcome
from nnspec.results.race import RACE, RACE_TAG, Race
from nnspec.results.table import axis_columns, choices
from nnspec.settings import Settings

if TYPE_CHECKING:
    import pandas as pd

RESULTS = "results.parquet"
BEST = 5  # best and worst cells that are shown
Say = Callable[[str], object]


def sweep_metrics(outcome: Outcome) -> dict[str, float]:
    """The totals of a sweep."""
    solved = (
        np.concatenate([rows["solved"] for rows in outcome.outcomes.values()])
        if outcome.outcomes
        else np.empty(0, bool)
    )
    done, failed = float(len(outcome.outcomes)), float(len(outcome.failed))
    totals = {"cells_done": done, "cells_failed": failed, "networks_trained": float(len(solved))}
    if len(solved):
        low, high = wilson_interval(int(solved.sum()), len(solved))
        totals |= {"solve_rate": float(solved.mean()), "solve_rate_low": float(low), "solve_rate_high": float(high)}
    return totals | _race_metrics(outcome)


def _race_metrics(outcome: Outcome) -> dict[str, float]:
    """Of a race: the rate of its best cell, with limits that allow for stopping, and whether the best is known."""
    race = outcome.race
    if race is None or race.best not in outcome.outcomes or outcome.interval is None:
        return {}
    solved = outcome.outcomes[race.best]["solved"].astype(bool)
    low, high = outcome.interval(int(solved.sum()), len(solved))
    limits = {"best_solve_rate_low": low, "best_solve_rate_high": high}
    return {"race_known": float(race.known), "best_solve_rate": float(solved.mean()), **limits}


def race_tag(outcome: Outcome) -> dict[str, str]:
    """The tag of a sweep's run that says what its race found out; none where it was no race."""
    if outcome.race is None or not outcome.outcomes:
        return {}
    from nnspec.report.racing import race_text

    table = outcome.table()
    return {RACE_TAG: race_text(table, _axes_of(outcome, table), outcome.race)}


def sweep_artifacts(outcome: Outcome) -> dict[str, bytes]:
    """The per-network table, and what a race found out."""
    if not outcome.outcomes:
        return {}
    buffer = io.BytesIO()
    outcome.table().to_parquet(buffer, index=False)
    race = {} if outcome.race is None else {RACE: document(outcome.race.content()).encode()}
    return {RESULTS: buffer.getvalue(), **race}


def sweep_why(outcome: Outcome) -> list[Explanation]:
    """Why networks of a sweep did not learn."""
    if not outcome.outcomes:
        return []
    table = outcome.table()

    def made() -> list[Explanation]:
        return explained_table(table, table_axes(outcome), lambda row: outcome.specs[int(table["cell"].loc[row])])

    return outcome.once("why", made)


def table_axes(outcome: Outcome) -> list[str]:
    """The columns of the axes, seeds aside."""
    return choices(outcome.axes, _models(outcome))


def _axes_of(outcome: Outcome, table: pd.DataFrame) -> list[str]:
    """The axes that the table has: all cells may agree on one."""
    return [axis for axis in table_axes(outcome) if axis in table.columns]


def _models(outcome: Outcome) -> set[str]:
    return {spec.model.name for spec in outcome.specs}


def refuse_unwritable(csv: str | None) -> None:
    """Refuse a ``sweep.csv`` that nothing can be written to, before anything trains.

    Raises:
        NnspecError: it is a folder, or below something that is no folder, or in one that takes no files.
    """
    if csv is None:
        return
    path = Path(csv)
    above = next((folder for folder in path.absolute().parents if folder.exists()), path.absolute().parent)
    reason = "it is a folder" if path.is_dir() else "" if above.is_dir() else f"{above} is no folder"
    reason = reason or ("" if os.access(path if path.exists() else above, os.W_OK) else "permission denied")
    if reason:
        raise NnspecError(
            str(Fault("sweep.csv", f"must be a file that can be written ({reason})", f"'{csv}'", "name another"))
        )


def show_sweep(outcome: Outcome, settings: Settings, say: Say) -> None:
    """Solve rates over two axes, the best and the worst cells, of a race how it ended for all cells; and what became of
    the networks that did not solve."""
    from nnspec.analysis import tables

    table = outcome.table()
    axes = _axes_of(outcome, table)
    if outcome.race is not None:
        _show_race(table, axes, outcome.race, settings.sweep.csv, say)
    else:
        _show_rates(outcome, settings, axes, say)
    say("\n" + tables.failures(table))
    if why := sweep_why(outcome):
        say(lines(why))


def _show_race(table: pd.DataFrame, axes: Sequence[str], race: Race, csv: str | None, say: Say) -> None:
    from nnspec.analysis import tables
    from nnspec.report.racing import race_lines, race_table

    if csv:
        tables.write_csv(race_table(table, axes, race), csv, "sweep.csv")
        say(f"table       {csv}")
    say(f"\n{race_lines(table, axes, race)}")


def _show_rates(outcome: Outcome, settings: Settings, axes: Sequence[str], say: Say) -> None:
    from nnspec.analysis import solve_rates, tables, widest

    table = outcome.table()
    shown = axis_columns(settings.sweep.table or (), _models(outcome)) or widest(table, axes)
    if settings.sweep.csv:
        tables.write_csv(solve_rates(table, shown) if shown else table, settings.sweep.csv, "sweep.csv")
        say(f"table       {settings.sweep.csv}")
    if shown:
        say("\n" + tables.render(tables.pivot(table, axes, by=shown)))
        if outcome.interval is not None:
            say(
                "these intervals are Wilson's; solve_rate_low and solve_rate_high in MLflow allow for the looks of "
                "replicates=auto"
            )
        best, worst = tables.best_and_worst(table, axes, BEST)
        say(f"\nbest\n{tables.render_frame(best)}\n\nworst\n{tables.render_frame(worst)}")
