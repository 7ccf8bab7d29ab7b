"""The lines of a script that build the network, its loss and its start."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

import torch

from nnspec.architecture import Architecture, Pointwise, architecture
from nnspec.catalog import INITS, LOSSES
from nnspec.catalog.in_torch import INIT_LINES, LOSS_SCRIPTS, WEIGHT, LossScript
from nnspec.catalog.inits import BIAS_SAME
from nnspec.errors import Fault
from nnspec.exporting.trained import ExportError
from nnspec.initial import activation_gain
from nnspec.modules.pointwise import OWN
from nnspec.specs import Member, RunSpec

BIAS = "layer.bias"
OTHERS = "try --format pt2, onnx or safetensors"


def refused(rule: str, value: str) -> ExportError:
    """What a script cannot say."""
    return ExportError(Fault("--format script", rule, value, OTHERS))


def layers_of(spec: RunSpec) -> Architecture:
    """The layers of a spec's network.

    Raises:
        ExportError: they are not known, as those of a class of the user's own.
    """
    shape = architecture(spec)
    if shape.opaque:
        value = f"model={spec.model.name}, whose layers its own class makes"
        raise refused("must be given a network of linear layers", value)
    return shape


def loss_script(spec: RunSpec) -> LossScript:
    """What a script says for the spec's loss.

    Raises:
        ExportError: it is none of nnspec's own.
    """
    if spec.loss.name not in LOSS_SCRIPTS:
        raise refused("must be given a loss of nnspec's own", f"loss={spec.loss.name}")
    return LOSS_SCRIPTS[spec.loss.name]


def made(kind: str, module: type, params: Mapping[str, Any], first: str = "") -> str:
    """A call of a class of torch with the parameters that are not its defaults; ``first`` comes before them."""
    defaults = {name: found.default for name, found in inspect.signature(module).parameters.items()}
    said = [f"{name}={value!r}" for name, value in params.items() if value != defaults[name]]
    return f"{kind}.{module.__name__}({', '.join([first] * bool(first) + said)})"


def activation(after: Pointwise) -> str:
    """The module of an activation.

    Raises:
        ExportError: torch has none, and neither has nnspec.
    """
    name, params = after.entry.module, dict(after.member.params)
    if name in OWN:
        return f"{name}()"
    module = getattr(torch.nn, name, None) if name else None
    if module is None:
        raise refused("must be given activations of nnspec's own", f"activation={after.member.name}")
    if not after.entry.elementwise:
        return f"nn.{name}(dim=-1)"
    text = made("nn", module, params)
    # in training mode torch's RReLU would draw its slopes anew
    return f"{text}.eval()" if module is torch.nn.RReLU else text


def output_of(spec: RunSpec) -> str:
    """The module behind the last layer; empty where it is the identity."""
    after = layers_of(spec).after[-1]
    text = activation(after)
    return "" if text == made("nn", torch.nn.Identity, {}) else text


def own_classes(shape: Architecture) -> list[str]:
    """The classes that torch does not have, written out."""
    names = dict.fromkeys(after.entry.module for after in shape.after)
    sources = [inspect.getsource(OWN[name]) for name in names if name in OWN]
    return [line for source in sources for line in (*source.replace("torch.nn.", "nn.").splitlines(), "", "")]


def network_lines(spec: RunSpec) -> list[str]:
    """The network and the loss."""
    shape, loss, output = layers_of(spec), loss_script(spec), output_of(spec)
    modules = []
    for dense, after in zip(shape.dense, shape.after, strict=True):
        modules += [f"nn.Linear({dense.fan_in}, {dense.fan_out})", activation(after)]
    last = modules.pop()
    if output and not loss.logits:
        modules.append(last)
    title = f"# The network. {loss_note(spec)}".rstrip()
    body = ["net = nn.Sequential(", *(f"    {module}," for module in modules), ")"]
    return [*own_classes(shape), title, *body, *loss.lines(dict(spec.loss.params))]


def loss_note(spec: RunSpec) -> str:
    """What is to be known of the outputs."""
    if LOSSES[spec.loss.name].one_hot:
        return "It has one output a class; targets are 1 for the row's class, else 0."
    low = LOSSES[spec.loss.name].off
    return f"Targets are {low:g} and 1." if low else ""


def start_is_stored(spec: RunSpec) -> bool:
    """Whether the script reads its initial weights: they came from a file, or are drawn by a scheme of the user's."""
    return INITS[spec.init.name].stored or not {spec.init.name, _bias(spec).name} <= INIT_LINES.keys()


def _bias(spec: RunSpec) -> Member:
    """The scheme of the biases."""
    name = str(spec.init["bias"])
    if name == BIAS_SAME:
        return spec.init
    return Member(name, tuple((param.name, param.default) for param in INITS[name].params))


def start_lines(spec: RunSpec) -> list[str]:
    """The initial weights: drawn, or read from the tensors ``stored``."""
    if start_is_stored(spec):
        return [
            f"# Initial weights: {spec.init.name}. As nnspec had them; they lie in the file beside this script.",
            'net.load_state_dict({name: stored["start." + name] for name in net.state_dict()})',
        ]
    gain, bias = activation_gain(spec.activation), _bias(spec)
    filled = [
        *INIT_LINES[spec.init.name](dict(spec.init.params), gain, WEIGHT),
        *INIT_LINES[bias.name](dict(bias.params), gain, BIAS),
    ]
    drawn = any("generator" in line for line in filled)
    by_seed = ", drawn tensor by tensor from this network's seed." if drawn else "."
    title = f"# Initial weights: {spec.init.name}{by_seed}"
    if gain != 1 and any(repr(gain) in line for line in filled):
        title += f" {gain:.4g} is the gain of {spec.activation.name}."
    return [
        title,
        *(["generator = torch.Generator().manual_seed(SEED)"] if drawn else []),
        "for layer in net:",
        "    if isinstance(layer, nn.Linear):",
        *(f"        {line}" for line in _once(filled)),
    ]


def _once(lines: Iterable[str]) -> list[str]:
    """Lines without an assignment that was made already, as that of a bound which weights and biases share."""
    kept: list[str] = []
    for line in lines:
        if line not in kept or " = " not in line:
            kept.append(line)
    return kept
