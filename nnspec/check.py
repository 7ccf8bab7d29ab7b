"""Everything that must hold before anything trains: each member's parameters and the rules across fields.

All faults of a spec are reported at once. A checked spec is canonical: parameters complete and of one type, the output
activation said, the digest of a weights file filled in.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from nnspec.architecture import SOFTMAX, architecture
from nnspec.catalog import ACTIVATIONS, INITS, LOSSES, MODELS, REGISTRIES
from nnspec.catalog.inits import BIAS_SAME, bias_param
from nnspec.errors import Fault, SpecError, unknown
from nnspec.params import Param, Refused, Rule, Value, rounded
from nnspec.spec import MEMBERS, SEEDS, SOLVED, Member, RunSpec, as_member, parse, parse_params, text


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
        members = {group: as_member(group, mapping.get(group), []) for group in MEMBERS}
        faults += [fault for group, member in members.items() if member is not None for fault in _member(group, member)[1]]
    if faults or spec is None:
        raise SpecError(faults)
    return spec


def checked(spec: RunSpec) -> RunSpec:
    """The canonical form of ``spec``; raises ``SpecError`` with every fault found."""
    spec, faults = examine(spec)
    if faults:
        raise SpecError(faults)
    return spec


def examine(spec: RunSpec) -> tuple[RunSpec, list[Fault]]:
    """The canonical form of ``spec`` and every fault found; the form is meaningless where there are faults."""
    faults: list[Fault] = []
    canonical: dict[str, Member] = {}
    for group in MEMBERS:
        member, found = _member(group, getattr(spec, group))
        canonical[group] = member
        faults.extend(found)
    resolved = replace(spec, **canonical)  # type: ignore[arg-type]
    faults.extend(_seed_faults(resolved))
    faults.extend(_precision_faults(resolved))
    broken = {fault.where.split(".")[0] for fault in faults}
    # a refused parameter stands at its default here, so that only an unknown name leaves a rule nothing to judge
    unnamed = {group for group in MEMBERS if canonical[group].name not in REGISTRIES[group]}
    if not unnamed & {"model", "loss"}:
        resolved, found_output = _resolve_output(resolved)
        faults.extend(found_output)
        broken |= {fault.where.split(".")[0] for fault in found_output}
    if not unnamed & {"model", "activation"}:
        faults.extend(_gradient_faults(resolved))
    if "init" not in unnamed:
        faults.extend(_bias_faults(resolved.init))
        if INITS[resolved.init.name].stored and not broken & {"model", "activation", "init", "loss", "data"}:
            resolved, found_file = _stored(resolved)
            faults.extend(found_file)
    return resolved, faults


def _member(group: str, member: Member) -> tuple[Member, tuple[Fault, ...]]:
    """The canonical form of a member and its faults."""
    return _examined(group, member, repr(member.params))


@lru_cache(maxsize=16384)
def _examined(group: str, member: Member, typed: str) -> tuple[Member, tuple[Fault, ...]]:
    # `typed` tells 1, 1.0 and true apart, which are one key to a cache and three values to a kind
    registry = REGISTRIES[group]
    if member.name not in registry:
        return member, (unknown(f"{group}.name", group, member.name, registry.names()),)
    entry = registry[member.name]
    params = entry.params + (bias_param(entry) if group == "init" else ())
    faults: list[Fault] = []
    values = parse_params(f"{group}.", params, dict(member.params), faults)
    broken = {fault.where.removeprefix(f"{group}.") for fault in faults}
    faults.extend(
        Fault(f"{group}.{rule.where}", rule.rule, text(values[rule.where]), rule.remedy) for rule in _broken(entry.rules, values, broken)
    )
    return Member(member.name, tuple(sorted(values.items()))), tuple(faults)


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
    yield from _lost("solved.", SOLVED, {param.name: getattr(spec.solved, param.name) for param in SOLVED}, spec.dtype)[1]


@lru_cache(maxsize=16384)
def _member_precision_faults(group: str, member: Member, dtype: str) -> tuple[Fault, ...]:
    entry = REGISTRIES[group][member.name]
    values, faults = _lost(f"{group}.", entry.params, dict(member.params), dtype)
    faulty = {fault.where.removeprefix(f"{group}.") for fault in faults}
    said = set(_broken(entry.rules, dict(member.params), frozenset()))  # whatever the dtype
    for rule in (rule for rule in _broken(entry.rules, values, faulty) if rule not in said):
        faults.append(_coarse(f"{group}.{rule.where}", rule.rule, member[rule.where], dtype, rule.remedy))
    return tuple(faults)


def _lost(prefix: str, params: Iterable[Param], given: Mapping[str, Value], dtype: str) -> tuple[dict[str, Value], list[Fault]]:
    """Parameters as ``dtype`` holds them, and a fault for each that it cannot hold or that its kind refuses then."""
    values, faults = dict(given), []
    for param in params:
        value, where, remedy = given[param.name], f"{prefix}{param.name}", f"try {prefix}{param.name}={text(param.default)}"
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


def _resolve_output(spec: RunSpec) -> tuple[RunSpec, list[Fault]]:
    loss, said = LOSSES[spec.loss.name], spec.model["output"]
    if said is None:
        return replace(spec, model=spec.model.with_params(output=loss.output)), []
    fault = _output_fault(loss.name, str(said))
    return spec, [fault] if fault else []


@lru_cache(maxsize=1024)
def _output_fault(loss_name: str, output: str) -> Fault | None:
    loss = LOSSES[loss_name]
    if output != SOFTMAX and output not in ACTIVATIONS:
        return unknown("model.output", "output activation", output, [SOFTMAX, *ACTIVATIONS.names()])
    fitting = loss.outputs or tuple(a.name for a in ACTIVATIONS if a.trainable and not a.learned)
    if output in fitting:
        return None
    rule = f"must be {' or '.join(fitting)} with loss={loss_name}" if loss.outputs else "must be elementwise, fixed and differentiable"
    return Fault("model.output", rule, f"'{output}'", f"leave it out for {loss.output}, or choose another loss")


def _seed_faults(spec: RunSpec) -> Iterator[Fault]:
    if spec.seed + spec.replicates > SEEDS:
        remedy = "lower seed: from there on torch's generator repeats the draws of seed 0, 1, ..."
        yield Fault("seed", f"+ replicates must be at most {SEEDS}", f"{spec.seed} + {spec.replicates}", remedy)


def _gradient_faults(spec: RunSpec) -> Iterator[Fault]:
    entry = ACTIVATIONS[spec.activation.name]
    if not entry.trainable and MODELS[spec.model.name].hidden(dict(spec.model.params)):
        yield Fault(
            "activation.name",
            "must have a derivative that is not 0 everywhere, for every optimizer here follows the gradient",
            f"'{entry.name}'",
            "try activation=sigmoid, its smooth form",
        )


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
        return spec, [Fault("init.path", "must be given with init=from_file", remedy="try init.path=weights.safetensors")]
    path = Path(str(said))
    try:
        content = path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a path that no file can have, as with a null byte
        reason = getattr(error, "strerror", None) or error
        return spec, [Fault("init.path", f"must be a readable file ({reason})", repr(str(path)), "check the path")]
    digest = hashlib.sha256(content).hexdigest()
    if spec.init["digest"] not in (None, digest):
        return spec, [Fault("init.digest", "must be the SHA-256 of init.path", text(spec.init["digest"]), f"the file has {digest}")]
    faults = list(_misfits(spec, content))
    return replace(spec, init=spec.init.with_params(digest=digest)), faults


def _misfits(spec: RunSpec, content: bytes) -> Iterator[Fault]:
    import safetensors
    from safetensors.numpy import load

    try:
        stored = {name: tensor.shape for name, tensor in load(content).items()}
    except (safetensors.SafetensorError, ValueError, KeyError, TypeError) as error:
        yield Fault("init.path", "must be a safetensors file", f"one that cannot be read ({error})", "save it with safetensors")
        return
    wanted = architecture(spec).tensors()
    for name in sorted(stored.keys() - wanted.keys()):
        yield Fault("init.path", f"must hold the model's tensors only ({', '.join(wanted)})", f"'{name}'", "rename or remove it")
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
