"""``nnspec.verify``: a network that somebody wrote by hand against nnspec's own, from the same start."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from nnspec.catalog import LR_PER_LAYER, MODELS, PER_LAYER, unsaid
from nnspec.check import checked
from nnspec.problem import Problem
from nnspec.reference import Tensors, drawn
from nnspec.specs import SEEDS, RunSpec
from nnspec.verifying.arrays import Arrays
from nnspec.verifying.given import Given, VerifyError
from nnspec.verifying.module import Module
from nnspec.verifying.report import VerifyReport
from nnspec.verifying.stages import Comparison

ROWS = 64  # of the training part, evenly chosen: as many as a batch usually has


def verify(net: Any, spec: RunSpec, seed: int = 0, *, step: Callable[..., Any] | None = None) -> VerifyReport:
    """Compare ``net`` with nnspec's network of ``spec`` and ``seed``: outputs, loss, gradients, the first updates.

    nnspec's start is put into the network's parameters, in their order; a matrix may be [out, in] or [in, out]. Outputs
    and gradients are compared there and at a second point, where biases of 0 are none; all on at most 64 training rows.
    The network holds nnspec's start afterwards.

    Args:
        net: a ``torch.nn.Module``, which is cast to the spec's dtype, or an object or a mapping of NumPy arrays and
            functions: ``parameters`` and ``forward(x)``; if it has them, ``loss(x, y)``, ``gradients(x, y)`` or
            ``backward(x, y)``, and ``step(x, y)``. See docs/verify.md.
        step: a function of x and y that makes one update, in place of the network's own or of torch's optimizer.

    Raises:
        VerifyError: the network cannot be compared: other shapes, an error of its own, numbers that are not finite.
        SpecError: the spec or the seed has a fault.
    """
    if not isinstance(spec, RunSpec):
        raise VerifyError(f"spec must be a spec, but got {type(spec).__name__}; make it by nnspec.spec([...])")
    if not isinstance(seed, int) or not 0 <= seed < SEEDS:
        raise VerifyError(f"seed must be a whole number from 0 to {SEEDS - 1}, but got {seed!r:.80}; choose another")
    spec = checked(spec)
    problem = _problem(spec, seed)
    start = {name: w.astype(np.float64) for name, w in drawn(spec, seed).items()}
    if isinstance(net, torch.nn.Module):
        given: Given = Module(net, spec, problem, step)
    else:
        given = Arrays(net, step)
    comparison = Comparison(given, spec, problem, start, _moved(start, seed))
    try:
        return comparison.report()
    finally:
        given.done()


def _problem(spec: RunSpec, seed: int) -> Problem:
    """The spec's problem on some of its training rows."""
    problem = Problem.of(spec, seed)
    if problem.shape.opaque:
        raise VerifyError(
            "the network of the spec must be linear layers with biases and one activation between them for verify, but "
            f"got {', '.join(_beyond(spec))}; leave it out"
        )
    rows = len(problem.inputs)
    chosen = np.unique(np.linspace(0, rows - 1, min(rows, ROWS)).astype(int))
    kind = np.dtype(spec.dtype)
    inputs = problem.inputs[chosen].astype(kind).astype(np.float64)
    return replace(problem, inputs=inputs, targets=problem.targets[chosen])


def _beyond(spec: RunSpec) -> list[str]:
    """The keys by which a spec asks for another network than verify knows."""
    if MODELS[spec.model.name].opaque:
        return [f"model={spec.model.name}"]
    found = [f"model.{name}" for name in unsaid("model", spec.model.name) if name in spec.model]
    found += [f"activation.{PER_LAYER}"] * (PER_LAYER in spec.activation)
    return found + [f"optimizer.{LR_PER_LAYER}"] * (LR_PER_LAYER in spec.optimizer)


def _moved(start: Tensors, seed: int) -> Tensors:
    """Other weights of the same size; biases that start at 0 are no longer 0, square matrices no longer symmetric."""
    generator = np.random.default_rng(seed)
    found = {}
    for name, w in start.items():
        size = 0.3 if w.ndim == 1 else 0.5 / np.sqrt(w.shape[1])
        found[name] = (w + size * generator.standard_normal(w.shape)).astype(np.float32).astype(np.float64)
    return found
