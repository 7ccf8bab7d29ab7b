"""The kernels of this process, each made once for all networks that can share it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from nnspec.architecture import architecture
from nnspec.catalog import OPTIMIZERS
from nnspec.duration import batch_size, updates
from nnspec.problem import Problem
from nnspec.specs import RunSpec, Train
from nnspec.training.layout import parts
from nnspec.training.memory import WHOLE, block_rows
from nnspec.training.plan import segment_key, stack_key
from nnspec.training.separate.arrays import aligned
from nnspec.training.separate.kernel import Kernel, build_kernel
from nnspec.training.separate.layers import Shape
from nnspec.training.separate.numbers import coefficients_ahead, hyperparameters
from nnspec.training.tracing import trace_update

KERNELS: dict[object, Kernel] = {}


def kernel_of(spec: RunSpec, problem: Problem) -> Kernel:
    """The kernel of a spec's networks.

    Raises:
        Untraceable: one of its formulas has no form for it.
    """
    own = replace(spec, train=Train(batch_size=spec.train.batch_size, clip_norm=spec.train.clip_norm))
    key = (stack_key(own), segment_key(own))  # however many updates there are
    if key not in KERNELS:
        h = hyperparameters(spec.optimizer)
        flags = {name: value for name, value in h.items() if isinstance(value, (bool, str))}
        pairs = [name for name, value in h.items() if isinstance(value, tuple)]
        first = coefficients_ahead(spec.optimizer, spec.schedule, updates(spec), 1)
        moving = [name for name, value in first.items() if value.dim() == 2]
        update = trace_update(spec, OPTIMIZERS[spec.optimizer.name].slots(h), flags, pairs, moving)
        size = batch_size(spec)
        by_rows = OPTIMIZERS[spec.optimizer.name].by_rows
        watched = size == len(problem.inputs) and not by_rows
        count = parts(spec)
        rows, looked = (block_rows(-(-some // count)) for some in (size, len(problem.inputs)))
        rows = WHOLE if by_rows else rows
        shape = Shape(rows, looked, size, watched, spec.train.clip_norm, by_rows, count)
        own_problem = replace(problem, shape=architecture(spec))  # cells of a stack may differ in their activation
        KERNELS[key] = build_kernel(spec, own_problem, shape, update)
    return KERNELS[key]


def working_memory(kernel: Kernel, kind: np.dtype) -> np.ndarray:
    """What a kernel works in, [parts, work], with the inputs that are always 1."""
    room = aligned((kernel.shape.parts, kernel.work), kind)
    for here in kernel.ones:
        room[:, here] = 1
    return room
