"""What was found: every change with its worth, as text, as a data frame, and with the command that trains the best."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from nnspec.analysis.tables import cell_text, percent
from nnspec.compose.stating import words
from nnspec.remedies.worth import Worth
from nnspec.report import console
from nnspec.specs import RunSpec

if TYPE_CHECKING:
    import pandas as pd

ANOTHER_SEED = "another seed"  # the spec as it is


@dataclass(frozen=True)
class Measured:
    """A change as it is said, the spec that has it, and what it is worth."""

    change: str
    spec: RunSpec
    worth: Worth


@dataclass(frozen=True)
class Remedies:
    """The changes to ``spec`` that were measured, by falling gain, and among them the spec as it is over ``seeds``.

    ``tried`` are the changes for all of which the worths hold at once, of ``known`` that make sense; ``failed`` says
    why one could not be trained. It prints as text; see ``frame`` for a table.
    """

    spec: RunSpec
    verdict: str | None
    seeds: range
    measured: tuple[Measured, ...]
    tried: tuple[str, ...]
    known: int
    failed: Mapping[str, str] = field(default_factory=dict)
    interrupted: bool = False

    @property
    def found(self) -> list[Measured]:
        """The changes that surely help, the best first."""
        return [one for one in self.measured if one.worth.remedy]

    def frame(self) -> pd.DataFrame:
        """One row a change: ``change``, ``solve_rate`` with ``low`` and ``high``, ``difference`` from the spec as it is
        with ``difference_low`` and ``difference_high``, ``p``, ``remedy``, ``seeds``."""
        import pandas as pd

        rows = [
            {"change": one.change, **asdict(one.worth), "remedy": one.worth.remedy, "seeds": len(self.seeds)}
            for one in self.measured
        ]
        return pd.DataFrame(rows)

    def __repr__(self) -> str:
        return "\n".join(lines(self))

    def _repr_html_(self) -> str:
        return self.frame().to_html(index=False)


def lines(remedies: Remedies) -> list[str]:
    """The remedies, what makes no sure difference, what surely harms, and the command that trains the best."""
    found = remedies.found
    harm = [one for one in remedies.measured if one.worth.harm]
    plain = next(one for one in remedies.measured if one.change == ANOTHER_SEED)
    unsure = [one for one in remedies.measured if one not in (*found, *harm, plain)]
    base = percent(plain.worth.solve_rate)
    said = [_head(remedies)]
    said += [f"{_solved(one)} instead of {base}, {_p(one.worth.p)}" for one in found]
    said.append(_solved(plain))
    said += _together("no sure difference", unsure) + _together("worse", harm)
    if remedies.known > len(remedies.tried):
        said.append(f"{remedies.known - len(remedies.tried)} more take too long; with --seeds N all are measured")
    said += [f"could not be trained: {change}: {reason}" for change, reason in remedies.failed.items()]
    return [*said, _next(remedies)]


def _head(remedies: Remedies) -> str:
    seeds, verdict = remedies.seeds, f", {remedies.verdict}" if remedies.verdict else ""
    tried, done = len(remedies.tried), len(remedies.measured) - 1
    many = console.count(tried, "change")
    what = f"interrupted: {done} of {many}" if remedies.interrupted else many
    return (
        f"{console.summary(remedies.spec)}{verdict}\n"
        f"{what}, each on the same {len(seeds)} seeds ({seeds[0]} to {seeds[-1]}); remedies hold for all at once at 95%"
    )


def _solved(one: Measured) -> str:
    worth = one.worth
    return f"  {one.change}: {percent(worth.solve_rate)} [{100 * worth.low:.0f}, {100 * worth.high:.0f}]"


def _p(p: float) -> str:
    text = cell_text("p", p)
    return f"p < {text[1:]}" if text.startswith("<") else f"p = {text}"


def _together(what: str, some: Sequence[Measured]) -> list[str]:
    listed = ", ".join(f"{one.change} {percent(one.worth.solve_rate)}" for one in some)
    return [f"{what}: {listed}"] if some else []


def _next(remedies: Remedies) -> str:
    if not remedies.found:
        return f"no remedy among them; more seeds show smaller gains: --seeds {5 * len(remedies.seeds)}"
    return f"train it: nnspec run {shlex.join(words(remedies.found[0].spec))}".rstrip()
