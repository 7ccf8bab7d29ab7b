"""Where one verdict ends and the next begins: every number that a verdict turns on, with the reason for it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Thresholds:
    """All bounds are relative, so that they mean the same for every loss, width and data set.

    ``diverged_factor``: a loss this many times its start, and growing, has left for good. A single bad step can
        multiply the loss too, but then it comes down again.
    ``growing``: the smallest relative rise of the loss over the last fifth of training that counts as growing.
    ``copies``: units are copies if their weights, in and out, differ by less than this share of the layer's largest
        unit. Copies get exactly the same gradient and stay exact, in float32 too; so this need only be above rounding,
        and well below what tells apart units that were drawn at random.
    ``flat``: an activation's derivative below this share of its largest one counts as saturated (a number for the
        record). For the sigmoid that is |z| > 6, for tanh |z| > 3.
    ``passage``: for every row that is not right yet the hidden activations together let through less than this share of
        the gradient. One sigmoid unit may pass 0.25 at most, so a few layers of healthy ones stay well above it.
    ``vanishing``: the gradient that really arrives at the first layer, relative to the last's: the same bound, for
        large weights can make up for flat activations, and then the early layers do learn.
    ``stationary``: the gradient is zero if a step along it, as long as the weights themselves, would change the loss
        (first order) by less than this share of it. After 1000 updates 19 in 20 networks on plateaus and in minima are
        below 0.01, and those on their way down above 0.05; smaller bounds lose saddles, which are left slowly.
    ``curvature``: an eigenvalue of the Hessian is negative if it is below minus this share of the largest in size. What
        is left of the gradient bends the surface a little: after 1000 updates most ReLU networks that stay where they
        are when trained on have less than 8e-4 (a few 6e-3); those of tanh and sigmoid that later escape have 5e-3 and
        more.
    ``falling``: the loss still falls if it fell by more than this share over the last fifth of training, and by more
        than it jitters. In local minima it fell by up to 3e-4, in networks on their way down by 2e-3 and more.
    """

    diverged_factor: float = 10.0
    growing: float = 0.01
    copies: float = 1e-4
    flat: float = 1e-2
    passage: float = 1e-2
    vanishing: float = 1e-2
    stationary: float = 0.05
    curvature: float = 2e-3
    falling: float = 1e-3


THRESHOLDS = Thresholds()
TAIL = 0.2  # the share of training, at its end, over which the trend of the loss is read
