"""Where one verdict ends and the next begins: every number that a verdict turns on, with the reason for it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Thresholds:
    """All bounds are relative, so that they mean the same for every loss, width and data set.

    ``diverged_factor``: a loss this many times its start, and growing, has left for good. Adam's first steps at
        a textbook learning rate overshoot by less than 3; ten leaves room for a bad start that still comes back.
    ``growing``: the smallest relative rise of the loss over the last fifth of training that counts as growing.
    ``copies``: units are copies if their weights, in and out, differ by less than this share of the layer's largest unit.
        Exact copies stay exact in exact arithmetic; float32 rounding over thousands of updates stays below 1e-5,
        while units that merely resemble one another after training differ by 1e-2 and more.
    ``flat``: an activation's derivative below this share of its largest one counts as saturated (a number for the record).
        For the sigmoid that is |z| > 6, for tanh |z| > 3.
    ``passage``: for every row that is not right yet the hidden activations together let through less than this share of
        the gradient. One sigmoid unit may pass 0.25 at most, so a few layers of healthy ones stay well above it.
    ``vanishing``: the gradient that really arrives at the first layer, relative to the last's: the same bound, for large
        weights can make up for flat activations, and then the early layers do learn.
    ``stationary``: the gradient is zero if a step along it, as long as the weights themselves, would change the loss
        (first order) by less than this share of it. After 1000 updates with Adam, whose step size never shrinks, nine in
        ten networks on a plateau are below 0.01; those on their way down are above 0.1.
    ``curvature``: an eigenvalue of the Hessian is negative if it is below minus this share of the largest in size.
        A residual gradient at the bound above leaves negative eigenvalues of up to 0.004 in ReLU networks, which have flat
        directions beside it; the saddles of symmetric problems have 0.05 and more.
    ``falling``: the loss still falls if it fell by more than this share over the last fifth of training, and by more than
        it jitters. On plateaus it falls by 1e-4 at most, which is a thousandth part in ten times the training.
    """

    diverged_factor: float = 10.0
    growing: float = 0.01
    copies: float = 1e-4
    flat: float = 1e-2
    passage: float = 1e-2
    vanishing: float = 1e-2
    stationary: float = 0.05
    curvature: float = 1e-2
    falling: float = 1e-3


THRESHOLDS = Thresholds()
TAIL = 0.2  # the share of training, at its end, over which the trend of the loss is read
