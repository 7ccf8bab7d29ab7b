"""``nnspec show``: the resolved spec, its data, its layers, and what its initialisation does to them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import yaml

from nnspec.architecture import Architecture, Pointwise, architecture
from nnspec.catalog import DATA, INITS, LOSSES
from nnspec.catalog.inits import Layer
from nnspec.cli.flags import Flags, UsageError
from nnspec.problem import parts_of
from nnspec.specs import RunSpec
from nnspec.terminal import table_text

SEEDS = 1000
CLASSES = 20  # shown one by one
_NUMBERS = 10_000_000  # drawn at most: wide models show fewer seeds


def show(arguments: Sequence[str]) -> int:
    """Print the spec that the overrides state, layer by layer."""
    from nnspec.compose import spec as compose

    parser = Flags("show", "The resolved spec, its data, its layers, and what its initialisation does to them.")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE")
    parser.add_argument("--plot", metavar="FILE", help="draw the data into this PNG file")
    asked = parser.parsed(arguments)
    spec = compose(asked.overrides)
    if asked.plot:
        write_picture(spec, asked.plot)
        return 0
    print(f"# spec {spec.fingerprint}")
    print(yaml.safe_dump(spec.to_mapping(), sort_keys=False, default_flow_style=None), end="")
    print("\n".join(["", *data_lines(spec), "", *layer_lines(architecture(spec)), "", *init_lines(spec)]))
    return 0


def write_picture(spec: RunSpec, path: str) -> None:
    """Draw the data of a spec into a PNG file.

    Raises:
        UsageError: the file cannot be written.
    """
    from nnspec.analysis.data_figures import Shown, plot_data

    made, parts = DATA[spec.data.name].make(dict(spec.data.params)), parts_of(spec.data, spec.loss.name, spec.seed)
    numbers = LOSSES[spec.loss.name].numbers and made.targets is not None
    both = [("training", parts.inputs, parts.targets), ("test", parts.test_inputs, parts.test_targets)]
    shown = [
        Shown(name, inputs, None if numbers else _labels(targets), targets[:, 0] if numbers else None)
        for name, inputs, targets in both
        if len(inputs)
    ]
    names = made.class_names or tuple(str(number) for number in range(made.classes))
    rows, width = made.inputs.shape
    picture = plot_data(shown, names, f"{spec.data.name}: {rows:,} rows of {width} input{'s' * (width != 1)}")
    try:
        Path(path).write_bytes(picture)
    except OSError as error:
        raise UsageError(f"--plot must name a file that can be written, but got {path}: {error.strerror}") from error
    print(f"data drawn into {path}")


def data_lines(spec: RunSpec) -> Iterator[str]:
    """The two parts of the data with the shapes of their arrays, what their numbers are like, and the rows of each
    class."""
    made, parts = DATA[spec.data.name].make(dict(spec.data.params)), parts_of(spec.data, spec.loss.name, spec.seed)
    both = [("training", parts.inputs, parts.targets), ("test", parts.test_inputs, parts.test_targets)]
    shown = [(name, inputs, targets) for name, inputs, targets in both if len(inputs)]
    shapes = [
        [name, f"inputs {[*inputs.shape]}, targets {[*targets.shape]}", _range(inputs)]
        for name, inputs, targets in shown
    ]
    yield f"data {spec.data.name}: {made.inputs.shape[0]} rows of {made.inputs.shape[1]} inputs"
    yield table_text(["part", "shapes", "inputs"], shapes, left=3)
    if LOSSES[spec.loss.name].numbers and made.targets is not None:
        names = made.target_names or tuple(str(number) for number in range(made.targets.shape[1]))
        yield table_text(
            ["to be learnt", *(name for name, *_ in shown)],
            [[name, *(_range(targets[:, number]) for *_, targets in shown)] for number, name in enumerate(names)],
            left=1,
        )
        return
    names = made.class_names or tuple(str(number) for number in range(made.classes))
    counts = [_counts(targets, made.classes) for *_, targets in shown]
    rows = [[name, *(str(count[number]) for count in counts)] for number, name in enumerate(names)]
    hidden = len(rows) - CLASSES
    yield table_text(["class", *(name for name, *_ in shown)], rows[:CLASSES], left=1)
    if hidden > 0:
        yield f"... and {hidden} more"


def _range(values: np.ndarray) -> str:
    mean = round(float(values.mean()), 12) + 0.0  # a standardised column's is 0 but for rounding
    return f"{values.min():.4g} to {values.max():.4g}, mean {mean:.4g}"


def _counts(targets: np.ndarray, classes: int) -> list[int]:
    """Rows of each class, of targets [n, k] with an output a class, or one that is positive for the second class."""
    return np.bincount(_labels(targets), minlength=classes).tolist()


def _labels(targets: np.ndarray) -> np.ndarray:
    """The class of each row of targets [n, k]."""
    return targets.argmax(1) if targets.shape[1] > 1 else (targets[:, 0] > 0).astype(np.int64)


def layer_lines(shape: Architecture) -> Iterator[str]:
    """The layers in their order, with the shapes of their tensors and how many numbers they train."""
    yield table_text(["layer", "kind", "tensors", "parameters"], list(_layers(shape)), left=3)
    yield (
        f"{shape.parameters} parameters in all, from {shape.inputs} inputs to {shape.outputs} "
        f"output{'s' * (shape.outputs != 1)}"
    )


def _layers(shape: Architecture) -> Iterator[list[str]]:
    for dense, after in zip(shape.dense, shape.after, strict=True):
        count = dense.fan_in * dense.fan_out + dense.fan_out
        yield [dense.name, "linear", f"weight [{dense.fan_out}, {dense.fan_in}], bias [{dense.fan_out}]", str(count)]
        yield [after.name, after.member.name, _learned(after), str(len(after.tensors))]


def _learned(after: Pointwise) -> str:
    return ", ".join(f"{name.partition('.')[2]} [1]" for name in after.tensors)


def init_lines(spec: RunSpec) -> Iterator[str]:
    """The standard deviation of each layer's weights and biases: as the scheme promises, and as drawn."""
    if INITS[spec.init.name].stored:
        yield f"weights and biases are those of {spec.init['path']}"
        return
    from nnspec.initial import activation_gain, initial_weights

    shape = architecture(spec)
    seeds = max(1, min(SEEDS, _NUMBERS // shape.parameters))
    weights = initial_weights(spec, np.arange(seeds))
    gain = activation_gain(spec.activation)
    rows = []
    for dense in shape.dense:
        promised = INITS[spec.init.name].std
        said = (
            "-"
            if promised is None
            else f"{promised(Layer(dense.fan_in, dense.fan_out, gain), dict(spec.init.params)):.4g}"
        )
        weight, bias = weights[f"{dense.name}.weight"], weights[f"{dense.name}.bias"]
        with np.errstate(over="ignore", invalid="ignore"):  # numbers near the largest float: their spread is infinite
            drawn = [f"{values.std(dtype=np.float64):.4g}" for values in (weight, bias)]
        rows.append([dense.name, said, *drawn])
    yield (
        f"init {spec.init.name}, bias {spec.init['bias']}, gain {gain:.4g}: standard deviations, drawn over {seeds} "
        "seeds"
    )
    yield table_text(["layer", "weight promised", "weight drawn", "bias drawn"], rows)
