"""Diagnosis of a trained chunk, in the worker that trained it: groups of like networks in, one value a network out."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from nnspec.diagnostics import VERDICTS, Group, Snapshots, at_a_time, diagnose
from nnspec.problem import Problem, own_rows
from nnspec.results.arrays import Results
from nnspec.specs import Member, RunSpec
from nnspec.training.plan import Chunk

_SHARED = {name: name for name in VERDICTS}  # one text for all networks of a verdict, not one each


@dataclass(frozen=True)
class Judged:
    """Of each network of a chunk, in its order: ``verdict`` [j], and ``numbers`` [j] by name, NaN where not
    measured."""

    verdict: np.ndarray
    numbers: dict[str, np.ndarray]
    seconds: float = 0.0
    files: dict[int, dict[str, bytes]] = field(default_factory=dict)  # by cell, of those that lie in the chunk whole


def judge(specs: Sequence[RunSpec], chunk: Chunk, trained: Results) -> Judged:
    """Diagnose every network of a chunk."""
    start = time.perf_counter()
    verdict = np.full(len(trained.seeds), "", dtype=object)
    numbers: dict[str, np.ndarray] = {}
    for group, some in _groups(specs, chunk, trained):
        diagnosis = diagnose(group)
        verdict[some] = [_SHARED[name] for name in diagnosis.verdict.tolist()]
        for name, values in diagnosis.numbers.items():
            numbers.setdefault(name, np.full(len(verdict), np.nan))[some] = values
    return Judged(verdict, numbers, time.perf_counter() - start)


def _groups(specs: Sequence[RunSpec], chunk: Chunk, trained: Results) -> Iterator[tuple[Group, np.ndarray]]:
    """The networks of a chunk that are diagnosed together, and their places in it."""
    alike: dict[RunSpec, list[np.ndarray]] = {}
    column = 0
    for share in chunk.shares:
        alike.setdefault(_alike(specs[share.cell]), []).append(np.arange(column, column + share.count))
        column += share.count
    for spec, members in alike.items():
        where, apart = np.concatenate(members), own_rows(spec)
        together = 1 if apart else at_a_time(spec)
        for some in (where[first : first + together] for first in range(0, len(where), together)):
            problem = Problem.of(spec, int(trained.seeds[some[0]])) if apart else None
            yield _group(spec, trained, some, problem), some


def _alike(spec: RunSpec) -> RunSpec:
    """What a diagnosis depends on besides the arrays: networks that agree on it are judged together."""
    return replace(spec, seed=0, replicates=1, init=Member(""), optimizer=Member(""))


def _group(spec: RunSpec, trained: Results, where: np.ndarray, problem: Problem | None) -> Group:
    return Group(
        spec=spec,
        initial={name: tensor[where] for name, tensor in trained.initial.items()},
        final={name: tensor[where] for name, tensor in trained.final.items()},
        steps=trained.steps,
        loss=trained.loss[where],
        right=trained.solved[where],
        nonfinite_at=trained.nonfinite_at[where],
        snapshots=Snapshots(trained.snapshots, where) if trained.snapshots else None,
        problem=problem,
        stopped_at=None if trained.stopped_at is None else trained.stopped_at[where],
    )
