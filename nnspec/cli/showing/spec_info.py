"""What ``nnspec show`` tells of a spec, in plain values: its data, its layers, and what its initialisation does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from nnspec.architecture import Architecture, architecture
from nnspec.catalog import DATA, INITS, LOSSES
from nnspec.catalog.data.sets import DataSet
from nnspec.catalog.inits import Layer
from nnspec.problem import parts_of
from nnspec.specs import Member, RunSpec

SEEDS = 1000
_NUMBERS = 10_000_000  # drawn at most: wide models show fewer seeds


def spec_info(spec: RunSpec) -> dict[str, Any]:
    """All that is told of a checked spec."""
    shape = architecture(spec)
    return {
        "fingerprint": spec.fingerprint,
        "spec": spec.to_mapping(),
        "data": data_info(spec),
        "inputs": shape.inputs,
        "outputs": shape.outputs,
        "parameters": shape.parameters,
        "layers": list(_layers(spec, shape)),
        "init": init_info(spec),
    }


def data_info(spec: RunSpec) -> dict[str, Any]:
    """The parts of the data with the shapes of their arrays and the range of their inputs, and what is to be learnt:
    rows of each class, or the range of each number; of both one is None."""
    made, shown = data_of(spec)
    numbers = classes = None
    if LOSSES[spec.loss.name].numbers and made.targets is not None:
        names = made.target_names or tuple(str(number) for number in range(made.targets.shape[1]))
        found = {part: [_range(column) for column in targets.T] for part, (_, targets) in shown.items()}
        numbers = [{"name": name, **{part: found[part][i] for part in shown}} for i, name in enumerate(names)]
    else:
        names = made.class_names or tuple(str(number) for number in range(made.classes))
        counts = {part: _counts(targets, made.classes) for part, (_, targets) in shown.items()}
        classes = [{"name": name, **{part: counts[part][i] for part in shown}} for i, name in enumerate(names)]
    return {
        "name": spec.data.name,
        "rows": made.inputs.shape[0],
        "inputs": made.inputs.shape[1],
        "parts": [
            {"part": part, "inputs": inputs.shape, "targets": targets.shape, "input_range": _range(inputs)}
            for part, (inputs, targets) in shown.items()
        ],
        "classes": classes,
        "numbers": numbers,
    }


def data_of(spec: RunSpec) -> tuple[DataSet, dict[str, tuple[np.ndarray, np.ndarray]]]:
    """The data set of a spec, and inputs and targets of those of its parts that have rows."""
    made, parts = DATA[spec.data.name].make(dict(spec.data.params)), parts_of(spec.data, spec.loss.name, spec.seed)
    both = {"training": (parts.inputs, parts.targets), "test": (parts.test_inputs, parts.test_targets)}
    return made, {name: arrays for name, arrays in both.items() if len(arrays[0])}


def _range(values: np.ndarray) -> dict[str, float]:
    mean = round(float(values.mean()), 12) + 0.0  # a standardised column's is 0 but for rounding
    return {"least": float(values.min()), "most": float(values.max()), "mean": mean}


def _counts(targets: np.ndarray, classes: int) -> list[int]:
    """Rows of each class, of targets [n, k] with an output a class, or one that is positive for the second class."""
    return np.bincount(labels(targets), minlength=classes).tolist()


def labels(targets: np.ndarray) -> np.ndarray:
    """The class of each row of targets [n, k]."""
    return targets.argmax(1) if targets.shape[1] > 1 else (targets[:, 0] > 0).astype(np.int64)


def _layers(spec: RunSpec, shape: Architecture) -> Iterator[dict[str, Any]]:
    """The layers in their order, with the shapes of their tensors and how many numbers they train; of a module the
    parts that have tensors."""
    if shape.opaque:
        yield from _parts(spec, shape)
        return
    for dense, after in zip(shape.dense, shape.after, strict=True):
        tensors: dict[str, list[int]] = {"weight": [dense.fan_out, dense.fan_in], "bias": [dense.fan_out]}
        count = dense.fan_in * dense.fan_out + dense.fan_out
        yield {"layer": dense.name, "kind": "linear", "tensors": tensors, "parameters": count}
        learned = {name.partition(".")[2]: [1] for name in after.tensors}
        yield {"layer": after.name, "kind": after.member.name, "tensors": learned, "parameters": len(learned)}


def _parts(spec: RunSpec, shape: Architecture) -> Iterator[dict[str, Any]]:
    """The parts of a module that have tensors of their own or no parts, in its order, each with its class."""
    from nnspec.initial import drawn_module

    trained = dict(shape.shapes)
    for name, part in drawn_module(spec, spec.seed).named_modules():
        own = dict(part.named_parameters(recurse=False)) | dict(part.named_buffers(recurse=False))
        if not own and (next(part.children(), None) is not None or not name):
            continue
        counted = [values.numel() for tensor, values in own.items() if f"{name}.{tensor}".lstrip(".") in trained]
        tensors = {tensor: list(values.shape) for tensor, values in own.items()}
        yield {"layer": name or "module", "kind": type(part).__name__, "tensors": tensors, "parameters": sum(counted)}
    yield {"layer": shape.after[-1].name, "kind": shape.output.name, "tensors": {}, "parameters": 0}


def init_info(spec: RunSpec) -> dict[str, Any]:
    """The standard deviation of each layer's weights and biases: as the scheme promises (None where it promises none),
    and as drawn over some seeds (None of a bias that a layer has not). Nothing is drawn of stored weights."""
    entry = INITS[spec.init.name]
    if entry.stored:
        return {"scheme": entry.name, "path": spec.init["path"], "layers": []}
    weights, gain, seeds = drawn_weights(spec)
    layers = []
    for name, _, _, promised in promises(spec):
        bias = weights.get(f"{name}.bias")
        layers.append(
            {
                "layer": name,
                "weight_promised": promised,
                "weight_drawn": _spread(weights[f"{name}.weight"]),
                "bias_drawn": None if bias is None else _spread(bias),
            }
        )
    return {"scheme": entry.name, "bias": spec.init["bias"], "gain": gain, "seeds": seeds, "layers": layers}


def promises(spec: RunSpec) -> Iterator[tuple[str, Member, Layer, float | None]]:
    """Each layer's name, its scheme, what that sees of it, and the standard deviation that it promises of the weights;
    None where it promises none."""
    from nnspec.initial import filled_layers, gains, schemes

    filled = filled_layers(spec)
    for layered, init, gain in zip(filled, schemes(spec, len(filled)), gains(spec, len(filled)), strict=True):
        std, layer = INITS[init.name].std, Layer(layered.fan_in, layered.fan_out, gain)
        yield layered.name, init, layer, None if std is None else std(layer, dict(init.params))


def drawn_weights(spec: RunSpec) -> tuple[dict[str, np.ndarray], float, int]:
    """The initial weights [m, ...] of many networks of a spec, the activation's gain, and how many networks."""
    from nnspec.initial import activation_gain, initial_weights

    seeds = max(1, min(SEEDS, _NUMBERS // architecture(spec).parameters))
    return initial_weights(spec, np.arange(seeds)), activation_gain(spec.activation), seeds


def _spread(values: np.ndarray) -> float:
    with np.errstate(over="ignore", invalid="ignore"):  # numbers near the largest float: their spread is infinite
        return float(values.std(dtype=np.float64))
