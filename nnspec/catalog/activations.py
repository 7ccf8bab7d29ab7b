"""Activations: formula and derivative side by side, for any array library.

``value(xp, z, p)`` is the activation of pre-activations ``z``; ``slope(xp, z, h, p)`` its derivative there, where ``h``
is the value already computed. ``p`` holds the parameters by name: floats, or arrays that broadcast against ``z`` (one
value a network). At a kink the derivative is torch's choice.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnspec.catalog.maths import Array, Maths, NumpyMaths, softplus
from nnspec.params import Choice, Param, Real, Rule, ordered
from nnspec.registry import Registry

P = Mapping[str, Any]
Formula = Callable[[Maths, Array, P], Array]
Slope = Callable[[Maths, Array, Array, P], Array]

ROOT_HALF = math.sqrt(0.5)
DENSITY = 1 / math.sqrt(2 * math.pi)  # of the standard normal at 0
GAIN_REACH, GAIN_NODES = 12.0, 1 << 16  # standard deviations and midpoints of the quadrature of gains
GELU_TANH, GELU_CUBE = math.sqrt(2 / math.pi), 0.044715
# Klambauer et al. 2017: the fixed point of mean 0 and variance 1
SELU_SCALE, SELU_ALPHA = 1.0507009873554804934193349852946, 1.6732632423543772848170429916717


@dataclass(frozen=True)
class Learned:
    """What trains with the weights: ``tensor`` of shape [1] in torch's module, at first the parameter ``start``, as
    which the formulas read it; ``slope`` is the derivative of the value with respect to it."""

    tensor: str
    start: str
    slope: Formula


@dataclass(frozen=True)
class Activation:
    """One activation, elementwise unless it says otherwise.

    ``module`` is its class in ``torch.nn`` (or in ``nnspec.builder`` where torch has none). ``gain`` is what
    ``torch.nn.init.calculate_gain`` gives, where it knows the activation. ``derivative`` is the formula of ``slope``
    for readers, in z, the value f and the parameters.
    """

    name: str
    summary: str
    module: str
    value: Formula
    slope: Slope
    params: tuple[Param, ...] = ()
    gain: Callable[[P], float] | None = None
    learned: Learned | None = None
    trainable: bool = True
    elementwise: bool = True
    span: tuple[float, float] | None = (
        None  # between which its values lie; None: not bounded on both sides, or not looked up
    )
    rules: tuple[Rule, ...] = ()
    derivative: str = ""
    aliases: tuple[str, ...] = ()  # names that people type for it

    def bind(self, given: P, learned: Array | None = None) -> Bound:
        """The formulas with the parameters ``given``, those left out at their defaults; ``learned`` is what training
        has made of the learned one, an array that broadcasts against the pre-activations."""
        params = {param.name: given.get(param.name, param.default) for param in self.params}
        if self.learned and learned is not None:
            params[self.learned.start] = learned
        return Bound(self, params)

    def gain_for(self, p: P) -> float:
        """The factor that keeps the second moment of standard normal pre-activations from layer to layer.

        Torch's table where it has the activation; otherwise 1 / sqrt(E[f(z)^2]), z standard normal, by the midpoint
        rule: Gauss-Hermite nodes are too far apart for kinks and steps.
        """
        if self.gain is not None:
            return self.gain(p)
        step = 2 * GAIN_REACH / GAIN_NODES
        nodes = (np.arange(GAIN_NODES) + 0.5) * step - GAIN_REACH
        density = DENSITY * np.exp(-0.5 * nodes * nodes)
        with np.errstate(over="ignore"):
            values = np.clip(self.value(NumpyMaths(), nodes, p), -sys.float_info.max, sys.float_info.max)
        most = float(np.abs(values).max()) or 1.0  # squares of values near the largest float would overflow
        moment = float(np.sum(density * (values / most) ** 2) * step)
        return 1 / math.sqrt(moment) / most if moment > 0 else 1.0


@dataclass(frozen=True)
class Bound:
    """An activation with the parameters that its formulas read."""

    entry: Activation
    params: Mapping[str, Any]

    def value(self, xp: Maths, z: Array) -> Array:
        """The activation of pre-activations ``z``."""
        return self.entry.value(xp, z, self.params)

    def slope(self, xp: Maths, z: Array, h: Array) -> Array:
        """Its derivative with respect to ``z``, where ``h`` is the value."""
        return self.entry.slope(xp, z, h, self.params)

    def learned_slope(self, xp: Maths, z: Array) -> Array:
        """Its derivative with respect to what it learns."""
        assert self.entry.learned
        return self.entry.learned.slope(xp, z, self.params)


def _identity(xp: Maths, z: Array, p: P) -> Array:
    return z


def _ones(xp: Maths, z: Array, h: Array, p: P) -> Array:
    return 0 * z + 1


def _relu(xp: Maths, z: Array, p: P) -> Array:
    return xp.clip(z, 0, None)


def _positive(xp: Maths, z: Array, h: Array, p: P) -> Array:
    return xp.sign(h)  # 1 where z > 0, else 0, in one pass


def _one_or(xp: Maths, z: Array, negative: Array) -> Array:
    """1 where z > 0, else ``negative``; a ``where`` of two numbers would lose double precision in torch."""
    positive = xp.mask(z > 0, z)
    return positive + (1 - positive) * negative


def _leaky(parameter: str) -> dict[str, Any]:
    return {
        "value": lambda xp, z, p: xp.where(z > 0, z, p[parameter] * z),
        "slope": lambda xp, z, h, p: _one_or(xp, z, p[parameter]),
    }


def _rrelu_slope(p: P) -> Array:
    return (p["lower"] + p["upper"]) / 2


def _elu(xp: Maths, z: Array, p: P) -> Array:
    return xp.where(z > 0, z, p["alpha"] * xp.expm1(_negative(xp, z)))


def _elu_slope(xp: Maths, z: Array, h: Array, p: P) -> Array:
    return xp.where(z > 0, 1.0, h + p["alpha"])


def _negative(xp: Maths, z: Array) -> Array:
    return xp.clip(z, None, 0)


def _celu(xp: Maths, z: Array, p: P) -> Array:
    return xp.where(z > 0, z, p["alpha"] * xp.expm1(_negative(xp, z) / p["alpha"]))


def _celu_slope(xp: Maths, z: Array, h: Array, p: P) -> Array:
    return xp.where(z > 0, 1.0, xp.exp(_negative(xp, z) / p["alpha"]))


def _selu(xp: Maths, z: Array, p: P) -> Array:
    return xp.where(z > 0, SELU_SCALE * z, SELU_SCALE * SELU_ALPHA * xp.expm1(_negative(xp, z)))


def _selu_slope(xp: Maths, z: Array, h: Array, p: P) -> Array:
    return xp.where(z > 0, SELU_SCALE, h + SELU_SCALE * SELU_ALPHA)


def _gelu(xp: Maths, z: Array, p: P) -> Array:
    if p["approximate"] == "tanh":
        return 0.5 * z * (1 + xp.tanh(GELU_TANH * (z + GELU_CUBE * z * z * z)))
    return 0.5 * z * (1 + xp.erf(z * ROOT_HALF))


def _gelu_slope(xp: Maths, z: Array, h: Array, p: P) -> Array:
    if p["approximate"] == "tanh":
        t = xp.tanh(GELU_TANH * (z + GELU_CUBE * z * z * z))
        return 0.5 * (1 + t) + 0.5 * z * (1 - t * t) * GELU_TANH * (1 + 3 * GELU_CUBE * z * z)
    return 0.5 * (1 + xp.erf(z * ROOT_HALF)) + z * DENSITY * xp.exp(-0.5 * z * z)


def _silu_slope(xp: Maths, z: Array, h: Array, p: P) -> Array:
    s = xp.sigmoid(z)
    return s * (1 + z * (1 - s))


def _mish_slope(xp: Maths, z: Array, h: Array, p: P) -> Array:
    t = xp.tanh(softplus(xp, z))
    return t + z * xp.sigmoid(z) * (1 - t * t)


def _softplus(xp: Maths, z: Array, p: P) -> Array:
    return xp.where(p["beta"] * z > p["threshold"], z, softplus(xp, p["beta"] * z) / p["beta"])


def _softplus_slope(xp: Maths, z: Array, h: Array, p: P) -> Array:
    return xp.where(p["beta"] * z > p["threshold"], 1.0, xp.sigmoid(p["beta"] * z))


def _softsign_slope(xp: Maths, z: Array, h: Array, p: P) -> Array:
    reach = 1 + xp.abs(z)
    return 1 / (reach * reach)


def _hardswish_slope(xp: Maths, z: Array, h: Array, p: P) -> Array:
    return xp.where(z >= 3, 1.0, (z / 3 + 0.5) * xp.mask(z > -3, z))


ALPHA = Param("alpha", 1.0, Real(0, open_low=True), "scale of the negative part")
LAMBD = Param("lambd", 0.5, Real(0), "half width of the flat part")


def _no_slope(xp: Maths, z: Array, h: Array, p: P) -> Array:
    raise TypeError("softmax has no elementwise derivative: it goes with losses that give their gradient before it")


ACTIVATIONS: Registry[Activation] = Registry(
    "activation",
    (
        Activation(
            "identity", "z", "Identity", _identity, _ones, gain=lambda p: 1.0, derivative="1", aliases=("linear",)
        ),
        Activation(
            "sigmoid",
            "1 / (1 + e^-z)",
            "Sigmoid",
            value=lambda xp, z, p: xp.sigmoid(z),
            slope=lambda xp, z, h, p: h * (1 - h),
            gain=lambda p: 1.0,
            span=(0, 1),
            derivative="f (1 - f)",
            aliases=("logistic",),
        ),
        Activation(
            "tanh",
            "tanh z",
            "Tanh",
            value=lambda xp, z, p: xp.tanh(z),
            slope=lambda xp, z, h, p: 1 - h * h,
            gain=lambda p: 5 / 3,
            span=(-1, 1),
            derivative="1 - f^2",
        ),
        Activation(
            "relu",
            "max(0, z) (Nair and Hinton 2010)",
            "ReLU",
            _relu,
            _positive,
            gain=lambda p: math.sqrt(2),
            derivative="1 if z > 0, else 0",
        ),
        Activation(
            "leaky_relu",
            "z if z > 0, else negative_slope z (Maas et al. 2013)",
            "LeakyReLU",
            **_leaky("negative_slope"),
            params=(Param("negative_slope", 0.01, Real(), "slope of the negative part"),),
            gain=lambda p: np.sqrt(2 / (1 + p["negative_slope"] * p["negative_slope"])),
            derivative="1 if z > 0, else negative_slope",
            aliases=("lrelu", "leakyrelu"),
        ),
        Activation(
            "prelu",
            "z if z > 0, else a z, where a is learned (He et al. 2015)",
            "PReLU",
            **_leaky("init"),
            params=(Param("init", 0.25, Real(), "what the learned slope starts from"),),
            gain=lambda p: np.sqrt(2 / (1 + p["init"] * p["init"])),
            learned=Learned("weight", "init", slope=lambda xp, z, p: xp.clip(z, None, 0)),
            derivative="1 if z > 0, else a",
            aliases=("parametric_relu",),
        ),
        Activation(
            "rrelu",
            "z if z > 0, else (lower + upper) / 2 z: RReLU without its training noise (Xu et al. 2015)",
            "RReLU",
            value=lambda xp, z, p: xp.where(z > 0, z, _rrelu_slope(p) * z),
            slope=lambda xp, z, h, p: _one_or(xp, z, _rrelu_slope(p)),
            params=(
                Param("lower", 0.125, Real(), "smallest slope"),
                Param("upper", 1 / 3, Real(), "largest slope"),
            ),
            rules=(
                Rule(
                    "lower", "must not be above upper", lambda p: p["lower"] <= p["upper"], "exchange lower and upper"
                ),
            ),
            derivative="1 if z > 0, else (lower + upper) / 2",
        ),
        Activation(
            "relu6",
            "min(max(0, z), 6) (Krizhevsky 2010)",
            "ReLU6",
            value=lambda xp, z, p: xp.clip(z, 0, 6),
            slope=lambda xp, z, h, p: xp.mask((z > 0) & (z < 6), z),
            derivative="1 if 0 < z < 6, else 0",
        ),
        Activation(
            "elu",
            "z if z > 0, else alpha (e^z - 1) (Clevert et al. 2016)",
            "ELU",
            _elu,
            _elu_slope,
            params=(ALPHA,),
            derivative="1 if z > 0, else f + alpha",
        ),
        Activation(
            "selu",
            "1.0507 z if z > 0, else 1.7581 (e^z - 1): mean 0, variance 1 are a fixed point (Klambauer et al. 2017)",
            "SELU",
            _selu,
            _selu_slope,
            gain=lambda p: 0.75,
            derivative="1.0507 if z > 0, else f + 1.7581",
        ),
        Activation(
            "celu",
            "z if z > 0, else alpha (e^(z/alpha) - 1) (Barron 2017)",
            "CELU",
            _celu,
            _celu_slope,
            params=(ALPHA,),
            derivative="1 if z > 0, else e^(z / alpha)",
        ),
        Activation(
            "gelu",
            "z Phi(z), Phi the normal distribution (Hendrycks and Gimpel 2016)",
            "GELU",
            _gelu,
            _gelu_slope,
            params=(Param("approximate", "none", Choice(("none", "tanh")), "tanh for the paper's approximation"),),
            derivative="Phi(z) + z phi(z), phi(z) = e^(-z^2 / 2) / sqrt(2 pi)",
        ),
        Activation(
            "silu",
            "z sigmoid(z), also called swish (Elfwing et al. 2018)",
            "SiLU",
            value=lambda xp, z, p: z * xp.sigmoid(z),
            slope=_silu_slope,
            derivative="s (1 + z (1 - s)), s = sigmoid(z)",
            aliases=("swish",),
        ),
        Activation(
            "mish",
            "z tanh(softplus z) (Misra 2020)",
            "Mish",
            value=lambda xp, z, p: z * xp.tanh(softplus(xp, z)),
            slope=_mish_slope,
            derivative="t + z sigmoid(z) (1 - t^2), t = tanh(softplus z)",
        ),
        Activation(
            "softplus",
            "log(1 + e^(beta z)) / beta; z itself where beta z > threshold (Dugas et al. 2001)",
            "Softplus",
            _softplus,
            _softplus_slope,
            params=(
                Param("beta", 1.0, Real(0, open_low=True), "sharpness of the bend"),
                Param("threshold", 20.0, Real(), "beta z from which the value is z"),
            ),
            derivative="1 if beta z > threshold, else sigmoid(beta z)",
        ),
        Activation(
            "softsign",
            "z / (1 + |z|) (Bergstra et al. 2009)",
            "Softsign",
            value=lambda xp, z, p: z / (1 + xp.abs(z)),
            slope=_softsign_slope,
            span=(-1, 1),
            derivative="1 / (1 + |z|)^2",
            aliases=("soft_sign",),
        ),
        Activation(
            "logsigmoid",
            "log sigmoid(z)",
            "LogSigmoid",
            value=lambda xp, z, p: -softplus(xp, -z),
            slope=lambda xp, z, h, p: xp.sigmoid(-z),
            derivative="sigmoid(-z)",
            aliases=("log_sigmoid",),
        ),
        Activation(
            "hardsigmoid",
            "z / 6 + 1/2, cut to 0..1 (Courbariaux et al. 2015)",
            "Hardsigmoid",
            value=lambda xp, z, p: xp.clip(z / 6 + 0.5, 0, 1),
            slope=lambda xp, z, h, p: xp.mask(xp.abs(z) < 3, z) / 6,
            span=(0, 1),
            derivative="1 / 6 if |z| < 3, else 0",
            aliases=("hard_sigmoid",),
        ),
        Activation(
            "hardtanh",
            "z, cut to min_val..max_val",
            "Hardtanh",
            value=lambda xp, z, p: xp.clip(z, p["min_val"], p["max_val"]),
            slope=lambda xp, z, h, p: xp.mask((z > p["min_val"]) & (z < p["max_val"]), z),
            params=(
                Param("min_val", -1.0, Real(), "lower cut"),
                Param("max_val", 1.0, Real(), "upper cut"),
            ),
            rules=(ordered("min_val", "max_val"),),
            derivative="1 if min_val < z < max_val, else 0",
            aliases=("hard_tanh",),
        ),
        Activation(
            "hardswish",
            "z (z / 6 + 1/2, cut to 0..1) (Howard et al. 2019)",
            "Hardswish",
            value=lambda xp, z, p: z * xp.clip(z + 3, 0, 6) / 6,
            slope=_hardswish_slope,
            derivative="0 if z <= -3, 1 if z >= 3, else z / 3 + 1 / 2",
            aliases=("hard_swish", "hard_silu"),
        ),
        Activation(
            "hardshrink",
            "z where |z| > lambd, else 0",
            "Hardshrink",
            value=lambda xp, z, p: z * xp.mask(xp.abs(z) > p["lambd"], z),
            slope=lambda xp, z, h, p: xp.mask(xp.abs(z) > p["lambd"], z),
            params=(LAMBD,),
            derivative="1 if |z| > lambd, else 0",
            aliases=("hard_shrink",),
        ),
        Activation(
            "softshrink",
            "z moved towards 0 by lambd, 0 where |z| <= lambd",
            "Softshrink",
            value=lambda xp, z, p: (z - xp.sign(z) * p["lambd"]) * xp.mask(xp.abs(z) > p["lambd"], z),
            slope=lambda xp, z, h, p: xp.mask(xp.abs(z) > p["lambd"], z),
            params=(LAMBD,),
            derivative="1 if |z| > lambd, else 0",
            aliases=("soft_shrink",),
        ),
        Activation(
            "tanhshrink",
            "z - tanh z",
            "Tanhshrink",
            value=lambda xp, z, p: z - xp.tanh(z),
            slope=lambda xp, z, h, p: (z - h) * (z - h),
            derivative="tanh(z)^2",
            aliases=("tanh_shrink",),
        ),
        Activation(
            "threshold",
            "z where z > threshold, else value",
            "Threshold",
            value=lambda xp, z, p: xp.where(z > p["threshold"], z, p["value"]),
            slope=lambda xp, z, h, p: xp.mask(z > p["threshold"], z),
            params=(
                Param("threshold", 0.0, Real(), "z above which the value is z"),
                Param("value", 0.0, Real(), "the value elsewhere"),
            ),
            derivative="1 if z > threshold, else 0",
        ),
        Activation(
            "sine",
            "sin z (Sitzmann et al. 2020)",
            "Sine",
            value=lambda xp, z, p: xp.sin(z),
            slope=lambda xp, z, h, p: xp.cos(z),
            span=(-1, 1),
            derivative="cos z",
            aliases=("sin",),
        ),
        Activation(
            "heaviside",
            "1 where z > 0, else 0 (McCulloch and Pitts 1943); its derivative is 0, so no gradient method trains it",
            "Heaviside",
            value=lambda xp, z, p: xp.mask(z > 0, z),
            slope=lambda xp, z, h, p: 0 * z,
            trainable=False,
            derivative="0",
            aliases=("step",),
        ),
    ),
)

OUTPUTS: Registry[Activation] = Registry(  # what may lie behind the last layer
    "output activation",
    (
        Activation(
            "softmax",
            "e^z over its sum over the outputs, so that they are probabilities of classes",
            "Softmax",
            value=lambda xp, z, p: xp.softmax(z),
            slope=_no_slope,
            gain=lambda p: 1.0,  # it keeps no variance
            elementwise=False,
            span=(0, 1),
            derivative="f_i (1 - f_i) by its own z_i, -f_i f_j by another z_j",
        ),
        *ACTIVATIONS,
    ),
)
