"""A store that fails when told to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from nnspec.errors import TrackingError
from nnspec.tracking import RunEnd, RunStart


class FailingStore:
    """A store that keeps what it is given, passes it on to ``real`` if there is one, and refuses from call ``fails_at``
    on."""

    def __init__(self, fails_at: int | None = None, real: Any = None):
        self.fails_at, self.real = fails_at, real
        self.calls = 0
        self.started: dict[str, RunStart] = {}
        self.ended: dict[str, RunEnd] = {}
        self.progressed: list[str] = []

    def _called(self) -> None:
        self.calls += 1
        if self.fails_at is not None and self.calls >= self.fails_at:
            raise TrackingError("the store is gone")

    def start(self, runs: Sequence[RunStart], experiment_id: str) -> list[str]:
        self._called()
        ids = (
            self.real.start(runs, experiment_id)
            if self.real
            else [f"run-{len(self.started) + i}" for i in range(len(runs))]
        )
        self.started |= dict(zip(ids, runs, strict=True))
        return ids

    def progress(self, items: Sequence[tuple[str, Any]]) -> None:
        self._called()
        assert all(run_id in self.started and run_id not in self.ended for run_id, _ in items)
        self.progressed += [run_id for run_id, _ in items]

    def finish(self, ends: Sequence[RunEnd]) -> None:
        self._called()
        assert all(end.run_id in self.started and end.run_id not in self.ended for end in ends)
        if self.real:
            self.real.finish(ends)
        self.ended |= {end.run_id: end for end in ends}


@pytest.fixture
def failing_store() -> type[FailingStore]:
    return FailingStore
