"""What must hold of the device that a spec's networks train on, whatever machine it is. Pure; no torch."""

from __future__ import annotations

from collections.abc import Iterator

from nnspec.architecture import architecture
from nnspec.catalog import OPTIMIZERS
from nnspec.errors import Fault
from nnspec.specs import CPU, RunSpec


def device_faults(spec: RunSpec) -> Iterator[Fault]:
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
