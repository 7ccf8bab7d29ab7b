"""JSON Schemas (draft 2020-12) of spec files and of sweep files, made of the entries and their parameters.

They say what a value may be by itself: names, types, bounds. What must hold between fields is for ``check``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from nnspec.catalog import INITS, MODELS, OUTPUTS, REGISTRIES, STAND_INS, parameters
from nnspec.catalog.inits import BIAS_SAME
from nnspec.documents import plain
from nnspec.params import Param, Schema
from nnspec.settings import AUTO, COMMAND, REQUIRE, RUNTIME, SWEEP, TRACKING
from nnspec.specs import MEMBERS, SCALARS, SOLVED, TRAIN
from nnspec.study import CLAIM, COUNTS, RELATIONS, STUDY

DRAFT = "https://json-schema.org/draft/2020-12/schema"
OPTIONAL = ("schedule",)  # members that a spec need not name
INTERPOLATION: Schema = {"type": "string", "pattern": r"\$\{"}  # of Hydra's, which may stand for any value
AXIS: Schema = {"type": ["string", "number", "boolean", "array"]}  # 'relu,tanh', 'range(0,50)', 3
# parameters that name an entry, with the names that they may be
REFERENCES: Mapping[str, list[str]] = {
    "model.output": OUTPUTS.names(),
    "init.bias": [BIAS_SAME, *(entry.name for entry in INITS if entry.biases)],
}
TRAINING = "how long networks train, and what is written down on the way"
SOLVING = "when a network counts as solved"


def spec_schema() -> Schema:
    """The schema of a spec file, as ``spec=FILE`` reads it."""
    fields: dict[str, Schema] = {
        **{group: member_schema(group) for group in MEMBERS},
        "train": section_schema(TRAINING, TRAIN),
        "solved": section_schema(SOLVING, SOLVED),
        **params_schema("", SCALARS),
    }
    required = [group for group in MEMBERS if group not in OPTIONAL]
    return {"$schema": DRAFT, "title": "a spec of nnspec", **_object(fields), "required": required}


def sweep_schema() -> Schema:
    """The schema of a sweep file in ``experiments/``: what it changes of ``conf/config.yaml``, and the axes."""
    fields: dict[str, Schema] = {
        "defaults": {"type": "array", "description": "configs to take in, as 'override /model: perceptron'"},
        "spec": {"type": ["string", "null"], "description": "an archived spec.yaml to start from"},
        **{group: _changed_member(group) for group in MEMBERS},
        "train": section_schema(TRAINING, (*TRAIN, *RUNTIME)),
        "solved": section_schema(SOLVING, SOLVED),
        "tracking": section_schema("where runs are filed", TRACKING),
        "sweep": section_schema("how a sweep is laid out and shown", SWEEP),
        "study": {"anyOf": [{"type": "null"}, study_schema()]},
        "require": section_schema("what must hold of each cell, or the exit status is 1", REQUIRE),
        **params_schema("", (*SCALARS, *COMMAND)),
    }
    fields["replicates"] = {"anyOf": [{"const": AUTO}, fields["replicates"]]}
    fields = {name: _open(field) for name, field in fields.items()}
    return {"$schema": DRAFT, "title": "a sweep of nnspec", **_object({**fields, "hydra": _hydra()})}


def study_schema() -> Schema:
    """A question, its source, and the claims that a sweep must bear out."""
    counts = section_schema("makes the share of networks whose measure lies within", COUNTS)
    claim = _object({**params_schema("", CLAIM), "counts": counts})
    claim |= {"required": ["says"], "oneOf": [{"required": [relation.name]} for relation in RELATIONS]}
    claims = {"type": "array", "items": claim, "minItems": 1}
    described = {"description": "a question, its source, and the claims that the sweep must bear out"}
    study = _object({**params_schema("", STUDY), "claims": claims})
    return {**described, **study, "required": ["question", "source", "claims"]}


def member_schema(group: str) -> Schema:
    """A member of a group: its name, and the parameters that go with that name."""
    members = members_of(group)
    return {
        "type": "object",
        "properties": {"name": {"enum": list(members)}},
        "required": ["name"],
        "allOf": [_named(group, name, *said) for name, said in members.items()],
    }


def members_of(group: str) -> dict[str, tuple[str, tuple[Param, ...]]]:
    """Every name that a group takes, with its summary and its parameters."""
    members = {entry.name: (entry.summary, parameters(entry)) for entry in REGISTRIES[group]}
    return members | {name: (summary, ()) for name, summary in STAND_INS.items() if group == "activation"}


def _named(group: str, name: str, summary: str, params: Iterable[Param]) -> Schema:
    """What holds of a member where its name is this one."""
    then = {"description": summary, **_object({"name": True, **params_schema(f"{group}.", params)})}
    return {"if": {"properties": {"name": {"const": name}}, "required": ["name"]}, "then": then}


def _changed_member(group: str) -> Schema:
    """Parameters of a group's member, whichever is chosen: those that members share by name may be of several kinds."""
    members = members_of(group)
    kinds: dict[str, list[Schema]] = {"name": [{"enum": list(members)}]}
    shorthand = [model.shorthand for model in MODELS] if group == "model" else []
    for params in (*(said for _, said in members.values()), *shorthand):
        for name, schema in params_schema(f"{group}.", params).items():
            known = kinds.setdefault(name, [])
            known += [] if schema in known else [schema]
    return _object({name: _open({"anyOf": several}) for name, several in kinds.items()})


def section_schema(doc: str, params: Iterable[Param]) -> Schema:
    """A mapping of parameters."""
    return {"description": doc, **_object(params_schema("", params))}


def params_schema(prefix: str, params: Iterable[Param]) -> dict[str, Schema]:
    """The schema of each parameter by its name; ``prefix`` is that of its dotted name."""
    return {param.name: param_schema(f"{prefix}{param.name}", param) for param in params}


def param_schema(key: str, param: Param) -> Schema:
    """One parameter: what it may be, what it is for, what it is unless said."""
    schema = param.kind.schema()
    if key in REFERENCES:
        schema = {"enum": [*REFERENCES[key], *([None] if param.default is None else [])]}
    return {**schema, "description": param.doc, "default": plain(param.default)}


def _hydra() -> Schema:
    """Hydra's own node: that it is a sweep, and its axes."""
    axes: dict[str, Schema] = {group: {**AXIS, "description": f"names of a {group}"} for group in MEMBERS}
    sections = [(f"{group}.", params) for group in MEMBERS for _, params in members_of(group).values()]
    shorthand = [("model.", model.shorthand) for model in MODELS]
    for prefix, params in (*sections, *shorthand, ("train.", TRAIN), ("solved.", SOLVED), ("", SCALARS)):
        axes |= {f"{prefix}{param.name}": {**AXIS, "description": param.doc} for param in params}
    values = {"description": "axis: its values", **_object(axes), "patternProperties": {r"^[+~]|\[": AXIS}}
    sweeper = {"type": "object", "properties": {"params": values}}
    mode = {"enum": ["RUN", "MULTIRUN"], "description": "MULTIRUN makes it a sweep without -m"}
    return {"type": "object", "properties": {"mode": mode, "sweeper": sweeper}}


def _object(properties: Mapping[str, Schema | bool]) -> Schema:
    """A mapping with these keys and no other."""
    return {"type": "object", "properties": dict(properties), "additionalProperties": False}


def _open(schema: Schema) -> Schema:
    """A value of the schema or an interpolation of Hydra's."""
    return {"anyOf": [schema, INTERPOLATION]}
