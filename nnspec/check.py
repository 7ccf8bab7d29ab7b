"""Everything that must hold before anything trains: each member's parameters and the rules across fields.

All faults of a spec are reported at once. A checked spec is canonical: parameters complete and of one type, both
activations said, the digests of a weights file and of a file of data filled in.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import replace
from functools import lru_cache

from nnspec import duration
from nnspec.architecture import architecture, at_defaults, learns_numbers, size, test_rows
from nnspec.catalog import (
    ACTIVATIONS,
    AUTO,
    DATA,
    INITS,
    LOSSES,
    MODELS,
    OPTIMIZERS,
    OUTPUTS,
    REGISTRIES,
    STAND_INS,
    Loss,
    Model,
    Size,
)
from nnspec.catalog.data import class_faults
from nnspec.catalog.inits import BIAS_SAME, bias_param
from nnspec.catalog.models import Unclear
from nnspec.duration_rules import duration_faults
from nnspec.errors import Fault, SpecError, unknown
from nnspec.files import read_bytes
from nnspec.params import Param, Refused, Rule, Value, rounded
from nnspec.problem import rows_of
from nnspec.specs import MEMBERS, SEEDS, SOLVED, TRAIN, Member, RunSpec, as_member, parse, parse_params, text

_WEIGHTS_BYTES = 64 * 2**20  # of a file of weights at least
OUTPUT_WHERE = "model.output"


def checked_mapping(mapping: Mapping[str, object]) -> RunSpec:
    """The checked spec of a plain mapping.

    Raises:
        SpecError: with every fault of its form and of its meaning.
    """
    spec, faults = parse(mapping)
    if spec is not None:
        spec, more = examine(spec)
        faults += more
    elif isinstance(mapping, Mapping):
        members = {group: as_member(group, mapping.get(group), []) for group in MEMBERS if group in mapping}
        faults += [
            fault for group, member in members.items() if member is not None for fault in _member(group, member)[1]
        ]
    if faults or spec is None:
        raise SpecError(faults)
    return spec


def checked(spec: RunSpec) -> RunSpec:
    """The canonical form of ``spec``; raises ``SpecError`` with every fault found."""
    spec, faults = examine(spec)
    if faults:
        raise SpecError(faults)
    return spec


def archived_spec(mapping: Mapping[str, object]) -> RunSpec:
    """The checked spec of a plain mapping that was filed; a weights file that it began with may be gone by now.

    Raises:
        SpecError: with every fault of its form and of its meaning.
    """
    spec = RunSpec.from_mapping(mapping)
    spec, faults = examine(spec, files=False)
    if faults:
        raise SpecError(faults)
    return spec


def examine(spec: RunSpec, files: bool = True) -> tuple[RunSpec, list[Fault]]:
    """The canonical form of ``spec`` and every fault found; the form is meaningless where there are faults.

    ``files`` says whether to look into the files of weights and of data that it names."""
    faults: list[Fault] = []
    canonical: dict[str, Member] = {}
    for group in MEMBERS:
        member, found = _member(group, getattr(spec, group))
        canonical[group] = member
        faults.extend(found)
    resolved = replace(spec, **canonical)  # type: ignore[arg-type]
    faults.extend(_seed_faults(resolved))
    faults.extend(_precision_faults(resolved))
    # a refused parameter stands at its default here, so that only an unknown name leaves a rule nothing to judge
    unnamed = {
        group for group in MEMBERS if canonical[group].name not in (*REGISTRIES[group].names(), *_stand_ins(group))
    }
    if not unnamed & {"model", "activation", "loss"}:
        resolved, found_activations = _with_activations(resolved)
        faults.extend(found_activations)
    broken = {fault.where.split(".")[0] for fault in faults}
    if not {"data", "loss"} & (unnamed | broken) and (files or DATA[resolved.data.name].digest is None):
        resolved, found_data = _with_data(resolved)
        faults.extend(found_data)
        broken |= {"data" for _ in found_data}
        if not found_data and not {"model", "activation"} & (unnamed | broken):
            faults.extend(_reach_faults(resolved))
    if "init" not in unnamed:
        faults.extend(_bias_faults(resolved.init))
        if files and INITS[resolved.init.name].stored and not broken & {"model", "activation", "init", "loss", "data"}:
            resolved, found_file = _stored(resolved)
            faults.extend(found_file)
    if not unnamed & {"optimizer"}:
        faults.extend(_by_rows_faults(resolved))
    broken = {fault.where.split(".")[0] for fault in faults}
    if not broken & {"data", "train", "solved"}:
        if not broken & {"optimizer", "schedule"}:
            faults.extend(duration_faults(resolved))
        resolved = _with_duration(resolved)
    return resolved, faults


def _with_duration(spec: RunSpec) -> RunSpec:
    """The spec with what its data set decides said."""
    train = replace(spec.train, log_every=duration.log_every(spec))
    return replace(spec, train=train, solved=replace(spec.solved, tolerance=duration.tolerance(spec)))


def _member(group: str, member: Member) -> tuple[Member, tuple[Fault, ...]]:
    """The canonical form of a member and its faults."""
    return _examined(group, member, repr(member.params))


def _stand_ins(group: str) -> Mapping[str, str]:
    """The names of a group that are no entries of its registry."""
    return STAND_INS if group == "activation" else {}


@lru_cache(maxsize=16384)
def _examined(group: str, member: Member, typed: str) -> tuple[Member, tuple[Fault, ...]]:
    # `typed` tells 1, 1.0 and true apart, which are one key to a cache and three values to a kind
    registry = REGISTRIES[group]
    faults: list[Fault] = []
    member = replace(member, name=registry.named(member.name))
    if member.name in _stand_ins(group):
        parse_params(f"{group}.", (), dict(member.params), faults)
        return Member(member.name), tuple(faults)
    if member.name not in registry:
        return member, (unknown(f"{group}.name", group, member.name, registry.names()),)
    entry = registry[member.name]
    params = entry.params + (bias_param(entry) if group == "init" else ())
    shorthand = MODELS[member.name].shorthand if group == "model" else ()
    values: Mapping[str, Value] = parse_params(f"{group}.", (*params, *shorthand), dict(member.params), faults)
    if group == "model":
        values = _unfolded(MODELS[member.name], values, faults)
    if group == "init" and "bias" in values:
        values = {**values, "bias": INITS.named(str(values["bias"]))}
    broken = {fault.where.removeprefix(f"{group}.") for fault in faults}
    faults.extend(
        Fault(f"{group}.{rule.where}", rule.rule, text(values[rule.where]), rule.remedy)
        for rule in _broken(entry.rules, values, broken)
    )
    return Member(member.name, tuple(sorted(values.items()))), tuple(faults)


def _unfolded(model: Model, values: Mapping[str, Value], faults: list[Fault]) -> Mapping[str, Value]:
    """The parameters that a spec keeps of a model; its shorthand is gone."""
    try:
        return model.unfold(values)
    except Unclear as unclear:
        where = f"model.{unclear.where}"
        faults.append(Fault(where, str(unclear), text(values[unclear.where]), unclear.remedy))
        return model.unfold({**values, **{param.name: None for param in model.shorthand}})


def _broken(rules: Iterable[Rule], values: Mapping[str, Value], faulty: Set[str]) -> Iterator[Rule]:
    """The rules that values break; of a value that is itself at fault a rule says nothing."""
    for rule in rules:
        read = _Read(values)
        if not rule.holds(read) and not read.names & faulty:
            yield rule


def _precision_faults(spec: RunSpec) -> Iterator[Fault]:
    """What does not hold of the numbers of the run's dtype that the parameters become."""
    for group in MEMBERS:
        member: Member = getattr(spec, group)
        if member.name in REGISTRIES[group]:
            yield from _member_precision_faults(group, member, spec.dtype)
    yield from _lost("train.", TRAIN, {param.name: getattr(spec.train, param.name) for param in TRAIN}, spec.dtype)[1]
    yield from _lost("solved.", SOLVED, {param.name: getattr(spec.solved, param.name) for param in SOLVED}, spec.dtype)[
        1
    ]


@lru_cache(maxsize=16384)
def _member_precision_faults(group: str, member: Member, dtype: str) -> tuple[Fault, ...]:
    entry = REGISTRIES[group][member.name]
    values, faults = _lost(f"{group}.", entry.params, dict(member.params), dtype)
    faulty = {fault.where.removeprefix(f"{group}.") for fault in faults}
    said = set(_broken(entry.rules, dict(member.params), frozenset()))  # whatever the dtype
    for rule in (rule for rule in _broken(entry.rules, values, faulty) if rule not in said):
        faults.append(_coarse(f"{group}.{rule.where}", rule.rule, member[rule.where], dtype, rule.remedy))
    return tuple(faults)


def _lost(
    prefix: str, params: Iterable[Param], given: Mapping[str, Value], dtype: str
) -> tuple[dict[str, Value], list[Fault]]:
    """Parameters as ``dtype`` holds them, and a fault for each that it cannot hold or that its kind refuses then."""
    values, faults = dict(given), []
    for param in params:
        value, where, remedy = (
            given[param.name],
            f"{prefix}{param.name}",
            f"try {prefix}{param.name}={text(param.default)}",
        )
        try:
            values[param.name] = rounded(value, dtype)
        except Refused as refused:
            faults.append(Fault(where, str(refused), text(value), _wider(value, dtype, remedy)))
            continue
        try:
            param.kind.parse(values[param.name])
        except Refused as refused:
            faults.append(_coarse(where, str(refused), value, dtype, remedy))
    return values, faults


def _coarse(where: str, rule: str, value: Value, dtype: str, remedy: str) -> Fault:
    return Fault(where, f"{rule} when rounded to dtype={dtype}", text(value), _wider(value, dtype, remedy))


def _wider(value: Value, dtype: str, remedy: str) -> str:
    """The remedy for a value that ``dtype`` does not hold: a dtype that does, if there is one."""
    if dtype == "float64":
        return remedy
    try:
        rounded(value, "float64")
    except Refused:
        return remedy
    return f"{remedy}, or dtype=float64" if remedy else "try dtype=float64"


class _Read(dict[str, Value]):
    """Parameters that know which of them a rule has looked at."""

    def __init__(self, values: Mapping[str, Value]):
        super().__init__(values)
        self.names: set[str] = set()

    def __getitem__(self, name: str) -> Value:
        self.names.add(name)
        return super().__getitem__(name)


def _with_activations(spec: RunSpec) -> tuple[RunSpec, list[Fault]]:
    """The spec with the activations that it leaves to its model and its loss, and what is wrong with those that it
    states."""
    model, loss = MODELS[spec.model.name], LOSSES[spec.loss.name]
    named, said = spec.activation.name != AUTO, spec.model["output"]
    only = OPTIMIZERS[spec.optimizer.name].output if spec.optimizer.name in OPTIMIZERS else None
    said = None if said is None else ACTIVATIONS.named(str(said))
    output = str((only or loss.output) if said is None else said)
    if model.between is None and named:  # the activation is the output's
        if said not in (None, spec.activation.name):
            rule = f"must be model.output ({said}): a {model.name} has one activation"
            return spec, [Fault("activation.name", rule, f"'{spec.activation.name}'", "say one of the two")]
        output = spec.activation.name
    where = "activation.name" if model.between is None and named else OUTPUT_WHERE
    found = (
        _rule_output_fault(where, spec.optimizer.name, only, output)
        if only
        else _output_fault(where, loss.name, output)
    )
    faults = [found] if found else []
    if model.between is not None:
        activation = spec.activation if named else at_defaults(model.between)
        faults += _between_faults(activation)
    else:
        activation = spec.activation if named or faults else at_defaults(output)
    return replace(spec, model=spec.model.with_params(output=output), activation=activation), faults


@lru_cache(maxsize=1024)
def _output_fault(where: str, loss_name: str, output: str) -> Fault | None:
    loss = LOSSES[loss_name]
    if output not in OUTPUTS:
        return unknown(where, OUTPUTS.kind, output, OUTPUTS.names())
    fitting = loss.outputs or tuple(a.name for a in ACTIVATIONS if a.trainable and not a.learned)
    if output in fitting:
        return None
    rule = (
        f"must be {' or '.join(fitting)} with loss={loss_name}"
        if loss.outputs
        else "must be elementwise, fixed and differentiable"
    )
    remedy = "leave it out" if where == OUTPUT_WHERE else f"try activation={AUTO}"
    return Fault(where, rule, f"'{output}'", f"{remedy} for {loss.output}, or choose another loss")


def _rule_output_fault(where: str, optimizer: str, only: str, output: str) -> Fault | None:
    if output == only:
        return None
    remedy = "leave it out" if where == OUTPUT_WHERE else f"try activation={AUTO}"
    return Fault(where, f"must be {only} with optimizer={optimizer}", f"'{output}'", remedy)


def _by_rows_faults(spec: RunSpec) -> Iterator[Fault]:
    """What is wrong with a rule that goes from row to row and follows no gradient."""
    entry = OPTIMIZERS[spec.optimizer.name]
    if not entry.by_rows:
        return
    by = f"with optimizer={entry.name}"
    if spec.model.name in MODELS and MODELS[spec.model.name].between is not None:
        rule = f"must have no hidden layer {by}, which has no gradient to pass back"
        yield Fault("model.name", rule, f"'{spec.model.name}'", "try model=perceptron")
    if spec.loss.name in LOSSES and spec.loss.name != entry.loss:
        rule = f"must be {entry.loss} {by}: of an output of 0 or 1 it is the share of wrong rows"
        yield Fault("loss.name", rule, f"'{spec.loss.name}'", f"try loss={entry.loss}")
    if spec.train.batch_size is not None:
        rule = f"must be null {by}, which updates after each row"
        yield Fault("train.batch_size", rule, text(spec.train.batch_size), "leave it out")
    if spec.train.clip_norm:
        yield Fault(
            "train.clip_norm", f"must be 0 {by}, which has no gradient", text(spec.train.clip_norm), "leave it out"
        )


def _between_faults(activation: Member) -> list[Fault]:
    """What is wrong with the activation of hidden layers."""
    if not OUTPUTS[activation.name].elementwise:
        remedy = f"try activation=sigmoid, or model.output={activation.name}"
        return [Fault("activation.name", "must be elementwise between layers", f"'{activation.name}'", remedy)]
    if not ACTIVATIONS[activation.name].trainable:
        rule = "must have a derivative that is not 0 everywhere, for every optimizer here follows the gradient"
        return [Fault("activation.name", rule, f"'{activation.name}'", "try activation=sigmoid, its smooth form")]
    return []


def _with_data(spec: RunSpec) -> tuple[RunSpec, list[Fault]]:
    """The spec with the digest of its file of data, and what is wrong with that file, or between the data and the
    loss."""
    data, entry = spec.data, DATA[spec.data.name]
    try:
        if entry.digest is not None:
            data = data.with_params(digest=entry.digest(dict(data.params)))
        held = size(data)
    except SpecError as error:
        return spec, list(error.faults)
    return replace(spec, data=data), list(_fit_faults(data, held, LOSSES[spec.loss.name]))


def _fit_faults(data: Member, held: Size, loss: Loss) -> Iterator[Fault]:
    """What is wrong between data and a loss."""
    value, note = f"loss={loss.name}", f" ({held.note})" if held.note else ""
    if loss.numbers and held.targets:
        if held.rows - test_rows(data) < 1:
            yield Fault("data.test_fraction", "must leave a row for the training", f"{held.rows} row", "try 0")
        return
    if not held.classes:
        rule = (
            f"must be {_names(loss.numbers for loss in LOSSES)} with data={data.name}, whose target is a number{note}"
        )
        yield Fault("loss.name", rule, value, "try loss=mse model.output=identity")
    elif held.classes == 1:
        yield Fault("data.target", "must have two classes or more", "one", "choose another column, or add rows")
    elif held.classes > 2 and not loss.one_hot:
        rule = (
            f"must be {_names(loss.one_hot for loss in LOSSES)} with data={data.name} of {held.classes} classes{note}"
        )
        yield Fault("loss.name", rule, value, "try loss=cross_entropy")
    else:
        yield from class_faults(dict(data.params), held.counts)


def _reach_faults(spec: RunSpec) -> Iterator[Fault]:
    """Numbers to be learnt that the output can never be."""
    output, span = str(spec.model["output"]), OUTPUTS[str(spec.model["output"])].span
    if span is None or not learns_numbers(spec):
        return
    low, high = _target_range(spec.data, spec.loss.name)
    if low < span[0] or high > span[1]:
        where = OUTPUT_WHERE if MODELS[spec.model.name].between is not None else "activation.name"
        rule, value = f"must reach targets of {low:.4g} to {high:.4g}", f"'{output}' of {span[0]:g} to {span[1]:g}"
        yield Fault(where, rule, value, f"try {where.removesuffix('.name')}=identity")


@lru_cache(maxsize=256)
def _target_range(data: Member, loss: str) -> tuple[float, float]:
    """The smallest and the largest target of the training part."""
    _, targets = rows_of(data, loss)
    return float(targets.min()), float(targets.max())


def _names(chosen: Iterable[bool]) -> str:
    return " or ".join(name for name, wanted in zip(LOSSES.names(), chosen, strict=True) if wanted)


def _seed_faults(spec: RunSpec) -> Iterator[Fault]:
    if spec.seed + spec.replicates > SEEDS:
        remedy = "lower seed: from there on torch's generator repeats the draws of seed 0, 1, ..."
        yield Fault("seed", f"+ replicates must be at most {SEEDS}", f"{spec.seed} + {spec.replicates}", remedy)


def _bias_faults(init: Member) -> Iterator[Fault]:
    if "bias" not in init:
        return
    scheme = str(init["bias"])
    if scheme == BIAS_SAME:
        if not INITS[init.name].biases:
            yield Fault("init.bias", f"cannot be 'same': {init.name} fills matrices only", remedy="try init.bias=zeros")
    elif scheme not in INITS:
        yield unknown("init.bias", "bias scheme", scheme, [BIAS_SAME, *(e.name for e in INITS if e.biases)])
    elif not INITS[scheme].biases:
        yield Fault("init.bias", "must be a scheme that fills vectors", f"'{scheme}'", "try init.bias=zeros")


def _stored(spec: RunSpec) -> tuple[RunSpec, list[Fault]]:
    """The spec with its weights file's digest, and the faults of that file."""
    said = spec.init["path"]
    if said is None:
        return spec, [
            Fault("init.path", "must be given with init=from_file", remedy="try init.path=weights.safetensors")
        ]
    try:
        content = read_bytes(str(said), most_bytes(spec))
    except OSError as error:
        return spec, [
            Fault("init.path", f"must be a readable file ({error.strerror})", repr(str(said)), "check the path")
        ]
    digest = hashlib.sha256(content).hexdigest()
    if spec.init["digest"] not in (None, digest):
        return spec, [
            Fault(
                "init.digest", "must be the SHA-256 of init.path", text(spec.init["digest"]), f"the file has {digest}"
            )
        ]
    faults = list(_misfits(spec, content))
    return replace(spec, init=spec.init.with_params(digest=digest)), faults


def most_bytes(spec: RunSpec) -> int:
    """The size of the largest file that may hold the weights of a spec's networks: in double precision, with room for
    its head and, so that the tensors that do not fit can be named, for some more."""
    return max(_WEIGHTS_BYTES, 2 * 8 * architecture(spec).parameters * spec.replicates)


def _misfits(spec: RunSpec, content: bytes) -> Iterator[Fault]:
    import safetensors
    from safetensors.numpy import load

    try:
        stored = {name: tensor.shape for name, tensor in load(content).items()}
    except (safetensors.SafetensorError, ValueError, KeyError, TypeError) as error:
        yield Fault(
            "init.path", "must be a safetensors file", f"one that cannot be read ({error})", "save it with safetensors"
        )
        return
    wanted = architecture(spec).tensors()
    for name in sorted(stored.keys() - wanted.keys()):
        yield Fault(
            "init.path", f"must hold the model's tensors only ({', '.join(wanted)})", f"'{name}'", "rename or remove it"
        )
    for name, shape in wanted.items():
        fitting = [(spec.replicates, *shape)] + ([shape] if spec.replicates == 1 else [])
        if name not in stored:
            yield Fault("init.path", f"must hold {name}", "a file without it", f"add it with shape {list(fitting[0])}")
        elif stored[name] not in fitting:
            yield Fault(
                "init.path",
                f"must hold {name} with shape {' or '.join(str(list(s)) for s in fitting)}",
                str(list(stored[name])),
                "change model.hidden, replicates or the file",
            )
