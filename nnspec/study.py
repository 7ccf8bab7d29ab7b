"""What a study states: data that cannot run code, read strictly.

A claim speaks of a measure in some cells (``where``) and states one relation. All claims of a study are to hold at
once with the study's confidence.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from nnspec.errors import Fault
from nnspec.formula import Formula, FormulaError
from nnspec.params import Choice, Param, Real, Refused, Schema, Text, Value
from nnspec.specs import parse_params, text

HOLDS, REFUTED, UNDECIDED = "holds", "refuted", "undecided"
CONFIDENCE = 0.95
SOLVED = "solved"

Cells = Mapping[str, object]  # key of the sweep -> its value, or a list of values


@dataclass(frozen=True)
class Bounds:
    """What a number must lie between, itself included."""

    low: float = -math.inf
    high: float = math.inf

    def __str__(self) -> str:
        if math.isinf(self.low):
            return f"below {self.high:g}"
        return f"above {self.low:g}" if math.isinf(self.high) else f"inside [{self.low:g}, {self.high:g}]"


@dataclass(frozen=True)
class Than:
    """Other cells, and how the difference to them must be: ``key`` is the relation's, one of ``COMPARISONS``."""

    key: str
    where: Cells
    within: float = 0.0  # of equal_to

    @property
    def allowed(self) -> Bounds:
        """Where the difference must lie."""
        low = {"larger_than": 0.0, "smaller_than": -math.inf, "equal_to": -self.within}[self.key]
        high = {"larger_than": math.inf, "smaller_than": 0.0, "equal_to": self.within}[self.key]
        return Bounds(low, high)

    def __str__(self) -> str:
        within = f", within {self.within:g}" if self.key == "equal_to" else ""
        return f"{self.key.replace('_', ' ')} where {cells_text(self.where)}{within}"


@dataclass(frozen=True)
class Along:
    """Strictly rising, or falling, over the levels of an axis."""

    axis: str
    rising: bool

    def __str__(self) -> str:
        return f"{'rising' if self.rising else 'falling'} along {self.axis}"


@dataclass(frozen=True)
class Computed:
    """The value of a formula in the numbers of each cell, give or take ``within``."""

    formula: Formula
    within: float

    def __str__(self) -> str:
        return f"{self.formula} within {self.within:g}"


Relation = Bounds | Than | Along | Computed


@dataclass(frozen=True)
class Claim:
    """One claim. ``among`` restricts it to the networks that are solved; ``counts`` makes a share of a number: of the
    networks whose measure lies within."""

    says: str
    relation: Relation
    measure: str = SOLVED
    where: Cells = field(default_factory=dict)
    among: str | None = None
    counts: Bounds | None = None
    expected: str = HOLDS

    @property
    def subject(self) -> str:
        """What the relation is about, in words."""
        what = f"share with {self.measure} {self.counts}" if self.counts else self.measure
        among = f" among {self.among} networks" if self.among else ""
        return f"{what}{among} where {cells_text(self.where)}" if self.where else f"{what}{among}"

    @property
    def sides(self) -> dict[str, Cells]:
        """The cells that it speaks of, by the key that names them."""
        found = {"where": self.where}
        return found | {self.relation.key: self.relation.where} if isinstance(self.relation, Than) else found


@dataclass(frozen=True)
class Study:
    """A question, where it comes from, and the claims that answer it."""

    question: str
    source: str
    claims: tuple[Claim, ...]
    setup: str = ""
    confidence: float = CONFIDENCE


def cells_text(where: Cells) -> str:
    """``init=zeros, activation=relu|tanh``."""
    said = {key: [text(v) for v in value] if isinstance(value, list) else [text(value)] for key, value in where.items()}
    return ", ".join(f"{key}={'|'.join(values)}" for key, values in said.items())


@dataclass(frozen=True)
class Words(Text):
    """A text on one line, however many it had."""

    def parse(self, value: object) -> str:
        words = " ".join(super().parse(value).split())
        return super().parse(words)


@dataclass(frozen=True)
class Where:
    """Keys of the sweep, each with a value or a list of values; kept as a plain mapping."""

    def parse(self, value: object) -> Value:
        if not isinstance(value, Mapping) or not value:
            raise Refused("must be a mapping of keys to values, as in {init: zeros}")
        return {str(key): item for key, item in value.items()}  # type: ignore[return-value]

    def schema(self) -> Schema:
        return {"type": "object", "minProperties": 1}


@dataclass(frozen=True)
class Pair:
    """The two ends of an interval."""

    def parse(self, value: object) -> Value:
        ends = [Real().parse(end) for end in value] if isinstance(value, (list, tuple)) else []
        if len(ends) != 2 or ends[0] > ends[1]:
            raise Refused("must be two rising numbers, as in [0.4, 0.6]")
        return tuple(ends)

    def schema(self) -> Schema:
        return {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2}


@dataclass(frozen=True)
class Arithmetic:
    """A formula, which is kept as one."""

    def parse(self, value: object) -> Value:
        try:
            return Formula(value)  # type: ignore[return-value]
        except FormulaError as error:
            raise Refused(str(error)) from None

    def schema(self) -> Schema:
        return {"type": ["string", "number"]}


WITHIN = Param("within", None, Real(0, open_low=True), "how far from equals, equal_to or formula it may lie")
LIMITS = (
    Param("above", None, Real(), "the number must be larger"),
    Param("below", None, Real(), "the number must be smaller"),
    Param("inside", None, Pair(), "the number must lie between two, themselves included"),
    Param("equals", None, Real(), "the number must be this one, give or take 'within'"),
)
COMPARISONS = (
    Param("larger_than", None, Where(), "cells that must have less"),
    Param("smaller_than", None, Where(), "cells that must have more"),
    Param("equal_to", None, Where(), "cells that must have as much, give or take 'within'"),
)
RELATIONS = (
    *LIMITS,
    *COMPARISONS,
    Param("rising_along", None, Words(), "the axis over whose levels the number must rise"),
    Param("falling_along", None, Words(), "the axis over whose levels the number must fall"),
    Param("formula", None, Arithmetic(), "arithmetic in a cell's numbers that gives it, give or take 'within'"),
)
COUNTS = (*LIMITS, WITHIN)
CLAIM = (
    Param("says", None, Words(), "the claim in words"),
    Param("measure", SOLVED, Words(), "what is measured of each network"),
    Param("where", None, Where(), "the cells that it speaks of; all unless said"),
    Param("among", None, Choice((SOLVED,)), "only networks that are solved"),
    Param("expected", HOLDS, Choice((HOLDS, REFUTED, UNDECIDED)), "what comes out, by which the exit status goes"),
    *RELATIONS,
    WITHIN,
)
STUDY = (
    Param("question", None, Words(), "what is asked"),
    Param("source", None, Words(), "where the claims are from"),
    Param("setup", "", Words(), "what one must know of how it was measured"),
    Param("confidence", CONFIDENCE, Real(0, 1, open_low=True, open_high=True), "that all claims hold at once"),
)


def examine(value: object, faults: list[Fault]) -> Study | None:
    """The study that the key ``study`` of a config states; None where there is none, or where faults were found."""
    if value is None:
        return None
    before = len(faults)
    given = _mapping("study", value, ("question", "source"), faults)
    items = given.pop("claims", None)
    if not isinstance(items, list) or not items:
        faults.append(Fault("study.claims", "must be a list of claims", text(items)))
        items = []
    said: dict[str, Any] = parse_params("study.", STUDY, given, faults)
    claims = [_claim(f"study.claims[{number}]", item, faults) for number, item in enumerate(items)]
    return None if len(faults) > before else Study(claims=tuple(cast(list[Claim], claims)), **said)


def _mapping(where: str, value: object, required: tuple[str, ...], faults: list[Fault]) -> dict[str, object]:
    """The mapping, and a fault for each key that it must have and has not."""
    if not isinstance(value, Mapping):
        faults.append(Fault(where, "must be a mapping", text(value), "see docs/howto/own-studies.md"))
        return {}
    missing = [name for name in required if name not in value]
    faults += [Fault(where, f"must have the key {name}", remedy=f"say {name}: ...") for name in missing]
    return {str(key): item for key, item in value.items()}


def _claim(where: str, value: object, faults: list[Fault]) -> Claim | None:
    before = len(faults)
    given = _mapping(where, value, ("says",), faults)
    counts = _counts(f"{where}.counts", given.pop("counts"), faults) if "counts" in given else None
    said: dict[str, Any] = parse_params(f"{where}.", CLAIM, given, faults)
    stated = [param.name for param in RELATIONS if param.name in given]
    if len(stated) != 1:
        rule = f"must state one relation ({', '.join(param.name for param in RELATIONS)})"
        faults.append(
            Fault(where, rule, ", ".join(stated) or "none", "keep one" if stated else "say one, as above: 0.5")
        )
        return None
    faults += _within(where, stated[0], given)
    if said["among"] and (said["measure"] == SOLVED or said["measure"].startswith("verdict.")):
        faults.append(
            Fault(f"{where}.among", f"must not go with {said['measure']}", SOLVED, "all solved networks have the same")
        )
    if len(faults) > before:
        return None
    relation = _relation(stated[0], said)
    return Claim(said["says"], relation, said["measure"], said["where"] or {}, said["among"], counts, said["expected"])


def _counts(where: str, value: object, faults: list[Fault]) -> Bounds | None:
    """The limits of a share; those above and below may go together."""
    before = len(faults)
    given = _mapping(where, value, (), faults)
    said: dict[str, Any] = parse_params(f"{where}.", COUNTS, given, faults)
    stated = [param.name for param in LIMITS if param.name in given]
    if len(stated) != 1 and stated != ["above", "below"]:
        rule = "must say above, below, inside or equals"
        faults.append(Fault(where, rule, ", ".join(stated) or "none of them", "say one, as above: 0.5"))
        return None
    faults += _within(where, stated[0], given)
    return None if len(faults) > before else _bounds(said)


def _within(where: str, relation: str, given: Mapping[str, object]) -> list[Fault]:
    needed = relation in ("equals", "equal_to", "formula")
    if needed and "within" not in given:
        return [Fault(where, f"must have the key within beside {relation}", remedy="say within: ...")]
    if "within" in given and not needed:
        rule = "goes with equals, equal_to and formula"
        return [Fault(f"{where}.within", rule, f"one beside {relation}", "leave it out")]
    return []


def _relation(name: str, said: Mapping[str, Any]) -> Relation:
    value, within = said[name], said["within"] or 0.0
    if name in (param.name for param in COMPARISONS):
        return Than(name, value, within)
    if name == "formula":
        return Computed(value, within)
    return Along(value, name == "rising_along") if name.endswith("_along") else _bounds(said)


def _bounds(said: Mapping[str, Any]) -> Bounds:
    if said["inside"] is not None:
        return Bounds(*said["inside"])
    if said["equals"] is not None:
        return Bounds(said["equals"] - said["within"], said["equals"] + said["within"])
    ends = {"low": said["above"], "high": said["below"]}
    return Bounds(**{name: end for name, end in ends.items() if end is not None})
