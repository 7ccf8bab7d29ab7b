"""The records of a cell: what is filed of a spec and of what its networks measured."""

from __future__ import annotations

import hashlib
import itertools
import json
from functools import lru_cache

import numpy as np

from nnspec.duration import tolerance, updates
from nnspec.effects import seed_matters
from nnspec.intervals import wilson_limits
from nnspec.results.arrays import NEVER, Results, quantile, worst
from nnspec.specs import Member, RunSpec
from nnspec.tracking.records import NAME_LIMIT, DatasetInfo, Series

SORTED = 1_000_000  # numbers that are sorted at a time
SWEEP_POINTS = 20  # points of a series that a cell of a sweep files; history.parquet has all
FEW_POINTS = 5  # of one of thousands of runs: the points are most of what a store holds
POINTS_IN_ALL = 10_000  # points of a series that the runs of a sweep file together, where each files more than a few


def dataset_info(name: str, inputs: np.ndarray, targets: np.ndarray) -> DatasetInfo:
    """The record of a data set: inputs [n, i], targets [n, o]; the digest is 8 hexadecimal digits of their content."""
    digest = hashlib.sha256()
    for array in (inputs, targets):
        digest.update(f"{array.dtype.str}{array.shape}".encode() + np.ascontiguousarray(array).tobytes())
    parts = {"features": inputs, "targets": targets}
    specs = {part: json.dumps([_tensor(array)]) for part, array in parts.items()}
    profile = {f"{part}_{fact}": value for part, array in parts.items() for fact, value in _size(array).items()}
    source = json.dumps({"tags": {"mlflow.source.name": "nnspec", "mlflow.source.type": "LOCAL"}})
    return DatasetInfo(
        name, digest.hexdigest()[:8], json.dumps({"mlflow_tensorspec": specs}), json.dumps(profile), source=source
    )


def _tensor(array: np.ndarray) -> dict[str, object]:
    return {"type": "tensor", "tensor-spec": {"dtype": str(array.dtype), "shape": [-1, *array.shape[1:]]}}


def _size(array: np.ndarray) -> dict[str, object]:
    return {"shape": list(array.shape), "size": array.size, "nbytes": array.nbytes}


def _over_steps(values: np.ndarray, share: float, worst: str = "high") -> np.ndarray:
    """[t] the quantiles of values [r, t], few steps at a time: sorting takes copies in double precision."""
    together = max(1, SORTED // max(1, len(values)))
    parts = [
        quantile(values[:, start : start + together], share, worst) for start in range(0, values.shape[1], together)
    ]
    return np.concatenate(parts) if len(parts) > 1 else parts[0]


@lru_cache(256)
def kept_rows(rows: int, most: int) -> np.ndarray:
    """At most ``most`` of the numbers below ``rows``: the first and the last, and between them about as many in each
    octave, as a logarithmic axis shows them."""
    if rows <= most:
        return _shared(np.arange(rows))
    kept = [0, 1]
    for left in range(most - 2, 0, -1):
        kept.append(max(kept[-1] + 1, round(kept[-1] * ((rows - 1) / kept[-1]) ** (1 / left))))
    return _shared(np.array(kept))


def _shared(places: np.ndarray) -> np.ndarray:
    """Places that many ask for and nobody changes."""
    places.flags.writeable = False
    return places


def points_of(cells: int) -> int:
    """Points of a series that a cell files that is one of so many runs of a sweep."""
    return min(SWEEP_POINTS, max(FEW_POINTS, POINTS_IN_ALL // max(cells, 1)))


def history_series(result: Results, most: int | None = None, rows: int | None = None) -> dict[str, Series]:
    """The metrics over steps: of the one network, or medians over replicates with the 10% and 90% quantiles of the
    losses and of ``test_accuracy`` (``loss_q10``, ``loss_q90`` ...) and the share solved. ``errors``, the wrong rows in
    each pass of the perceptron's rule, have a point a pass.

    A series has at most ``most`` points, see ``kept_rows``; ``rows`` are those that the history will have when training
    ends, where it has not yet: the points of a part of it are among those of the whole.

    Broken networks count as the worst ones: see ``quantile``.
    """
    errors = result.errors
    if most is not None:
        kept = kept_rows(len(result.steps) if rows is None else rows, most)
        result = result.select(step=kept[kept < len(result.steps)])
    steps = np.asarray(result.steps, np.int64)
    lines = {"loss": _over_steps(result.loss, 0.5), "accuracy": _over_steps(result.accuracy, 0.5, worst="low")}
    spread = {"loss": result.loss}
    if result.test_loss is not None:
        spread |= {"test_loss": result.test_loss, "test_accuracy": result.test_accuracy}
        lines |= {name: _over_steps(spread[name], 0.5, worst(name)) for name in ("test_loss", "test_accuracy")}
    lines.update({f"weight_norm/{layer}": _over_steps(norm, 0.5) for layer, norm in result.weight_norm.items()})
    if len(result.seeds) > 1:
        for name, values in spread.items():
            lines[f"{name}_q10"] = _over_steps(values, 0.1, worst(name))
            lines[f"{name}_q90"] = _over_steps(values, 0.9, worst(name))
        lines["solved_fraction"] = result.right.mean(axis=0, dtype=np.float64)
    series = {key: Series(steps, values) for key, values in lines.items()}
    if errors is not None:
        passes = kept_rows(errors.shape[1], most or errors.shape[1])
        series["errors"] = Series(passes + 1, _over_steps(errors[:, passes], 0.5))
    return series


def final_metrics(result: Results) -> dict[str, float]:
    """What is known at the end: medians over replicates (of a test part with the 10% and 90% quantiles), the share
    solved with its 95% Wilson interval, ``solved_at`` and, where networks may stop, ``stopped_at``.

    These are medians over the replicates that were solved or stopped, in updates made; absent if none was.
    """
    solved = np.asarray(result.solved, bool)
    low, high = wilson_limits(int(solved.sum()), solved.size)
    metrics = {
        **{name: float(quantile(values, 0.5, worst(name))) for name, values in result.finals.items()},
        "solve_rate": float(solved.mean()),
        "solve_rate_low": low,
        "solve_rate_high": high,
    }
    of_test = [name for name in result.finals if "test" in name] if solved.size > 1 else []
    for name, (key, share) in itertools.product(of_test, (("q10", 0.1), ("q90", 0.9))):
        metrics[f"{name}_{key}"] = float(quantile(result.finals[name], share, worst(name)))
    for name, at in result.times.items():
        if (at != NEVER).any():
            metrics[name] = float(np.median(at[at != NEVER]))
    return metrics


def run_name(spec: RunSpec) -> str:
    """A readable name that the same spec always gets, as ``mlp-4-gelu-kaiming_uniform-adam-s0``; ``-x1000`` for
    replicates. It has no seed where none has an effect."""
    hidden = dict(spec.model.params).get("hidden")
    sizes = [str(size) for size in hidden] if isinstance(hidden, tuple) else []
    parts = [spec.model.name, *sizes, spec.activation.name, spec.init.name, spec.optimizer.name]
    if seed_matters(spec):
        parts.append(f"s{spec.seed}")
    if spec.replicates > 1:
        parts.append(f"x{spec.replicates}")
    return "-".join(parts)[:NAME_LIMIT]


def describe(spec: RunSpec) -> str:
    """One paragraph about the run, for the description that MLflow shows above it."""
    last = spec.seed + spec.replicates - 1
    networks = (
        f"One network (seed {spec.seed})"
        if spec.replicates == 1
        else f"{spec.replicates} networks (seeds {spec.seed} to {last})"
    )
    return (
        f"{networks}: model {_words(spec.model)}, activation {_words(spec.activation)}, initialised with "
        f"{_words(spec.init)}, trained by "
        f"{_words(spec.optimizer)} on {_words(spec.data)} with the loss {_words(spec.loss)}, {updates(spec)} "
        f"updates in {spec.dtype}. "
        f"A row counts as right within {tolerance(spec):g} of its target; a network is solved if {_solved(spec)}."
    )


def _solved(spec: RunSpec) -> str:
    """When a network is solved, in words."""
    share = "every" if spec.solved.at_least == 1 else f"at least {spec.solved.at_least:.4g} of all"
    rows = "row" if spec.solved.at_least == 1 else "rows"
    part = " of the test part" if spec.solved.measure == "test_accuracy" else ""
    return f"{share} {rows}{part} {'is' if rows == 'row' else 'are'}"


@lru_cache(4096)  # the cells of a sweep share most of their members
def _words(member: Member) -> str:
    said = [f"{key}={_plain(value)}" for key, value in member.params if value is not None]
    return f"{member.name} ({', '.join(said)})" if said else member.name


def _plain(value: object) -> str:
    return "[" + ",".join(_plain(item) for item in value) + "]" if isinstance(value, tuple) else str(value)
