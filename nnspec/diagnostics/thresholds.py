"""Where one verdict ends and the next begins: every number that a verdict turns on, with the reason for it."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any


def _threshold(value: float, reason: str) -> Any:
    return field(default=value, metadata={"reason": reason})


@dataclass(frozen=True)
class Thresholds:
    """All bounds are relative, so that they mean the same for every loss, width and data set; ``reason`` says why each
    is what it is."""

    diverged_factor: float = _threshold(
        10.0,
        "A loss this many times its start, and growing, has left for good. A single bad step can multiply the loss "
        "too, but then it comes down again.",
    )
    growing: float = _threshold(
        0.01, "The smallest relative rise of the loss over the last fifth of training that counts as growing."
    )
    copies: float = _threshold(
        1e-4,
        "Units are copies if their weights, in and out, differ by less than this share of the layer's largest unit. "
        "Copies get exactly the same gradient and stay exact, in float32 too; so this need only be above rounding, and "
        "well below what tells apart units that were drawn at random.",
    )
    flat: float = _threshold(
        1e-2,
        "An activation's derivative below this share of its largest one counts as saturated (a number for the record). "
        "For the sigmoid that is |z| > 6, for tanh |z| > 3.",
    )
    passage: float = _threshold(
        1e-2,
        "For every row that is not right yet the hidden activations together let through less than this share of the "
        "gradient. One sigmoid unit may pass 0.25 at most, so a few layers of healthy ones stay well above it.",
    )
    vanishing: float = _threshold(
        1e-2,
        "The gradient that really arrives at the first layer, relative to the last's: the same bound, for large "
        "weights can make up for flat activations, and then the early layers do learn.",
    )
    stationary: float = _threshold(
        0.05,
        "The gradient is zero if a step along it, as long as the weights themselves, would change the loss (first "
        "order) by less than this share of it. After 1000 updates 19 in 20 networks on plateaus and in minima are "
        "below 0.01, and those on their way down above 0.05; smaller bounds lose saddles, which are left slowly.",
    )
    curvature: float = _threshold(
        2e-3,
        "An eigenvalue of the Hessian is negative if it is below minus this share of the largest in size. What is left "
        "of the gradient bends the surface a little: after 1000 updates most ReLU networks that stay where they are "
        "when trained on have less than 8e-4 (a few 6e-3); those of tanh and sigmoid that later escape have 5e-3 and "
        "more.",
    )
    falling: float = _threshold(
        1e-3,
        "The loss still falls if it fell by more than this share over the last fifth of training, and by more than it "
        "jitters. In local minima it fell by up to 3e-4, in networks on their way down by 2e-3 and more.",
    )
    moved: float = _threshold(
        1e-2,
        "The loss stands still since it last was this share of its last value away from it: about what an eye can tell "
        "from a level line in a plot. Where the loss jitters, three times its jitter. It dates a verdict and decides "
        "none.",
    )


THRESHOLDS = Thresholds()
TAIL = 0.2  # the share of training, at its end, over which the trend of the loss is read


def reason(name: str) -> str:
    """Why a threshold is what it is."""
    return {each.name: str(each.metadata["reason"]) for each in fields(Thresholds)}[name]
