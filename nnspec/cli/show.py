"""``nnspec show``: the resolved spec, its data, its layers, and what its initialisation does to them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from nnspec.catalog import DATA, LOSSES
from nnspec.cli.flags import Flags, UsageError
from nnspec.cli.spec_info import labels, spec_info
from nnspec.documents import document
from nnspec.problem import parts_of
from nnspec.specs import RunSpec
from nnspec.terminal import table_text

CLASSES = 20  # shown one by one


def show(arguments: Sequence[str]) -> int:
    """Print the spec that the overrides state, layer by layer."""
    from nnspec.compose import spec as compose

    parser = Flags("show", "The resolved spec, its data, its layers, and what its initialisation does to them.")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE")
    forms = parser.add_mutually_exclusive_group()
    forms.add_argument("--plot", metavar="FILE", help="draw the data into this PNG file")
    forms.add_argument("--yaml", action="store_true", help="print the spec alone, as spec=FILE reads it")
    parser.json(forms)
    asked = parser.parsed(arguments)
    spec = compose(asked.overrides)
    if asked.plot:
        write_picture(spec, asked.plot)
    elif asked.yaml:
        print(spec.yaml(), end="")
    elif asked.json:
        print(document(spec_info(spec)))
    else:
        print("\n".join(lines(spec)))
    return 0


def lines(spec: RunSpec) -> Iterator[str]:
    """All that is told of a spec, in words."""
    info = spec_info(spec)
    yield f"# spec {info['fingerprint']}"
    yield yaml.safe_dump(info["spec"], sort_keys=False, default_flow_style=None)
    yield from data_lines(info["data"])
    yield ""
    yield from layer_lines(info)
    yield ""
    yield from init_lines(info["init"])


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
        Shown(name, inputs, None if numbers else labels(targets), targets[:, 0] if numbers else None)
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


def data_lines(data: Mapping[str, Any]) -> Iterator[str]:
    """The two parts of the data with the shapes of their arrays, what their numbers are like, and the rows of each
    class."""
    parts = [part["part"] for part in data["parts"]]
    shapes = [
        [part["part"], f"inputs {[*part['inputs']]}, targets {[*part['targets']]}", _range(part["input_range"])]
        for part in data["parts"]
    ]
    yield f"data {data['name']}: {data['rows']} rows of {data['inputs']} inputs"
    yield table_text(["part", "shapes", "inputs"], shapes, left=3)
    if data["numbers"] is not None:
        rows = [[number["name"], *(_range(number[part]) for part in parts)] for number in data["numbers"]]
        yield table_text(["to be learnt", *parts], rows, left=1)
        return
    rows = [[each["name"], *(str(each[part]) for part in parts)] for each in data["classes"]]
    hidden = len(rows) - CLASSES
    yield table_text(["class", *parts], rows[:CLASSES], left=1)
    if hidden > 0:
        yield f"... and {hidden} more"


def _range(values: Mapping[str, float]) -> str:
    return f"{values['least']:.4g} to {values['most']:.4g}, mean {values['mean']:.4g}"


def layer_lines(info: Mapping[str, Any]) -> Iterator[str]:
    """The layers in their order, with the shapes of their tensors and how many numbers they train."""
    rows = []
    for layer in info["layers"]:
        tensors = ", ".join(f"{name} {shape}" for name, shape in layer["tensors"].items())
        rows.append([layer["layer"], layer["kind"], tensors, str(layer["parameters"])])
    yield table_text(["layer", "kind", "tensors", "parameters"], rows, left=3)
    outputs = f"{info['outputs']} output{'s' * (info['outputs'] != 1)}"
    yield f"{info['parameters']} parameters in all, from {info['inputs']} inputs to {outputs}"


def init_lines(init: Mapping[str, Any]) -> Iterator[str]:
    """The standard deviation of each layer's weights and biases: as the scheme promises, and as drawn."""
    if "path" in init:
        yield f"weights and biases are those of {init['path']}"
        return
    rows = []
    for layer in init["layers"]:
        promised = layer["weight_promised"]
        said = "-" if promised is None else f"{promised:.4g}"
        rows.append([layer["layer"], said, f"{layer['weight_drawn']:.4g}", f"{layer['bias_drawn']:.4g}"])
    what = f"init {init['scheme']}, bias {init['bias']}, gain {init['gain']:.4g}"
    yield f"{what}: standard deviations, drawn over {init['seeds']} seeds"
    yield table_text(["layer", "weight promised", "weight drawn", "bias drawn"], rows)
