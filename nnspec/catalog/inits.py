"""Initialisations: how a weight matrix is made from noise.

A scheme states which noise it needs and turns it into weights. The noise of a network is drawn from that network's own
``torch.Generator``, tensor by tensor in state-dict order, so that ``torch.nn.init`` with the same generator gives the
same weights; turning noise into weights is plain NumPy over the stack [m networks, o fan-out, i fan-in].
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

from nnspec.params import Choice, Either, Optional, Param, Real, Rule, Text, ordered
from nnspec.registry import Registry

UNIFORM, NORMAL = "uniform", "normal"  # noise: uniform on 0..1, standard normal
LEAST_SHARE = 1e-6  # of the normal distribution between two cuts: with less, the inverse runs out of digits
BIAS_ZEROS, BIAS_SAME = "zeros", "same"


@dataclass(frozen=True)
class Layer:
    """What a scheme may know of the layer that it fills; ``gain`` is the activation's."""

    fan_in: int
    fan_out: int
    gain: float


P = Mapping[str, Any]
Density = Callable[[np.ndarray, Layer, P], np.ndarray]
Make = Callable[[tuple[np.ndarray, ...], tuple[int, int, int], Layer, P], np.ndarray]


@dataclass(frozen=True)
class Init:
    """One scheme.

    ``make(noise, shape, layer, params)`` gives weights of ``shape`` [m, o, i] from one noise array a name in ``noise``.
    ``biases`` says whether the scheme makes sense for a bias vector, which it sees as [m, o, 1] with the layer's fans.
    ``std(layer, params)`` is the standard deviation it promises, where it promises one; ``density(w, layer, params)``
    the probability density of a weight at ``w``, where it has one.
    ``bias`` is the bias's scheme unless said. ``stored`` schemes read a file instead of drawing.
    """

    name: str
    summary: str
    make: Make
    noise: tuple[str, ...] = ()
    params: tuple[Param, ...] = ()
    biases: bool = True
    std: Callable[[Layer, P], float] | None = None
    bias: str = BIAS_ZEROS
    stored: bool = False
    rules: tuple[Rule, ...] = ()
    density: Density | None = None
    aliases: tuple[str, ...] = ()  # names that people type for it


MODE = Param(
    "mode", "fan_in", Choice(("fan_in", "fan_out")), "fan_in keeps the forward variance, fan_out the backward one"
)
AUTO_GAIN = Param("gain", "auto", Either("auto", Real(0, open_low=True)), "auto takes the activation's gain")
UNIT_GAIN = Param("gain", 1.0, Either("auto", Real(0, open_low=True)), "auto takes the activation's gain")


def _gain(layer: Layer, p: P) -> float:
    return layer.gain if p["gain"] == "auto" else float(p["gain"])


def _he(layer: Layer, p: P) -> float:
    return _gain(layer, p) / np.sqrt(layer.fan_in if p["mode"] == "fan_in" else layer.fan_out)


def _glorot(layer: Layer, p: P) -> float:
    return _gain(layer, p) * np.sqrt(2 / (layer.fan_in + layer.fan_out))


def _lecun(layer: Layer, p: P) -> float:
    return 1 / np.sqrt(layer.fan_in)


def _torch_std(layer: Layer, p: P) -> float:
    return 1 / np.sqrt(3 * layer.fan_in)


def _uniform_std(layer: Layer, p: P) -> float:
    return float(p["high"] - p["low"]) / math.sqrt(12)


def _given_std(layer: Layer, p: P) -> float:
    return float(p["std"])


def _scaled_uniform_density(std: Callable[[Layer, P], float]) -> Density:
    """The density of what ``_scaled_uniform`` makes."""

    def density(w: np.ndarray, layer: Layer, p: P) -> np.ndarray:
        bound = math.sqrt(3) * std(layer, p)
        return np.where(np.abs(w) <= bound, 1 / (2 * bound), 0.0)

    return density


def _scaled_normal_density(std: Callable[[Layer, P], float]) -> Density:
    """The density of what ``_scaled_normal`` makes."""
    return lambda w, layer, p: _normal_density(w, 0.0, std(layer, p))


def _normal_density(w: np.ndarray, mean: float, std: float) -> np.ndarray:
    z = (w - mean) / std
    return np.exp(-0.5 * z * z) / (std * math.sqrt(2 * math.pi))


def _truncated_density(w: np.ndarray, layer: Layer, p: P) -> np.ndarray:
    within = (p["low"] <= w) & (w <= p["high"])
    return np.where(within, _normal_density(w, p["mean"], p["std"]) / _mass(p), 0.0)


def _uniform_density(w: np.ndarray, layer: Layer, p: P) -> np.ndarray:
    return np.where((p["low"] <= w) & (w <= p["high"]), 1 / (p["high"] - p["low"]), 0.0)


def _between(noise: np.ndarray, low: float, high: float) -> np.ndarray:
    kind = noise.dtype.type
    return noise * kind(high - low) + kind(low)


def _scaled_uniform(std: Callable[[Layer, P], float]) -> Make:
    def make(noise: tuple[np.ndarray, ...], shape: tuple[int, int, int], layer: Layer, p: P) -> np.ndarray:
        bound = math.sqrt(3) * std(layer, p)
        return _between(noise[0], -bound, bound)

    return make


def _scaled_normal(std: Callable[[Layer, P], float]) -> Make:
    def make(noise: tuple[np.ndarray, ...], shape: tuple[int, int, int], layer: Layer, p: P) -> np.ndarray:
        return noise[0] * noise[0].dtype.type(std(layer, p))

    return make


def _fill(value: Callable[[P], float]) -> Make:
    return lambda noise, shape, layer, p: np.full(shape, value(p))


def _uniform(noise: tuple[np.ndarray, ...], shape: tuple[int, int, int], layer: Layer, p: P) -> np.ndarray:
    return _between(noise[0], p["low"], p["high"])


def _normal(noise: tuple[np.ndarray, ...], shape: tuple[int, int, int], layer: Layer, p: P) -> np.ndarray:
    kind = noise[0].dtype.type
    return noise[0] * kind(p["std"]) + kind(p["mean"])


def _truncated(noise: tuple[np.ndarray, ...], shape: tuple[int, int, int], layer: Layer, p: P) -> np.ndarray:
    """The normal distribution cut to low..high, by its inverse distribution function."""
    from scipy.special import ndtr, ndtri

    low, high = (float(ndtr((p[side] - p["mean"]) / p["std"])) for side in ("low", "high"))
    drawn = ndtri(low + noise[0].astype(np.float64) * (high - low)) * p["std"] + p["mean"]
    return np.clip(drawn, p["low"], p["high"])


def _mass(p: P) -> float:
    """The share of the normal distribution between the two cuts."""
    low, high = (NormalDist().cdf((p[side] - p["mean"]) / p["std"]) for side in ("low", "high"))
    return high - low


def _reachable(p: P) -> bool:
    return _mass(p) >= LEAST_SHARE


def _truncated_std(layer: Layer, p: P) -> float:
    from scipy.stats import truncnorm

    low, high = ((p[side] - p["mean"]) / p["std"] for side in ("low", "high"))
    return float(truncnorm.std(low, high) * p["std"])


def _orthogonal(noise: tuple[np.ndarray, ...], shape: tuple[int, int, int], layer: Layer, p: P) -> np.ndarray:
    """Q of a normal matrix, its signs fixed so that the draw is uniform over rotations (Saxe et al. 2014)."""
    tall = noise[0] if shape[1] >= shape[2] else noise[0].swapaxes(1, 2)
    q, r = np.linalg.qr(tall)
    q = q * np.sign(np.diagonal(r, axis1=1, axis2=2))[:, None, :]
    q = q if shape[1] >= shape[2] else q.swapaxes(1, 2)
    return q * noise[0].dtype.type(_gain(layer, p))


def _sparse(noise: tuple[np.ndarray, ...], shape: tuple[int, int, int], layer: Layer, p: P) -> np.ndarray:
    """Normal weights of which each input keeps all but ceil(sparsity x outputs) (Martens 2010)."""
    weights, lots = noise[0] * noise[0].dtype.type(p["std"]), noise[1]
    off = math.ceil(p["sparsity"] * shape[1])
    rank = np.argsort(np.argsort(lots, axis=1, kind="stable"), axis=1, kind="stable")
    return np.where(rank < off, 0, weights)


def _eye(noise: tuple[np.ndarray, ...], shape: tuple[int, int, int], layer: Layer, p: P) -> np.ndarray:
    return np.broadcast_to(np.eye(shape[1], shape[2]), shape)


def _mirror(noise: tuple[np.ndarray, ...], shape: tuple[int, int, int], layer: Layer, p: P) -> np.ndarray:
    """He normal rows, each second one the opposite of the one before; an odd last row stays single."""
    weights = noise[0] * noise[0].dtype.type(_he(layer, p))
    pairs = shape[1] // 2
    weights[:, 1 : 2 * pairs : 2] = -weights[:, 0 : 2 * pairs : 2]
    return weights


INITS: Registry[Init] = Registry(
    "init",
    (
        Init("zeros", "every weight 0", _fill(lambda p: 0.0), std=lambda layer, p: 0.0),
        Init(
            "constant",
            "every weight value",
            _fill(lambda p: p["value"]),
            params=(Param("value", 0.5, Real(), "the value"),),
            std=lambda layer, p: 0.0,
        ),
        Init(
            "uniform",
            "uniform on low..high",
            _uniform,
            (UNIFORM,),
            (Param("low", -1.0, Real(), "lower bound"), Param("high", 1.0, Real(), "upper bound")),
            std=_uniform_std,
            density=_uniform_density,
            rules=(ordered("low", "high"),),
        ),
        Init(
            "normal",
            "normal with the given mean and std",
            _normal,
            (NORMAL,),
            (Param("mean", 0.0, Real(), "mean"), Param("std", 1.0, Real(0), "standard deviation")),
            std=_given_std,
            density=lambda w, layer, p: _normal_density(w, p["mean"], p["std"]),
        ),
        Init(
            "truncated_normal",
            "normal with the given mean and std, cut to low..high",
            _truncated,
            (UNIFORM,),
            (
                Param("mean", 0.0, Real(), "mean before the cut"),
                Param("std", 1.0, Real(0, open_low=True), "standard deviation before the cut"),
                Param("low", -2.0, Real(), "lower cut"),
                Param("high", 2.0, Real(), "upper cut"),
            ),
            std=_truncated_std,
            density=_truncated_density,
            rules=(
                ordered("low", "high"),
                Rule(
                    "low",
                    "to high must hold at least a millionth of the normal distribution",
                    # where the cuts are exchanged the rule above speaks
                    lambda p: p["low"] >= p["high"] or _reachable(p),
                    "move the cuts nearer to init.mean or raise init.std",
                ),
            ),
            aliases=("trunc_normal",),
        ),
        Init(
            "xavier_uniform",
            "uniform, variance 2 / (fan_in + fan_out) times gain^2 (Glorot and Bengio 2010)",
            _scaled_uniform(_glorot),
            (UNIFORM,),
            (UNIT_GAIN,),
            std=_glorot,
            density=_scaled_uniform_density(_glorot),
            aliases=("glorot_uniform",),
        ),
        Init(
            "xavier_normal",
            "normal, variance 2 / (fan_in + fan_out) times gain^2 (Glorot and Bengio 2010)",
            _scaled_normal(_glorot),
            (NORMAL,),
            (UNIT_GAIN,),
            std=_glorot,
            density=_scaled_normal_density(_glorot),
            aliases=("glorot_normal",),
        ),
        Init(
            "kaiming_uniform",
            "uniform, variance gain^2 / fan (He et al. 2015)",
            _scaled_uniform(_he),
            (UNIFORM,),
            (MODE, AUTO_GAIN),
            std=_he,
            density=_scaled_uniform_density(_he),
            aliases=("he_uniform",),
        ),
        Init(
            "kaiming_normal",
            "normal, variance gain^2 / fan (He et al. 2015)",
            _scaled_normal(_he),
            (NORMAL,),
            (MODE, AUTO_GAIN),
            std=_he,
            density=_scaled_normal_density(_he),
            aliases=("he_normal",),
        ),
        Init(
            "lecun_uniform",
            "uniform, variance 1 / fan_in (LeCun et al. 1998)",
            _scaled_uniform(_lecun),
            (UNIFORM,),
            std=_lecun,
            density=_scaled_uniform_density(_lecun),
        ),
        Init(
            "lecun_normal",
            "normal, variance 1 / fan_in (LeCun et al. 1998)",
            _scaled_normal(_lecun),
            (NORMAL,),
            std=_lecun,
            density=_scaled_normal_density(_lecun),
        ),
        Init(
            "orthogonal",
            "orthonormal rows or columns, times gain (Saxe et al. 2014)",
            _orthogonal,
            (NORMAL,),
            (UNIT_GAIN,),
            biases=False,
            std=lambda layer, p: _gain(layer, p) / math.sqrt(max(layer.fan_in, layer.fan_out)),
        ),
        Init(
            "sparse",
            "normal, but each input reaches only a share 1 - sparsity of the units (Martens 2010)",
            _sparse,
            (NORMAL, UNIFORM),
            (
                Param("sparsity", 0.5, Real(0, 1), "share of the weights of each input that are 0"),
                Param("std", 1.0, Real(0), "standard deviation of the others"),
            ),
            biases=False,
        ),
        Init("identity", "the identity matrix, cut or filled up with zeros", _eye, biases=False, aliases=("eye",)),
        Init(
            "mirror",
            "He normal, the units in opposite pairs: with a zero bias and an odd or ReLU-like activation no pair is "
            "born dead",
            _mirror,
            (NORMAL,),
            (MODE, AUTO_GAIN),
            biases=False,
            std=_he,
            density=_scaled_normal_density(_he),
        ),
        Init(
            "torch_default",
            "PyTorch's own: weights and biases uniform on +-1 / sqrt(fan_in)",
            _scaled_uniform(_torch_std),
            (UNIFORM,),
            std=_torch_std,
            density=_scaled_uniform_density(_torch_std),
            bias=BIAS_SAME,
            aliases=("pytorch",),
        ),
        Init(
            "from_file",
            "weights and biases from a safetensors file: tensors named as in the module's state_dict, replicates first",
            _fill(lambda p: math.nan),
            params=(
                Param("path", None, Optional(Text()), "the file"),
                Param(
                    "digest", None, Optional(Text()), "SHA-256 of the file; filled in, so that a spec names its content"
                ),
            ),
            biases=False,
            stored=True,
        ),
    ),
)


def bias_param(entry: Init) -> tuple[Param, ...]:
    """The parameter that every drawn scheme takes besides its own."""
    if entry.stored:
        return ()
    return (Param("bias", entry.bias, Text(), "zeros, same (as the weights), or the name of another scheme"),)
