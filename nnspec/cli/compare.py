"""``nnspec compare``: is one level of an axis better than another, and which axes matter."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from nnspec.cli.filed import Parser, UsageError, find_run, opened, share

if TYPE_CHECKING:
    import pandas as pd


def compare(arguments: Sequence[str]) -> int:
    """Print for each axis the solve rates and every pair of levels, then main effects and interactions of all axes."""
    parser = Parser(
        "compare",
        "Every pair of levels of an axis: difference of solve rates or of means, interval, p-value corrected by Holm.",
    )
    parser.run("sweep")
    parser.add_argument(
        "--by", action="append", metavar="AXIS", help="axis to compare, as activation or optimizer.lr; may be repeated"
    )
    parser.measure()
    parser.add_argument("--confidence", type=share, default=0.95, metavar="P", help="of the intervals (default 0.95)")
    asked = parser.parsed(arguments)
    with opened(asked.uri) as store:
        from nnspec.readback import networks, read_axes

        run_id = find_run(store, asked.sweep)
        frame, axes = networks(store, run_id), read_axes(store, run_id)
    axes = [axis for axis in axes if axis in frame]
    print("\n".join(lines(frame, axes, columns(asked.by, axes, frame), asked.confidence, asked.measure)))
    return 0


def columns(by: Sequence[str] | None, axes: Sequence[str], frame: pd.DataFrame) -> list[str]:
    """The columns of the axes named; without any, the widest axis.

    Raises:
        UsageError: the sweep varies nothing but seeds.
    """
    from nnspec.analysis import widest
    from nnspec.results.table import axis_column

    if by:
        return list(dict.fromkeys(name if name in frame else axis_column(name) for name in by))
    if not axes:
        raise UsageError("compare needs a sweep that varies more than seeds, but this one does not; name another")
    return widest(frame, axes, 1)


def lines(
    frame: pd.DataFrame, axes: Sequence[str], by: Sequence[str], confidence: float, measure: str
) -> Iterator[str]:
    """The comparison, part by part. An unknown axis is an AnalysisError that lists the known ones."""
    from nnspec.analysis import compare as pairs
    from nnspec.analysis import effects, render_frame, summary
    from nnspec.analysis.levels import short
    from nnspec.analysis.measures import SOLVED, broken_text

    for axis in by:
        compared = pairs(frame, axis, [*axes, *([] if axis in axes else [axis])], confidence, measure)
        found = summary(frame, axis, confidence, measure)
        yield f"{measure} by {short(axis)}, {100 * confidence:g}% intervals\n{render_frame(found)}\n"
        counts = ["networks_a", "networks_b", "paired", "broken_a", "broken_b"]
        yield f"{how(compared)}\n{render_frame(compared.drop(columns=counts, errors='ignore'))}\n"
    if measure != SOLVED and (text := broken_text(frame, measure)):
        yield f"{text}\n"
    if axes:
        what = "solving" if measure == SOLVED else measure
        yield f"which axes matter: shares of the variance of {what} that the axes explain, and of all variance"
        yield render_frame(effects(frame, axes, measure))


def how(compared: pd.DataFrame) -> str:
    """What the table of pairs is, and how many pairs differ."""
    clear = int((compared["p_holm"] < 0.05).sum())
    paired = (
        "paired by seed" if compared["paired"].all() else "not all paired by seed, for their seeds are not the same"
    )
    corrected = f"{clear} of {len(compared)} pairs differ after Holm's correction (p_holm below 0.05)"
    return (
        f"differences a - b, {paired}; {corrected}\nintervals go with p, one pair at a time; p_holm holds for all "
        "pairs at once"
    )
