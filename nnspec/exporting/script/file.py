"""The whole script: its title, data, network, training and what it prints."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from nnspec.architecture import test_rows
from nnspec.errors import Fault
from nnspec.exporting.script.network import layers_of, network_lines, start_is_stored, start_lines
from nnspec.exporting.script.training import optimizer_lines, right_lines, training_lines
from nnspec.exporting.trained import ExportError, Trained
from nnspec.problem import Problem
from nnspec.release import version
from nnspec.specs import RunSpec

WRITTEN_OUT = 64  # numbers of a data set that are written into the script
WIDEST = 100  # columns of a line of data


@dataclass(frozen=True)
class Script:
    """``text``, and the tensors of the safetensors file that it reads from its own folder; none if it needs none."""

    text: str
    tensors: Mapping[str, np.ndarray]


def script(trained: Trained, beside: str = "") -> Script:
    """The script of a network; ``beside`` is the name of the file for what is too large to be written into it.

    Raises:
        ExportError: it cannot be said in plain PyTorch, or needs a file beside it and no name is given.
    """
    spec = trained.spec
    layers_of(spec)  # refused before data are read
    tensors = _stored_tensors(trained)
    if tensors and not beside:
        rule = "must be written to a file, for its data go into another one beside it"
        raise ExportError(Fault("--format script", rule, "standard output", "add --out net.py"))
    sections = [
        _data_lines(trained, tensors, beside),
        network_lines(spec),
        start_lines(spec),
        optimizer_lines(spec),
        right_lines(spec),
        training_lines(spec, not math.isfinite(trained.loss)),
        _closing_lines(spec),
    ]
    body = "\n".join(_spaced([section for section in sections if section]))
    head = [*_title(trained, bool(tensors)), *_imports(body), "", *_constants(trained, body)]
    return Script("\n".join([*head, body, ""]), tensors)


def _title(trained: Trained, stored: bool) -> list[str]:
    """What it is, where it comes from, and how near it comes. Nothing here is a text of the store's."""
    spec, shape = trained.spec, layers_of(trained.spec)
    widths = "-".join(map(str, [shape.inputs, *(dense.fan_out for dense in shape.dense)]))
    names = ", ".join((spec.activation.name, spec.init.name, spec.optimizer.name, spec.loss.name))
    ended = f"final loss {trained.loss:.10g}, accuracy {trained.accuracy:.4g}, "
    ended += trained.verdict or ("solved" if trained.solved else "not solved")
    near = (
        "this script ends with the same weights, to about 1e-9 over some hundred updates"
        if spec.dtype == "float64"
        else "this script makes the same updates, but single precision rounds them otherwise: digits differ"
    )
    return [
        f'"""A {widths} network on data={spec.data.name} in plain PyTorch: {names}.',
        "",
        f"Made by nnspec {version()} of run {trained.run_id} (spec {spec.fingerprint}), network {trained.replicate}, "
        f"seed {trained.seed}, {spec.dtype}.",
        f"There it ended with {ended};",
        f"{near}.",
        "Needs torch, safetensors and the file of data beside it." if stored else "Needs torch alone.",
        '"""',
        "",
    ]


def _imports(body: str) -> list[str]:
    standard = [f"import {name}" for name in ("math", "struct", "zlib") if f"{name}." in body]
    standard += ["from pathlib import Path"] if "Path(" in body else []
    standard += ["from statistics import NormalDist"] if "NormalDist(" in body else []
    stored = ["from safetensors.torch import load_file"] if "load_file(" in body else []
    return [*standard, *([""] if standard else []), "import torch", *stored, "from torch import nn"]


def _spaced(sections: list[list[str]]) -> list[str]:
    """The lines of sections with a blank line between them, two around functions and classes."""
    lines: list[str] = []
    for section in sections:
        apart = section[0].startswith(("def ", "class ")) or _ends_inside(lines)
        lines += ["", *([""] if apart else []), *section] if lines else section
    return lines


def _ends_inside(lines: list[str]) -> bool:
    """Whether the last block of lines is a function's."""
    for line in reversed(lines):
        if line and not line.startswith(" "):
            return line.startswith(("def ", "class "))
    return False


def _constants(trained: Trained, body: str) -> list[str]:
    """What holds of the whole script."""
    lines = [f"SEED = {trained.seed}"] if "SEED" in body else []
    if trained.spec.dtype != "float32":
        lines.append(f"torch.set_default_dtype(torch.{trained.spec.dtype})")
    return [*lines, ""] if lines else []


def _stored_tensors(trained: Trained) -> dict[str, np.ndarray]:
    """What goes into the file beside the script: rows of data that are too many, initial weights that no lines
    draw."""
    kind = np.dtype(trained.spec.dtype)
    tensors = {name: array.astype(kind) for name, array in _rows(trained).items()}
    if sum(array.size for array in tensors.values()) <= WRITTEN_OUT:
        tensors = {}
    if start_is_stored(trained.spec):
        tensors |= {f"start.{name}": array for name, array in trained.initial.items()}
    return tensors


def _rows(trained: Trained) -> dict[str, np.ndarray]:
    """The inputs and targets of the training part, and of the test part if there is one."""
    problem = Problem.of(trained.spec, trained.seed)
    rows = {"x": problem.inputs, "y": problem.targets}
    if test_rows(trained.spec.data):
        rows |= {"x_test": problem.test_inputs, "y_test": problem.test_targets}
    return rows


def _data_lines(trained: Trained, tensors: Mapping[str, np.ndarray], beside: str) -> list[str]:
    rows = _rows(trained)
    count, inputs = rows["x"].shape
    lines = [f"# Data: {trained.spec.data.name}, {count} rows of {inputs} inputs."]
    if tensors:
        name = json.dumps(beside, ensure_ascii=False)
        lines.append(f"stored = load_file(Path(__file__).with_name({name}))")
    if "x" in tensors:
        lines[0] += " As nnspec made them; they lie in the file beside this script."
        return [*lines, *(f'{name} = stored["{name}"]' for name in rows)]
    return [*lines, *(line for name, array in rows.items() for line in _written_out(name, array))]


def _written_out(name: str, array: np.ndarray) -> list[str]:
    rows = [str(row) for row in array.tolist()]
    line = f"{name} = torch.tensor([{', '.join(rows)}])"
    return [line] if len(line) <= WIDEST else [f"{name} = torch.tensor([", *(f"    {row}," for row in rows), "])"]


def _closing_lines(spec: RunSpec) -> list[str]:
    said = "final loss {loss:.10g}, accuracy {accuracy:.4g}, {'solved' if solved() else 'not solved'}"
    lines = [
        "# How it ended.",
        "with torch.no_grad():",
        "    loss = loss_function(net(x), y).item()",
        "accuracy = right(x, y).double().mean().item()",
        f'print(f"{said}")',
    ]
    if test_rows(spec.data):
        lines.append('print(f"accuracy on the test part {right(x_test, y_test).double().mean().item():.4g}")')
    return lines
