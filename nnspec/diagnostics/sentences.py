"""What was measured on a network in one sentence a verdict, and since when it was so. No torch.

``numbers`` are those of the diagnosis by name, with ``final_loss`` and ``solved_at``, of one network or medians over
several; what is missing or NaN was not measured.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from nnspec.architecture import architecture
from nnspec.catalog import LOSSES
from nnspec.diagnostics.activations import slopes
from nnspec.diagnostics.room import extent
from nnspec.diagnostics.trend import tail_updates
from nnspec.results.arrays import unit_of
from nnspec.specs import RunSpec

Numbers = Mapping[str, float]
SEEN_IN_SNAPSHOTS = ("dead_units", "symmetric", "saturated")  # asked of each snapshot where there are some


def diverged(numbers: Numbers, spec: RunSpec) -> str:
    """The loss at the end and at the start."""
    last, first = number(numbers, "final_loss"), number(numbers, "init_loss")
    start = f", after {first:.4g} at the start" if math.isfinite(first) else ""
    if not math.isfinite(last):
        return f"the loss is no longer finite{start}"
    if number(numbers, "loss_slope") > 0:
        return f"the loss is {last:.4g}{start}, and grows"
    return f"outputs or weights are no longer finite; the last finite loss is {last:.4g}{start}"


def solved(numbers: Numbers, spec: RunSpec) -> str:
    """Since when it is solved."""
    at = number(numbers, "solved_at")
    return "it has learnt what the spec asks for" + (f", from {unit_of(spec)} {at:g}" if at >= 0 else "")


def beyond_capacity(numbers: Numbers, spec: RunSpec) -> str:
    """The margin of the linear program."""
    margin = number(numbers, "margin")
    if not math.isfinite(margin):
        return "no weights of this model make every row right: its output cannot come near enough to a target"
    return f"no weights of this model make every row right: their best margin is {margin:.3g}, and it must be above 0"


def dead_units(numbers: Numbers, spec: RunSpec) -> str:
    """Units that are off for every row, and rows for which all units of a layer are off."""
    shape, seen = architecture(spec), extent(spec)
    passed = shape.hidden if LOSSES[spec.loss.name].fused else shape.after  # by a gradient
    dying = [after for after in passed if slopes(after.member).dies]
    behind = zip(shape.dense, shape.after, strict=not shape.opaque)
    units = sum(dense.fan_out for dense, after in behind if after in dying)  # 0 of a module, whose layers are unknown
    kind = "units" if shape.after[-1] in dying else "hidden units"
    off, dark = number(numbers, "dead_units"), number(numbers, "dead_rows")
    looked = "" if seen.looked == seen.rows else f" of the {seen.looked:,} that were looked at"
    counted = f"{off:g} of {units:,} {kind}" if units else f"{off:g} hidden unit{'' if off == 1 else 's'}"
    whole = f"{counted} {_are(off)} off for every row{looked}: no gradient reaches them"
    if units and off == units:
        return whole
    about = "" if seen.looked == seen.rows else "about "
    rows = f"{about}{_count(dark)} of {seen.rows:,} rows"
    blocked = f"for {rows}, and all that are wrong are among them, every unit of a layer is off"
    return f"{whole}; {blocked}" if off > 0 else f"{blocked}: no gradient passes"


def symmetric(numbers: Numbers, spec: RunSpec) -> str:
    """Distinct units of the layer that has the smallest share of them."""
    widths = {dense.fan_out for dense in architecture(spec).dense[:-1]}
    several = len(architecture(spec).hidden) > 1
    units = f" of {min(widths)}" if len(widths) == 1 else ""
    where = f"{units} hidden units" + (" of a layer" if several else "")
    distinct = number(numbers, "distinct_units")
    return (
        f"only {distinct:g}{where} {_are(distinct)} distinct: the others are copies, which get the same gradient and "
        "stay copies"
    )


def saturated(numbers: Numbers, spec: RunSpec) -> str:
    """What passes the hidden activations, and what arrives."""
    passage, arrives = number(numbers, "passage"), number(numbers, "gradient_ratio")
    return (
        f"the hidden activations pass at most {passage:.2g} of a gradient for any wrong row, and the first layer gets "
        f"{arrives:.2g} of what the last one gets"
    )


def local_minimum(numbers: Numbers, spec: RunSpec) -> str:
    """The gradient and the curvatures."""
    return (
        f"no small step lowers the loss of {number(numbers, 'final_loss'):.4g}: the gradient is "
        f"{number(numbers, 'gradient_norm'):.2g} and the smallest curvature {_curvature(numbers)}"
    )


def saddle(numbers: Numbers, spec: RunSpec) -> str:
    """The gradient and the curvatures."""
    return (
        f"the gradient is {number(numbers, 'gradient_norm'):.2g}, but the loss bends down in some direction: the "
        f"smallest curvature is {_curvature(numbers)}"
    )


def still_learning(numbers: Numbers, spec: RunSpec) -> str:
    """By how much the loss fell."""
    return (
        f"the loss still falls: by {-number(numbers, 'loss_slope'):.2%} of itself over {_tail(spec)}, to "
        f"{number(numbers, 'final_loss'):.4g}"
    )


def stuck(numbers: Numbers, spec: RunSpec) -> str:
    """All that was looked at."""
    looked = {
        f"loss over {_tail(spec)}": ("loss_slope", "+.2%"),
        "its jitter": ("loss_jitter", ".2%"),
        "gradient": ("gradient_norm", ".2g"),
        "units off": ("dead_units", "g"),
        "distinct units": ("distinct_units", "g"),
        "passage": ("passage", ".2g"),
    }
    known = {words: (number(numbers, name), form) for words, (name, form) in looked.items()}
    said = [f"{words} {value:{form}}" for words, (value, form) in known.items() if not math.isnan(value)]
    return f"it does not learn, and none of the other verdicts holds; looked at: {', '.join(said)}"


def since_text(verdict: str, numbers: Numbers, spec: RunSpec, median: bool = False) -> str:
    """Since when it was so, as far as what is logged can tell; nothing where there is nothing to tell. ``median``: the
    numbers are medians over several networks."""
    at, unit = number(numbers, "since"), unit_of(spec)
    if math.isnan(at):
        return ""
    many = " (median)" if median else ""
    if verdict == "diverged":
        if at == 0:
            return f"before the first update{many}"
        return f"since the first update{many}" if at == 1 else f"since {unit} {at:g}{many}"
    if at == 0 and verdict in SEEN_IN_SNAPSHOTS:
        return "so with the initial weights already" + (", in most of them" if median else "")
    if verdict in SEEN_IN_SNAPSHOTS and spec.train.snapshot_every and extent(spec).exact:
        return f"so in every snapshot since {unit} {at:g}{many}"
    return f"the loss has not moved since {f'{unit} {at:g}' if at else 'the start'}{many}"


def number(numbers: Numbers, name: str) -> float:
    """A number by name, NaN where it was not measured."""
    return float(numbers.get(name, math.nan))


def _curvature(numbers: Numbers) -> str:
    low, high = number(numbers, "smallest_eigenvalue"), number(numbers, "largest_eigenvalue")
    return f"{low:.2g} (the largest {high:.2g})"


def _tail(spec: RunSpec) -> str:
    """What the trend of the loss was read over; of networks that train.stop may end that is another span for each."""
    if spec.train.stop != "never":
        return "the last fifth of training"
    count, unit = tail_updates(spec), unit_of(spec)
    return f"the last {unit}" if count == 1 else f"the last {count:,} {unit}s"


def _count(rows: float) -> str:
    """Rows, of which a median or an estimate may be no whole number."""
    return f"{rows:,.0f}" if rows >= 100 else f"{rows:.3g}"


def _are(count: float) -> str:
    return "is" if count == 1 else "are"
