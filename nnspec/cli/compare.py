"""``nnspec compare``: is one level of an axis better than another, and which axes matter."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nnspec.cli.filed import Parser, asked_format, find_run, opened
from nnspec.documents import document

if TYPE_CHECKING:
    import pandas as pd

    from nnspec.analysis.pooling import Pooled

COUNTS = ["networks_a", "networks_b", "paired", "broken_a", "broken_b"]  # of pairs, said in words above their table


@dataclass(frozen=True)
class Comparison:
    """The levels of one axis: the rate or mean of each, and every pair of them."""

    levels: Pooled
    pairs: pd.DataFrame


def compare(arguments: Sequence[str]) -> int:
    """Print for each axis the solve rates and every pair of levels, then main effects and interactions of all axes."""
    parser = Parser(
        "compare",
        "Every pair of levels of an axis: difference of solve rates or of means, interval, p-value corrected by Holm.",
    )
    parser.run("sweep")
    parser.by("axes to compare, as activation or activation,optimizer.lr; may be repeated")
    parser.measure()
    parser.confidence()
    parser.formats()
    asked = parser.parsed(arguments)
    with opened(asked.uri) as store:
        from nnspec.readback import networks, read_axes

        run_id = find_run(store, asked.sweep)
        frame, axes = networks(store, run_id), read_axes(store, run_id)
    from nnspec.analysis import axes_to_compare
    from nnspec.analysis.measures import SOLVED

    axes = [axis for axis in axes if axis in frame]
    measure = asked.measure or SOLVED
    by = axes_to_compare(frame, asked.by, axes)
    compared = [comparison(frame, axis, axes, asked.confidence, measure) for axis in by]
    format = asked_format(asked) or "text"
    if format == "json":
        print(document(content(run_id, frame, axes, compared, measure)))
    elif format == "csv":
        print(csv(compared))
    else:
        from nnspec.analysis.writing import write

        print("\n\n".join(write(part, format, note) for note, part in parts(frame, axes, compared, measure)))
    return 0


def comparison(frame: pd.DataFrame, axis: str, axes: Sequence[str], confidence: float, measure: str) -> Comparison:
    """The levels of ``axis`` compared. An unknown axis is an AnalysisError that lists the known ones."""
    from nnspec.analysis import compare as pairs
    from nnspec.analysis.pooling import pooled_table

    found = pairs(frame, axis, axes, confidence, measure)
    return Comparison(pooled_table(frame, [axis], axes, measure, confidence), found)


def parts(
    frame: pd.DataFrame, axes: Sequence[str], compared: Sequence[Comparison], measure: str
) -> Iterator[tuple[str, pd.DataFrame]]:
    """The tables of a comparison, each after what it is."""
    from nnspec.analysis import effects
    from nnspec.analysis.measures import SOLVED, broken_text
    from nnspec.analysis.variance import decided_text

    for one in compared:
        yield one.levels.title(), one.levels.frame
        yield how(one.pairs), one.pairs.drop(columns=COUNTS, errors="ignore")
    if axes:
        broken = "" if measure == SOLVED else broken_text(frame, measure)
        what = "solving" if measure == SOLVED else measure
        head = f"which axes matter: shares of the variance of {what} that the axes explain, and of all variance"
        shares = effects(frame, axes, measure)
        yield "\n".join(filter(None, [broken, head, decided_text(shares)])), shares


def csv(compared: Sequence[Comparison]) -> str:
    """All pairs below each other, after the axis of each."""
    import pandas as pd

    from nnspec.analysis.writing import write

    frames = [
        pd.concat([pd.Series([one.levels.by[0]] * len(one.pairs), name="by"), one.pairs], axis=1) for one in compared
    ]
    return write(pd.concat(frames), "csv")


def content(
    run_id: str, frame: pd.DataFrame, axes: Sequence[str], compared: Sequence[Comparison], measure: str
) -> dict[str, object]:
    """The comparison as a JSON document has it; see docs/json.md."""
    from nnspec.analysis import effects

    return {
        "run": run_id,
        "measure": measure,
        "comparisons": [{**one.levels.content(), "pairs": one.pairs} for one in compared],
        "effects": effects(frame, axes, measure) if axes else [],
    }


def how(compared: pd.DataFrame) -> str:
    """What the table of pairs is, and how many pairs differ."""
    clear = int((compared["p_holm"] < 0.05).sum())
    apart = "not all paired by seed, for their seeds or the values of their other axes are not the same"
    paired = "paired by seed" if compared["paired"].all() else apart
    corrected = f"{clear} of {len(compared)} pairs differ after Holm's correction (p_holm below 0.05)"
    return (
        f"differences a - b, {paired}; {corrected}\nintervals go with p, one pair at a time; p_holm holds for all "
        "pairs at once"
    )
