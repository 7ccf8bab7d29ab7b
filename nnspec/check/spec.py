"""Everything that must hold before anything trains: each member's parameters and the rules across fields.

All faults of a spec are reported at once. A checked spec is canonical: parameters complete and of one type, both
activations said, the digests of a weights file and of a file of data filled in.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from nnspec import duration
from nnspec.architecture import architecture, size
from nnspec.catalog import DATA, INITS, LOSSES, OPTIMIZERS, REGISTRIES
from nnspec.check.activations import by_rows_faults, with_activations
from nnspec.check.data import reach_faults, with_data
from nnspec.check.duration import duration_faults
from nnspec.check.layers import layer_faults
from nnspec.check.members import examine_member, precision_faults, stand_ins
from nnspec.check.weights import bias_faults, with_weights_file
from nnspec.errors import Fault, SpecError
from nnspec.specs import CPU, MEMBERS, SEEDS, Member, RunSpec, as_member, parse


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
            fault
            for group, member in members.items()
            if member is not None
            for fault in examine_member(group, member)[1]
        ]
    if faults or spec is None:
        raise SpecError(faults)
    return spec


def checked(spec: RunSpec, files: bool = True) -> RunSpec:
    """The canonical form of ``spec``; raises ``SpecError`` with every fault found. For ``files`` see ``examine``."""
    spec, faults = examine(spec, files)
    if faults:
        raise SpecError(faults)
    return spec


def archived_spec(mapping: Mapping[str, object]) -> RunSpec:
    """The checked spec of a plain mapping that was filed; a weights file that it began with may be gone by now.

    Raises:
        SpecError: with every fault of its form and of its meaning.
    """
    return checked(RunSpec.from_mapping(mapping), files=False)


def examine(spec: RunSpec, files: bool = True) -> tuple[RunSpec, list[Fault]]:
    """The canonical form of ``spec`` and every fault found; the form is meaningless where there are faults.

    ``files`` says whether to look into the files of weights and of data that it names."""
    faults: list[Fault] = []
    canonical: dict[str, Member] = {}
    for group in MEMBERS:
        member, found = examine_member(group, getattr(spec, group))
        canonical[group] = member
        faults.extend(found)
    resolved = replace(spec, **canonical)  # type: ignore[arg-type]
    faults.extend(seed_faults(resolved))
    faults.extend(precision_faults(resolved))
    # a refused parameter stands at its default here, so that only an unknown name leaves a rule nothing to judge
    unnamed = {
        group for group in MEMBERS if canonical[group].name not in (*REGISTRIES[group].names(), *stand_ins(group))
    }
    if not unnamed & {"model", "activation", "loss"}:
        resolved, found_activations = with_activations(resolved)
        faults.extend(found_activations)
    broken = {fault.where.split(".")[0] for fault in faults}
    if not {"data", "loss"} & (unnamed | broken) and (files or DATA[resolved.data.name].digest is None):
        resolved, found_data = with_data(resolved)
        faults.extend(found_data)
        broken |= {"data" for _ in found_data}
        if not found_data and not {"model", "activation"} & (unnamed | broken):
            faults.extend(reach_faults(resolved))
    if "init" not in unnamed:
        faults.extend(bias_faults(resolved.init))
        if files and INITS[resolved.init.name].stored and not broken & {"model", "activation", "init", "loss", "data"}:
            resolved, found_file = with_weights_file(resolved)
            faults.extend(found_file)
    broken = {fault.where.split(".")[0] for fault in faults}
    if not {*MEMBERS} & (unnamed | broken):
        held = size(resolved.data)
        faults.extend(layer_faults(resolved, LOSSES[resolved.loss.name].columns(held.classes, held.targets)))
        if "optimizer" not in broken | {fault.where.split(".")[0] for fault in faults}:
            faults.extend(_device_faults(resolved))
    if not unnamed & {"optimizer"}:
        faults.extend(by_rows_faults(resolved))
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


def seed_faults(spec: RunSpec) -> Iterator[Fault]:
    """What is wrong with the seed of a spec: all that ``examine`` asks of it."""
    if spec.seed + spec.replicates > SEEDS:
        remedy = "lower seed: from there on torch's generator repeats the draws of seed 0, 1, ..."
        yield Fault("seed", f"+ replicates must be at most {SEEDS}", f"{spec.seed} + {spec.replicates}", remedy)


def _device_faults(spec: RunSpec) -> Iterator[Fault]:
    """Every fault of the device of a spec whose members have none of their own."""
    if spec.device == CPU:
        return
    remedy = "leave it out"
    if architecture(spec).opaque:
        rule = (
            "must be cpu for networks that are a torch module: a model of one's own, layers other than linear ones, "
            "dropout, normalisation, or a learning rate a layer"
        )
        yield Fault("device", rule, spec.device, remedy)
    if OPTIMIZERS[spec.optimizer.name].by_rows:
        rule = f"must be cpu with optimizer={spec.optimizer.name}, which goes from row to row"
        yield Fault("device", rule, spec.device, remedy)
