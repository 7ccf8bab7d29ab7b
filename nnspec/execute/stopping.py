"""``replicates=auto``: when a cell has networks enough. The looks are fixed beforehand, so that what is said in the end
allows for all of them: see ``analysis.sequential``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np

from nnspec.analysis.sequential import MOST, MOST_CLAIMS, Looks, even_looks, looks
from nnspec.claims.judging import judge, undecided_cells
from nnspec.claims.measures import rows_of
from nnspec.results.arrays import Results
from nnspec.settings import Runtime
from nnspec.specs import RunSpec
from nnspec.study import Study


class Stopping(Protocol):
    """When networks are enough. ``together``: cells are judged together, so that all of them are in the making at a
    time."""

    looks: Looks
    together: bool

    def unfinished(self, cells: Mapping[int, Results]) -> set[int]:
        """Which of these cells need more networks, by all that they have so far."""
        ...


class Precise:
    """The solve rate of a cell is known as precisely as asked."""

    together = False

    def __init__(self, runtime: Runtime):
        self.looks = looks(runtime.precision, most=runtime.most_replicates or MOST)

    def unfinished(self, cells: Mapping[int, Results]) -> set[int]:
        """See ``Stopping``."""
        return {
            cell for cell, result in cells.items() if not self.looks.enough(int(result.solved.sum()), len(result.seeds))
        }


class Decided:
    """Every claim of a study that speaks of a cell holds or is refuted.

    A cell that has stopped says the same of its claims at later looks, whatever the others get: claims that speak of
    several cells go by the seeds that all of them have.
    """

    together = True

    def __init__(self, study: Study, runtime: Runtime):
        self.looks = even_looks(runtime.most_replicates or MOST_CLAIMS)
        self._study = study
        self._specs: dict[int, RunSpec] = {}
        self._outcomes: dict[int, Mapping[str, np.ndarray]] = {}

    def unfinished(self, cells: Mapping[int, Results]) -> set[int]:
        """See ``Stopping``. A claim that cannot be judged does not become so by more networks."""
        for cell, result in cells.items():
            self._specs[cell], self._outcomes[cell] = result.spec, rows_of(result, self._study)
        judged, _ = judge(self._study, self._specs, self._outcomes, len(self.looks.sizes))
        return undecided_cells(judged, self._specs) & cells.keys()
