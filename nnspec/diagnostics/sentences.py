"""What was measured on a network in one sentence a verdict, and since when it was so. No torch.

``Numbers`` are those of the diagnosis by name, with ``final_loss`` and ``solved_at``, of one network or medians over
several, and the ``facts`` of their spec; what is missing or NaN was not measured. A sentence asks for numbers alone,
and chooses between words by ``either``: so it can be written down once for numbers that are not known yet, as
``nnspec.play`` does.
"""

from __future__ import annotations

import math
import sys
from collections import ChainMap
from collections.abc import Mapping
from typing import Any

from nnspec.architecture import architecture
from nnspec.catalog import LOSSES
from nnspec.diagnostics.activations import slopes
from nnspec.diagnostics.room import extent
from nnspec.diagnostics.trend import tail_updates
from nnspec.results.arrays import unit_of
from nnspec.specs import RunSpec

Numbers = Mapping[str, Any]
SEEN_IN_SNAPSHOTS = ("dead_units", "symmetric", "saturated")  # asked of each snapshot where there are some


def facts(spec: RunSpec) -> dict[str, float]:
    """What sentences say of a spec, as numbers by name; 0 is no."""
    shape, seen = architecture(spec), extent(spec)
    passed = shape.hidden if LOSSES[spec.loss.name].fused else shape.after  # by a gradient
    dying = [after for after in passed if slopes(after.member).dies]
    behind = zip(shape.dense, shape.after, strict=not shape.opaque)
    widths = {dense.fan_out for dense in shape.dense[:-1]}
    return {
        "rows": seen.rows,
        "rows_looked_at": seen.looked,
        "exact": seen.exact,
        "hidden_layers": len(shape.hidden),
        "hidden_width": widths.pop() if len(widths) == 1 else 0,  # 0 where layers differ in it
        # units that can be off: 0 of a module, whose layers are unknown
        "mortal_units": sum(dense.fan_out for dense, after in behind if after in dying),
        "mortal_output": shape.after[-1] in dying,
        "epochs": unit_of(spec) == "epoch",
        # of networks that train.stop may end the tail is another one for each
        "tail": tail_updates(spec) if spec.train.stop == "never" else 0,
        "snapshot_every": spec.train.snapshot_every or 0,
    }


def with_facts(numbers: Numbers, spec: RunSpec) -> Numbers:
    """Numbers measured on networks of a spec, and its ``facts``."""
    return ChainMap(facts(spec), numbers)  # type: ignore[arg-type]  # nobody writes to it


def either(condition: Any, yes: str, no: str = "") -> str:
    """One of two texts, by a condition on numbers: unlike an ``if`` it may be asked of numbers not known yet."""
    return condition.either(yes, no) if hasattr(condition, "either") else yes if condition else no


def number(numbers: Numbers, name: str) -> Any:
    """A number by name, in double precision; NaN where it was not measured."""
    value = numbers.get(name, math.nan)
    return value if hasattr(value, "either") else float(value)


def known(value: Any) -> Any:
    """Whether a number was measured: NaN is unequal to itself."""
    return value == value


def finite(value: Any) -> Any:
    """Whether a number is one, and not infinite."""
    return abs(value) <= sys.float_info.max


def diverged(numbers: Numbers) -> str:
    """The loss at the end and at the start."""
    last, first = number(numbers, "final_loss"), number(numbers, "init_loss")
    start = either(finite(first), f", after {first:.4g} at the start")
    grows = f"the loss is {last:.4g}{start}, and grows"
    gone = f"outputs or weights are no longer finite; the last finite loss is {last:.4g}{start}"
    ended = either(number(numbers, "loss_slope") > 0, grows, gone)
    return either(finite(last), ended, f"the loss is no longer finite{start}")


def solved(numbers: Numbers) -> str:
    """Since when it is solved."""
    at = number(numbers, "solved_at")
    return "it has learnt what the spec asks for" + either(at >= 0, f", from {_unit(numbers)} {at:g}")


def beyond_capacity(numbers: Numbers) -> str:
    """The margin of the linear program."""
    margin = number(numbers, "margin")
    none = "no weights of this model make every row right: "
    best = f"{none}their best margin is {margin:.3g}, and it must be above 0"
    return either(finite(margin), best, f"{none}its output cannot come near enough to a target")


def dead_units(numbers: Numbers) -> str:
    """Units that are off for every row, and rows for which all units of a layer are off."""
    off, dark = number(numbers, "dead_units"), number(numbers, "dead_rows")
    units, rows, looked = (number(numbers, name) for name in ("mortal_units", "rows", "rows_looked_at"))
    kind = either(number(numbers, "mortal_output") > 0, "units", "hidden units")
    some = looked < rows
    seen = either(some, f" of the {looked:,.0f} that were looked at")
    counted = either(units > 0, f"{off:g} of {units:,.0f} {kind}", f"{off:g} hidden unit{either(off == 1, '', 's')}")
    whole = f"{counted} {_are(off)} off for every row{seen}: no gradient reaches them"
    share = f"{either(some, 'about ')}{_count(dark)} of {rows:,.0f} rows"
    blocked = f"for {share}, and all that are wrong are among them, every unit of a layer is off"
    both = either(off > 0, f"{whole}; {blocked}", f"{blocked}: no gradient passes")
    return either((units > 0) & (off == units), whole, both)


def symmetric(numbers: Numbers) -> str:
    """Distinct units of the layer that has the smallest share of them."""
    distinct, width = number(numbers, "distinct_units"), number(numbers, "hidden_width")
    units = either(width > 0, f" of {width:.0f}")
    layer = either(number(numbers, "hidden_layers") > 1, " of a layer")
    return (
        f"only {distinct:g}{units} hidden units{layer} {_are(distinct)} distinct: the others are copies, which get the "
        "same gradient and stay copies"
    )


def saturated(numbers: Numbers) -> str:
    """What passes the hidden activations, and what arrives."""
    passage, arrives = number(numbers, "passage"), number(numbers, "gradient_ratio")
    return (
        f"the hidden activations pass at most {passage:.2g} of a gradient for any wrong row, and the first layer gets "
        f"{arrives:.2g} of what the last one gets"
    )


def local_minimum(numbers: Numbers) -> str:
    """The gradient and the curvatures."""
    return (
        f"no small step lowers the loss of {number(numbers, 'final_loss'):.4g}: the gradient is "
        f"{number(numbers, 'gradient_norm'):.2g} and the smallest curvature {_curvature(numbers)}"
    )


def saddle(numbers: Numbers) -> str:
    """The gradient and the curvatures."""
    return (
        f"the gradient is {number(numbers, 'gradient_norm'):.2g}, but the loss bends down in some direction: the "
        f"smallest curvature is {_curvature(numbers)}"
    )


def still_learning(numbers: Numbers) -> str:
    """By how much the loss fell."""
    return (
        f"the loss still falls: by {-number(numbers, 'loss_slope'):.2%} of itself over {_tail(numbers)}, to "
        f"{number(numbers, 'final_loss'):.4g}"
    )


def stuck(numbers: Numbers) -> str:
    """All that was looked at."""
    looked = {
        f"change over {_tail(numbers)}": ("loss_slope", "+.2%"),
        "jitter": ("loss_jitter", ".2%"),
        "gradient": ("gradient_norm", ".2g"),
        "units off": ("dead_units", "g"),
        "distinct units": ("distinct_units", "g"),
        "passage": ("passage", ".2g"),
    }
    values = {words: (number(numbers, name), form) for words, (name, form) in looked.items()}
    said = "".join(either(known(value), f", {words} {value:{form}}") for words, (value, form) in values.items())
    return (
        "it does not learn, and none of the other verdicts holds; looked at: loss "
        f"{number(numbers, 'final_loss'):.4g}{said}"
    )


def since_text(verdict: str, numbers: Numbers, median: bool = False) -> str:
    """Since when it was so, as far as what is logged can tell; nothing where there is nothing to tell. ``median``: the
    numbers are medians over several networks."""
    at, unit, every = number(numbers, "since"), _unit(numbers), number(numbers, "snapshot_every")
    many = " (median)" if median else ""
    if verdict == "diverged":
        later = either(at == 1, f"since the first update{many}", f"since {unit} {at:g}{many}")
        return either(known(at), either(at == 0, f"before the first update{many}", later))
    level = f"the loss has not moved since {either(at > 0, f'{unit} {at:g}', 'the start')}{many}"
    if verdict not in SEEN_IN_SNAPSHOTS:
        return either(known(at), level)
    always = f"so {either(every == 1, 'after every update', 'in every snapshot')} since {unit} {at:g}{many}"
    held = either((every > 0) & (number(numbers, "exact") > 0), always, level)
    start = "so with the initial weights already" + (", in most of them" if median else "")
    return either(known(at), either(at == 0, start, held))


def _curvature(numbers: Numbers) -> str:
    low, high = number(numbers, "smallest_eigenvalue"), number(numbers, "largest_eigenvalue")
    return f"{low:.2g} (the largest {high:.2g})"


def _unit(numbers: Numbers) -> str:
    return either(number(numbers, "epochs") > 0, "epoch", "update")


def _tail(numbers: Numbers) -> str:
    """What the trend of the loss was read over."""
    count, unit = number(numbers, "tail"), _unit(numbers)
    whole = either(count == 1, f"the last {unit}", f"the last {count:,.0f} {unit}s")
    return either(count > 0, whole, "the last fifth of training")


def _count(rows: Any) -> str:
    """Rows, of which a median or an estimate may be no whole number."""
    return either(rows >= 100, f"{rows:,.0f}", f"{rows:.3g}")


def _are(count: Any) -> str:
    return either(count == 1, "is", "are")
