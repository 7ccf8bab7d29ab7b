"""What training gave, as Python and notebooks see it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from nnspec.analysis import axes_of, axes_to_compare, solve_rates, widest
from nnspec.analysis import compare as pairs
from nnspec.analysis.levels import column_of, with_short_names
from nnspec.analysis.measures import SOLVED
from nnspec.builder import Opaque, with_weights
from nnspec.errors import Fault, NnspecError
from nnspec.explaining import RunExplanation, explained_table
from nnspec.report import console, notebook
from nnspec.results.arrays import LOOKS, NEVER, TIMES, WILSON, Results, result_lines, unit_of, verdict_text
from nnspec.results.outcome import Outcome
from nnspec.results.race import Race
from nnspec.specs import RunSpec

if TYPE_CHECKING:
    import pandas as pd
    import torch
    from matplotlib.figure import Figure

    from nnspec.claims.judging import Judged
    from nnspec.study import Study


@dataclass(frozen=True)
class TrainResult:
    """What training one or several specs gave: ``table`` has one row a network, ``results`` the arrays of each spec
    (empty where a sweep did not keep them), ``run_ids`` the MLflow runs of the specs, empty without tracking.

    It prints as what became of the networks; a notebook shows solve rates and the main figure.
    """

    results: tuple[Results, ...]
    outcome: Outcome
    run_ids: tuple[str, ...] = ()

    @cached_property
    def table(self) -> pd.DataFrame:
        """One row a network: its seed, the fields that vary, how it ended and what diagnosis measured. A choice has its
        name in two columns, as 'activation' and 'activation.name'."""
        return with_short_names(self.outcome.table())

    @property
    def specs(self) -> list[RunSpec]:
        """The specs that were trained, in the order of ``results``; ``cell`` in the table counts them."""
        return self.outcome.specs

    @property
    def run_id(self) -> str | None:
        """The MLflow run of all: the sweep's, or that of the only spec; None without tracking."""
        return self.outcome.parent or (self.run_ids[0] if len(self.run_ids) == 1 else None)

    @property
    def study(self) -> Study | None:
        """What was asked, where an experiment says it."""
        return self.outcome.study

    @property
    def exit_status(self) -> int:
        """The exit status that the command line ends with."""
        return self.outcome.exit_status

    @property
    def claims(self) -> tuple[Judged, ...]:
        """The claims of the study with their verdicts; none where it states none."""
        return tuple(self.outcome.judged)

    @property
    def unjudged(self) -> tuple[Fault, ...]:
        """Why claims could not be judged, as of a measure that no cell has."""
        return tuple(self.outcome.unjudged)

    @property
    def race(self) -> Race | None:
        """What the race of the cells found out (``sweep.race=true``), else None."""
        return self.outcome.race

    @property
    def axes(self) -> list[str]:
        """The columns of the table that vary, seeds and what others decide aside."""
        return axes_of(self.table)

    @property
    def verdicts(self) -> tuple[np.ndarray, ...]:
        """Of each spec, the verdict on each network."""
        return tuple(self.outcome.outcomes[index]["verdict"] for index in sorted(self.outcome.outcomes))

    @property
    def result(self) -> Results:
        """The arrays of the only spec."""
        if len(self.results) != 1:
            raise NnspecError(f"result is that of one spec, but {len(self.results)} were trained; use results[i]")
        return self.results[0]

    def rates(self, by: str | Sequence[str] | None = None, confidence: float = 0.95) -> pd.DataFrame:
        """One row a combination of the axes ``by`` (all unless said): networks, solved, rate and its interval.

        Raises:
            AnalysisError: an axis is no column of the table.
        """
        return solve_rates(self.table, self._columns(by, self.axes), confidence)

    def compare(self, by: str | None = None, measure: str = SOLVED, confidence: float = 0.95) -> pd.DataFrame:
        """Every pair of levels of an axis (the widest unless said): see ``nnspec.compare``."""
        return compared(self.table, self.axes, by, measure, confidence)

    def explain(self) -> RunExplanation:
        """Why networks did not learn, of each verdict with the numbers that were measured: see ``nnspec.explain``."""
        cells = self.table["cell"]
        found = explained_table(self.table, self.axes, lambda row: self.specs[int(cells.loc[row])])
        solved = int(self.table["solved"].sum())
        return RunExplanation(self.run_id or "", self._name(), len(self.table), solved, tuple(found))

    def figure(self, by: str | Sequence[str] | None = None) -> Figure:
        """The figure that says most: solve rates over the axes ``by`` (the two widest unless said), or of one cell its
        losses over updates.

        Raises:
            AnalysisError: an axis is no column of the table.
            NnspecError: ``by`` has more than two axes.
        """
        columns = self._columns(by, self._widest())
        if len(columns) > 2:
            raise NnspecError(f"a figure has one or two axes, but got {len(columns)}: {', '.join(columns)}; leave some")
        return notebook.figure(self.table, columns, self._only(), self.axes)

    def net(self, replicate: int = 0, cell: int = 0) -> torch.nn.Sequential | Opaque:
        """The trained network of one replicate.

        Raises:
            NnspecError: its arrays were not kept, or there is no such network.
        """
        if not self.results:
            raise NnspecError("net needs the arrays of the cells, but the sweep kept none; sweep with keep=True")
        result = self.results[_place("cell", cell, len(self.results))]
        _place("replicate", replicate, len(result.seeds))
        return with_weights(result.spec, {name: tensor[replicate] for name, tensor in result.final.items()})

    def _name(self) -> str:
        return console.summary(self.specs[0]) if len(self.specs) == 1 else console.count(len(self.specs), "cell")

    def _columns(self, by: str | Sequence[str] | None, otherwise: Sequence[str]) -> list[str]:
        names = otherwise if by is None else [by] if isinstance(by, str) else by
        return [column_of(self.table, name) for name in names]

    def _widest(self) -> list[str]:
        return widest(self.table, self.axes)

    def _only(self) -> Results | None:
        return self.results[0] if len(self.results) == 1 else None

    def __repr__(self) -> str:
        # cells may share seeds: then they count for less than as many networks
        limits, how = self._limits()
        solved, unit = self.table["solved"].to_numpy(), unit_of(*self.specs)
        known = [name for name in TIMES if name in self.table]
        times = {name: self.table[name].to_numpy(dtype=float, na_value=NEVER) for name in known}
        return "\n".join(
            [
                f"{self._name()}: {console.count(len(self.table), 'network')}",
                *result_lines(self.table["final_loss"].to_numpy(), solved, times, unit, limits, how),
                f"verdict     {verdict_text(self.table['verdict'].to_numpy())}",
            ]
        )

    def _limits(self) -> tuple[tuple[float, float], str]:
        """Limits of the solve rate, and what they are: those of ``replicates=auto`` allow for its looks."""
        if self.outcome.interval is not None and len(self.specs) == 1:
            return self.outcome.interval(int(self.table["solved"].sum()), len(self.table)), LOOKS
        rate = solve_rates(self.table, ()).iloc[0]
        return (rate["low"], rate["high"]), WILSON

    def _repr_html_(self) -> str:
        return notebook.result_html(self.table, self._widest(), len(self.specs), self._only(), self.axes)


def compared(table: pd.DataFrame, axes: Sequence[str], by: str | None, measure: str, confidence: float) -> pd.DataFrame:
    """Every pair of levels of ``by``, of the widest of ``axes`` unless said.

    Raises:
        AnalysisError: nothing varies but seeds.
    """
    (axis,) = axes_to_compare(table, by, axes)
    return pairs(table, axis, [axis for axis in axes if axis in table], confidence, measure)


def _place(name: str, number: int, many: int) -> int:
    if not 0 <= number < many:
        raise NnspecError(f"{name} must be one of {many}, from 0, but got {number}; choose another")
    return number
