"""What the page knows of nnspec: every entry that has a form for the browser, in plain values, and which have none."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import Any

import numpy as np

from nnspec.analysis.figures.draw import OTHER_VERDICT, VERDICTS
from nnspec.catalog import (
    ACTIVATIONS,
    DATA,
    INITS,
    LOSSES,
    OPTIMIZERS,
    OUTPUTS,
    SCHEDULES,
    Activation,
    DataEntry,
    Init,
    Loss,
    Schedule,
)
from nnspec.catalog.inits import bias_param
from nnspec.catalog.maths import NumpyMaths
from nnspec.diagnostics import THRESHOLDS, VERDICT_ENTRIES
from nnspec.diagnostics.activations import PROBES
from nnspec.diagnostics.capacity import bounds
from nnspec.diagnostics.conditions import INSEPARABLE
from nnspec.diagnostics.curvature import EXACT, STEPS
from nnspec.diagnostics.sentences import since_text
from nnspec.diagnostics.since import HOLDS, JITTERS, LEVEL
from nnspec.diagnostics.thresholds import TAIL
from nnspec.duration import LARGEST, LOG_EVERY, NEAR
from nnspec.params import Param
from nnspec.play import forms
from nnspec.play.phrases import phrase
from nnspec.problem import Problem
from nnspec.specs import Member, RunSpec, text
from nnspec.training.codegen.graph import Graph, Untraceable
from nnspec.training.codegen.library import FUNCTIONS

OUTPUT_COUNTS = (1, 2, 3)  # outputs of a network on the page: its data have at most so many classes
ROWS = 1000  # that a data set on the page has at most
SMALL = np.array([-0.01, 0.01])  # pre-activations near 0, where most networks have some
LAST_BIT, MOST = 2.0**-23, 100  # of float32; so many of a function's may be one of a value: two digits of seven
INTEL = [name for name, symbol in FUNCTIONS.items() if symbol.startswith("vm") and hasattr(NumpyMaths, name)]
INPUTS = 8  # of a row, at most; where there are two, the page draws the plane, else a cell a row


class Beside(NumpyMaths):
    """The primitives, one of them a last bit of float32 beside itself."""

    def __init__(self, name: str):
        exact = getattr(NumpyMaths, name)
        setattr(self, name, lambda z: exact(z) * (1 + LAST_BIT))


class LeftOut(Exception):
    """An entry has no form for the browser; the text says why."""


def entries(start: RunSpec) -> dict[str, Any]:
    """All that the page may offer; the data set of ``start`` has its parameters, the others have their defaults."""
    left: list[dict[str, str]] = []
    tolerances = {NEAR, LARGEST} | ({start.solved.tolerance} if start.solved.tolerance is not None else set())
    found = {
        "activations": dict(_offered("activation", ACTIVATIONS, _activation, left)),
        "joint": {
            entry.name: {str(count): forms.joint_form(entry, count) for count in OUTPUT_COUNTS}
            for entry in OUTPUTS
            if not entry.elementwise
        },
        "inits": dict(_offered("init", INITS, _init, left)),
        "optimizers": dict(_offered("optimizer", OPTIMIZERS, _optimizer, left)),
        "schedules": dict(_offered("schedule", SCHEDULES, _schedule, left)),
        "losses": dict(_offered("loss", LOSSES, lambda loss: _loss(loss, sorted(tolerances)), left)),
        "data": dict(_offered("data", DATA, lambda data: _data(data, start), left)),
    }
    return {**found, "left_out": left, **_diagnosis()}


def _offered(
    kind: str, registry: Iterable[Any], describe: Callable[[Any], Any], left: list[dict[str, str]]
) -> Iterator[tuple[str, Any]]:
    """Name and description of each entry that has a form; why another has none goes to ``left``."""
    for entry in registry:
        try:
            yield entry.name, {"summary": entry.summary, **describe(entry)}
        except LeftOut as error:
            left.append({"kind": kind, "name": entry.name, "why": str(error)})
        except Untraceable:
            left.append({"kind": kind, "name": entry.name, "why": "its formula has no form for one number by itself"})


def _params(params: Sequence[Param]) -> list[dict[str, Any]]:
    return [{"name": p.name, "default": p.default, "doc": p.doc} for p in params]


def _activation(entry: Activation) -> dict[str, Any]:
    if not entry.trainable:
        raise LeftOut("its derivative is 0, so that no gradient method trains it")
    for name in INTEL:
        bits = _bits(entry, name)
        if bits > MOST:
            rule = f"its value near 0 has {bits:,.0f} times the rounding of {name}"
            raise LeftOut(f"{rule}, which is not the same on every processor")
    learned = entry.learned
    return {
        "params": _params(entry.params),
        "learned": {"tensor": learned.tensor, "start": learned.start} if learned else None,
        "forms": forms.activation_forms(entry),
        "gain": forms.gain_forms(entry),
    }


def _bits(entry: Activation, name: str) -> float:
    """How many last bits of the activation's value near 0 one of a function is."""
    activation = entry.bind({})
    with np.errstate(all="ignore"):  # a part of the user's may have no value there
        value = activation.value(NumpyMaths(), SMALL)
        moved = np.abs(activation.value(Beside(name), SMALL) - value)
        return float(np.max(np.divide(moved, LAST_BIT * np.abs(value), out=np.zeros_like(SMALL), where=moved > 0)))


def _init(entry: Init) -> dict[str, Any]:
    if entry.stored:
        raise LeftOut("it reads a file")
    return {
        "params": _params((*entry.params, *bias_param(entry))),
        "noise": list(entry.noise),
        "biases": entry.biases,
        "forms": forms.init_forms(entry),
    }


def _optimizer(entry: Any) -> dict[str, Any]:
    if entry.by_rows:
        raise LeftOut("its rule goes row by row")
    return {
        "params": _params(entry.params),
        "switches": list(entry.switches),
        "scheduled": entry.scheduled,
        "forms": forms.optimizer_forms(entry),
    }


def _schedule(entry: Schedule) -> dict[str, Any]:
    return {"params": _params(entry.params), "forms": forms.schedule_forms(entry)}


def _loss(entry: Loss, tolerances: Sequence[float]) -> dict[str, Any]:
    graph = Graph()
    rows, columns = (forms.Symbol(graph, graph.node("leaf", name)) for name in ("rows", "columns"))
    return {
        "params": _params(entry.params),
        "output": entry.output,
        "fused": entry.fused,
        "one_hot": entry.one_hot,
        "off": entry.off,
        "forms": {str(count): forms.loss_forms(entry, count) for count in OUTPUT_COUNTS},
        "bends": forms.gradient_bends(entry),
        "scale": forms.form([entry.scale(rows, columns)]),  # type: ignore[arg-type]
        "bounds": {
            str(count): {str(tolerance): _bounds(entry, count, tolerance) for tolerance in tolerances}
            for count in OUTPUT_COUNTS
            if entry.one_hot == (count > 1)
        },
    }


def _bounds(entry: Loss, count: int, tolerance: float) -> dict[str, Any] | None:
    """What the output's pre-activations must be for a row of each target to be right; see ``capacity.bounds``. What is
    not finite is None."""
    targets = entry.targets(np.arange(max(count, 2)), max(count, 2))
    spec = _any(entry.name, "blobs" if entry.one_hot else "xor", count)
    problem = replace(Problem.of(spec), inputs=np.zeros((len(targets), 1)), targets=targets, tolerance=tolerance)
    needed = bounds(problem)
    if needed is None:
        return None
    return {
        "directions": needed.directions,
        "least": needed.least,
        "width": needed.width,
    }


def _any(loss: str, data: str, classes: int) -> RunSpec:
    """A spec with this loss, whose other parts say nothing here."""
    given = {p.name: p.default for p in DATA[data].params}
    if "classes" in given:
        given["classes"] = classes
    params = tuple((p.name, p.default) for p in LOSSES[loss].params)
    nobody = Member("any")
    model = Member("mlp", (("hidden", (1,)), ("output", LOSSES[loss].output)))
    data_set = Member(data, tuple(sorted(given.items())))
    return RunSpec(model, Member("identity"), nobody, nobody, Member(loss, params), data_set)


def _data(entry: DataEntry, start: RunSpec) -> dict[str, Any]:
    params = dict(start.data.params) if entry.name == start.data.name else {p.name: p.default for p in entry.params}
    if entry.digest is not None:
        raise LeftOut("it reads a file")
    size = entry.size(params)
    if size.targets:
        raise LeftOut("its targets are numbers, and the page learns classes")
    if size.inputs > INPUTS:
        raise LeftOut(f"its rows have {size.inputs} inputs, more than {INPUTS}")
    if size.rows > ROWS or not 2 <= size.classes <= max(OUTPUT_COUNTS):
        raise LeftOut(f"it has {size.rows} rows in {size.classes} classes, more than {ROWS} or {max(OUTPUT_COUNTS)}")
    made = entry.make(params)
    own = [f"data.{p.name}={text(params[p.name])}" for p in entry.params if params[p.name] != p.default]
    return {
        "said": own,
        "inputs": made.inputs,
        "labels": made.labels,
        "classes": made.classes,
        "tolerance": NEAR if entry.boolean else LARGEST,
    }


def _diagnosis() -> dict[str, Any]:
    """The verdicts in the order in which they are asked for, and every number that one turns on."""
    return {
        "verdicts": [
            {
                "name": entry.name,
                "summary": entry.summary,
                "meaning": entry.meaning,
                "measures": list(entry.measures),
                "sentence": phrase(entry.sentence),
                "since": phrase(partial(since_text, entry.name)),
                "level": entry.name in LEVEL,
                "held": entry.name in HOLDS,
                "colour": VERDICTS.get(entry.name, OTHER_VERDICT)[0],
            }
            for entry in VERDICT_ENTRIES.values()
        ],
        "thresholds": {**asdict(THRESHOLDS), "inseparable": INSEPARABLE, "tail": TAIL, "jitters": JITTERS},
        "probes": {"low": PROBES[0], "high": PROBES[-1], "count": len(PROBES)},
        "curvature": {"exact": EXACT, "steps": STEPS},
        "log_every": LOG_EVERY,
    }
