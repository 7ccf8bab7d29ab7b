"""What a search leaves in words and pictures: the best cell, the best so far, the front of several objectives."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from nnspec.analysis.figures.searched import plot_progress, progress_info
from nnspec.analysis.writing import markdown
from nnspec.report.console import count
from nnspec.report.describing import code_block
from nnspec.report.pages.page import Report, Section
from nnspec.report.reporting import filed_at
from nnspec.results.outcome import Outcome
from nnspec.search.objectives import Found
from nnspec.search.space import Space
from nnspec.specs import RunSpec
from nnspec.terminal import table_text
from nnspec.tracking.artifacts import spec_yaml

if TYPE_CHECKING:
    import pandas as pd

SHOWN = 5  # cells of a search that are listed
OPTIMISTIC = "the best looks better than it is, for these seeds chose it; train it on others"


def search_metrics(found: Found) -> dict[str, float]:
    """The best values, and how many trials there are."""
    best = {} if found.best is None else dict(zip(found.objectives, found.values[found.best], strict=True))
    metrics = {f"best/{name}": value for name, value in best.items()}
    return metrics | {"trials": float(found.trials), "trials_pruned": float(found.pruned)}


def search_text(outcome: Outcome, found: Found, space: Space, command: str) -> str:
    """What a search has found, for the terminal: the best cells, and the ``command`` that trains the best one on other
    seeds."""
    head = _head(found)
    if found.best is None:
        return head
    several = len(found.objectives) > 1
    title = "none is better in one objective and as good in the others" if several else "best"
    table = table_text(None, _rows(outcome, found, space, _ranked(found)[:SHOWN]), left=0)
    return f"{head}\n\n{title}\n{table}\n\n{OPTIMISTIC}:\n  {command}"


def search_description(
    outcome: Outcome, found: Found, space: Space, command: str, alone: str, links: Sequence[str] = ()
) -> str:
    """What a search has found, in Markdown, as long as a tag; ``alone`` is the command that trains the best cell
    on other seeds."""
    told = [" · ".join([f"**{markdown(_head(found))}**", *links])]
    if found.best is not None:
        values = [f"{key} = {value}" for key, value in _chosen(outcome.specs[found.best], space).items()]
        told += [f"best, cell {found.best}: {markdown(', '.join(values))}", f"{OPTIMISTIC}:", code_block(alone)]
    searched = [f"- {markdown(key)}: {markdown(said)}" for key, said in list(space.listed.items())[:20]]
    return "\n\n".join([*told, "searched:\n\n" + "\n".join(searched), code_block(command)])


def search_table(outcome: Outcome, found: Found, space: Space) -> pd.DataFrame:
    """A row a whole trial, the best one first: its cell, the objectives, what was searched."""
    import pandas as pd

    heads, *rows = _rows(outcome, found, space, found.ranked)
    return pd.DataFrame(rows, columns=list(heads))


def search_info(found: Found, alone: str) -> dict[str, object]:
    """What a search has found, as plain values for ``--json``."""
    best = None if found.best is None else dict(zip(found.objectives, found.values[found.best], strict=True))
    return {
        "sampler": found.sampler,
        "objectives": list(found.objectives),
        "trials": found.trials,
        "trials_pruned": found.pruned,
        "best_cell": found.best,
        "best": best,
        "best_command": alone or None,
        "front": found.front,
    }


def search_report(outcome: Outcome, found: Found, space: Space, command: str, alone: str) -> dict[str, bytes]:
    """The report's files by artifact path: the best so far as a picture, the best cells, the best spec."""
    assert found.best is not None
    info = progress_info(
        found.objectives[0], sorted(found.values), [v[0] for _, v in sorted(found.values.items())], found.so_far
    )
    honest = f"{OPTIMISTIC.capitalize()}: {alone}"
    sections = [
        Section("Best so far", _head(found) + ".", partial(plot_progress, info), info.text, name="search"),
        Section("Best cells", honest, table=search_table(outcome, found, space), name="best"),
    ]
    best = spec_yaml(outcome.specs[found.best]).decode()
    return filed_at(Report("Search", command, best, sections).files())


def _head(found: Found) -> str:
    pruned = f", {found.pruned} of them pruned" if found.pruned else ""
    told = f"{count(found.trials, 'trial')} by {found.sampler}{pruned}"
    if found.best is None:
        return f"{told}: none of them whole"
    values = zip(found.objectives, found.values[found.best], strict=True)
    return f"{told}: best {', '.join(f'{name} {value:.6g}' for name, value in values)}"


def _rows(outcome: Outcome, found: Found, space: Space, cells: Sequence[int]) -> list[tuple[str, ...]]:
    """A table's heading and a row for each of ``cells``: its number, the objectives and what was searched."""
    chosen = {cell: _chosen(outcome.specs[cell], space) for cell in cells}
    keys = list(dict.fromkeys(key for values in chosen.values() for key in values))
    heads = ("cell", *found.objectives, *keys)
    rows = [
        (str(cell), *(f"{value:.6g}" for value in found.values[cell]), *(chosen[cell].get(key, "") for key in keys))
        for cell in cells
    ]
    return [heads, *rows]


def _ranked(found: Found) -> list[int]:
    """The cells of whole trials, the best one first; of several objectives those of the front."""
    several = len(found.objectives) > 1
    best = set(found.front if several else found.ranked)
    return [cell for cell in found.ranked if cell in best]


def _chosen(spec: RunSpec, space: Space) -> dict[str, str]:
    """What the search chose of a spec, by axis."""
    from nnspec.results.table import axis_columns, spec_columns

    columns = spec_columns(spec)
    shown = axis_columns(space.axes, [spec.model.name])
    found = {column: columns[column] for column in shown if columns.get(column) is not None}
    return {name: f"{value:.6g}" if isinstance(value, float) else str(value) for name, value in found.items()}
