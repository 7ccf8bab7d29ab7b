"""``nnspec show``: the resolved spec, its data, its layers, and what its initialisation does to them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml

from nnspec.cli.flags import Flags, UsageError, write_picture
from nnspec.cli.showing.spec_info import spec_info
from nnspec.documents import document
from nnspec.specs import RunSpec
from nnspec.terminal import table_text

CLASSES = 20  # shown one by one


def show(arguments: Sequence[str]) -> int:
    """Print the spec that the overrides state, layer by layer."""
    from nnspec.compose import spec as compose

    parser = Flags("show", "The resolved spec, its data, its layers, and what its initialisation does to them.")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE")
    forms = parser.add_mutually_exclusive_group()
    forms.add_argument(
        "--plot",
        nargs="?",
        const="",
        metavar="FILE",
        help="draw what is named (data=, activation=, init=; the data unless said) into this PNG file, or without FILE "
        "on a terminal that shows pictures",
    )
    forms.add_argument("--yaml", action="store_true", help="print the spec alone, as spec=FILE reads it")
    parser.json(forms)
    parser.parts()
    asked = parser.parsed(arguments)
    words, file = asked.overrides, asked.plot
    if file and "=" in file:  # --plot init=zeros: a word that --plot took for its FILE
        words, file = [*words, file], ""
    spec = compose(words)
    if file is not None:
        draw(spec, words, file)
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


def draw(spec: RunSpec, words: Sequence[str], path: str) -> None:
    """Draw what the words name into a PNG file, or without one on a terminal that can show it.

    Raises:
        UsageError: there is no file and no such terminal.
        PathError: the file cannot be written.
    """
    from nnspec.cli.showing.inline import shown
    from nnspec.cli.showing.pictures import picture

    content, what = picture(spec, words)
    if not path:
        if not shown(content):
            raise UsageError("--plot needs a FILE here, for this is no terminal that shows pictures; try --plot it.png")
        return
    write_picture(path, content)
    print(f"{' and '.join(what)} drawn into {path}")


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
        spreads = (layer[key] for key in ("weight_promised", "weight_drawn", "bias_drawn"))
        rows.append([layer["layer"], *("-" if spread is None else f"{spread:.4g}" for spread in spreads)])
    what = f"init {init['scheme']}, bias {init['bias']}, gain {init['gain']:.4g}"
    yield f"{what}: standard deviations, drawn over {init['seeds']} seeds"
    yield table_text(["layer", "weight promised", "weight drawn", "bias drawn"], rows)
