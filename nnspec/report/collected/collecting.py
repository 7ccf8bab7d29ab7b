"""What a sweep's report shows besides the table, picked while the cells go by: the memory is bounded, whatever their
number.

Which networks are kept depends on their place in the sweep alone, never on the order in which cells come in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from nnspec.analysis.figures.rows import Confusion
from nnspec.duration import log_every, updates
from nnspec.report.collected.confusions import NETWORKS, Confusions, has_classes
from nnspec.report.collected.sampling import Sampler
from nnspec.report.places import evenly
from nnspec.report.showing import Shown, alone, on_the_plane
from nnspec.results.arrays import Results
from nnspec.results.events import TrainedCell
from nnspec.results.table import varied
from nnspec.specs import RunSpec

CURVES = 400  # networks whose losses are kept for the band of one level
BANDS = ("loss", "test_loss", "test_accuracy")  # what bands are of, where it is measured
LEVELS = 24  # levels of the widest axis that have a band
POINTS = 150  # steps of a band
GROUPS = 4  # groups of which networks are shown: combinations of all axes, or levels of the widest
CANDIDATES = 9  # networks kept of each group and outcome, to find a typical one among them
MOMENTS = 4  # sets of weights of a network, the first and the last among them
ROOM = 16e6  # bytes of weights that all candidates may hold


@dataclass(frozen=True)
class _Candidate:
    rank: int
    loss: float
    label: str
    spec: RunSpec
    moments: Sequence[Mapping[str, np.ndarray]]


@dataclass(frozen=True)
class _Plan:
    """By cell: the level whose band it adds to with which replicates, the group that it may stand for, and of this
    group the replicates whose answers are counted."""

    bands: Sequence[str]
    band: Mapping[int, tuple[int, np.ndarray]]
    groups: Sequence[str]
    group: Mapping[int, int]
    answers: Mapping[int, np.ndarray]


@dataclass
class Collector:
    """Takes in trained cells and keeps what a report shows of them. ``axes`` are columns of the sweep's table.

    It keeps the losses of at most ``most_curves`` networks a level, and at most ``most_candidates`` networks of each
    group and outcome. Its ``sampler`` keeps what is shown of single cells.
    """

    specs: Sequence[RunSpec]
    axes: Sequence[str]
    most_curves: int = CURVES
    most_candidates: int = CANDIDATES
    _plan: _Plan | None = None
    _lines: dict[int, dict[int, dict[str, np.ndarray]]] = field(default_factory=dict)
    _candidates: dict[tuple[int, bool], list[_Candidate]] = field(default_factory=dict)
    _limits: dict[tuple[int, bool], float] = field(default_factory=dict)  # ranks from which on none is kept
    _confusions: Confusions = field(default_factory=Confusions)

    def __post_init__(self) -> None:
        self.sampler = Sampler(self.specs)

    def add(self, cell: TrainedCell) -> None:
        """Take in one cell; its index is that of its spec."""
        if self._plan is None:
            self._plan = plan(self.specs, self.axes, self.most_curves)
        self.sampler.add(cell)
        if cell.index in self._plan.band:
            level, replicates = self._plan.band[cell.index]
            self._lines.setdefault(level, {})[cell.index] = _thinned(cell.result, replicates)
        if cell.index in self._plan.group:
            self._consider(self._plan.group[cell.index], cell)
        if cell.index in self._plan.answers:
            self._confusions.add(self._plan.group[cell.index], cell.result, self._plan.answers[cell.index])

    def curves(self, what: str = "loss") -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Label -> (steps [t], values [r, t]): one band a level of the widest axis, of its networks that have any."""
        bands = {}
        for level in sorted(self._lines):
            assert self._plan is not None
            parts = [lines for _, lines in sorted(self._lines[level].items()) if what in lines]
            if parts:
                bands[self._plan.bands[level]] = parts[0]["steps"], np.concatenate([part[what] for part in parts])
        return bands

    def kept(self) -> dict[tuple[int, bool], int]:
        """How many networks are kept of each group and outcome."""
        return {key: len(candidates) for key, candidates in self._candidates.items()}

    def shown(self) -> list[Shown]:
        """Of each group, the solved and the failed network of median final loss."""
        found = []
        for number, solved in sorted(self._candidates, key=lambda key: (key[0], not key[1])):
            ranked = sorted(self._candidates[number, solved], key=lambda one: (one.loss, one.rank))
            if ranked:
                typical = ranked[(len(ranked) - 1) // 2]
                found.append(Shown(typical.label, typical.spec, typical.moments))
        return found

    def confusions(self) -> list[Confusion]:
        """What networks of each group say of the rows of each class; none unless they tell classes apart."""
        return self._confusions.matrices(self._plan.groups) if self._plan is not None else []

    def _consider(self, group: int, cell: TrainedCell) -> None:
        """Keep the candidates of lowest rank: a choice that no order of arrival can change."""
        ranks = _ranks(cell.index, np.arange(len(cell.result.seeds)))
        # most cells of a large sweep have none that would be kept: they must cost next to nothing
        if ranks.min() >= max(self._limits.get((group, solved), np.inf) for solved in (True, False)):
            return
        if not on_the_plane(cell.spec):
            return
        for solved in (True, False):
            rows = np.flatnonzero(cell.result.solved == solved)
            if len(rows):
                self._keep((group, solved), cell, rows, ranks[rows])

    def _keep(self, key: tuple[int, bool], cell: TrainedCell, rows: np.ndarray, ranks: np.ndarray) -> None:
        assert self._plan is not None
        most = _affordable(cell.result, self.most_candidates)
        kept = self._candidates.setdefault(key, [])
        for i in np.argsort(ranks, kind="stable")[:most]:
            if len(kept) < most or ranks[i] < kept[-1].rank:
                label = (
                    f"{self._plan.groups[key[0]]}: {'solved' if key[1] else 'failed'}, seed "
                    f"{int(cell.result.seeds[rows[i]])}"
                )
                kept.append(_candidate(int(ranks[i]), label, cell.result, int(rows[i])))
                kept.sort(key=lambda one: one.rank)
                del kept[most:]
        self._limits[key] = kept[-1].rank if len(kept) >= most else np.inf


def plan(specs: Sequence[RunSpec], axes: Sequence[str], most_curves: int = CURVES) -> _Plan:
    """Which networks of a sweep a report shows, from the specs alone; ``most_curves`` of a level have their losses
    drawn."""
    import pandas as pd

    from nnspec.analysis.levels import group_by, levels_of, widest

    columns = varied(specs)
    frame = pd.DataFrame({axis: columns[axis] for axis in axes if axis in columns}, index=range(len(specs)))
    wide = widest(frame, list(frame.columns), 1)
    codes, labels = (
        (levels_of(frame, wide[0]).codes, levels_of(frame, wide[0]).labels)
        if wide
        else (np.zeros(len(specs), int), ("all",))
    )
    groups = group_by(frame, list(frame.columns))
    few = 0 < len(groups) <= GROUPS
    group_codes, group_labels = (groups.codes, groups.labels()) if few else (codes, list(labels))
    levels = evenly(len(labels), LEVELS)
    band = {}
    names = list(labels)
    for level in levels:
        cells, longest = _longest(specs, np.flatnonzero(codes == level))
        names[level] += longest
        band.update({index: (int(level), replicates) for index, replicates in _sample(specs, cells, most_curves)})
    chosen = set(evenly(len(group_labels), GROUPS))
    group = {index: int(code) for index, code in enumerate(group_codes) if code in chosen}
    answers: dict[int, np.ndarray] = {}
    for number in chosen:
        cells = [index for index, code in group.items() if code == number and has_classes(specs[index])]
        answers.update(_sample(specs, cells, NETWORKS) if cells else [])
    return _Plan(names, band, group_labels, group, answers)


def _longest(specs: Sequence[RunSpec], cells: np.ndarray) -> tuple[list[int], str]:
    """Of a level's cells those that trained longest and wrote as often: bands have one row of steps. And what to add to
    its label."""
    known: dict[tuple[object, ...], tuple[int, int]] = {}  # of the few ways to train that thousands of cells share
    clocks = {}
    for i in map(int, cells):
        key = specs[i].train, specs[i].data
        clocks[i] = known.get(key) or known.setdefault(key, (updates(specs[i]), -log_every(specs[i])))
    longest = max(clocks.values())
    return [i for i, clock in clocks.items() if clock == longest], f", {longest[0]} updates" if len(
        set(clocks.values())
    ) > 1 else ""


def _sample(specs: Sequence[RunSpec], cells: Sequence[int], most: int) -> list[tuple[int, np.ndarray]]:
    """At most ``most`` networks of the cells, evenly over all: (cell, its replicates)."""
    ends = np.cumsum([specs[i].replicates for i in cells])
    places = np.asarray(evenly(int(ends[-1]), most))
    which = np.searchsorted(ends, places, side="right")
    starts = np.concatenate([[0], ends[:-1]])
    return [(cells[j], places[which == j] - starts[j]) for j in np.unique(which)]


def _thinned(result: Results, replicates: np.ndarray) -> dict[str, np.ndarray]:
    at = np.asarray(evenly(len(result.steps), POINTS))
    rows = replicates[replicates < len(result.seeds)]
    with np.errstate(over="ignore"):  # a loss too large for a picture is drawn as an infinite one
        lines = {name: getattr(result, name) for name in BANDS}
        found = {name: line[np.ix_(rows, at)].astype(np.float32) for name, line in lines.items() if line is not None}
        return {"steps": result.steps[at], **found}


def _affordable(result: Results, most: int) -> int:
    size = sum(tensor[0].nbytes for tensor in result.final.values())
    return int(np.clip(ROOM // max(1, size * MOMENTS * GROUPS * 2), 1, most))


def _candidate(rank: int, label: str, result: Results, row: int) -> _Candidate:
    between = [result.snapshots[step] for step in sorted(result.snapshots) if 0 < step < result.steps[-1]]
    chosen = [between[i] for i in evenly(len(between), MOMENTS - 2)]
    moments = [
        {name: tensor[row].copy() for name, tensor in moment.items()}
        for moment in (result.initial, *chosen, result.final)
    ]
    loss = float(result.final_loss[row])
    return _Candidate(
        rank, loss if np.isfinite(loss) else np.inf, label, alone(result.spec, result.seeds[row]), moments
    )


def _ranks(index: int, rows: np.ndarray) -> np.ndarray:
    """Numbers that look drawn at random and depend on the network's place alone (Knuth's multiplicative hash)."""
    place = np.asarray(rows, np.uint64) * np.uint64(2_246_822_519) + np.uint64((index + 1) * 2_654_435_761)
    return ((place ^ (place >> np.uint64(15))) * np.uint64(2_654_435_761)) & np.uint64(0xFFFFFFFF)
