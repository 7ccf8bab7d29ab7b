"""Optimizers on stacked parameters, hyperparameters one value a network.

An update works in place on tensors whose last axes broadcast against the hyperparameters: ``w`` weights, ``g`` their
gradient (which it may overwrite), ``s`` the state, one tensor of w's shape a slot, ``spare`` a scratch tensor.
``coefficients`` computes what depends on the count of updates only, in double precision, for many updates at once.
The rules are those of ``torch.optim``, rearranged to pass over memory less often. One rule serves torch's tensors, the
reference's ``NumpyTensor`` and the compiler's ``Traced``. Rules that return new tensors took 1.1 to 1.2 times as long
on small chunks and 4 to 6 times on a million numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from nnspec.catalog.maths import Array
from nnspec.params import Boolean, Many, Param, Real, Rule, Value
from nnspec.registry import Registry

H = Mapping[str, Any]  # hyperparameters by name: arrays of one value a network; pairs as [2, ...]; flags as they are
Update = Callable[[Array, Array, tuple[Array, ...], Array, H, Mapping[str, Array]], None]


def _none(h: H, t: Array) -> dict[str, Array]:
    return {}


@dataclass(frozen=True)
class Optimizer:
    """One optimizer.

    ``coefficients(h, t)``: h in float64, t [c, 1] counts of updates from 1, gives arrays [c, m], or [m] where t does
    not matter. Under a schedule h["lr"] is [c, m]: a rule reads lr here and nowhere else, but for ``start``.
    ``update(w, g, s, spare, h, c)``: one step; ``c`` holds this step's coefficients. ``start(h)``: the value that each
    slot of the state starts from, a number or one value a network.
    ``switches``: hyperparameters whose being 0 turns a part of the rule off; networks share a stack only where all of
    them agree on that, so that the part is computed for all or for none.
    ``temporaries``: arrays of w's shape that an update makes, the most that live at a time.
    ``scheduled``: whether lr is the rate of every update, so that a schedule moves it.
    ``by_rows``: an update a row, in the order of the rows, by ``g`` = (p - y) x, whatever the loss and without the
    activation's slope; one pass counts as one update everywhere else. ``output`` and ``loss``: what it takes.
    """

    name: str
    summary: str
    module: str
    params: tuple[Param, ...]
    slots: Callable[[H], int]
    update: Update
    coefficients: Callable[[H, Array], dict[str, Array]] = _none
    start: Callable[[H], tuple[Any, ...]] = lambda h: ()
    switches: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = ()
    aliases: tuple[str, ...] = ()  # names that people type for it
    temporaries: int = 0
    scheduled: bool = True
    by_rows: bool = False
    output: str | None = None
    loss: str | None = None

    def static(self, params: Mapping[str, Value]) -> tuple[tuple[str, Value], ...]:
        """What networks of one stack must agree on: flags, and which switches are off."""
        agreed: dict[str, Value] = {k: v for k, v in params.items() if isinstance(v, (bool, str))}
        agreed.update({k: params[k] != 0 for k in self.switches})
        return tuple(sorted(agreed.items()))

    def hyperparameters(self, params: Mapping[str, Value]) -> dict[str, Any]:
        """What the rule reads as ``h``: a member's parameters, and for each switch ``<name>_on``, whether it is on."""
        return {**params, **{f"{name}_on": params[name] != 0 for name in self.switches}}


TINY = 1e-37  # a root of this is far below any eps
LR = Real(0, open_low=True)
UNIT = Real(0, 1, open_high=True)
EPS = Param("eps", 1e-8, Real(0, open_low=True), "added to the denominator")
BETAS = Param("betas", (0.9, 0.999), Many(UNIT, 2, 2), "decay of the mean of gradients and of their squares")
DECAY = Param("weight_decay", 0.0, Real(0), "factor of the weights added to the gradient (L2)")


def _add_decay(w: Array, g: Array, h: H) -> None:
    if h["weight_decay_on"]:
        g.addcmul_(w, h["weight_decay"])


def _sgd(w: Array, g: Array, s: tuple[Array, ...], spare: Array, h: H, c: Mapping[str, Array]) -> None:
    _add_decay(w, g, h)
    step = g
    if h["momentum_on"]:
        # torch starts the buffer at the first gradient, undamped; `fresh` is 1 for that update only
        s[0].mul_(h["momentum"]).addcmul_(g, c["fresh"])
        step = g.addcmul_(s[0], h["momentum"]) if h["nesterov"] else s[0]
    w.addcmul_(step, c["minus_lr"])


def _sgd_coefficients(h: H, t: Array) -> dict[str, Array]:
    first = (t == 1).to(t.dtype)
    return {"minus_lr": -h["lr"], "fresh": first + (1 - first) * (1 - h["dampening"])}


def _moments(g: Array, s: tuple[Array, ...], spare: Array, h: H, c: Mapping[str, Array]) -> None:
    s[0].lerp_(g, c["one_minus_beta1"])
    s[1].lerp_(g.mul_(g), c["one_minus_beta2"])


def _root(v: Array, spare: Array) -> Array:
    """sqrt(v) in ``spare``, as v / sqrt(v + tiny): torch's own sqrt takes forty times as long on denormal numbers."""
    return spare.copy_(v).add_(TINY).rsqrt_().mul_(v)


def _adam_step(w: Array, s: tuple[Array, ...], spare: Array, c: Mapping[str, Array]) -> None:
    # lr m' / (sqrt(v') + eps) with the bias corrections and lr folded into two factors of the denominator
    root = _root(s[1], spare)
    root.mul_(c["root_factor"]).add_(c["scaled_eps"])
    w.addcdiv_(s[0], root, value=-1)


def _adam(w: Array, g: Array, s: tuple[Array, ...], spare: Array, h: H, c: Mapping[str, Array]) -> None:
    _add_decay(w, g, h)
    _moments(g, s, spare, h, c)
    _adam_step(w, s, spare, c)


def _adamw(w: Array, g: Array, s: tuple[Array, ...], spare: Array, h: H, c: Mapping[str, Array]) -> None:
    if h["weight_decay_on"]:
        w.mul_(c["keep"])
    _moments(g, s, spare, h, c)
    _adam_step(w, s, spare, c)


def _adam_coefficients(h: H, t: Array) -> dict[str, Array]:
    beta1, beta2 = h["betas"]
    step = h["lr"] / (1 - beta1**t)
    return {
        "one_minus_beta1": 1 - beta1,
        "one_minus_beta2": 1 - beta2,
        "root_factor": 1 / ((1 - beta2**t) ** 0.5 * step),
        "scaled_eps": h["eps"] / step,
        "keep": 1 - h["lr"] * h["weight_decay"],
    }


def _rmsprop(w: Array, g: Array, s: tuple[Array, ...], spare: Array, h: H, c: Mapping[str, Array]) -> None:
    _add_decay(w, g, h)
    squares, rest = s[0], list(s[1:])
    squares.lerp_(g * g, c["one_minus_alpha"])
    if h["centered"]:
        mean = rest.pop(0)
        mean.lerp_(g, c["one_minus_alpha"])
        root = (squares - mean * mean).clamp_(min=0).sqrt()  # rounding may leave it below 0, where torch gives NaN
    else:
        root = _root(squares, spare)
    g.div_(root.add_(h["eps"]))
    if h["momentum_on"]:
        g = rest.pop(0).mul_(h["momentum"]).add_(g)
    w.addcmul_(g, c["minus_lr"])


def _rmsprop_coefficients(h: H, t: Array) -> dict[str, Array]:
    return {"minus_lr": -h["lr"], "one_minus_alpha": 1 - h["alpha"]}


def _adagrad(w: Array, g: Array, s: tuple[Array, ...], spare: Array, h: H, c: Mapping[str, Array]) -> None:
    _add_decay(w, g, h)
    s[0].addcmul_(g, g)
    root = s[0].sqrt().add_(h["eps"])
    w.addcmul_(g.div_(root), c["minus_lr"])


def _adagrad_coefficients(h: H, t: Array) -> dict[str, Array]:
    return {"minus_lr": -h["lr"] / (1 + (t - 1) * h["lr_decay"])}


def _rprop(w: Array, g: Array, s: tuple[Array, ...], spare: Array, h: H, c: Mapping[str, Array]) -> None:
    before, steps = s
    turn = (g * before).sign_()
    shrink, grow = h["etas"]
    agree, differ = (turn > 0).to(g.dtype), (turn < 0).to(g.dtype)
    steps.mul_(1 + agree * (grow - 1) + differ * (shrink - 1))
    smallest, largest = h["step_sizes"]
    steps.copy_(steps.clamp(smallest, largest))
    g.mul_(1 - differ)  # after a turn the gradient is forgotten, so that the next update does not shrink again
    before.copy_(g)
    w.sub_(g.sign_().mul_(steps))


def _plain(w: Array, g: Array, s: tuple[Array, ...], spare: Array, h: H, c: Mapping[str, Array]) -> None:
    w.addcmul_(g, c["minus_lr"])


OPTIMIZERS: Registry[Optimizer] = Registry(
    "optimizer",
    (
        Optimizer(
            "sgd",
            "w - lr g, with momentum (Polyak 1964), Nesterov's form of it, and weight decay",
            "SGD",
            (
                Param("lr", 0.1, LR, "learning rate"),
                Param("momentum", 0.0, Real(0), "share of the last step that is kept"),
                Param("dampening", 0.0, Real(0, 1), "share of the gradient kept out of the momentum"),
                Param("nesterov", False, Boolean(), "look ahead along the momentum (Nesterov 1983)"),
                DECAY,
            ),
            slots=lambda h: int(h["momentum_on"]),
            update=_sgd,
            coefficients=_sgd_coefficients,
            switches=("momentum", "weight_decay"),
            rules=(
                Rule(
                    "nesterov",
                    "needs momentum above 0 and dampening 0",
                    lambda p: not p["nesterov"] or (p["momentum"] > 0 and p["dampening"] == 0),
                    "try optimizer.momentum=0.9 optimizer.dampening=0",
                ),
            ),
            aliases=("gradient_descent",),
        ),
        Optimizer(
            "adam",
            "step by the mean of gradients over the root of their mean square, bias-corrected (Kingma and Ba 2015)",
            "Adam",
            (Param("lr", 0.1, LR, "learning rate"), BETAS, EPS, DECAY),
            slots=lambda h: 2,
            update=_adam,
            coefficients=_adam_coefficients,
            switches=("weight_decay",),
        ),
        Optimizer(
            "adamw",
            "Adam with weight decay taken off the weights, not added to the gradient (Loshchilov and Hutter 2019)",
            "AdamW",
            (
                Param("lr", 0.1, LR, "learning rate"),
                BETAS,
                EPS,
                Param("weight_decay", 0.01, Real(0), "share of the weights, times lr, taken off each update"),
            ),
            slots=lambda h: 2,
            update=_adamw,
            coefficients=_adam_coefficients,
            switches=("weight_decay",),
            aliases=("adam_w",),
        ),
        Optimizer(
            "rmsprop",
            "step by the gradient over the root of its mean square (Hinton 2012)",
            "RMSprop",
            (
                Param("lr", 0.01, LR, "learning rate"),
                Param("alpha", 0.99, UNIT, "decay of the mean square"),
                EPS,
                Param("momentum", 0.0, Real(0), "share of the last step that is kept"),
                Param("centered", False, Boolean(), "divide by the standard deviation instead"),
                DECAY,
            ),
            slots=lambda h: 1 + int(h["centered"]) + int(h["momentum_on"]),
            update=_rmsprop,
            coefficients=_rmsprop_coefficients,
            switches=("momentum", "weight_decay"),
            aliases=("rms_prop",),
        ),
        Optimizer(
            "adagrad",
            "step by the gradient over the root of the sum of its squares (Duchi et al. 2011)",
            "Adagrad",
            (
                Param("lr", 0.1, LR, "learning rate"),
                Param("lr_decay", 0.0, Real(0), "shrinks lr by 1 / (1 + lr_decay (t - 1))"),
                Param("initial_accumulator_value", 0.0, Real(0), "what the sum of squares starts from"),
                Param("eps", 1e-10, Real(0, open_low=True), "added to the denominator"),
                DECAY,
            ),
            slots=lambda h: 1,
            update=_adagrad,
            coefficients=_adagrad_coefficients,
            start=lambda h: (h["initial_accumulator_value"],),
            switches=("weight_decay",),
        ),
        Optimizer(
            "rprop",
            "step by the sign of the gradient, longer while it holds, shorter when it turns (Riedmiller and Braun "
            "1993)",
            "Rprop",
            (
                Param("lr", 0.01, LR, "first step of every weight"),
                Param(
                    "etas",
                    (0.5, 1.2),
                    Many(Real(0, open_low=True), 2, 2),
                    "factors of the step after a turn and while the sign holds",
                ),
                Param("step_sizes", (1e-6, 50.0), Many(Real(0, open_low=True), 2, 2), "shortest and longest step"),
            ),
            slots=lambda h: 2,
            update=_rprop,
            start=lambda h: (0.0, h["lr"]),
            temporaries=5,
            scheduled=False,
            rules=(
                Rule(
                    "etas",
                    "must be a factor below 1 and one above 1",
                    lambda p: p["etas"][0] < 1 < p["etas"][1],
                    "try [0.5,1.2]",
                ),
                Rule(
                    "step_sizes",
                    "must be ordered",
                    lambda p: p["step_sizes"][0] < p["step_sizes"][1],
                    "put the shortest first",
                ),
            ),
        ),
        Optimizer(
            "perceptron_rule",
            "w + lr (y - p) x after each row, p = 1 where w x > 0 (Rosenblatt 1958): without an error some day, if a "
            "line separates the classes (Novikoff 1962)",
            "",
            (Param("lr", 1.0, LR, "learning rate"),),
            slots=lambda h: 0,
            update=_plain,
            coefficients=lambda h, t: {"minus_lr": -h["lr"]},
            scheduled=False,
            by_rows=True,
            output="heaviside",
            loss="mse",
        ),
    ),
)
