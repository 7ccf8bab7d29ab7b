"""Pages of the catalog, made of its registries: formula, parameters, picture, source of every entry."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from formulas import LETTERS, TEX, activation_tex
from sources import works
from sphinx.application import Sphinx

import nnspec
from nnspec.analysis.figures.draw import png
from nnspec.catalog import BY_LAYER, OUTPUTS, REGISTRIES
from nnspec.catalog.maths import NumpyMaths
from nnspec.cli.listing import members
from nnspec.errors import NnspecError
from nnspec.specs import text

PICTURES = "_static/made"  # below the output
REACH, PLACES = 5.0, 501  # of an activation's picture
MANY = 12  # choices that a table still lists


def cell(words: object) -> str:
    """A text for a cell of a Markdown table."""
    return str(words).replace("|", r"\|").replace("\n", " ")


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(cell, line)) + " |" for line in lines)


def allowed(schema: Mapping[str, Any]) -> str:
    """What a JSON Schema lets a value be, in words."""
    if "enum" in schema:
        options = [text(option) for option in schema["enum"]]
        return ", ".join(f"`{each}`" for each in options) if len(options) <= MANY else "a name"
    if "const" in schema:
        return f"`{schema['const']}`"
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(allowed(each) for each in schema["anyOf"]))
    kind = schema.get("type")
    if "prefixItems" in schema:
        return f"a list of {', '.join(allowed(each) for each in schema['prefixItems'])}"
    if kind == "array":
        return f"a list, each {allowed(schema['items'])}{_length(schema)}"
    names = {
        "number": "number",
        "integer": "whole number",
        "boolean": "`true`, `false`",
        "string": "text",
        "null": "`null`",
    }
    return f"{names.get(str(kind), 'mapping')}{_bounds(schema)}"


def _bounds(schema: Mapping[str, Any]) -> str:
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    said = [f"{sign} {schema[key]:g}" for key, sign in signs.items() if key in schema]
    return f" {' and '.join(said)}" if said else ""


def _length(schema: Mapping[str, Any]) -> str:
    least, most = schema.get("minItems", 0), schema.get("maxItems")
    if least == most:
        return f"; {least} of them"
    return f"; at least {least}" if least > 1 else ""


def parameter_table(parameters: Sequence[Mapping[str, Any]]) -> str:
    """The parameters of an entry: key, default, what it may be, what it is for."""
    rows = [
        [f"`{each['key']}`", f"`{text(each['default'])}`", allowed(each["schema"]), each["doc"]] for each in parameters
    ]
    return table(["key", "unless said", "may be", "meaning"], rows)


def shared(kind: str) -> set[str]:
    """The keys that all members of a kind take."""
    return {f"{kind}.{param.name}" for param in BY_LAYER.get(type(next(iter(REGISTRIES[kind]))), ())}


def image(app: Sphinx, docname: str, name: str, content: bytes, says: str) -> str:
    """A picture below the output, and the line that shows it on a page."""
    file = Path(app.outdir) / PICTURES / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    up = "../" * docname.count("/")
    return f'<img src="{up}{PICTURES}/{name}" alt="{html.escape(says)}" loading="lazy">'


def activation_image(app: Sphinx, docname: str, name: str) -> str:
    """Value and derivative of an activation at its defaults."""
    from nnspec.analysis.figures.entries import plot_activation
    from nnspec.analysis.figures.layers import activation_info

    if name not in OUTPUTS or not OUTPUTS[name].elementwise:
        return ""
    entry = OUTPUTS[name]
    z, bound = np.linspace(-REACH, REACH, PLACES), entry.bind({})
    value = bound.value(NumpyMaths(), z)
    info = activation_info(z, value, bound.slope(NumpyMaths(), z, value), name)
    content = png(plot_activation(info, entry.summary, entry.derivative))
    return image(app, docname, f"activation-{name}.png", content, f"{name}: its value and its derivative from -5 to 5")


def init_image(app: Sphinx, docname: str, name: str) -> str:
    """Drawn weights of a small network against what the scheme promises."""
    from nnspec.cli.showing.pictures import init_picture

    if REGISTRIES["init"][name].stored:
        return ""
    spec = nnspec.spec([f"init={name}", "model.hidden=[32]", "data=parity", "data.bits=4"])
    return image(app, docname, f"init-{name}.png", init_picture(spec), f"weights that {name} draws, layer by layer")


def data_image(app: Sphinx, docname: str, name: str) -> str:
    """The rows of a data set, where it has some without a file."""
    from nnspec.cli.showing.pictures import data_picture

    for loss in ("bce", "cross_entropy", "mse"):
        try:
            spec = nnspec.spec([f"data={name}", f"loss={loss}", *(["model.output=identity"] if loss == "mse" else [])])
        except NnspecError:
            continue
        return image(app, docname, f"data-{name}.png", data_picture(spec), f"the rows of {name}")
    return ""


IMAGES: Mapping[str, Callable[[Sphinx, str, str], str]] = {
    "activation": activation_image,
    "init": init_image,
    "data": data_image,
}


def formula(kind: str, name: str) -> str:
    """An entry's formula as a block of TeX; nothing where none is known."""
    lines = activation_tex(name) if kind == "activation" else filter(None, [TEX.get(kind, {}).get(name)])
    return "\n".join(f"```{{math}}\n{line}\n```\n" for line in lines)


def in_torch(kind: str, name: str) -> str:
    """The class of PyTorch that does the same, where the entry names one."""
    rooms = {"activation": torch.nn, "loss": torch.nn, "optimizer": torch.optim}
    if kind not in rooms or name not in REGISTRIES[kind]:
        return ""
    module = REGISTRIES[kind][name].module
    return f"In PyTorch: `{rooms[kind].__name__}.{module}`." if module and hasattr(rooms[kind], module) else ""


def summary(kind: str, member: Mapping[str, Any]) -> str:
    """What the entry says of itself: of an activation its formula as a terminal shows it."""
    said = str(member["summary"])
    if kind == "activation":
        return f"`{said}`"
    first = said.split()[0].strip(",.:;")
    return f"{said[0].upper() if first.isalpha() and len(first) > 3 else said[0]}{said[1:]}."


def paragraphs(app: Sphinx, docname: str, kind: str, member: Mapping[str, Any]) -> Iterator[str]:
    """All that the reference says of an entry."""
    name = member["name"]
    yield f"({kind}-{name})=\n## {name}"
    yield summary(kind, member)
    yield formula(kind, name)
    if aliases := member["aliases"]:
        yield f"Other names that are taken for it: {', '.join(f'`{alias}`' for alias in aliases)}."
    yield in_torch(kind, name)
    own = [each for each in member["parameters"] if each["key"] not in shared(kind)]
    if own:
        yield parameter_table(own)
    if kind in IMAGES:
        yield IMAGES[kind](app, docname, name)
    said = " ".join([member["summary"], *(each["doc"] for each in own)])
    if found := works(kind, name, said):
        yield f"Source: {'; '.join(found)}."


def page(kind: str) -> Callable[[Sphinx, str], str]:
    """What makes the entries of a kind."""

    def made(app: Sphinx, docname: str) -> str:
        found = members(kind)
        keys = shared(kind)
        of_all = [each for each in found[0]["parameters"] if each["key"] in keys]
        parts = [LETTERS.get(kind, "")]
        if of_all:
            parts += ["Each takes:", parameter_table(of_all)]
        parts += [part for member in found for part in paragraphs(app, docname, kind, member)]
        return "\n\n".join(filter(None, parts))

    return made
