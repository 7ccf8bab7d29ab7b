"""What differs between two filed runs, in their specs and in their results."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nnspec.readback import networks, read_axes
from nnspec.results.arrays import quantiles

if TYPE_CHECKING:
    import pandas as pd

    from nnspec.tracking import Store
    from nnspec.tracking.store import RunFacts

OUTCOME = ("final_loss", "solved", "solved_at", "verdict")


@dataclass(frozen=True)
class Difference:
    """What differs between two runs; ``info`` is the document of ``--json``. It prints as the command line does."""

    info: Mapping[str, Any]

    def __repr__(self) -> str:
        return "\n".join(lines(self.info))


def difference_of(store: Store, a: str, b: str) -> Difference:
    """What differs between two filed runs or sweeps, by their ids, in their specs and in their results.

    Raises:
        TrackingError: nothing of one of them is finished.
    """
    facts = [store.get(run_id) for run_id in (a, b)]
    tables = [networks(store, run_id) for run_id in (a, b)]
    axes = [read_axes(store, run_id) for run_id in (a, b)]
    return Difference(diff_info(facts, tables, [axis for axis in axes[0] if axis in axes[1]]))


def diff_info(facts: Sequence[RunFacts], tables: Sequence[pd.DataFrame], axes: Sequence[str]) -> dict[str, Any]:
    """The comparison of two runs; ``axes`` are those that both vary. Results that are the same have no difference."""
    same = same_results(*tables)
    shared = [axis for axis in axes if all(axis in table for table in tables)]
    return {
        **{letter: {"run_id": one.run_id, "name": one.name} for letter, one in zip("ab", facts, strict=True)},
        "spec": fields(facts),
        "same_results": same,
        "results": {letter: results(table) for letter, table in zip("ab", tables, strict=True)},
        "difference": None if same else difference(tables, shared),
    }


def fields(facts: Sequence[RunFacts]) -> list[dict[str, str | None]]:
    """The fields in which the runs differ, with their values as text; None where one has no such field."""
    first, second = (one.params for one in facts)
    keys = [key for key in {**first, **second} if first.get(key) != second.get(key)]
    return [{"field": key, "a": first.get(key), "b": second.get(key)} for key in keys]


def same_results(a: pd.DataFrame, b: pd.DataFrame) -> bool:
    """Whether every network of ``a`` ended as its namesake in ``b``, to the last bit."""
    columns = ["seed", *OUTCOME]
    return len(a) == len(b) and a[columns].reset_index(drop=True).equals(b[columns].reset_index(drop=True))


def results(table: pd.DataFrame) -> dict[str, Any]:
    """What came out of a run's networks; the share of each verdict, the commonest first."""
    from nnspec.analysis import solve_rates

    rate = solve_rates(table, ()).iloc[0]
    _, middle, _ = quantiles(table["final_loss"].to_numpy(dtype=float))
    at = table.loc[table["solved"].astype(bool), "solved_at"].astype(float)
    return {
        "networks": len(table),
        "solve_rate": rate["rate"],
        "solve_rate_low": rate["low"],
        "solve_rate_high": rate["high"],
        "final_loss_median": middle,
        "solved_at_median": at.median() if len(at) else None,
        "verdicts": {name: number / len(table) for name, number in table["verdict"].value_counts().items()},
    }


def difference(tables: Sequence[pd.DataFrame], axes: Sequence[str]) -> dict[str, Any]:
    """The difference a - b of the solve rates with its 95% interval and p-value, and whether it is paired by seed."""
    import pandas as pd

    from nnspec.analysis import compare

    columns = ["seed", "solved", *axes]
    both = pd.concat(
        [table[columns].assign(run=letter) for table, letter in zip(tables, "ab", strict=True)], ignore_index=True
    )
    row = compare(both, "run", ["run", *axes]).iloc[0]
    return {name: row[name] for name in ("difference", "low", "high", "p", "paired")}


def lines(info: Mapping[str, Any]) -> Iterator[str]:
    """The comparison of two runs, line by line."""
    import pandas as pd

    from nnspec.analysis import render_frame
    from nnspec.analysis.tables import NOTHING, cell_text

    yield from (f"{letter}  {info[letter]['run_id']}  {info[letter]['name']}" for letter in "ab")
    spec = pd.DataFrame(info["spec"]).fillna(NOTHING)
    yield "\n" + (f"spec\n{render_frame(spec)}" if len(spec) else "spec: the same")
    found = info["results"]
    if info["same_results"]:
        yield f"\nresults: the same, network by network ({found['a']['networks']})"
        return
    columns = {letter: dict(_result_texts(found[letter])) for letter in "ab"}
    names = list(dict.fromkeys(name for column in columns.values() for name in column))
    shown = {letter: [column.get(name, NOTHING) for name in names] for letter, column in columns.items()}
    yield f"\nresults\n{render_frame(pd.DataFrame({'result': names, **shown}))}"
    differs = info["difference"]
    said = {name: cell_text(name, differs[name]) for name in ("difference", "low", "high", "p")}
    how = "paired by seed" if differs["paired"] else "as independent samples, for their seeds are not the same"
    yield f"\na - b: {said['difference']} solved [{said['low']}, {said['high']}] (95%), p {said['p']}, {how}"


def _result_texts(found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    from nnspec.analysis.tables import percent, with_interval

    yield "networks", str(found["networks"])
    yield "solved", with_interval(found["solve_rate"], found["solve_rate_low"], found["solve_rate_high"])
    yield "final loss, median", f"{found['final_loss_median']:.4g}"
    if found["solved_at_median"] is not None:
        yield "solved at, median of the solved", f"{found['solved_at_median']:g}"
    for verdict, share in found["verdicts"].items():
        yield f"verdict {verdict}", percent(share)
