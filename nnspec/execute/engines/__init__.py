"""Engines other than processes of this machine: what trains the chunks of a command, as ``train.engine`` says."""

from __future__ import annotations

from dataclasses import replace

from nnspec.execute.engine import Carry
from nnspec.settings import RAY, Runtime


def chosen(runtime: Runtime, carry: Carry | None = None, plan_only: bool = False) -> tuple[Carry | None, Runtime]:
    """What trains the chunks, and the runtime as it is there; ``carry`` is what the caller trains them with whatever
    the settings say. A plan trains none, and asks nobody.

    Raises:
        SpecError: the engine is not installed, or the settings ask for what it cannot do.
        TrainingError: it cannot be reached, or has another version of nnspec.
    """
    if plan_only or carry is not None or runtime.engine != RAY:
        return carry, runtime
    from nnspec.execute.engines.on_ray import connected

    ray = connected(runtime.address, runtime.workers)
    return ray, replace(runtime, workers=runtime.workers or ray.cores())
