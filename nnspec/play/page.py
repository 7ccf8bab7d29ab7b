"""The page: the built file with what it knows of nnspec and the state that it begins with."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, replace
from importlib.resources import files
from typing import Any

from nnspec.architecture import architecture, rows
from nnspec.catalog import LOSSES, MODELS
from nnspec.compose import spec as compose_spec
from nnspec.documents import plain
from nnspec.duration import log_every, tolerance
from nnspec.errors import Fault, SpecError
from nnspec.play.entries import entries
from nnspec.release import version
from nnspec.specs import RunSpec, Solved, Train, text
from nnspec.training.layout import LARGEST

PLACE = "{}"  # what stands in the built page where the data go, in an element of its own
ELEMENT = '<script id="nnspec-data" type="application/json">'
NETWORKS, WEIGHTS, WORK = 10_000, 2000, 2**18  # the most networks, weights of one, and weights times rows
DEFAULT_NETWORKS = 200
ELSEWHERE = "leave it out, or train it with nnspec run"
KINDS = {  # of entries, and where the page has them
    "activation": "activations",
    "init": "inits",
    "optimizer": "optimizers",
    "schedule": "schedules",
    "loss": "losses",
    "data": "data",
}


def page(spec: RunSpec, words: Sequence[str], filed: Mapping[str, Any] | None = None) -> str:
    """The page that begins with a checked spec, which the ``words`` of a command line state, or with its networks as
    they were ``filed`` (see ``play.filed``): one HTML file that asks for nothing.

    Raises:
        SpecError: with everything about the spec that the page cannot do.
    """
    known = entries(spec)
    faults = list(_faults(spec, known))
    if faults:
        raise SpecError(faults)
    stated = filed or spec.replicates > 1 or _said("replicates", words)
    networks = spec.replicates if stated else DEFAULT_NETWORKS
    state = {"spec": _start(spec), "networks": networks, "seed": spec.seed}
    limits = {"networks": NETWORKS, "weights": WEIGHTS, "work": WORK, "lanes": LARGEST}
    data = {"version": version(), **known, "start": state, "defaults": _start(compose_spec()), "limits": limits}
    data["filed"] = filed
    # no "<" in what lies within an element: it cannot end there
    written = json.dumps(plain(data), separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    built = files("nnspec.play").joinpath("page.html").read_text(encoding="utf-8")
    before, found, after = built.partition(ELEMENT + PLACE)
    assert found, "page.html has no place for the data"
    return f"{before}{ELEMENT}{written}{after}"


def _said(name: str, words: Sequence[str]) -> bool:
    return any(word.split("=", 1)[0].lstrip("+") == name for word in words)


def _start(spec: RunSpec) -> dict[str, Any]:
    """The spec as the page's trainer takes it."""
    found: dict[str, Any] = {
        name: {"name": getattr(spec, name).name, **dict(getattr(spec, name).params)}
        for name in KINDS
        if name not in ("activation", "data")
    }
    hidden = spec if _has_hidden(spec) else compose_spec()  # layers that are added have some activation
    found["activation"] = {"name": hidden.activation.name, **dict(hidden.activation.params)}
    found["hidden"] = MODELS[spec.model.name].hidden(dict(spec.model.params))
    found |= {"data": spec.data.name, "epochs": spec.train.epochs}
    # a check fills these in, but another data set may have others
    unsaid = replace(spec, solved=replace(spec.solved, tolerance=None), train=replace(spec.train, log_every=None))
    if spec.solved.tolerance != tolerance(unsaid):
        found["tolerance"] = spec.solved.tolerance
    if spec.train.log_every != log_every(unsaid):
        found["log_every"] = spec.train.log_every
    return found


def _has_hidden(spec: RunSpec) -> bool:
    """Whether the activation is that of hidden layers: a perceptron's is its output's."""
    return MODELS[spec.model.name].between is not None


def _faults(spec: RunSpec, known: Mapping[str, Any]) -> Iterator[Fault]:
    """What of a spec the page has no form for."""
    entries_known = True
    for field, kind in KINDS.items():
        if field == "activation" and not _has_hidden(spec):
            continue
        name = getattr(spec, field).name
        if name not in known[kind]:
            entries_known = False
            left = {out["name"]: out["why"] for out in known["left_out"] if out["kind"] == field}
            rule = f"must have a form for the browser: {left[name]}"
            yield Fault(field, rule, name, f"try one of {', '.join(known[kind])}")
    yield from _other_faults(spec)
    if MODELS[spec.model.name].opaque:
        rule = "must be mlp or perceptron in nnspec play"
        yield Fault("model", rule, spec.model.name, "try model=mlp model.hidden=[4]")
    elif entries_known:
        yield from _model_faults(spec)
    if spec.replicates > NETWORKS:
        yield Fault("replicates", f"must be at most {NETWORKS} in nnspec play", str(spec.replicates), "lower it")


def _other_faults(spec: RunSpec) -> Iterator[Fault]:
    """What is not at the only value that the page has."""
    wanted: dict[str, tuple[object, object]] = {
        "dtype": (spec.dtype, "float32"),
        "device": (spec.device, "cpu"),
    }
    for section, own, defaults in (("train", spec.train, Train()), ("solved", spec.solved, Solved())):
        for field in fields(own):
            if field.name not in ("epochs", "log_every", "tolerance"):
                wanted[f"{section}.{field.name}"] = (getattr(own, field.name), getattr(defaults, field.name))
    for name, off in (("test_fraction", 0.0), ("standardize", False)):
        if name in spec.data:
            wanted[f"data.{name}"] = (spec.data[name], off)
    for part in ("activation", "init", "optimizer"):
        wanted |= {f"{part}.{name}": (value, None) for name, value in getattr(spec, part).params if "per_layer" in name}
    for name, (value, only) in wanted.items():
        if value != only:
            yield Fault(name, f"must be {text(only)} in nnspec play", text(value), ELSEWHERE)


def _model_faults(spec: RunSpec) -> Iterator[Fault]:
    """What the page cannot do of an mlp."""
    for param in MODELS[spec.model.name].params:
        value = spec.model[param.name] if param.name in spec.model.keys() else param.default  # noqa: SIM118
        only = (param.default, LOSSES[spec.loss.name].output) if param.name == "output" else (param.default,)
        if param.name != "hidden" and value not in only:
            key = f"model.{param.name}" if _has_hidden(spec) or param.name != "output" else "activation"
            yield Fault(key, f"must be {text(only[-1])} in nnspec play", text(value), ELSEWHERE)
    shape = architecture(spec)
    if shape.opaque:
        return
    weights, work = shape.parameters, shape.parameters * rows(spec.data)
    if weights > WEIGHTS:
        yield Fault("model.hidden", f"must make at most {WEIGHTS} weights in nnspec play", str(weights), "take fewer")
    elif work > WORK:
        yield Fault(
            "weights times rows", f"must be at most {WORK} in nnspec play", str(work), "take fewer units or rows"
        )
