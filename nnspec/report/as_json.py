"""What a command did or would do, in plain values for ``--json``; docs/json.md names the fields."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnspec.claims.writing import content
from nnspec.report import console
from nnspec.results.arrays import FINALS, quantiles
from nnspec.results.outcome import Outcome
from nnspec.results.requirements import Check, solve_limits
from nnspec.specs import RunSpec
from nnspec.sweep import Cell
from nnspec.tracking import Store
from nnspec.tracking.locate import run_page, ui_command
from nnspec.training.layout import layout, why_separate
from nnspec.training.plan import Plan, Stack, differences


@dataclass(frozen=True)
class Place:
    """Where the run of a command is filed, and how to look at it: ``command`` starts MLflow's UI where ``url`` needs
    it."""

    run_id: str
    name: str
    experiment: str
    command: str | None
    url: str

    @classmethod
    def of(cls, store: Store, experiment: str, experiment_id: str, run_id: str, name: str) -> Place:
        """The place of a run in a store."""
        command = None if store.location.kind == "http" else ui_command(store.location)
        return cls(run_id, name, experiment, command, run_page(store.location, experiment_id, run_id))

    def lines(self, *more: str) -> list[str]:
        """The name of the run, then ``more``, and in a last line the address of its page, after the command that opens
        it; a server has it without one."""
        look = self.url if self.command is None else f"look at it  {self.command}\n            {self.url}"
        return [f"run         {self.name} in experiment {self.experiment}", *more, look]


def run_info(
    outcome: Outcome, cells: Sequence[Cell], sweep: bool, place: Place | None, timings: bool
) -> dict[str, Any]:
    """What ``nnspec run`` did: of a sweep or of one cell, by the same names."""
    checks: dict[int, list[Check]] = {}
    for check in outcome.checks:
        checks.setdefault(check.cell, []).append(check)
    done = sorted({*outcome.outcomes, *outcome.failed})
    info: dict[str, Any] = {
        "kind": "sweep" if sweep else "run",
        "exit_status": outcome.exit_status,
        "interrupted": outcome.interrupted,
        "all_filed": place is not None and not outcome.unfiled,
        **placed(place),
        "model": outcome.model,
        "axes": _axes(cells, outcome.axes),
        "race": None if outcome.race is None else outcome.race.content(),
        "requirements_hold": not outcome.unmet if outcome.checks else None,
        "study": content(outcome.study, outcome.judged) if outcome.study is not None and outcome.judged else None,
        "cells": [cell_info(index, outcome, cells[index], checks.get(index, [])) for index in done],
        "cells_missing": [index for index in range(len(cells)) if index not in done],
    }
    return info | ({"seconds": outcome.seconds, "updaters": _updaters(outcome.updaters)} if timings else {})


def placed(place: Place | None) -> dict[str, Any]:
    """Where the run of a command is, by the names that every document has."""
    if place is None:
        return {"run_id": None, "name": None, "experiment": None, "look_at": None}
    look_at = {"command": place.command, "url": place.url}
    return {"run_id": place.run_id, "name": place.name, "experiment": place.experiment, "look_at": look_at}


def _axes(cells: Sequence[Cell], axes: Sequence[str]) -> dict[str, list[str]]:
    """Axis -> its values, as typed, in their order."""
    chosen = [dict(cell.choices) for cell in cells]
    return {axis: list(dict.fromkeys(choices[axis] for choices in chosen if axis in choices)) for axis in axes}


def _updaters(updaters: Mapping[str, int]) -> list[dict[str, Any]]:
    return [{"networks": networks, "why_not_compiled": why or None} for why, networks in sorted(updaters.items())]


def cell_info(index: int, outcome: Outcome, cell: Cell, checks: Sequence[Check]) -> dict[str, Any]:
    """One cell: what it is, and what became of its networks where it trained."""
    spec = outcome.specs[index]
    info: dict[str, Any] = {
        "cell": index,
        "run_id": outcome.run_ids.get(index),
        "choices": dict(cell.choices),
        "fingerprint": spec.fingerprint,
        "spec": spec.to_mapping(),
        "failure": outcome.failed.get(index),
    }
    if index in outcome.outcomes:
        info |= networks_info(spec, outcome.outcomes[index], outcome)
    return info | {"requirements": list(map(_check_info, checks))}


def networks_info(spec: RunSpec, rows: Mapping[str, np.ndarray], outcome: Outcome) -> dict[str, Any]:
    """What became of the networks of a cell; ``rows`` has a value a network, see ``results.table.outcome_rows``."""
    solved = rows["solved"].astype(bool)
    low, high = solve_limits(solved, outcome.interval)
    at = rows["solved_at"][solved]
    finals = {name: dict(zip(("q10", "median", "q90"), quantiles(rows[name]), strict=True)) for name in _finals(rows)}
    return {
        "networks": len(solved),
        "seeds": {"first": spec.seed, "last": spec.seed + len(solved) - 1},
        "solved": int(solved.sum()),
        "solve_rate": float(solved.mean()),
        "solve_rate_low": low,
        "solve_rate_high": high,
        "interval": _interval(outcome),
        "solved_at_median": float(np.median(at)) if len(at) else None,
        **finals,
        "verdicts": dict(Counter(rows["verdict"].tolist()).most_common()),
    }


def _interval(outcome: Outcome) -> str:
    """How limits of a solve rate were made."""
    if outcome.race is not None:
        return "at any time, for the looks of sweep.race"
    return "exact, for the looks of replicates=auto" if outcome.interval else "Wilson"


def _finals(rows: Mapping[str, np.ndarray]) -> Iterator[str]:
    return (name for name in FINALS if name in rows)


def _check_info(check: Check) -> dict[str, Any]:
    return {"name": check.requirement, "required": check.required, "got": check.got, "holds": check.holds}


def plan_info(
    plan: Plan, workers: int, memory: float, seconds: float | None, rounds: bool, duplicates: int
) -> dict[str, Any]:
    """What ``nnspec run --plan`` shows. ``rounds`` says that it is the first round of ``replicates=auto``."""
    chunks = sum(len(stack.chunks) for stack in plan.stacks)
    return {
        "cells": len(plan.specs),
        "cells_stated_twice": duplicates,
        "networks": plan.networks,
        "first_round_only": rounds,
        "chunks": chunks,
        "processes": min(workers, chunks),
        "memory_mib": memory / 2**20,
        "seconds": seconds,
        "stacks": [_stack_info(plan, stack) for stack in plan.stacks],
        "stacks_differ_in": differences(plan) if len(plan.stacks) > 1 else [],
    }


def _stack_info(plan: Plan, stack: Stack) -> dict[str, Any]:
    first = plan.specs[stack.cells[0]]
    return {
        "cells": list(stack.cells),
        "networks": stack.networks,
        "chunks": len(stack.chunks),
        "largest_chunk": max(chunk.networks for chunk in stack.chunks),
        "first_cell": console.summary(first),
        "layout": layout(first),
        "why_separate": why_separate(first) if layout(first) == "separate" else None,
    }
