"""Functions that are written out as instructions because they are quick in vectors: e^z and what is made of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from llvmlite import ir

from nnspec.training.codegen.lanes import I32, I64, Vectors

LOG2_E = 1.4426950408889634
# of tanh near 0: the polynomials above and below the line
_TANH = {
    "float32": (
        (-5.70498872745e-3, 2.06390887954e-2, -5.37397155531e-2, 1.33314422036e-1, -3.33332819422e-1),
        (1.0,),
    ),
    "float64": (
        (-9.64399179425052238628e-1, -9.92877231001918586564e1, -1.61468768441708447952e3),
        (1.0, 1.12811678491632931402e2, 2.23548839060100448583e3, 4.84406305325125486048e3),
    ),
}


@dataclass(frozen=True)
class Exponential:
    """SLEEF's e^z of one unit in the last place is 2^q e^s with |s| <= ln 2 / 2: ``ln_2`` in two parts, the
    coefficients of a series for e^s from the highest power on, and the z beyond which it is 0 or infinite."""

    ln_2: tuple[float, float]
    series: tuple[float, ...]
    least: float
    most: float


_SINGLE = Exponential(
    ln_2=(0.693145751953125, 1.428606765330187e-06),
    series=(
        0.000198527617612853646,
        0.00139304355252534151,
        0.00833336077630519867,
        0.0416664853692054749,
        0.1666666716337204,
        0.5,
    ),
    least=-104.0,
    most=104.0,
)
_DOUBLE = Exponential(
    ln_2=(0.69314718055966295651160180568695068359375, 2.8235290563031577122588448175013436025525e-13),
    series=(
        2.081276378237164457e-9,
        2.511210703042288022e-8,
        2.755762628169491192e-7,
        2.755723402025388239e-6,
        2.480158687479686264e-5,
        1.984126989855865850e-4,
        1.388888888914497797e-3,
        8.333333333314938210e-3,
        4.166666666666602598e-2,
        1.666666666666669072e-1,
    ),
    least=-1000.0,
    most=709.78271114955742909217217426,
)


class Exponentials(Vectors):
    """The functions, of each lane by itself."""

    def sigmoid(self, z: ir.Value) -> ir.Value:
        """1 / (1 + e^-z), as torch's."""
        one, minus = self.lanes.constant(1.0), self.make.fsub(self.lanes.constant(0.0), z)
        return self.make.fdiv(one, self.make.fadd(one, self.exp(minus)))

    def exp(self, z: ir.Value) -> ir.Value:
        """e^z as in torch's sigmoid and softmax, see ``Exponential``."""
        make, constant, integer = self.make, self.lanes.constant, self.lanes.integer
        single = self.lanes.dtype == "float32"
        form = _SINGLE if single else _DOUBLE
        q = self.intrinsic("llvm.rint", make.fmul(z, constant(LOG2_E)))
        s = self.fma(q, -form.ln_2[0], z)
        s = self.fma(q, -form.ln_2[1], s)
        result = self._single_series(s) if single else self._double_series(s)
        # 2^q in two factors, for one exponent may not hold it; what lies outside is replaced below
        above, below = make.fcmp_ordered(">", z, constant(form.most)), make.fcmp_ordered("<", z, constant(form.least))
        inside = make.fcmp_ordered("<=", self.intrinsic("llvm.fabs", z), constant(-form.least))
        whole = make.fptosi(make.select(inside, q, constant(0.0)), self.lanes.integers())
        half = make.ashr(whole, integer(1))
        for power in (half, make.sub(whole, half)):
            result = make.fmul(result, self._power_of_two(power))
        return make.select(above, constant(float("inf")), make.select(below, constant(0.0), result))

    def _single_series(self, s: ir.Value) -> ir.Value:
        """e^s, power after power."""
        series = self.lanes.constant(_SINGLE.series[0])
        for coefficient in _SINGLE.series[1:]:
            series = self.fma(series, s, coefficient)
        return self.make.fadd(self.lanes.constant(1.0), self.fma(self.make.fmul(s, s), series, s))

    def _double_series(self, s: ir.Value) -> ir.Value:
        """e^s, its higher powers in pairs, pairs of these, and so on."""
        parts: list[Any] = list(_DOUBLE.series[::-1])
        power = s
        while len(parts) > 1:
            pairs = [self.fma(power, parts[n + 1], parts[n]) for n in range(0, len(parts) - 1, 2)]
            parts = [*pairs, *parts[2 * len(pairs) :]]
            power = self.make.fmul(power, power)
        series = parts[0]
        for coefficient in (0.5, 1.0, 1.0):
            series = self.fma(series, s, coefficient)
        return series

    def _power_of_two(self, power: ir.Value) -> ir.Value:
        """2 to whole numbers that are exponents of the type, made of its bits."""
        make, lanes = self.make, self.lanes
        kind, bias, fraction = (I32, 127, 23) if lanes.dtype == "float32" else (I64, 1023, 52)
        biased = make.add(power, lanes.integer(bias))
        if kind is I64:
            biased = make.zext(biased, lanes.integers(I64))
        return make.bitcast(make.shl(biased, ir.Constant(biased.type, [kind(fraction)] * lanes.count)), lanes.vector)

    def tanh(self, z: ir.Value) -> ir.Value:
        """tanh z to two units in the last place: near 0 z + z^3 P(z^2) / Q(z^2), else 1 - 2 / (e^2|z| + 1) with the
        sign of z (Moshier's Cephes library, 1984)."""
        make, constant = self.make, self.lanes.constant
        square, size = make.fmul(z, z), self.intrinsic("llvm.fabs", z)
        above, below = (self._polynomial(series, square) for series in _TANH[self.lanes.dtype])
        near = self.fma(make.fmul(square, z), make.fdiv(above, below), z)
        raised = self.exp(make.fadd(size, size))
        far = make.fsub(constant(1.0), make.fdiv(constant(2.0), make.fadd(raised, constant(1.0))))
        far = self.intrinsic("llvm.copysign", far, z)
        return make.select(make.fcmp_ordered(">", size, constant(0.625)), far, near)

    def _polynomial(self, series: Sequence[float], z: ir.Value) -> ir.Value:
        """A polynomial in z, the highest power's coefficient first."""
        value = self.lanes.constant(series[0])
        for coefficient in series[1:]:
            value = self.fma(value, z, coefficient)
        return value
