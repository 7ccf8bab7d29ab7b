"""``nnspec diff``: what differs between two runs, in their specs and in their results."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from nnspec.cli.filed import Parser, find_run, opened

if TYPE_CHECKING:
    import pandas as pd

    from nnspec.tracking.store import RunFacts

OUTCOME = ("final_loss", "solved", "solved_at", "verdict")


def diff(arguments: Sequence[str]) -> int:
    """Print the fields that differ, the results side by side, and how sure their difference is."""
    parser = Parser("diff", "What differs between two specs, or two sweeps, and between their results.")
    parser.run("a")
    parser.run("b")
    asked = parser.parsed(arguments)
    with opened(asked.uri) as store:
        from nnspec.readback import networks, read_axes

        ids = [find_run(store, words) for words in (asked.a, asked.b)]
        facts = [store.get(run_id) for run_id in ids]
        tables = [networks(store, run_id) for run_id in ids]
        axes = [read_axes(store, run_id) for run_id in ids]
    print("\n".join(lines(facts, tables, [axis for axis in axes[0] if axis in axes[1]])))
    return 0


def lines(facts: Sequence[RunFacts], tables: Sequence[pd.DataFrame], axes: Sequence[str]) -> Iterator[str]:
    """The comparison of two runs, line by line; ``axes`` are those that both vary."""
    from nnspec.analysis import render_frame

    yield from (f"{letter}  {one.run_id}  {one.name}" for letter, one in zip("ab", facts, strict=True))
    fields = field_table(facts)
    yield "\n" + (f"spec\n{render_frame(fields)}" if len(fields) else "spec: the same")
    if same_results(*tables):
        yield f"\nresults: the same, network by network ({len(tables[0])})"
        return
    yield f"\nresults\n{render_frame(result_table(tables))}"
    yield f"\n{difference(tables, [axis for axis in axes if all(axis in table for table in tables)])}"


def field_table(facts: Sequence[RunFacts]) -> pd.DataFrame:
    """One row a field in which the runs differ; '-' where one has no such field."""
    import pandas as pd

    first, second = (one.params for one in facts)
    keys = [key for key in {**first, **second} if first.get(key) != second.get(key)]
    return pd.DataFrame(
        {"field": keys, "a": [first.get(key, "-") for key in keys], "b": [second.get(key, "-") for key in keys]}
    )


def same_results(a: pd.DataFrame, b: pd.DataFrame) -> bool:
    """Whether every network of ``a`` ended as its namesake in ``b``, to the last bit."""
    columns = ["seed", *OUTCOME]
    return len(a) == len(b) and a[columns].reset_index(drop=True).equals(b[columns].reset_index(drop=True))


def result_table(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """What came out, side by side."""
    import pandas as pd

    columns = [dict(_results(table)) for table in tables]
    keys = list(dict.fromkeys(key for column in columns for key in column))
    return pd.DataFrame(
        {
            "result": keys,
            **{letter: [column.get(k, "-") for k in keys] for letter, column in zip("ab", columns, strict=True)},
        }
    )


def _results(table: pd.DataFrame) -> Iterator[tuple[str, str]]:
    from nnspec.analysis import solve_rates
    from nnspec.analysis.tables import percent, with_interval

    rate = solve_rates(table, ()).iloc[0]
    yield "networks", str(len(table))
    yield "solved", with_interval(rate["rate"], rate["low"], rate["high"])
    loss = np.nan_to_num(table["final_loss"].to_numpy(dtype=float), nan=np.inf, posinf=np.inf)
    yield "final loss, median", f"{np.quantile(loss, 0.5, method='inverted_cdf'):.4g}"
    at = table.loc[table["solved"].astype(bool), "solved_at"].astype(float)
    if len(at):
        yield "solved at, median of the solved", f"{at.median():g}"
    for verdict, number in table["verdict"].value_counts().items():
        yield f"verdict {verdict}", percent(number / len(table))


def difference(tables: Sequence[pd.DataFrame], axes: Sequence[str]) -> str:
    """The difference of the solve rates with its interval and p-value, in a line."""
    import pandas as pd

    from nnspec.analysis import compare
    from nnspec.analysis.tables import cell_text

    columns = ["seed", "solved", *axes]
    both = pd.concat(
        [table[columns].assign(run=letter) for table, letter in zip(tables, "ab", strict=True)], ignore_index=True
    )
    row = compare(both, "run", ["run", *axes]).iloc[0]
    said = {name: cell_text(name, row[name]) for name in ("difference", "low", "high", "p")}
    how = "paired by seed" if row["paired"] else "as independent samples, for their seeds are not the same"
    return f"a - b: {said['difference']} solved [{said['low']}, {said['high']}] (95%), p {said['p']}, {how}"
