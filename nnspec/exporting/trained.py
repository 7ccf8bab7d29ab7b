"""One trained network of a filed run: its spec, its weights, how it ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nnspec.errors import Fault, NnspecError

if TYPE_CHECKING:
    from nnspec.specs import RunSpec
    from nnspec.tracking import Store


class ExportError(NnspecError):
    """A run that a format cannot say, or what is asked of it."""

    exit_status = 2


@dataclass(frozen=True)
class Trained:
    """One network: ``initial`` and ``final`` are its weights by state-dict name."""

    run_id: str
    spec: RunSpec
    replicate: int
    initial: Mapping[str, np.ndarray]
    final: Mapping[str, np.ndarray]
    loss: float
    accuracy: float
    solved: bool
    verdict: str  # empty where none is known

    @property
    def seed(self) -> int:
        """What its weights and batches are drawn from."""
        return self.spec.seed + self.replicate


def best_network(solved: np.ndarray, final_loss: np.ndarray) -> int:
    """The solved network with the lowest final loss; where none is solved, the one with the lowest."""
    losses = np.where(np.isfinite(final_loss), final_loss, np.inf)
    return int(np.lexsort((losses, ~np.asarray(solved, bool)))[0])


def read_trained(store: Store, run_id: str, replicate: int | None = None, format: str = "export") -> Trained:
    """Network ``replicate`` of a filed run, from 0; the best one unless said.

    Raises:
        ExportError: the run is a sweep, or has no such replicate.
        TrackingError: it has no results or weights.
        WeightsError: its weights do not fit its spec.
    """
    from nnspec.architecture import architecture
    from nnspec.diagnostics import VERDICTS
    from nnspec.readback import is_sweep
    from nnspec.tracking import read_checked_spec, read_results, read_weights
    from nnspec.tracking.artifacts import FINAL, INITIAL

    where = f"--format {format}"
    if is_sweep(store, run_id):
        remedy = "name one of its cells, as in last/17"
        raise ExportError(Fault(where, "must be given a single run or a cell", f"the sweep {run_id}", remedy))
    spec, results = read_checked_spec(run_id, store), read_results(store, run_id)
    count = min(spec.replicates, len(results))
    chosen = best_network(results["solved"].to_numpy(), results["final_loss"].to_numpy())
    if replicate is not None:
        if not 0 <= replicate < count:
            raise ExportError(
                Fault("replicate", f"must be one of the run's {count}, from 0", f"{replicate}", "choose another")
            )
        chosen = replicate
    shapes, row = architecture(spec).tensors(), results.iloc[chosen]
    several = spec.replicates > 1

    def weights(path: str) -> dict[str, np.ndarray]:
        tensors = read_weights(run_id, store, shapes, path, spec.replicates)
        return {name: tensors[name][chosen] if several else tensors[name] for name in shapes}

    verdict: Any = row.get("verdict", "")
    return Trained(
        run_id,
        spec,
        chosen,
        weights(INITIAL),
        weights(FINAL),
        float(row["final_loss"]),
        float(row["final_accuracy"]),
        bool(row["solved"]),
        verdict if verdict in VERDICTS else "",
    )
