"""What a sweep as a whole leaves: totals, tables, files."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from nnspec.errors import Fault, NnspecError
from nnspec.explaining import Explanation, explained_table, lines
from nnspec.intervals import wilson_interval
from nnspec.results.outcome import Outcome
from nnspec.results.table import axis_columns, choices
from nnspec.settings import Settings

RESULTS = "results.parquet"
BEST = 5  # best and worst cells that are shown


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
    return totals


def sweep_artifacts(outcome: Outcome) -> dict[str, bytes]:
    """The per-network table."""
    if not outcome.outcomes:
        return {}
    buffer = io.BytesIO()
    outcome.table().to_parquet(buffer, index=False)
    return {RESULTS: buffer.getvalue()}


def sweep_why(outcome: Outcome) -> list[Explanation]:
    """Why networks of a sweep did not learn."""
    if not outcome.outcomes:
        return []
    table = outcome.table()
    return explained_table(table, table_axes(outcome), lambda row: outcome.specs[int(table["cell"].loc[row])])


def table_axes(outcome: Outcome) -> list[str]:
    """The columns of the axes, seeds aside."""
    return choices(outcome.axes, _models(outcome))


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


def show_sweep(outcome: Outcome, settings: Settings, say: Callable[[str], object]) -> None:
    """Solve rates over two axes, the best and the worst cells, and what became of the rest."""
    from nnspec.analysis import solve_rates, tables, widest

    table = outcome.table()
    axes = [axis for axis in table_axes(outcome) if axis in table.columns]
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
    say("\n" + tables.failures(table))
    if why := sweep_why(outcome):
        say(lines(why))
