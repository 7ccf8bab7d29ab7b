"""Reading runs back: the spec and the weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from nnspec.check import archived_spec
from nnspec.errors import Fault, SpecError, TrackingError, WeightsError
from nnspec.files import load_yaml
from nnspec.specs import RunSpec
from nnspec.tracking.artifacts import FINAL, SPEC
from nnspec.tracking.store import Store, artifact_at_end


def read_spec(run_id: str, store: Store, path: str = SPEC) -> dict[str, Any]:
    """The spec of a run, in its artifact ``path``, as the plain mapping that ``RunSpec.from_mapping`` reads.

    Raises:
        TrackingError: if the run has none, as a sweep's parent, or what it has is no mapping in YAML.
    """
    try:
        mapping = load_yaml(artifact_at_end(store, run_id, path))
    except ValueError as error:
        raise _no_spec(run_id, f"no YAML: {error}") from None
    if not isinstance(mapping, dict):
        raise _no_spec(run_id, type(mapping).__name__)
    return {str(key): value for key, value in mapping.items()}


def read_checked_spec(run_id: str, store: Store, path: str = SPEC) -> RunSpec:
    """The spec of a run, in its artifact ``path``, checked: what names it has are known, and every value is one that it
    may be.

    Raises:
        TrackingError: if the run has none, or what it has has faults.
    """
    try:
        return archived_spec(read_spec(run_id, store, path))
    except SpecError as error:
        raise _no_spec(run_id, f"one with faults: {error.faults[0]}") from None
    except RecursionError:
        raise _no_spec(run_id, "one nested too deep") from None


def _no_spec(run_id: str, what: str) -> TrackingError:
    rule = "must be a mapping with the fields of a spec"
    return TrackingError(Fault(f"{SPEC} of run {run_id}", rule, what, "look at the run in the MLflow UI"))


def read_weights(
    run_id: str,
    store: Store,
    shapes: Mapping[str, tuple[int, ...]] | None = None,
    path: str = FINAL,
    replicates: int = 1,
) -> dict[str, np.ndarray]:
    """The weights of a run by ``state_dict`` name; replicates come first where there is more than one.

    ``shapes`` are those of one network's tensors; with them, names and shapes of the file are checked.

    Raises:
        TrackingError: if the run has no such file.
        WeightsError: if the file is none, is another run's, or does not fit ``shapes``.
    """
    weights = loaded_tensors(store.artifact(run_id, path), f"{path} of run {run_id}")
    if shapes is not None:
        check_shapes(f"{path} of run {run_id}", weights, shapes, replicates)
    return weights


def loaded_tensors(content: bytes, where: str) -> dict[str, np.ndarray]:
    """The tensors of a safetensors file by name; ``where`` names it in the error.

    Raises:
        WeightsError: it is none.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        return load(content)
    except (SafetensorError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise WeightsError(Fault(where, "must be a safetensors file", str(error), "file the run again")) from error


def check_shapes(
    where: str, weights: Mapping[str, np.ndarray], shapes: Mapping[str, tuple[int, ...]], replicates: int
) -> None:
    """Check that weights are those of networks whose tensors have these ``shapes``; ``where`` names them in the error.

    Raises:
        WeightsError: a name, a shape or a kind of number is another.
    """
    lead = (replicates,) if replicates > 1 else ()
    wanted = {name: (*lead, *shape) for name, shape in shapes.items()}
    found = {name: array.shape for name, array in weights.items()}
    for name in sorted(wanted.keys() | found.keys()):
        if wanted.get(name) != found.get(name):
            rule = f"must have {name} of shape {wanted[name]}" if name in wanted else f"must have no {name}"
            raise WeightsError(
                Fault(where, rule, str(found.get(name, "none")), "load it into the model of its own spec")
            )
        if weights[name].dtype.kind != "f":
            raise WeightsError(
                Fault(where, f"must have {name} in floating point", str(weights[name].dtype), "file the run again")
            )
