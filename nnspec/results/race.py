"""What a race of cells found out (``sweep.race``)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

RACE = "race.json"  # artifact of a sweep's run
RACE_TAG = "nnspec.race"  # of a sweep's run: what its race found out; of a cell's: how the race ended for it


@dataclass(frozen=True)
class Race:
    """A race: ``best`` is the cell that solves most, to within ``within`` at this ``confidence`` if that is ``known``;
    None where it was broken off, or no network was solved."""

    within: float
    confidence: float
    budget: int  # networks that it may train, at most
    networks: int = 0  # that it trained
    looks: tuple[int, ...] = ()  # networks a cell at each look
    out: Mapping[int, int] = field(default_factory=dict)  # by cell that is out: its networks then
    best: int | None = None
    known: bool = False
    unsolved: bool = False  # no network of any cell is solved

    def ended(self, cell: int) -> str:
        """How it went for a cell, in words."""
        if cell in self.out:
            return f"out after {self.out[cell]:,}"
        return "best" if cell == self.best else "in to the end"

    def text(self, best: str = "") -> str:
        """The race in a sentence; ``best`` names the best cell."""
        spent = f"{self.networks:,} networks, {len(self.looks)} look{'s' if len(self.looks) != 1 else ''}"
        if self.best is None:
            unsolved = "no network is solved, so no cell is the best"
            return f"{unsolved if self.unsolved else 'the race ended without a best cell'} ({spent})"
        named = best or f"cell {self.best}"
        sure = f"within {self.within:g} of the best solve rate"
        if self.known:
            return f"{named} is {sure}, at {100 * self.confidence:g}% confidence ({spent})"
        return f"{named} solves most, but is not known to be {sure}: the budget of {self.budget:,} is spent ({spent})"

    def content(self) -> dict[str, Any]:
        """The race as a JSON document has it; see docs/json.md."""
        return {**asdict(self), "out": [{"cell": cell, "networks": n} for cell, n in sorted(self.out.items())]}


def race_of(content: bytes) -> Race:
    """A race from the JSON document of its ``content``.

    Raises:
        ValueError: it is none.
    """
    try:
        found = json.loads(content)
        out = {_whole(each["cell"]): _whole(each["networks"]) for each in found["out"]}
        return Race(
            within=float(found["within"]),
            confidence=float(found["confidence"]),
            budget=_whole(found["budget"]),
            networks=_whole(found["networks"]),
            looks=tuple(map(_whole, found["looks"])),
            out=out,
            best=None if found["best"] is None else _whole(found["best"]),
            known=bool(found["known"]),
            unsolved=bool(found.get("unsolved", False)),  # files of before have none
        )
    except (KeyError, TypeError, RecursionError) as error:
        raise ValueError(str(error)) from error


def _whole(value: object) -> int:
    if not isinstance(value, int) or value < 0:
        raise ValueError(f"{value!r:.40} is no count")
    return value
