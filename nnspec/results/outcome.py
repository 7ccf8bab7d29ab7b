"""What a command did."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from nnspec.errors import Fault
from nnspec.processes import INTERRUPTED
from nnspec.results.arrays import Interval
from nnspec.results.events import TrainedCell
from nnspec.results.race import Race
from nnspec.results.requirements import Check
from nnspec.results.table import sweep_table
from nnspec.specs import RunSpec

if TYPE_CHECKING:
    import pandas as pd

    from nnspec.claims.judging import Judged
    from nnspec.study import Study

T = TypeVar("T")


@dataclass
class Outcome:
    """What a command did. ``outcomes`` has by cell the columns of ``results.table.outcome_rows``; ``cells`` what it
    trained itself, kept only where asked; ``failed`` the reason of each cell that failed."""

    specs: list[RunSpec]
    axes: Sequence[str] = ()
    outcomes: dict[int, dict[str, np.ndarray]] = field(default_factory=dict)
    failed: dict[int, str] = field(default_factory=dict)
    cells: dict[int, TrainedCell] = field(default_factory=dict)
    run_ids: dict[int, str] = field(default_factory=dict)
    parent: str | None = None
    model: str | None = None  # the address of the model that was logged
    interrupted: bool = False
    unfiled: bool = False
    seconds: dict[str, float] = field(default_factory=dict)
    updaters: Counter[str] = field(default_factory=Counter)  # networks trained, see ``execute.engine.Training``
    interval: Interval | None = None  # of a solve rate, where Wilson's would not be honest
    race: Race | None = None  # what a race of the cells found out
    checks: Sequence[Check] = ()  # what was required of the cells that have an outcome
    study: Study | None = None  # what the command was asked, and of its claims
    judged: Sequence[Judged] = ()  # those that its cells can answer, with their verdicts
    unjudged: Sequence[Fault] = ()  # why claims that they should answer have none
    _made: dict[str, tuple[int, Any]] = field(default_factory=dict)  # by name, of so many outcomes

    @property
    def unmet(self) -> list[Check]:
        """The requirements that did not hold."""
        return [check for check in self.checks if not check.holds]

    @property
    def exit_status(self) -> int:
        """0 done; 1 something failed, is not filed or was required in vain, a claim is refuted or cannot be judged; 130
        interrupted."""
        if self.interrupted:
            return INTERRUPTED
        unexpected = any(not each.as_expected for each in self.judged)
        return int(bool(self.failed or self.unmet or self.unjudged) or self.unfiled or unexpected)

    @property
    def objective(self) -> float | None:
        """The median final loss over everything trained: what a sweeper that optimises makes small."""
        losses = [rows["final_loss"] for rows in self.outcomes.values()]
        return float(np.median(np.concatenate(losses))) if losses else None

    def table(self) -> pd.DataFrame:
        """One row a network, not to be changed; see ``results.table.sweep_table``."""
        return self.once("table", lambda: sweep_table(self.specs, self.outcomes))

    def once(self, name: str, make: Callable[[], T]) -> T:
        """What ``make`` makes of the outcomes so far, which several ask for by this name: it is made once."""
        if name not in self._made or self._made[name][0] != len(self.outcomes):
            self._made[name] = len(self.outcomes), make()
        return self._made[name][1]
