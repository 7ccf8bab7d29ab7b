"""nnspec from Python: train specs and load what was trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from nnspec.architecture import architecture
from nnspec.builder import with_weights
from nnspec.check import checked
from nnspec.errors import NnspecError, TrainingError
from nnspec.readback import networks
from nnspec.report import console
from nnspec.report.notebook import result_html
from nnspec.results.arrays import NEVER, TIMES, Results, result_lines, unit_of, verdict_text
from nnspec.results.outcome import Outcome
from nnspec.runner import run
from nnspec.settings import Runtime, Settings, Tracking
from nnspec.specs import RunSpec
from nnspec.sweep import Cell
from nnspec.tracking import open_store, read_checked_spec, read_weights

if TYPE_CHECKING:
    import pandas as pd
    import torch


@dataclass(frozen=True)
class TrainResult:
    """What training one or several specs gave: ``results`` has the arrays of each, ``table`` one row a network,
    made of the ``outcome`` when it is first asked for.

    ``run_ids`` are the MLflow runs of the specs, empty without tracking. It prints as what became of the networks; a
    notebook shows solve rates and the main figure.
    """

    results: tuple[Results, ...]
    outcome: Outcome
    run_ids: tuple[str, ...] = ()

    @cached_property
    def table(self) -> pd.DataFrame:
        """One row a network: its seed, the fields that vary, how it ended and what diagnosis measured."""
        return self.outcome.table()

    @property
    def verdicts(self) -> tuple[np.ndarray, ...]:
        """Of each spec, the verdict on each network."""
        return tuple(result.verdict for result in self.results)

    @property
    def result(self) -> Results:
        """The arrays of the only spec."""
        if len(self.results) != 1:
            raise NnspecError(f"result is that of one spec, but {len(self.results)} were trained; use results[i]")
        return self.results[0]

    def net(self, replicate: int = 0, cell: int = 0) -> torch.nn.Sequential:
        """The trained network of one replicate."""
        result = self.results[cell]
        return with_weights(result.spec, {name: tensor[replicate] for name, tensor in result.final.items()})

    def __repr__(self) -> str:
        from nnspec.analysis import solve_rates

        # cells may share seeds: then they count for less than as many networks
        rate = solve_rates(self.table, ()).iloc[0]
        solved, unit = self.table["solved"].to_numpy(), unit_of(*(result.spec for result in self.results))
        known = [name for name in TIMES if name in self.table]
        times = {name: self.table[name].to_numpy(dtype=float, na_value=NEVER) for name in known}
        cells = (
            console.summary(self.results[0].spec)
            if len(self.results) == 1
            else console.count(len(self.results), "cell")
        )
        return "\n".join(
            [
                f"{cells}: {console.count(len(self.table), 'network')}",
                *result_lines(self.table["final_loss"].to_numpy(), solved, times, unit, (rate["low"], rate["high"])),
                f"verdict     {verdict_text(self.table['verdict'].to_numpy())}",
            ]
        )

    def _repr_html_(self) -> str:
        return result_html(self.results, self.table)


def train(
    specs: RunSpec | Sequence[RunSpec],
    *,
    tracking: bool | str = False,
    workers: int | None = None,
    progress: bool = False,
) -> TrainResult:
    """Train one spec, or several at once, as the command line does.

    ``tracking`` files the runs: True where the command line would, or the URI of a store. ``progress`` shows what the
    command line shows.

    Raises:
        SpecError: a spec has a fault.
        TrainingError: networks could not be trained.
    """
    several = [specs] if isinstance(specs, RunSpec) else list(specs)
    cells = [Cell(checked(spec)) for spec in several]
    store = Tracking(enabled=bool(tracking), uri=tracking if isinstance(tracking, str) else None)
    settings = Settings(tracking=store, runtime=Runtime(workers=workers))
    outcome = run(cells, settings, sweep=len(cells) > 1, command="nnspec.train", quiet=not progress, keep=True)
    _complain(outcome, len(cells))
    results = tuple(outcome.cells[index].result for index in range(len(cells)))
    ids = tuple(outcome.run_ids[index] for index in range(len(cells))) if tracking else ()
    return TrainResult(results, outcome, ids)


def _complain(outcome: Outcome, cells: int) -> None:
    if outcome.interrupted:
        raise KeyboardInterrupt
    lost = {
        index: outcome.failed.get(index, "it did not train") for index in range(cells) if index not in outcome.cells
    }
    if lost:
        raise TrainingError("; ".join(f"spec {index} did not train: {reason}" for index, reason in lost.items()))


def load(
    run_id: str, replicate: int | None = None, *, uri: str | None = None, weights: str = "final"
) -> torch.nn.Sequential:
    """The network of a filed run, rebuilt from its spec and its safetensors file, checked by shape.

    ``replicate`` picks one of several networks (the first unless said), ``weights`` the 'final' or the 'initial' ones,
    ``uri`` the store (by default where the command line files).

    Raises:
        TrackingError: there is no such run, or it has no weights.
        WeightsError: the weights do not fit the spec.
    """
    if weights not in ("final", "initial"):
        raise NnspecError(f"weights must be 'final' or 'initial', but got '{weights}'; choose one")
    store = open_store(Tracking(uri=uri))
    spec = read_checked_spec(run_id, store)
    tensors = read_weights(
        run_id, store, architecture(spec).tensors(), f"weights/{weights}.safetensors", spec.replicates
    )
    chosen = replicate or 0
    if not 0 <= chosen < spec.replicates:
        raise NnspecError(
            f"replicate must be one of the run's {spec.replicates}, from 0, but got {chosen}; choose another"
        )
    return with_weights(
        spec, {name: tensor[chosen] if spec.replicates > 1 else tensor for name, tensor in tensors.items()}
    )


def table(run_id: str, *, uri: str | None = None) -> pd.DataFrame:
    """The per-network table of a sweep or of a single run."""
    return networks(open_store(Tracking(uri=uri)), run_id)
