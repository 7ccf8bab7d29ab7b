"""Why the networks of a filed run did not learn, from its table and its specs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nnspec.analysis.levels import missing
from nnspec.explaining.networks import SOLVED, Explanation, explained_table
from nnspec.explaining.verdict import part
from nnspec.readback import is_sweep, networks, read_axes
from nnspec.specs import RunSpec
from nnspec.tracking import Store, read_checked_spec

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class RunExplanation:
    """Why the networks of a filed run or sweep ended as they did: of each verdict but 'solved' an explanation, the most
    common first. It prints as text for a terminal."""

    run: str
    name: str
    networks: int
    solved: int
    verdicts: tuple[Explanation, ...]

    def __repr__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        if self.networks == 1:
            yield f"{self.name}: {self.verdicts[0].verdict if self.verdicts else SOLVED}"
        else:
            yield f"{self.name}: {self.solved:,} of {self.networks:,} networks solved"
        for one in self.verdicts:
            if self.networks > 1:
                yield f"\n{one.verdict}, {one.networks:,} of {one.total:,}"
            if one.where:
                yield part("as in", one.where)
            yield part("measured" if one.measured == 1 else "medians", one.said())
            yield part("more", f"nnspec explain {one.verdict}")


def explain_run(store: Store, run_id: str) -> RunExplanation:
    """Why the networks of a filed run or sweep ended as they did.

    Raises:
        TrackingError: there is no such run, nothing of it is finished, or what it filed is not as it must be.
    """
    table = networks(store, run_id)
    found = sweep_explanations(store, run_id, table)
    return RunExplanation(run_id, store.get(run_id).name, len(table), int(table["solved"].sum()), tuple(found))


def sweep_explanations(store: Store, run_id: str, table: pd.DataFrame) -> list[Explanation]:
    """The explanations of the networks in the ``table`` of a filed run or sweep."""
    axes = [axis for axis in read_axes(store, run_id) if axis in table and axis != "seed"]
    return explained_table(table, axes, _specs(store, run_id, table, axes))


def _specs(store: Store, run_id: str, table: pd.DataFrame, axes: Sequence[str]) -> Callable[[int], RunSpec | None]:
    """What finds the spec of a row of the table: that of the run itself, or of a cell with the row's choices."""
    if not is_sweep(store, run_id):
        return lambda row: read_checked_spec(run_id, store)
    if "run_id" in table:
        return lambda row: read_checked_spec(str(table["run_id"].loc[row]), store)
    cells = [child for child in store.find_children(run_id, axes) if child.status == "FINISHED"]

    def of_row(row: int) -> RunSpec | None:
        wanted = {axis: table[axis].loc[row] for axis in axes}
        for cell in cells:
            if all(is_filed_as(cell.params.get(axis), value) for axis, value in wanted.items()):
                return read_checked_spec(cell.run_id, store)
        return None

    return of_row


def is_filed_as(param: str | None, value: object) -> bool:
    """Whether a cell with this param, or without it, has this value in the table of its sweep. Whole numbers are
    fractions there (16.0) where some cells have none."""
    if missing(value):
        return param in (None, "null")
    return param == str(value) or (isinstance(value, float) and param == str(value).removesuffix(".0"))
