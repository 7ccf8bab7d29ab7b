"""What a paper says of runs: version, commit, fingerprints, cells, seeds and statistics in a paragraph to paste."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import nan
from typing import TYPE_CHECKING

from nnspec.analysis.levels import levels_of, short
from nnspec.analysis.methods import statistics
from nnspec.analysis.pooling import all_axes
from nnspec.intervals import wilson_interval
from nnspec.readback import is_sweep, networks, read_axes
from nnspec.release import version
from nnspec.report.console import count
from nnspec.results.race import RACE_TAG
from nnspec.terminal import printable
from nnspec.tracking.provenance import process_tags
from nnspec.tracking.records import COMMIT_TAG, DIRTY_TAG, FINGERPRINT_TAG, SWEEP_TAG, VERSION_TAG
from nnspec.tracking.store import as_whole

if TYPE_CHECKING:
    import pandas as pd

    from nnspec.tracking import Store

YEAR = 2026  # of the release
TITLE = "nnspec: does this network train, how reliably, and if not, why?"
NAMED = 4  # fingerprints that a paragraph lists; of more it gives the one of their set
SHORT = 12  # characters of a commit in a paragraph
ROUNDING = 1e-9  # of a metric that a store gives back


@dataclass(frozen=True)
class Citation:
    """A citation of nnspec, and of a run if ``run`` is one. It prints as the paragraph and the BibTeX entry."""

    version: str  # empty where it is not known
    commit: str  # of the source tree that was trained from; empty where it is not known
    dirty: bool | None  # whether that had changes that were not committed
    statistics: tuple[str, ...]
    run: str | None = None
    name: str = ""
    fingerprint: str = ""  # of the run's spec, or of the set of a sweep's cells
    fingerprints: tuple[str, ...] = ()  # of the cells
    design: str = ""  # cells, axes, seeds and networks in words
    cells: int | None = None
    seeds: int | None = None
    networks: int | None = None

    def __repr__(self) -> str:
        return f"{self.text}\n\n{self.bibtex}"

    @property
    def text(self) -> str:
        """The paragraph."""
        return printable(" ".join([*self._provenance(), *self.statistics]))

    @property
    def bibtex(self) -> str:
        """An entry for nnspec itself."""
        fields = {
            "author": "{nnspec developers}",
            "title": TITLE,
            "version": "".join(c for c in self.version if c.isalnum() or c in ".-+"),  # whatever a tag may hold
            "year": str(YEAR),
        }
        lines = [f"  {key:<7} = {{{value}}}," for key, value in fields.items() if value]
        return "\n".join(["@software{nnspec,", *lines, "}"])

    def content(self) -> dict[str, object]:
        """The citation as a JSON document has it; see docs/json.md."""
        names = (
            "run",
            "name",
            "version",
            "commit",
            "dirty",
            "fingerprint",
            "fingerprints",
            "cells",
            "seeds",
            "networks",
        )
        facts = {name: getattr(self, name) for name in names}
        return {**facts, "statistics": self.statistics, "text": self.text, "bibtex": self.bibtex}

    def _provenance(self) -> list[str]:
        changes = " with changes that were not committed" if self.dirty else ""
        tree = f", run from a source tree at commit {self.commit[:SHORT]}{changes}" if self.commit else ""
        version = self.version or "of a version that was not recorded"
        first = f"Networks were trained and diagnosed with nnspec {version}{tree}."
        if self.run is None:
            return [first]
        return [first, f"Run {self.name} has {self.design}.", f"{self._named()}."]

    def _named(self) -> str:
        if len(self.fingerprints) == 1:
            return f"Its spec has the fingerprint {self.fingerprints[0]}"
        if len(self.fingerprints) <= NAMED:
            return f"The specs of its cells have the fingerprints {', '.join(self.fingerprints)}"
        known = f"{len(self.fingerprints)} fingerprints, whose set has the digest {self.fingerprint}"
        return f"The specs of its cells have {known}"


def general_citation() -> Citation:
    """What holds of every run of this installation."""
    tags = process_tags()
    return Citation(version(), tags.get(COMMIT_TAG, ""), _dirty(tags), tuple(statistics()))


def citation(store: Store, run_id: str) -> Citation:
    """What to cite of a filed sweep or single run: the version and the commit are those that trained it.

    Raises:
        TrackingError: there is no such run, or nothing of it is finished.
    """
    facts, table = store.get(run_id), networks(store, run_id)
    sweep = is_sweep(store, run_id)
    axes = all_axes(table, read_axes(store, run_id))
    cells = int(table["cell"].nunique()) if "cell" in table else 1
    prints = [child.fingerprint for child in store.find_children(run_id)] if sweep else [facts.fingerprint]
    seeds, raced = int(table["seed"].nunique()), RACE_TAG in facts.tags
    chosen = statistics(
        pairs=bool(axes),
        shared_seeds=len(table) > seeds,
        means=bool(axes) and "final_test_accuracy" in table and bool(table["final_test_accuracy"].notna().any()),
        looks=not raced and _looked(store, run_id, sweep),
        race=raced,
    )
    return Citation(
        version=facts.tags.get(VERSION_TAG, ""),
        commit=facts.tags.get(COMMIT_TAG, ""),
        dirty=_dirty(facts.tags),
        statistics=tuple(chosen),
        run=run_id,
        name=facts.name,
        fingerprint=facts.tags.get(SWEEP_TAG if sweep else FINGERPRINT_TAG, ""),
        fingerprints=tuple(dict.fromkeys(filter(None, prints))),
        design=_design(table, axes, cells, seeds),
        cells=cells,
        seeds=seeds,
        networks=len(table),
    )


def _looked(store: Store, run_id: str, sweep: bool) -> bool:
    """Whether a finished cell filed an interval that is not Wilson's, but allows for the looks of replicates=auto."""
    children = store.find_children(run_id) if sweep else [store.get(run_id)]
    finished = [child.run_id for child in children if child.status == "FINISHED"]
    if not finished:
        return False
    cell = store.get(finished[0])  # all cells of a sweep had their networks trained in the same way
    networks = as_whole(cell.params.get("replicates", ""))
    rate, *limits = (cell.metrics.get(name, nan) for name in ("solve_rate", "solve_rate_low", "solve_rate_high"))
    if networks is None or not 0 <= rate <= 1:
        return False
    wilson = wilson_interval(rate * networks, networks)
    return any(abs(float(one) - other) > ROUNDING for one, other in zip(wilson, limits, strict=True))


def _dirty(tags: Mapping[str, str]) -> bool | None:
    return {"true": True, "false": False}.get(tags.get(DIRTY_TAG, ""))


def _design(table: pd.DataFrame, axes: list[str], cells: int, seeds: int) -> str:
    over = f" over {', '.join(f'{short(axis)} ({len(levels_of(table, axis))})' for axis in axes)}" if axes else ""
    parts = [f"{count(cells, 'cell')}{over}"] if cells > 1 else []
    return ", ".join([*parts, count(seeds, "seed"), count(len(table), "network")])
