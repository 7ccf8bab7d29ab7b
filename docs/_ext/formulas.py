"""Formulas of the entries, as a textbook writes them.

Those of activations are SymPy's notation, so that ``tests/test_site.py`` can put numbers in and compare them with what
nnspec computes; those of the other kinds are TeX.
"""

from __future__ import annotations

import sympy
from sympy import Abs, Function, Max, Min, Piecewise, Symbol

RAMP = "Piecewise((z, z > 0), (%s, True))"
STEP = "Piecewise((1, z > 0), (%s, True))"
# name -> value, derivative; sigma is the sigmoid, Phi and phi the normal distribution and its density
ACTIVATIONS: dict[str, tuple[str, str]] = {
    "identity": ("z", "1"),
    "sigmoid": ("1 / (1 + exp(-z))", "sigma(z) * (1 - sigma(z))"),
    "tanh": ("tanh(z)", "1 - tanh(z)**2"),
    "relu": ("Max(0, z)", STEP % "0"),
    "leaky_relu": (RAMP % "negative_slope * z", STEP % "negative_slope"),
    "prelu": (RAMP % "init * z", STEP % "init"),
    "rrelu": (RAMP % "(lower + upper) / 2 * z", STEP % "(lower + upper) / 2"),
    "relu6": ("Min(Max(0, z), 6)", "Piecewise((1, (0 < z) & (z < 6)), (0, True))"),
    "elu": (RAMP % "alpha * (exp(z) - 1)", STEP % "alpha * exp(z)"),
    "selu": (
        "Piecewise((1.0507 * z, z > 0), (1.7581 * (exp(z) - 1), True))",
        "Piecewise((1.0507, z > 0), (1.7581 * exp(z), True))",
    ),
    "celu": (RAMP % "alpha * (exp(z / alpha) - 1)", STEP % "exp(z / alpha)"),
    "gelu": ("z * Phi(z)", "Phi(z) + z * phi(z)"),
    "silu": ("z * sigma(z)", "sigma(z) * (1 + z * (1 - sigma(z)))"),
    "mish": ("z * tanh(log(1 + exp(z)))", "tanh(s) + z * sigma(z) * (1 - tanh(s)**2)"),
    "softplus": ("log(1 + exp(beta * z)) / beta", "sigma(beta * z)"),
    "softsign": ("z / (1 + Abs(z))", "1 / (1 + Abs(z))**2"),
    "logsigmoid": ("log(sigma(z))", "sigma(-z)"),
    "hardsigmoid": ("Min(Max(0, z / 6 + 1 / 2), 1)", "Piecewise((1 / 6, Abs(z) < 3), (0, True))"),
    "hardtanh": ("Min(Max(z, min_val), max_val)", "Piecewise((1, (min_val < z) & (z < max_val)), (0, True))"),
    "hardswish": ("z * Min(Max(0, z + 3), 6) / 6", "Piecewise((0, z <= -3), (1, z >= 3), (z / 3 + 1 / 2, True))"),
    "hardshrink": ("Piecewise((z, Abs(z) > lambd), (0, True))", "Piecewise((1, Abs(z) > lambd), (0, True))"),
    "softshrink": (
        "Piecewise((z - lambd, z > lambd), (z + lambd, z < -lambd), (0, True))",
        "Piecewise((1, Abs(z) > lambd), (0, True))",
    ),
    "tanhshrink": ("z - tanh(z)", "tanh(z)**2"),
    "threshold": (
        "Piecewise((z, z > threshold), (value, True))",
        "Piecewise((1, z > threshold), (0, True))",
    ),
    "sine": ("sin(z)", "cos(z)"),
    "heaviside": (STEP % "0", "0"),
}
S = "log(1 + exp(z))"  # what mish's derivative calls s

TEX: dict[str, dict[str, str]] = {
    "init": {
        "zeros": r"w = 0",
        "constant": r"w = \mathrm{value}",
        "uniform": r"w \sim U(\mathrm{low}, \mathrm{high})",
        "normal": r"w \sim N(\mathrm{mean}, \mathrm{std}^2)",
        "truncated_normal": r"w \sim N(\mathrm{mean}, \mathrm{std}^2), \quad \mathrm{low} \le w \le \mathrm{high}",
        "xavier_uniform": r"w \sim U(-a, a), \quad a = \mathrm{gain} \sqrt{\frac{6}{n_{in} + n_{out}}}",
        "xavier_normal": r"w \sim N(0, \sigma^2), \quad \sigma = \mathrm{gain} \sqrt{\frac{2}{n_{in} + n_{out}}}",
        "kaiming_uniform": r"w \sim U(-a, a), \quad a = \mathrm{gain} \sqrt{\frac{3}{n}}",
        "kaiming_normal": r"w \sim N(0, \sigma^2), \quad \sigma = \frac{\mathrm{gain}}{\sqrt{n}}",
        "lecun_uniform": r"w \sim U(-a, a), \quad a = \sqrt{\frac{3}{n_{in}}}",
        "lecun_normal": r"w \sim N(0, \sigma^2), \quad \sigma = \frac{1}{\sqrt{n_{in}}}",
        "orthogonal": r"W = \mathrm{gain} \cdot Q, \quad Q^T Q = I \;\mathrm{or}\; Q Q^T = I",
        "sparse": r"w \sim N(0, \mathrm{std}^2), \quad 0 \;\mathrm{for\ a\ share\ of}\; \mathrm{sparsity}",
        "identity": r"W_{ij} = \delta_{ij}",
        "mirror": r"w_{2k} \sim N(0, \frac{\mathrm{gain}^2}{n}), \quad w_{2k+1} = -w_{2k}",
        "torch_default": r"w, b \sim U(-a, a), \quad a = \frac{1}{\sqrt{n_{in}}}",
    },
    "optimizer": {
        "perceptron_rule": r"w \leftarrow w + \eta (y - p) x, \quad "
        r"p = 1 \;\mathrm{if}\; w x + b > 0,\; \mathrm{else}\; 0",
        "sgd": r"v \leftarrow \mu v + (1 - \tau) g, \quad w \leftarrow w - \eta v",
        "adam": r"m \leftarrow \beta_1 m + (1 - \beta_1) g, \quad v \leftarrow \beta_2 v + (1 - \beta_2) g^2, \quad "
        r"w \leftarrow w - \eta \frac{m / (1 - \beta_1^t)}{\sqrt{v / (1 - \beta_2^t)} + \epsilon}",
        "adamw": r"w \leftarrow (1 - \eta \lambda) w, \quad \mathrm{then\ as\ Adam}",
        "rmsprop": r"v \leftarrow \alpha v + (1 - \alpha) g^2, \quad "
        r"w \leftarrow w - \eta \frac{g}{\sqrt{v} + \epsilon}",
        "adagrad": r"v \leftarrow v + g^2, \quad "
        r"w \leftarrow w - \frac{\eta}{1 + (t - 1) \gamma} \frac{g}{\sqrt{v} + \epsilon}",
        "rprop": r"w \leftarrow w - \Delta \cdot \mathrm{sign}(g), \quad \Delta \leftarrow \Delta \cdot \eta_+ "
        r"\;\mathrm{where}\; g \;\mathrm{keeps\ its\ sign}, \; \Delta \cdot \eta_- \;\mathrm{where\ it\ turns}",
    },
    "loss": {
        "bce": r"L = -\frac{1}{n} \sum_i y_i \log p_i + (1 - y_i) \log (1 - p_i)",
        "mse": r"L = \frac{1}{n k} \sum_{i, j} (p_{ij} - y_{ij})^2",
        "cross_entropy": r"L = -\frac{1}{n} \sum_i \log \frac{e^{z_{i c_i}}}{\sum_j e^{z_{ij}}}",
        "hinge": r"L = \frac{1}{n k} \sum_{i, j} \max(0, 1 - y_{ij} p_{ij})",
        "huber": r"L = \frac{1}{n k} \sum_{i, j} \begin{cases} \frac{1}{2} e_{ij}^2 & |e_{ij}| \le \delta \\ "
        r"\delta (|e_{ij}| - \frac{\delta}{2}) & |e_{ij}| > \delta \end{cases}, \quad e_{ij} = p_{ij} - y_{ij}",
    },
    "schedule": {
        "constant": r"\eta_k = \eta",
        "step": r"\eta_k = \eta \gamma^{\lfloor k / s \rfloor}",
        "exponential": r"\eta_k = \eta \gamma^k",
        "cosine": r"\eta_k = \eta \left( f + (1 - f) \frac{1 + \cos (\pi k / n)}{2} \right)",
        "linear": r"\eta_k = \eta \left( f + (1 - f) (1 - \frac{k}{n}) \right)",
    },
}
# what the letters of a kind stand for
LETTERS = {
    "init": r"$n_{in}$ and $n_{out}$ are a layer's fan-in and fan-out, $n$ the one that `mode` names, and `gain` "
    "that of the activation behind it unless said.",
    "optimizer": r"$g$ is the gradient (with `weight_decay` $\lambda$ times $w$ added, unless said otherwise), $\eta$ "
    r"the learning rate `lr`, $t$ the update, counted from 1; $\mu$ is `momentum`, $\tau$ `dampening` (without effect "
    r"at the first update), $\gamma$ `lr_decay`.",
    "loss": r"$y$ are the targets of $n$ rows and $k$ outputs, $p$ the outputs, $z$ those before the output "
    r"activation, $c_i$ the class of a row.",
    "schedule": r"$k$ updates lie behind, the warm-up's left out, $n$ is `updates`, $f$ `floor`, $s$ `step_size`.",
}


def expression(text: str) -> sympy.Expr:
    """A formula in SymPy's notation."""
    names = {
        "Abs": Abs,
        "Max": Max,
        "Min": Min,
        "Piecewise": Piecewise,
        **{name: Function(name) for name in ("sigma", "Phi", "phi")},
        **{name: Symbol(name, real=True) for name in ("z", "s", "alpha", "beta", "init", "lower", "upper", "lambd")},
        **{name: Symbol(name, real=True) for name in ("min_val", "max_val", "threshold", "value", "negative_slope")},
    }
    return sympy.sympify(text, locals=names)


def activation_tex(name: str) -> list[str]:
    """The lines of an activation's formula, in TeX; none where it is not known."""
    if name not in ACTIVATIONS:
        return []
    value, slope = (tex(text) for text in ACTIVATIONS[name])
    also = [rf"s = {tex(S)}"] if name == "mish" else []
    return [rf"f(z) = {value}", rf"f'(z) = {slope}", *also]


def tex(text: str) -> str:
    """A formula in SymPy's notation as TeX; parameters by the names that a spec has for them."""
    formula = expression(text)
    greek = ("alpha", "beta")
    names = {
        each: rf"\mathrm{{{each!s}}}".replace("_", r"\_")
        for each in formula.free_symbols
        if len(str(each)) > 1 and str(each) not in greek
    }
    printed = sympy.latex(formula, symbol_names=names, ln_notation=False, order="none")
    return str(printed).replace(r"\text{for}\:", r"\text{if } ").replace(r"\text{otherwise}", r"\text{else}")
